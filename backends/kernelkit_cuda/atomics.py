"""The atomic operations that CUDA has from sm_60 on; the printer makes the others of atomicCAS.

Holds: pointers are generic: the compiler sees by itself which memory they point to. Sums of float32
in global memory take numbers below 2**-126 for 0, as the only such addition of the hardware does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kernelkit.emit.cstyle.atomics import AtomicTable
from kernelkit.ir.types import AddressSpace

#: dtype -> its C type, and the one without a sign, in which sums wrap.
_WORDS: Final = {
    "int32": ("int", "unsigned int"),
    "uint32": ("unsigned int", "unsigned int"),
    "int64": ("long long", "unsigned long long"),
    "uint64": ("unsigned long long", "unsigned long long"),
}
_BY_VALUE: Final = {"min": "Min", "max": "Max"}
_BY_BITS: Final = {"add": "Add", "and": "And", "or": "Or", "xor": "Xor", "exch": "Exch"}


def _of_words() -> Iterator[tuple[tuple[str, str], str]]:
    for dtype, (kind, word) in _WORDS.items():
        for op, name in _BY_VALUE.items():
            yield (op, dtype), f"atomic{name}(({kind}*){{p}}, ({kind}){{value}})"
        for op, name in _BY_BITS.items():
            yield (op, dtype), f"atomic{name}(({word}*){{p}}, ({word}){{value}})"
        yield ("sub", dtype), f"atomicAdd(({word}*){{p}}, ({word})0 - ({word}){{value}})"
        yield ("cas", dtype), f"atomicCAS(({word}*){{p}}, ({word}){{value}}, ({word}){{new}})"


ATOMICS: Final = AtomicTable(
    function="static __device__ __forceinline__",
    spaces=dict.fromkeys((AddressSpace.GLOBAL, AddressSpace.SHARED), ""),
    native={
        **dict(_of_words()),
        ("inc", "uint32"): "atomicInc((unsigned int*){p}, {value})",
        ("dec", "uint32"): "atomicDec((unsigned int*){p}, {value})",
        ("add", "float32"): "atomicAdd((float*){p}, {value})",
        ("sub", "float32"): "atomicAdd((float*){p}, -{value})",
        ("exch", "float32"): "atomicExch((float*){p}, {value})",
        ("add", "float64"): "atomicAdd((double*){p}, {value})",
        ("sub", "float64"): "atomicAdd((double*){p}, -{value})",
    },
    swaps={
        32: "atomicCAS((unsigned int*){p}, {wanted}, {after})",
        64: "atomicCAS((unsigned long long*){p}, {wanted}, {after})",
    },
    to_bits={
        "float32": "__float_as_uint({value})",
        "float64": "(u64)__double_as_longlong({value})",
    },
    from_bits={
        "float32": "__uint_as_float({value})",
        "float64": "__longlong_as_double((i64){value})",
    },
    enable={},
)
