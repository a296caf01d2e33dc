"""The functions of the scalar table in C.

In: a function's name, the types of its operands, operands. Out: an expression of the result's type.
Holds: float16 computes in float32 and rounds; what takes floats apart works on their bits, and what
is left is the dialect's own function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from kernelkit.emit.cstyle import complexes, integers
from kernelkit.emit.cstyle.casts import half_bits, half_value, rounded_to_half
from kernelkit.emit.cstyle.code import Code, computed, register, short
from kernelkit.emit.cstyle.floats import fmin
from kernelkit.emit.cstyle.literals import complex_maker, literal
from kernelkit.ir.types import COMPLEX64, COMPLEX128, FLOAT16, FLOAT32, FLOAT64, DType

#: Bits of the fraction, and the bias of the exponent.
_FORMATS: Final = {FLOAT32: (23, 127), FLOAT64: (52, 1023)}
#: Functions that give float16 exactly, computed in float32.
_EXACT: Final = (
    "floor", "ceil", "trunc", "round", "fabs", "copysign", "fmod", "remainder",
    "modf_integer", "modf_fraction", "frexp_mantissa", "frexp_exponent", "isnan", "isinf",
    "isfinite", "fmin", "fmax", "nextafter",
)  # fmt: skip
Maker = Callable[[Code, DType, Sequence[str]], str]


def function(code: Code, name: str, operands: Sequence[DType], args: Sequence[str]) -> str:
    dtype = operands[0]
    if name == "uniform":
        return args[0]
    if name == "selp":
        return _chosen(operands[1], args)
    if name == "complex":
        made = COMPLEX64 if dtype == FLOAT32 else COMPLEX128
        return f"{complex_maker(code, made)}({', '.join(args)})"
    if dtype.is_complex:
        return complexes.function(code, name, dtype, args)
    if name in _REINTERPRETED:
        return _reinterpreted(code, name, args[0])
    if dtype.is_integer:
        return integers.function(code, name, dtype, args)
    return _of_floats(code, name, dtype, args)


def _of_floats(code: Code, name: str, dtype: DType, args: Sequence[str]) -> str:
    if name == "nextafter" and dtype == FLOAT16:
        return _nextafter_half(code, args)
    wide = computed(dtype)
    maker = _MAKERS.get(name)
    found = (maker or _named(name))(code, wide, args)
    return found if wide == dtype or name in _EXACT else rounded_to_half(code, found)


def _named(name: str) -> Maker:
    """The dialect's own function; in one of ours where its text has an operand twice."""

    def maker(code: Code, dtype: DType, args: Sequence[str]) -> str:
        if not code.repeats(name, dtype):
            return code.math(name, dtype, *args)
        kind, letters = short(dtype), "abc"[: len(args)]
        body = f"return {code.math(name, dtype, *letters)};"
        return code.call(f"{name}_{kind}", kind, [kind] * len(args), body, args)

    return maker


def _chosen(dtype: DType, args: Sequence[str]) -> str:
    text = f"({args[0]} ? {args[1]} : {args[2]})"
    narrow = dtype.bits < 32 and not dtype.is_float
    return f"(({register(dtype)}){text})" if narrow else text


# ---------------------------------------------------------------- bits as they are
#: The float type, and whether the result is that.
_REINTERPRETED: Final = {
    "float_as_int": (FLOAT32, False), "int_as_float": (FLOAT32, True),
    "double_as_longlong": (FLOAT64, False), "longlong_as_double": (FLOAT64, True),
}  # fmt: skip


def _reinterpreted(code: Code, name: str, arg: str) -> str:
    dtype, to_float = _REINTERPRETED[name]
    if to_float:
        return code.from_bits(dtype, f"(u{dtype.bits}){arg}")
    return f"((i{dtype.bits}){code.bits(dtype, arg)})"


# ---------------------------------------------------------------- what a float is
def _isnan(code: Code, dtype: DType, args: Sequence[str]) -> str:
    kind = short(dtype)
    return code.call(f"isnan_{kind}", "bool", [kind], "return a != a;", args)


