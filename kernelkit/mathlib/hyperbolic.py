"""tanh.

Up to 0.95 it is x + x**3 p(x**2) with a minimax polynomial p; beyond, 1 - 2 / (exp(2 |x|) + 1), where
the error of the quotient counts for little. exp(2 |x|) + 1 = (2**n + 1) + 2**n expm1(r), as in exp,
is rounded once.
"""

from __future__ import annotations

from kernelkit.frontend.builtins import (
    Number,
    double_as_longlong,
    float_as_int,
    fma,
    int_as_float,
    longlong_as_double,
    selp,
)
from kernelkit.mathlib.exponential import LN2_32, LN2_64, LN2_REST_32, LN2_REST_64, LOG2_E

#: The low bits of a sum with one of these are the exponent of 2**(n - 1).
ROUNDER32, ROUNDER64 = 1.5 * 2**23 + 126, 1.5 * 2**52 + 1022


def tanh_float32(x: Number) -> Number:
    size = abs(x)
    a = min(size, 9.1)
    rounded = fma(a, 2.0 * LOG2_E, ROUNDER32)
    n = rounded - ROUNDER32
    r = fma(n, -LN2_REST_32, fma(n, -LN2_32, a + a))
    q = fma(r, 1.3870692e-03, 8.366272e-03)
    q = fma(q, r, 4.1667435e-02)
    q = fma(q, r, 1.6666546e-01)
    q = fma(q, r, 4.9999997e-01)
    expm1 = fma(r * r, q, r)
    half = int_as_float(float_as_int(rounded) << 23)
    large = 1.0 - 1.0 / fma(half, expm1, half + 0.5)
    s = a * a
    p = fma(s, -4.0350118e-04, 2.4407315e-03)
    p = fma(p, s, -8.114158e-03)
    p = fma(p, s, 2.1585988e-02)
    p = fma(p, s, -5.3909365e-02)
    p = fma(p, s, 1.3332747e-01)
    p = fma(p, s, -3.3333313e-01)
    y = selp(size < 0.95, fma(a * s, p, a), large)
    return int_as_float(float_as_int(y) | (float_as_int(x) & -0x80000000))


def tanh_float64(x: Number) -> Number:
    size = abs(x)
    a = min(size, 19.1)
    rounded = fma(a, 2.0 * LOG2_E, ROUNDER64)
    n = rounded - ROUNDER64
    r = fma(n, -LN2_REST_64, fma(n, -LN2_64, a + a))
    q = fma(r, 2.089902038775169e-09, 2.5108635473991143e-08)
    q = fma(q, r, 2.7557312429847263e-07)
    q = fma(q, r, 2.7557245237744992e-06)
    q = fma(q, r, 2.4801587298504003e-05)
    q = fma(q, r, 0.00019841269885330123)
    q = fma(q, r, 0.0013888888888885485)
    q = fma(q, r, 0.008333333333321775)
    q = fma(q, r, 0.04166666666666669)
    q = fma(q, r, 0.16666666666666677)
    q = fma(q, r, 0.5)
    expm1 = fma(r * r, q, r)
    half = longlong_as_double(double_as_longlong(rounded) << 52)
    large = 1.0 - 1.0 / fma(half, expm1, half + 0.5)
    s = a * a
    p = fma(s, -8.016522720839059e-08, 7.745139040029623e-07)
    p = fma(p, s, -3.790467918727284e-06)
    p = fma(p, s, 1.302177103348571e-05)
    p = fma(p, s, -3.691178255880202e-05)
    p = fma(p, s, 9.546416237575914e-05)
    p = fma(p, s, -0.00023846236783794974)
    p = fma(p, s, 0.0005897995681088053)
    p = fma(p, s, -0.0014557772652328894)
    p = fma(p, s, 0.003592117775496364)
    p = fma(p, s, -0.008863234255775098)
    p = fma(p, s, 0.021869488432722448)
    p = fma(p, s, -0.05396825396323712)
    p = fma(p, s, 0.13333333333320962)
    p = fma(p, s, -0.33333333333333226)
    y = selp(size < 0.95, fma(a * s, p, a), large)
    bits, sign = double_as_longlong(y), double_as_longlong(x) & -0x8000000000000000
    return longlong_as_double(bits | sign)
