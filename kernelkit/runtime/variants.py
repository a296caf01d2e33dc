"""What a launch promises, beyond the types of its arguments, to the code that it runs.

In: arguments, grid and block. Out: a variant, which is NOALIAS, SMALL, both or neither.
Holds: what `Options.noalias` and `Options.small` say is true of every launch whose variant has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from kernelkit.runtime.configuration import Dim3
from kernelkit.runtime.foreign import ForeignArray

#: No array that is written overlaps another.
NOALIAS: Final = 1
#: Extents, int64 arguments and the threads along an axis of the grid are within +-LARGEST, there are
#: at most ROWS blocks along y and z, and arrays span less than 2**31 bytes. Only back ends that are `narrow` ask for it.
SMALL: Final = 2

LARGEST: Final = (1 << 30) - 1
ROWS: Final = (1 << 16) - 1
_SPAN: Final = 1 << 31


def is_small_grid(grid: Dim3, block: Dim3) -> bool:
    """Whether no axis of the grid has too many threads, or blocks."""
    if grid[1] > ROWS or grid[2] > ROWS:
        return False
    return all(g * b <= LARGEST for g, b in zip(grid, block, strict=True))


def are_small(leaves: Sequence[Any]) -> bool:
    """Whether all arrays and int64 arguments are small."""
    return all(map(_is_small, leaves))


def _is_small(leaf: Any) -> bool:
    kind = type(leaf)
    if kind is int or kind is np.int64:
        return bool(-LARGEST <= leaf <= LARGEST)
    if kind is not np.ndarray and kind is not ForeignArray:
        return True
    if any(n > LARGEST for n in leaf.shape):
        return False
    strides = leaf.strides
    if strides is None:  # contiguous
        size = leaf.dtype.itemsize
        for n in leaf.shape:
            size *= n
        return bool(size < _SPAN)
    reach = sum((n - 1) * abs(s) for n, s in zip(leaf.shape, strides, strict=True))
    return bool(0 in leaf.shape or reach + leaf.dtype.itemsize < _SPAN)
