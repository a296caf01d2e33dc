"""Leaves and operators: each kind of Python expression as a value."""

from __future__ import annotations

import ast
from contextlib import nullcontext
from typing import Any, Final

from kernelkit.frontend import names, operators
from kernelkit.frontend.builtins import laneid
from kernelkit.frontend.context import EXPRESSIONS, Context, handles, perhaps
from kernelkit.frontend.lazy import condition_of, lazily
from kernelkit.frontend.operands import (
    costs,
    describe,
    disturbs,
    evaluate,
    number,
    register,
    scalar,
    static_equal,
)
from kernelkit.frontend.values import (
    UNKNOWN,
    Scalar,
    Static,
    TupleValue,
    Unknown,
    Value,
)
from kernelkit.ir.nodes import (
    Constant,
    Expr,
)
from kernelkit.ir.types import BOOL

BINARY: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv",
    ast.Mod: "mod", ast.Pow: "pow", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
    ast.LShift: "shl", ast.RShift: "shr",
}  # fmt: skip
COMPARE: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne",
}  # fmt: skip


@handles(EXPRESSIONS, ast.Constant)
def _constant(ctx: Context, node: ast.Constant) -> Value:
    if isinstance(node.value, bytes):
        ctx.fail(node, "bytes are not part of the language; use integers")
    return operators.number(ctx, node.value, node) or Static(node.value)


@handles(EXPRESSIONS, ast.Name)
def _name(ctx: Context, node: ast.Name) -> Value:
    value = names.read_name(ctx, node.id, node)
    if isinstance(value, Scalar) and value.constant is not None:
        # A literal's error belongs where the name is used.
        constant = Constant(ctx.span(node), value.expr.type, value.constant)
        return (
            register(ctx, "laneid", 0, node)
            if _is_laneid(ctx, node)
            else Scalar(constant, value.weak)
        )
    return value


def _is_laneid(ctx: Context, node: ast.Name) -> bool:
    if node.id in ctx.function.local_names:
        return False
    return ctx.function.source.lookup(node.id)[1] is laneid


# ---------------------------------------------------------------- operators
@handles(EXPRESSIONS, ast.BinOp)
def _binop(ctx: Context, node: ast.BinOp) -> Value:
    op = BINARY.get(type(node.op))
    if op is None:
        ctx.fail(node, "`@` is not part of the language; write the loop over the products")
    left, right = evaluate(ctx, [node.left, node.right])
    if isinstance(left, TupleValue) and isinstance(right, TupleValue) and op == "add":
        return TupleValue(left.items + right.items)
    a, b = scalar(ctx, left, node.left), scalar(ctx, right, node.right)
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        return UNKNOWN
    return operators.binary(ctx, op, a, b, node)


@handles(EXPRESSIONS, ast.UnaryOp)
def _unaryop(ctx: Context, node: ast.UnaryOp) -> Value:
    if isinstance(node.op, ast.Not):
        condition = condition_of(ctx, node.operand)
        return Scalar(operators.negate(ctx, condition, node))
    value = number(ctx, node.operand)
    if isinstance(value, Unknown) or isinstance(node.op, ast.UAdd):
        return value
    return operators.unary(ctx, "neg" if isinstance(node.op, ast.USub) else "invert", value, node)


@handles(EXPRESSIONS, ast.Compare)
def _compare(ctx: Context, node: ast.Compare) -> Value:
    nodes = [node.left, *node.comparators]
    result: Expr | None = None
    left = ctx.expression(node.left)
    for i, op in enumerate(node.ops):
        start = len(ctx.out)
        with ctx.capture() as emitted:
            # The second operand is evaluated anyway; only those behind it are lazy.
            with perhaps(ctx, node) if i else nullcontext():
                right = ctx.expression(nodes[i + 1])
            if i + 1 < len(node.ops) and isinstance(right, Scalar) and costs(right.expr):
                right = Scalar(ctx.spill(right.expr), right.weak)
        if result is None:
            ctx.out.extend(emitted)
            if isinstance(left, Scalar) and disturbs(emitted, left.expr):
                left = Scalar(ctx.spill(left.expr, start), left.weak)
            result = _compared(ctx, op, left, right, node, nodes[i : i + 2])
        else:
            with ctx.capture() as tail:
                if isinstance(left, Scalar) and disturbs(emitted, left.expr):
                    left = Scalar(ctx.spill(left.expr), left.weak)
                ctx.out.extend(emitted)
                more = _compared(ctx, op, left, right, node, nodes[i : i + 2])
            result = lazily(ctx, "and", result, more, tail, node)
        left = right
    assert result is not None
    return Scalar(result) if not isinstance(result, Unknown) else UNKNOWN


def _compared(
    ctx: Context, op: ast.cmpop, left: Value, right: Value, node: ast.Compare, nodes: list[ast.expr]
) -> Any:
    if isinstance(op, (ast.In, ast.NotIn)):
        return _member(ctx, left, right, node, isinstance(op, ast.NotIn))
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    if isinstance(left, Scalar) and isinstance(right, Scalar) and type(op) in COMPARE:
        return operators.compare(ctx, COMPARE[type(op)], left, right, node)
    if isinstance(left, Static) or isinstance(right, Static):
        return _compare_static(ctx, op, left, right, node)
    if isinstance(op, (ast.Is, ast.IsNot)):
        ctx.fail(node, "`is` compares with None and other compile-time values only; write ==")
    scalar(ctx, left, nodes[0])
    scalar(ctx, right, nodes[1])
    raise AssertionError(op)


def _compare_static(ctx: Context, op: ast.cmpop, left: Value, right: Value, node: ast.AST) -> Expr:
    a = left.value if isinstance(left, Static) else left
    b = right.value if isinstance(right, Static) else right
    if isinstance(op, (ast.Is, ast.IsNot)):
        same = a is b
    elif isinstance(op, (ast.Eq, ast.NotEq)):
        same = static_equal(ctx, a, b, node)
    else:
        ctx.fail(node, f"{describe(a)} and {describe(b)} cannot be ordered when compiling")
    return Constant(ctx.span(node), BOOL, same == isinstance(op, (ast.Is, ast.Eq)))


def _member(ctx: Context, left: Value, right: Value, node: ast.AST, negated: bool) -> Any:
    if not isinstance(right, TupleValue):
        ctx.fail(node, "`in` looks into tuples only; for an array write a loop")
    result: Any = Constant(ctx.span(node), BOOL, False)
    for item in right.items:
        if isinstance(left, Unknown) or isinstance(item, Unknown):
            return UNKNOWN
        if isinstance(left, Scalar) and isinstance(item, Scalar):
            equal = operators.compare(ctx, "eq", left, item, node)
        else:
            equal = _compare_static(ctx, ast.Eq(), left, item, node)
        result = operators.logical("or", result, equal, ctx.span(node))
    return operators.negate(ctx, result, node) if negated else result


@handles(EXPRESSIONS, ast.NamedExpr)
def _walrus(ctx: Context, node: ast.NamedExpr) -> Value:
    names.assign(ctx, node.target.id, ctx.expression(node.value), node)
    return ctx.expression(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target))
