"""What the language says about types, as random kernels need it: which meet, which literals fit.

In: scalar types. Out: the type of an operation on them, or None where the language has none; text
of literals. Holds: written from the contract, not from the front end, against which tests hold it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from kernelkit.ir.types import BOOL, DTYPES, UINT64, DType

#: How a program writes a cast to each type.
CASTS: Final = {name: "bool" if name == "bool" else f"np.{name}" for name in DTYPES}
#: Types whose every value a program of a few lines may take as an index or a loop bound.
INDEX_TYPES: Final = tuple(DTYPES[name] for name in ("int64", "int32", "int16", "uint8", "uint32"))

_SMALL: Final = (1, 0, 2, 3, 5, 7, 13, 100)
_FLOATS: Final = ("1.0", "0.5", "2.0", "0.0", "-1.0", "0.1", "-2.75", "3.0", "1e-3", "100.0")
_COMPLEX: Final = ("1j", "0.5j", "(1 + 2j)", "(2.5 - 0.25j)")


def promote(a: DType, b: DType) -> DType | None:
    """The type of `a op b`: NumPy 2's, but an integer that meets a float takes the float's type."""
    if a == b:
        return a
    if UINT64 in (a, b) and (a.is_signed or b.is_signed):
        return None
    for integer, other in ((a, b), (b, a)):
        if integer.kind in "biu" and other.kind in "fc":
            return other
    return DTYPES[np.promote_types(a.numpy, b.numpy).name]


def joins(source: DType, target: DType) -> bool:
    """Whether a name of type `target` keeps it when a `source` is assigned to it."""
    return promote(source, target) == target


def stores(source: DType, target: DType) -> bool:
    """Whether a `source` may be cast to a `target`: anything but complex to real."""
    return target.is_complex or not source.is_complex


def narrower(target: DType, palette: tuple[DType, ...]) -> tuple[DType, ...]:
    """The palette's types that change nothing when they meet `target`."""
    return tuple(t for t in palette if t not in (target, BOOL) and joins(t, target))


def literals(dtype: DType) -> tuple[str, ...]:
    """Texts of literals that take the type where they meet it."""
    if dtype == BOOL:
        return ("True", "False")
    if dtype.is_float:
        return _FLOATS
    if dtype.is_complex:
        return _COMPLEX
    negative = ("-1", "-3", str(dtype.minimum)) if dtype.is_signed else ()
    return (*map(str, _SMALL), *negative, str(dtype.maximum))


def constant(dtype: DType, literal: str) -> str:
    """A literal made strong."""
    return literal if dtype == BOOL else f"{CASTS[dtype.name]}({literal})"
