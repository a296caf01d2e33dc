"""How wide vectors are, and whether they stay in rows: a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.analysis.kinds import stays_in_row
from kernelkit.ir.nodes import Kernel
from kernelkit_cpu.shape import choose_shape
from kernelkit_cpu.targets import CpuTarget

Typed = Callable[..., tuple[Kernel, Sequence[Any]]]
AVX512, AVX2, SSE2 = (CpuTarget.parse(name) for name in ("avx512", "avx2", "sse2"))


@kk.kernel
def doubled(src, out):
    out[kk.threadIdx.x] = src[kk.threadIdx.x] * src[0]


@kk.kernel
def iterated(src, out):
    x = src[kk.threadIdx.x]
    while x > 1:
        x = x * 0.5
    out[kk.threadIdx.x] = x


@kk.kernel
def walked(src, out):
    i = kk.threadIdx.x
    while src[i] > 1:
        i += 1
    out[kk.threadIdx.x] = src[i]


@kk.kernel
def shuffled(src, out):
    i = kk.threadIdx.x
    out[i] = kk.shfl_down_sync(0xFFFFFFFF, src[i], 1)


@pytest.fixture
def kernel(typed: Typed) -> Callable[..., Kernel]:
    def run(function: Any, dtype: str) -> Kernel:
        return typed(function, (64, 1, 1), np.zeros(64, dtype), np.zeros(64, dtype))[0]

    return run


@pytest.mark.parametrize(
    ("function", "dtype", "target", "lanes"),
    [
        (doubled, "float32", AVX512, 16),
        (doubled, "float32", AVX2, 8),
        (doubled, "float32", SSE2, 4),
        (doubled, "float64", AVX512, 8),
        (doubled, "float64", AVX2, 4),
        (doubled, "float64", SSE2, 4),
        (doubled, "int64", AVX512, 16),
        (doubled, "complex128", AVX512, 8),
        (iterated, "float32", AVX512, 32),
        (iterated, "float32", AVX2, 16),
        (iterated, "float64", AVX2, 8),
        (walked, "float32", AVX2, 8),
        (shuffled, "float32", AVX512, 32),
        (shuffled, "float64", SSE2, 32),
    ],
)
def test_lanes(
    kernel: Callable[..., Kernel], function: Any, dtype: str, target: CpuTarget, lanes: int
) -> None:
    """A register of the widest type that floats are computed in; two where each step waits for the
    one before; a warp where warps are used."""
    made = choose_shape(kernel(function, dtype), (64, 1, 1), target)
    assert made.lanes == lanes
    assert made.block == (64, 1, 1)


@pytest.mark.parametrize(
    ("block", "lanes", "in_rows"),
    [
        ((1, 1, 1), 4, True),
        ((5, 1, 1), 8, True),
        ((8, 1, 1), 8, True),
        ((9, 1, 1), 16, True),
        ((100, 1, 1), 16, True),
        ((16, 16, 1), 16, True),
        ((8, 8, 1), 8, True),
        ((4, 8, 4), 4, True),
        ((24, 3, 1), 8, True),
        ((20, 3, 1), 4, True),
        ((33, 2, 1), 16, True),
        ((3, 11, 1), 16, False),
        ((7, 5, 3), 16, False),
        ((1, 64, 1), 16, False),
    ],
)
def test_blocks(
    kernel: Callable[..., Kernel], block: tuple[int, int, int], lanes: int, in_rows: bool
) -> None:
    """Narrower vectors where a row ends with one; across rows where rows are short."""
    made = choose_shape(kernel(doubled, "float32"), block, AVX512)
    assert made.lanes == lanes
    assert stays_in_row(made) is in_rows


@pytest.mark.parametrize("lanes", [4, 16, 64])
def test_a_width_that_is_forced(kernel: Callable[..., Kernel], lanes: int) -> None:
    assert choose_shape(kernel(doubled, "float64"), (40, 2, 1), AVX2, lanes).lanes == lanes
    assert choose_shape(kernel(shuffled, "float64"), (40, 2, 1), AVX2, lanes).lanes == 32


@pytest.mark.parametrize(("block", "in_rows"), [((64, 2, 1), True), ((33, 2, 1), False)])
def test_warps_begin_where_the_block_does(
    kernel: Callable[..., Kernel], block: tuple[int, int, int], in_rows: bool
) -> None:
    """A warp is 32 threads in the order of the block, so it may go over the end of a row."""
    made = choose_shape(kernel(shuffled, "float32"), block, AVX2)
    assert stays_in_row(made) is in_rows
