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
