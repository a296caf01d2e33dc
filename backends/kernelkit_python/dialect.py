"""The table by which `kernelkit.emit.python` prints for the reference.

Every name here that starts with `_k_` is one of `scalar.NAMESPACE`, of `access.py` or of
`runtime.py`, or a parameter that the scheduler passes.
"""

from __future__ import annotations

from typing import Final

from kernelkit.emit.python_dialect import PythonDialect
from kernelkit.ir import scalar
from kernelkit.ir.types import AddressSpace, DType

#: Atomic operation -> the new value; `old` and `value` are expressions, as are the fields that
#: name operations of the scalar table on these two.
_UPDATES: Final = {
    "add": "{add}",
    "sub": "{sub}",
    "min": "value if {less} else old",
    "max": "value if {greater} else old",
    "nanmin": "value if {less} or old != old else old",
    "nanmax": "value if {greater} or old != old else old",
    "and": "{and}",
    "or": "{or}",
    "xor": "{xor}",
    "inc": "0 if old >= value else old + 1",
    "dec": "value if old == 0 or old > value else {down}",
    "exch": "value",
    "cas": "new if old == value else old",
}
#: Those operations.
_OPERATIONS: Final = {
    "add": ("add", ("old", "value")),
    "sub": ("sub", ("old", "value")),
    "less": ("lt", ("value", "old")),
    "greater": ("gt", ("value", "old")),
    "and": ("and", ("old", "value")),
    "or": ("or", ("old", "value")),
    "xor": ("xor", ("old", "value")),
    "down": ("sub", ("old", "1")),
}


def update(op: str, dtype: DType) -> str:
    """The source of a function from the old value and the operands to the new value."""
    template = _UPDATES[op]
    operations = {
        name: scalar.expression(operation, (dtype, dtype), operands)
        for name, (operation, operands) in _OPERATIONS.items()
        if f"{{{name}}}" in template
    }
    parameters = "old, value, new" if op == "cas" else "old, value"
    return f"lambda {parameters}: {template.format(**operations)}"


REFERENCE: Final = PythonDialect(
    name="python",
    parameters=("threadIdx", "blockIdx", "blockDim", "gridDim", "_k_block", "_k_steps"),
    registers={
        "threadIdx": "{threadIdx}.{axis}",
        "blockIdx": "{blockIdx}.{axis}",
        "blockDim": "{blockDim}.{axis}",
        "gridDim": "{gridDim}.{axis}",
        "laneid": "{threadIdx}.lane",
    },
    expression=scalar.expression,
    cast=scalar.cast_expression,
    literal=scalar.literal,
    functions={"uniform": "{_k_block}.uniform({site}, {threadIdx}, {args})"},
    load="_k_load{rank}{kind}{wrap}({args})",
    view="_k_view{rank}{kind}{wrap}({args})",
    store="_k_store{rank}{kind}{wrap}({args}, {value})",
    atomic="_k_atomic{rank}{kind}{wrap}({args}, {update}, {operands})",
    update=update,
    allocate={
        AddressSpace.SHARED: "{_k_block}.shared[{number}]",
        AddressSpace.LOCAL: "_k_arrays[{number}].copy()",
        AddressSpace.CONSTANT: "_k_arrays[{number}]",
    },
    extent="{array}.shape[{axis}]",
    barrier=dict.fromkeys(("sync", "count", "and", "or"), "yield ({request})"),
    warp="yield ({request})",
    fence=dict.fromkeys(("block", "device", "system"), "pass"),
    range="_k_range({args})",
    checked_range="_k_steps_of({site}, {_k_steps}, {args})",
    # The count is a local variable that goes down to 0: some 15 ns a turn.
    tick="(({_k_steps} := {_k_steps} - {cost}) > 0 or _k_spinning({site}))",
    print="_k_print({parts})",
    text="_k_text({value}, {spec})",
    fail="raise _k_failure({site}, {parts})",
    breakpoint="_k_breakpoint()",
    suspends=True,
)
