"""What a kernel is specialised on: the type of each of its arguments.

In: nothing. Out: values that hash and compare by content, so that they make up a cache key.
Holds: two StaticArgs are equal only if a kernel cannot tell their values apart: 1, True and 1.0
differ, so do 0.0 and -0.0, and a NaN equals itself.
"""

from __future__ import annotations

import struct
from typing import Any, Union

import numpy as np

from kernelkit.ir.types import ArrayType, DType
from kernelkit.records import record


def static_identity(value: object) -> object:
    """A hashable stand-in for a compile-time value, equal only for values of one meaning.

    Raises TypeError for a value that cannot be hashed.
    """
    kind = type(value)
    if kind is float:
        return kind, struct.pack("d", value)
    if kind is complex:
        return kind, struct.pack("dd", value.real, value.imag)  # type: ignore[attr-defined]
    if isinstance(value, np.generic):
        return kind, value.tobytes()
    if isinstance(value, tuple):
        return kind, tuple(map(static_identity, value))
    hash(value)
    return kind, value


@record
class ScalarArg:
    """A number given at the launch; `weak` for a Python float or complex."""

    dtype: DType
    weak: bool = False


@record(eq=False)
class StaticArg:
    """A compile-time value: None, a kk.constexpr argument, a number inside a tuple."""

    value: Any

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StaticArg):
            return NotImplemented
        return static_identity(self.value) == static_identity(other.value)

    def __hash__(self) -> int:
        return hash(static_identity(self.value))


@record
class TupleArg:
    """A tuple, or a NamedTuple of class `cls`: its numbers are static, its arrays parameters."""

    items: tuple[ArgType, ...]
    cls: type[tuple[Any, ...]] | None = None


ArgType = Union[ArrayType, ScalarArg, StaticArg, TupleArg]
