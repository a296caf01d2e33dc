"""Kernels made from kernels: the same statements around other expressions.

In: nodes. Out: nodes; whatever does not change stays the same object.
Holds: an expression that stands in several places becomes one that stands in the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from kernelkit.ir import nodes as ir


class Rewriter:
    """What becomes of a kernel. As it stands, nothing changes; subclasses say what does."""

    def __init__(self) -> None:
        self._done: dict[ir.Expr, ir.Expr] = {}

    def replaced(self, expr: ir.Expr) -> ir.Expr | None:
        """What stands in the place of an expression and all below it; None: go on inside it."""
        return None

    def expr(self, expr: ir.Expr) -> ir.Expr:
        found = self._done.get(expr)
        if found is None:
            found = self.replaced(expr)
            if found is None:
                found = with_operands(expr, [self.expr(e) for e in ir.children(expr)])
            self._done[expr] = found
        return found

    def stmt(self, stmt: ir.Stmt) -> ir.Stmt | None:
        """What becomes of a statement; None: it goes."""
        own = [self.expr(e) for e in ir.expressions(stmt)]
        return with_parts(stmt, own, [self.body(b) for b in ir.bodies(stmt)])

    def body(self, body: ir.Body) -> ir.Body:
        return tuple(new for stmt in body if (new := self.stmt(stmt)) is not None)


def with_operands(expr: ir.Expr, operands: Sequence[ir.Expr]) -> ir.Expr:
    """An expression with other operands, in the order of `children`."""
    if _same(operands, ir.children(expr)):
        return expr
    match expr:
        case ir.Unary() | ir.Cast():
            return replace(expr, operand=operands[0])
        case ir.Binary() | ir.Compare() | ir.Logical():
            return replace(expr, left=operands[0], right=operands[1])
        case ir.Select():
            return replace(expr, condition=operands[0], then=operands[1], orelse=operands[2])
        case ir.Intrinsic():
            return replace(expr, args=tuple(operands))
        case ir.Load():
            return replace(expr, indices=tuple(operands))
        case ir.Constant() | ir.Read() | ir.SpecialRegister() | ir.Extent():
            return expr
        case _:
            assert_never(expr)


def with_parts(stmt: ir.Stmt, own: Sequence[ir.Expr], inner: Sequence[ir.Body]) -> ir.Stmt:
    """A statement with other expressions, in the order of `expressions`, and other bodies."""
    if _same(own, ir.expressions(stmt)) and all(map(_same, inner, ir.bodies(stmt))):
        return stmt
    match stmt:
        case ir.Assign():
            return replace(stmt, value=own[0])
        case ir.Store():
            return replace(stmt, indices=tuple(own[:-1]), value=own[-1])
        case ir.Atomic():
            axes = len(stmt.indices)
            return replace(stmt, indices=tuple(own[:axes]), operands=tuple(own[axes:]))
        case ir.View():
            return replace(stmt, indices=tuple(own))
        case ir.Warp() if stmt.mask is None:
            return replace(stmt, operands=tuple(own))
        case ir.Warp():
            return replace(stmt, mask=own[0], operands=tuple(own[1:]))
        case ir.Barrier():
            return replace(stmt, predicate=own[0])
        case ir.If():
            return replace(stmt, condition=own[0], then=inner[0], orelse=inner[1])
        case ir.For():
            return replace(stmt, start=own[0], stop=own[1], step=own[2], body=inner[0])
        case ir.While():
            return replace(stmt, condition=own[0], prelude=inner[0], body=inner[1])
        case ir.Scope():
            return replace(stmt, body=inner[0])
        case ir.Print():
            return replace(stmt, text=_text(stmt.text, own))
        case ir.Assert():
            return replace(stmt, condition=own[0], text=_text(stmt.text, own[1:]))
        case (
            ir.Fence() | ir.Allocate() | ir.Break() | ir.Continue() | ir.Return() | ir.Breakpoint()
        ):
            return stmt
        case _:
            assert_never(stmt)


def _text(text: ir.Text, values: Sequence[ir.Expr]) -> ir.Text:
    left = iter(values)
    return tuple(p if isinstance(p, str) else replace(p, value=next(left)) for p in text)


def _same(new: Sequence[object], old: Sequence[object]) -> bool:
    return len(new) == len(old) and all(a is b for a, b in zip(new, old, strict=True))
