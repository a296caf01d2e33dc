"""What debug kernels raise on the CPU, beside the reference: class, words, block and thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import KernelFault
from kernelkit.errors import (
    DivergenceError,
    InactiveLaneError,
    KernelAssertionError,
    OutOfBoundsError,
    UnassignedError,
    ZeroStepError,
)

FULL = 0xFFFFFFFF


def fault(kernel: Any, backend: str, grid: Any, block: Any, *args: Any) -> KernelFault:
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    with pytest.raises(KernelFault) as caught, kk.use(backend):
        kernel[grid, block](*copies)
    return caught.value


def check_same(kind: type, kernel: Any, grid: Any, block: Any, *args: Any) -> KernelFault:
    """The CPU raises what the reference does."""
    expected = fault(kernel, "python", grid, block, *args)
    found = fault(kernel, "cpu", grid, block, *args)
    assert str(found) == str(expected)
    assert type(found) is type(expected) is kind
    assert (found.block, found.thread, found.span) == (
        expected.block, expected.thread, expected.span,
    )  # fmt: skip
    return found


def check_sound(kernel: Any, grid: Any, block: Any, *args: Any) -> None:
    """Neither raises, and both write the same."""
    ends = []
    for backend in ("python", "cpu"):
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        with kk.use(backend):
            kernel[grid, block](*copies)
        ends.append([each for each in copies if isinstance(each, np.ndarray)])
    for expected, found in zip(*ends, strict=True):
        np.testing.assert_array_equal(found, expected)


# ---------------------------------------------------------------- bounds
@kk.kernel(debug=True)
def picks(src, places, out):
    i = kk.grid(1)
    if i < places.size:
        out[i] = src[places[i]]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_an_index_of_each_type(dtype: str) -> None:
    rng = np.random.default_rng()
    info = np.iinfo(dtype)
    for wrong in {7, info.max, info.min if info.min < 0 else 100, -8 if info.min < 0 else 8}:
        places = rng.integers(-7 if info.min < 0 else 0, 7, 90).astype(dtype)
        places[int(rng.integers(90))] = wrong
        check_same(OutOfBoundsError, picks, 1, 90, np.arange(7), places, np.zeros(90, np.int64))


@kk.kernel(debug=True)
def writes(out, wrong):
    x, y, z = kk.threadIdx.x, kk.threadIdx.y, kk.threadIdx.z
    row = out[kk.blockIdx.x]
    row[z, y + wrong, x] = 1


def test_block_and_thread_of_three_axes() -> None:
    out = np.zeros((6, 3, 5, 9), np.float32)
    for wrong in (-6, 1, 4):
        found = check_same(OutOfBoundsError, writes, 1, (9, 5, 3), out, wrong)
        assert found.thread is not None and found.thread[1] + wrong in (-6, 5)


@kk.kernel(debug=True)
def one_block_is_wrong(out, places):
    i = kk.grid(1)
    out[places[kk.blockIdx.y, i]] = kk.threadIdx.x


@pytest.mark.parametrize("block", [1, 5, 64, 200])
def test_the_block_of_a_fault(block: int) -> None:
    rng = np.random.default_rng()
    places = rng.integers(0, 50, (4, 3 * block))
    places[int(rng.integers(4)), int(rng.integers(3 * block))] = 50
    check_same(OutOfBoundsError, one_block_is_wrong, (3, 4), block, np.zeros(50), places)


@kk.kernel(debug=True, wraparound=False)
def straight(a, k):
    a[kk.threadIdx.x + k] = 0


def test_without_wraparound() -> None:
    check_same(OutOfBoundsError, straight, 1, 40, np.zeros(40), -1)
    check_same(OutOfBoundsError, straight, 1, 40, np.zeros(40), 2)
    check_sound(straight, 1, 40, np.ones(44), 4)


@kk.kernel(debug=True)
def guarded(a, out):
    i = kk.threadIdx.x
    out[i] = a[i + 1] if i + 1 < a.size and a[i + 1] > 0 else np.float32(0)
    if i < a.size and (i == 0 or a[i - 1] >= 0):
        kk.atomic.add(out, i, a[i])


def test_operands_that_are_not_evaluated_are_not_checked() -> None:
    a = np.random.default_rng().normal(size=37).astype(np.float32)
    check_sound(guarded, 1, 50, a, np.zeros(50, np.float32))


# ---------------------------------------------------------------- assertions
@kk.kernel(debug=True)
def says(flags, i8, u64, f16, f32, f64, c64, c128, text):
    i = kk.grid(1)
    if i < flags.size:
        assert flags[i], (
            f"{i} {i8:d}|{u64:x}|{f16}|{f32:.3f}|{f64:12.4e}|{c64}|{c128}|{text}|{flags[i]}"
        )


def test_the_text_of_an_assertion() -> None:
    flags = np.ones(100, bool)
    flags[np.random.default_rng().integers(100)] = False
    values = [np.int8(-3), np.uint64(2**63 + 5), np.float16(0.1), np.float32(-2.5)]
    values += [np.float64(1e300), np.complex64(1 - 2j), np.complex128(complex(0.1, float("nan")))]
    found = check_same(KernelAssertionError, says, 1, 100, flags, *values, True)
    assert "8000000000000005" in str(found)


@kk.kernel(debug=True)
def says_much(a):
    assert a[0] > 0, f"{a[0]} {a[1]} {a[2]} {a[3]} {a[4]} {a[5]} {a[6]} {a[7]} {a[8]}"


def test_values_beyond_what_a_record_holds_are_left_out() -> None:
    a = np.zeros(9, np.complex64).real.astype(np.float32)
    check_same(KernelAssertionError, says_much, 1, 1, a)
    b = np.arange(9) * 1j

    @kk.kernel(debug=True)
    def says_more(b):
        assert b.size == 0, f"{b[0]} {b[1]} {b[2]} {b[3]} {b[4]} {b[5]} {b[6]} {b[7]} {b[8]}"

    assert "7j ?" in str(fault(says_more, "cpu", 1, 1, b))


@kk.kernel(debug=False)
def unchecked(out):
    assert kk.threadIdx.x < 4, "never said"
    out[kk.threadIdx.x] = 1


def test_release_builds_assert_nothing() -> None:
    out = np.zeros(8)
    with kk.use("cpu"):
        unchecked[1, 8](out)
    assert out.all()


# ---------------------------------------------------------------- names and ranges
@kk.kernel(debug=True)
def perhaps(flags, out):
    i = kk.threadIdx.x
    if flags[i]:
        value = i * 2.0
    kk.syncthreads()
    for k in range(i % 3):
        last = k
    if i % 3:
        out[i] = last
    out[i] += value


def test_a_name_that_only_some_threads_assigned() -> None:
    flags = np.ones(70, bool)
    check_sound(perhaps, 1, 70, flags, np.zeros(70))
    flags[np.random.default_rng().integers(70)] = False
    check_same(UnassignedError, perhaps, 1, 70, flags, np.zeros(70))


@kk.kernel(debug=True)
def steps(by, out):
    for k in range(0, 5, by[kk.threadIdx.x]):
        out[kk.threadIdx.x] += k


@kk.kernel(debug=True)
def steps_of_the_block(by, out):
    for k in range(0, 5, by):
        kk.syncthreads()
        out[kk.threadIdx.x] += k


def test_a_step_of_zero() -> None:
    by = np.random.default_rng().integers(1, 4, 50)
    check_sound(steps, 1, 50, by, np.zeros(50))
    by[33] = 0
    check_same(ZeroStepError, steps, 1, 50, by, np.zeros(50))
    check_sound(steps_of_the_block, 1, 50, 2, np.zeros(50))
    check_same(ZeroStepError, steps_of_the_block, 1, 50, 0, np.zeros(50))


# ---------------------------------------------------------------- promises
@kk.kernel(debug=True)
def promises(values, out):
    i = kk.threadIdx.x
    if kk.uniform(values[i]) > 0:
        kk.syncthreads()
    for k in range(i % 3):
        out[i] += kk.uniform(k)
    out[i] += 1


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64", "uint8"])
def test_a_wrong_promise(dtype: str) -> None:
    values = np.ones(100, dtype)
    check_sound(promises, 1, 100, values, np.zeros(100))
    for place in (1, 31, 63, 64, 99):
        values[:] = 1
        values[place:] = 2
        check_same(DivergenceError, promises, 1, 100, values, np.zeros(100))


def test_nan_is_one_value() -> None:
    check_sound(promises, 1, 100, np.full(100, np.nan), np.zeros(100))


# ---------------------------------------------------------------- warps
@kk.kernel(debug=True)
def shuffles(lanes, alive, out):
    i = kk.threadIdx.x
    if i >= alive:
        return
    out[i] = kk.shfl_sync(FULL, i, lanes[i])


def test_a_shuffle_from_a_lane_that_is_not_there() -> None:
    lanes = np.random.default_rng().integers(0, 10, 45).astype(np.int32)
    check_sound(shuffles, 1, 45, lanes, 45, np.zeros(45, np.int64))
    for lane, alive in ((31, 45), (12, 43), (31, 20)):
        lanes[33 if alive > 33 else 3] = lane
        check_same(InactiveLaneError, shuffles, 1, 45, lanes, alive, np.zeros(45, np.int64))


@kk.kernel(debug=True)
def by_distance(delta, out):
    i = kk.threadIdx.x
    out[i] = kk.shfl_down_sync(FULL, i, delta) + kk.shfl_up_sync(FULL, i, 2)
    out[i] += kk.shfl_xor_sync(FULL, i, delta)


def test_distances_beyond_the_warp_are_no_fault() -> None:
    for delta in (1, 16, 31, 32, 1000, -40):
        check_sound(by_distance, 1, 64, np.int32(delta), np.zeros(64, np.int64))
    check_same(InactiveLaneError, by_distance, 1, 40, np.int32(4), np.zeros(40, np.int64))


@kk.kernel(debug=True)
def masks(mask, out):
    i = kk.threadIdx.x
    out[i] = kk.ballot_sync(mask[i], i > 3)


def test_a_mask_that_does_not_name_the_caller() -> None:
    mask = np.full(64, FULL, np.uint32)
    check_sound(masks, 1, 64, mask, np.zeros(64, np.int64))
    mask[:] = 0x7FFFFFFF
    check_same(DivergenceError, masks, 1, 64, mask, np.zeros(64, np.int64))
    mask[:32] = np.where(np.arange(32) < 7, 0x7F, ~np.uint32(0x7F))
    mask[32:] = FULL
    check_sound(masks, 1, 64, mask, np.zeros(64, np.int64))


@kk.kernel(debug=True)
def some_return_later(src, out):
    """Lanes that are waited for return without coming to another operation; or come to one alone."""
    i = kk.threadIdx.x
    if src[i] > 0:
        out[i] = kk.ballot_sync(FULL, src[i] > 1)
        out[i] += kk.popc(kk.activemask())
    else:
        if src[i] < 0:
            out[i] = kk.shfl_sync(0xFFFF0000, i, 20)
        return


def test_lanes_that_return_are_not_waited_for() -> None:
    src = np.repeat([1, 2, 0, 0], 8)
    check_sound(some_return_later, 1, 32, src, np.zeros(32, np.int64))
    src = np.repeat([1, 2, -1, -1], 8)
    check_sound(some_return_later, 1, 32, src, np.zeros(32, np.int64))


@kk.kernel(debug=True)
def two_places(limit, out):
    i = kk.threadIdx.x
    if i >= 30:
        return
    if i < limit:
        out[i] = kk.ballot_sync(FULL, True)
    else:
        out[i] = kk.any_sync(FULL, True)


@kk.kernel(debug=True)
def one_after_the_other(limit, out):
    i = kk.threadIdx.x
    if i % 16 >= limit:
        out[i] = kk.ballot_sync(FULL, True)
    out[i] = kk.any_sync(FULL, True)


@pytest.mark.parametrize("limit", [1, 9, 15])
def test_lanes_that_wait_in_different_places(limit: int) -> None:
    check_same(DivergenceError, two_places, 1, 32, limit, np.zeros(32))
    check_same(DivergenceError, one_after_the_other, 1, 32, limit, np.zeros(32))
    check_sound(two_places, 1, 32, 30, np.zeros(32))
    check_sound(one_after_the_other, 1, 32, 0, np.zeros(32))


# ---------------------------------------------------------------- and after
@kk.kernel(debug=True)
def counts(limit, out):
    i = kk.grid(1)
    assert i < limit
    kk.atomic.add(out, 0, 1)


def test_a_fault_ends_the_launch_and_nothing_else() -> None:
    with kk.use("cpu"):
        out = np.zeros(1, np.int64)
        with pytest.raises(KernelAssertionError):
            counts[1000, 32](40, out)
        assert out[0] < 32_000
        out[:] = 0
        counts[100, 32](3200, out)
        assert out[0] == 3200
