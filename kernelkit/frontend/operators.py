"""Scalar work on typed operands: casts, arithmetic, comparison, truth; constants are folded.

In: Scalars. Out: Scalars. Holds: the operands of what is built have the types that the scalar
table asks for; literals fit the type they take.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Final

import numpy as np

from kernelkit.errors import Span
from kernelkit.frontend.context import Context
from kernelkit.frontend.folding import folded, folded_cast
from kernelkit.frontend.mathematics import power, written_out
from kernelkit.frontend.promotion import DEFAULT, PromotionError, ScalarType, promote
from kernelkit.frontend.values import Scalar
from kernelkit.ir import scalar
from kernelkit.ir.nodes import Binary, Cast, Compare, Constant, Expr, Intrinsic, Logical, Unary
from kernelkit.ir.types import BOOL, FLOAT64, INT64, UINT64, DType, from_numpy
from kernelkit.mathlib import FUNCTIONS as MATHLIB

Where = ast.AST | Span
SYMBOLS: Final = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>", "neg": "-", "invert": "~",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip
#: Exact arithmetic on integer literals, before they have a type.
_LITERAL: Final[dict[str, Callable[..., int]]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "pow": operator.pow,
    "floordiv": lambda a, b: a // b if b else 0, "mod": lambda a, b: a % b if b else 0,
    "and": operator.and_, "or": operator.or_, "xor": operator.xor,
    "shl": operator.lshift, "shr": operator.rshift, "min": min, "max": max,
    "neg": operator.neg, "invert": operator.invert, "abs": abs,
}  # fmt: skip


# ---------------------------------------------------------------- constants
def number(ctx: Context, value: object, where: Where) -> Scalar | None:
    """A Python or NumPy number as a constant; None if it is none."""
    span = ctx.span(where)
    if isinstance(value, (bool, np.bool_)):
        return Scalar(Constant(span, BOOL, bool(value)))
    if isinstance(value, np.generic):
        dtype = from_numpy(value.dtype)
        return None if dtype is None else Scalar(Constant(span, dtype, value.item()))
    if isinstance(value, int):
        return Scalar(Constant(span, INT64, int(value)), weak=True)
    if isinstance(value, float):
        return Scalar(Constant(span, FLOAT64, float(value)), weak=True)
    if isinstance(value, complex):
        return Scalar(Constant(span, DEFAULT["c"], complex(value)), weak=True)
    return None


# ---------------------------------------------------------------- casts
def cast(ctx: Context, value: Scalar, dtype: DType, where: Where) -> Expr:
    """The value in a type. A literal must fit; complex does not become real."""
    expr, span = value.expr, value.expr.span
    if isinstance(expr, Constant) and value.weak:
        return _typed_literal(ctx, expr, dtype)
    if expr.type == dtype:
        return expr
    if expr.type.is_complex and not dtype.is_complex:
        ctx.fail(
            where, f"{expr.type} does not become {dtype}: take its .real, its .imag or its abs()"
        )
    if isinstance(expr, Constant):
        return folded_cast(expr, dtype, span)
    return Cast(span, dtype, expr)


def _typed_literal(ctx: Context, literal: Constant, dtype: DType) -> Constant:
    value, span = literal.value, literal.span
    if isinstance(value, int) and not isinstance(value, bool) and dtype.is_integer:
        if not dtype.minimum <= value <= dtype.maximum:
            ctx.fail(
                span, f"the integer {value} does not fit {dtype} ({dtype.minimum} to "
                f"{dtype.maximum}); {_fitting(value, dtype)}",
            )  # fmt: skip
        return Constant(span, dtype, value)
    if isinstance(value, complex) and not dtype.is_complex:
        ctx.fail(
            span, f"the complex number {value} does not become {dtype}: take its .real or .imag"
        )
    if isinstance(value, int) and dtype.kind in "fc":
        try:
            value = float(value) if dtype.bits > 32 or abs(value) < 1 << 53 else value
            with np.errstate(all="ignore"):
                found = dtype.numpy.type(value)
        except OverflowError:
            ctx.fail(span, f"the integer {value} is too large for {dtype}")
        return Constant(span, dtype, found.item())
    if dtype == BOOL:
        return Constant(span, BOOL, bool(value))
    if dtype.kind in "fc":
        with np.errstate(all="ignore"):
            return Constant(span, dtype, dtype.numpy.type(value).item())
    return folded_cast(literal, dtype, span)


def settle(ctx: Context, value: Scalar, where: Where) -> Expr:
    """The value in its own type; a literal in its default one."""
    return cast(ctx, value, value.expr.type, where)


def meet(ctx: Context, op: str, values: list[Scalar], where: Where) -> ScalarType:
    """The type in which operands meet."""
    found = values[0].type
    for value in values[1:]:
        try:
            found = promote(found, value.type)
        except PromotionError as error:
            ctx.fail(where, f"`{SYMBOLS.get(op, op)}`: {error}")
    return found


def _fitting(value: int, dtype: DType) -> str:
    """What to write in place of a literal that does not fit."""
    if INT64.maximum < value <= UINT64.maximum and dtype == INT64:
        return f"write np.uint64({value:#x})"
    if value < 0 and not dtype.is_signed and -value <= dtype.maximum:
        return (
            f"write np.{dtype}({value & dtype.maximum:#x}) for the same bits, or use a signed type"
        )
    return "use a wider type, or mask the literal"


# ---------------------------------------------------------------- operations
def binary(ctx: Context, op: str, left: Scalar, right: Scalar, where: Where) -> Scalar:
    """left op right in the type in which they meet."""
    span = ctx.span(where)
    if op in ("shl", "shr"):
        right = _shift_count(ctx, left, right, where)
    met = meet(ctx, op, [left, right], where)
    if op == "truediv" and met.dtype.kind in "biu":
        met = ScalarType(FLOAT64, met.weak)
    exact = _literal(ctx, op, met, [left, right], where)
    if exact is not None:
        return exact
    if op == "pow" and met.dtype.is_integer:
        exponent = right.constant
        if isinstance(exponent, int) and exponent < 0:
            ctx.fail(where, "an integer to a negative power is no integer; write float(x) ** -1")
    if op == "pow" and met.dtype.is_float:
        a, b = cast(ctx, left, met.dtype, where), cast(ctx, right, met.dtype, where)
        return Scalar(power(ctx, a, b, span), met.weak)
    result = scalar.result_type(op, met.dtype, met.dtype)
    if result is None:
        ctx.fail(where, _undefined(op, met.dtype))
    a, b = cast(ctx, left, met.dtype, where), cast(ctx, right, met.dtype, where)
    expr = folded(op, result, [a, b], span) or Binary(span, result, op, a, b)
    return Scalar(expr, met.weak)


def _shift_count(ctx: Context, left: Scalar, right: Scalar, where: Where) -> Scalar:
    """A count need not meet what it shifts: uint64 << int64 is uint64. A count outside the width
    stays outside."""
    types = left.expr.type, right.expr.type
    if left.weak or right.weak or UINT64 not in types or types[0] == types[1]:
        return right
    if not (
        (types[0].is_integer and types[1].is_signed) or (types[0].is_signed and types[1].is_integer)
    ):
        return right
    if types[1] == UINT64:  # into fewer bits, so what is outside must be brought nearer first
        width = Scalar(Constant(ctx.span(where), UINT64, 64))
        right = binary(ctx, "min", right, width, where)
    return Scalar(cast(ctx, right, types[0], where))


def unary(ctx: Context, op: str, value: Scalar, where: Where) -> Scalar:
    """op value."""
    span = ctx.span(where)
    exact = _literal(ctx, op, value.type, [value], where)
    if exact is not None:
        return exact
    result = scalar.result_type(op, value.expr.type)
    if result is None:
        ctx.fail(where, _undefined(op, value.expr.type))
    a = settle(ctx, value, where)
    return Scalar(folded(op, result, [a], span) or Unary(span, result, op, a), value.weak)


def _literal(
    ctx: Context, op: str, met: ScalarType, values: list[Scalar], where: Where
) -> Scalar | None:
    """Integer literals among themselves: exact, as in Python."""
    if not (met.weak and met.dtype == INT64 and op in _LITERAL):
        return None
    constants = [v.constant for v in values]
    if any(c is None for c in constants):
        return None
    last = constants[-1]
    if op in ("pow", "shl", "shr") and isinstance(last, int) and not 0 <= last <= 4096:
        ctx.fail(where, f"`{SYMBOLS[op]} {last}` on integer literals; the count must be 0 to 4096")
    return Scalar(Constant(ctx.span(where), INT64, _LITERAL[op](*constants)), weak=True)


def _undefined(op: str, dtype: DType) -> str:
    symbol = SYMBOLS.get(op, op)
    if dtype == BOOL:
        hint = "write `not x`" if op == "invert" else "write int() around them"
        return f"`{symbol}` is not defined for bool; {hint}"
    if dtype.is_complex:
        return f"`{symbol}` is not defined for {dtype}; compare or combine .real and .imag"
    return f"`{symbol}` is not defined for {dtype}; cast the operands to an integer type: int(x)"


def compare(ctx: Context, op: str, left: Scalar, right: Scalar, where: Where) -> Expr:
    """left op right: bool."""
    span = ctx.span(where)
    met = meet(ctx, op, [left, right], where)
    if scalar.result_type(op, met.dtype, met.dtype) is None:
        ctx.fail(where, _undefined(op, met.dtype))
    a, b = left.constant, right.constant
    if met.weak and met.dtype == INT64 and a is not None and b is not None:
        return Constant(span, BOOL, bool(getattr(operator, op)(a, b)))
    x, y = cast(ctx, left, met.dtype, where), cast(ctx, right, met.dtype, where)
    return folded(op, BOOL, [x, y], span) or Compare(span, BOOL, op, x, y)


def truth(ctx: Context, value: Scalar, where: Where) -> Expr:
    """Whether a number is not 0."""
    if value.expr.type == BOOL:
        return value.expr
    if value.constant is not None:
        return Constant(value.expr.span, BOOL, bool(value.constant))
    zero = Scalar(Constant(ctx.span(where), INT64, 0), weak=True)
    return compare(ctx, "ne", value, zero, where)


def negate(ctx: Context, condition: Expr, where: Where) -> Expr:
    """not condition"""
    if isinstance(condition, Constant):
        return Constant(condition.span, BOOL, not condition.value)
    return Unary(ctx.span(where), BOOL, "not", condition)


def logical(op: str, left: Expr, right: Expr, span: Span) -> Expr:
    """left and/or right, where neither does anything besides."""
    if isinstance(left, Constant):
        return right if bool(left.value) == (op == "and") else left
    return Logical(span, BOOL, op, left, right)


def intrinsic(
    ctx: Context, function: str, values: list[Scalar], where: Where, *, floating: bool = False
) -> Scalar:
    """function(values) in the type in which they meet; `floating`: integers become float64."""
    met = meet(ctx, function, values, where)
    if floating and met.dtype.kind in "biu":
        met = ScalarType(FLOAT64, met.weak)
    args = [cast(ctx, v, met.dtype, where) for v in values]
    expr = apply(ctx, function, args, where)
    return Scalar(expr, met.weak and expr.type == met.dtype)


#: What functions take that do not take every real number.
_TAKES: Final = {
    **dict.fromkeys(("popc", "clz", "ffs", "brev"), "it takes integers"),
    "float_as_int": "write np.float32(x)", "int_as_float": "write np.int32(x)",
    "double_as_longlong": "write np.float64(x)", "longlong_as_double": "write np.int64(x)",
}  # fmt: skip


def apply(ctx: Context, function: str, args: list[Expr], where: Where) -> Expr:
    """A function on operands that have their types."""
    span = ctx.span(where)
    if function in MATHLIB and args[0].type.is_float:
        return written_out(ctx, function, args, span)
    result = scalar.result_type(function, *(a.type for a in args))
    if result is None:
        types = ", ".join(str(a.type) for a in args)
        hint = _TAKES.get(function, "it takes real numbers")
        ctx.fail(where, f"{function} is not defined for ({types}); {hint}")
    constant = None if function == "uniform" else folded(function, result, args, span)
    return constant or Intrinsic(span, result, function, tuple(args))
