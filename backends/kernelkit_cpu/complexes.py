"""Complex arithmetic: naive products, quotients by Smith's method.

In and out: (real, imaginary). Holds: every step is rounded to the type of the parts, also where
contraction is allowed, so that z * conj(z) is real.
"""

from __future__ import annotations

from kernelkit_cpu.instructions import Code
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import Parts


def multiply(code: Code, kind: str, a: Parts, b: Parts) -> Parts:
    (re, im), (x, y), exact = a, b, code.exact()
    real = exact.fsub(kind, exact.fmul(kind, re, x), exact.fmul(kind, im, y))
    return real, exact.fadd(kind, exact.fmul(kind, re, y), exact.fmul(kind, im, x))


def divide(code: Code, kind: str, a: Parts, b: Parts) -> Parts:
    """Smith's method: with p the greater part of b and q the other, u and v those of a that stand
    at their places, ratio = q / p and scale = 1 / (p + q * ratio), the real part is
    (u + v * ratio) * scale and the imaginary one (v - u * ratio) * scale, negated where p is b's
    imaginary part. By zero, each part of a is divided by it."""
    (re, im), (x, y), code = a, b, code.exact()
    zero = code.number(kind, 0.0)
    size_x, size_y = (code.intrinsic("fabs", kind, each) for each in (x, y))
    first = code.fcmp("oge", kind, size_x, size_y)

    def chosen(yes: Operand, no: Operand) -> Operand:
        return code.select(kind, first, yes, no)

    p, q, u, v = chosen(x, y), chosen(y, x), chosen(re, im), chosen(im, re)
    ratio = code.op("fdiv", kind, q, p)
    # Without `first` a NaN might stand at the other part.
    by_zero = code.op("and", "i1", first, code.fcmp("oeq", kind, p, zero))

    def unless(otherwise: Operand, value: Operand) -> Operand:
        return code.select(kind, by_zero, otherwise, value)

    divisor = unless(zero, code.fadd(kind, p, code.fmul(kind, q, ratio)))
    scale = code.op("fdiv", kind, code.number(kind, 1.0), divisor)
    real = unless(re, code.fadd(kind, u, code.fmul(kind, v, ratio)))
    product = code.fmul(kind, u, ratio)
    imaginary = unless(im, code.fsub(kind, chosen(v, product), chosen(product, v)))
    return code.fmul(kind, real, scale), code.fmul(kind, imaginary, scale)


def conjugate(code: Code, kind: str, a: Parts) -> Parts:
    return a[0], code.op("fneg", kind, a[1])


def equal(code: Code, kind: str, a: Parts, b: Parts, negated: bool) -> Operand:
    predicate, join = ("une", "or") if negated else ("oeq", "and")
    real, imaginary = (code.fcmp(predicate, kind, p, q) for p, q in zip(a, b, strict=True))
    return code.op(join, "i1", real, imaginary)
