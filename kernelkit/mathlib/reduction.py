"""An angle less the nearest multiple of pi/2.

In: x. Out: (quadrant, high, low): x = n pi/2 + high - low, the low bits of quadrant being those of n;
|high| is at most pi/4 and a bit, low what high lacks to about twice the precision. NaN for what is
not finite.

pi/2 is subtracted in three parts: with fma the first step is exact, and the rounding errors of the
second are found exactly (Boldo, Daumas and Li, Formally verified argument reduction with a fused
multiply-add, IEEE Transactions on Computers 58, 2009). Beyond a limit, where parts of pi/2 do not
suffice, x is multiplied by those bits of 2/pi that matter to its fraction (Payne and Hanek, Radian
reduction for trigonometric functions, ACM SIGNUM Newsletter 18, 1983), in integers.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from kernelkit.frontend.builtins import (
    Number,
    double_as_longlong,
    float_as_int,
    fma,
    selp,
)

#: Three numbers, each with its type's precision.
Reduced = tuple[Number, Number, Number]

ROUNDER32, ROUNDER64 = 1.5 * 2**23, 1.5 * 2**52
TWO_OVER_PI = 2 / math.pi
#: pi/2 in three parts. The first are rounded down, so that all are positive and -0.0 stays -0.0.
FIRST32, SECOND32, THIRD32 = map(float.fromhex, ("0x1.921fb4p0", "0x1.4442dp-24", "0x1.84698ap-48"))
FIRST64, SECOND64, THIRD64 = map(
    float.fromhex, ("0x1.921fb54442d18p0", "0x1.1a62633145c06p-54", "0x1.c1cd129024e09p-107")
)
#: Up to here that does.
LIMIT32, LIMIT64 = 2.0**16, 2.0**30

#: The bits of 2/pi behind 32 zeros. An element holds 64 of them, the next one starts 32 later.
_DIGITS: Final = (
    "00000000a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e006492eea"
    "09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f49c845f8bbdf9283b1ff897ff"
    "de05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb1"
    "1f8d5d0856033046fc7b6bab"
)
BITS = np.array([int(_DIGITS[8 * k : 8 * k + 16], 16) for k in range(38)], np.uint64).view(np.int64)
BITS.setflags(write=False)
#: A unit of the last place of 53 bits.
ULP64 = 2.0**-53
#: pi/2 times 2**-62 in two parts.
UNIT32, UNIT_REST32 = float.fromhex("0x1.921fb6p-62"), float.fromhex("-0x1.777a5cp-87")
UNIT64, UNIT_REST64 = map(float.fromhex, ("0x1.921fb54442d18p-62", "0x1.1a62633145c07p-116"))


def reduced_float32(x: Number) -> Reduced:
    rounded = fma(x, TWO_OVER_PI, ROUNDER32)
    n, quadrant = rounded - ROUNDER32, float_as_int(rounded)
    r = fma(n, -FIRST32, x)
    # The product as the sum of two floats; the zero keeps it from being fused with what follows.
    second = fma(n, SECOND32, 0.0)
    high = r - second
    low = (second - (r - high)) + fma(n, THIRD32, fma(n, SECOND32, -second))
    if abs(x) > LIMIT32:
        quadrant, high, low = huge_float32(x)
    return quadrant, high, low


def huge_float32(x: Number) -> Reduced:
    bits = float_as_int(x)
    mantissa = np.int64((bits & 0x7FFFFF) | 0x800000)
    # x is mantissa times a power of two; bits of 2/pi before `place` give whole turns only.
    place = np.uint32(((bits >> 23) & 0xFF) - 120)
    first, second = window(place), window(place + 64)
    # x * 2/pi in units of 2**-62, modulo 4.
    product = mantissa * first + ((mantissa * ((second >> 32) & 0xFFFFFFFF)) >> 32)
    whole = np.int32((product + 0x2000000000000000) >> 62)
    rest = (product << 2) >> 2
    quadrant = selp(bits < 0, -whole, whole)
    rest = selp(bits < 0, -rest, rest)
    a = np.float32(rest)
    b = np.float32(rest - np.int64(a))
    high = fma(a, UNIT32, b * UNIT32)
    low = fma(b, -UNIT32, fma(a, -UNIT_REST32, fma(a, -UNIT32, high)))
    return quadrant, selp(abs(x) == math.inf, math.nan, high), low


def reduced_float64(x: Number) -> Reduced:
    rounded = fma(x, TWO_OVER_PI, ROUNDER64)
    n, quadrant = rounded - ROUNDER64, double_as_longlong(rounded)
    r = fma(n, -FIRST64, x)
    second = fma(n, SECOND64, 0.0)
    high = r - second
    low = (second - (r - high)) + fma(n, THIRD64, fma(n, SECOND64, -second))
    if abs(x) > LIMIT64:
        quadrant, high, low = huge_float64(x)
    return quadrant, high, low


def huge_float64(x: Number) -> Reduced:
    bits = double_as_longlong(x)
    mantissa = np.uint64((bits & 0xFFFFFFFFFFFFF) | 0x10000000000000)
    place = np.uint32(((bits >> 52) & 0x7FF) - 1045)
    first, second = np.uint64(window(place)), np.uint64(window(place + 64))
    third = np.uint64(window(place + 128))
    # 128 bits of x * 2/pi, modulo 4: `product` in units of 2**-62, `more` behind it.
    more = mantissa * second + multiplied_high(mantissa, third)
    carry = selp(more < mantissa * second, 1, 0)
    product = mantissa * first + multiplied_high(mantissa, second) + np.uint64(carry)
    whole = np.int64((product + 0x2000000000000000) >> 62)
    rest = np.int64(product << 2) >> 2
    a = np.float64(rest)
    b = fma(np.float64(np.int64(more >> 11)), ULP64, np.float64(rest - np.int64(a)))
    total = a + b
    remainder = b - (total - a)
    # The sign of x.
    sign = selp(bits < 0, -1.0, 1.0)
    high = fma(total, UNIT64, remainder * UNIT64)
    low = fma(remainder, -UNIT64, fma(total, -UNIT_REST64, fma(total, -UNIT64, high)))
    high = selp(abs(x) == math.inf, math.nan, high)
    return selp(bits < 0, -whole, whole), fma(high, sign, 0.0), fma(low, sign, 0.0)


def window(place: Number) -> Number:
    """64 bits of 2/pi, from a place on."""
    word, shift = place >> 5, place & 31
    return (BITS[word] << shift) | (((BITS[word + 2] >> 1) & 0x7FFFFFFFFFFFFFFF) >> (63 - shift))


def multiplied_high(a: Number, b: Number) -> Number:
    """The high 64 bits of a * b, a having at most 53 bits."""
    upper_a, lower_a = a >> 32, a & 0xFFFFFFFF
    upper_b, lower_b = b >> 32, b & 0xFFFFFFFF
    inner = upper_a * lower_b + ((lower_a * lower_b) >> 32)
    outer = lower_a * upper_b + (inner & 0xFFFFFFFF)
    return upper_a * upper_b + (inner >> 32) + (outer >> 32)
