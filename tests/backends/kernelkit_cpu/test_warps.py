"""Warp operations on each instruction set, beside the reference: masks that differ from lane to
lane, distances known late or never alike, lanes that left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.analysis.pipeline import analyse
from kernelkit.ir.nodes import Kernel
from kernelkit.ir.types import DTYPES
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.scalars import random
from kernelkit_cpu.emit import emit
from kernelkit_cpu.llvm import assembly
from kernelkit_cpu.shape import choose_shape
from kernelkit_cpu.targets import CpuTarget

FULL = 0xFFFFFFFF
BLOCKS = [7, 32, 45, 128]
DTYPE_NAMES = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64",
]  # fmt: skip


def both(kernel: Any, cpu: str, grid: Any, block: Any, *args: Any) -> None:
    """Run on the reference and on the CPU; all arrays end up the same."""
    ends = []
    for backend in ("python", cpu):
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        with kk.use(backend):
            kernel[grid, block](*copies)
        ends.append(copies)
    for number, (expected, found) in enumerate(zip(*ends, strict=True)):
        if isinstance(expected, np.ndarray):
            assert_bits_equal(found, expected, f"argument {number}")


def values(dtype: str, count: int, seed: int) -> np.ndarray:
    return random(DTYPES[dtype], count, seed)


@kk.kernel(debug=False)
def shuffles(src, lanes, out, amount):
    i = kk.threadIdx.x
    x = src[i]
    out[0, i] = kk.shfl_sync(FULL, x, lanes[i])
    out[1, i] = kk.shfl_up_sync(FULL, x, lanes[i])
    out[2, i] = kk.shfl_down_sync(FULL, x, lanes[i])
    out[3, i] = kk.shfl_xor_sync(FULL, x, lanes[i])
    out[4, i] = kk.shfl_sync(FULL, x, amount)
    out[5, i] = kk.shfl_up_sync(FULL, x, amount)
    out[6, i] = kk.shfl_down_sync(FULL, x, amount)
    out[7, i] = kk.shfl_xor_sync(FULL, x, amount)
    out[8, i] = kk.shfl_up_sync(FULL, x, 3)
    out[9, i] = kk.shfl_down_sync(FULL, x, 40)
    out[10, i] = kk.shfl_xor_sync(FULL, x, 21)
    out[11, i] = kk.shfl_sync(FULL, x, -1)


@pytest.mark.parametrize("dtype", DTYPE_NAMES)
def test_shuffles_of_each_dtype(cpu: str, dtype: str) -> None:
    rng = np.random.default_rng()
    for block in (7, 45):
        lanes = rng.integers(-40, 72, block).astype(np.int32)
        lanes[rng.random(block) < 0.1] = rng.choice([-(2**31), 2**31 - 1])
        src = values(dtype, block, int(rng.integers(1 << 30)))
        amount = np.int32(rng.choice([0, 1, 5, 16, 31, 32, 63, -3, -(2**31), 2**31 - 1]))
        out = np.zeros((12, block), dtype)
        both(shuffles, cpu, 1, block, src, lanes, out, amount)


@kk.kernel(debug=False)
def under_own_masks(src, split, delta, out):
    """The lanes below `split` and the others work apart, at the same calls."""
    i = kk.threadIdx.x
    lane = kk.laneid
    if src[i] == -5:
        return
    low = (np.uint32(1) << np.uint32(split)) - np.uint32(1)
    mask = low if lane < split else ~low
    x = src[i]
    out[0, i] = kk.ballot_sync(mask, x > 0)
    out[1, i] = kk.all_sync(mask, x > -4)
    out[2, i] = kk.any_sync(mask, x > 3)
    out[3, i] = kk.eq_sync(mask, x > -4)
    out[4, i] = kk.match_any_sync(mask, x)
    peers, same = kk.match_all_sync(mask, x // 8)
    out[5, i] = peers
    out[6, i] = same
    out[7, i] = kk.shfl_sync(mask, x, split)
    out[8, i] = kk.shfl_up_sync(mask, x, delta)
    out[9, i] = kk.shfl_down_sync(mask, x, 2)
    out[10, i] = kk.shfl_xor_sync(mask, x, x & 31)
    out[11, i] = kk.shfl_sync(mask, x, lane + delta)
    kk.syncwarp(mask)


@pytest.mark.parametrize("block", BLOCKS)
def test_masks_that_differ_from_lane_to_lane(cpu: str, block: int) -> None:
    rng = np.random.default_rng()
    for _ in range(6):
        src = rng.integers(-5, 6, block)
        split, delta = int(rng.integers(1, 31)), np.int32(rng.integers(0, 33))
        both(under_own_masks, cpu, 1, block, src, split, delta, np.zeros((12, block), np.int64))


@kk.kernel(debug=False)
def under_a_shared_mask(src, out):
    """Some lanes of each warp, named by a mask that is only known when it runs."""
    i = kk.grid(1)
    x = src[i]
    mask = kk.ballot_sync(FULL, x > 0)
    if x > 0:
        out[0, i] = kk.ballot_sync(mask, x > 2)
        out[1, i] = kk.all_sync(mask, x > 1)
        out[2, i] = kk.any_sync(mask, x > 4)
        out[3, i] = kk.eq_sync(mask, x > 1)
        out[4, i] = kk.match_any_sync(mask, x)
        out[5, i], out[6, i] = kk.match_all_sync(mask, x // 4)
        out[7, i] = kk.shfl_sync(mask, x, 11)
        out[8, i] = kk.shfl_xor_sync(mask, x, 3)
        out[9, i] = kk.shfl_sync(mask, x, x)
        out[10, i] = kk.activemask() & mask == mask
        out[11, i] = kk.all_sync(mask, mask > 0)


@pytest.mark.parametrize("block", BLOCKS)
def test_masks_known_at_run_time(cpu: str, block: int) -> None:
    rng = np.random.default_rng()
    for limit in (2, 5, 6):
        src = rng.integers(-5, limit, 2 * block)
        both(under_a_shared_mask, cpu, 2, block, src, np.zeros((12, 2 * block), np.int64))


@kk.kernel(debug=False)
def matches(src, out):
    i = kk.threadIdx.x
    if i % 5 == 3:
        return
    out[i, 0] = kk.match_any_sync(FULL, src[i])
    mask, same = kk.match_all_sync(FULL, src[i])
    out[i, 1] = mask
    out[i, 2] = same
    out[i, 3] = kk.match_any_sync(FULL, src[0])


@pytest.mark.parametrize("dtype", DTYPE_NAMES)
def test_matches_of_each_dtype(cpu: str, dtype: str) -> None:
    rng = np.random.default_rng()
    for choices in (1, 3, 40):
        src = rng.choice(values(dtype, choices, int(rng.integers(1 << 30))), 77)
        both(matches, cpu, 1, 77, src, np.zeros((77, 4), np.int64))


@kk.kernel(reproducible=True)
def sums_and_scans(src, out):
    i = kk.threadIdx.x
    total, x = src[i], src[i]
    step = 16
    while step > 0:
        total += kk.shfl_xor_sync(FULL, total, step)
        step //= 2
    for k in (1, 2, 4, 8, 16):
        below = kk.shfl_up_sync(FULL, x, k)
        if kk.laneid >= k:
            x += below
    out[0, i] = total
    out[1, i] = x
    out[2, i] = kk.shfl_sync(FULL, x, 31)


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
def test_sums_and_scans(cpu: str, dtype: str) -> None:
    rng = np.random.default_rng()
    src = (1000 * rng.normal(size=96)).astype(dtype)
    both(sums_and_scans, cpu, 1, 96, src, np.zeros((3, 96), dtype))


@kk.kernel
def reversed_and_turned(src, out, by):
    i = kk.threadIdx.x
    out[0, i] = kk.shfl_xor_sync(FULL, src[i], 31)
    out[1, i] = kk.shfl_sync(FULL, src[i], kk.laneid + by)


@pytest.mark.parametrize(
    ("preset", "instruction"), [("avx512", "vpermt2"), ("avx2", "vpermd"), ("neon", "rev64")]
)
def test_code_of_shuffles(
    typed: Callable[..., tuple[Kernel, Sequence[Any]]], preset: str, instruction: str
) -> None:
    target = CpuTarget.parse(preset)
    src = np.zeros(64, np.float32)
    kernel, _ = typed(reversed_and_turned, 64, src, np.zeros((2, 64), np.float32), np.int32(3))
    shape = choose_shape(kernel, (64, 1, 1), target)
    assert instruction in assembly(emit(analyse(kernel, shape), target).text, target)
