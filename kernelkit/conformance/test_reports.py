"""What a kernel says: print, assert; and what debug kernels raise."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import Runner, poison


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    kk.synchronize()
    return sorted(line for line in capfd.readouterr().out.splitlines() if line.startswith("kernel"))


@kk.kernel
def says(src):
    i = kk.grid(1)
    if i < src.size:
        print("kernel:", i, src[i], src[i] > 2, sep=" ")


@pytest.mark.needs(printing=True)
def test_print(capfd: pytest.CaptureFixture[str]) -> None:
    says[2, 2](kk.asarray(np.array([1, -2, 3], np.int32)))
    assert lines(capfd) == ["kernel: 0 1 False", "kernel: 1 -2 False", "kernel: 2 3 True"]


@pytest.mark.needs(printing=True)
def test_a_program_without_output(monkeypatch: pytest.MonkeyPatch) -> None:
    src = kk.asarray(np.array([1, -2, 3], np.int32))
    monkeypatch.setattr(sys, "stdout", None)
    says[2, 2](src)
    kk.synchronize()


@kk.kernel
def formats(x, n):
    print(f"kernel a {n:d} {n:5d} {n:x} {n:X} {x:.3f} {x:8.2f} {x:.1e}!")
    print("kernel b", n + 1, f"{n}", sep="|", end=";\n")
    print("kernel c", end=" ")
    print()


@pytest.mark.needs(printing=True, dtypes="float64")
def test_formats(capfd: pytest.CaptureFixture[str]) -> None:
    formats[1, 1](np.float64(3.14159), 171)
    x, n = 3.14159, 171
    assert [line.rstrip() for line in lines(capfd)] == [
        f"kernel a {n:d} {n:5d} {n:x} {n:X} {x:.3f} {x:8.2f} {x:.1e}!",
        "kernel b|172|171;",
        "kernel c",
    ]


@kk.kernel
def checked(src, out, limit):
    i = kk.grid(1)
    if i < out.size:
        assert src[i] < limit, "too large"
        assert i >= 0
        out[i] = src[i]


@pytest.mark.needs(assertions=True)
def test_an_assertion_that_holds_does_nothing(run: Runner) -> None:
    src = np.arange(40, dtype=np.int32)
    np.testing.assert_array_equal(run(checked, 2, 32, src, poison(40, np.int32), 40), src)


def run_debug(kernel: Any, *args: Any, block: int = 8) -> None:
    kernel[1, block](*(kk.asarray(a) if isinstance(a, np.ndarray) else a for a in args))
    kk.synchronize()


@kk.kernel(debug=True)
def fails(src, limit):
    i = kk.grid(1)
    assert src[i] < limit, f"{src[i]} is too large"


@pytest.mark.needs(assertions=True)
def test_a_failed_assertion_raises() -> None:
    with pytest.raises(kk.KernelAssertionError, match="5 is too large") as caught:
        run_debug(fails, np.array([0, 5, 1], np.int32), 4, block=3)
    assert caught.value.thread == (1, 0, 0)
    assert caught.value.span.file == __file__


@kk.kernel(debug=True)
def too_far(src, out, k):
    out[kk.grid(1)] = src[k]


@pytest.mark.needs(assertions=True)
@pytest.mark.parametrize("k", [3, -4, 2**40, -(2**40)])
def test_an_index_out_of_bounds_raises(k: int) -> None:
    with pytest.raises(kk.OutOfBoundsError, match="src"):
        run_debug(too_far, np.arange(3), poison(8, np.int64), k)


@kk.kernel(debug=True)
def never_assigned(flag, out):
    if flag > 0:
        value = 1
    out[kk.grid(1)] = value


@pytest.mark.needs(assertions=True)
def test_reading_an_unassigned_name_raises() -> None:
    with pytest.raises(kk.UnassignedError, match="value"):
        run_debug(never_assigned, 0, poison(8, np.int64))


@kk.kernel(debug=True)
def step_of_zero(step, out):
    for k in range(0, 5, step):
        out[0] = k


@pytest.mark.needs(assertions=True)
def test_a_step_of_zero_raises() -> None:
    with pytest.raises(kk.ZeroStepError):
        run_debug(step_of_zero, 0, poison(1, np.int64))


@kk.kernel(debug=True)
def from_a_lane_that_left(out):
    i = kk.threadIdx.x
    if i == 3:
        return
    out[i] = kk.shfl_sync(0xFFFFFFFF, i, 3)


@pytest.mark.needs(assertions=True, warp_operations=True)
def test_a_shuffle_from_a_lane_that_left_raises() -> None:
    with pytest.raises(kk.InactiveLaneError):
        run_debug(from_a_lane_that_left, poison(8, np.int64))


@kk.kernel(debug=True)
def fails_in_a_loop_of_barriers(out, limit):
    tile = kk.shared.array(64, np.int64)
    i = kk.threadIdx.x
    tile[i] = 0
    while kk.syncthreads_or(tile[i] < 9):
        assert tile[i] < limit or i < 3, f"{tile[i]} in {i}"
        tile[i] += 1
        kk.syncthreads()
    out[i] = tile[i]


@pytest.mark.needs(assertions=True, barriers=True, shared_memory=True)
def test_a_block_ends_in_which_a_thread_was_at_fault() -> None:
    run_debug(fails_in_a_loop_of_barriers, poison(8, np.int64), 9)
    with pytest.raises(kk.KernelAssertionError, match="4 in 3") as caught:
        run_debug(fails_in_a_loop_of_barriers, poison(8, np.int64), 4)
    assert caught.value.thread == (3, 0, 0)


@kk.kernel(debug=True)
def sound(src, out):
    """A debug kernel that does nothing wrong gives what any other does."""
    i = kk.grid(1)
    if i < out.size:
        total = 0
        for k in range(-1, 2):
            if 0 <= i + k < src.size:
                total += src[i + k]
        assert total >= 0
        out[i] = total


@pytest.mark.needs(assertions=True)
def test_a_sound_debug_kernel(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(0, 9, 45)
    out = run(sound, 2, 32, src, poison(45, np.int64))
    padded = np.pad(src, 1)
    np.testing.assert_array_equal(out, padded[:-2] + src + padded[2:])


@kk.kernel
def perhaps_assigned(flag, out):
    if flag > 0:
        value = 7
    out[kk.grid(1)] = value


def test_an_unassigned_name_is_zero_or_raises(run: Runner) -> None:
    assert run(perhaps_assigned, 1, 1, 1, poison(1, np.int64))[0] == 7
    try:
        out = run(perhaps_assigned, 1, 1, 0, poison(1, np.int64))
    except kk.UnassignedError:
        return
    assert out[0] == 0


@kk.kernel
def stops(src, out):
    i = kk.grid(1)
    if i < out.size:
        x = src[i]
        if x == 2:
            breakpoint()
        out[i] = x


def test_a_breakpoint_changes_no_value(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "breakpointhook", lambda *args, **kwargs: None)
    src = np.arange(5)
    np.testing.assert_array_equal(run(stops, 1, 8, src, poison(5, np.int64)), src)
