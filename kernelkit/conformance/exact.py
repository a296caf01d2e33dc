"""Correctly rounded values, from exact rational arithmetic.

In: floats, or fractions. Out: the nearest value of a dtype, a tie to the even one.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np


def rounded(exact: Fraction | float, dtype: Any) -> Any:
    """The value of a float dtype nearest to a finite number."""
    wanted = Fraction(exact)
    kind = np.dtype(dtype).type
    with np.errstate(all="ignore"):
        near = kind(float(wanted))  # Rounded twice, so at most one step away.
        around = [np.nextafter(near, kind(-np.inf)), near, np.nextafter(near, kind(np.inf))]
    if not np.isfinite(near):
        return near

    def badness(value: Any) -> tuple[Fraction, int]:
        significand = int(np.array(value).view(f"u{value.itemsize}"))
        return abs(Fraction(float(value)) - wanted), significand & 1

    return min((value for value in around if np.isfinite(value)), key=badness)


def fused(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a * b + c of finite floats, rounded once."""
    wide = [array.astype(np.float64).tolist() for array in (a, b, c)]
    sums = [Fraction(x) * Fraction(y) + Fraction(z) for x, y, z in zip(*wide, strict=True)]
    return np.array([rounded(each, a.dtype) for each in sums], a.dtype)
