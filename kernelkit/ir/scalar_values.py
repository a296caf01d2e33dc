"""What the expressions of the scalar table call: integers, casts, complex numbers, exact floats.

In: values in their representation (bool, int, NumPy float and complex scalars). Out: the same.
Holds: nothing here raises or depends on the platform; warnings are the caller's to silence
(`np.errstate(all="ignore")`). Math functions stand in `scalar_math.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kernelkit.ir.types import DTYPES, FLOAT16, FLOAT32, DType

Value = Any

INTEGERS = tuple(t for t in DTYPES.values() if t.is_integer)

# A Python float is weak: times one it is rounded once to the scalar's type, which is some three
# times as fast as calling the type.
_ONE16, _ONE32 = np.float16(1), np.float32(1)
#: Up to here every integer is a double.
_EXACT = 1 << 53


# ---------------------------------------------------------------- integers
def _wrap(dtype: DType) -> Callable[[int], int]:
    """Any integer -> the one of this signed type that is equal to it modulo 2**bits."""
    low, high, mask, sign = dtype.minimum, dtype.maximum, (1 << dtype.bits) - 1, 1 << dtype.bits - 1

    def wrap(x: int) -> int:
        return x if low <= x <= high else ((x + sign) & mask) - sign

    return wrap


def _floordiv(dtype: DType) -> Callable[[int, int], int]:
    low, high = dtype.minimum, dtype.maximum

    def floordiv(a: int, b: int) -> int:
        if b:
            q = a // b
            return q if q <= high else low  # only -(2**n) // -1 leaves the range
        return 0

    return floordiv


def _power(dtype: DType, wrap: Callable[[int], int]) -> Callable[[int, int], int]:
    modulus = 1 << dtype.bits

    def power(a: int, b: int) -> int:
        return wrap(pow(a, b, modulus)) if b >= 0 else 0

    return power


def _shl(dtype: DType, wrap: Callable[[int], int]) -> Callable[[int, int], int]:
    bits = dtype.bits

    def shl(a: int, b: int) -> int:
        return wrap(a << b) if 0 <= b < bits else 0

    return shl


def _shr(dtype: DType) -> Callable[[int, int], int]:
    bits = dtype.bits

    def shr(a: int, b: int) -> int:
        return a >> (b if 0 <= b < bits else bits)

    return shr


def _reverse(dtype: DType, wrap: Callable[[int], int]) -> Callable[[int], int]:
    bits, mask = dtype.bits, (1 << dtype.bits) - 1

    def reverse(x: int) -> int:
        return wrap(int(f"{x & mask:0{bits}b}"[::-1], 2))

    return reverse


def _ffs(x: int) -> int:
    return (x & -x).bit_length()


# ---------------------------------------------------------------- choices
def _min(a: Value, b: Value) -> Value:
    return b if b < a else a


def _max(a: Value, b: Value) -> Value:
    return b if b > a else a


def _fmin(a: Value, b: Value) -> Value:
    return a if a <= b or b != b else b


def _fmax(a: Value, b: Value) -> Value:
    return a if a >= b or b != b else b


def _selp(condition: bool, a: Value, b: Value) -> Value:
    return a if condition else b


# ---------------------------------------------------------------- casts
def _rounded(dtype: DType) -> Callable[[Value], Value]:
    """bool, an integer within 53 bits, any float -> this float type, rounded once."""
    one, number = dtype.numpy.type(1), float

    def cast(x: Value) -> Value:
        return one * number(x)

    return cast


def float32_of_wide(x: int) -> Value:
    """Any integer -> float32: by way of a double alone it would be rounded twice."""
    if not -_EXACT <= x <= _EXACT:
        extra = x.bit_length() - 53
        # Round to odd, far below float32's last place: no tie is made or broken there.
        kept = x >> extra
        x = (kept | (kept << extra != x)) << extra
    return _ONE32 * float(x)


def _saturated(dtype: DType) -> Callable[[Value], int]:
    """A float -> this integer type, towards zero; the nearest end outside it, 0 for NaN."""
    low, high = dtype.minimum, dtype.maximum
    below, above = float(low) - 1, float(high) + 1

    def cast(x: Value) -> int:
        if below < x < above:
            return int(x)
        return 0 if x != x else low if x < 0 else high

    return lambda x: cast(float(x))


# ---------------------------------------------------------------- complex numbers
def _complex(dtype: DType) -> tuple[Callable[..., Value], Callable[..., Value]]:
    """Multiplication (naive) and division (Smith's), each step rounded to the component type."""
    make, one = dtype.numpy.type, dtype.component.numpy.type(1)

    def mul(a: Value, b: Value) -> Value:
        re, im, x, y = a.real, a.imag, b.real, b.imag
        return make(complex(re * x - im * y, re * y + im * x))

    def div(a: Value, b: Value) -> Value:
        re, im, x, y = a.real, a.imag, b.real, b.imag
        if abs(x) >= abs(y):
            if x == 0 and y == 0:
                return make(complex(re / abs(x), im / abs(x)))
            ratio = y / x
            scale = one / (x + y * ratio)
            return make(complex((re + im * ratio) * scale, (im - re * ratio) * scale))
        ratio = x / y
        scale = one / (y + x * ratio)
        return make(complex((re * ratio + im) * scale, (im * ratio - re) * scale))

    return mul, div


# ---------------------------------------------------------------- fused multiply-add
#: Halves a double's significand (Veltkamp).
_HALVES = 2.0**27 + 1


def _two_sum(a: float, b: float) -> tuple[float, float]:
    """The sum, rounded, and what is missing (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _odd_sum(a: float, b: float) -> float:
    """The sum rounded to odd: rounding it again, to fewer bits, is as good as rounding once."""
    total, error = _two_sum(a, b)
    if error and math.frexp(total)[0] * 2.0**53 % 2 == 0:
        return math.nextafter(total, math.copysign(math.inf, error))
    return total


def _fma_float64(a: Value, b: Value, c: Value) -> Value:
    """By Boldo and Melquiond, Emulation of FMA and correctly rounded sums: proved algorithms using
    rounding to odd (IEEE Transactions on Computers 57, 2008), where nothing over- or underflows."""
    x, y, z = float(a), float(b), float(c)
    product = x * y
    if not (1e-250 < abs(product) < 1e290 and abs(x) < 1e290 and abs(y) < 1e290 and abs(z) < 1e290):
        return _exact_fma(a, b, c)
    t = x * _HALVES
    high = t - (t - x)
    low = x - high
    t = y * _HALVES
    upper = t - (t - y)
    lower = y - upper
    error = ((high * upper - product) + high * lower + low * upper) + low * lower
    s, s_error = _two_sum(z, error)
    u, u_error = _two_sum(product, s)
    return np.float64(u + _odd_sum(s_error, u_error))


def _exact_fma(a: Value, b: Value, c: Value) -> Value:
    """In integers: Python rounds the quotient of two of them correctly."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return a * b + c
    if not math.isfinite(c):
        return c
    (an, ad), (bn, bd), (cn, cd) = (float(x).as_integer_ratio() for x in (a, b, c))
    numerator, denominator = an * bn * cd + cn * ad * bd, ad * bd * cd
    if not numerator:
        return a * b + c  # this is exact, and has the sign of zero right
    try:
        return np.float64(numerator / denominator)
    except OverflowError:
        return np.float64(math.inf if numerator > 0 else -math.inf)


def _fma_float32(a: Value, b: Value, c: Value) -> Value:
    """In doubles the product is exact; the sum is rounded to odd."""
    product, addend = float(a) * float(b), float(c)
    total = product + addend
    return _ONE32 * (_odd_sum(product, addend) if math.isfinite(total) else total)


def _fma_float16(a: Value, b: Value, c: Value) -> Value:
    return _ONE16 * float(_fma_float32(a, b, c))


# ---------------------------------------------------------------- floats as bits
def _float_as_int(x: Value) -> int:
    return int(x.view(np.int32))


def _int_as_float(x: int) -> Value:
    return np.int32(x).view(np.float32)


def _double_as_longlong(x: Value) -> int:
    return int(x.view(np.int64))


def _longlong_as_double(x: int) -> Value:
    return np.int64(x).view(np.float64)


# ---------------------------------------------------------------- the names
def _integer_names() -> dict[str, Any]:
    names: dict[str, Any] = {}
    for dtype in INTEGERS:
        mask = (1 << dtype.bits) - 1
        # An unsigned type wraps inline, by its mask.
        wrap = _wrap(dtype) if dtype.is_signed else mask.__and__
        names |= {
            f"_k_{dtype}": wrap,
            f"_k_pow_{dtype}": _power(dtype, wrap),
            f"_k_shl_{dtype}": _shl(dtype, wrap),
            f"_k_brev_{dtype}": _reverse(dtype, wrap),
            f"_k_saturate_{dtype}": _saturated(dtype),
        }
        if dtype.is_signed:
            names |= {f"_k_floordiv_{dtype}": _floordiv(dtype), f"_k_shr_{dtype}": _shr(dtype)}
    return names


def _value_names() -> dict[str, Any]:
    names: dict[str, Any] = {
        "_k_min": _min, "_k_max": _max, "_k_fmin": _fmin, "_k_fmax": _fmax, "_k_selp": _selp,
        "_k_abs": abs, "_k_ffs": _ffs, "_k_bit_count": int.bit_count,
        "_k_bit_length": int.bit_length, "_k_inf": math.inf, "_k_nan": math.nan,
        "_k_float16": _rounded(FLOAT16), "_k_float32": _rounded(FLOAT32), "_k_float64": np.float64,
        "_k_float32_of_wide": float32_of_wide, "_k_complex": complex,
        "_k_complex64": np.complex64, "_k_complex128": np.complex128,
        "_k_fma_float16": _fma_float16, "_k_fma_float32": _fma_float32,
        "_k_fma_float64": _fma_float64,
        "_k_float_as_int": _float_as_int, "_k_int_as_float": _int_as_float,
        "_k_double_as_longlong": _double_as_longlong,
        "_k_longlong_as_double": _longlong_as_double,
    }  # fmt: skip
    for name in ("complex64", "complex128"):
        names[f"_k_mul_{name}"], names[f"_k_truediv_{name}"] = _complex(DTYPES[name])
    return names


#: Every name above that an expression may use.
VALUES: dict[str, Any] = _integer_names() | _value_names()
