"""The float functions of the scalar table, as the reference computes them.

In and out: NumPy float scalars. Holds: float64 is libm's result (Python's own for gamma, lgamma
and hypot); float32 is computed in double and rounded; float16 is the float32 result rounded;
nothing raises: a domain error is NaN, an overflow or a pole the infinity with the right sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kernelkit.ir.types import COMPLEX64, COMPLEX128, FLOAT16, FLOAT32, FLOAT64, DType

#: What a function gives where Python's raises.
Special = Callable[..., float]

_RAISED = (ValueError, OverflowError, ZeroDivisionError)


def _nan(*_: float) -> float:
    return math.nan


def _inf(*_: float) -> float:
    return math.inf


def _signed_inf(x: float, *_: float) -> float:
    return math.copysign(math.inf, x)


def _pole_at(pole: float) -> Special:
    return lambda x: -math.inf if x == pole else math.nan


def _gamma(x: float) -> float:
    at_pole = x < 0 and (math.isinf(x) or x == math.floor(x))
    return math.nan if at_pole else math.copysign(math.inf, x)


#: name -> a function of doubles, and what stands where it raises.
_UNARY: dict[str, tuple[Callable[[float], float], Special]] = {
    "sqrt": (math.sqrt, _nan),
    "rsqrt": (lambda x: 1 / math.sqrt(x), lambda x: _nan() if x < 0 else _signed_inf(x)),
    "cbrt": (math.cbrt, _nan),
    "expm1": (math.expm1, _inf),
    "log10": (math.log10, _pole_at(0)),
    "log1p": (math.log1p, _pole_at(-1)),
    "asin": (math.asin, _nan),
    "acos": (math.acos, _nan),
    "atan": (math.atan, _nan),
    "sinh": (math.sinh, _signed_inf),
    "cosh": (math.cosh, _inf),
    "asinh": (math.asinh, _nan),
    "acosh": (math.acosh, _nan),
    "atanh": (math.atanh, lambda x: _signed_inf(x) if abs(x) == 1 else math.nan),
    "erf": (math.erf, _nan),
    "erfc": (math.erfc, _nan),
    "gamma": (math.gamma, _gamma),
    "lgamma": (math.lgamma, _inf),
    "degrees": (math.degrees, _nan),
    "radians": (math.radians, _nan),
    "frexp_mantissa": (lambda x: math.frexp(x)[0], _nan),
    "modf_fraction": (lambda x: math.modf(x)[0], _nan),
    "modf_integer": (lambda x: math.modf(x)[1], _nan),
}

_BINARY: dict[str, tuple[Callable[..., float], Special]] = {
    "atan2": (math.atan2, _nan),
    "fmod": (math.fmod, _nan),
    "remainder": (math.remainder, _nan),
    "copysign": (math.copysign, _nan),
    "hypot": (math.hypot, _inf),
    "ldexp": (math.ldexp, _signed_inf),
}

#: Rounding to an integer; raises for infinities and NaN, which stay as they are.
_INTEGRAL: dict[str, Callable[[float], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": int,
    "round": round,
}


def _round_to(dtype: DType) -> Callable[[float], Any]:
    """A Python float -> the scalar; the weak operand is rounded by the multiplication."""
    one32, one = np.float32(1), dtype.numpy.type(1)
    if dtype == FLOAT16:
        return lambda y: one * float(one32 * y)
    times: Callable[[float], Any] = one.__mul__
    return times


def _unary(dtype: DType, function: Callable[[float], float], special: Special) -> Any:
    rounded = _round_to(dtype)

    def call(x: Any) -> Any:
        try:
            return rounded(function(x))
        except _RAISED:
            return rounded(special(float(x)))

    return call


def _binary(dtype: DType, function: Callable[..., float], special: Special) -> Any:
    rounded = _round_to(dtype)

    def call(x: Any, y: Any) -> Any:
        try:
            return rounded(function(x, y))
        except _RAISED:
            return rounded(special(float(x), y))

    return call


def _integral(dtype: DType, function: Callable[[float], int]) -> Any:
    rounded, copysign = _round_to(dtype), math.copysign

    def call(x: Any) -> Any:
        try:
            return rounded(copysign(function(float(x)), x))
        except _RAISED:
            return x

    return call


def _nextafter(x: Any, y: Any) -> Any:
    return y if x == y else np.nextafter(x, y)


def _frexp_exponent(x: Any) -> int:
    return math.frexp(x)[1]


def _complex_abs(component: DType) -> Any:
    hypot = _binary(component, *_BINARY["hypot"])
    return lambda z: hypot(z.real, z.imag)


def _names() -> dict[str, Any]:
    names: dict[str, Any] = {
        "_k_isnan": math.isnan,
        "_k_isinf": math.isinf,
        "_k_isfinite": math.isfinite,
        "_k_nextafter": _nextafter,
        "_k_frexp_exponent": _frexp_exponent,
    }
    for dtype in (FLOAT16, FLOAT32, FLOAT64):
        names |= {f"_k_{n}_{dtype}": _unary(dtype, f, s) for n, (f, s) in _UNARY.items()}
        names |= {f"_k_{n}_{dtype}": _binary(dtype, f, s) for n, (f, s) in _BINARY.items()}
        names |= {f"_k_{n}_{dtype}": _integral(dtype, f) for n, f in _INTEGRAL.items()}
    for dtype in (COMPLEX64, COMPLEX128):
        names[f"_k_abs_{dtype}"] = _complex_abs(dtype.component)
    return names


#: Every name above that an expression may use.
MATH: dict[str, Any] = _names()
