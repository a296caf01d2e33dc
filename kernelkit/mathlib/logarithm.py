"""log and log2.

x = 2**e (1 + f) with 1 + f from about 1 / sqrt(2) to sqrt(2), by subtracting the bits of the lower
end from those of x. log(1 + f) = f - f**2 / 2 + f**3 q(f) with a minimax polynomial q. A denormal is
scaled up first.
"""

from __future__ import annotations

import math

import numpy as np

from kernelkit.frontend.builtins import (
    Number,
    double_as_longlong,
    float_as_int,
    fma,
    int_as_float,
    longlong_as_double,
    selp,
)
from kernelkit.mathlib.exponential import LN2_64, LN2_REST_64

LEAST_NORMAL32, LEAST_NORMAL64 = 2.0**-126, 2.0**-1022
#: What scales a denormal up.
SCALE32, SCALE64 = 2.0**23, 2.0**54
#: The weight of an exponent's lowest bit in a float32's bits, inverted.
EXPONENT32 = 2.0**-23
#: 2**52 and the bias of the exponent: a whole number in its low bits, less this, is that as a float.
BIASED64 = 2.0**52 + 1023
#: The bits of 2/3 and of sqrt(1/2): where 1 + f begins.
TWO_THIRDS32, ROOT32, ROOT64 = 0x3F2AAAAB, 0x3F3504F3, 0x3FE6A09E667F3BCD
#: log2(e) for float64, and what is missing.
LOG2_E_64, LOG2_E_REST_64 = 1.4426950408889634, 1.8742593812735176e-17


def log_float32(x: Number) -> Number:
    e, f = parts_float32(x, TWO_THIRDS32)
    q = fma(f, -1.2880266e-01, 1.3984738e-01)
    q = fma(q, f, -1.2187466e-01)
    q = fma(q, f, 1.4005722e-01)
    q = fma(q, f, -1.6680196e-01)
    q = fma(q, f, 2.0010427e-01)
    q = fma(q, f, -2.4999806e-01)
    q = fma(q, f, 3.3333215e-01)
    q = fma(q, f, -0.5)
    y = fma(e, 6.931472e-01, fma(f * f, q, f))
    return edges(x, y)


def log2_float32(x: Number) -> Number:
    e, f = parts_float32(x, ROOT32)
    q = fma(f, -1.09837815e-01, 1.8687658e-01)
    q = fma(q, f, -1.9145016e-01)
    q = fma(q, f, 2.0452209e-01)
    q = fma(q, f, -2.3956488e-01)
    q = fma(q, f, 2.8856957e-01)
    q = fma(q, f, -3.606987e-01)
    q = fma(q, f, 4.8089823e-01)
    q = fma(q, f, -7.2134733e-01)
    # log2(e) in two parts, the second with what the polynomial wants of it.
    y = fma(f, 1.442695, fma(f * f, q, f * 1.9200693e-08)) + e
    return edges(x, y)


def log_float64(x: Number) -> Number:
    e, f = parts_float64(x)
    q = fma(f, -0.022390982588527897, 0.0549967186068967)
    q = fma(q, f, -0.06284297521414473)
    q = fma(q, f, 0.05485074369640222)
    q = fma(q, f, -0.0533885297801582)
    q = fma(q, f, 0.0580842874961539)
    q = fma(q, f, -0.06267321884082708)
    q = fma(q, f, 0.06675751348598935)
    q = fma(q, f, -0.0714220096129137)
    q = fma(q, f, 0.07691696617950045)
    q = fma(q, f, -0.08333338330824898)
    q = fma(q, f, 0.09090933660613339)
    q = fma(q, f, -0.10000000483021068)
    q = fma(q, f, 0.11111110517310227)
    q = fma(q, f, -0.12499999982310965)
    q = fma(q, f, 0.14285714293853943)
    q = fma(q, f, -0.16666666666908503)
    q = fma(q, f, 0.19999999999945806)
    q = fma(q, f, -0.24999999999998948)
    q = fma(q, f, 0.33333333333333454)
    q = fma(q, f, -0.5)
    y = fma(e, LN2_64, fma(f * f, q, e * LN2_REST_64) + f)
    return edges(x, y)


def log2_float64(x: Number) -> Number:
    e, f = parts_float64(x)
    q = fma(f, -0.03580698685666007, 0.08282640646083632)
    q = fma(q, f, -0.09019519637256596)
    q = fma(q, f, 0.07774893225331637)
    q = fma(q, f, -0.07688073338425609)
    q = fma(q, f, 0.08402932897465845)
    q = fma(q, f, -0.09046056235928004)
    q = fma(q, f, 0.09628923968871013)
    q = fma(q, f, -0.10303546239870523)
    q = fma(q, f, 0.11096896138948192)
    q = fma(q, f, -0.12022495149597687)
    q = fma(q, f, 0.13115440321259686)
    q = fma(q, f, -0.1442694997490464)
    q = fma(q, f, 0.1602994414823971)
    q = fma(q, f, -0.1803368801377098)
    q = fma(q, f, 0.2060992916606504)
    q = fma(q, f, -0.24044917348084888)
    q = fma(q, f, 0.28853900817701966)
    q = fma(q, f, -0.36067376022224995)
    q = fma(q, f, 0.4808983469629903)
    q = fma(q, f, -0.7213475204444817)
    # The greater part, kept from being fused with e by the zero, and what its rounding takes away.
    product = fma(f, LOG2_E_64, 0.0)
    rest = fma(f, LOG2_E_REST_64, fma(f, LOG2_E_64, -product))
    total = e + product
    y = total + (((e - total) + product) + fma(f, f * q, rest))
    return edges(x, y)


def parts_float32(x: Number, start: int) -> tuple[Number, Number]:
    """(e, f) of x = 2**e (1 + f), 1 + f being not below the float that has the bits `start`."""
    tiny = x < LEAST_NORMAL32
    above = float_as_int(selp(tiny, x * SCALE32, x)) - start
    e = fma(np.float32(above & -0x800000), EXPONENT32, selp(tiny, np.float32(-23), np.float32(0)))
    return e, int_as_float((above & 0x7FFFFF) + start) - 1.0


def parts_float64(x: Number) -> tuple[Number, Number]:
    tiny = x < LEAST_NORMAL64
    bits = double_as_longlong(selp(tiny, x * SCALE64, x))
    above = np.uint64(bits + (0x3FF0000000000000 - ROOT64))
    # e is made a float by standing in the low bits of 2**52 + 1023 + e.
    e = longlong_as_double(np.int64((above >> 52) | 0x4330000000000000))
    e = e - selp(tiny, BIASED64 + 54.0, BIASED64)
    return e, longlong_as_double(np.int64(above & 0xFFFFFFFFFFFFF) + ROOT64) - 1.0


def edges(x: Number, y: Number) -> Number:
    """y, or what a logarithm is where it is not finite."""
    y = selp(x == 0.0, -math.inf, y)
    y = selp(x < 0.0, math.nan, y)
    return selp(x < math.inf, y, x)
