"""The atomic operations of OpenCL C 1.2; the printer makes the others of compare-and-swap.

In: the device's extensions. Out: its table. Holds: names of the 32 and the 64 bit operations differ;
those of 64 bits are extensions, one for sums and exchanges, one for the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from kernelkit.emit.cstyle.atomics import AtomicTable
from kernelkit.ir.types import AddressSpace

BASE: Final = "cl_khr_int64_base_atomics"
EXTENDED: Final = "cl_khr_int64_extended_atomics"

_PREFIX: Final = {"int": "atomic", "uint": "atomic", "long": "atom", "ulong": "atom"}
_WORDS: Final = {"int32": "int", "uint32": "uint", "int64": "long", "uint64": "ulong"}
_BASE: Final = {"add": "add", "sub": "sub", "exch": "xchg"}
_EXTENDED: Final = {"min": "min", "max": "max", "and": "and", "or": "or", "xor": "xor"}


def _native(extensions: Collection[str]) -> Iterator[tuple[tuple[str, str], str]]:
    for dtype, kind in _WORDS.items():
        wide = dtype.endswith("64")
        names = _BASE | (_EXTENDED if not wide or EXTENDED in extensions else {})
        pointer = f"(volatile {{space}}{kind}*){{p}}"
        for op, name in names.items():
            yield (op, dtype), f"{_PREFIX[kind]}_{name}({pointer}, ({kind}){{value}})"
        operands = f"({kind}){{value}}, ({kind}){{new}}"
        yield (
            ("cas", dtype),
            f"{_PREFIX[kind]}_cmpxchg({pointer}, {operands})",
        )
    yield ("exch", "float32"), "atomic_xchg((volatile {space}float*){p}, {value})"


def _enabled(extensions: Collection[str]) -> str:
    found = [name for name in (BASE, EXTENDED) if name in extensions]
    return "\n".join(f"#pragma OPENCL EXTENSION {name} : enable" for name in found)


def atomics(extensions: Collection[str]) -> AtomicTable:
    """The table for a device with these extensions; without BASE only dtypes of 32 bits work."""
    return AtomicTable(
        function="static inline",
        spaces={AddressSpace.GLOBAL: "__global ", AddressSpace.SHARED: "__local "},
        native=dict(_native(extensions)),
        swaps={
            32: "atomic_cmpxchg((volatile {space}uint*){p}, {wanted}, {after})",
            64: "atom_cmpxchg((volatile {space}ulong*){p}, {wanted}, {after})",
        },
        to_bits={"float32": "as_uint({value})", "float64": "as_ulong({value})"},
        from_bits={"float32": "as_float({value})", "float64": "as_double({value})"},
        enable={64: _enabled(extensions)},
    )


def dtypes(extensions: Collection[str], float64: bool) -> frozenset[str]:
    """The dtypes on which atomics work."""
    wide = ("int64", "uint64", *(("float64",) if float64 else ()))
    return frozenset(("int32", "uint32", "float32", *(wide if BASE in extensions else ())))
