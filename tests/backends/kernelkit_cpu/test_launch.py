"""Launches of kernels written by hand: what a kernel is given, and how a launch ends."""

from __future__ import annotations

import ctypes
import gc
import math
import random
import struct
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kernelkit.backend import LaunchConfig
from kernelkit.errors import InternalError
from kernelkit.ir.scalar import from_constant
from kernelkit.ir.types import DTYPES, DType
from kernelkit_cpu import pool, record
from kernelkit_cpu.launch import PLANS, CpuExecutable

Make = Callable[..., CpuExecutable]
ARRAY = {"kind": "array", "ndim": 1}
STEPS = {"kind": "scalar", "dtype": "int64"}
ONE = (1, 1, 1)


def scalar(dtype: DType) -> dict[str, Any]:
    return {"kind": "scalar", "dtype": dtype.name}


def grid(*axes: int, shared: int = 0) -> LaunchConfig:
    x, y, z = (*axes, 1, 1)[:3]
    return LaunchConfig((x, y, z), ONE, shared)


@pytest.fixture(autouse=True, params=[1, 2, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Every test runs with several numbers of threads."""
    before = pool.get_num_threads()
    pool.set_num_threads(request.param)
    yield request.param
    pool.set_num_threads(before)


# ---------------------------------------------------------------- what a kernel is given
def described(make: Make, parameters: Sequence[Mapping[str, Any]], args: Sequence[Any]) -> Any:
    """The words of the parameters, as a kernel sees them after an array of its own."""
    kernel = make("describe", ARRAY, *parameters)
    words = 32 + 3 + sum(1 + 2 * a.ndim if isinstance(a, np.ndarray) else 2 for a in args)
    found = np.zeros(words, np.int64)
    kernel.launch(grid(1), (found, *args), None)
    return found[35:]


def test_arrays_are_address_extents_and_strides(executable: Make) -> None:
    base = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
    arrays = [
        base, base[::-1, 1:, ::2], base.T, base[:, 2, 3], base[2, 3, 4:], np.array(3, np.int8),
        np.zeros((0, 3)), np.zeros((3, 0, 2), np.uint8), np.broadcast_to(base[0, 0], (7, 6)),
        np.zeros((1,) * 32), base.view(np.recarray),
    ]  # fmt: skip
    random.shuffle(arrays)
    found = described(executable, [{"kind": "array", "ndim": a.ndim} for a in arrays], arrays)
    wanted: list[int] = []
    for each in arrays:
        wanted += (each.__array_interface__["data"][0], *each.shape, *each.strides)
    assert list(found[: len(wanted)]) == wanted


INTERESTING: dict[str, list[Any]] = {
    "b": [True, False],
    "i": [-1, 0, 1],
    "u": [0, 1],
    "f": [0.0, -0.0, 1.0, -1.0, 1e-40, 0.1, 65504.0, 65520.0, float("inf"), float("-inf")],
    "c": [0j, -1 + 0j, complex(-1, -1), complex(0.1, -1e30), complex("inf-infj")],
}


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_scalars_have_the_bits_of_their_dtype(executable: Make, dtype: DType) -> None:
    values = list(INTERESTING[dtype.kind])
    if dtype.is_integer:
        values += [dtype.minimum, dtype.maximum]
        values += [random.randint(dtype.minimum, dtype.maximum) for _ in range(20)]
    with np.errstate(over="ignore"):
        natives = [dtype.numpy.type(value) for value in values]
    # Python's own numbers, and NumPy's of the dtype.
    for value in (*values, *natives):
        found = described(executable, [scalar(dtype)], [value])
        with np.errstate(over="ignore"):
            wanted = np.array(from_constant(dtype, value), dtype.numpy).tobytes()
        part = dtype.component.itemsize
        for number in range(len(wanted) // part):
            bits = int(found[number]).to_bytes(8, "little", signed=True)[:part]
            assert bits == wanted[part * number : part * (number + 1)], value


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "complex64", "complex128"])
def test_nan_stays_nan(executable: Make, name: str) -> None:
    dtype = DTYPES[name]
    found = described(executable, [scalar(dtype)], [dtype.numpy.type("nan")])
    part = dtype.component
    bits = found[:1].astype(np.uint64).astype(f"u{part.itemsize}")
    assert np.isnan(bits.view(part.numpy)[0])


def test_many_parameters_of_all_kinds(executable: Make) -> None:
    parameters: list[dict[str, Any]] = []
    args: list[Any] = []
    wanted: list[int] = []
    for _ in range(60):
        if random.random() < 0.5:
            array = np.zeros(random.choices(range(1, 4), k=random.randint(0, 3)))
            parameters.append({"kind": "array", "ndim": array.ndim})
            args.append(array)
            wanted += (array.ctypes.data, *array.shape, *array.strides)
        else:
            value = random.random()
            parameters.append(scalar(DTYPES["float64"]))
            args.append(value)
            wanted += struct.unpack("q", struct.pack("d", value))
    assert list(described(executable, parameters, args)[: len(wanted)]) == wanted


def test_grids_and_bytes_are_in_the_record(executable: Make) -> None:
    kernel = executable("describe", ARRAY, reblocked=True, user_block=[4, 3, 2], block=[8, 2, 2])
    words = np.zeros(32, np.int64)
    kernel.launch(grid(5, 3, 1, shared=200), (words,), None)
    assert list(words[record.BLOCKS : record.BLOCKS + 3]) == [3, 5, 1]
    assert list(words[record.GRID : record.GRID + 3]) == [5, 3, 1]
    assert words[record.DYNAMIC_BYTES] == 200
    assert words[record.STOP] == record.RUNNING
    assert words[record.PRINT] == 0
    assert words[record.POLL] != 0


def test_another_configuration_is_another_plan(executable: Make) -> None:
    kernel = executable("describe", ARRAY)
    words = np.zeros(32, np.int64)
    for x in random.choices(range(1, 3 * PLANS), k=4 * PLANS):
        kernel.launch(grid(x, 2), (words,), None)
        assert list(words[record.GRID : record.GRID + 3]) == [x, 2, 1]


def test_arguments_that_do_not_fit_are_refused(executable: Make) -> None:
    kernel = executable("describe", ARRAY, STEPS)
    words = np.full(40, 7, np.int64)
    for args, text in (
        ((words,), "takes 2 arguments and was given 1"),
        ((words, 1, 2), "takes 2 arguments and was given 3"),
        ((words.reshape(4, 10), 1), "argument 1 .* array of 1 axes, and ndarray came"),
        ((list(words), 1), "argument 1 .* array of 1 axes, and list came"),
    ):
        with pytest.raises(InternalError, match=text):
            kernel.launch(grid(1), args, None)
    with pytest.raises(TypeError):
        kernel.launch(grid(1), (words, "one"), None)
    assert (words == 7).all()


# ---------------------------------------------------------------- every block once
@pytest.mark.parametrize("blocks", [1, 2, 3, 7, 64, 1000, 4097, 100_003])
def test_every_block_runs_once(executable: Make, blocks: int) -> None:
    kernel = executable("count", ARRAY)
    counts = np.zeros(blocks, np.int64)
    for times in range(1, 6):
        kernel.launch(grid(blocks), (counts,), None)
        assert (counts == times).all()


def test_blocks_of_three_axes_are_one_range(executable: Make) -> None:
    x, y, z = (random.randint(1, 30) for _ in range(3))
    counts = np.zeros(x * y * z + 5, np.int64)
    executable("count", ARRAY).launch(grid(x, y, z), (counts,), None)
    assert (counts[: x * y * z] == 1).all()
    assert not counts[x * y * z :].any()


@pytest.mark.parametrize("axes", [(2**31 + 12345,), (2**40, 3, 5), (1, 2**47, 1)])
def test_blocks_beyond_32_bits(executable: Make, threads: int, axes: tuple[int, ...]) -> None:
    found = np.zeros(2 + threads, np.int64)
    kernel = executable("tally", ARRAY)
    for times in (1, 2):
        kernel.launch(grid(*axes), (found,), None)
        assert found[0] == math.prod(axes) * times


def test_blocks_of_unknown_cost_are_tried_a_few_at_a_time(executable: Make, threads: int) -> None:
    found = np.zeros(2 + threads, np.int64)
    blocks = 1 << 20
    executable("tally", ARRAY).launch(grid(blocks), (found,), None)
    assert found[0] == blocks
    # A thread begins with one, and takes at most four times as many the next time.
    calls = found[2:].sum()
    assert calls >= 10
    assert found[1] <= 4 ** (calls - 1)


# ---------------------------------------------------------------- scratch memory
def test_each_worker_has_its_scratch_memory(executable: Make) -> None:
    for size, shared in ((8, 0), (100, 0), (0, 1000), (5000, 64), (1 << 20, 8)):
        kernel = executable("scratch", ARRAY, scratch=size, dynamic_in_scratch=True)
        wrong = np.zeros(2, np.int64)
        for _ in range(3):
            kernel.launch(grid(100 if size < 1 << 20 else 5, shared=shared), (wrong,), None)
        assert list(wrong) == [0, 0]


def test_scratch_memory_of_launches_at_once(executable: Make) -> None:
    kernels = [executable("scratch", ARRAY, scratch=64 * size) for size in (1, 7, 100)]

    def work() -> None:
        for number in range(30):
            kernels[number % 3].launch(config, (wrong,), None)

    config, wrong = grid(200), np.zeros(2, np.int64)
    run_at_once([work] * 6)
    assert list(wrong) == [0, 0]


def run_at_once(tasks: Sequence[Callable[[], object]]) -> None:
    """Run each in a thread; raise what one of them raises."""
    errors: list[BaseException] = []

    def run(task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for each in running:
        each.start()
    for each in running:
        each.join()
    for error in errors:
        raise error


# ---------------------------------------------------------------- faults
class Fault(Exception):
    pass


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_fault(metadata: Any, words: Sequence[int], config: LaunchConfig) -> None:
        raise Fault(metadata["entry"], words[record.FAULT_SITE], words[record.FAULT_BLOCK], config)

    fake = SimpleNamespace(raise_fault=raise_fault)
    monkeypatch.setitem(sys.modules, "kernelkit_cpu.fault_report", fake)


@pytest.mark.usefixtures("faults")
@pytest.mark.parametrize("blocks", [1, 10, 20_000])
def test_a_fault_is_raised(executable: Make, blocks: int) -> None:
    kernel, config = executable("fault", STEPS), grid(blocks)
    for wrong in (0, blocks - 1, blocks // 2):
        kernel.launch(config, (blocks,), None)
        with pytest.raises(Fault) as caught:
            kernel.launch(config, (wrong,), None)
        assert caught.value.args == ("fault", 7, wrong, config)


# ---------------------------------------------------------------- callbacks
class Printer:
    """Stands for the module that prints: calls `say(record, site, block)`."""

    def __init__(self, say: Callable[[int, int, int], None]) -> None:
        self.say = say

    def callback(self, metadata: Mapping[str, Any]) -> Any:
        def called(address: int, site: int, words: int) -> None:
            try:
                self.say(address, site, ctypes.c_int64.from_address(words).value)
            except BaseException as error:
                record.cancel(address, error)

        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
        return kind(called)


@pytest.fixture
def saying(executable: Make, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CpuExecutable]:
    def make(say: Callable[[int, int, int], None]) -> CpuExecutable:
        monkeypatch.setitem(sys.modules, "kernelkit_cpu.printing", Printer(say))
        return executable("say", prints=True)

    return make


def test_kernels_call_back(saying: Callable[..., CpuExecutable]) -> None:
    heard: list[tuple[int, int]] = []
    kernel = saying(lambda address, site, block: heard.append((site, block)))
    for blocks in (1, 5, 300):
        for _ in range(3):
            heard.clear()
            kernel.launch(grid(blocks), (), None)
            assert sorted(heard) == [(5, block) for block in range(blocks)]


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_a_callback_raises_ends_the_launch(
    saying: Callable[..., CpuExecutable], kind: type[BaseException]
) -> None:
    heard: list[int] = []

    def say(address: int, site: int, block: int) -> None:
        heard.append(block)
        if block == 40:
            raise kind("enough")

    kernel = saying(say)
    for _ in range(3):
        heard.clear()
        with pytest.raises(kind, match="enough"):
            kernel.launch(grid(1 << 40), (), None)
        assert 40 in heard
    # Nothing is left behind.
    assert not record._remembered


def test_launches_from_callbacks(saying: Callable[..., CpuExecutable], executable: Make) -> None:
    inner, counts = executable("count", ARRAY), np.zeros(3000, np.int64)
    config = grid(3000)
    kernel = saying(lambda address, site, block: inner.launch(config, (counts,), None))
    for times in (1, 2):
        kernel.launch(grid(50), (), None)
        assert (counts == 50 * times).all()


def test_launches_within_launches_within_launches(saying: Callable[..., CpuExecutable]) -> None:
    depth, deepest = threading.local(), []

    def say(address: int, site: int, block: int) -> None:
        depth.value = getattr(depth, "value", 0) + 1
        if depth.value < 8:
            kernel.launch(grid(2), (), None)
        else:
            deepest.append(block)
        depth.value -= 1

    kernel = saying(say)
    kernel.launch(grid(2), (), None)
    # A worker that calls back begins to count anew, so there may be more.
    assert len(deepest) >= 1 << 8


# ---------------------------------------------------------------- lifetimes
def test_plans_go_with_their_executable(executable: Make) -> None:
    kernel = executable("count", ARRAY)
    counts = np.zeros(10, np.int64)
    kernel.launch(grid(10), (counts,), None)
    alive = weakref.ref(kernel._last[1].__self__)
    assert alive() is not None
    del kernel
    gc.collect()
    assert alive() is None


def test_arguments_are_not_kept(executable: Make) -> None:
    kernel = executable("count", ARRAY)
    counts = np.zeros(10, np.int64)
    before = sys.getrefcount(counts)
    for _ in range(100):
        kernel.launch(grid(10), (counts,), None)
    assert sys.getrefcount(counts) == before
