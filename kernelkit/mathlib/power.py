"""pow.

x**y = 2**(y log2 |x|), the logarithm and the exponent being sums of two floats (Dekker, A floating-
point technique for extending the available precision, Numerische Mathematik 18, 1971; with fma the
rounding error of a product is one operation). |x| = 2**e (1 + f) as in log, s = f / (2 + f), and
log2(1 + f) = 2 log2(e) atanh(s), an odd series in s whose first terms keep both floats; the rest is a
minimax polynomial. The edges are those of IEEE 754-2019, 9.2.1.
"""

from __future__ import annotations

import math

from kernelkit.frontend.builtins import Number, double_as_longlong, float_as_int, fma, selp
from kernelkit.mathlib.exponential import (
    LN2_32,
    LN2_64,
    LN2_REST_32,
    LN2_REST_64,
    ROUNDER32,
    ROUNDER64,
    scaled_float32,
    scaled_float64,
)
from kernelkit.mathlib.logarithm import ROOT32, parts_float32, parts_float64

#: A number as the sum of two, the second far smaller.
Pair = tuple[Number, Number]


def _pair(high: str, low: str) -> Pair:
    return float.fromhex(high), float.fromhex(low)


#: From here on every float is whole, and from twice this on even; the last bit of a whole number
#: between the two, or of a lesser one with this added, says whether it is odd.
WHOLE32, WHOLE64 = 2.0**23, 2.0**52
#: The first coefficients of 2 log2(e) atanh(s) / s in s**2, each a pair: 2, 2/3, 2/5 times log2(e).
FIRST32 = _pair("0x1.715476p1", "0x1.4ae0cp-25")
SECOND32 = _pair("0x1.ec709ep-1", "-0x1.e2fe02p-28")
FIRST64 = _pair("0x1.71547652b82fep1", "0x1.777d0ffda0d24p-55")
SECOND64 = _pair("0x1.ec709dc3a03fdp-1", "0x1.d27f05548af0cp-55")
THIRD64 = _pair("0x1.2776c50ef9bfep-1", "0x1.e4b29ccc535d4p-55")


def pow_float32(x: Number, y: Number) -> Number:
    e, f = parts_float32(abs(x), ROOT32)
    s, z = atanh_argument(f)
    p = fma(z[0], 3.378209e-01, 4.1184992e-01)
    p = fma(p, z[0], 5.770802e-01)
    series = added(FIRST32, z, begun(SECOND32, z, p))
    high, low = multiplied(y, abs(x), logarithm(e, s, series))
    low = selp(abs(high) < 256.0, low, 0.0)
    high = max(min(high, 129.0), -151.0)
    rounded = high + ROUNDER32
    r = high - (rounded - ROUNDER32)
    t = r + low
    q = fma(t, 1.5324056e-04, 1.3390045e-03)
    q = fma(q, t, 9.618511e-03)
    q = fma(q, t, 5.5503625e-02)
    q = fma(q, t, 2.4022648e-01)
    size = scaled_float32(exponential(r, low, t * t, q, LN2_32, LN2_REST_32), rounded)
    size = selp((abs(x) == 1.0) | (y == 0.0), 1.0, size)
    if float_as_int(x) < 0:
        exponent = min(abs(y), 2.0 * WHOLE32)
        small = exponent < WHOLE32
        shifted = selp(small, exponent + WHOLE32, exponent)
        whole = selp(small, shifted - WHOLE32, exponent) == exponent
        odd = whole & ((float_as_int(shifted) & 1) != 0)
        size = selp(odd, -size, selp(whole | (x == 0.0) | (x == -math.inf), size, math.nan))
    return selp(x == 1.0, 1.0, size)


