"""fmod, and Python's // and % of float32 and float64 as NumPy computes them.

Holds: remainders are exact. Vectors divide once where the quotient is small enough for that to be
exact, as it mostly is, and leave the others to libm.
"""

from __future__ import annotations

from typing import Final

from kernelkit_cpu import libm
from kernelkit_cpu.instructions import Code
from kernelkit_cpu.rounding import rounded
from kernelkit_cpu.text import Operand

#: Quotients below these are good. In float32 the product of one with b is a double.
_LIMITS: Final = {"float": 2.0**29, "double": 2.0**52}


def fmod(code: Code, kind: str, a: Operand, b: Operand) -> Operand:
    """What a truncated division leaves, with the sign of a."""
    if code.lanes < 2 or (kind == "double" and not (code.target.is_arm or code.target.has("fma"))):
        return libm.call(code, "fmod", kind, a, b)
    code = code.exact()
    a, b = code.freeze(kind, a), code.freeze(kind, b)  # branching on poison is undefined
    x, y = (code.convert("fpext", kind, each, "double") if kind == "float" else each
            for each in (a, b))  # fmt: skip
    quotient = rounded(code, "trunc", "double", code.op("fdiv", "double", x, y))
    size = code.intrinsic("fabs", "double", quotient)
    great = code.fcmp("oge", "double", size, code.number("double", _LIMITS[kind]))
    return code.branched(
        kind,
        code.any_lane(great),
        lambda: libm.call(code, "fmod", kind, a, b, cold=True),
        lambda: _left_over(code, kind, (a, b), (x, y), quotient),
    )


def _left_over(
    code: Code, kind: str, given: tuple[Operand, Operand], wide: tuple[Operand, Operand],
    quotient: Operand,
) -> Operand:  # fmt: skip
    (a, b), (x, y) = given, wide
    if kind == "float":
        product = code.op("fmul", "double", quotient, y)
        rest = code.convert("fptrunc", "double", code.op("fsub", "double", x, product), kind)
    else:
        rest = code.intrinsic("fma", kind, code.op("fneg", kind, quotient), b, a)
        # The quotient may have been rounded up to an integer: one b too much was taken away.
        signed_b = code.intrinsic("copysign", kind, b, a)
        back = code.op("fadd", kind, rest, signed_b)
        zero = code.number(kind, 0.0)
        differ = code.op("xor", "i1", code.fcmp("olt", kind, rest, zero),
                         code.fcmp("olt", kind, a, zero))  # fmt: skip
        missing = code.op("and", "i1", differ, code.fcmp("one", kind, rest, zero))
        rest = code.select(kind, missing, back, rest)
    # An infinite b times 0 is NaN.
    less = code.fcmp("olt", kind, *(code.intrinsic("fabs", kind, each) for each in (a, b)))
    return code.intrinsic("copysign", kind, code.select(kind, less, a, rest), a)


def floordiv(code: Code, kind: str, a: Operand, b: Operand) -> Operand:
    code = code.exact()
    zero, one = code.number(kind, 0.0), code.number(kind, 1.0)
    rest = fmod(code, kind, a, b)
    quotient = code.op("fdiv", kind, code.fsub(kind, a, rest), b)
    below = code.select(kind, _opposed(code, kind, rest, b), one, zero)
    quotient = code.fsub(kind, quotient, below)
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
    rest = fmod(code, kind, a, b)
    moved = code.fadd(kind, rest, b)
    moved = code.select(kind, _opposed(code, kind, rest, b), moved, rest)
    zero = code.number(kind, 0.0)
    nothing = code.intrinsic("copysign", kind, zero, b)
    return code.select(kind, code.fcmp("oeq", kind, rest, zero), nothing, moved)


def _opposed(code: Code, kind: str, rest: Operand, b: Operand) -> Operand:
    """Whether something is left, of another sign than the divisor."""
    zero = code.number(kind, 0.0)
    signs = (code.fcmp("olt", kind, each, zero) for each in (rest, b))
    return code.op("and", "i1", code.op("xor", "i1", *signs), code.fcmp("une", kind, rest, zero))
