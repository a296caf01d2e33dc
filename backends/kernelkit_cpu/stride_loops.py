"""Loops in which each thread of a one-dimensional block takes every n-th element.

In: an analysed kernel. Out: for such a loop, a Stride: what all threads of the block count
together, and what a thread adds to that.
Holds of a Stride: thread t runs the iterations i = base + coefficient * t below `stop`, for base in
range(start, stop, step); start, stop and step are the same in all threads of the block, step is
positive, and all threads of the block that have not returned come to the loop together.
An index that wraps around at 2^63 is outside every array, so sums are taken to be exact.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Final

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.memory import view_roots
from kernelkit.analysis.operands import operands_first
from kernelkit.analysis.phases import barrier_phases
from kernelkit.analysis.shape import Shape
from kernelkit.analysis.variability import find_variability
from kernelkit.analysis.webs import Web, find_webs
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import INT64, AddressSpace
from kernelkit.records import record

#: The most blocks along x, y, z of a grid that comes to an end.
_GRID: Final = (2**31 - 1, 65535, 65535)
_ARITHMETIC: Final[dict[str, Callable[[int, int], int]]] = {
    "add": operator.add,
    "mul": operator.mul,
}
#: Statements that a loop may not hold: what waits for others, ends the thread, or speaks.
_LEFT_ALONE: Final = (ir.Barrier, ir.Warp, ir.Return, ir.Print, ir.Fence, ir.Allocate)


@record
class Stride:
    """`body` is what a thread does for its i; `first`: the assignment that a while loop's i starts
    with, if nothing else needs it."""

    target: ir.Var
    start: ir.Expr
    stop: ir.Expr
    #: Whether `stop` may be written a second time, inside the loop.
    stop_is_fixed: bool
    step: ir.Expr
    coefficient: int
    body: ir.Body
    first: ir.Stmt | None = None


def may_stride(stmt: ir.Stmt) -> bool:
    """Whether a loop is worth an analysis."""
    match stmt:
        case ir.For(start=ir.Constant()):
            return False
        case ir.For(step=ir.Constant(value=value)):
            return isinstance(value, int) and value > 1
        case ir.While():
            return _increment(stmt) is not None
        case _:
            return isinstance(stmt, ir.For)


def _increment(loop: ir.While) -> tuple[ir.Read, ir.Expr, ir.Expr] | None:
    """i, stop and step of `while i < stop: ...; i += step`."""
    condition, last = loop.condition, loop.body[-1] if loop.body else None
    if loop.prelude or not isinstance(condition, ir.Compare) or not isinstance(last, ir.Assign):
        return None
    left, right = condition.left, condition.right
    if condition.op == "gt":
        left, right = right, left
    value = last.value
    named = isinstance(left, ir.Read) and left.type == INT64 and left.var is last.target
    if condition.op not in ("lt", "gt") or not named or not isinstance(left, ir.Read):
        return None
    if not isinstance(value, ir.Binary) or value.op != "add":
        return None
    for one, other in ((value.left, value.right), (value.right, value.left)):
        if isinstance(one, ir.Read) and one.var is last.target:
            return left, right, other
    return None


class StrideLoops:
    """Finds them. `carried`: how many names a loop may hand from one iteration to the next."""

    def __init__(self, kernel: ir.Kernel, shape: Shape, carried: int) -> None:
        self.shape, self.carried = shape, carried
        self.parameters = frozenset(kernel.params)
        self.webs = find_webs(kernel)
        phases = barrier_phases(kernel, view_roots(kernel))
        self.variability = find_variability(kernel, shape, self.webs, phases)
        self.assigned = Counter(var for stmt in ir.walk(kernel.body) for var in ir.targets(stmt))
        self.reads: dict[Web, set[ir.Read]] = {}
        for read, web in self.webs.reads.items():
            self.reads.setdefault(web, set()).add(read)

    # ------------------------------------------------------------ loops
    def ranged(self, loop: ir.For) -> Stride | None:
        """A `for` loop over a range as a Stride."""
        web = self.webs.definitions[loop, loop.target]
        inside = _reads_of(loop.body)
        if web.definitions != (loop,) or not self.reads.get(web, set()) <= inside:
            return None
        if not all(map(self.is_uniform, (loop.stop, loop.step))):
            return None
        if not self.is_open(loop, loop.step) or not self.gains(loop.body, inside, web):
            return None
        start = self.start(loop.start)
        if start is None:
            return None
        return Stride(
            target=loop.target,
            start=start[0],
            stop=loop.stop,
            stop_is_fixed=self.is_fixed(loop.stop, loop.body),
            step=loop.step,
            coefficient=start[1],
            body=loop.body,
        )

    def counted(self, loop: ir.While, before: Sequence[ir.Stmt]) -> Stride | None:
        """A `while` loop that counts, with the statements before it in its body, as a Stride."""
        found = _increment(loop)
        if found is None:
            return None
        counter, stop, step = found
        web, last = self.webs.reads[counter], loop.body[-1]
        places = [k for k, stmt in enumerate(before) if stmt in web.definitions]
        if len(places) != 1 or len(web.definitions) != 2 or last not in web.definitions:
            return None
        if web.is_parameter or web.may_be_unassigned:
            return None
        first, between = before[places[0]], _reads_of(before[places[0] + 1 :])
        body = loop.body[:-1]
        inside = _reads_of((loop,))
        if not self.reads[web] <= inside | between or own_jumps(body, ir.Continue):
            return None
        fixed = all(self.is_uniform(e) and self.is_fixed(e, loop.body) for e in (stop, step))
        if not fixed or not self.is_open(loop, step) or not self.gains(body, inside, web):
            return None
        if not isinstance(first, ir.Assign) or not self.is_steady(first.value):
            return None
        start = self.start(first.value)
        if start is None:
            return None
        return Stride(
            target=counter.var,
            start=start[0],
            stop=stop,
            stop_is_fixed=True,
            step=step,
            coefficient=start[1],
            body=body,
            first=None if self.reads[web] & between else first,
        )

    def is_open(self, loop: ir.For | ir.While, step: ir.Expr) -> bool:
        """Whether all threads come to a loop, nothing in it stands in the way, and its step leads
        past a vector."""
        if self.variability.causes[loop] or own_jumps(loop.body, ir.Break):
            return False
        if any(isinstance(s, _LEFT_ALONE) for s in ir.walk(loop.body)):
            return False
        bounds = self.bounds(step)
        if bounds is None or bounds[1] >= 1 << 63:
            return False
        return bounds[0] >= self.shape.lanes or self.mentions_grid(step)

    # ------------------------------------------------------------ expressions
    def is_uniform(self, expr: ir.Expr) -> bool:
        return self.variability.kinds[expr].level is Level.BLOCK_UNIFORM

    def is_steady(self, expr: ir.Expr) -> bool:
        """Whether an expression has the same value wherever the names in it have one."""
        for each in operands_first((expr,)):
            if isinstance(each, ir.Load):
                return False
            if isinstance(each, ir.Extent) and each.array not in self.parameters:
                return False  # A view may not be there everywhere.
            if isinstance(each, ir.Read):
                web, assigned = self.webs.reads[each], self.assigned[each.var]
                if assigned + web.is_parameter != 1 or web.may_be_unassigned:
                    return False
        return True

    def is_fixed(self, expr: ir.Expr, loop: ir.Body) -> bool:
        """Whether an expression before a loop has the same value inside it."""
        made = {var for stmt in ir.walk(loop) for var in ir.targets(stmt)}
        reads = (e for e in operands_first((expr,)) if isinstance(e, ir.Read))
        return self.is_steady(expr) and not any(read.var in made for read in reads)

    def meaning(self, expr: ir.Expr) -> ir.Expr:
        """An expression seen through names that stand for one."""
        while isinstance(expr, ir.Read):
            web = self.webs.reads[expr]
            made = web.definitions[0] if len(web.definitions) == 1 else None
            if not isinstance(made, ir.Assign) or web.may_be_unassigned or web.is_parameter:
                break
            if not self.is_steady(made.value):
                break
            expr = made.value
        return expr

    def start(self, expr: ir.Expr) -> tuple[ir.Expr, int] | None:
        """An expression as what is the same in the whole block, and a positive multiple of the
        thread's number that is added to it."""
        found = self.split(expr)
        if found is None or found[1] < 1:
            return None
        return found[0] or ir.Constant(expr.span, INT64, 0), found[1]

    def split(self, expr: ir.Expr) -> tuple[ir.Expr | None, int] | None:
        """(uniform part, or None for 0; multiple of threadIdx.x)"""
        if self.is_uniform(expr):
            return expr, 0
        expr = self.meaning(expr)
        match expr:
            case ir.SpecialRegister(register="threadIdx", axis=0):
                return None, 1
            case ir.Binary(op="add"):
                left, right = self.split(expr.left), self.split(expr.right)
                if left is None or right is None:
                    return None
                return _sum(expr, left[0], right[0]), left[1] + right[1]
            case ir.Binary(op="mul"):
                return self.scaled(expr, expr.left, expr.right) or self.scaled(
                    expr, expr.right, expr.left
                )
            case _:
                return None

    def scaled(
        self, product: ir.Binary, operand: ir.Expr, by: ir.Expr
    ) -> tuple[ir.Expr | None, int] | None:
        factor, found = self.meaning(by), self.split(operand)
        if found is None or not isinstance(factor, ir.Constant):
            return None
        if not isinstance(factor.value, int):
            return None
        start = found[0] and ir.Binary(product.span, INT64, "mul", found[0], factor)
        return start, found[1] * factor.value

    def bounds(self, expr: ir.Expr) -> tuple[int, int] | None:
        """The least and the greatest value of what is surely positive."""
        expr = self.meaning(expr)
        match expr:
            case ir.Constant(value=int() as value):
                return (value, value) if value > 0 else None
            case ir.SpecialRegister(register="blockDim"):
                return self.shape.block[expr.axis], self.shape.block[expr.axis]
            case ir.SpecialRegister(register="gridDim"):
                return 1, _GRID[expr.axis]
            case ir.Binary(op="add" | "mul"):
                left, right = self.bounds(expr.left), self.bounds(expr.right)
                if left is None or right is None:
                    return None
                combine = _ARITHMETIC[expr.op]
                return combine(left[0], right[0]), combine(left[1], right[1])
            case _:
                return None

    def mentions_grid(self, expr: ir.Expr) -> bool:
        expr = self.meaning(expr)
        if isinstance(expr, ir.SpecialRegister):
            return expr.register == "gridDim"
        return any(map(self.mentions_grid, ir.children(expr)))

    # ------------------------------------------------------------ gain
    def gains(self, body: ir.Body, inside: set[ir.Read], counter: Web) -> bool:
        """Whether a body walks through global memory along the counter, and hands little on."""
        made = {self.webs.definitions[s, v]: s for s in ir.walk(body) for v in ir.targets(s)}
        within = set(made.values())
        carried = [
            web
            for web in made
            if not within.issuperset(web.definitions)
            or not self.reads.get(web, set()) <= inside
            or web.may_be_unassigned
        ]
        if len(carried) > self.carried:
            return False
        moving = {counter, *made}
        walks = False
        for array, indices in _accesses(body):
            if array.type.space is AddressSpace.LOCAL:
                return False
            space = array.type.space
            if space is AddressSpace.GLOBAL and indices and self.moves(indices[-1], moving):
                walks = True
        return walks

    def moves(self, index: ir.Expr, with_: Collection[Web]) -> bool:
        """Whether neighbouring threads have neighbouring indices, other ones each iteration."""
        if not self.variability.kinds[index].is_linear:
            return False
        reads = (e for e in operands_first((index,)) if isinstance(e, ir.Read))
        return any(self.webs.reads[read] in with_ for read in reads)


