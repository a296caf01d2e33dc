"""Floor division and modulo of vectors of integers, in floating point.

Holds: where b is 0 the result is anything, maybe poison; else it is exact. (a + h) * (1 / b), h being
a half with the sign of b, is at least 1 / 2b away from any integer, and three roundings move it by
less while the float type has some bits more than a. So its floor is a // b. What depends on b alone
can leave a loop in which b does not change.
"""

from __future__ import annotations

from typing import Final

from kernelkit.ir.types import DType
from kernelkit_cpu import processor_division
from kernelkit_cpu.instructions import Code, constant
from kernelkit_cpu.rounding import rounded
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import register
from kernelkit_cpu.wide import (
    by_halves,
    double_of_small,
    double_of_wide,
    nearest,
    wide_of_double,
    word_of_double,
)

#: Up to here, in size, doubles have those bits more.
_SMALL: Final = 1 << 50


def takes(code: Code) -> bool:
    """Whether integers up to 32 bits are divided here."""
    return code.lanes > 1


def divide(code: Code, dtype: DType, a: Operand, b: Operand, remainder: bool) -> Operand:
    """a // b or a % b of up to 32 bits: in float64, or in float32 up to 16."""
    kind, real = register(dtype), "double" if dtype.bits == 32 else "float"
    to_float = "sitofp" if dtype.is_signed else "uitofp"
    x, y = (code.convert(to_float, kind, each, real) for each in (a, b))
    found = _floored(code, real, x, y, remainder, dtype.is_signed)
    if kind == "i32" and not dtype.is_signed:
        return word_of_double(code, found)
    found = code.convert("fptosi", real, found, "i32")
    if kind == "i32" and not remainder:
        # The least value by -1 does not fit, and is poison.
        negated = code.op("sub", kind, code.number(kind, 0), a)
        minus_one = code.icmp("eq", kind, b, code.number(kind, -1))
        return code.select(kind, minus_one, negated, found)
    return code.resized("i32", found, kind, False)


def _floored(
    code: Code, real: str, x: Operand, y: Operand, remainder: bool, signed: bool
) -> Operand:
    half = code.number(real, 0.5)
    if signed:
        half = code.intrinsic("copysign", real, half, y)
    reciprocal = code.op("fdiv", real, code.number(real, 1.0), y)
    moved = code.op("fadd", real, x, half)
    quotient = rounded(code, "floor", real, code.op("fmul", real, moved, reciprocal))
    if not remainder:
        return quotient
    free = code.free()  # products of whole numbers are exact
    return free.fsub(real, x, free.fmul(real, quotient, y))


# ---------------------------------------------------------------- 64 bits
def takes_wide(code: Code, divisor: int = 1) -> bool:
    """Whether integers of 64 bits are divided here (by a constant)."""
    fast = code.target.is_arm or code.target.has("avx2")
    return fast and code.lanes > 1 and abs(divisor) <= _SMALL


def divide_wide(code: Code, dtype: DType, a: Operand, b: Operand, remainder: bool) -> Operand:
    """a // b or a % b of 64 bits. Lanes are small together, as most are, or go another way."""
    a, b = code.freeze("i64", a), code.freeze("i64", b)  # branching on poison is undefined
    name = f"{'mod' if remainder else 'floordiv'}.{dtype}"

    def great() -> Operand:
        def body(inner: Code) -> None:
            _of_great(inner, dtype, remainder)

        return code.internal(name, "i64", (a, b), body, cold=True)

    def small() -> Operand:
        x, y = (double_of_small(code, each) for each in (a, b))
        return nearest(code, _floored(code, "double", x, y, remainder, dtype.is_signed))

    return code.branched("i64", _some_great(code, dtype.is_signed, a, b), great, small)


def _some_great(code: Code, signed: bool, a: Operand, b: Operand) -> Operand:
    """Whether some number in some lane is above 2**50, or below -2**50."""
    known = [constant(each) for each in (a, b)]
    if any(each is not None and abs(each) > _SMALL for each in known):
        return "true"
    found = [each for each, value in zip((a, b), known, strict=True) if value is None]
    if not found:
        return "false"
    if signed:
        found = [code.op("add", "i64", each, code.number("i64", _SMALL)) for each in found]
    joined = found[0] if len(found) == 1 else code.op("or", "i64", *found)
    high = code.number("i64", -2 * _SMALL if signed else -_SMALL)
    return code.any_bit("i64", code.op("and", "i64", joined, high))


def _of_great(code: Code, dtype: DType, remainder: bool) -> None:
    """The body of a function of %a0 and %a1."""
    if dtype.is_signed and code.target.is_x86 and not by_halves(code):
        found = _in_two_steps(code, "%a0", "%a1", remainder)
    else:
        found = processor_division.divide(code, dtype, "%a0", "%a1", remainder)
    code.text.finish(f"ret {code.kind('i64')} {found}")


def _in_two_steps(code: Code, a: Operand, b: Operand, remainder: bool) -> Operand:
    """Signed. In doubles the quotient is good to some 2**-51 of its size and the half that it is
    rounded by, so that what it leaves of a is below b / 2 + 2**13; another step on that leaves about
    b / 2 at the most, maybe of the wrong sign. Integers wrap on the way, and what is left is exact.
    """
    x, y = (double_of_wide(code, True, each) for each in (a, b))
    reciprocal = code.op("fdiv", "double", code.number("double", 1.0), y)
    quotient = rounded(code, "round", "double", code.op("fmul", "double", x, reciprocal))
    # 2**63, by 1 or -1 only, does not fit; the second step makes up for less.
    limit = code.number("double", 2.0**63 - 1024)
    below = code.fcmp("olt", "double", quotient, limit)
    first = wide_of_double(code, True, code.select("double", below, quotient, limit))
    rest = code.op("sub", "i64", a, code.op("mul", "i64", first, b))
    left = code.op("fmul", "double", double_of_wide(code, True, rest), reciprocal)
    second = nearest(code, left)
    rest = code.op("sub", "i64", rest, code.op("mul", "i64", second, b))
    opposed = processor_division.opposed(code, "i64", rest, b)
    if remainder:
        return code.select("i64", opposed, code.op("add", "i64", rest, b), rest)
    whole = code.op("add", "i64", first, second)
    lower = code.op("add", "i64", whole, code.number("i64", -1))
    return code.select("i64", opposed, lower, whole)
