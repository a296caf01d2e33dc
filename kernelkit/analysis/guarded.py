"""What the test of a while loop says of the variable that a statement in it assigns.

In: the body of a kernel. Out: for assignments the comparisons with the target that hold when they
begin: (operation, the other side). Holds: only of variables that a turn of the loop assigns once, and
not in a loop inside, so that the value is still the one that was tested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kernelkit.ir import nodes as ir

Test = tuple[str, ir.Expr]
_TURNED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def guarded(body: ir.Body) -> dict[ir.Stmt, list[Test]]:
    found: dict[ir.Stmt, list[Test]] = {}
    for loop in ir.walk(body):
        if not isinstance(loop, ir.While):
            continue
        tests: dict[ir.Var, list[Test]] = {}
        for var, test in _tests(loop.condition):
            tests.setdefault(var, []).append(test)
        turn = ir.walk((*loop.prelude, *loop.body))
        assigned = Counter(var for stmt in turn for var in ir.targets(stmt))
        for stmt in _once(loop.body):
            if isinstance(stmt, ir.Assign) and assigned[stmt.target] == 1:
                found[stmt] = tests.get(stmt.target, [])
    return found


def _tests(condition: ir.Expr) -> Iterator[tuple[ir.Var, Test]]:
    """What holds behind a condition that is true."""
    match condition:
        case ir.Logical(op="and"):
            yield from _tests(condition.left)
            yield from _tests(condition.right)
        case ir.Compare() if condition.op in _TURNED:
            if isinstance(condition.left, ir.Read):
                yield condition.left.var, (condition.op, condition.right)
            if isinstance(condition.right, ir.Read):
                yield condition.right.var, (_TURNED[condition.op], condition.left)


def _once(body: ir.Body) -> Iterator[ir.Stmt]:
    """The statements that a body runs once at most."""
    for stmt in body:
        yield stmt
        if not isinstance(stmt, (ir.For, ir.While)):
            for inner in ir.bodies(stmt):
                yield from _once(inner)
