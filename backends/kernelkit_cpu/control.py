"""Statements of the IR for one vector of threads: structured control flow under masks.

In: a body without barriers. Out: instructions.
Holds: a body is entered only where at least one lane runs; behind a statement that lanes may have
jumped out of, what remains runs for the others, and is skipped where there are none.
"""

from __future__ import annotations

from typing import assert_never

from kernelkit.ir.nodes import (
    Allocate,
    Assert,
    Assign,
    Atomic,
    Barrier,
    Body,
    Break,
    Breakpoint,
    Continue,
    Fence,
    For,
    If,
    Print,
    Return,
    Scope,
    Stmt,
    Store,
    View,
    Warp,
    While,
)
from kernelkit_cpu import atomics, faults, loops, memory, printing, warps
from kernelkit_cpu.exits import Exits
from kernelkit_cpu.expressions import control, evaluate, is_lazy, is_regular
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.sizes import size
from kernelkit_cpu.text import Operand
from kernelkit_cpu.values import Value

#: Bodies of at most so many nodes are computed for all lanes, with selects, in place of a branch.
PREDICATED = 24
#: Bodies of at most so many nodes are written twice: for all lanes, and under a mask.
VERSIONED = 400
#: Code is written twice in code that is written twice, and no deeper.
VERSIONS = 2