def _compared_with_infinity(symbol: str) -> Maker:
    def maker(code: Code, dtype: DType, args: Sequence[str]) -> str:
        size = code.math("fabs", dtype, args[0])
        return f"({size} {symbol} {literal(code, dtype, math.inf)})"

    return maker


def _least_or_greatest(name: str) -> Maker:
    return lambda code, dtype, args: fmin(code, name, dtype, args[0], args[1])


def _times(factor: float) -> Maker:
    return lambda code, dtype, args: f"({args[0]} * {literal(code, dtype, factor)})"


def _gamma(code: Code, dtype: DType, args: Sequence[str]) -> str:
    """Far below zero it is a zero, whose sign libraries forget: that of the gamma function there."""
    kind, zero, half = short(dtype), literal(code, dtype, 0.0), literal(code, dtype, 0.5)
    whole = code.math("floor", dtype, "a")
    halved = code.math("floor", dtype, f"(whole * {half})")
    odd = f"whole * {half} != {halved}"
    body = f"""
{kind} found = {code.math("gamma", dtype, "a")}, whole = {whole};
return found == {zero} && a < {zero} ? ({odd} ? -{zero} : {zero}) : found;"""
    return code.call(f"gamma_{kind}", kind, [kind], body, args)


def _lgamma(code: Code, dtype: DType, args: Sequence[str]) -> str:
    """Between the poles libraries take two great numbers from each other, which loses more than the
    table allows. There gamma(x) is gamma(1 + d) by the product of x, x + 1 and so on up to d, the
    way from the nearest pole: all these are exact, and 1 + d nearly is."""
    kind, one, half = short(dtype), literal(code, dtype, 1.0), literal(code, dtype, 0.5)
    log = code.math("log", dtype, code.math("fabs", dtype, "product"))
    body = f"""
if (!(a < {literal(code, dtype, -0.5)} && a > {literal(code, dtype, -20.5)}))
    return {code.math("lgamma", dtype, "a")};
{kind} d = a - {code.math("round", dtype, "a")}, near = d + {one}, product = d;
for ({kind} factor = a; factor < d - {half}; factor += {one}) product *= factor;
return {code.math("lgamma", dtype, "near")} - {log};"""
    return code.call(f"lgamma_{kind}", kind, [kind], body, args, exact=True)


def _modf_fraction(code: Code, dtype: DType, args: Sequence[str]) -> str:
    kind, zero = short(dtype), literal(code, dtype, 0.0)
    infinite = _compared_with_infinity("==")(code, dtype, ["a"])
    fraction = f"{infinite} ? {zero} : a - {code.math('trunc', dtype, 'a')}"
    body = f"return {code.math('copysign', dtype, f'({fraction})', 'a')};"
    return code.call(f"modf_fraction_{kind}", kind, [kind], body, args)


# ---------------------------------------------------------------- floats taken apart
def _regular(code: Code, dtype: DType) -> tuple[str, str]:
    """(Whether x has an exponent, a body that finds its bits, scaled up where it is denormal)."""
    fraction, bias = _FORMATS[dtype]
    size, kind, zero = code.math("fabs", dtype, "a"), short(dtype), literal(code, dtype, 0.0)
    least = literal(code, dtype, math.ldexp(1.0, 1 - bias))
    scale = literal(code, dtype, 2.0 ** (fraction + 1))
    scaled = code.bits(dtype, "scaled")
    body = f"""
{kind} size = {size};
bool tiny = size < {least};
{kind} scaled = tiny ? a * {scale} : a;
u{dtype.bits} bits = {scaled};"""
    return f"size > {zero} && size < {literal(code, dtype, math.inf)}", body


def _frexp_mantissa(code: Code, dtype: DType, args: Sequence[str]) -> str:
    fraction, bias = _FORMATS[dtype]
    regular, body = _regular(code, dtype)
    kind, end = short(dtype), code.spelling.suffixes[f"u{dtype.bits}"]
    mask = (1 << dtype.bits) - 1 - ((2 * bias + 1) << fraction)
    mantissa = f"(bits & {mask:#x}{end}) | {(bias - 1) << fraction:#x}{end}"
    body += f"\nreturn {regular} ? {code.from_bits(dtype, mantissa)} : a;"
    return code.call(f"frexp_mantissa_{kind}", kind, [kind], body, args)


