"""The functions of mathlib on operands of any float type, and powers.

In: operands of one float type. Out: a value of that type; what leads to it is emitted.
Holds: of float16 it is the float32 result, rounded; a constant exponent that needs no more than a
few operations gets these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from kernelkit.errors import Span
from kernelkit.frontend.context import Context
from kernelkit.frontend.expansion import expand
from kernelkit.frontend.folding import folded_cast
from kernelkit.ir.nodes import Binary, Cast, Compare, Constant, Expr, Intrinsic, Read
from kernelkit.ir.types import BOOL, FLOAT16, FLOAT32, DType
from kernelkit.mathlib import FUNCTIONS


def written_out(ctx: Context, name: str, args: Sequence[Expr], span: Span) -> Expr:
    """A function of mathlib."""
    dtype = args[0].type
    if dtype == FLOAT16:
        wide = [_cast(arg, FLOAT32, span) for arg in args]
        return _cast(written_out(ctx, name, wide, span), FLOAT16, span)
    return expand(ctx, FUNCTIONS[name].bodies[dtype], args, span)


def power(ctx: Context, base: Expr, exponent: Expr, span: Span) -> Expr:
    """base ** exponent"""
    short = _SHORT.get(exponent.value) if isinstance(exponent, Constant) else None
    if short is None or isinstance(base, Constant):
        return written_out(ctx, "pow", [base, exponent], span)
    if base.type == FLOAT16:
        wide = _cast(base, FLOAT32, span)
        return _cast(power(ctx, wide, _cast(exponent, FLOAT32, span), span), FLOAT16, span)
    read = base if isinstance(base, Read) else ctx.spill(base)
    return short(ctx, read, span)


def _cast(expr: Expr, dtype: DType, span: Span) -> Expr:
    if isinstance(expr, Constant):
        return folded_cast(expr, dtype, span)
    return Cast(span, dtype, expr)


# ---------------------------------------------------------------- constant exponents
def _itself(ctx: Context, x: Read, span: Span) -> Expr:
    return x


def _square(ctx: Context, x: Read, span: Span) -> Expr:
    return Binary(span, x.type, "mul", x, Read(span, x.type, x.var))


def _cube(ctx: Context, x: Read, span: Span) -> Expr:
    return Binary(span, x.type, "mul", _square(ctx, x, span), Read(span, x.type, x.var))


def _fourth(ctx: Context, x: Read, span: Span) -> Expr:
    return _square(ctx, ctx.spill(_square(ctx, x, span)), span)


def _inverse(ctx: Context, x: Read, span: Span) -> Expr:
    return Binary(span, x.type, "truediv", Constant(span, x.type, 1.0), x)


def _root(ctx: Context, x: Read, span: Span) -> Expr:
    """As a power it is infinite for an infinity of either sign, and 0 for -0."""
    dtype = x.type
    root = Intrinsic(span, dtype, "sqrt", (x,))
    root_or_zero = Binary(span, dtype, "add", root, Constant(span, dtype, 0.0))
    again, infinity = Read(span, dtype, x.var), Constant(span, dtype, math.inf)
    below = Compare(span, BOOL, "eq", again, Constant(span, dtype, -math.inf))
    return Intrinsic(span, dtype, "selp", (below, infinity, root_or_zero))


_SHORT: Final[dict[object, Callable[[Context, Read, Span], Expr]]] = {
    1.0: _itself, 2.0: _square, 3.0: _cube, 4.0: _fourth, -1.0: _inverse, 0.5: _root,
}  # fmt: skip
