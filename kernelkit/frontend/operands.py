"""Operands: values as the numbers, conditions and integers that an operation needs, in order.

Holds: operands are evaluated left to right, and what a later one does cannot change an earlier.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import NoReturn

import numpy as np

from kernelkit.errors import Span
from kernelkit.frontend.builtins import Dim3
from kernelkit.frontend.context import Context
from kernelkit.frontend.values import (
    ArrayRef,
    Scalar,
    Static,
    TupleValue,
    Unknown,
    Value,
)
from kernelkit.ir.nodes import (
    ArrayVar,
    Atomic,
    Barrier,
    Constant,
    Expr,
    Extent,
    Fence,
    Load,
    Read,
    SpecialRegister,
    Stmt,
    Store,
    Warp,
    targets,
    walk,
    walk_expr,
)
from kernelkit.ir.types import BOOL, INT64


def scalar(ctx: Context, value: Value, node: ast.AST, what: str = "a number") -> Scalar | Unknown:
    """The value as a number; anything else is refused."""
    match value:
        case Scalar() | Unknown():
            return value
        case ArrayRef():
            rank = value.array.type.ndim
            axes, indices = ("axis", "index") if rank == 1 else ("axes", "indices")
            if rank == 0:
                text = ast.unparse(node)
                ctx.fail(
                    node, f"{text} is an array without axes where {what} is needed; write {text}[()]"
                )  # fmt: skip
            ctx.fail(
                node, f"{ast.unparse(node)} is an array of {rank} {axes} where {what} is needed; "
                f"give it {rank} {indices}",
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
            text, found = ast.unparse(node), describe(value.value)
            is_what = f"{found} stands" if text in found else f"{text} is {found}"
            instead = "" if text == "None" else _instead(value.value)
            ctx.fail(node, f"{is_what} where {what} is needed{instead}")


def describe(value: object) -> str:
    """A compile-time object, as messages call it."""
    if value is None:
        return "None"
    if isinstance(value, str):
        return f"the string {value!r}"
    if isinstance(value, Dim3):
        return repr(value)
    name = getattr(value, "__name__", None)
    kinds = ((is_kernel, "kernel"), (callable, "function"))
    kind = next((word for test, word in kinds if test(value)), type(value).__name__)
    return f"the {kind} {name}" if name else f"the {type(value).__name__} {value!r}"


def is_kernel(value: object) -> bool:
    """Whether it is what @kernel makes, which this room may not import."""
    return hasattr(value, "forall") and hasattr(value, "__wrapped__")


def _instead(value: object) -> str:
    """What to write in place of a compile-time object that is no number."""
    return next((f"; {text}" for test, text in _INSTEAD if test(value)), "")


_INSTEAD: tuple[tuple[Callable[[object], bool], str], ...] = (
    (lambda v: v is None, "test for it first: `if x is not None`"),
    (lambda v: isinstance(v, Dim3), "take its .x, .y or .z"),
    (lambda v: isinstance(v, list), "make it a tuple, or a read-only NumPy array"),
    (
        lambda v: isinstance(v, str),
        "kernels work on numbers (math.inf and math.nan are some); print takes f-strings",
    ),
    (is_kernel, "a kernel cannot launch one: make it @kk.device and call it"),
    (callable, "call it"),
)


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
                before = len(ctx.out)
                found[i] = _kept(ctx, earlier, emitted, at)
                at += len(ctx.out) - before
        found.append(value)
    return found


def _kept(ctx: Context, value: Value, emitted: Sequence[Stmt], at: int) -> Value:
    """The value, from before the statements that were emitted behind it."""
    if isinstance(value, TupleValue):
        items = []
        for item in value.items:
            before = len(ctx.out)
            items.append(_kept(ctx, item, emitted, at))
            at += len(ctx.out) - before
        return TupleValue(tuple(items), value.cls)
    if isinstance(value, Scalar) and disturbs(emitted, value.expr):
        return Scalar(ctx.spill(value.expr, at), value.weak)
    return value


def evaluate(ctx: Context, nodes: Sequence[ast.expr]) -> list[Value]:
    """The values of expressions, left to right."""
    return in_order(ctx, [lambda n=n: ctx.expression(n) for n in nodes])  # type: ignore[misc]


_MEMORY_EFFECTS = (Store, Atomic, Barrier, Warp, Fence)


def disturbs(emitted: Sequence[Stmt], expr: Expr) -> bool:
    """Whether statements can change the value of an expression."""
    parts = list(walk_expr(expr))
    reads = {e.var for e in parts if isinstance(e, Read)}
    loads = any(isinstance(e, Load) for e in parts)
    return any(
        (loads and isinstance(s, _MEMORY_EFFECTS)) or not reads.isdisjoint(targets(s))
        for s in walk(tuple(emitted))
    )


def static_truth(ctx: Context, value: object, node: ast.AST) -> bool:
    """Whether a compile-time object holds; an array, for one, does not say."""
    try:
        return bool(value)
    except Exception:
        ctx.fail(node, f"{ast.unparse(node)} has no truth when compiling; compare its elements")


def static_equal(ctx: Context, a: object, b: object, node: ast.AST) -> bool:
    """Whether two compile-time objects are equal."""
    try:
        return bool(a == b)
    except Exception:
        ctx.fail(node, f"{ast.unparse(node)} cannot be told when compiling; compare numbers")


def refuse_float(ctx: Context, value: Scalar, node: ast.AST, rule: str) -> NoReturn:
    """`rule`, and what to write; for a name also what made it a float."""
    text = ast.unparse(node)
    notes: list[tuple[Span, str]] = []
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        instead = f"write {ast.unparse(node.left)} // {ast.unparse(node.right)}"
    elif value.expr.type == BOOL:
        instead = f"write int({text}), or use if"
    else:
        instead = f"write int({text})"
    if isinstance(value.expr, Read) and value.expr.var.name in ctx.joins:
        notes.append((ctx.joins[value.expr.var.name].span, f"{text} takes its type here"))
    ctx.fail(node, f"{rule}, not {value.expr.type}; {instead}", *notes)


def costs(expr: Expr) -> bool:
    """Whether evaluating it twice would be work."""
    return not isinstance(expr, (Constant, Read, SpecialRegister, Extent))


def register(ctx: Context, name: str, axis: int, node: ast.AST) -> Scalar:
    """A special register: int64."""
    return Scalar(SpecialRegister(ctx.span(node), INT64, name, axis))


def extent(ctx: Context, array: ArrayVar, axis: int, node: ast.AST) -> Scalar:
    """array.shape[axis]: a constant where it is known."""
    span = ctx.span(node)
    if array.shape and not array.is_dynamic:
        return Scalar(Constant(span, INT64, array.shape[axis]))
    return Scalar(Extent(span, INT64, array, axis))


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
