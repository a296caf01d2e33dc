"""exp and exp2.

x = n ln 2 + r with a whole n and |r| <= ln(2) / 2, ln 2 being subtracted in two parts (Cody and
Waite, Software Manual for the Elementary Functions, 1980, chapter 6; with fma the first step is
exact), so that exp(x) = 2**n exp(r), and exp(r) is a minimax polynomial. Adding 1.5 * 2**23 to a
float32 (2**52 to a float64) rounds to a whole number, which then stands in the low bits. 2**n is
multiplied in two halves: neither overflows, and a denormal result is rounded once.
"""

from __future__ import annotations

import numpy as np

from kernelkit.frontend.builtins import (
    Number,
    double_as_longlong,
    float_as_int,
    fma,
    int_as_float,
    longlong_as_double,
)

#: Rounders; the sum's low bits are the whole number and twice the bias of the exponent.
ROUNDER32, ROUNDER64 = 1.5 * 2**23 + 2 * 127, 1.5 * 2**52 + 2 * 1023
LOG2_E = 1.4426950408889634
#: ln 2 = LN2_32 + LN2_REST_32, likewise for float64.
LN2_32, LN2_REST_32 = float.fromhex("0x1.62e43p-1"), float.fromhex("-0x1.05c610p-29")
LN2_64, LN2_REST_64 = float.fromhex("0x1.62e42fefa39efp-1"), float.fromhex("0x1.abc9e3b39803fp-56")


def exp_float32(x: Number) -> Number:
    x = max(min(x, 89.0), -104.0)
    rounded = fma(x, LOG2_E, ROUNDER32)
    n = rounded - ROUNDER32
    r = fma(n, -LN2_REST_32, fma(n, -LN2_32, x))
    p = fma(r, 1.3827482e-03, 8.368651e-03)
    p = fma(p, r, 4.166818e-02)
    p = fma(p, r, 1.6666521e-01)
    p = fma(p, r, 4.9999994e-01)
    p = fma(p, r, 1.0)
    p = fma(p, r, 1.0)
    return scaled_float32(p, rounded)


def exp2_float32(x: Number) -> Number:
    x = max(min(x, 129.0), -151.0)
    rounded = x + ROUNDER32
    r = x - (rounded - ROUNDER32)
    p = fma(r, 1.534565e-04, 1.3392647e-03)
    p = fma(p, r, 9.618482e-03)
    p = fma(p, r, 5.550358e-02)
    p = fma(p, r, 2.4022648e-01)
    p = fma(p, r, 6.931472e-01)
    p = fma(p, r, 1.0)
    return scaled_float32(p, rounded)


def exp_float64(x: Number) -> Number:
    x = max(min(x, 710.0), -746.0)
    rounded = fma(x, LOG2_E, ROUNDER64)
    n = rounded - ROUNDER64
    r = fma(n, -LN2_REST_64, fma(n, -LN2_64, x))
    p = fma(r, 2.503978596618454e-08, 2.763120039078616e-07)
    p = fma(p, r, 2.7557476228387874e-06)
    p = fma(p, r, 2.4801490690141014e-05)
    p = fma(p, r, 0.00019841269612346852)
    p = fma(p, r, 0.0013888888945647678)
    p = fma(p, r, 0.008333333333453836)
    p = fma(p, r, 0.041666666666523994)
    p = fma(p, r, 0.16666666666666463)
    p = fma(p, r, 0.5000000000000011)
    p = fma(p, r, 1.0)
    p = fma(p, r, 1.0)
    return scaled_float64(p, rounded)


def exp2_float64(x: Number) -> Number:
    x = max(min(x, 1025.0), -1076.0)
    rounded = x + ROUNDER64
    r = x - (rounded - ROUNDER64)
    p = fma(r, 4.4551108068500667e-10, 7.072509108079377e-09)
    p = fma(p, r, 1.0178028573139744e-07)
    p = fma(p, r, 1.3215442901111448e-06)
    p = fma(p, r, 1.5252734018038483e-05)
    p = fma(p, r, 0.00015403530441713837)
    p = fma(p, r, 0.00133335581460708)
    p = fma(p, r, 0.009618129107605785)
    p = fma(p, r, 0.0555041086648238)
    p = fma(p, r, 0.24022650695910108)
    p = fma(p, r, 0.6931471805599453)
    p = fma(p, r, 1.0)
    return scaled_float64(p, rounded)


def scaled_float32(p: Number, rounded: Number) -> Number:
    """p * 2**n, n being the whole number in a sum with ROUNDER32."""
    twice = float_as_int(rounded)
    half = twice >> 1
    return p * int_as_float(half << 23) * int_as_float((twice - half) << 23)


def scaled_float64(p: Number, rounded: Number) -> Number:
    # Without a sign the shift is one instruction on every processor.
    twice = np.uint64(double_as_longlong(rounded))
    half = twice >> 1
    first, second = np.int64(half << 52), np.int64((twice - half) << 52)
    return p * longlong_as_double(first) * longlong_as_double(second)
