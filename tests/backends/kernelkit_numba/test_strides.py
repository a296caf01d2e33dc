"""Loops with a step that is positive and no constant stay `range`s, and count what they counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.ir import nodes as ir
from kernelkit.ir.verify import verify
from kernelkit_numba.lowering import lowered

LAST = 2**63 - 1
BLOCK, GRID = (4, 1, 1), (3, 1, 1)


@kk.kernel
def strided(last, counts, sums):
    n = total = 0
    for k in range(kk.grid(1), last, kk.gridsize(1)):
        if k % 5 == 1:
            continue
        if n == 7:
            break
        n += 1
        total += k
    else:
        n += 100
    counts[kk.grid(1)] = n
    sums[kk.grid(1)] = total + k


@kk.kernel
def others(first, step, out):
    for k in range(first, 10, kk.blockDim.x):
        out[k] += 1
    for k in range(0, 10, step):
        out[k] += 1
    for k in range(kk.threadIdx.x, 10, 4):
        out[k] += 1


def loops(kernel: ir.Kernel) -> list[str]:
    return [type(s).__name__ for s in ir.walk(kernel.body) if isinstance(s, (ir.For, ir.While))]


@pytest.mark.parametrize("last", [0, 1, 5, 12, 13, 200, -3, -LAST - 1])
def test_they_count_as_before(
    typed: Callable[..., Any], interpret: Callable[..., None], last: int
) -> None:
    outcomes = []
    for block in (None, BLOCK):
        counts, sums = np.zeros((2, 12), np.int64)
        kernel, values = typed(strided, BLOCK, last, counts, sums)
        found = verify(lowered(kernel, block))
        assert loops(found) == ["While" if block is None else "For"]
        interpret(found, GRID, BLOCK, values)
        outcomes.append((counts.tolist(), sums.tolist()))
    assert outcomes[0] == outcomes[1]


def test_no_end_makes_the_difference_too_large(typed: Callable[..., Any]) -> None:
    """Numba subtracts the start from the stop: of a start above 0 and the least integer that would
    be a great number."""
    kernel, _ = typed(strided, BLOCK, 5, *np.zeros((2, 12), np.int64))
    (loop,) = (s for s in ir.walk(lowered(kernel, BLOCK).body) if isinstance(s, ir.For))
    assert isinstance(loop.stop, ir.Binary) and loop.stop.op == "max"


def test_others_do_not(typed: Callable[..., Any]) -> None:
    """A start that may be negative, a step that may be, a step that is constant."""
    kernel, _ = typed(others, BLOCK, 0, 1, np.zeros(10, np.int64))
    assert loops(lowered(kernel, BLOCK)) == ["While"] * 3
