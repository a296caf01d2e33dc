"""Several vectors of a block at once: the loop over vectors, unrolled and jammed into its body.

In: a leaf whose control flow is the same for the whole block, and a frame for each vector. Out: each
statement for all the vectors before the next one, in one set of loops.
Holds: what vectors read in common is read once, and sums that wait for themselves wait together.
Threads may run in any order between barriers, so nobody can tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.pipeline import Analysis
from kernelkit.ir.nodes import (
    Allocate,
    Assign,
    Body,
    Breakpoint,
    For,
    If,
    Load,
    Store,
    bodies,
    expressions,
    walk,
    walk_expr,
)
from kernelkit.records import record
from kernelkit_cpu import counters
from kernelkit_cpu.control import Writer, is_predicable
from kernelkit_cpu.expressions import control
from kernelkit_cpu.loops import unrolling
from kernelkit_cpu.polling import poll
from kernelkit_cpu.sizes import UNROLLED, is_unrolled, size, trips_of

#: Vectors at once, by how many nodes their body may have: what they need must fit the registers.
WIDTHS = ((4, 110), (2, 220))
#: Scalars that all vectors share wait in registers; more of them than this leave no room for four.
SHARED = 8


def jam_factor(analysis: Analysis, body: Body, groups: int) -> int:
    """How many vectors to write at once; 1 where that gains nothing or cannot be.

    `groups`: how many vectors there are side by side.
    """
    loops = [s for s in walk(body) if isinstance(s, For)]
    if not any(_loads(loop) for loop in loops) or not _is_common(analysis, body):
        return 1
    amount, shared = size(body), _shared_loads(analysis, body, 1)
    for factor, most in WIDTHS:
        fits = amount <= most and (factor == 2 or shared <= SHARED)
        if groups % factor == 0 and fits:
            return factor
    return 1


def _shared_loads(analysis: Analysis, body: Body, times: int) -> int:
    """How many elements that are the same for the whole block a body reads, its short loops unrolled."""
    kinds, found = analysis.variability.kinds, 0
    for stmt in body:
        own = [e for outer in expressions(stmt) for e in walk_expr(outer)]
        loads = (e for e in own if isinstance(e, Load))
        found += times * sum(kinds[e].level is Level.BLOCK_UNIFORM for e in loads)
        trips = trips_of(stmt) if isinstance(stmt, For) else None
        inner = times * trips if trips is not None and trips <= UNROLLED else times
        found += sum(_shared_loads(analysis, each, inner) for each in bodies(stmt))
    return found


def _loads(loop: For) -> bool:
    return any(
        isinstance(inner, Load)
        for stmt in walk(loop.body)
        for expr in expressions(stmt)
        for inner in walk_expr(expr)
    )


def _is_common(analysis: Analysis, body: Body) -> bool:
    """Whether all vectors take the same way through a body."""
    kinds = analysis.variability.kinds
    for stmt in body:
        match stmt:
            case Assign() | Store() | Allocate() | Breakpoint():
                continue
            case For():
                bounds = (stmt.start, stmt.stop, stmt.step)
                if any(kinds[e].level is not Level.BLOCK_UNIFORM for e in bounds):
                    return False
                if not _is_common(analysis, stmt.body):
                    return False
            case If():
                if kinds[stmt.condition].level is not Level.BLOCK_UNIFORM:
                    if not is_predicable(stmt):
                        return False
                elif not (_is_common(analysis, stmt.then) and _is_common(analysis, stmt.orelse)):
                    return False
            case _:
                return False
    return True


@record
class JamWriter:
    """Writes a body for several vectors."""

    writers: Sequence[Writer]

    def body(self, body: Body) -> None:
        for stmt in body:
            match stmt:
                case For():
                    self.for_(stmt)
                case If() if not self.is_varying(stmt):
                    self.branch(stmt)
                case _:
                    for writer in self.writers:
                        writer.stmt(stmt)

    def is_varying(self, stmt: If) -> bool:
        kinds = self.writers[0].frame.facts.analysis.variability.kinds
        return kinds[stmt.condition].level is not Level.BLOCK_UNIFORM

    def branch(self, stmt: If) -> None:
        frame = self.writers[0].frame
        condition = frame.as_uniform(control(frame, stmt.condition))
        if condition.constant is not None:
            return self.body(stmt.then if condition.constant else stmt.orelse)
        text = frame.text
        yes, no, end = text.label("then"), text.label("else"), text.label("endif")
        text.branch(condition.operand, yes, no)
        for label, arm in ((yes, stmt.then), (no, stmt.orelse)):
            text.start(label)
            self.body(arm)
            text.jump(end)
        text.start(end)

    def for_(self, stmt: For) -> None:
        first = self.writers[0]
        frame, text = first.frame, first.frame.text
        bounds = [frame.as_uniform(control(frame, e)) for e in (stmt.start, stmt.stop, stmt.step)]
        counter = counters.Counter(frame, *bounds)
        inside, end = text.label("loop"), text.label("endloop")
        text.branch(counter.runs().operand, inside, end)
        text.start(inside)
        web = frame.facts.analysis.webs.definitions[stmt, stmt.target]
        if frame.keeps(web):
            for writer in self.writers:
                writer.frame.write(web, counter.value())
        self.body(stmt.body)
        trips = counter.trips
        if trips is None and any(isinstance(s, For) for s in walk(stmt.body)):
            poll(frame)
        again = counter.more().operand
        counter.advance()
        whole = is_unrolled(stmt, trips, frame.facts.analysis.variability.kinds)
        text.branch(again, inside, end, unrolling(frame, whole))
        text.start(end)
