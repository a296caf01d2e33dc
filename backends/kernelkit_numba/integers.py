"""Device functions on integers, and of floats to integers.

In: `Words`, a type. Out: functions that are exact for every value of it.
Holds: Numba works in 64 bits; each result is brought back to its type.
"""

from __future__ import annotations

from typing import Any

from kernelkit.ir.types import DTYPES, DType
from kernelkit_numba.words import Function, Words


def _unsigned(dtype: DType) -> Any:
    return DTYPES[f"uint{dtype.bits}"].numpy.type


# ---------------------------------------------------------------- arithmetic
def floordiv(words: Words, dtype: DType) -> Function:
    kind = dtype.numpy.type
    zero = kind(0)
    if not dtype.is_signed:
        return words.jit(lambda a, b: kind(a // b) if b != zero else zero)
    minus = kind(-1)

    def divide(a: Any, b: Any) -> Any:
        if b == zero:
            return zero
        if b == minus:  # the quotient of the least value would not fit
            return kind(zero - a)
        return kind(a // b)

    return words.jit(divide)


def mod(words: Words, dtype: DType) -> Function:
    kind = dtype.numpy.type
    zero = kind(0)
    if not dtype.is_signed:
        return words.jit(lambda a, b: kind(a % b) if b != zero else zero)
    minus = kind(-1)
    return words.jit(lambda a, b: kind(a % b) if b != zero and b != minus else zero)


def power(words: Words, dtype: DType) -> Function:
    kind, count = dtype.numpy.type, _unsigned(dtype)
    zero, one, none, last = kind(0), kind(1), count(0), count(1)

    def power(a: Any, b: Any) -> Any:
        if b < zero:
            return zero
        result, base, left = one, a, count(b)
        while left != none:
            if (left & last) != none:
                result = kind(result * base)
            base = kind(base * base)
            left = count(left >> last)
        return result

    return words.jit(power)


def shl(words: Words, dtype: DType) -> Function:
    kind = dtype.numpy.type
    zero, bits = kind(0), kind(dtype.bits)
    return words.jit(lambda a, b: kind(a << b) if b >= zero and b < bits else zero)


def shr(words: Words, dtype: DType) -> Function:
    kind = dtype.numpy.type
    zero, bits, last = kind(0), kind(dtype.bits), kind(dtype.bits - 1)
    if not dtype.is_signed:
        return words.jit(lambda a, b: kind(a >> b) if b < bits else zero)
    return words.jit(lambda a, b: kind(a >> (b if b >= zero and b < bits else last)))


def absolute(words: Words, dtype: DType) -> Function:
    kind = dtype.numpy.type
    zero = kind(0)
    return words.jit(lambda a: kind(zero - a) if a < zero else a)


# ---------------------------------------------------------------- bits
def _wide(dtype: DType) -> tuple[str, Any, int]:
    """The ending of libdevice's names, its type and the bits that it has more than this one."""
    wide = DTYPES["int64" if dtype.bits == 64 else "int32"]
    return "ll" if dtype.bits == 64 else "", wide.numpy.type, wide.bits - dtype.bits


def popc(words: Words, dtype: DType) -> Function:
    ending, wide, _ = _wide(dtype)
    count, own, small = getattr(words.libdevice, f"popc{ending}"), _unsigned(dtype), _INT32
    return words.jit(lambda x: small(count(wide(own(x)))))


def clz(words: Words, dtype: DType) -> Function:
    ending, wide, extra = _wide(dtype)
    count, own, small = getattr(words.libdevice, f"clz{ending}"), _unsigned(dtype), _INT32
    beyond = small(extra)
    return words.jit(lambda x: small(count(wide(own(x))) - beyond))


def ffs(words: Words, dtype: DType) -> Function:
    ending, wide, _ = _wide(dtype)
    find, own, small = getattr(words.libdevice, f"ffs{ending}"), _unsigned(dtype), _INT32
    return words.jit(lambda x: small(find(wide(own(x)))))


def brev(words: Words, dtype: DType) -> Function:
    ending, wide, extra = _wide(dtype)
    reverse, own, kind = (
        getattr(words.libdevice, f"brev{ending}"),
        _unsigned(dtype),
        dtype.numpy.type,
    )
    whole = DTYPES["uint64" if dtype.bits == 64 else "uint32"].numpy.type
    beyond = whole(extra)
    return words.jit(lambda x: kind(whole(reverse(wide(own(x)))) >> beyond))


_INT32 = DTYPES["int32"].numpy.type


# ---------------------------------------------------------------- floats to integers
def saturate(words: Words, source: DType, dtype: DType) -> Function:
    """Towards zero; the nearest end outside the range, 0 for NaN."""
    kind, real = dtype.numpy.type, source.numpy.type
    low, above = real(float(dtype.minimum)), real(2.0 ** (dtype.bits - dtype.is_signed))
    least, greatest, zero = kind(dtype.minimum), kind(dtype.maximum), kind(0)

    def saturate(x: Any) -> Any:
        if x >= above:
            return greatest
        if x <= low:
            return least
        if x != x:
            return zero
        return kind(x)

    return words.jit(saturate)


# ---------------------------------------------------------------- choices, of floats as well
def least(words: Words, dtype: DType) -> Function:
    return words.jit(lambda a, b: b if b < a else a)


def greatest(words: Words, dtype: DType) -> Function:
    return words.jit(lambda a, b: b if b > a else a)


def fmin(words: Words, dtype: DType) -> Function:
    return words.jit(lambda a, b: a if a <= b or b != b else b)


def fmax(words: Words, dtype: DType) -> Function:
    return words.jit(lambda a, b: a if a >= b or b != b else b)


def selp(words: Words) -> Function:
    return words.jit(lambda condition, a, b: a if condition else b)
