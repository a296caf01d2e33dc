"""How much code a body is.

In: a body. Out: a count of nodes, by which others decide what to write twice, unroll or jam.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kernelkit.analysis.kinds import Kind, Level
from kernelkit.ir.nodes import (
    Binary,
    Body,
    Constant,
    Expr,
    For,
    Load,
    bodies,
    expressions,
    walk,
    walk_expr,
)

#: Loops of a constant length up to this are unrolled, if what comes of it weighs no more.
UNROLLED: Final = 16
UNROLLED_WEIGHT: Final = 4000
#: What divides lane by lane, and what gathers, is many instructions.
_DIVISION, _GATHER = 20, 10


def size(body: Body) -> int:
    """Statements, and nodes of their expressions."""
    return sum(1 + sum(1 for e in expressions(s) for _ in walk_expr(e)) for s in walk(body))


def trips_of(loop: For) -> int | None:
    """How often a loop runs, where its bounds are constants."""
    bounds = [e.value for e in (loop.start, loop.stop, loop.step) if isinstance(e, Constant)]
    if len(bounds) < 3 or not all(isinstance(b, int) for b in bounds) or bounds[2] == 0:
        return None
    return length(range(*(int(b.real) for b in bounds)))


def length(numbers: range) -> int:
    """len(numbers), which may be more than an index can be."""
    return (numbers[-1] - numbers[0]) // numbers.step + 1 if numbers else 0


def is_unrolled(loop: For, trips: int | None, kinds: Mapping[Expr, Kind]) -> bool:
    """Whether a loop of so many rounds (None: unknown) is unrolled."""
    if trips is None or trips > UNROLLED:
        return False
    return trips * _weight(loop.body, kinds) <= UNROLLED_WEIGHT


def _weight(body: Body, kinds: Mapping[Expr, Kind]) -> int:
    """The size of a body whose short loops are unrolled, with dear operations counted as such."""
    found = 0
    for stmt in body:
        inner = sum(_weight(each, kinds) for each in bodies(stmt))
        if isinstance(stmt, For):
            trips = trips_of(stmt)
            if trips is not None and trips <= UNROLLED and trips * inner <= UNROLLED_WEIGHT:
                inner *= trips
        own = (e for outer in expressions(stmt) for e in walk_expr(outer))
        found += 1 + inner + sum(_cost(e, kinds) for e in own)
    return found


def _cost(expr: Expr, kinds: Mapping[Expr, Kind]) -> int:
    match expr:
        case Binary(op="mod" | "floordiv") if expr.type.is_integer:
            return 1 if kinds[expr].is_uniform else _DIVISION
        case Load():
            regular = all(kinds[i].level <= Level.LINEAR for i in expr.indices)
            return 1 if regular else _GATHER
        case _:
            return 1
