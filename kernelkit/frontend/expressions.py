"""Expressions: each kind of Python expression as a value, lazily where Python is lazy.

Holds: operands are evaluated in Python's order: what a later operand does cannot change an earlier
one; what a lazy operand does happens only where Python would evaluate it.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kernelkit.frontend import names, operators
from kernelkit.frontend.builtins import Dim3, laneid
from kernelkit.frontend.context import EXPRESSIONS, Context, handles
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
    Assign,
    Atomic,
    Barrier,
    Constant,
    Expr,
    Extent,
    Fence,
    If,
    Load,
    Read,
    Select,
    SpecialRegister,
    Stmt,
    Store,
    View,
    Warp,
    targets,
    walk,
    walk_expr,
)
from kernelkit.ir.types import BOOL, INT64, ArrayType

BINARY: Final[dict[type[ast.operator], str]] = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.FloorDiv: "floordiv",
    ast.Mod: "mod", ast.Pow: "pow", ast.BitAnd: "and", ast.BitOr: "or", ast.BitXor: "xor",
    ast.LShift: "shl", ast.RShift: "shr",
}  # fmt: skip
COMPARE: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne",
}  # fmt: skip


# ---------------------------------------------------------------- operands
def scalar(ctx: Context, value: Value, node: ast.AST, what: str = "a number") -> Scalar | Unknown:
    """The value as a number; anything else is refused."""
    match value:
        case Scalar() | Unknown():
            return value
        case ArrayRef():
            rank = value.array.type.ndim
            ctx.fail(
                node, f"{ast.unparse(node)} is an array of {rank} axes where {what} is needed; "
                f"index it with {rank} indices",
            )  # fmt: skip
        case TupleValue():
            ctx.fail(
                node, f"{ast.unparse(node)} is a tuple where {what} is needed; take an element"
            )
        case Static(value=np.ndarray()):
            name = ast.unparse(node)
            ctx.fail(
                node, f"the global array {name} can be written, so a kernel cannot fold it; pass it "
                f"as an argument, use const.array_like({name}), or {name}.setflags(write=False)",
            )  # fmt: skip
        case Static():
            ctx.fail(
                node, f"{ast.unparse(node)} is {_describe(value.value)} where {what} is needed"
            )


def _describe(value: object) -> str:
    if value is None:
        return "None"
    if isinstance(value, str):
        return f"the string {value!r}"
    name = getattr(value, "__name__", None)
    return f"{type(value).__name__} {name}" if name else repr(value)


def number(ctx: Context, node: ast.expr) -> Scalar | Unknown:
    return scalar(ctx, ctx.expression(node), node)


def in_order(ctx: Context, parts: Sequence[Callable[[], Value]]) -> list[Value]:
    """Evaluates parts left to right; what a later one emits cannot change an earlier one."""
    found: list[Value] = []
    for part in parts:
        start = len(ctx.out)
        value = part()
        emitted = ctx.out[start:]
        if emitted:
            at = start
            for i, earlier in enumerate(found):
                if isinstance(earlier, Scalar) and _disturbs(emitted, earlier.expr):
                    found[i] = Scalar(ctx.spill(earlier.expr, at), earlier.weak)
                    at += 1
        found.append(value)
    return found


def evaluate(ctx: Context, nodes: Sequence[ast.expr]) -> list[Value]:
    """The values of expressions, left to right."""
    return in_order(ctx, [lambda n=n: ctx.expression(n) for n in nodes])  # type: ignore[misc]


_MEMORY_EFFECTS = (Store, Atomic, Barrier, Warp, Fence)


def _disturbs(emitted: Sequence[Stmt], expr: Expr) -> bool:
    """Whether statements can change the value of an expression."""
    parts = list(walk_expr(expr))
    reads = {e.var for e in parts if isinstance(e, Read)}
    loads = any(isinstance(e, Load) for e in parts)
    return any(
        (loads and isinstance(s, _MEMORY_EFFECTS)) or not reads.isdisjoint(targets(s))
        for s in walk(tuple(emitted))
    )


def register(ctx: Context, name: str, axis: int, node: ast.AST) -> Scalar:
    """A special register: int64."""
    return Scalar(SpecialRegister(ctx.span(node), INT64, name, axis))


# ---------------------------------------------------------------- leaves
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
            if getattr(owner.value, node.attr, None) is laneid:
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


def extent(ctx: Context, array: ArrayVar, axis: int, node: ast.AST) -> Scalar:
    """array.shape[axis]: a constant where it is known."""
    span = ctx.span(node)
    if array.shape and not array.is_dynamic:
        return Scalar(Constant(span, INT64, array.shape[axis]))
    return Scalar(Extent(span, INT64, array, axis))


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
            right = ctx.expression(nodes[i + 1])
            if i + 1 < len(node.ops) and isinstance(right, Scalar) and _costs(right.expr):
                right = Scalar(ctx.spill(right.expr), right.weak)
        if result is None:
            # The second operand is evaluated anyway; only those behind it are lazy.
            ctx.out.extend(emitted)
            if isinstance(left, Scalar) and _disturbs(emitted, left.expr):
                left = Scalar(ctx.spill(left.expr, start), left.weak)
            result = _compared(ctx, op, left, right, node, nodes[i : i + 2])
        else:
            with ctx.capture() as tail:
                ctx.out.extend(emitted)
                more = _compared(ctx, op, left, right, node, nodes[i : i + 2])
            result = _lazy(ctx, "and", result, more, tail, node)
        left = right
    assert result is not None
    return Scalar(result) if not isinstance(result, Unknown) else UNKNOWN


def _costs(expr: Expr) -> bool:
    return not isinstance(expr, (Constant, Read, SpecialRegister, Extent))


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
        same = bool(a == b)
    else:
        ctx.fail(node, f"{_describe(a)} and {_describe(b)} cannot be ordered when compiling")
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


# ---------------------------------------------------------------- laziness
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
            result = _lazy(ctx, op, result, right, emitted, node)
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


def _lazy(ctx: Context, op: str, left: Any, right: Any, emitted: list[Stmt], node: ast.AST) -> Any:
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
        if _costs(result.expr):
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
        if names_same(a, b):
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


def names_same(a: Value, b: Value) -> bool:
    return (isinstance(a, ArrayRef) and isinstance(b, ArrayRef) and a.array is b.array) or (
        isinstance(a, Static) and isinstance(b, Static) and a.value is b.value
    )


@handles(EXPRESSIONS, ast.NamedExpr)
def _walrus(ctx: Context, node: ast.NamedExpr) -> Value:
    names.assign(ctx, node.target.id, ctx.expression(node.value), node)
    return ctx.expression(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target))


# ---------------------------------------------------------------- tuples and elements
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
            hint = "int(x)" if index.expr.type != BOOL else "int(x), or use if"
            ctx.fail(node, f"an index must be an integer, not {index.expr.type}; write {hint}")
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


@dataclass(frozen=True, slots=True, eq=False)
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
            f"{_count(len(found), 'index', 'indices')}; write {rank}",
        )  # fmt: skip
    return Element(owner.array, tuple(found))


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
        ctx.array_name("view"),
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


def static_int(ctx: Context, node: ast.expr, what: str) -> int:
    """An integer that must be known when compiling."""
    value = ctx.expression(node)
    constant = value.constant if isinstance(value, Scalar) else None
    if not isinstance(constant, int) or isinstance(constant, bool):
        ctx.fail(
            node, f"{what} must be an integer known when compiling; use a literal, a global "
            "or a kk.constexpr parameter",
        )  # fmt: skip
    return constant