def _frexp_exponent(code: Code, dtype: DType, args: Sequence[str]) -> str:
    fraction, bias = _FORMATS[dtype]
    regular, body = _regular(code, dtype)
    kind = short(dtype)
    found = f"(i32)(bits >> {fraction} & {2 * bias + 1}) - (tiny ? {bias + fraction} : {bias - 1})"
    body += f"\nreturn {regular} ? {found} : 0;"
    return code.call(f"frexp_exponent_{kind}", "i32", [kind], body, args)


def _ldexp(code: Code, dtype: DType, args: Sequence[str]) -> str:
    """x * 2**n by powers of two that are normal floats, so that only the last product, or one
    that all the others leave at 0, can round."""
    fraction, bias = _FORMATS[dtype]
    kind, reach = short(dtype), 300 if dtype == FLOAT32 else 2200
    down = fraction + 2 - bias + 1  # what stays to be multiplied is below 2 ** -(fraction + 1)
    up = f"if (n > {bias}) {{ x *= {literal(code, dtype, 2.0**bias)}; n -= {bias}; }}"
    low = f"if (n < {1 - bias}) {{ x *= {literal(code, dtype, 2.0**down)}; n += {-down}; }}"
    power = code.from_bits(dtype, f"(u{dtype.bits})(n + {bias}) << {fraction}")
    body = f"""
{kind} x = a;
i32 n = b > {reach} ? {reach} : b < -{reach} ? -{reach} : (i32)b;
{up}
{low}
{up}
{low}
return x * {power};"""
    return code.call(f"ldexp_{kind}", kind, [kind, "i64"], body, args)


# ---------------------------------------------------------------- nextafter
def _nextafter(code: Code, dtype: DType, args: Sequence[str]) -> str:
    """One step in the order of bits: away from zero, or towards it."""
    kind = short(dtype)
    body = _step(code, dtype, code.bits(dtype, "a"), code.bits(dtype, "b"), f"u{dtype.bits}")
    body += f"\nreturn {code.from_bits(dtype, 'bits')};"
    return code.call(f"nextafter_{kind}", kind, [kind] * 2, body, args)


def _nextafter_half(code: Code, args: Sequence[str]) -> str:
    name = half_bits(code)
    body = _step(code, FLOAT32, f"{name}(a)", f"{name}(b)", "u16")
    body += f"\nreturn {half_value(code, 'bits')};"
    return code.call("nextafter_f16", "f32", ["f32"] * 2, body, args)


def _step(code: Code, dtype: DType, a_bits: str, b_bits: str, integer: str) -> str:
    zero, top = literal(code, dtype, 0.0), int(integer[1:]) - 1
    return f"""
if (a != a || b != b) return a + b;
if (a == b) return b;
{integer} bits = {a_bits};
if (a == {zero}) bits = ({integer})({b_bits} >> {top} << {top} | 1);
else bits = (a < b) == (a > {zero}) ? bits + 1 : bits - 1;"""


_MAKERS: Final[dict[str, Maker]] = {
    "isnan": _isnan,
    "isinf": _compared_with_infinity("=="),
    "isfinite": _compared_with_infinity("<"),
    "fmin": _least_or_greatest("fmin"),
    "fmax": _least_or_greatest("fmax"),
    "degrees": _times(180.0 / math.pi),
    "radians": _times(math.pi / 180.0),
    "gamma": _gamma,
    "lgamma": _lgamma,
    "modf_integer": lambda code, dtype, args: code.math("trunc", dtype, args[0]),
    "modf_fraction": _modf_fraction,
    "frexp_mantissa": _frexp_mantissa,
    "frexp_exponent": _frexp_exponent,
    "ldexp": _ldexp,
    "nextafter": _nextafter,
}
