"""The one table of type promotion: NEP 50 as in NumPy 2, with one change.

In: two scalar types, weak (a literal's) or strong. Out: the type in which they meet, or why they
cannot. The change: an integer that meets a float takes the float's type, as in CUDA C and torch
(NumPy gives float64 for int32 with float32).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from kernelkit.ir.types import (
    BOOL,
    COMPLEX64,
    COMPLEX128,
    DTYPES,
    FLOAT64,
    INT64,
    UINT64,
    DType,
)
from kernelkit.records import record


@record
class ScalarType:
    """A scalar type as expressions have it; weak is that of Python's literals."""

    dtype: DType
    weak: bool = False

    def __str__(self) -> str:
        return f"{self.dtype} (a literal's)" if self.weak else str(self.dtype)


_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}
#: What a weak type is on its own.
DEFAULT: dict[str, DType] = {"i": INT64, "f": FLOAT64, "c": COMPLEX128}


class PromotionError(TypeError):
    """Two types that do not meet; the text says what to write."""


@cache
def promote(a: ScalarType, b: ScalarType) -> ScalarType:
    """The type in which a and b meet. Raises PromotionError (uint64 with a signed integer)."""
    if a.weak and b.weak:
        return a if _RANK[a.dtype.kind] >= _RANK[b.dtype.kind] else b
    if a.weak or b.weak:
        weak, strong = (a.dtype, b.dtype) if a.weak else (b.dtype, a.dtype)
        return ScalarType(_meet_weak(weak, strong))
    return ScalarType(_meet(a.dtype, b.dtype))


def _meet_weak(weak: DType, strong: DType) -> DType:
    if _RANK[weak.kind] <= _RANK[strong.kind]:
        return strong
    if weak.kind == "c" and strong.is_float:
        return COMPLEX128 if strong is FLOAT64 or strong == FLOAT64 else COMPLEX64
    return DEFAULT[weak.kind]


def _meet(a: DType, b: DType) -> DType:
    if a == b:
        return a
    low, high = sorted((a, b), key=lambda t: _RANK[t.kind])
    if low == BOOL or (low.is_integer and not high.is_integer):
        return high
    if UINT64 in (a, b) and (a.is_signed or b.is_signed):
        signed = a if a.is_signed else b
        raise PromotionError(
            f"uint64 and {signed} have no common integer type; "
            "cast one of them: np.int64(...) or np.uint64(...)"
        )
    return DTYPES[np.promote_types(a.numpy, b.numpy).name]
