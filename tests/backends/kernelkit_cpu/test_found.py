"""Kernels on which this back end or the passes before it once failed: each the smallest that showed
the defect, held against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np

import kernelkit as kk
from kernelkit.testing.comparison import assert_bits_equal


def agree(
    cpu: str, kernel: Any, grid: Any, block: Any, *args: Any, shared_bytes: int = 0
) -> list[Any]:
    """Launches on both; the arguments as this back end left them."""
    both = []
    for place in (cpu, "python"):
        own = [np.copy(a, order="K") if isinstance(a, np.ndarray) else a for a in args]
        kernel.on(place)[grid, block, None, shared_bytes](*own)
        both.append(own)
    for position, (found, expected) in enumerate(zip(*both, strict=True)):
        if isinstance(found, np.ndarray):
            assert_bits_equal(found, expected, f"argument {position}")
    return both[0]


def test_a_constant_range_may_be_longer_than_an_index(cpu: str) -> None:
    @kk.kernel
    def kernel(out):
        i = kk.threadIdx.x
        for k in range(-(2**63), 2**63 - 1):
            if k % 7 == i:
                out[i] = k
                break
        for k in range(2**63 - 1, -(2**63), -(2**62)):
            out[i] ^= k

    agree(cpu, kernel, 1, 5, np.zeros(5, np.int64))


def test_a_loop_with_a_barrier_hands_on_a_name_that_threads_assign_too(cpu: str) -> None:
    @kk.kernel
    def kernel(out):
        t = kk.threadIdx.x
        for k in range(3):
            kk.syncthreads()
            if t % 2 == 0:
                k = t
            out[t] += k
        out[t] += k * 100
        n = t
        for n in range(out.size - 40, 1):
            kk.syncthreads()
        out[t] += n * 10000

    for block in (5, 40, 64):
        agree(cpu, kernel, 1, block, np.zeros(block, np.int64))


def test_a_lazy_promise_is_one_of_the_threads_that_evaluate_it(cpu: str) -> None:
    @kk.kernel
    def kernel(x, out):
        i = kk.threadIdx.x
        v = x[i]
        if i >= 4 and kk.uniform(v) > 3:
            out[i] = 1
        if i >= 4:
            out[i] += 2 * v
        out[i] += kk.uniform(v) if i >= 4 else 5

    for block in (7, 64):
        x = np.full(block, 7)
        x[:4] = -1
        agree(cpu, kernel, 1, block, x, np.zeros(block, np.int64))


def test_what_a_block_reads_may_not_be_there_when_its_threads_have_returned(cpu: str) -> None:
    @kk.kernel
    def kernel(x, out, n):
        i = kk.grid(1)
        if i >= n:
            return
        out[i] = 1
        kk.syncthreads()
        if x[kk.blockIdx.x << 36] > 0:
            kk.syncthreads()
            out[i] += 2
        for k in range(x[kk.blockIdx.x << 36], 5):
            kk.syncthreads()
            out[i] += k
        k = 0
        while x[(kk.blockIdx.x << 36) + k] > 0:
            kk.syncthreads()
            out[i] += 100
            k += 1

    agree(cpu, kernel, 3, 64, np.array([2, 0]), np.zeros(192, np.int64), 60)


def test_an_index_may_stand_still_where_a_test_holds(cpu: str) -> None:
    @kk.kernel
    def kernel(x, out, n):
        i = kk.grid(1)
        out[i] = x[min(i, n) - i]
        if i % 3:
            out[i] += x[min(i, n) - i + 1]

    for n in (5, 31, 40, 100):
        agree(cpu, kernel, 1, 40, np.arange(50.0), np.zeros(40), n)


def test_nested_loops_are_unrolled_within_reason() -> None:
    """15 x 15 neighbours, each with a division and a gather: whole, it took LLVM half a minute."""

    @kk.kernel
    def kernel(src, out, h, w):
        x, y = kk.grid(2)
        for dy in range(-7, 8):
            for dx in range(-7, 8):
                out[y, x] += src[(np.int16(y) + dy) % h, (np.int16(x) * 2 + dx) % w]

    text = kernel.inspect(
        np.zeros((20, 64), np.float16), np.zeros((20, 32), np.float32), 20, 64,
        grid=(1, 20), block=(32, 1), backend="cpu", what="asm",
    )  # fmt: skip
    assert text.count("\n") < 20_000


def test_float16_as_a_condition_where_processors_do_not_know_it(cpu: str) -> None:
    @kk.kernel
    def kernel(src, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = src[i]

    src = np.array([0, -0.0, np.nan, np.inf, 6e-8, -1], np.float16)
    agree(cpu, kernel, 1, 32, np.resize(src, 29), np.zeros(29, bool))


def test_an_integer_with_known_low_bits_may_overflow_float16(cpu: str) -> None:
    """LLVM took the conversion for exact, and 131072 for a float16."""

    @kk.kernel(reproducible=True)
    def kernel(n, divisor, out):
        if n < 5:
            i = kk.grid(1)
            out[i] = np.float16(kk.brev(n)) // divisor
            out[i] += np.float16(np.int32(n) << 20) - np.float16(np.int64(n) << 40)

    for n in (0, 3, 9):
        agree(cpu, kernel, 1, 9, np.uint32(n), np.float16(1.5), np.zeros(9, np.float16))


def test_an_if_whose_condition_the_block_decides_may_hold_returns(cpu: str) -> None:
    """What is left of a mask inside of it is not what is left behind it."""

    @kk.kernel(debug=True)
    def kernel(src, out):
        i = kk.threadIdx.y
        if src[i] < 0:
            return
        if kk.threadIdx.x == 3:
            out[i] += 5
        else:
            out[i] += 1
            if src[i] < 3:
                return
            out[i] += 10
            if src[i] < 6:
                return
        out[i] += 100

    src = np.random.default_rng(1).integers(-3, 9, 61)
    agree(cpu, kernel, 1, (1, 61), src, np.zeros(61, np.int32))
