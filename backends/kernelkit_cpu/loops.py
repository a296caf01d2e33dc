"""Loops and scopes of one vector of threads.

In: a statement, and what writes its body. Out: instructions.
Holds: a loop that lanes leave one by one keeps a mask (`live`) of those that are in it and ends when
there are none; lanes that wait for the next iteration are taken out of another (`pending`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.webs import Place
from kernelkit.ir.nodes import Body, For, Scope, While, walk
from kernelkit_cpu import faults
from kernelkit_cpu.counters import Counter
from kernelkit_cpu.exits import Exit, Exits
from kernelkit_cpu.expressions import control
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.jumps import Breakable
from kernelkit_cpu.polling import poll
from kernelkit_cpu.sizes import is_unrolled
from kernelkit_cpu.text import Operand

#: Writes a body for the lanes of the frame's mask.
WriteBody = Callable[[Body], None]


def parts_lanes(frame: Frame, stmt: Breakable) -> bool:
    """Whether lanes leave a loop or scope one by one."""
    return frame.facts.analysis.variability.divergence[stmt] is Level.VARYING


def unrolling(frame: Frame, whole: bool) -> str:
    """The mark of a loop's back edge: unroll it whole, or as LLVM likes."""
    module = frame.text.module
    if frame.cold:
        return module.loop("unroll.disable")
    return module.loop("unroll.full") if whole else ""


class _Loop(NamedTuple):
    """A loop while it is written: the mask before it, its labels, masks in memory, and whether lanes
    that are in it may become fewer."""

    stmt: For | While
    exits: Exits
    entry: Operand | None
    latch: str
    end: str
    live: Operand | None
    pending: Operand | None
    shrinks: bool

    def lanes(self) -> Operand | None:
        """The lanes of the entry mask that are in the loop and have not left over its head."""
        if not self.shrinks:
            return self.entry
        mask = self.entry if self.live is None else self.exits.load(self.live)
        return self.exits.remaining(self.stmt, mask)

    def keep(self, mask: Operand | None) -> None:
        """Only these lanes are in the loop from now on."""
        if self.live is not None:
            frame = self.exits.frame
            frame.text.store(frame.masks, mask or frame.all_on(), self.live)

    def iteration(self, body: WriteBody) -> None:
        frame = self.exits.frame
        if self.pending is not None:
            frame.text.store(frame.masks, frame.all_on(), self.pending)
        body(self.stmt.body)


def _opened(exits: Exits, stmt: For | While) -> _Loop:
    frame, text = exits.frame, exits.frame.text
    divergent = parts_lanes(frame, stmt)
    if divergent:
        frame.notes.note(stmt.span, "masked")
    latch, end = text.label("latch"), text.label("endloop")
    live = exits.slot("live") if divergent else None
    waits = frame.facts.analysis.variability.continues.get(stmt) is Level.VARYING
    pending = exits.slot("pending") if waits else None
    exits.open[stmt, Place.END] = Exit(end, live)
    exits.open[stmt, Place.NEXT] = Exit(latch, pending)
    shrinks = live is not None or bool(exits.stays_of(stmt))
    return _Loop(stmt, exits, frame.mask, latch, end, live, pending, shrinks)


# ---------------------------------------------------------------- while
def write_while(exits: Exits, stmt: While, body: WriteBody) -> None:
    frame, text = exits.frame, exits.frame.text
    loop = _opened(exits, stmt)
    loop.keep(frame.mask)
    head, inside = text.label("head"), text.label("loop")
    text.start(head)
    with frame.under(loop.lanes(), certain=True):
        body(stmt.prelude)
        _test(loop, stmt, inside)
        text.start(inside)
        loop.iteration(body)
    text.start(loop.latch)
    poll(frame)
    if loop.shrinks:
        left = loop.lanes()
        loop.keep(left)
        text.branch(frame.any(left), head, loop.end)
    else:
        text.jump(head, unrolling(frame, whole=False))
    text.start(loop.end)


def _test(loop: _Loop, stmt: While, inside: str) -> None:
    """The condition, by which lanes leave one by one or all together."""
    frame, text = loop.exits.frame, loop.exits.frame.text
    condition = control(frame, stmt.condition)
    if loop.live is None:
        return text.branch(frame.as_uniform(condition).operand, inside, loop.end)
    chosen = None if condition.constant else frame.arithmetic.one(condition)
    frame.mask = frame.masked_and(frame.mask, chosen)
    loop.keep(frame.mask)
    text.branch(frame.any(frame.mask), inside, loop.end)


# ---------------------------------------------------------------- for
def write_for(exits: Exits, stmt: For, body: WriteBody) -> None:
    frame, text = exits.frame, exits.frame.text
    bounds = [control(frame, e) for e in (stmt.start, stmt.stop, stmt.step)]
    if frame.debug:
        faults.check_step(frame, stmt, bounds[2])
    counter = Counter(frame, *bounds)
    loop = _opened(exits, stmt)
    loop.keep(frame.mask)
    inside = text.label("loop")
    first = counter.runs()
    if loop.live is None:
        text.branch(frame.as_uniform(first).operand, inside, loop.end)
    else:
        mask = frame.masked_and(loop.entry, frame.arithmetic.one(first))
        loop.keep(mask)
        text.branch(frame.any(mask), inside, loop.end)
    text.start(inside)
    with frame.under(loop.lanes(), certain=True):
        web = frame.facts.analysis.webs.definitions[stmt, stmt.target]
        if frame.keeps(web):
            frame.write(web, counter.value())
        loop.iteration(body)
    text.start(loop.latch)
    _next(loop, stmt, counter, inside)
    text.start(loop.end)


def _next(loop: _Loop, stmt: For, counter: Counter, inside: str) -> None:
    """To the next iteration, or out of the loop."""
    frame, text, trips = loop.exits.frame, loop.exits.frame.text, counter.trips
    if trips is None and any(isinstance(s, For | While) for s in walk(stmt.body)):
        poll(frame)
    left = loop.lanes()
    with frame.under(left, certain=False):
        more = counter.more()
    if loop.live is not None:
        mask = frame.masked_and(left, frame.arithmetic.one(more))
        loop.keep(mask)
        counter.advance()
        return text.branch(frame.any(mask), inside, loop.end)
    again = frame.as_uniform(more).operand
    if loop.shrinks:
        again = frame.arithmetic.both(frame.any(left), again)
    counter.advance()
    short = is_unrolled(stmt, trips, frame.facts.analysis.variability.kinds)
    whole = short and not loop.exits.jumps.escapes[stmt]
    text.branch(again, inside, loop.end, unrolling(frame, whole))


# ---------------------------------------------------------------- scope
def write_scope(exits: Exits, stmt: Scope, body: WriteBody) -> None:
    frame, text = exits.frame, exits.frame.text
    end = text.label("endscope")
    stay = exits.slot("stay") if parts_lanes(frame, stmt) else None
    if stay is not None:
        text.store(frame.masks, frame.active(), stay)
    exits.open[stmt, Place.END] = Exit(end, stay)
    with frame.under(frame.mask, certain=True):
        body(stmt.body)
    text.start(end)
