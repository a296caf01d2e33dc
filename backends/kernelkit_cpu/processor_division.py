"""Floor division and modulo by the processor's division of integers.

Holds: what it divides by is frozen, since a poison divisor is undefined behaviour also in a lane
that does not run, and made 1 where it would trap: for 0, and for -1, by which the least value
overflows.
"""

from __future__ import annotations

from kernelkit.ir.types import DType
from kernelkit_cpu.instructions import Code
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import register


def divide(code: Code, dtype: DType, a: Operand, b: Operand, remainder: bool) -> Operand:
    """a // b or a % b, with 0 where b is 0."""
    kind = register(dtype)
    b, one = code.freeze(kind, b), code.number(kind, 1)
    if not dtype.is_signed:
        safe = code.intrinsic("umax", kind, b, one)
        found = code.op("urem" if remainder else "udiv", kind, a, safe)
        zero = code.number(kind, 0)
        return code.select(kind, code.icmp("eq", kind, b, zero), zero, found)
    # 0 and -1 plus 1 are 1 and 0.
    traps = code.icmp("ult", kind, code.op("add", kind, b, one), code.number(kind, 2))
    safe = code.select(kind, traps, one, b)
    if remainder:
        return _floored_rest(code, kind, a, safe)  # by 1, nothing is left
    quotient = _floored_quotient(code, kind, a, safe)
    # By 0 and by -1, the product is what is wanted.
    return code.select(kind, traps, code.op("mul", kind, a, b), quotient)


def divide_by_constant(
    code: Code, dtype: DType, a: Operand, divisor: int, remainder: bool
) -> Operand:
    """By neither 0 nor -1. LLVM makes a multiplication of it."""
    kind = register(dtype)
    by = code.number(kind, divisor)
    if not dtype.is_signed:
        return code.op("urem" if remainder else "udiv", kind, a, by)
    if remainder:
        return _floored_rest(code, kind, a, by)
    if divisor < 0:
        return _floored_quotient(code, kind, a, by)
    # ~(~a // d) is a // d; the one of the two that is not negative is divided.
    sign = code.op("ashr", kind, a, code.number(kind, dtype.bits - 1))
    size = code.op("xor", kind, a, sign)
    return code.op("xor", kind, code.op("sdiv", kind, size, by), sign)


def _floored_quotient(code: Code, kind: str, a: Operand, b: Operand) -> Operand:
    quotient = code.op("sdiv", kind, a, b)
    rest = code.op("sub", kind, a, code.op("mul", kind, quotient, b))
    below = code.convert("sext", "i1", opposed(code, kind, rest, b), kind)
    return code.op("add", kind, quotient, below)


def _floored_rest(code: Code, kind: str, a: Operand, b: Operand) -> Operand:
    rest = code.op("srem", kind, a, b)
    return code.select(kind, opposed(code, kind, rest, b), code.op("add", kind, rest, b), rest)


def opposed(code: Code, kind: str, rest: Operand, b: Operand) -> Operand:
    """Whether there is a rest, of another sign than the divisor: then the quotient is too great."""
    zero = code.number(kind, 0)
    differ = code.icmp("slt", kind, code.op("xor", kind, rest, b), zero)
    return code.op("and", "i1", differ, code.icmp("ne", kind, rest, zero))
