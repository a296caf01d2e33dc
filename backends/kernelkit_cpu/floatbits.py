"""frexp, ldexp and nextafter: functions that take floats apart.

In: any float type by its LLVM name. Holds: results are exact, and rounded once where they cannot be.
"""

from __future__ import annotations

import math
from typing import Final

from kernelkit_cpu.halves import narrow, widen
from kernelkit_cpu.instructions import Code, same_bits, width
from kernelkit_cpu.text import Operand

#: Bits of the fraction, and the bias of the exponent.
_FORMATS: Final = {"half": (10, 15), "float": (23, 127), "double": (52, 1023)}


def _taken_apart(code: Code, kind: str, x: Operand) -> tuple[Operand, Operand, Operand]:
    """Of float32 or float64: (bits of x, or of x scaled up where it is denormal; exponent as frexp
    gives it; whether x has one: it is no zero, infinity or NaN)."""
    fraction, bias = _FORMATS[kind]
    bits = same_bits(kind)
    size = code.intrinsic("fabs", kind, x)
    tiny = code.fcmp("olt", kind, size, code.number(kind, math.ldexp(1.0, 1 - bias)))
    scaled = code.op("fmul", kind, x, code.number(kind, 2.0 ** (fraction + 1)))
    found = code.convert("bitcast", kind, code.select(kind, tiny, scaled, x), bits)
    exponent = code.op("lshr", bits, found, code.number(bits, fraction))
    exponent = code.op("and", bits, exponent, code.number(bits, 2 * bias + 1))
    offset = code.select(
        bits, tiny, code.number(bits, bias + fraction), code.number(bits, bias - 1)
    )
    exponent = code.op("sub", bits, exponent, offset)
    finite = code.fcmp("olt", kind, size, code.number(kind, math.inf))
    nonzero = code.fcmp("one", kind, size, code.number(kind, 0.0))
    return found, exponent, code.op("and", "i1", finite, nonzero)


def frexp_mantissa(code: Code, kind: str, x: Operand) -> Operand:
    if kind == "half":
        return narrow(code, frexp_mantissa(code, "float", widen(code, x)))
    fraction, bias = _FORMATS[kind]
    bits = same_bits(kind)
    found, _, regular = _taken_apart(code, kind, x)
    kept = code.number(bits, ~((2 * bias + 1) << fraction))
    one_half = code.number(bits, (bias - 1) << fraction)
    mantissa = code.op("or", bits, code.op("and", bits, found, kept), one_half)
    return code.select(kind, regular, code.convert("bitcast", bits, mantissa, kind), x)


def frexp_exponent(code: Code, kind: str, x: Operand) -> Operand:
    """An int32; 0 for what has none."""
    if kind == "half":
        return frexp_exponent(code, "float", widen(code, x))
    bits = same_bits(kind)
    _, exponent, regular = _taken_apart(code, kind, x)
    exponent = code.resized(bits, exponent, "i32", True)
    return code.select("i32", regular, exponent, code.number("i32", 0))


def ldexp(code: Code, kind: str, x: Operand, n: Operand) -> Operand:
    """x * 2**n for an i64 n. float32 multiplies in double, where nothing is lost, and rounds."""
    reach = 300 if kind == "float" else 2200
    n = code.intrinsic("smax", "i64", n, code.number("i64", -reach))
    n = code.intrinsic("smin", "i64", n, code.number("i64", reach))
    if kind == "float":
        wide = code.convert("fpext", "float", x, "double")
        product = code.op("fmul", "double", wide, _power_of_two(code, n))
        return code.convert("fptrunc", "double", product, "float")
    for _ in range(2):
        x, n = _step_down(code, *_step_up(code, x, n))
    return code.op("fmul", "double", x, _power_of_two(code, n))


def _step_up(code: Code, x: Operand, n: Operand) -> tuple[Operand, Operand]:
    return _step(code, x, n, "sgt", 1023, 2.0**1023, -1023)


def _step_down(code: Code, x: Operand, n: Operand) -> tuple[Operand, Operand]:
    """What stays to be multiplied is below 2**-53 then: only that can make a denormal, and round."""
    return _step(code, x, n, "slt", -1022, 2.0**-969, 969)


def _step(
    code: Code, x: Operand, n: Operand, predicate: str, limit: int, factor: float, change: int
) -> tuple[Operand, Operand]:
    far = code.icmp(predicate, "i64", n, code.number("i64", limit))
    by = code.select("double", far, code.number("double", factor), code.number("double", 1.0))
    less = code.select("i64", far, code.number("i64", change), code.number("i64", 0))
    return code.op("fmul", "double", x, by), code.op("add", "i64", n, less)


def _power_of_two(code: Code, n: Operand) -> Operand:
    """2.0**n for -1022 <= n <= 1023."""
    biased = code.op("add", "i64", n, code.number("i64", 1023))
    bits = code.op("shl", "i64", biased, code.number("i64", 52))
    return code.convert("bitcast", "i64", bits, "double")


def nextafter(code: Code, kind: str, x: Operand, y: Operand) -> Operand:
    """One step in the order of bits: away from zero, or towards it."""
    bits = same_bits(kind)
    a, b, real = (x, y, kind) if kind != "half" else (widen(code, x), widen(code, y), "float")
    zero = code.number(real, 0.0)
    found = code.convert("bitcast", kind, x, bits)
    # Away from zero where x < y and x > 0, or x > y and x < 0.
    outward = code.op("xor", "i1", code.fcmp("olt", real, a, b), code.fcmp("olt", real, a, zero))
    step = code.select(bits, outward, code.number(bits, 1), code.number(bits, -1))
    moved = code.op("add", bits, found, step)
    top = -1 << (width(kind) - 1)
    sign = code.op("and", bits, code.convert("bitcast", kind, y, bits), code.number(bits, top))
    least = code.op("or", bits, sign, code.number(bits, 1))
    moved = code.select(bits, code.fcmp("oeq", real, a, zero), least, moved)
    result = code.select(kind, code.fcmp("oeq", real, a, b), y,
                         code.convert("bitcast", bits, moved, kind))  # fmt: skip
    unordered = code.fcmp("uno", real, a, b)
    return code.select(kind, unordered, code.number(kind, math.nan), result)
