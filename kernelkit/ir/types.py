"""The types of the IR: scalars, arrays, and the memory they live in.

Holds: types are values (compared, hashed and pickled by content) and strong; the weak types of
literals exist in the front end only.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import numpy as np

from kernelkit.records import record


@record
class DType:
    """A scalar type: NumPy's name, its kind (b, i, u, f, c) and its width in bits."""

    name: str
    kind: str
    bits: int

    def __str__(self) -> str:
        return self.name

    @property
    def itemsize(self) -> int:
        """Bytes in memory."""
        return self.bits // 8

    @property
    def numpy(self) -> np.dtype:
        return np.dtype(self.name)

    @property
    def is_integer(self) -> bool:
        """Signed or unsigned, not bool."""
        return self.kind in "iu"

    @property
    def is_signed(self) -> bool:
        return self.kind == "i"

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_complex(self) -> bool:
        return self.kind == "c"

    @property
    def minimum(self) -> int:
        """The least value of an integer type."""
        return -(1 << (self.bits - 1)) if self.is_signed else 0

    @property
    def maximum(self) -> int:
        """The greatest value of an integer type."""
        return (1 << (self.bits - (1 if self.is_signed else 0))) - 1

    @property
    def component(self) -> DType:
        """The real type of a complex type's parts; any other type is its own."""
        return {"complex64": FLOAT32, "complex128": FLOAT64}.get(self.name, self)


BOOL: Final = DType("bool", "b", 8)
INT8: Final = DType("int8", "i", 8)
INT16: Final = DType("int16", "i", 16)
INT32: Final = DType("int32", "i", 32)
INT64: Final = DType("int64", "i", 64)
UINT8: Final = DType("uint8", "u", 8)
UINT16: Final = DType("uint16", "u", 16)
UINT32: Final = DType("uint32", "u", 32)
UINT64: Final = DType("uint64", "u", 64)
FLOAT16: Final = DType("float16", "f", 16)
FLOAT32: Final = DType("float32", "f", 32)
FLOAT64: Final = DType("float64", "f", 64)
COMPLEX64: Final = DType("complex64", "c", 64)
COMPLEX128: Final = DType("complex128", "c", 128)

DTYPES: Final[dict[str, DType]] = {
    t.name: t
    for t in (
        BOOL, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64,
        FLOAT16, FLOAT32, FLOAT64, COMPLEX64, COMPLEX128,
    )
}  # fmt: skip


def from_numpy(dtype: object) -> DType | None:
    """The DType of a NumPy dtype (or what np.dtype accepts), or None where we have none.

    Big-endian, structured, object, string and datetime dtypes have none.
    """
    try:
        found = np.dtype(dtype)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return None
    if not found.isnative or found.kind not in "biufc":
        return None
    return DTYPES.get(found.name)


class AddressSpace(Enum):
    """Where an array lives: who sees it, and for how long."""

    GLOBAL = "global"
    SHARED = "shared"
    LOCAL = "local"
    CONSTANT = "constant"


#: "C": contiguous, last axis fastest. An int: the byte stride of the last axis, the others free.
#: "A": any strides.
Layout = str | int


@record
class ArrayType:
    """The type of an array: element, number of axes, layout, address space, whether it is read-only."""

    dtype: DType
    ndim: int
    layout: Layout = "C"
    space: AddressSpace = AddressSpace.GLOBAL
    readonly: bool = False

    def __str__(self) -> str:
        axes = ", ".join([":"] * self.ndim)
        marks = "" if self.layout == "C" else f" {self.layout}"
        return (
            f"{self.space.value} {self.dtype}[{axes}]{marks}{' readonly' if self.readonly else ''}"
        )
