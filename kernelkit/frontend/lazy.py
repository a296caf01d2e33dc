"""What Python evaluates only if it must: `and`, `or`, conditional expressions.

Holds: what a lazy operand does besides happens only where Python would evaluate it: an effect turns
the expression into an If that writes a temporary.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from kernelkit.frontend import operators
from kernelkit.frontend.context import EXPRESSIONS, Context, handles, merge, perhaps
from kernelkit.frontend.operands import (
    costs,
    scalar,
    static_truth,
)
from kernelkit.frontend.values import (
    UNKNOWN,
    ArrayRef,
    Scalar,
    Static,
    TupleValue,
    Unknown,
    Value,
)
from kernelkit.ir.nodes import (
    Assign,
    Constant,
    If,
    Read,
    Select,
    Stmt,
)
from kernelkit.ir.types import BOOL


def condition_of(ctx: Context, node: ast.expr) -> Any:
    """The truth of an expression, as a bool Expr; Unknown where it is not known yet."""
    if isinstance(node, ast.BoolOp):
        op = "and" if isinstance(node.op, ast.And) else "or"
        result: Any = condition_of(ctx, node.values[0])
        for operand in node.values[1:]:
            if isinstance(result, Constant) and bool(result.value) != (op == "and"):
                return result
            lazy = nullcontext() if isinstance(result, Constant) else perhaps(ctx, node)
            with lazy, ctx.capture() as emitted:
                right = condition_of(ctx, operand)
            result = lazily(ctx, op, result, right, emitted, node)
        return result
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = condition_of(ctx, node.operand)
        return inner if isinstance(inner, Unknown) else operators.negate(ctx, inner, node)
    value = ctx.expression(node)
    if isinstance(value, Static):
        return Constant(ctx.span(node), BOOL, static_truth(ctx, value.value, node))
    if isinstance(value, TupleValue):
        return Constant(ctx.span(node), BOOL, bool(value.items))
    found = scalar(ctx, value, node, "a condition")
    return found if isinstance(found, Unknown) else operators.truth(ctx, found, node)


def lazily(ctx: Context, op: str, left: Any, right: Any, emitted: list[Stmt], node: ast.AST) -> Any:
    """left op right, where evaluating right emitted statements (or none)."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    span = ctx.span(node)
    if not emitted or (isinstance(left, Constant) and bool(left.value) == (op == "and")):
        ctx.out.extend(emitted)
        return operators.logical(op, left, right, span)
    var = ctx.temporary(BOOL)
    read = Read(span, BOOL, var)
    ctx.emit(Assign(span, var, left))
    then = (*emitted, Assign(span, var, right))
    ctx.emit(If(span, read if op == "and" else operators.negate(ctx, read, node), then, ()))
    return read


@handles(EXPRESSIONS, ast.BoolOp)
def _boolop(ctx: Context, node: ast.BoolOp) -> Value:
    """The operand that decides, as in Python; of bools alone that is a bool."""
    op = "and" if isinstance(node.op, ast.And) else "or"
    result = ctx.expression(node.values[0])
    for operand in node.values[1:]:
        known = _known_truth(ctx, result, node)
        if known is not None:
            if known == (op == "or"):
                return result
            result = ctx.expression(operand)
            continue
        with perhaps(ctx, node), ctx.capture() as emitted:
            right = ctx.expression(operand)
        result = _deciding(ctx, op, result, right, emitted, node)
    return result


def _known_truth(ctx: Context, value: Value, node: ast.AST) -> bool | None:
    """Whether a value holds, where that is known when compiling."""
    match value:
        case Scalar():
            return None if value.constant is None else bool(value.constant)
        case Static():
            return static_truth(ctx, value.value, node)
        case TupleValue():
            return bool(value.items)
        case _:
            return None


def _deciding(
    ctx: Context, op: str, left: Value, right: Value, emitted: list[Stmt], node: ast.BoolOp
) -> Value:
    """left op right, where evaluating right emitted statements (or none)."""
    first = scalar(ctx, left, node.values[0], "a condition")
    if isinstance(first, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    if first.expr.type == BOOL and isinstance(right, Scalar) and right.expr.type == BOOL:
        return Scalar(lazily(ctx, op, first.expr, right.expr, emitted, node))
    if costs(first.expr):
        first = Scalar(ctx.spill(first.expr), first.weak)
    kept, test = first, operators.truth(ctx, first, node)

    def go_on() -> Value:
        ctx.out.extend(emitted)
        return right

    def keep() -> Value:
        return kept

    return (
        choose(ctx, test, go_on, keep, node)
        if op == "and"
        else choose(ctx, test, keep, go_on, node)
    )


@handles(EXPRESSIONS, ast.IfExp)
def _ifexp(ctx: Context, node: ast.IfExp) -> Value:
    condition = condition_of(ctx, node.test)
    return choose(
        ctx, condition, lambda: ctx.expression(node.body), lambda: ctx.expression(node.orelse), node
    )


def choose(
    ctx: Context, condition: Any, then: Callable[[], Value], orelse: Callable[[], Value],
    node: ast.AST,
) -> Value:  # fmt: skip
    """`then if condition else orelse`, with only the chosen arm evaluated."""
    if isinstance(condition, Constant):
        return then() if condition.value else orelse()
    before = dict(ctx.function.env)
    with ctx.capture() as first:
        a = then()
    after, ctx.function.env = ctx.function.env, before
    with ctx.capture() as second:
        b = orelse()
    ctx.function.env = merge([after, ctx.function.env], ctx.span(node))
    if isinstance(condition, Unknown) or isinstance(a, Unknown) or isinstance(b, Unknown):
        return UNKNOWN
    if not (isinstance(a, Scalar) and isinstance(b, Scalar)):
        if _same_thing(a, b):
            if first or second:
                ctx.emit(If(ctx.span(node), condition, tuple(first), tuple(second)))
            return a
        ctx.fail(
            node, "the arms of this conditional expression are not both numbers; use if and else"
        )
    met = operators.meet(ctx, "if-else", [a, b], node)
    # Which of two integer literals it is shows only when it runs: no telling whether it fits.
    weak = met.weak and not met.dtype.is_integer
    span = ctx.span(node)
    with ctx.capture() as casts:
        x, y = (operators.cast(ctx, v, met.dtype, node) for v in (a, b))
    assert not casts
    if not first and not second:
        return Scalar(Select(span, met.dtype, condition, x, y), weak)
    var = ctx.temporary(met.dtype)
    ctx.emit(If(span, condition, (*first, Assign(span, var, x)), (*second, Assign(span, var, y))))
    return Scalar(Read(span, met.dtype, var), weak)


def _same_thing(a: Value, b: Value) -> bool:
    return (isinstance(a, ArrayRef) and isinstance(b, ArrayRef) and a.array is b.array) or (
        isinstance(a, Static) and isinstance(b, Static) and a.value is b.value
    )
