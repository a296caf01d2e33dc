"""Integers and bools: the operators and functions of the scalar table but division.

Holds: everything wraps; a shift count outside the width gives 0, or the sign for >>.
"""

from __future__ import annotations

from typing import Final

from kernelkit.ir.types import DType
from kernelkit_cpu.division import floordiv, mod
from kernelkit_cpu.instructions import Code, constant
from kernelkit_cpu.powers import integer_power
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import register

#: The operators that are one instruction.
_DIRECT: Final = ("add", "sub", "mul", "and", "or", "xor")
_PREDICATES: Final = {"lt": "lt", "le": "le", "gt": "gt", "ge": "ge", "eq": "eq", "ne": "ne"}


def unary(code: Code, op: str, dtype: DType, a: Operand) -> Operand:
    kind = register(dtype)
    if op == "neg":
        return code.op("sub", kind, code.number(kind, 0), a)
    if op == "not":
        return code.op("xor", kind, a, code.number(kind, 1))
    if op == "invert":
        return code.op("xor", kind, a, code.number(kind, -1))
    return code.flagged("abs", kind, a, False) if dtype.is_signed else a


def binary(code: Code, op: str, dtype: DType, a: Operand, b: Operand) -> Operand:
    kind = register(dtype)
    if op in _DIRECT:
        return code.op(op, kind, a, b)
    if op in ("min", "max"):
        return code.intrinsic(f"{'s' if dtype.is_signed else 'u'}{op}", kind, a, b)
    return {"floordiv": floordiv, "mod": mod, "shl": _shl, "shr": _shr, "pow": integer_power}[op](
        code, dtype, a, b
    )


def compare(code: Code, op: str, dtype: DType, a: Operand, b: Operand) -> Operand:
    sign = "" if op in ("eq", "ne") else "s" if dtype.is_signed else "u"
    return code.icmp(f"{sign}{op}", register(dtype), a, b)


# ---------------------------------------------------------------- shifts
def _shl(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    return _shifted(code, "shl", dtype, a, b)


def _shr(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    if not dtype.is_signed:
        return _shifted(code, "lshr", dtype, a, b)
    kind = register(dtype)
    # Every count outside the width, as one without sign, is above it: the sign fills all.
    return code.op(
        "ashr", kind, a, code.intrinsic("umin", kind, b, code.number(kind, dtype.bits - 1))
    )


def _shifted(code: Code, name: str, dtype: DType, a: Operand, b: Operand) -> Operand:
    kind = register(dtype)
    count = constant(b)
    if count is not None and 0 <= count < dtype.bits:
        return code.op(name, kind, a, b)
    # Beyond the width LLVM's shift is poison, which the select leaves.
    inside = code.icmp("ult", kind, b, code.number(kind, dtype.bits))
    return code.select(kind, inside, code.op(name, kind, a, b), code.number(kind, 0))


# ---------------------------------------------------------------- functions
def count(code: Code, name: str, dtype: DType, a: Operand) -> Operand:
    """popc, clz and ffs, which give an int32."""
    kind = register(dtype)
    if name == "popc":
        found = code.intrinsic("ctpop", kind, a)
    elif name == "clz":
        found = code.flagged("ctlz", kind, a, False)
    else:
        zero = code.number(kind, 0)
        place = code.op("add", kind, code.flagged("cttz", kind, a, False), code.number(kind, 1))
        found = code.select(kind, code.icmp("eq", kind, a, zero), zero, place)
    return code.resized(kind, found, "i32", False)
