"""Stride loops turned inside out: which are, and that nobody can tell."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.analysis.pipeline import analyse
from kernelkit.analysis.shape import Shape
from kernelkit.ir import nodes as ir
from kernelkit.ir.printer import format_kernel
from kernelkit.ir.verify import verify
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.generator import Profile, generate
from kernelkit_cpu.interchange import interchange
from kernelkit_cpu.stride_loops import StrideLoops

Dims = tuple[int, int, int]
Typed = Callable[..., tuple[ir.Kernel, Sequence[Any]]]
Interpret = Callable[..., None]


def barriers(kernel: ir.Kernel) -> int:
    return sum(isinstance(s, ir.Barrier) for s in ir.walk(kernel.body))


def copies(values: Sequence[Any]) -> list[Any]:
    return [v.copy() if isinstance(v, np.ndarray) else v for v in values]


@pytest.fixture
def compared(typed: Typed, interpret: Interpret) -> Callable[..., int]:
    """compared(kernel, grid, block, lanes, *args, shared_bytes=0): how many loops were turned,
    after a check that this does not show."""

    def run(
        kernel: Any, grid: Dims, block: Dims, lanes: int, *args: Any, shared_bytes: int = 0
    ) -> int:
        original, values = typed(kernel, block, *args)
        found = interchange(original, block, lanes)
        turned = barriers(found) - barriers(original)
        assert (found is original) == (turned == 0)
        if found is not original:
            analyse(verify(found), Shape(block, lanes))
            ours, theirs = copies(values), copies(values)
            interpret(original, grid, block, theirs, shared_bytes)
            interpret(found, grid, block, ours, shared_bytes)
            for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
                if isinstance(a, np.ndarray):
                    assert_bits_equal(a, b, f"argument {position}")
        return turned

    return run


# ---------------------------------------------------------------- loops that are turned
@kk.kernel
def grid_stride(src, dst):
    for i in range(kk.grid(1), src.size, kk.gridsize(1)):
        dst[i] = src[i] * 2 + 1


@kk.kernel
def block_stride(src, dst):
    for row in range(kk.blockIdx.x, 3, kk.gridDim.x):
        for i in range(row * 50 + kk.threadIdx.x, min((row + 1) * 50, src.size), kk.blockDim.x):
            dst[i] = src[i] - row


@kk.kernel
def named(src, dst):
    tx = kk.threadIdx.x
    start = kk.blockDim.x * kk.blockIdx.x
    first = start + tx + 2
    stride = kk.blockDim.x * kk.gridDim.x
    for i in range(first, src.size, stride):
        dst[i] = src[i] * 3


@kk.kernel
def counting(src, dst):
    i = kk.blockIdx.x * kk.blockDim.x + kk.threadIdx.x
    step = kk.gridsize(1)
    while i < src.size:
        dst[i] = src[i] + i
        i += step


@kk.kernel
def counting_twice(src, dst):
    if kk.blockIdx.x == 0:
        i = kk.threadIdx.x
        dst[i] = 5
        while src.size > i:
            dst[i] = src[i] + i
            i = kk.blockDim.x + i
        i = kk.threadIdx.x
        while i < dst.size:
            kk.atomic.add(dst, i, 1)
            i += kk.blockDim.x


@kk.kernel
def unrolled(src, dst):
    """Two neighbours at a time."""
    for i in range(2 * kk.grid(1), src.size, 2 * kk.gridsize(1)):
        dst[i] = src[i] * 5
        if i + 1 < src.size:
            dst[i + 1] = src[i + 1] * 7


@kk.kernel
def skipping(src, dst):
    for i in range(kk.grid(1), src.size, kk.gridsize(1)):
        if src[i] < 10:
            continue
        total = 0
        for k in range(7):
            if src[(i + k) % src.size] % 5 == 0:
                continue
            if k > src[i] % 7:
                break
            total += src[(i + k) % src.size]
        if total > 100:
            dst[i] = -1
            continue
        dst[i] = total


@kk.kernel
def summing(src, dst):
    partial = kk.shared.array(24, np.int64)
    tx = kk.threadIdx.x
    most, total = -1, 0
    for i in range(kk.grid(1), src.size, kk.gridsize(1)):
        value = src[i]
        total += value
        most = max(most, value)
    partial[tx] = total * 1000 + most
    kk.syncthreads()
    if tx == 0:
        for k in range(kk.blockDim.x):
            kk.atomic.add(dst, kk.blockIdx.x, partial[k])


@kk.kernel
def moving_end(src, dst):
    """What ends the loop is assigned in it, which a range does not see."""
    end = src.size
    for i in range(kk.threadIdx.x, end, kk.blockDim.x):
        end = 3
        dst[i] = src[i] + end


@kk.kernel
def moved_start(src, dst):
    n = 2
    start = n + kk.threadIdx.x
    n = 5
    for i in range(start, src.size, kk.blockDim.x):
        dst[i] = src[i] + n


@kk.kernel
def behind_a_return(src, dst):
    if kk.threadIdx.x % 3 == 1:
        return
    for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
        dst[i] = src[i] - 2
        i = 7
        kk.atomic.add(dst, 0, i)


@kk.kernel
def loaded_bounds(rows, src, dst):
    """Rows of a sparse matrix, one after the other, by all threads together."""
    for row in range(rows.size - 1):
        for k in range(rows[row] + kk.threadIdx.x, rows[row + 1], kk.blockDim.x):
            if kk.blockIdx.x == 0:
                dst[k] = src[k] * (row + 1)


@pytest.mark.parametrize(
    ("kernel", "loops"),
    [
        (grid_stride, 1),
        (block_stride, 1),
        (named, 1),
        (counting, 1),
        (counting_twice, 2),
        (unrolled, 1),
        (skipping, 1),
        (summing, 1),
        (moving_end, 1),
        (moved_start, 0),
        (behind_a_return, 1),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("block", [24, 17, 9])
def test_turned_loops_do_the_same(
    compared: Callable[..., int], kernel: Any, loops: int, block: int
) -> None:
    size = random.choice([0, 1, 8, 24, 25, 100, 149, 150])
    src = np.random.default_rng().integers(-20, 200, size)
    grid = 1 if kernel in (moving_end, moved_start, behind_a_return) else random.choice([1, 2, 3])
    dst = np.zeros(max(size, 24), np.int64)
    assert compared(kernel, (grid, 1, 1), (block, 1, 1), 8, src, dst) == loops


def test_bounds_that_are_loaded(compared: Callable[..., int]) -> None:
    rng = np.random.default_rng()
    rows = np.concatenate([[0], rng.integers(0, 40, 6).cumsum()])
    src = rng.integers(-99, 99, rows[-1])
    assert compared(loaded_bounds, (2, 1, 1), (20, 1, 1), 4, rows, src, src.copy()) == 1


@pytest.mark.parametrize("start", range(0, 120, 30))
def test_generated_kernels_do_the_same(
    compared: Callable[..., int], start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StrideLoops, "gains", lambda *_: True)
    turned = 0
    for seed in range(start, start + 30):
        made = generate(seed, Profile(warps=False))
        module: Any = made.module()
        args = module.arguments()
        turned += compared(
            module.kernel, made.grid, made.block, 2, *args, shared_bytes=made.shared_bytes
        )
    assert turned > 0


# ---------------------------------------------------------------- what they become
def lines(typed: Typed, kernel: Any, *args: Any) -> list[str]:
    found, _ = typed(kernel, 64, *args)
    return format_kernel(interchange(found, (64, 1, 1), 16)).splitlines()[2:]


def test_the_text_of_a_turned_loop(typed: Typed) -> None:
    src = np.zeros(9, np.float32)
    assert lines(typed, grid_stride, src, src.copy()) == [
        "    for $1: int64 in range(blockIdx.x * blockDim.x, src.shape[0], gridDim.x * blockDim.x):",
        "        i: int64 = $1 + threadIdx.x",
        "        if i < src.shape[0]:",
        "            dst[i] = src[i] * 2.0f32 + 1.0f32",
        "        barrier.sync()",
    ]


def test_the_text_of_a_turned_while_loop(typed: Typed) -> None:
    src = np.zeros(9, np.int64)
    assert lines(typed, counting, src, src.copy()) == [
        "    step: int64 = gridDim.x * blockDim.x",
        "    for $1: int64 in range(blockIdx.x * blockDim.x, src.shape[0], step):",
        "        i: int64 = $1 + threadIdx.x",
        "        if i < src.shape[0]:",
        "            dst[i] = src[i] + i",
        "        barrier.sync()",
    ]


def test_an_end_that_may_change_is_kept(typed: Typed) -> None:
    src = np.zeros(9, np.int64)
    text = "\n".join(lines(typed, moving_end, src, src.copy()))
    assert "    $1: int64 = end\n" in text
    assert "        if i < $1:\n" in text
    text = "\n".join(lines(typed, loaded_bounds, src, src, src.copy()))
    assert "        $1: int64 = rows[row + 1]\n" in text
    assert "            if k < $1:\n" in text


# ---------------------------------------------------------------- loops that are left alone
@kk.kernel
def read_afterwards(src, dst):
    i = 0
    for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
        dst[i] = src[i]
    dst[0] = i


@kk.kernel
def read_after_counting(src, dst):
    i = kk.threadIdx.x
    while i < src.size:
        dst[i] = src[i]
        i += kk.blockDim.x
    dst[0] = i


@kk.kernel
def breaking(src, dst):
    for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
        if src[i] == 0:
            break
        dst[i] = src[i]


@kk.kernel
def returning(src, dst):
    for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
        if src[i] == 0:
            return
        dst[i] = src[i]


@kk.kernel
def divergent(src, dst):
    if src[kk.threadIdx.x] > 0:
        for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
            dst[i] = src[i]


@kk.kernel
def own_ends(src, dst):
    for i in range(kk.threadIdx.x, src[kk.threadIdx.x], kk.blockDim.x):
        dst[i] = src[i]


@kk.kernel
def own_steps(src, dst):
    for i in range(kk.threadIdx.x, src.size, kk.threadIdx.x + 64):
        dst[i] = src[i]


@kk.kernel
def unknown_step(src, dst, step):
    for i in range(kk.threadIdx.x, src.size, step):
        dst[i] = src[i]


@kk.kernel
def backwards(src, dst):
    for i in range(src.size - 1 - kk.threadIdx.x, -1, -kk.blockDim.x):
        dst[i] = src[i]


@kk.kernel
def each_from_its_own(src, dst):
    for i in range(kk.threadIdx.x, src.size, 1):
        dst[kk.threadIdx.x] += src[i]


@kk.kernel
def not_along_memory(src, dst):
    for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
        dst[kk.threadIdx.x] = src[kk.threadIdx.x] + i


@kk.kernel
def private_memory(src, dst):
    own = kk.local.array(8, np.int64)
    for i in range(8):
        own[i] = 0
    for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
        own[src[i] % 8] += 1
    for i in range(8):
        kk.atomic.add(dst, i, own[i])


@kk.kernel
def voting(src, dst):
    for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
        dst[i] = kk.popc(kk.activemask())


@kk.kernel
def waiting(src, dst):
    for i in range(0, src.size, kk.blockDim.x):
        kk.syncthreads()
        if i + kk.threadIdx.x < src.size:
            dst[i + kk.threadIdx.x] = src[i + kk.threadIdx.x]


@kk.kernel
def speaking(src, dst):
    for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
        print(src[i])


@kk.kernel
def end_that_is_written(src, dst):
    i = kk.threadIdx.x
    while i < dst[0]:
        dst[i] = src[i]
        i += kk.blockDim.x


@kk.kernel
def end_that_is_assigned(src, dst):
    i, end = kk.threadIdx.x, src.size
    while i < end:
        dst[i] = src[i]
        end = 5
        i += kk.blockDim.x


@kk.kernel
def two_steps(src, dst):
    i = kk.threadIdx.x
    while i < src.size:
        dst[i] = src[i]
        if src[i] > 0:
            i += kk.blockDim.x
        i += kk.blockDim.x


@kk.kernel
def start_that_changes(src, dst):
    start = kk.threadIdx.x
    for k in range(2):
        for i in range(start, src.size, kk.blockDim.x):
            dst[i] += src[i]
        start = start + 1


@kk.kernel(debug=True)
def debugged(src, dst):
    for i in range(kk.threadIdx.x, src.size, kk.blockDim.x):
        dst[i] = src[i]


@pytest.mark.parametrize(
    "kernel",
    [
        read_afterwards,
        read_after_counting,
        breaking,
        returning,
        divergent,
        own_ends,
        own_steps,
        backwards,
        each_from_its_own,
        not_along_memory,
        private_memory,
        voting,
        waiting,
        speaking,
        end_that_is_written,
        end_that_is_assigned,
        two_steps,
        start_that_changes,
        debugged,
    ],
    ids=lambda kernel: kernel.__name__,
)
def test_other_loops_are_left_alone(typed: Typed, kernel: Any) -> None:
    src = np.zeros(64, np.int64)
    found, _ = typed(kernel, 64, src, src.copy())
    assert interchange(found, (64, 1, 1), 16) is found


def test_a_step_of_unknown_sign_is_left_alone(typed: Typed) -> None:
    src = np.zeros(64, np.int64)
    found, _ = typed(unknown_step, 64, src, src.copy(), 64)
    assert interchange(found, (64, 1, 1), 16) is found


@pytest.mark.parametrize("block", [(16, 1, 1), (8, 1, 1), (32, 2, 1), (32, 1, 2)])
def test_only_long_blocks_of_one_axis(typed: Typed, block: Dims) -> None:
    src = np.zeros(64, np.int64)
    found, _ = typed(grid_stride, block, src, src.copy())
    assert interchange(found, block, 16) is found


@kk.kernel
def handing_on(src, dst):
    a, b, c, d, e, f, g, h, k = 0, 0, 0, 0, 0, 0, 0, 0, 0
    for i in range(kk.grid(1), src.size, kk.gridsize(1)):
        v = src[i]
        a, b, c, d, e = a + v, b ^ v, max(c, v), min(d, v), e + v * v
        f, g, h, k = f + 2 * v, g + 3 * v, h ^ (v + 1), max(k, 5 - v)
    kk.atomic.add(dst, kk.threadIdx.x, a + b + c + d + e + f + g + h + k)


def test_a_loop_that_hands_much_on_is_left_alone(typed: Typed) -> None:
    src = np.zeros(64, np.int64)
    found, _ = typed(handing_on, 64, src, src.copy())
    assert interchange(found, (64, 1, 1), 16) is found
