"""Expressions, operands before what uses them.

In: the expressions of a statement. Out: they and all below them, each node once.
Holds: no recursion and no repetition, so deep trees and shared nodes cost what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.ir.nodes import Expr, children


def operands_first(expressions: Sequence[Expr]) -> tuple[Expr, ...]:
    """Every node of some expressions, operands first."""
    order: dict[Expr, None] = {}
    stack: list[Expr] = [*reversed(expressions)]
    while stack:
        expr = stack[-1]
        pending = [] if expr in order else [c for c in children(expr) if c not in order]
        if pending:
            stack.extend(reversed(pending))
        else:
            order.setdefault(stack.pop())
    return tuple(order)
