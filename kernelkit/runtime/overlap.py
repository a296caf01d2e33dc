"""Which arguments may be compiled as if they did not overlap.

In: the arrays of a launch and which of them the kernel writes. Out: yes or no, by address ranges.
Holds: "no" where an address is unknown; two arrays that are only read may overlap freely.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from kernelkit.runtime.foreign import ForeignArray

Pairs = tuple[tuple[int, int], ...]


def written_pairs(arrays: Sequence[int], written: Iterable[int]) -> Pairs:
    """The pairs of leaves of which at least one is written."""
    changed = set(written)
    return tuple(
        (a, b)
        for place, a in enumerate(arrays)
        for b in arrays[place + 1 :]
        if a in changed or b in changed
    )


def apart(leaves: Sequence[Any], pairs: Pairs) -> bool:
    """Whether no pair overlaps."""
    may_share = np.may_share_memory  # compares address ranges only
    for a, b in pairs:
        first, second = leaves[a], leaves[b]
        if type(first) is np.ndarray and type(second) is np.ndarray:
            if may_share(first, second):
                return False
        elif _may_overlap(first, second):
            return False
    return True


def _may_overlap(first: Any, second: Any) -> bool:
    ranges = [_bounds(first), _bounds(second)]
    if ranges[0] is None or ranges[1] is None:
        return True
    (low, high), (other_low, other_high) = ranges[0], ranges[1]
    return low < other_high and other_low < high and low < high and other_low < other_high


def _bounds(array: Any) -> tuple[int, int] | None:
    if isinstance(array, ForeignArray):
        return array.bounds()
    low, high = byte_bounds(array)
    return (low, low) if array.size == 0 else (low, high)
