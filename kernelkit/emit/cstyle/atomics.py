"""Atomic operations in C: a dialect's own where it has them, else a loop of compare-and-swap.

In: an operation, the address of an element and its operands, all as C. Out: a C expression for the
old value. Holds: relaxed order, for all threads of the device (in shared memory: of the block); a
loop ends when nobody else wrote in between, or when there is nothing to change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from kernelkit.emit.cstyle.library import Library
from kernelkit.ir.types import AddressSpace, DType
from kernelkit.records import record

if TYPE_CHECKING:
    from kernelkit.emit.cstyle.scalars import Scalars

#: Operation -> the new value from `old` and `value` (`new` for cas); the fields are operations of the
#: scalar table.
_UPDATES: Final = {
    "add": "{add}",
    "sub": "{sub}",
    "min": "{less} ? value : old",
    "max": "{greater} ? value : old",
    "nanmin": "({less} || {nan}) ? value : old",
    "nanmax": "({greater} || {nan}) ? value : old",
    "and": "{and}",
    "or": "{or}",
    "xor": "{xor}",
    "inc": "old >= value ? 0 : {up}",
    "dec": "(old == 0 || old > value) ? value : {down}",
    "exch": "value",
}
_OPERATIONS: Final = {
    "add": ("add", ("old", "value")),
    "sub": ("sub", ("old", "value")),
    "less": ("lt", ("value", "old")),
    "greater": ("gt", ("value", "old")),
    "nan": ("ne", ("old", "old")),
    "and": ("and", ("old", "value")),
    "or": ("or", ("old", "value")),
    "xor": ("xor", ("old", "value")),
    "up": ("add", ("old", "{one}")),
    "down": ("sub", ("old", "{one}")),
}
#: Operations that often change nothing: a look at the element may then be all.
_SETTLE: Final = ("min", "max", "nanmin", "nanmax", "and", "or")
#: For integers there is no NaN.
_WITHOUT_NAN: Final = {"nanmin": "min", "nanmax": "max"}

_LOOP: Final = """
{function} {type} {name}({pointer} p, {type} value) {{
    {bits} seen = {first}, wanted;
    for (;;) {{
        {type} old = {old};
        {type} changed = {changed};
        {bits} after = {after};{settled}
        wanted = seen;
        seen = {swap};
        if (seen == wanted) return old;
    }}
}}
"""
_SETTLED: Final = "\n        if (after == seen) return old;"
_SWAP: Final = """
{function} {type} {name}({pointer} p, {type} value, {type} changed) {{
    {bits} wanted = {expected}, after = {after};
    {bits} seen = {swap};
    return {old};
}}
"""


@record
class AtomicTable:
    """What a dialect has. Types are those of the prelude: u32, i64, f32, ..."""

    #: What a function starts with.
    function: str
    #: Where memory is -> what stands before the type that a pointer points to, with a space behind.
    spaces: Mapping[AddressSpace, str]
    #: (operation, dtype) -> expression; fields: space (of `spaces`), p (the address, in parentheses),
    #: value, new (the second operand of cas).
    native: Mapping[tuple[str, str], str]
    #: Compare-and-swap on 32 and 64 bits; fields: space, p, wanted, after. It gives what was there.
    swaps: Mapping[int, str]
    #: float dtype -> its bits and back; field: value.
    to_bits: Mapping[str, str]
    from_bits: Mapping[str, str]
    #: Width -> lines that must stand at the head of the text.
    enable: Mapping[int, str]


def atomic(
    library: Library, scalars: Scalars, table: AtomicTable, op: str, dtype: DType,
    space: AddressSpace, address: str, operands: Sequence[str], wants_result: bool,
) -> str:  # fmt: skip
    """The old value, as an expression of the register type. `address` points to the element, with
    the dialect's qualifier for `space`. What nobody looks at, compilers leave out by themselves."""
    if not dtype.is_float:
        op = _WITHOUT_NAN.get(op, op)
    if dtype.bits in table.enable:
        library.define(f"atomics of {dtype.bits} bits", table.enable[dtype.bits])
    kind = scalars.register_type(dtype)
    template = table.native.get((op, dtype.name))
    if template is None:
        name = f"kk_atomic_{op}_{kind}{_suffix(table, space)}"
        library.define(name, lambda: _function(scalars, table, op, dtype, space, name))
        pointer = _pointer(scalars, table, space, dtype)
        return f"{name}(({pointer})({address}), {', '.join(operands)})"
    value, new = [f"({operand})" for operand in (*operands, "")][:2]
    old = template.format(space=table.spaces[space], p=f"({address})", value=value, new=new)
    return f"(({kind}){old})" if wants_result else old


def _pointer(scalars: Scalars, table: AtomicTable, space: AddressSpace, dtype: DType) -> str:
    """To an element, which others change."""
    return f"volatile {table.spaces[space]}{scalars.memory_type(dtype)}*"


def _suffix(table: AtomicTable, space: AddressSpace) -> str:
    """Part of a function's name where it is good for one kind of memory only."""
    return f"_{space.value}" if len(set(table.spaces.values())) > 1 else ""


def _function(
    scalars: Scalars, table: AtomicTable, op: str, dtype: DType, space: AddressSpace, name: str
) -> str:
    def bits_of(value: str) -> str:
        return table.to_bits.get(dtype.name, f"(u{dtype.bits})({{value}})").format(value=value)

    kind = scalars.register_type(dtype)
    qualifier = table.spaces[space]
    fields = {
        "function": table.function,
        "name": name,
        "type": kind,
        "bits": f"u{dtype.bits}",
        "pointer": _pointer(scalars, table, space, dtype),
        "first": bits_of("*p"),
        "swap": table.swaps[dtype.bits].format(
            space=qualifier, p="p", wanted="wanted", after="after"
        ),
        "old": table.from_bits.get(dtype.name, f"({kind})({{value}})").format(value="seen"),
        "after": bits_of("changed"),
    }
    if op == "cas":
        return _SWAP.format(expected=bits_of("value"), **fields)
    settled = _SETTLED if op in _SETTLE else ""
    return _LOOP.format(changed=_changed(scalars, op, dtype), settled=settled, **fields)


def _changed(scalars: Scalars, op: str, dtype: DType) -> str:
    """The new value as a C expression of `old` and `value`."""
    one = scalars.literal(dtype, 1)
    parts = {
        name: scalars.expression(operation, (dtype, dtype), [a.format(one=one) for a in args])
        for name, (operation, args) in _OPERATIONS.items()
        if f"{{{name}}}" in _UPDATES[op]
    }
    return _UPDATES[op].format(**parts)
