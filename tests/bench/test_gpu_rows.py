"""Rows: the two contenders are checked first and timed in turns; a wrong one costs its own row."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from kernelkit.bench import gpu_rows
from kernelkit.bench.cpu_rows import Effort
from kernelkit.bench.gpu_cases import CASES
from kernelkit.bench.gpu_clock import FLUSHED, Clock, Work, host_seconds
from kernelkit.bench.gpu_rows import Row, Side, launch_figures, rows

BY_NAME = {case.name: case for case in CASES}
EFFORT = Effort(pairs=4, seconds=0.0)


class FakeEvent:
    def __init__(self, gpu):
        self.gpu, self.at = gpu, None

    def record(self):
        self.at = self.gpu.now

    def synchronize(self):
        assert self.at is not None


class FakeMemory:
    def __init__(self, gpu):
        self.gpu = gpu

    def memset_async(self, value, size):
        self.gpu.log.append(("memset", size))

    def copy_from_device_async(self, other, size):
        self.gpu.log.append(("copy", size))
        self.gpu.now += size / 1e12


class FakeGpu:
    """As much of CuPy as the clock asks for; its time goes on when something says so."""

    def __init__(self):
        self.now, self.log = 0.0, []
        self.data = FakeMemory(self)
        device = types.SimpleNamespace(id=0, synchronize=lambda: self.log.append("synchronize"))
        self.runtime = types.SimpleNamespace(
            getDeviceProperties=lambda _: {"name": b"Abacus"}, driverGetVersion=lambda: 13010
        )
        self.cuda = types.SimpleNamespace(
            Event=lambda: FakeEvent(self), Device=lambda: device, runtime=self.runtime,
            get_elapsed_time=lambda a, b: (b.at - a.at) * 1e3, alloc=lambda _: FakeMemory(self),
        )  # fmt: skip

    def empty(self, size, dtype):
        return self

    def works(self, name, seconds):
        def run():
            self.log.append(name)
            self.now += seconds

        return Work(run, lambda: self.log.append(f"prepare {name}"))


@pytest.fixture
def gpu():
    return FakeGpu()


@pytest.fixture
def side(monkeypatch, gpu):
    """Ours and theirs on the host, in place of those on a GPU; theirs takes 19 where ours takes 20."""

    def theirs(name, launch):
        configured = BY_NAME[name].ours.on("python")[_few(name, launch), launch.block]
        return _timed(gpu, lambda: configured(*launch.arguments), 19e-3)

    def ours(case, backend, launch):
        configured = case.ours.on("python")[_few(case.name, launch), launch.block]
        return _timed(gpu, lambda: configured(*launch.arguments), 20e-3)

    made = Side("theirs", np.array, lambda array: array, theirs)
    monkeypatch.setattr(gpu_rows, "SIDES", {"cuda": lambda: made, "numba": lambda: made})
    monkeypatch.setattr(gpu_rows, "ours", ours)
    return made


def _few(name, launch):
    return (2,) if name in ("total", "histogram") else launch.grid


def _timed(gpu, run, seconds):
    def timed():
        run()
        gpu.now += seconds

    return timed


# ---------------------------------------------------------------- the clock
def test_the_clock_measures_a_run_and_nothing_before_it(gpu):
    clock = Clock(gpu)
    assert clock.seconds(gpu.works("a", 0.5)) == pytest.approx(0.5)
    assert gpu.log == ["prepare a", ("memset", FLUSHED), "a"]
    assert clock.name == "Abacus, driver for CUDA 13.1"


def test_the_two_of_a_pair_change_places(gpu):
    times = Clock(gpu).in_turns(gpu.works("a", 1.0), gpu.works("b", 2.0), EFFORT)
    assert times == [(pytest.approx(1.0), pytest.approx(2.0))] * 4
    runs = "".join(entry for entry in gpu.log if entry in ("a", "b"))
    assert runs == "ababab" + "ab" + "ba" + "ab" + "ba"


def test_a_copy_moves_half_of_the_bytes(gpu):
    clock = Clock(gpu)
    assert clock.copy_seconds(2_000_000) == pytest.approx(1e-6)
    assert ("copy", 1_000_000) in gpu.log
    before = len(gpu.log)
    assert clock.copy_seconds(2_000_000) == pytest.approx(1e-6)
    assert len(gpu.log) == before


def test_launches_are_timed_on_the_host(gpu):
    calls = []
    times = host_seconds(
        lambda: calls.append("a"), lambda: calls.append("b"), lambda: calls.append("|"), tries=3
    )
    assert len(times) == 3
    assert all(0 < a < 1e-2 and 0 < b < 1e-2 for a, b in times)
    assert "".join(calls).count("|") == 8
    assert calls[0] != calls[2 * calls.index("|") + 2]


# ---------------------------------------------------------------- rows
def test_a_row_has_speed_and_the_part_of_a_copy(side, gpu):
    (row,) = rows(BY_NAME["saxpy"], True, ["cuda"], Clock(gpu), EFFORT)
    assert (row.backend, row.rival, row.trouble, row.pairs) == ("cuda", "theirs", "", 4)
    assert row.ours == pytest.approx(20e-3)
    assert row.speed == pytest.approx(0.95)
    assert row.copied == pytest.approx(6000e-12 / 20e-3)
    assert row.met is False


@pytest.mark.parametrize("name", ["total", "correlate"])
def test_results_are_prepared_and_checked(name, side, gpu):
    first, second = rows(BY_NAME[name], True, ["cuda", "numba"], Clock(gpu), EFFORT)
    assert (first.trouble, second.trouble) == ("", "")
    assert (first.backend, second.backend) == ("cuda", "numba")
    assert first.copied is None


def test_a_wrong_contender_is_said_and_not_timed(side, gpu, monkeypatch):
    monkeypatch.setattr(gpu_rows, "ours", lambda case, backend, launch: lambda: None)
    (row,) = rows(BY_NAME["saxpy"], True, ["cuda"], Clock(gpu), EFFORT)
    assert row.trouble.startswith("cuda: AssertionError: ")
    assert (row.speed, row.met) == (None, None)


def test_one_that_fails_is_said(side, gpu, monkeypatch):
    def fail(case, backend, launch):
        raise MemoryError("no room")

    monkeypatch.setattr(gpu_rows, "ours", fail)
    (row,) = rows(BY_NAME["saxpy"], True, ["numba"], Clock(gpu), EFFORT)
    assert row.trouble == "numba: MemoryError: no room"


def test_a_launch_is_held_to_the_limit_on_cuda(side, gpu, monkeypatch):
    monkeypatch.setattr(gpu_rows, "host_seconds", lambda *_: [(7e-6, 3e-6), (8e-6, 5e-6)])
    mine, theirs, beyond = launch_figures("cuda", Clock(gpu))
    assert (mine.value, theirs.value) == (pytest.approx(7.5), pytest.approx(4))
    assert (beyond.value, beyond.met) == (pytest.approx(3.5), False)
    assert launch_figures("numba", Clock(gpu))[2].limit is None


@pytest.mark.parametrize(
    ("speed", "copied", "met"),
    [(0.95, None, True), (0.94, None, False), (1.0, 0.86, True), (1.0, 0.8, False), (None, None, None)],
)  # fmt: skip
def test_what_is_asked(speed, copied, met):
    limit = None if copied is None else 0.85
    row = Row("a", "a", "cuda", "b", speed=speed, copied=copied, copied_at_least=limit)
    assert row.met is met


# ---------------------------------------------------------------- the two sides
def test_a_raw_kernel_gets_arrays_and_extents(monkeypatch):
    launched = []

    class RawKernel:
        def __init__(self, source, name):
            assert f"{name}(" in source

        def __call__(self, grid, block, arguments):
            launched.append((grid, block, arguments))

    fake = types.SimpleNamespace(RawKernel=RawKernel, asarray=np.array, asnumpy=np.asarray)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    side = gpu_rows.SIDES["cuda"]()
    launch = BY_NAME["transpose"].launch(side.put, np.zeros((37, 71), np.float32))
    side.theirs("transpose", launch)()
    ((grid, block, arguments),) = launched
    assert (grid, block) == ((3, 2), (32, 8))
    assert [type(a) for a in arguments] == [np.ndarray, np.ndarray, np.int32, np.int32]
    assert arguments[2:] == (37, 71)
