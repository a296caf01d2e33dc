"""Statements of the IR for one vector of threads: structured control flow under masks.

In: a body without barriers. Out: instructions.
Holds: a body is entered only where at least one lane runs; behind a statement that lanes may have
jumped out of, what remains runs for the others, and is skipped where there are none. Lanes that
jump are taken out of a mask in memory (`stay`) that belongs to the jump's target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.variability import Variability
from kernelkit.analysis.webs import Place
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
    Kernel,
    Print,
    Return,
    Scope,
    Stmt,
    Store,
    View,
    Warp,
    While,
    bodies,
    expressions,
    walk,
    walk_expr,
)
from kernelkit_cpu import atomics, counters, faults, memory, printing, warps
from kernelkit_cpu.expressions import control, evaluate, is_lazy, is_regular
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.text import Operand
from kernelkit_cpu.values import Value

Breakable = For | While | Scope
#: A place that jumps lead to; None: the end of the thread.
Target = tuple[Breakable, Place] | None

#: Bodies of at most so many nodes are computed for all lanes, with selects, in place of a branch.
PREDICATED = 24
#: Bodies of at most so many nodes are written twice: for all lanes, and under a mask.
VERSIONED = 400
#: Loops of a constant length up to this are unrolled.
UNROLLED = 16
#: Iterations between two looks at whether the launch was cancelled.
TICKS = 1024


# ---------------------------------------------------------------- jumps
@dataclass(frozen=True, slots=True)
class Jumps:
    """Where each jump leads, how threads part at it, and which targets a statement may leave for."""

    targets: Mapping[Stmt, Target]
    levels: Mapping[Stmt, Level]
    escapes: Mapping[Stmt, tuple[Target, ...]]


def find_jumps(kernel: Kernel, variability: Variability) -> Jumps:
    targets: dict[Stmt, Target] = {}
    escapes: dict[Stmt, tuple[Target, ...]] = {}

    def visit(body: Body, enclosing: Breakable | None) -> dict[Target, None]:
        found: dict[Target, None] = {}
        for stmt in body:
            left: dict[Target, None] = {}
            if isinstance(stmt, Break | Continue):
                assert enclosing is not None
                targets[stmt] = (enclosing, Place.END if isinstance(stmt, Break) else Place.NEXT)
                left = {targets[stmt]: None}
            elif isinstance(stmt, Return):
                targets[stmt] = None
                left = {None: None}
            else:
                owner = stmt if isinstance(stmt, For | While | Scope) else enclosing
                for each in bodies(stmt):
                    left |= visit(each, owner)
                left = {t: None for t in left if t is None or t[0] is not stmt}
            escapes[stmt] = tuple(left)
            found |= left
        return found

    visit(kernel.body, None)
    levels = {c.stmt: c.level for causes in variability.jumps.values() for c in causes}
    return Jumps(targets, levels, escapes)


@dataclass(slots=True)
class Exit:
    """A target of jumps while its statement is written: a label for jumps that the whole vector
    takes, and the mask (in memory) of the lanes that have not jumped there."""

    label: str | None
    stay: Operand | None


def size(body: Body) -> int:
    """How much a body is, in nodes."""
    return sum(
        1 + sum(1 for e in expressions(stmt) for _ in walk_expr(e)) for stmt in walk(body)
    )


# ---------------------------------------------------------------- statements
@dataclass(slots=True, eq=False)
class Writer:
    """Writes the statements of one vector. `exits` holds the targets that are open; jumps to one
    that is not among the vector's own only clear its mask."""

    frame: Frame
    jumps: Jumps
    #: What is read somewhere: an assignment to another name is left out.
    read: frozenset[object]
    exits: dict[Target, Exit] = field(default_factory=dict)
    #: How often code was written twice around this place.
    versions: int = 0
    #: Code that rarely runs is written once only.
    cold: bool = False
    ticks: Operand | None = None

    # ------------------------------------------------------------ bodies
    def body(self, body: Body, top: bool = False) -> None:
        """A body for the lanes of frame.mask, which is narrower behind it if lanes left. `top`: at
        the end of it the vector is done, so `if c: return` may hold the rest under its `else`."""
        frame, text = self.frame, self.frame.text
        end = None
        for number, stmt in enumerate(body):
            if not text.here:
                break
            frame.span = stmt.span
            rest = body[number + 1 :]
            if top and rest and isinstance(stmt, If) and _only_returns(stmt):
                if self.rest_of(stmt, rest):
                    break
            self.stmt(stmt)
            if not text.here or not self.narrow(stmt) or not rest:
                continue
            end = end or text.label("rest")
            more = text.label("more")
            text.branch(frame.any(frame.mask), more, end)
            text.start(more)
        if end is not None:
            text.start(end)

    def narrow(self, stmt: Stmt) -> bool:
        """Take the lanes that jumped out of a statement out of the mask."""
        frame = self.frame
        narrowed = False
        for target in self.jumps.escapes[stmt]:
            found = self.exits.get(target)
            if found is not None and found.stay is not None:
                frame.mask = frame.masked_and(frame.mask, self.load_mask(found.stay))
                narrowed = True
        return narrowed

    def load_mask(self, address: Operand) -> Operand:
        return self.frame.text.load(self.frame.masks, address)

    def rest_of(self, stmt: If, rest: Body) -> bool:
        """`if c: return` and what follows it; False if it is the same for all lanes."""
        frame = self.frame
        condition = control(frame, stmt.condition)
        if condition.is_uniform:
            return False
        self.leave(None, frame.arithmetic.one(condition))
        self.arm(frame.arithmetic.unary("not", condition), rest, top=True)
        return True

    def leave(self, target: Target, leaving: Operand) -> None:
        """Lanes of the mask go to a target that keeps a mask."""
        found = self.exits[target]
        if found.stay is None:
            return
        frame = self.frame
        gone = frame.masked_and(frame.active(), leaving)
        assert gone is not None
        left = frame.text.let(
            f"and {frame.masks} {self.load_mask(found.stay)}, {frame.inverted(gone)}"
        )
        frame.text.store(frame.masks, left, found.stay)

    def stmt(self, stmt: Stmt) -> None:
        frame = self.frame
        match stmt:
            case Assign():
                web = frame.facts.analysis.webs.definitions[stmt, stmt.target]
                if web in self.read or frame.debug:
                    frame.write(web, evaluate(frame, stmt.value))
            case Store():
                self.store(stmt)
            case If():
                self.branch(control(frame, stmt.condition), stmt)
            case For():
                self.for_(stmt)
            case While():
                self.while_(stmt)
            case Scope():
                self.scope(stmt)
            case Break() | Continue() | Return():
                self.jump(stmt)
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

    def store(self, stmt: Store) -> None:
        frame = self.frame
        indices = [evaluate(frame, index) for index in stmt.indices]
        value = evaluate(frame, stmt.value)
        if frame.debug:
            faults.check_bounds(frame, stmt, stmt.array, stmt.indices, indices)
        offset = memory.place_of(frame, stmt.array, stmt.indices, indices)
        regular = is_regular(frame, stmt.indices)
        memory.store(frame, stmt.array, offset, value, regular, stmt.span)

    # ------------------------------------------------------------ if
    def branch(self, condition: Value, stmt: If) -> None:
        if condition.constant is not None:
            return self.body(stmt.then if condition.constant else stmt.orelse)
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
        frame = self.frame
        opposite = frame.arithmetic.unary("not", condition)
        if not stmt.then:
            return self.arm(opposite, stmt.orelse)
        mask = frame.arithmetic.one(condition)
        if frame.mask is not None:
            # What both arms read of the condition must be the same.
            mask = frame.text.let(f"freeze {frame.masks} {mask}")
        for arm, chosen in ((stmt.then, mask), (stmt.orelse, frame.inverted(mask))):
            self.masked(arm, frame.masked_and(frame.mask, chosen))

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
        mask = frame.arithmetic.one(condition)
        every = condition.every
        twice = frame.mask is None and every is not None and not self.cold and self.versions < 2
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
        kept, self.cold = self.cold, True
        with frame.notes.cold():
            self.masked(body, mask, top)
        self.cold = kept
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

    # ------------------------------------------------------------ jumps
    def jump(self, stmt: Break | Continue | Return) -> None:
        frame = self.frame
        target = self.jumps.targets[stmt]
        found = self.exits[target]
        if isinstance(stmt, Return):
            together = frame.mask is None
        else:
            together = self.jumps.levels.get(stmt, Level.BLOCK_UNIFORM) is not Level.VARYING
        together = together and found.label is not None
        if isinstance(stmt, Return) or not together:
            self.leave(target, frame.all_on())
        if together and found.label is not None:
            frame.text.jump(found.label)

    # ------------------------------------------------------------ loops
    def stay_slot(self, hint: str) -> Operand:
        return self.frame.text.alloca(self.frame.masks, hint=hint)

    def open(self, stmt: Breakable, divergent: bool) -> tuple[str, str, Operand | None, Operand | None]:
        """Labels and masks of a loop: (latch, end, lanes still in the loop, lanes not at `continue`)."""
        text = self.frame.text
        latch, end = text.label("latch"), text.label("endloop")
        variability = self.frame.facts.analysis.variability
        live = self.stay_slot("live") if divergent else None
        pending = None
        if variability.continues.get(stmt) is Level.VARYING:
            pending = self.stay_slot("pending")
        self.exits[stmt, Place.END] = Exit(end, live)
        self.exits[stmt, Place.NEXT] = Exit(latch, pending)
        if live is not None:
            text.store(self.frame.masks, self.frame.active(), live)
        return latch, end, live, pending

    def is_divergent(self, stmt: Breakable) -> bool:
        return self.frame.facts.analysis.variability.divergence[stmt] is Level.VARYING

    def still_there(self, stmt: Breakable, entry: Operand | None, live: Operand | None) -> Operand | None:
        """The lanes of the entry mask that are in the loop and have not left over its head."""
        mask = entry if live is None else self.load_mask(live)
        for target in self.jumps.escapes[stmt]:
            found = self.exits.get(target)
            if found is not None and found.stay is not None:
                mask = self.frame.masked_and(mask, self.load_mask(found.stay))
        return mask

    def may_shrink(self, stmt: Breakable, live: Operand | None) -> bool:
        outer = (self.exits.get(target) for target in self.jumps.escapes[stmt])
        return live is not None or any(e is not None and e.stay is not None for e in outer)

    def while_(self, stmt: While) -> None:
        frame, text = self.frame, self.frame.text
        if self.is_divergent(stmt):
            frame.notes.note(stmt.span, "masked")
        latch, end, live, pending = self.open(stmt, self.is_divergent(stmt))
        shrinks = self.may_shrink(stmt, live)
        head, inside = text.label("head"), text.label("loop")
        entry = frame.mask
        text.start(head)
        with frame.under(self.still_there(stmt, entry, live) if shrinks else entry, certain=True):
            self.body(stmt.prelude)
            condition = control(frame, stmt.condition)
            if live is None:
                condition = frame.as_uniform(condition)
                text.branch(condition.operand, inside, end)
            else:
                chosen = None if condition.constant else frame.arithmetic.one(condition)
                frame.mask = frame.masked_and(frame.mask, chosen)
                text.store(frame.masks, frame.active(), live)
                text.branch(frame.any(frame.mask), inside, end)
            text.start(inside)
            self.iteration(stmt, pending)
        text.start(latch)
        self.poll()
        if shrinks:
            left = self.still_there(stmt, entry, live)
            if live is not None:
                text.store(frame.masks, left or frame.all_on(), live)
            text.branch(frame.any(left), head, end)
        else:
            text.jump(head, self.mark(False))
        text.start(end)

    def iteration(self, stmt: For | While, pending: Operand | None) -> None:
        if pending is not None:
            self.frame.text.store(self.frame.masks, self.frame.all_on(), pending)
        self.body(stmt.body)

    def mark(self, unroll: bool) -> str:
        module = self.frame.text.module
        if self.cold:
            return module.loop("unroll.disable")
        return module.loop("unroll.full") if unroll else ""

    def for_(self, stmt: For) -> None:
        frame, text = self.frame, self.frame.text
        bounds = [control(frame, e) for e in (stmt.start, stmt.stop, stmt.step)]
        if frame.debug:
            faults.check_step(frame, stmt, bounds[2])
        divergent = self.is_divergent(stmt)
        if divergent:
            frame.notes.note(stmt.span, "masked")
        counter = counters.Counter(frame, *bounds)
        latch, end, live, pending = self.open(stmt, divergent)
        shrinks = self.may_shrink(stmt, live)
        inside = text.label("loop")
        entry = frame.mask
        first = counter.runs()
        if live is None:
            text.branch(frame.as_uniform(first).operand, inside, end)
        else:
            mask = frame.masked_and(entry, frame.arithmetic.one(first))
            text.store(frame.masks, mask or frame.all_on(), live)
            text.branch(frame.any(mask), inside, end)
        text.start(inside)
        with frame.under(self.still_there(stmt, entry, live) if shrinks else entry, certain=True):
            web = frame.facts.analysis.webs.definitions[stmt, stmt.target]
            if web in self.read or frame.debug:
                frame.write(web, counter.value())
            self.iteration(stmt, pending)
        text.start(latch)
        self.for_latch(stmt, counter, entry, live, inside, end, shrinks)
        text.start(end)

    def for_latch(
        self,
        stmt: For,
        counter: counters.Counter,
        entry: Operand | None,
        live: Operand | None,
        inside: str,
        end: str,
        shrinks: bool,
    ) -> None:
        frame, text = self.frame, self.frame.text
        trips = counter.trips
        if trips is None and any(isinstance(s, For | While) for s in walk(stmt.body)):
            self.poll()
        left = self.still_there(stmt, entry, live) if shrinks else entry
        with frame.under(left, certain=False):
            more = counter.more()
        if live is not None:
            mask = frame.masked_and(left, frame.arithmetic.one(more))
            text.store(frame.masks, mask or frame.all_on(), live)
            counter.advance()
            return text.branch(frame.any(mask), inside, end)
        again = frame.as_uniform(more).operand
        if shrinks:
            again = frame.arithmetic.both(frame.any(left), again)
        counter.advance()
        small = trips is not None and trips <= UNROLLED and not self.jumps.escapes[stmt]
        text.branch(again, inside, end, self.mark(small))

    def scope(self, stmt: Scope) -> None:
        frame, text = self.frame, self.frame.text
        end = text.label("endscope")
        stay = self.stay_slot("stay") if self.is_divergent(stmt) else None
        if stay is not None:
            text.store(frame.masks, frame.active(), stay)
        self.exits[stmt, Place.END] = Exit(end, stay)
        with frame.under(frame.mask, certain=True):
            self.body(stmt.body)
        text.start(end)

    def poll(self) -> None:
        """Now and then look whether the launch was cancelled."""
        if self.ticks is None:
            return
        frame, text = self.frame, self.frame.text
        look, on = text.label("look"), text.label("on")
        left = text.let(f"sub i32 {text.load('i32', self.ticks)}, 1")
        text.store("i32", left, self.ticks)
        text.branch(text.let(f"icmp eq i32 {left}, 0"), look, on)
        text.start(look)
        text.store("i32", str(TICKS), self.ticks)
        poll = text.load("ptr", text.at("i64", frame.record, 11))
        text.call(poll, "void", [("ptr", frame.record), ("i64", "%worker")])
        stop = text.let(f"load atomic i64, ptr {frame.record} monotonic, align 8")
        text.branch(text.let(f"icmp eq i64 {stop}, 0"), on, frame.fault_exit)
        text.start(on)


def is_predicable(stmt: If) -> bool:
    """Whether both arms are so small and harmless that all lanes may compute them."""
    arms = (*stmt.then, *stmt.orelse)
    if not all(isinstance(s, Assign) for s in arms):
        return False
    values = [s.value for s in arms if isinstance(s, Assign)]
    return size(arms) <= PREDICATED and not any(is_lazy(value) for value in values)


def _only_returns(stmt: If) -> bool:
    return len(stmt.then) == 1 and isinstance(stmt.then[0], Return) and not stmt.orelse

