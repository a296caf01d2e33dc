"""Tuples, subscripts and attributes: elements, views, shapes.

Holds: a[i][j, k] is one element; a view is made only where an array is needed.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from types import ModuleType

from kernelkit.frontend import names, operators
from kernelkit.frontend.builtins import Dim3, laneid
from kernelkit.frontend.context import EXPRESSIONS, Context, handles
from kernelkit.frontend.operands import (
    evaluate,
    extent,
    in_order,
    refuse_float,
    register,
    scalar,
    static_int,
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
    ArrayVar,
    Constant,
    Expr,
    Load,
    View,
)
from kernelkit.ir.types import INT64, ArrayType
from kernelkit.records import record


@handles(EXPRESSIONS, ast.Attribute)
def _attribute(ctx: Context, node: ast.Attribute) -> Value:
    owner = ctx.expression(node.value)
    match owner:
        case Unknown():
            return UNKNOWN
        case Static(value=Dim3() as dim):
            if node.attr not in ("x", "y", "z"):
                ctx.fail(node, f"{dim!r} has no attribute {node.attr}; it has .x, .y and .z")
            return register(ctx, dim._name, "xyz".index(node.attr), node)
        case Static():
            if isinstance(owner.value, ModuleType) and vars(owner.value).get(node.attr) is laneid:
                return register(ctx, "laneid", 0, node)
            return names.attribute(ctx, owner.value, node.attr, node)
        case ArrayRef():
            return _array_attribute(ctx, owner.array, node)
        case TupleValue():
            fields = getattr(owner.cls, "_fields", ())
            if node.attr in fields:
                return owner.items[fields.index(node.attr)]
            ctx.fail(node, f"this tuple has no field {node.attr}{names.nearest(node.attr, fields)}")
        case Scalar():
            return _scalar_attribute(ctx, owner, node)


def _array_attribute(ctx: Context, array: ArrayVar, node: ast.Attribute) -> Value:
    rank = array.type.ndim
    match node.attr:
        case "shape":
            return TupleValue(tuple(extent(ctx, array, axis, node) for axis in range(rank)))
        case "ndim":
            return Scalar(Constant(ctx.span(node), INT64, rank), weak=True)
        case "size":
            size = Scalar(Constant(ctx.span(node), INT64, 1))
            for axis in range(rank):
                size = operators.binary(ctx, "mul", size, extent(ctx, array, axis, node), node) if axis else extent(ctx, array, 0, node)  # fmt: skip
            return size
        case "dtype":
            return Static(array.type.dtype.numpy)
    known = ("shape", "ndim", "size", "dtype")
    ctx.fail(
        node, f"arrays in kernels have no attribute {node.attr}{names.nearest(node.attr, known)}; "
        f"they have {', '.join(known)}",
    )  # fmt: skip


def _scalar_attribute(ctx: Context, value: Scalar, node: ast.Attribute) -> Value:
    if node.attr not in ("real", "imag"):
        ctx.fail(
            node, f"numbers have no attribute {node.attr}; they have .real, .imag and .conjugate()"
        )
    if value.expr.type.is_complex:
        args = [operators.settle(ctx, value, node)]
        return Scalar(operators.apply(ctx, node.attr, args, node), value.weak)
    if node.attr == "real":
        return value
    zero = Scalar(Constant(ctx.span(node), INT64, 0), weak=True)
    return Scalar(operators.cast(ctx, zero, value.expr.type, node), value.weak)


@handles(EXPRESSIONS, ast.Tuple)
def _tuple(ctx: Context, node: ast.Tuple) -> Value:
    for item in node.elts:
        if isinstance(item, ast.Starred):
            ctx.fail(item, "star expressions are not part of the language; write the elements out")
    return TupleValue(tuple(evaluate(ctx, node.elts)))


def index_nodes(node: ast.expr) -> list[ast.expr]:
    """The indices of a subscript."""
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def indices(ctx: Context, values: Sequence[Value], nodes: Sequence[ast.expr]) -> list[Expr] | None:
    """Indices as integers of their own types; None where one is not known yet."""
    found: list[Expr] = []
    for value, node in zip(values, nodes, strict=True):
        index = scalar(ctx, value, node, "an index")
        if isinstance(index, Unknown):
            return None
        if not index.expr.type.is_integer:
            refuse_float(ctx, index, node, "an index must be an integer")
        found.append(operators.settle(ctx, index, node))
    return found


def flatten_indices(
    values: Sequence[Value], nodes: Sequence[ast.expr]
) -> tuple[list[Value], list[ast.expr]]:
    """a[p] with a tuple p is a[p[0], p[1], ...]."""
    out: list[Value] = []
    where: list[ast.expr] = []
    for value, node in zip(values, nodes, strict=True):
        items = list(value.items) if isinstance(value, TupleValue) else [value]
        out += items
        where += [node] * len(items)
    return out, where


@record(eq=False)
class Element:
    """An array with the indices gathered so far: a[i][j, k] is one element, not a view's."""

    array: ArrayVar
    indices: tuple[Expr, ...]


