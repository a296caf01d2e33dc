"""fmod, and Python's // and % of float32 and float64 as NumPy computes them."""

from __future__ import annotations

from kernelkit_cpu import libm
from kernelkit_cpu.instructions import Code
from kernelkit_cpu.rounding import rounded
from kernelkit_cpu.text import Operand


def fmod(code: Code, kind: str, a: Operand, b: Operand) -> Operand:
    """The exact remainder of a truncated division, with the sign of a."""
    return libm.call(code, "fmod", kind, a, b)


def floordiv(code: Code, kind: str, a: Operand, b: Operand) -> Operand:
    code = code.exact()
    zero, one = code.number(kind, 0.0), code.number(kind, 1.0)
    rest = fmod(code, kind, a, b)
    quotient = code.op("fdiv", kind, code.fsub(kind, a, rest), b)
    lower = code.select(kind, _crosses(code, kind, rest, b), one, zero)
    quotient = code.fsub(kind, quotient, lower)
    floor = rounded(code, "floor", kind, quotient)
    # The quotient is nearly an integer: take the nearest.
    above = code.fcmp("ogt", kind, code.fsub(kind, quotient, floor), code.number(kind, 0.5))
    floor = code.fadd(kind, floor, code.select(kind, above, one, zero))
    direct = code.op("fdiv", kind, a, b)
    nothing = code.intrinsic("copysign", kind, zero, direct)
    result = code.select(kind, code.fcmp("oeq", kind, quotient, zero), nothing, floor)
    return code.select(kind, code.fcmp("oeq", kind, b, zero), direct, result)


def mod(code: Code, kind: str, a: Operand, b: Operand) -> Operand:
    code = code.exact()
    zero = code.number(kind, 0.0)
    rest = fmod(code, kind, a, b)
    moved = code.select(kind, _crosses(code, kind, rest, b), code.fadd(kind, rest, b), rest)
    nothing = code.intrinsic("copysign", kind, zero, b)
    return code.select(kind, code.fcmp("oeq", kind, rest, zero), nothing, moved)


def _crosses(code: Code, kind: str, rest: Operand, b: Operand) -> Operand:
    """Whether there is a rest, of another sign than the divisor."""
    zero = code.number(kind, 0.0)
    differ = code.op(
        "xor", "i1", code.fcmp("olt", kind, rest, zero), code.fcmp("olt", kind, b, zero)
    )
    return code.op("and", "i1", differ, code.fcmp("une", kind, rest, zero))
