"""Integers and bools: the operators and functions of the scalar table but division.

Holds: everything wraps; a shift count outside the width gives 0, or the sign for >>.
"""

from __future__ import annotations

from typing import Final

from kernelkit.ir.types import DType
from kernelkit_cpu.division import floordiv, mod
from kernelkit_cpu.instructions import Code, constant
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
    return {"floordiv": floordiv, "mod": mod, "shl": _shl, "shr": _shr, "pow": _power}[op](
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


# ---------------------------------------------------------------- powers
def _power(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    exponent = constant(b)
    if exponent is None:
        return _run_time_power(code, dtype, a, b)
    kind = register(dtype)
    if dtype.is_signed and exponent < 0:
        return code.number(kind, 0)
    result, square, left = code.number(kind, 1), a, exponent % (1 << dtype.bits)
    first = True
    while left:
        if left & 1:
            result = square if first else code.op("mul", kind, result, square)
            first = False
        left >>= 1
        if left:
            square = code.op("mul", kind, square, square)
    return result


def _run_time_power(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    kind = register(dtype)
    # What ends a loop may not be poison.
    arguments = (a, code.freeze(kind, b))
    return code.internal(f"pow.{dtype}", kind, arguments, lambda inner: _squarings(inner, dtype))


def _squarings(code: Code, dtype: DType) -> None:
    """The body of a function: %a0 ** %a1, 0 for a negative exponent."""
    text, kind = code.text, register(dtype)
    full, zero = code.kind(kind), code.number(kind, 0)
    result, square, left = (text.alloca(full) for _ in range(3))
    exponent, first = "%a1", code.number(kind, 1)
    if dtype.is_signed:
        negative = code.icmp("slt", kind, "%a1", zero)
        exponent = code.select(kind, negative, zero, "%a1")
        first = code.select(kind, negative, zero, first)
    for value, address in ((first, result), ("%a0", square), (exponent, left)):
        text.store(full, value, address)
    test, body, end = (text.label(hint) for hint in ("test", "body", "end"))
    text.start(test)
    exponent = text.load(full, left)
    text.branch(code.any_bit(kind, exponent), body, end)
    text.start(body)
    odd = code.convert("trunc", kind, exponent, "i1")
    old, factor = text.load(full, result), text.load(full, square)
    product = code.op("mul", kind, old, factor)
    text.store(full, code.select(kind, odd, product, old), result)
    text.store(full, code.op("mul", kind, factor, factor), square)
    text.store(full, code.op("lshr", kind, exponent, code.number(kind, 1)), left)
    text.jump(test)
    text.start(end)
    text.finish(f"ret {full} {text.load(full, result)}")


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
