"""The arguments of a launch as the driver takes them: values in a buffer, and where each one is.

In: the signature of a kernel, and the dtypes of its scalars. Out: a Packing, which the launch code
(launch.py) is written from.
Holds: what is in the buffer has the size and alignment that C gives it; a buffer is used by one
launch at a time, from whatever thread.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from kernelkit.errors import InternalError
from kernelkit.ir.types import DTYPES
from kernelkit.records import record

#: C type -> (format of struct, bytes, alignment).
_FORMATS: Final = {
    "i8": ("b", 1, 1), "i16": ("h", 2, 2), "i32": ("i", 4, 4), "i64": ("q", 8, 8),
    "u8": ("B", 1, 1), "u16": ("H", 2, 2), "u32": ("I", 4, 4), "u64": ("Q", 8, 8),
    "f32": ("f", 4, 4), "f64": ("d", 8, 8), "c64": ("ff", 8, 8), "c128": ("dd", 16, 16),
}  # fmt: skip
#: Scalars that lie in memory in another form than they are passed.
_BY_DTYPE: Final = {"bool": "?", "float16": "e"}

#: What of an argument goes where; `a` is its name.
_VALUES: Final = {
    "pointer": "{a}.data.ptr",
    "extent": "{a}.shape[{axis}]",
    "stride": "{a}.strides[{axis}]",
    "value": "{a}",
    "dynamic_bytes": "dynamic",
    "record": "record",
}


@record
class Packing:
    """`format` of struct; the Python expressions that fill it, of a0, a1, ..., `dynamic` and
    `record`; where each parameter begins; and the dtype of each leaf that is a scalar."""

    format: str
    expressions: tuple[str, ...]
    offsets: tuple[int, ...]
    size: int
    scalars: tuple[str | None, ...]


def make_packing(signature: Sequence[Mapping[str, Any]], scalars: Sequence[str | None]) -> Packing:
    """How arguments of this signature lie in the buffer."""
    parts, expressions, offsets = ["="], [], []
    size = 0
    for entry in signature:
        what, ctype, leaf = entry["what"], entry["type"], entry["leaf"]
        if what not in _VALUES or ctype not in _FORMATS:
            raise InternalError(f"a launch has no {what} of type {ctype}")
        dtype = scalars[leaf] if what == "value" else None
        code, width, alignment = _FORMATS[ctype]
        gap = -size % alignment
        parts.append("x" * gap + _BY_DTYPE.get(dtype or "", code))
        offsets.append(size + gap)
        size += gap + width
        text = _VALUES[what].format(a=f"a{leaf}", axis=entry["axis"])
        expressions += [f"{text}.real", f"{text}.imag"] if len(code) == 2 else [text]
    return Packing("".join(parts), tuple(expressions), tuple(offsets), size, tuple(scalars))


class Buffer:
    """Room for the arguments of one launch, and the array of pointers that the driver reads."""

    __slots__ = ("_keep", "bytes", "pointers")

    def __init__(self, packing: Packing) -> None:
        # Aligned to 16 bytes, as the widest type is.
        raw = ctypes.create_string_buffer(packing.size + 16)
        start = -ctypes.addressof(raw) % 16
        self.bytes = memoryview(raw)[start : start + packing.size]
        base = ctypes.addressof(raw) + start
        table = (ctypes.c_void_p * max(1, len(packing.offsets)))(
            *(base + offset for offset in packing.offsets)
        )
        self.pointers = ctypes.addressof(table)
        self._keep = (raw, table)


def exact(scalars: Sequence[str | None], args: Sequence[Any]) -> list[Any]:
    """The arguments with scalars of the kernel's own types, for those that struct does not take."""
    values = []
    with np.errstate(all="ignore"):
        for name, value in zip(scalars, args, strict=True):
            if name is not None:
                value = np.asarray(value).astype(DTYPES[name].numpy)[()]
            values.append(value)
    return values


def packed(packing: Packing, args: Sequence[Any], dynamic: int = 0, record: int = 0) -> bytes:
    """The bytes of a launch, as the launch code writes them."""
    names = {f"a{i}": value for i, value in enumerate(args)}
    names |= {"dynamic": dynamic, "record": record}
    return struct.pack(packing.format, *(eval(text, names) for text in packing.expressions))
