"""Device functions on floats.

In: `Words`, a type (float32 or float64: a float16 is a float32 here). Out: functions that are exact
where the scalar table is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernelkit.ir.types import FLOAT32, FLOAT64, DType
from kernelkit_numba.words import Function, Words


def named(words: Words, dtype: DType, name: str) -> Function:
    """libdevice's function of this name and type."""
    found: Function = getattr(words.libdevice, name if dtype == FLOAT64 else f"{name}f")
    return found


# ---------------------------------------------------------------- float16
def float16(words: Words) -> Function:
    """A float32 rounded to a float16's value."""
    half, single = np.float16, np.float32
    return words.jit(lambda x: single(half(x)))


def narrow(words: Words) -> Function:
    """A float64 rounded to a float16's value: to odd first, so that rounding twice is as good as
    once."""
    half, single, double, one = np.float16, np.float32, np.float64, np.int32(1)
    libdevice = words.libdevice
    cut, bits, back = libdevice.double2float_rz, libdevice.float_as_int, libdevice.int_as_float

    def narrow(x: Any) -> Any:
        near = cut(x)
        if double(near) != x:
            near = back(np.int32(bits(near) | one))
        return single(half(near))

    return words.jit(narrow)


def nextafter_float16(words: Words) -> Function:
    """The next float16 from x towards y, all as float32."""
    single, whole = np.float32, np.int32
    bits, back = words.libdevice.float_as_int, words.libdevice.int_as_float
    fabs, copysign = words.libdevice.fabsf, words.libdevice.copysignf
    tiny, half, most = single(2.0**-24), single(0.5), single(65504)
    zero, inf, normal = single(0), single(math.inf), single(2.0**-14)
    exponent, fraction, places = whole(0x7F800000), whole(0x7FFFFF), whole(10 << 23)

    def nextafter(x: Any, y: Any) -> Any:
        if x != x or y != y:
            return single(x + y)
        if x == y:
            return y
        if x == zero:
            return copysign(tiny, y)
        size = fabs(x)
        grows = (y > x) == (x > zero)
        if size == inf:
            return copysign(most, x)
        step = tiny
        if size >= normal:
            step = back(whole(whole(bits(size) & exponent) - places))
            if not grows and whole(bits(size) & fraction) == whole(0) and size > normal:
                step = single(step * half)
        if grows:
            return copysign(single(size + step) if size < most else inf, x)
        return copysign(single(size - step), x)

    return words.jit(nextafter)


# ---------------------------------------------------------------- division
def _divided(words: Words, dtype: DType) -> Function:
    """The quotient before it is made whole, and the remainder, of a divisor that is not 0."""
    real, fmod = dtype.numpy.type, named(words, dtype, "fmod")
    copysign = named(words, dtype, "copysign")
    zero, one = real(0), real(1)

    def divided(a: Any, b: Any) -> Any:
        rest = fmod(a, b)
        quotient = real(real(a - rest) / b)
        if rest == zero:
            rest = copysign(zero, b)
        elif (b < zero) != (rest < zero):
            rest = real(rest + b)
            quotient = real(quotient - one)
        return quotient, rest

    return words.jit(divided)


def floordiv(words: Words, dtype: DType) -> Function:
    real, divided = dtype.numpy.type, _divided(words, dtype)
    floor, copysign = named(words, dtype, "floor"), named(words, dtype, "copysign")
    zero, half, one = real(0), real(0.5), real(1)

    def floordiv(a: Any, b: Any) -> Any:
        if b == zero:
            return real(a / b)
        quotient, rest = divided(a, b)
        if quotient == zero:
            return copysign(zero, real(a / b))
        whole = floor(quotient)
        if real(quotient - whole) > half:
            whole = real(whole + one)
        return whole

    return words.jit(floordiv)


def mod(words: Words, dtype: DType) -> Function:
    zero, fmod = dtype.numpy.type(0), named(words, dtype, "fmod")
    divided = _divided(words, dtype)
    return words.jit(lambda a, b: divided(a, b)[1] if b != zero else fmod(a, b))


# ---------------------------------------------------------------- parts of a float
def ldexp(words: Words, dtype: DType) -> Function:
    scale, small = named(words, dtype, "ldexp"), np.int32
    low, high = np.int64(-3000), np.int64(3000)

    def ldexp(x: Any, n: Any) -> Any:
        if n < low:
            n = low
        if n > high:
            n = high
        return scale(x, small(n))

    return words.jit(ldexp)


def frexp_mantissa(words: Words, dtype: DType) -> Function:
    frexp, zero, finite = named(words, dtype, "frexp"), dtype.numpy.type(0), isfinite(words, dtype)
    return words.jit(lambda x: frexp(x)[0] if x != zero and finite(x) else x)


def frexp_exponent(words: Words, dtype: DType) -> Function:
    frexp, zero, finite = named(words, dtype, "frexp"), dtype.numpy.type(0), isfinite(words, dtype)
    none, small = np.int32(0), np.int32
    return words.jit(lambda x: small(frexp(x)[1]) if x != zero and finite(x) else none)


def modf_fraction(words: Words, dtype: DType) -> Function:
    real, infinite = dtype.numpy.type, isinf(words, dtype)
    trunc, copysign = named(words, dtype, "trunc"), named(words, dtype, "copysign")
    zero = real(0)
    return words.jit(lambda x: copysign(zero if infinite(x) else real(x - trunc(x)), x))


# ---------------------------------------------------------------- questions
def isnan(words: Words, dtype: DType) -> Function:
    return words.jit(lambda x: x != x)


def isinf(words: Words, dtype: DType) -> Function:
    inf, fabs = dtype.numpy.type(math.inf), named(words, dtype, "fabs")
    return words.jit(lambda x: fabs(x) == inf)


def isfinite(words: Words, dtype: DType) -> Function:
    inf, minus = dtype.numpy.type(math.inf), dtype.numpy.type(-math.inf)
    return words.jit(lambda x: x < inf and x > minus)


# ---------------------------------------------------------------- angles
def _scaled(words: Words, dtype: DType, factor: float) -> Function:
    real, double, by = dtype.numpy.type, np.float64, np.float64(factor)
    return words.jit(lambda x: real(double(x) * by))


def degrees(words: Words, dtype: DType) -> Function:
    return _scaled(words, dtype, 180 / math.pi)


def radians(words: Words, dtype: DType) -> Function:
    return _scaled(words, dtype, math.pi / 180)


REALS = (FLOAT32, FLOAT64)
