"""sin, cos and tan.

Of the angle that is left when multiples of pi/2 are taken off, as a sum of two floats, both sine and
cosine are minimax polynomials; the quadrant chooses one and a sign. tan is a polynomial too, or its
negative inverse, corrected by the remainder of the division.
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
from kernelkit.mathlib.reduction import reduced_float32, reduced_float64


def sin_float32(x: Number) -> Number:
    quadrant, high, low = reduced_float32(x)
    return turned_float32(quadrant, high, low)


def cos_float32(x: Number) -> Number:
    quadrant, high, low = reduced_float32(x)
    return turned_float32(quadrant + 1, high, low)


def turned_float32(quadrant: Number, high: Number, low: Number) -> Number:
    """The sine of quadrant * pi/2 + high - low."""
    s = fma(high, high, high * (low * -2.0))
    p = fma(s, 1.9505146e-04, -8.332093e-03)
    p = fma(p, s, 1.6666654e-01)
    sine = high - fma(s * high, p, low)
    p = fma(s, 2.4412091e-05, -1.388713e-03)
    p = fma(p, s, 4.166664e-02)
    p = fma(p, s, -0.5)
    cosine = fma(s, p, 1.0)
    y = selp((quadrant & 1) == 0, sine, cosine)
    return int_as_float(float_as_int(y) ^ ((quadrant & 2) << 30))


def tan_float32(x: Number) -> Number:
    quadrant, high, low = reduced_float32(x)
    s = high * high
    p = fma(s, 4.5925323e-03, -3.429644e-04)
    p = fma(p, s, 1.1171174e-02)
    p = fma(p, s, 2.115565e-02)
    p = fma(p, s, 5.40837e-02)
    p = fma(p, s, 1.3332462e-01)
    p = fma(p, s, 3.3333355e-01)
    return inverted((quadrant & 1) != 0, high, low, s, p * high)


def sin_float64(x: Number) -> Number:
    quadrant, high, low = reduced_float64(x)
    return turned_float64(quadrant, high, low)


def cos_float64(x: Number) -> Number:
    quadrant, high, low = reduced_float64(x)
    return turned_float64(quadrant + 1, high, low)


def turned_float64(quadrant: Number, high: Number, low: Number) -> Number:
    s = fma(high, high, high * (low * -2.0))
    p = fma(s, -1.5895450981737417e-10, 2.505073558303254e-08)
    p = fma(p, s, -2.7557313546718917e-06)
    p = fma(p, s, 0.00019841269829369982)
    p = fma(p, s, -0.00833333333332184)
    p = fma(p, s, 0.1666666666666663)
    sine = high - fma(s * high, p, low)
    p = fma(s, -1.1358728174708928e-11, 2.087570504824609e-09)
    p = fma(p, s, -2.755731421498424e-07)
    p = fma(p, s, 2.4801587288997e-05)
    p = fma(p, s, -0.0013888888888873338)
    p = fma(p, s, 0.041666666666666595)
    p = fma(p, s, -0.5)
    cosine = fma(s, p, 1.0)
    y = selp((quadrant & 1) == 0, sine, cosine)
    return longlong_as_double(double_as_longlong(y) ^ ((quadrant & 2) << 62))


def tan_float64(x: Number) -> Number:
    quadrant, high, low = reduced_float64(x)
    s = high * high
    p = fma(s, 9.748925796918266e-06, -2.4009915019847706e-05)
    p = fma(p, s, 4.802870615264843e-05)
    p = fma(p, s, -2.482409731401475e-05)
    p = fma(p, s, 6.652323589727322e-05)
    p = fma(p, s, 8.397045819075398e-05)
    p = fma(p, s, 0.00024358117749271422)
    p = fma(p, s, 0.0005889142306567305)
    p = fma(p, s, 0.0014560352982771092)
    p = fma(p, s, 0.0035921023589819117)
    p = fma(p, s, 0.008863237776961724)
    p = fma(p, s, 0.021869488408664626)
    p = fma(p, s, 0.053968253972540854)
    p = fma(p, s, 0.13333333333326075)
    p = fma(p, s, 0.33333333333333376)
    return inverted((quadrant & 1) != 0, high, low, s, p * high)


def inverted(odd: Number, high: Number, low: Number, s: Number, p: Number) -> Number:
    """The tangent of high - low, or its negative inverse; s is high**2, p (tan(high) - high) / s."""
    y = fma(p, s, high)
    # What s lacks of the square, and low times the derivative.
    error = fma(p, fma(high, high, -s), -(fma(y, y, 1.0) * low))
    more = fma(p, s, error)
    y = high + more
    rest = (high - y) + more
    inverse = -1.0 / y
    remainder = fma(inverse, rest, fma(inverse, y, 1.0))
    return selp(odd, fma(inverse, remainder, inverse), y)
