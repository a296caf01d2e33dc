"""The functions of the scalar table.

In: a function's name, the type of its first operand, operands. Out: the result's registers.
Holds: float16 computes in float32 and rounds; what is no instruction and no short sequence of them
is libm's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from kernelkit.ir.types import DType
from kernelkit_cpu import complexes, floats, integers, libm
from kernelkit_cpu.floatbits import frexp_exponent, frexp_mantissa, ldexp, nextafter
from kernelkit_cpu.halves import narrow, widen
from kernelkit_cpu.hypotenuse import hypot
from kernelkit_cpu.instructions import Code
from kernelkit_cpu.remainders import fmod
from kernelkit_cpu.rounding import by_addition, rounded
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import Parts, register

#: Functions that take a value for its bits, and the type of the result.
_BITS_AS: Final = {
    "float_as_int": "i32", "int_as_float": "float",
    "double_as_longlong": "i64", "longlong_as_double": "double",
}  # fmt: skip
#: Functions that round to integers.
_INTEGRAL: Final = {
    "floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "round", "modf_integer": "trunc",
}  # fmt: skip
#: A function of float32 or float64: where, LLVM's type, operands.
Real = Callable[..., Operand]


def intrinsic(code: Code, name: str, operands: Sequence[DType], args: Sequence[Parts]) -> Parts:
    dtype = operands[0]
    if name == "uniform":
        return args[0]
    if name == "selp":
        kind = register(operands[1])
        return tuple(
            code.select(kind, args[0][0], a, b) for a, b in zip(args[1], args[2], strict=True)
        )
    if name in ("real", "imag"):
        return (args[0][name == "imag"],)
    if name == "conj":
        return complexes.conjugate(code, register(dtype), args[0])
    singles = [each[0] for each in args]
    if name == "complex":
        return tuple(singles)
    if name in _BITS_AS:
        return (code.convert("bitcast", register(dtype), singles[0], _BITS_AS[name]),)
    if dtype.is_integer:
        return (_of_integers(code, name, dtype, singles),)
    return (_of_floats(code, name, register(dtype), singles),)


def _of_integers(code: Code, name: str, dtype: DType, args: Sequence[Operand]) -> Operand:
    if name in ("fmin", "fmax"):
        return integers.binary(code, name[1:], dtype, *args)
    if name == "brev":
        return code.intrinsic("bitreverse", register(dtype), args[0])
    return integers.count(code, name, dtype, args[0])


def _of_floats(code: Code, name: str, kind: str, args: Sequence[Operand]) -> Operand:
    if name in _ON_BITS:
        return _ON_BITS[name](code, kind, *args)
    function = _FUNCTIONS.get(name)
    if kind != "half":
        if function is None:
            return libm.call(code, name, kind, *args)
        return function(code, kind, *args)
    # The exponent of ldexp is an integer.
    wide = [widen(code, args[0]), *args[1:]]
    if name in _INTEGRAL:
        return narrow(code, by_addition(code, _INTEGRAL[name], "float", wide[0]))
    if name != "ldexp":
        wide[1:] = [widen(code, each) for each in args[1:]]
    return narrow(code, _of_floats(code, name, "float", wide))


# ---------------------------------------------------------------- on any float, by its bits
def _copysign(code: Code, kind: str, a: Operand, b: Operand) -> Operand:
    if kind != "half":
        return code.intrinsic("copysign", kind, a, b)
    size, sign = (floats.bits_of(code, kind, each) for each in (a, b))
    size = code.op("and", "i16", size, code.number("i16", 0x7FFF))
    sign = code.op("and", "i16", sign, code.number("i16", -0x8000))
    return code.convert("bitcast", "i16", code.op("or", "i16", size, sign), "half")


def _classified(predicate: str) -> Real:
    """A comparison of |x| with infinity."""

    def test(code: Code, kind: str, a: Operand) -> Operand:
        if kind == "half":
            a, kind = widen(code, a), "float"
        infinity = code.number(kind, math.inf)
        return code.fcmp(predicate, kind, code.intrinsic("fabs", kind, a), infinity)

    return test


_ON_BITS: Final[dict[str, Real]] = {
    "fabs": floats.absolute,
    "copysign": _copysign,
    "nextafter": nextafter,
    "frexp_exponent": frexp_exponent,
    "frexp_mantissa": frexp_mantissa,
    "isnan": _classified("uno"),
    "isinf": _classified("oeq"),
    "isfinite": _classified("olt"),
    "fmin": lambda code, kind, a, b: floats.fmin(code, kind, a, b, True),
    "fmax": lambda code, kind, a, b: floats.fmin(code, kind, a, b, False),
}


# ---------------------------------------------------------------- of float32 and float64
def _rounding(name: str) -> Real:
    return lambda code, kind, x: rounded(code, name, kind, x)


def _times(factor: float) -> Real:
    return lambda code, kind, x: code.op("fmul", kind, x, code.number(kind, factor))


def _rsqrt(code: Code, kind: str, x: Operand) -> Operand:
    return code.op("fdiv", kind, code.number(kind, 1.0), code.intrinsic("sqrt", kind, x))


def _modf_fraction(code: Code, kind: str, x: Operand) -> Operand:
    fraction = code.op("fsub", kind, x, rounded(code, "trunc", kind, x))
    infinite = _classified("oeq")(code, kind, x)
    fraction = code.select(kind, infinite, code.number(kind, 0.0), fraction)
    return code.intrinsic("copysign", kind, fraction, x)


_FUNCTIONS: Final[dict[str, Real]] = {
    "sqrt": lambda code, kind, x: code.intrinsic("sqrt", kind, x),
    "fma": lambda code, kind, a, b, c: code.intrinsic("fma", kind, a, b, c),
    "rsqrt": _rsqrt,
    "degrees": _times(180.0 / math.pi),
    "radians": _times(math.pi / 180.0),
    "modf_fraction": _modf_fraction,
    "fmod": fmod,
    "ldexp": ldexp,
    "hypot": hypot,
    **{name: _rounding(way) for name, way in _INTEGRAL.items()},
}
