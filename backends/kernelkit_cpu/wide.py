"""Integers of 64 bits, and of 32 without sign, to and from float64.

Holds: vectors of x86 before AVX-512 have no instruction for these; there a number is taken in halves
of 32 bits, each of which is the last bits of a great power of two.
"""

from __future__ import annotations

from kernelkit_cpu.instructions import Code
from kernelkit_cpu.rounding import rounded
from kernelkit_cpu.text import Operand

#: Added to an integer below 2**51 in size, it makes that the last bits of the sum.
_MAGIC = 1.5 * 2.0**52
_MAGIC_BITS = 0x43380000_00000000


def by_halves(code: Code) -> bool:
    """Whether vectors lack the instructions, but have what it takes to do without."""
    has = code.target.has
    return code.target.is_x86 and code.lanes > 1 and has("sse4.1") and not has("avx512dq")


def double_of_wide(code: Code, signed: bool, x: Operand) -> Operand:
    """An i64 as a double, rounded once."""
    if not by_halves(code):
        return code.convert("sitofp" if signed else "uitofp", "i64", x, "double")
    high = code.op("lshr", "i64", x, code.number("i64", 32))
    high = code.op("xor", "i64", high, code.number("i64", 0x45300000_00000000 | signed << 31))
    low = code.op("and", "i64", x, code.number("i64", 0xFFFFFFFF))
    low = code.op("or", "i64", low, code.number("i64", 0x43300000_00000000))
    upper, lower = (code.convert("bitcast", "i64", each, "double") for each in (high, low))
    # Taking the powers of two away again is exact, and done before anything is rounded.
    powers = 2.0**84 + 2.0**52 + (2.0**63 if signed else 0.0)
    upper = code.op("fsub", "double", upper, code.number("double", powers))
    return code.op("fadd", "double", upper, lower)


def wide_of_double(code: Code, signed: bool, x: Operand) -> Operand:
    """x without its fraction as an i64, or as one without sign; poison or anything where it does
    not fit."""
    if not by_halves(code):
        return code.convert("fptosi" if signed else "fptoui", "double", x, "i64")
    whole = rounded(code, "trunc", "double", x)
    shifted = code.op("fmul", "double", whole, code.number("double", 2.0**-32))
    high = rounded(code, "floor", "double", shifted)
    free = code.free()  # all of this is exact
    low = free.fsub("double", whole, free.fmul("double", high, code.number("double", 2.0**32)))
    upper, lower = (_with_magic(code, half) for half in (high, low))
    upper = code.op("shl", "i64", upper, code.number("i64", 32))
    lower = code.op("and", "i64", lower, code.number("i64", 0xFFFFFFFF))
    return code.op("or", "i64", upper, lower)


def double_of_small(code: Code, x: Operand) -> Operand:
    """An i64 below 2**51 in size as a double, exactly; anything beyond."""
    if not by_halves(code):
        return code.convert("sitofp", "i64", x, "double")
    bits = code.op("add", "i64", x, code.number("i64", _MAGIC_BITS))
    moved = code.convert("bitcast", "i64", bits, "double")
    return code.op("fsub", "double", moved, code.number("double", _MAGIC))


def nearest(code: Code, x: Operand) -> Operand:
    """The integer nearest to x as an i64, for |x| < 2**51; anything beyond."""
    return code.op("sub", "i64", _with_magic(code, x), code.number("i64", _MAGIC_BITS))


def word_of_double(code: Code, x: Operand) -> Operand:
    """An integer from 0 to 2**32 - 1 as an i32 without sign; poison or anything beyond."""
    if not code.target.is_x86 or code.lanes < 2 or code.target.has("avx512f"):
        return code.convert("fptoui", "double", x, "i32")
    return code.convert("trunc", "i64", _with_magic(code, x), "i32")


def _with_magic(code: Code, x: Operand) -> Operand:
    moved = code.op("fadd", "double", x, code.number("double", _MAGIC))
    return code.convert("bitcast", "double", moved, "i64")
