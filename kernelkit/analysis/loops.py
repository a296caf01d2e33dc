"""What a loop does to names: which it changes, which it carries on, which it only counts up or down.

In: a loop. Out: Changes.
Holds: about integers and bools only; by the look of the statements, before anything is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kernelkit.analysis.operands import operands_first
from kernelkit.ir.nodes import (
    Assign,
    Binary,
    Body,
    Expr,
    For,
    Load,
    Read,
    Stmt,
    Var,
    While,
    bodies,
    expressions,
    targets,
    walk,
)


class Step(NamedTuple):
    """name = name + sign * amount; `nested`: in a loop inside, so perhaps many times."""

    sign: int
    amount: Expr
    nested: bool


class Changes(NamedTuple):
    """`names`: all that the loop assigns. `carried`: those whose value an iteration may get from
    the one before. `steps`: those among them that change by steps alone, by amounts that the loop
    does not change."""

    names: tuple[Var, ...]
    carried: frozenset[Var]
    steps: dict[Var, tuple[Step, ...]]
    once: frozenset[Var]


def changes_of(loop: For | While) -> Changes:
    assigned: dict[Var, list[Stmt]] = {}
    for stmt in walk((loop,)):
        for var in targets(stmt):
            if var.type.kind in "biu":
                assigned.setdefault(var, []).append(stmt)
    carried = frozenset(assigned.keys() - _renewed(loop))
    nested = {s for outer in walk(_inside(loop)) if isinstance(outer, For | While)
              for body in bodies(outer) for s in walk(body)}  # fmt: skip
    steps = {}
    for var in carried:
        found = [_step(var, stmt, stmt in nested) for stmt in assigned[var]]
        known = tuple(step for step in found if step is not None)
        if len(known) == len(found) and not any(_depends(s.amount, assigned) for s in known):
            steps[var] = known
    once = frozenset(var for var, stmts in assigned.items() if len(stmts) == 1)
    return Changes(tuple(assigned), carried, steps, once)


def _inside(loop: For | While) -> Body:
    return loop.body if isinstance(loop, For) else (*loop.prelude, *loop.body)


def _renewed(loop: For | While) -> set[Var]:
    """The names that each iteration assigns before it reads them."""
    renewed = {loop.target} if isinstance(loop, For) else set()
    seen: set[Var] = set()
    for stmt in _top(loop):
        for inner in walk((stmt,)):
            for expr in operands_first(expressions(inner)):
                if isinstance(expr, Read):
                    seen.add(expr.var)
        if isinstance(stmt, Assign) and stmt.target not in seen:
            renewed.add(stmt.target)
    return renewed


def _top(loop: For | While) -> Iterator[Stmt]:
    if isinstance(loop, For):
        yield from loop.body
        return
    yield from loop.prelude
    # Its condition is read here; so is the body, which is harmless but for what the body renews.
    yield While(loop.span, (), loop.condition, ())
    yield from loop.body


def _step(var: Var, stmt: Stmt, nested: bool) -> Step | None:
    match stmt:
        case Assign(value=Binary(op="add" | "sub" as op, left=Read(var=read), right=amount)):
            if read is var:
                return Step(1 if op == "add" else -1, amount, nested)
        case Assign(value=Binary(op="add", left=amount, right=Read(var=read))):
            if read is var:
                return Step(1, amount, nested)
    return None


def _depends(amount: Expr, assigned: dict[Var, list[Stmt]]) -> bool:
    """Whether an amount may change from one iteration to the next."""
    return any(
        isinstance(e, Load) or (isinstance(e, Read) and e.var in assigned)
        for e in operands_first((amount,))
    )
