"""Floor division and modulo of integers.

Holds: anything // 0 and % 0 is 0, the least value // -1 is itself; no lane traps, whatever it
holds: what the processor divides by is frozen and made 1 where it would not do. Vectors divide in
floating point, in a type where that is exact, since processors have no vector division of integers.
"""

from __future__ import annotations

from kernelkit.ir.types import DType
from kernelkit_cpu.instructions import Code, constant, width
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import register


def floordiv(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    kind = register(dtype)
    divisor = _constant(dtype, b)
    if divisor is not None:
        return _by_constant(code, dtype, a, divisor)
    if _in_floats(code, dtype):
        return _quotient_in_floats(code, dtype, a, b)
    return (
        _quotient(code, dtype, a, b, *_safe(code, dtype, b))
        if dtype.is_signed
        else (_or_zero(code, kind, b, code.op("udiv", kind, a, _safe(code, dtype, b)[0])))
    )


def mod(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    kind = register(dtype)
    divisor = _constant(dtype, b)
    if divisor is not None:
        return _mod_constant(code, dtype, a, divisor)
    if _in_floats(code, dtype):
        return _remainder_in_floats(code, dtype, a, b)
    safe = _safe(code, dtype, b)[0]
    if not dtype.is_signed:
        return _or_zero(code, kind, b, code.op("urem", kind, a, safe))
    rest = code.op("srem", kind, a, safe)
    # By 0 and by -1 it was divided by 1: the rest is 0.
    return code.select(kind, _crosses(code, kind, rest, safe), code.op("add", kind, rest, safe),
                       rest)  # fmt: skip


def _constant(dtype: DType, b: Operand) -> int | None:
    """A constant divisor as a number of the type: text may write a great unsigned one negative."""
    found = constant(b)
    if found is None:
        return None
    return (found - dtype.minimum) % (1 << dtype.bits) + dtype.minimum


# ---------------------------------------------------------------- by a constant
def _by_constant(code: Code, dtype: DType, a: Operand, divisor: int) -> Operand:
    kind = register(dtype)
    if divisor in (0, 1):
        return a if divisor else code.number(kind, 0)
    if divisor == -1:
        return code.op("sub", kind, code.number(kind, 0), a)
    if divisor > 0 and not divisor & (divisor - 1):
        shift = "ashr" if dtype.is_signed else "lshr"
        return code.op(shift, kind, a, code.number(kind, divisor.bit_length() - 1))
    by = code.number(kind, divisor)
    if not dtype.is_signed:
        return code.op("udiv", kind, a, by)
    if divisor < 0:
        return _quotient(code, dtype, a, by, by)
    # ~(~a // d) is a // d; the one of the two that is not negative is divided.
    sign = code.op("ashr", kind, a, code.number(kind, dtype.bits - 1))
    size = code.op("xor", kind, a, sign)
    return code.op("xor", kind, code.op("sdiv", kind, size, by), sign)


def _mod_constant(code: Code, dtype: DType, a: Operand, divisor: int) -> Operand:
    kind = register(dtype)
    if divisor in (0, 1, -1):
        return code.number(kind, 0)
    if divisor > 0 and not divisor & (divisor - 1):
        return code.op("and", kind, a, code.number(kind, divisor - 1))
    by = code.number(kind, divisor)
    if not dtype.is_signed:
        return code.op("urem", kind, a, by)
    rest = code.op("srem", kind, a, by)
    return code.select(kind, _crosses(code, kind, rest, by), code.op("add", kind, rest, by), rest)


# ---------------------------------------------------------------- by the processor's division
def _safe(code: Code, dtype: DType, b: Operand) -> tuple[Operand, Operand]:
    """The divisor, 1 where it would trap; and the frozen one."""
    kind = register(dtype)
    frozen = code.freeze(kind, b)
    one = code.number(kind, 1)
    if not dtype.is_signed:
        return code.intrinsic("umax", kind, frozen, one), frozen
    # 0 and -1: b + 1 is 1 or 0.
    above = code.op("add", kind, frozen, one)
    traps = code.icmp("ult", kind, above, code.number(kind, 2))
    return code.select(kind, traps, one, frozen), frozen


def _quotient(code: Code, dtype: DType, a: Operand, b: Operand, safe: Operand,
              frozen: Operand | None = None) -> Operand:  # fmt: skip
    """Signed. `frozen` is None where `safe` is the divisor itself."""
    kind = register(dtype)
    quotient = code.op("sdiv", kind, a, safe)
    rest = code.op("sub", kind, a, code.op("mul", kind, quotient, safe))
    crosses = _crosses(code, kind, rest, safe)
    less = code.convert("sext", "i1", crosses, kind)
    quotient = code.op("add", kind, quotient, less)
    if frozen is None:
        return quotient
    # By 0 and -1 it was divided by 1: a * b is what is wanted of both.
    special = code.icmp("ne", kind, safe, frozen)
    return code.select(kind, special, code.op("mul", kind, a, frozen), quotient)


def _crosses(code: Code, kind: str, rest: Operand, divisor: Operand) -> Operand:
    """Whether a truncated division went up: there is a rest, of another sign than the divisor."""
    zero = code.number(kind, 0)
    differ = code.icmp("slt", kind, code.op("xor", kind, rest, divisor), zero)
    return code.op("and", "i1", differ, code.icmp("ne", kind, rest, zero))


def _or_zero(code: Code, kind: str, b: Operand, result: Operand) -> Operand:
    """0 where the divisor is 0."""
    zero = code.number(kind, 0)
    return code.select(kind, code.icmp("eq", kind, b, zero), zero, result)


# ---------------------------------------------------------------- in floating point
def _in_floats(code: Code, dtype: DType) -> bool:
    return code.lanes > 1 and dtype.bits <= 32


def _floored(
    code: Code, dtype: DType, a: Operand, b: Operand
) -> tuple[str, Operand, Operand, Operand]:
    """(float type, a, b, a // b) in floats. b is not 0.

    (a + h) * (1 / b), h being a half with the sign of b, is at least 1 / 2b away from an integer;
    three roundings move it by less, as the float type has 7 bits more than a.
    """
    kind, real = register(dtype), "double" if dtype.bits == 32 else "float"
    to_float = "sitofp" if dtype.is_signed else "uitofp"
    x, y = (code.convert(to_float, kind, each, real) for each in (a, b))
    half = code.number(real, 0.5)
    if dtype.is_signed:
        half = code.intrinsic("copysign", real, half, y)
    reciprocal = code.op("fdiv", real, code.number(real, 1.0), y)
    quotient = code.op("fmul", real, code.op("fadd", real, x, half), reciprocal)
    return real, x, y, code.intrinsic("floor", real, quotient)


def _quotient_in_floats(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    kind = register(dtype)
    real, _, _, quotient = _floored(code, dtype, a, b)
    if not dtype.is_signed:
        return _or_zero(code, kind, b, code.convert("fptoui", real, quotient, kind))
    # What does not fit an i32 is poison, and not taken.
    result = code.resized("i32", code.convert("fptosi", real, quotient, "i32"), kind, True)
    return _or_zero(code, kind, b, _unless_minus_one(code, kind, a, b, result))


def _unless_minus_one(code: Code, kind: str, a: Operand, b: Operand, result: Operand) -> Operand:
    if width(kind) < 32:
        return result
    negated = code.op("sub", kind, code.number(kind, 0), a)
    return code.select(kind, code.icmp("eq", kind, b, code.number(kind, -1)), negated, result)


def _remainder_in_floats(code: Code, dtype: DType, a: Operand, b: Operand) -> Operand:
    kind = register(dtype)
    real, x, y, quotient = _floored(code, dtype, a, b)
    rest = code.op("fsub", real, x, code.op("fmul", real, quotient, y))
    back = "fptosi" if dtype.is_signed else "fptoui"
    return _or_zero(code, kind, b, code.convert(back, real, rest, kind))