def _sum(expr: ir.Binary, left: ir.Expr | None, right: ir.Expr | None) -> ir.Expr | None:
    if left is None or right is None:
        return left or right
    if (left, right) == (expr.left, expr.right):
        return expr
    return ir.Binary(expr.span, INT64, "add", left, right)


def _reads_of(body: Sequence[ir.Stmt]) -> set[ir.Read]:
    tops = [e for stmt in ir.walk(tuple(body)) for e in ir.expressions(stmt)]
    return {e for e in operands_first(tops) if isinstance(e, ir.Read)}


def _accesses(body: ir.Body) -> list[tuple[ir.ArrayVar, tuple[ir.Expr, ...]]]:
    found = []
    for stmt in ir.walk(body):
        if isinstance(stmt, ir.Store | ir.Atomic):
            found.append((stmt.array, stmt.indices))
        loads = (e for e in operands_first(ir.expressions(stmt)) if isinstance(e, ir.Load))
        found += [(load.array, load.indices) for load in loads]
    return found


def own_jumps(body: ir.Body, kind: type[ir.Break | ir.Continue]) -> bool:
    """Whether a loop's body has a jump of that kind that belongs to the loop."""
    for stmt in body:
        if isinstance(stmt, kind):
            return True
        if isinstance(stmt, ir.If) and any(own_jumps(arm, kind) for arm in ir.bodies(stmt)):
            return True
    return False