class Writer:
    """Writes the statements of one vector."""

    def __init__(self, frame: Frame, exits: Exits) -> None:
        self.frame, self.exits = frame, exits
        #: How often code was written twice around this place.
        self.versions = 0

    # ------------------------------------------------------------ bodies
    def body(self, body: Body, top: bool = False) -> None:
        """A body for the lanes of frame.mask, which is narrower behind it if lanes left. `top`: at
        the end of it the vector is done, so `if c: return` may hold the rest under its `else`."""
        frame, text = self.frame, self.frame.text
        end = None
        for number, stmt in enumerate(body):
            if not text.here:
                break
            rest = body[number + 1 :]
            if top and rest and isinstance(stmt, If) and _only_returns(stmt):
                condition = control(frame, stmt.condition)
                if not condition.is_uniform:
                    self.rest_of(condition, rest)
                    break
                self.branch(condition, stmt)
            else:
                self.stmt(stmt)
            if not text.here or not self.exits.narrow(stmt) or not rest:
                continue
            end = end or text.label("rest")
            more = text.label("more")
            text.branch(frame.any(frame.mask), more, end)
            text.start(more)
        if end is not None:
            text.start(end)

    def rest_of(self, condition: Value, rest: Body) -> None:
        """What follows `if condition: return`."""
        arithmetic = self.frame.arithmetic
        self.exits.leave(None, arithmetic.one(condition))
        self.arm(arithmetic.unary("not", condition), rest, top=True)

    def stmt(self, stmt: Stmt) -> None:
        frame = self.frame
        match stmt:
            case Assign():
                web = frame.facts.analysis.webs.definitions[stmt, stmt.target]
                if frame.keeps(web):
                    frame.write(web, evaluate(frame, stmt.value))
            case Store():
                _store(frame, stmt)
            case If():
                self.branch(control(frame, stmt.condition), stmt)
            case For():
                loops.write_for(self.exits, stmt, self.body)
            case While():
                loops.write_while(self.exits, stmt, self.body)
            case Scope():
                loops.write_scope(self.exits, stmt, self.body)
            case Break() | Continue() | Return():
                self.exits.jump(stmt)
            case Atomic():
                atomics.write(frame, stmt)
            case Warp():
                warps.write(frame, stmt)
            case Print():
                printing.write(frame, stmt)
            case Assert():
                printing.write_assert(frame, stmt)
            case View():
                if frame.debug:
                    values = [evaluate(frame, index) for index in stmt.indices]
                    faults.check_bounds(frame, stmt, stmt.base, stmt.indices, values)
            case Fence():
                if stmt.scope != "block":
                    frame.text.emit("fence seq_cst")
            case Allocate() | Breakpoint():
                pass
            case Barrier():
                raise AssertionError("a barrier is between vectors")
            case _:
                assert_never(stmt)

    # ------------------------------------------------------------ if
    def branch(self, condition: Value, stmt: If) -> None:
        if condition.constant is not None:
            with self.frame.under(self.frame.mask, self.frame.certain):
                self.body(stmt.then if condition.constant else stmt.orelse)
            return
        if condition.is_uniform:
            return self.uniform_branch(condition, stmt)
        if not self.frame.debug and is_predicable(stmt):
            return self.predicated(condition, stmt)
        # Where one test tells that all lanes come this way, as at most guards, few vectors part.
        parts = condition.every is None or self.frame.mask is not None
        if parts and not _only_returns(stmt):
            self.frame.notes.note(stmt.span, "masked")
        if not stmt.orelse:
            return self.arm(condition, stmt.then)
        if not stmt.then:
            return self.arm(self.frame.arithmetic.unary("not", condition), stmt.orelse)
        for arm, mask in zip((stmt.then, stmt.orelse), self.halves(condition), strict=True):
            self.masked(arm, self.frame.masked_and(self.frame.mask, mask))

    def halves(self, condition: Value) -> tuple[Operand, Operand]:
        """A condition and its opposite, each true or false in every lane."""
        frame = self.frame
        mask = frame.arithmetic.one(condition)
        if frame.mask is not None:
            # What both arms read of the condition must be the same.
            mask = frame.text.let(f"freeze {frame.masks} {mask}")
        return mask, frame.inverted(mask)

    def uniform_branch(self, condition: Value, stmt: If) -> None:
        text = self.frame.text
        yes, no, end = text.label("then"), text.label("else"), text.label("endif")
        text.branch(condition.operand, yes, no if stmt.orelse else end)
        for label, arm in ((yes, stmt.then), (no, stmt.orelse)):
            if label == no and not arm:
                continue
            text.start(label)
            with self.frame.under(self.frame.mask, certain=True):
                self.body(arm)
            text.jump(end)
        text.start(end)

    def arm(self, condition: Value, body: Body, top: bool = False) -> None:
        """The only arm of an If on a varying condition; where one scalar test tells that all lanes
        take it, a version without masks."""
        frame, text = self.frame, self.frame.text
        mask, every = frame.arithmetic.one(condition), condition.every
        twice = frame.mask is None and not frame.cold and self.versions < VERSIONS
        if not twice or every is None or size(body) > VERSIONED:
            return self.masked(body, frame.masked_and(frame.mask, mask), top)
        full, part, end = text.label("all"), text.label("part"), text.label("endif")
        text.branch(every(), full, part)
        text.start(full)
        self.versions += 1
        with frame.under(None, certain=True):
            self.body(body, top)
        text.jump(end)
        text.start(part)
        with frame.rarely():
            self.masked(body, mask, top)
        self.versions -= 1
        text.start(end)

    def masked(self, body: Body, mask: Operand | None, top: bool = False) -> None:
        """A body for the lanes of a mask, if there are any."""
        frame, text = self.frame, self.frame.text
        some, none = text.label("some"), text.label("none")
        text.branch(frame.any(mask), some, none)
        text.start(some)
        with frame.under(mask, certain=True):
            self.body(body, top)
        text.start(none)

    def predicated(self, condition: Value, stmt: If) -> None:
        frame = self.frame
        mask = frame.arithmetic.one(condition)
        if frame.mask is not None:
            mask = frame.text.let(f"freeze {frame.masks} {mask}")
        for arm, positive in ((stmt.then, True), (stmt.orelse, False)):
            if arm:
                chosen = mask if positive else frame.inverted(mask)
                with frame.under(frame.masked_and(frame.mask, chosen), certain=False):
                    for each in arm:
                        self.stmt(each)


def _store(frame: Frame, stmt: Store) -> None:
    indices = [evaluate(frame, index) for index in stmt.indices]
    value = evaluate(frame, stmt.value)
    if frame.debug:
        faults.check_bounds(frame, stmt, stmt.array, stmt.indices, indices)
    offset = memory.place_of(frame, stmt.array, stmt.indices, indices)
    regular = is_regular(frame, stmt.indices)
    memory.store(frame, stmt.array, offset, value, regular, stmt.span)


def is_predicable(stmt: If) -> bool:
    """Whether both arms are so small and harmless that all lanes may compute them."""
    arms = (*stmt.then, *stmt.orelse)
    if not all(isinstance(s, Assign) for s in arms):
        return False
    values = [s.value for s in arms if isinstance(s, Assign)]
    return size(arms) <= PREDICATED and not any(is_lazy(value) for value in values)


def _only_returns(stmt: If) -> bool:
    return len(stmt.then) == 1 and isinstance(stmt.then[0], Return) and not stmt.orelse