def pow_float64(x: Number, y: Number) -> Number:
    e, f = parts_float64(abs(x))
    s, z = atanh_argument(f)
    p = fma(z[0], 0.1718336159979994, 0.16858016237763762)
    p = fma(p, z[0], 0.19239436248579297)
    p = fma(p, z[0], 0.2219524710213369)
    p = fma(p, z[0], 0.2623081953543802)
    p = fma(p, z[0], 0.32059889794350915)
    p = fma(p, z[0], 0.41219858311119845)
    series = added(FIRST64, z, added(SECOND64, z, begun(THIRD64, z, p)))
    high, low = multiplied(y, abs(x), logarithm(e, s, series))
    low = selp(abs(high) < 2048.0, low, 0.0)
    high = max(min(high, 1025.0), -1076.0)
    rounded = high + ROUNDER64
    r = high - (rounded - ROUNDER64)
    t = r + low
    q = fma(t, 4.4416391214128367e-10, 7.073307268807639e-09)
    q = fma(q, t, 1.0178140062723003e-07)
    q = fma(q, t, 1.321543817897394e-06)
    q = fma(q, t, 1.5252733682019791e-05)
    q = fma(q, t, 0.00015403530451139568)
    q = fma(q, t, 0.0013333558146511229)
    q = fma(q, t, 0.009618129107598739)
    q = fma(q, t, 0.05550410866482154)
    q = fma(q, t, 0.24022650695910122)
    size = scaled_float64(exponential(r, low, t * t, q, LN2_64, LN2_REST_64), rounded)
    size = selp((abs(x) == 1.0) | (y == 0.0), 1.0, size)
    if double_as_longlong(x) < 0:
        exponent = min(abs(y), 2.0 * WHOLE64)
        small = exponent < WHOLE64
        shifted = selp(small, exponent + WHOLE64, exponent)
        whole = selp(small, shifted - WHOLE64, exponent) == exponent
        odd = whole & ((double_as_longlong(shifted) & 1) != 0)
        size = selp(odd, -size, selp(whole | (x == 0.0) | (x == -math.inf), size, math.nan))
    return selp(x == 1.0, 1.0, size)


def atanh_argument(f: Number) -> tuple[Pair, Pair]:
    """s = f / (2 + f), and its square."""
    below = 2.0 + f
    below_rest = f - (below - 2.0)
    s = f / below
    remainder = fma(-s, below_rest, fma(-s, below, f))
    # 1 / (2 + f) is (1 - s) / 2.
    s_rest = remainder * fma(s, -0.5, 0.5)
    z = s * s
    return (s, s_rest), (z, fma(s, s_rest * 2.0, fma(s, s, -z)))


def begun(a: Pair, b: Pair, c: Number) -> Pair:
    """a + b * c, b * c being less than a."""
    total = fma(b[0], c, a[0])
    return total, fma(b[1], c, fma(b[0], c, a[0] - total)) + a[1]


def added(a: Pair, b: Pair, c: Pair) -> Pair:
    """a + b * c, b * c being less than a."""
    total = fma(b[0], c[0], a[0])
    rest = fma(b[0], c[1], fma(b[0], c[0], a[0] - total))
    return total, fma(b[1], c[0], rest) + a[1]


def logarithm(e: Number, s: Pair, series: Pair) -> Pair:
    """e + s * series"""
    total = fma(s[0], series[0], e)
    rest = fma(s[0], series[1], fma(s[0], series[0], e - total))
    return total, fma(s[1], series[0], rest)


def multiplied(y: Number, x: Number, log2: Pair) -> Pair:
    """y * log2(x), log2(x) being known where x is neither 0 nor infinite."""
    high = selp(x == 0.0, -math.inf, selp(x < math.inf, log2[0], x))
    product = fma(y, high, 0.0)
    return product, fma(y, log2[1], fma(y, high, -product))


def exponential(
    r: Number, low: Number, square: Number, q: Number, ln2: Number, ln2_rest: Number
) -> Number:
    """2**(r + low) = 1 + (r + low) ln 2 + square * q, rounded but once."""
    w = fma(r, ln2, 0.0)
    rest = fma(low, ln2, fma(r, ln2_rest, fma(r, ln2, -w)))
    total = 1.0 + w
    return total + (((1.0 - total) + w) + fma(square, q, rest))
