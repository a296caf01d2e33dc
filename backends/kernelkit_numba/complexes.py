"""Device functions on complex numbers, by components as the scalar table has them.

Holds: with `exact`, no product is contracted with a sum.
"""

from __future__ import annotations

from typing import Any

from kernelkit.ir.types import FLOAT64, DType
from kernelkit_numba.floats import named
from kernelkit_numba.words import Function, Words


def _steps(words: Words, dtype: DType, exact: bool) -> tuple[Function, Function]:
    """Product and sum of components."""
    if exact:
        kind = "d" if dtype.component == FLOAT64 else "f"
        return getattr(words.libdevice, f"{kind}mul_rn"), getattr(words.libdevice, f"{kind}add_rn")
    return words.jit(lambda a, b: a * b), words.jit(lambda a, b: a + b)


def add(words: Words, dtype: DType) -> Function:
    kind = dtype.numpy.type
    return words.jit(lambda a, b: kind(complex(a.real + b.real, a.imag + b.imag)))


def sub(words: Words, dtype: DType) -> Function:
    kind = dtype.numpy.type
    return words.jit(lambda a, b: kind(complex(a.real - b.real, a.imag - b.imag)))


def mul(words: Words, dtype: DType, exact: bool = False) -> Function:
    kind = dtype.numpy.type
    times, plus = _steps(words, dtype, exact)

    def mul(a: Any, b: Any) -> Any:
        re = plus(times(a.real, b.real), -times(a.imag, b.imag))
        return kind(complex(re, plus(times(a.real, b.imag), times(a.imag, b.real))))

    return words.jit(mul)


def truediv(words: Words, dtype: DType, exact: bool = False) -> Function:
    """Smith's method."""
    kind, real = dtype.numpy.type, dtype.component.numpy.type
    times, plus = _steps(words, dtype, exact)
    fabs = named(words, dtype.component, "fabs")
    zero, one = real(0), real(1)

    def truediv(a: Any, b: Any) -> Any:
        re, im, x, y = a.real, a.imag, b.real, b.imag
        if fabs(x) >= fabs(y):
            if x == zero and y == zero:
                return kind(complex(real(re / fabs(x)), real(im / fabs(x))))
            ratio = real(y / x)
            scale = real(one / plus(x, times(y, ratio)))
            upper, lower = plus(re, times(im, ratio)), plus(im, -times(re, ratio))
            return kind(complex(times(upper, scale), times(lower, scale)))
        ratio = real(x / y)
        scale = real(one / plus(y, times(x, ratio)))
        upper, lower = plus(times(re, ratio), im), plus(times(im, ratio), -re)
        return kind(complex(times(upper, scale), times(lower, scale)))

    return words.jit(truediv)


def neg(words: Words, dtype: DType) -> Function:
    kind = dtype.numpy.type
    return words.jit(lambda z: kind(complex(-z.real, -z.imag)))


def conj(words: Words, dtype: DType) -> Function:
    kind = dtype.numpy.type
    return words.jit(lambda z: kind(complex(z.real, -z.imag)))


def absolute(words: Words, dtype: DType) -> Function:
    hypot = named(words, dtype.component, "hypot")
    return words.jit(lambda z: hypot(z.real, z.imag))


def eq(words: Words, dtype: DType) -> Function:
    return words.jit(lambda a, b: a.real == b.real and a.imag == b.imag)


def ne(words: Words, dtype: DType) -> Function:
    return words.jit(lambda a, b: a.real != b.real or a.imag != b.imag)


def truth(words: Words, dtype: DType) -> Function:
    zero = dtype.component.numpy.type(0)
    return words.jit(lambda z: z.real != zero or z.imag != zero)


def of_real(words: Words, dtype: DType) -> Function:
    kind, zero = dtype.numpy.type, dtype.component.numpy.type(0)
    return words.jit(lambda x: kind(complex(x, zero)))
