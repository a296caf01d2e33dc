"""What Python evaluates only if it must: `and`, `or`, conditional expressions.

Holds: what a lazy operand does besides happens only where Python would evaluate it: an effect turns
the expression into an If that writes a temporary.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from kernelkit.frontend import operators
from kernelkit.frontend.context import EXPRESSIONS, Context, handles
from kernelkit.frontend.operands import (
    costs,
    scalar,
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
            with ctx.capture() as emitted:
                right = condition_of(ctx, operand)
            result = lazily(ctx, op, result, right, emitted, node)
        return result
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = condition_of(ctx, node.operand)
        return inner if isinstance(inner, Unknown) else operators.negate(ctx, inner, node)
    value = ctx.expression(node)
    if isinstance(value, Static):
        return Constant(ctx.span(node), BOOL, bool(value.value))
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
    """`a and b` of bools is a bool; of other numbers the operand that decides, as in Python."""
    with ctx.capture() as trial:
        values = [ctx.expression(n) for n in node.values[:1]]
    if any(isinstance(v, Unknown) for v in values):
        ctx.out.extend(trial)
        return UNKNOWN
    first = values[0]
    if not isinstance(first, Scalar) or first.expr.type == BOOL:
        condition = condition_of(ctx, node)
        return UNKNOWN if isinstance(condition, Unknown) else Scalar(condition)
    ctx.out.extend(trial)
    result: Value = first
    for operand in node.values[1:]:
        if not isinstance(result, Scalar):
            return UNKNOWN
        if costs(result.expr):
            result = Scalar(ctx.spill(result.expr), result.weak)
        keep, test = result, operators.truth(ctx, result, node)
        arms: list[Callable[[], Value]] = [lambda n=operand: ctx.expression(n), lambda k=keep: k]  # type: ignore[misc]
        if isinstance(node.op, ast.Or):
            arms.reverse()
        result = choose(ctx, test, arms[0], arms[1], node)
    return result


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
    with ctx.capture() as first:
        a = then()
    with ctx.capture() as second:
        b = orelse()
    if isinstance(condition, Unknown) or isinstance(a, Unknown) or isinstance(b, Unknown):
        return UNKNOWN
    if not (isinstance(a, Scalar) and isinstance(b, Scalar)):
        if _same_thing(a, b):
            return a
        ctx.fail(
            node, "the arms of this conditional expression are not both numbers; use if and else"
        )
    met = operators.meet(ctx, "if-else", [a, b], node)
    span = ctx.span(node)
    with ctx.capture() as casts:
        x, y = (operators.cast(ctx, v, met.dtype, node) for v in (a, b))
    assert not casts
    if not first and not second:
        return Scalar(Select(span, met.dtype, condition, x, y), met.weak)
    var = ctx.temporary(met.dtype)
    ctx.emit(If(span, condition, (*first, Assign(span, var, x)), (*second, Assign(span, var, y))))
    return Scalar(Read(span, met.dtype, var), met.weak)


def _same_thing(a: Value, b: Value) -> bool:
    return (isinstance(a, ArrayRef) and isinstance(b, ArrayRef) and a.array is b.array) or (
        isinstance(a, Static) and isinstance(b, Static) and a.value is b.value
    )
