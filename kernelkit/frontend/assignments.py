"""Assignments: names, elements, tuples, in place, annotated.

Holds: the value is evaluated first, then the target's indices, as in Python.
"""

from __future__ import annotations

import ast
from typing import Any

from kernelkit.frontend import names, operators
from kernelkit.frontend.context import (
    STATEMENTS,
    Context,
    Refused,
    handles,
)
from kernelkit.frontend.elements import Element, subscripted
from kernelkit.frontend.expressions import BINARY
from kernelkit.frontend.operands import (
    evaluate,
    in_order,
    scalar,
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
    Expr,
    Load,
    Store,
    walk_expr,
)
from kernelkit.ir.types import AddressSpace


@handles(STATEMENTS, ast.Assign)
def _assign(ctx: Context, node: ast.Assign) -> bool:
    first = node.targets[0]
    value = hinted(ctx, first, node.value)
    if len(node.targets) > 1 and isinstance(value, Scalar) and value.constant is None:
        value = Scalar(ctx.spill(value.expr), value.weak)
    if len(node.targets) > 1 and isinstance(value, TupleValue):
        (value,) = names.protect(ctx, [value], alone=True)
    for target in node.targets:
        assign_to(ctx, target, value, node)
    return True


def hinted(ctx: Context, target: ast.expr, node: ast.expr) -> Value:
    """An expression's value; an array that it makes takes the target's name."""
    ctx.named = (node, target.id) if isinstance(target, ast.Name) else None
    return ctx.expression(node)


def assign_to(ctx: Context, target: ast.expr, value: Value, node: ast.AST) -> None:
    """target = value, for a name, an element, or a tuple of these."""
    match target:
        case ast.Name():
            names.assign(ctx, target.id, value, node)
        case ast.Subscript():
            _store(ctx, target, value, node)
        case ast.Tuple() | ast.List():
            _unpack(ctx, target, value, node)
        case ast.Attribute():
            ctx.fail(
                target,
                f"{ast.unparse(target)} cannot be assigned in a kernel; assign an element: a[i] = ...",
            )
        case _:
            ctx.fail(target, "this cannot be assigned")


def _unpack(ctx: Context, target: ast.Tuple | ast.List, value: Value, node: ast.AST) -> None:
    if isinstance(value, Unknown):
        for part in target.elts:
            assign_to(ctx, part, UNKNOWN, node)
        return
    if not isinstance(value, TupleValue):
        ctx.fail(node, "only tuples are unpacked; assign the elements one by one")
    for part in target.elts:
        if isinstance(part, ast.Starred):
            ctx.fail(part, "star expressions are not part of the language; write the elements out")
    if len(value.items) != len(target.elts):
        ctx.fail(node, f"{len(value.items)} values are unpacked into {len(target.elts)} names")
    for part, item in zip(target.elts, names.protect(ctx, list(value.items)), strict=True):
        assign_to(ctx, part, item, node)


def _store(ctx: Context, target: ast.Subscript, value: Value, node: ast.AST) -> None:
    # The value was evaluated first; what the indices do cannot change it.
    stored, place = in_order(ctx, [lambda: value, lambda: subscripted(ctx, target)])  # type: ignore[list-item, return-value]
    where = place_of(ctx, target, place)
    number = scalar(ctx, stored, getattr(node, "value", node))
    if where is None or isinstance(number, Unknown):
        return
    typed = operators.cast(ctx, number, where.array.type.dtype, node)
    ctx.emit(Store(ctx.span(node), where.array, where.indices, typed))


def place_of(ctx: Context, target: ast.Subscript, place: Any) -> Element | None:
    """The single element that a subscript names, writable; None where it is not known yet."""
    if isinstance(place, Unknown):
        return None
    if not isinstance(place, Element):
        ctx.fail(target, "a tuple's elements cannot be assigned; use local.array, or a new tuple")
    kind = place.array.type
    if len(place.indices) < kind.ndim:
        text = ast.unparse(target.value)
        ctx.fail(
            target, f"{text} has {kind.ndim} axes but is indexed with {len(place.indices)}; "
            "one element is assigned at a time",
        )  # fmt: skip
    if kind.space is AddressSpace.CONSTANT:
        text = ast.unparse(target.value)
        ctx.fail(
            target, f"{text} is constant and cannot be written; pass an array as an argument, or "
            "use local.array",
        )  # fmt: skip
    return place


@handles(STATEMENTS, ast.AugAssign)
def _augassign(ctx: Context, node: ast.AugAssign) -> bool:
    op = BINARY.get(type(node.op))
    if op is None:
        ctx.fail(node, "`@=` is not part of the language; write the loop over the products")
    if isinstance(node.target, ast.Name):
        name = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        old, value = evaluate(ctx, [name, node.value])
        names.assign(ctx, node.target.id, _combine(ctx, op, old, value, node), node)
        return True
    if not isinstance(node.target, ast.Subscript):
        ctx.fail(node.target, f"{ast.unparse(node.target)} cannot be assigned in a kernel")
    target = node.target
    place = place_of(ctx, target, subscripted(ctx, target))
    if place is None:
        ctx.expression(node.value)
        return True
    kept = [ctx.spill(i) if _costly(i) else i for i in place.indices]
    load = Scalar(Load(ctx.span(target), place.array.type.dtype, place.array, tuple(kept)))
    parts = in_order(
        ctx,
        [*(lambda i=i: Scalar(i) for i in kept), lambda: load, lambda: ctx.expression(node.value)],
    )
    result = _combine(ctx, op, parts[-2], parts[-1], node)
    if isinstance(result, Scalar):
        idx = tuple(p.expr for p in parts[:-2] if isinstance(p, Scalar))
        typed = operators.cast(ctx, result, place.array.type.dtype, node)
        ctx.emit(Store(ctx.span(node), place.array, idx, typed))
    return True


def _costly(index: Expr) -> bool:
    return any(isinstance(e, Load) for e in walk_expr(index))


def _combine(ctx: Context, op: str, old: Value, value: Value, node: ast.AugAssign) -> Value:
    a, b = scalar(ctx, old, node.target), scalar(ctx, value, node.value)
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        return UNKNOWN
    return operators.binary(ctx, op, a, b, node)


@handles(STATEMENTS, ast.AnnAssign)
def _annassign(ctx: Context, node: ast.AnnAssign) -> bool:
    if isinstance(node.target, ast.Name):
        try:
            annotation = ctx.expression(node.annotation)
        except Refused:
            return True
        # int, float and bool are what type checkers want to hear; they fix no width.
        if isinstance(annotation, Static) and annotation.value not in (int, float, bool, complex):
            names.declare(ctx, node.target.id, annotation.value, node)
    if node.value is not None:
        assign_to(ctx, node.target, hinted(ctx, node.target, node.value), node)
    return True