def subscripted(ctx: Context, node: ast.expr) -> Element | Value:
    """What a chain of subscripts stands for, before a view is made of it."""
    if not isinstance(node, ast.Subscript):
        return ctx.expression(node)
    owner = subscripted(ctx, node.value)
    if isinstance(owner, TupleValue):
        return _tuple_item(ctx, owner, node)
    if isinstance(owner, ArrayRef):
        owner = Element(owner.array, ())
    if isinstance(owner, Unknown):
        return UNKNOWN
    if not isinstance(owner, Element):
        scalar(ctx, owner, node.value, "an array")
        ctx.fail(node.value, f"{ast.unparse(node.value)} is a number and cannot be indexed")
    return _index_further(ctx, owner, node)


def _index_further(ctx: Context, owner: Element, node: ast.Subscript) -> Element | Unknown:
    parts = index_nodes(node.slice)
    for part in parts:
        if isinstance(part, (ast.Slice, ast.Starred)) or _is_ellipsis(part):
            ctx.fail(
                part, "slices are not part of the language; index with integers "
                "(fewer indices than axes give a view), or pass the slice as an argument",
            )  # fmt: skip
    earlier: list[Callable[[], Value]] = [lambda e=e: Scalar(e) for e in owner.indices]  # type: ignore[misc]
    values = in_order(ctx, earlier + [lambda n=n: ctx.expression(n) for n in parts])  # type: ignore[misc]
    flat, nodes = flatten_indices(values, [node] * len(earlier) + parts)
    found = indices(ctx, flat, nodes)
    if found is None:
        return UNKNOWN
    rank = owner.array.type.ndim
    if len(found) > rank:
        base: ast.expr = node
        while isinstance(base, ast.Subscript):
            base = base.value
        ctx.fail(
            node, f"{ast.unparse(base)} has {_count(rank, 'axis', 'axes')} but is indexed with "
            f"{_count(len(found), 'index', 'indices')}; write {_as_many(ast.unparse(base), rank)}",
        )  # fmt: skip
    return Element(owner.array, tuple(found))


def _as_many(text: str, rank: int) -> str:
    return str(rank) if rank else f"{text}[()]"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


@handles(EXPRESSIONS, ast.Subscript)
def _subscript(ctx: Context, node: ast.Subscript) -> Value:
    found = subscripted(ctx, node)
    if not isinstance(found, Element):
        return found
    array, idx = found.array, found.indices
    if len(idx) == array.type.ndim:
        return Scalar(Load(ctx.span(node), array.type.dtype, array, idx))
    return ArrayRef(view(ctx, array, idx, node))


def view(ctx: Context, array: ArrayVar, idx: tuple[Expr, ...], node: ast.AST) -> ArrayVar:
    """Emits the view of the elements that share the leading indices."""
    kind = array.type
    rank = kind.ndim - len(idx)
    target = ArrayVar(
        ctx.array_name("view", node),
        ArrayType(kind.dtype, rank, kind.layout, kind.space, kind.readonly),
        array.shape[len(idx) :],
    )
    ctx.emit(View(ctx.span(node), target, array, idx))
    return target


def _tuple_item(ctx: Context, owner: TupleValue, node: ast.Subscript) -> Value:
    if isinstance(node.slice, ast.Slice):
        bounds = [None if b is None else static_int(ctx, b, "a tuple's slice") for b in (node.slice.lower, node.slice.upper, node.slice.step)]  # fmt: skip
        return TupleValue(owner.items[slice(*bounds)])
    index = static_int(ctx, node.slice, "a tuple's index")
    try:
        return owner.items[operator.index(index)]
    except IndexError:
        ctx.fail(node, f"index {index} is outside a tuple of {len(owner.items)}")
