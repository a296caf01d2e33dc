"""One block of threads: its control flow on scalars, and a loop over vectors for each leaf.

In: a Plan, and a Frame whose arrays and parameters are set. Out: instructions that run the block
`frame.block_number`, at the present place of the function.
Holds: between two leaves all threads of the block have done what stands before; a name of the block
gets the value that the threads gave it, from a vector in which threads still ran.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kernelkit.analysis.kinds import Level, stays_in_row
from kernelkit.analysis.webs import Place, Web
from kernelkit.ir.nodes import Allocate, ArrayVar, For, Return, walk
from kernelkit.ir.types import INT32, INT64, AddressSpace, DType
from kernelkit_cpu import counters, faults, warp_checks
from kernelkit_cpu.control import Exit, Jumps, Target, Writer, size
from kernelkit_cpu.expressions import control, evaluate
from kernelkit_cpu.frame import ArrayPlace, Frame, Slot
from kernelkit_cpu.jam import JamWriter, jam_factor
from kernelkit_cpu.plan import (
    BlockBarrier,
    BlockIf,
    BlockJump,
    BlockLoop,
    BlockScope,
    Home,
    Items,
    Leaf,
    Plan,
)
from kernelkit_cpu.storage import Storage
from kernelkit_cpu.text import Operand, Text
from kernelkit_cpu.types import literal, register, vector
from kernelkit_cpu.values import Form, Value, constant, linear, uniform, varying

#: Vector loops of so few rounds, with contexts, are unrolled whole if their bodies are small.
FEW_VECTORS, SMALL_BODY = 8, 150
#: Vector loops of tiny bodies are unrolled so often.
TINY_BODY, TIMES = 40, 4


@dataclass(frozen=True, slots=True)
class Context:
    """A web's memory across leaves: one element per vector."""

    form: Form
    stride: int
    addresses: tuple[Operand, ...]


@dataclass(slots=True, eq=False)
class BlockWriter:
    frame: Frame
    plan: Plan
    jumps: Jumps
    storage: Storage
    cold: bool = False
    contexts: dict[Web, Context] = field(default_factory=dict)
    #: Slots of the block's own scalars.
    own: dict[Web, Slot] = field(default_factory=dict)
    #: Masks per vector, as 64-bit words: threads that have not returned; threads that have not
    #: jumped to a target at the level of the block.
    alive: Operand | None = None
    stays: dict[Target, Operand] = field(default_factory=dict)
    #: Of webs that may be unassigned, in debug builds: masks per vector.
    assigned: dict[Web, Operand] = field(default_factory=dict)
    #: Whether some thread of the block has not returned.
    living: Operand | None = None
    open: list[Target] = field(default_factory=list)
    labels: dict[Target, str] = field(default_factory=dict)
    local: dict[ArrayVar, tuple[Operand, int]] = field(default_factory=dict)
    #: Where jumps of the vector being written lead.
    exits: dict[Target, Exit] = field(default_factory=dict)

    # ------------------------------------------------------------ the layout of vectors
    @property
    def text(self) -> Text:
        return self.frame.text

    @property
    def lanes(self) -> int:
        return self.frame.lanes

    @property
    def block(self) -> tuple[int, int, int]:
        return self.frame.facts.analysis.shape.block

    @property
    def in_rows(self) -> bool:
        return stays_in_row(self.frame.facts.analysis.shape)

    @property
    def per_row(self) -> int:
        """Vectors in a row of threads, or in the block where vectors do not stay in rows."""
        threads = self.block[0] if self.in_rows else math.prod(self.block)
        return -(-threads // self.lanes)

    @property
    def vectors(self) -> int:
        return self.per_row * (self.block[1] * self.block[2] if self.in_rows else 1)

    # ------------------------------------------------------------ the whole
    def write(self) -> None:
        self.prepare()
        self.items(self.plan.items)

    def prepare(self) -> None:
        """Memory, and what holds at the start of a block."""
        text, plan = self.text, self.plan
        webs = self.frame.facts.analysis.webs
        for web, home in plan.homes.items():
            if home is Home.CONTEXT:
                self.contexts[web] = self.context(web)
                if web.definitions:
                    self.frame.notes.note(web.definitions[0].span, "spilled", web.var.name)
            elif home is Home.BLOCK:
                self.own[web] = self.slot(web, Form.UNIFORM, 0, "own")
                self.initial(web, self.own[web], zero=True)
        if plan.remembers_returns:
            self.alive = self.masks("alive")
            self.living = text.alloca("i1", hint="living")
            text.store("i1", "true", self.living)
        for target in plan.divergent_targets:
            self.stays[target] = self.masks("stays")
        if self.frame.debug:
            for web in webs.webs:
                if web.may_be_unassigned and web in plan.homes:
                    self.assigned[web] = self.masks("assigned", fill=0)

    def masks(self, hint: str, fill: int = -1) -> Operand:
        """One mask per vector, all on or all off."""
        address = self.storage.take(8 * self.vectors, hint)
        self.fill(address, fill)
        return address

    def fill(self, address: Operand, fill: int) -> None:
        self.text.call(
            "llvm.memset.p0.i64",
            "void",
            [("ptr", address), ("i8", str(fill)), ("i64", str(8 * self.vectors)), ("i1", "false")],
        )

    def form(self, web: Web) -> tuple[Form, int]:
        kind = self.frame.facts.analysis.variability.webs[web]
        if kind.is_uniform:
            return Form.UNIFORM, 0
        if kind.level is Level.LINEAR:
            return Form.LINEAR, kind.stride
        return Form.VARYING, 0

    def slot(self, web: Web, form: Form, stride: int, hint: str) -> Slot:
        dtype = web.var.type
        kind = register(dtype, self.lanes if form is Form.VARYING else 0)
        count = 2 if dtype.is_complex else 1
        return Slot(form, stride, tuple(self.text.alloca(kind, hint=hint) for _ in range(count)))

    def context(self, web: Web) -> Context:
        form, stride = self.form(web)
        count = 2 if web.var.type.is_complex else 1
        size = self.element_bytes(web.var.type, form) * self.vectors
        addresses = tuple(self.storage.take(size, "context") for _ in range(count))
        return Context(form, stride, addresses)

    def element_bytes(self, dtype: DType, form: Form) -> int:
        size = dtype.component.itemsize
        return size * (self.lanes if form is Form.VARYING else 1)

    def initial(self, web: Web, slot: Slot, zero: bool) -> None:
        """What a slot holds before the first assignment."""
        dtype, text = web.var.type, self.text
        lanes = self.lanes if slot.form is Form.VARYING else 0
        if web.is_parameter:
            value = self.parameter(web)
            parts = self.frame.arithmetic.vector(value) if lanes else value.scalar
        elif zero or web.may_be_unassigned:
            parts = literal(dtype, 0, lanes)
        else:
            parts = ("poison",) * len(slot.addresses)
        for part, address in zip(parts, slot.addresses, strict=True):
            text.store(register(dtype, lanes), part, address)

    def parameter(self, web: Web) -> Value:
        return self.frame.parameters[web.var]

    # ------------------------------------------------------------ items
    def items(self, items: Items) -> None:
        for item in items:
            if not self.text.here:
                return
            match item:
                case Leaf():
                    self.leaf(item, last=item is self.plan.last)
                case BlockIf():
                    self.branch(item)
                case BlockLoop():
                    self.loop(item)
                case BlockScope():
                    self.scope(item)
                case BlockBarrier():
                    self.barrier(item)
                case BlockJump():
                    target = self.jumps.targets[item.stmt]
                    self.text.jump(self.labels[target])

    def at_block(self) -> Frame:
        """The frame, for the block's own scalars."""
        frame = self.frame
        frame.slots, frame.values = dict(self.own), self.constant_values()
        frame.mask, frame.certain = None, True
        frame.thread_numbers = None
        return frame

    def constant_values(self) -> dict[Web, Value]:
        parameters = self.frame.facts.analysis.webs.parameters
        return {
            web: self.frame.parameters[var]
            for var, web in parameters.items()
            if not web.definitions
        }

    def branch(self, item: BlockIf) -> None:
        text = self.text
        frame = self.at_block()
        frame.span = item.stmt.span
        condition = frame.as_uniform(control(frame, item.stmt.condition)).operand
        yes, no, end = text.label("then"), text.label("else"), text.label("endif")
        text.branch(condition, yes, no)
        for label, items in ((yes, item.then), (no, item.orelse)):
            text.start(label)
            self.items(items)
            text.jump(end)
        text.start(end)

    def scope(self, item: BlockScope) -> None:
        target: Target = (item.stmt, Place.END)
        self.labels[target] = self.text.label("endscope")
        with_stays = self.enter(target)
        self.items(item.body)
        self.text.start(self.labels[target])
        self.close(with_stays)

    def enter(self, *targets: Target) -> int:
        for target in targets:
            self.open.append(target)
            if target in self.stays:
                self.fill(self.stays[target], -1)
        return len(targets)

    def close(self, count: int) -> None:
        del self.open[len(self.open) - count :]

    def loop(self, item: BlockLoop) -> None:
        """A loop that all threads of the block run together."""
        text, stmt = self.text, item.stmt
        end, following = (stmt, Place.END), (stmt, Place.NEXT)
        self.labels[end], self.labels[following] = text.label("endloop"), text.label("latch")
        if isinstance(stmt, For):
            self.for_(item, self.labels[end], self.labels[following])
        else:
            self.while_(item, self.labels[end], self.labels[following])

    def goes_on(self, on: str, end: str) -> None:
        """Leave a loop for good when no thread is left."""
        if self.living is None:
            return self.text.jump(on)
        self.text.branch(self.text.load("i1", self.living), on, end)

    def while_(self, item: BlockLoop, end: str, latch: str) -> None:
        text, stmt = self.text, item.stmt
        head, inside, test = text.label("head"), text.label("loop"), text.label("test")
        opened = self.enter((stmt, Place.END), (stmt, Place.NEXT))
        text.start(head)
        self.goes_on(test, end)
        text.start(test)
        if (stmt, Place.NEXT) in self.stays:
            self.fill(self.stays[stmt, Place.NEXT], -1)
        self.items(item.prelude)
        frame = self.at_block()
        frame.span = stmt.span
        assert not isinstance(stmt, For)
        text.branch(frame.as_uniform(control(frame, stmt.condition)).operand, inside, end)
        text.start(inside)
        self.items(item.body)
        text.start(latch)
        self.writer().poll()
        text.jump(head, text.module.loop("unroll.disable"))
        text.start(end)
        self.close(opened)

    def for_(self, item: BlockLoop, end: str, latch: str) -> None:
        text, stmt = self.text, item.stmt
        assert isinstance(stmt, For)
        frame = self.at_block()
        frame.span = stmt.span
        bounds = [frame.as_uniform(control(frame, e)) for e in (stmt.start, stmt.stop, stmt.step)]
        if frame.debug:
            faults.check_step(frame, stmt, bounds[2])
        counter = counters.Counter(frame, *bounds)
        inside, head = text.label("loop"), text.label("head")
        opened = self.enter((stmt, Place.END), (stmt, Place.NEXT))
        text.branch(counter.runs().operand, head, end)
        text.start(head)
        self.goes_on(inside, end)
        text.start(inside)
        if (stmt, Place.NEXT) in self.stays:
            self.fill(self.stays[stmt, Place.NEXT], -1)
        self.at_block().write(
            frame.facts.analysis.webs.definitions[stmt, stmt.target], counter.value()
        )
        self.items(item.body)
        text.start(latch)
        self.writer().poll()
        self.at_block()
        more = counter.more().operand
        counter.advance()
        text.branch(more, head, end, text.module.loop("unroll.disable"))
        text.start(end)
        self.close(opened)

    def barrier(self, item: BlockBarrier) -> None:
        """One that counts or votes: the threads' answers, added up over the vectors."""
        text, stmt = self.text, item.stmt
        total = text.alloca("i32", hint="votes")
        text.store("i32", "1" if stmt.op == "and" else "0", total)
        assert stmt.predicate is not None
        predicate = stmt.predicate

        def one() -> None:
            frame = self.frame
            answer = frame.arithmetic.one(evaluate(frame, predicate))
            if stmt.op == "and":
                failing = frame.masked_and(frame.active(), frame.inverted(answer))
                found = text.let(f"xor i1 {frame.any(failing)}, true")
            else:
                yes = frame.masked_and(frame.active(), answer)
                assert yes is not None
                if stmt.op == "count":
                    bits = text.call("llvm.ctpop.i64", "i64", [("i64", frame.bits(yes))])
                    few = text.let(f"trunc i64 {bits} to i32")
                    text.store("i32", text.let(f"add i32 {text.load('i32', total)}, {few}"), total)
                    return
                found = frame.any(yes)
            wide = text.let(f"zext i1 {found} to i32")
            op = "and" if stmt.op == "and" else "or"
            text.store("i32", text.let(f"{op} i32 {text.load('i32', total)}, {wide}"), total)

        self.over_vectors(item, one, small=True)
        if stmt.result is None:
            return
        result = uniform(INT32, (text.load("i32", total),))
        frame = self.at_block()
        web = frame.facts.analysis.webs.definitions[stmt, stmt.result]
        frame.write(web, frame.arithmetic.cast(result, stmt.result.type))

    # ------------------------------------------------------------ leaves
    def writer(self) -> Writer:
        reads = self.frame.facts.analysis.webs.reads
        writer = Writer(self.frame, self.jumps, frozenset(reads.values()), cold=self.cold)
        writer.ticks = self.frame.ticks
        return writer

    def leaf(self, leaf: Leaf, last: bool) -> None:
        returns = self.living is not None and any(isinstance(s, Return) for s in walk(leaf.body))
        if returns and self.living is not None:
            self.text.store("i1", "false", self.living)
        factor = self.jam_factor(leaf)
        if factor > 1:
            return self.jammed(leaf, factor)
        faults.begin_vectors(self.frame, leaf.body)
        writer = self.writer()

        def one() -> None:
            writer.exits = dict(self.exits)
            writer.body(leaf.body, top=last)

        self.over_vectors(leaf, one, small=size(leaf.body) < SMALL_BODY, body=leaf, returns=returns)

    def over_vectors(
        self,
        leaf: Leaf | BlockBarrier,
        write: Callable[[], None],
        small: bool,
        body: Leaf | None = None,
        returns: bool = False,
    ) -> None:
        """A loop over the vectors of the block."""
        text = self.text
        entry = self.entry_values(leaf)
        if not self.in_rows:

            def in_line(number: Operand) -> None:
                self.one_vector(leaf, number, ("0", "0", number), entry, write, returns)

            return self.counted(self.vectors, in_line, self.mark(leaf, small))
        width, height, depth = self.block

        def plane(z: Operand) -> None:
            def row(y: Operand) -> None:
                def along(x: Operand) -> None:
                    line = self.combined(z, height, y)
                    number = self.combined(line, self.per_row, x)
                    self.one_vector(leaf, number, (z, y, x), entry, write, returns)

                self.counted(self.per_row, along, self.mark(leaf, small, self.per_row))

            self.counted(height, row, self.mark(leaf, small, height if self.per_row == 1 else 0))

        self.counted(depth, plane, text.module.loop("unroll.disable"))

    def jam_factor(self, leaf: Leaf) -> int:
        """How many vectors are written at once."""
        frame = self.frame
        plain = self.in_rows and self.block[0] % self.lanes == 0 and not self.local
        if not plain or self.cold or frame.debug or self.plan.has_return or self.open_stays():
            return 1
        groups = self.block[1] if self.block[1] > 1 else self.per_row
        return jam_factor(frame.facts.analysis, leaf.body, groups)

    def open_stays(self) -> bool:
        return any(target in self.stays for target in self.open)

    def jammed(self, leaf: Leaf, factor: int) -> None:
        """The vectors of several rows at once, or several vectors of the one row."""
        text = self.text
        entry = self.entry_values(leaf)
        _, height, depth = self.block
        rows = height > 1

        def plane(z: Operand) -> None:
            def row(y: Operand) -> None:
                def along(x: Operand) -> None:
                    which = [str(n) for n in range(factor)]
                    outer = y if rows else x
                    each = [self.combined(outer, factor, n) for n in which]
                    places = [(z, n, x) if rows else (z, "0", n) for n in each]
                    self.several(leaf, places, entry)

                self.counted(self.per_row // (1 if rows else factor), along, mark)

            self.counted(height // (factor if rows else 1), row, mark)

        mark = text.module.loop("unroll.disable")
        self.counted(depth, plane, mark)

    def several(
        self,
        leaf: Leaf,
        places: Sequence[tuple[Operand, Operand, Operand]],
        entry: dict[Web, tuple[Operand, ...]],
    ) -> None:
        """One round of the vectors at these places (z, y, vector along x)."""
        whole, frames, committed = self.frame, [], {}
        numbers = []
        for z, y, x in places:
            self.frame = whole.twin()
            numbers.append(self.combined(self.combined(z, self.block[1], y), self.per_row, x))
            self.registers((z, y, x))
            committed = self.open_webs(leaf, numbers[-1], entry)
            frames.append(self.frame)
        writers = []
        for self.frame in frames:
            writers.append(self.writer())
        JamWriter(writers).body(leaf.body)
        for self.frame, number in zip(frames, numbers, strict=True):
            self.close_webs(leaf, number)
        self.close_leaf(committed, {}, None, False)
        self.frame = whole

    def combined(self, outer: Operand, size: int, inner: Operand) -> Operand:
        """outer * size + inner."""
        if outer == "0" or size == 0:
            return inner
        scaled = outer if size == 1 else self.text.let(f"mul nuw nsw i64 {outer}, {size}")
        if inner == "0":
            return scaled
        return self.text.let(f"add nuw nsw i64 {scaled}, {inner}")

    def mark(self, leaf: Leaf | BlockBarrier, small: bool, count: int = 0) -> str:
        """How a loop over vectors may be unrolled."""
        module = self.text.module
        if self.cold or not count or not isinstance(leaf, Leaf):
            return module.loop("unroll.disable")
        crossing = any(self.plan.homes[w] is Home.CONTEXT for w in self.plan.touched[leaf][0])
        if count <= FEW_VECTORS and small and crossing:
            return module.loop("unroll.full")
        if size(leaf.body) < TINY_BODY:
            return module.loop("unroll.count", TIMES)
        return module.loop("unroll.disable")

    def counted(self, count: int, write: Callable[[Operand], None], mark: str) -> None:
        """A loop from 0 to count - 1."""
        text = self.text
        if count == 1:
            return write("0")
        slot = text.alloca("i64", hint="n")
        head, end = text.label("vectors"), text.label("endvectors")
        text.store("i64", "0", slot)
        text.start(head)
        number = text.load("i64", slot)
        write(number)
        following = text.let(f"add nuw nsw i64 {number}, 1")
        text.store("i64", following, slot)
        text.branch(text.let(f"icmp ult i64 {following}, {count}"), head, end, mark)
        text.start(end)

    def entry_values(self, leaf: Leaf | BlockBarrier) -> dict[Web, tuple[Operand, ...]]:
        """The block's scalars that a leaf uses, as they are when it begins."""
        used = self.plan.touched[leaf][0]
        return {
            web: tuple(self.text.load(register(web.var.type), a) for a in slot.addresses)
            for web, slot in self.own.items()
            if web in used
        }

    # ------------------------------------------------------------ one vector
    def one_vector(
        self,
        leaf: Leaf | BlockBarrier,
        number: Operand,
        place: tuple[Operand, Operand, Operand],
        entry: dict[Web, tuple[Operand, ...]],
        write: Callable[[], None],
        returns: bool,
    ) -> None:
        text, frame = self.text, self.frame
        frame.span = None
        end, skip = text.label("endvector"), text.label("nextvector")
        self.registers(place)
        tail = self.tail(place[2])
        frame.mask, frame.certain, frame.tail = tail, True, tail
        self.exits = {}
        kept = self.open_masks(number, end)
        if kept:
            go = text.label("go")
            if self.alive is not None or any(t is not None for t in kept):
                text.branch(frame.any(frame.mask), go, skip)
                text.start(go)
        self.local_arrays(number)
        committed = self.open_webs(leaf, number, entry)
        warp_checks.begin_vector(frame)
        write()
        if text.here:
            self.close_leaf(committed, kept, tail, returns)
        text.start(end)
        for target, (slot, address) in kept.items():
            if address is not None:
                self.save_mask(slot, address, number)
        for web, slot in frame.assigned.items():
            self.save_mask(slot, self.assigned[web], number)
        self.close_webs(leaf, number)
        text.start(skip)
        frame.slots, frame.values = {}, {}

    def registers(self, place: tuple[Operand, Operand, Operand]) -> None:
        frame, text = self.frame, self.text
        z, y, x = place
        first = x if x == "0" else text.let(f"mul nuw nsw i64 {x}, {self.lanes}")
        width, height, depth = self.block
        if self.in_rows:
            start = self.combined(self.combined(z, height, y), width, first)
            across: list[Value] = [
                linear(INT64, first, 1) if width > 1 else constant(INT64, 0),
                uniform(INT64, (y,)) if height > 1 else constant(INT64, 0),
                uniform(INT64, (z,)) if depth > 1 else constant(INT64, 0),
            ]
        else:
            start = first
            across = [self.table(axis, first) for axis in range(3)]
        frame.thread_numbers = linear(INT64, start, 1)
        for axis in range(3):
            frame.registers["threadIdx", axis] = across[axis]
        if self.lanes == 32:
            frame.registers["laneid", 0] = linear(INT64, "0", 1)
        else:
            lane = frame.arithmetic.binary("and", frame.thread_numbers, constant(INT64, 31))
            frame.registers["laneid", 0] = lane

    def table(self, axis: int, first: Operand) -> Value:
        """threadIdx along an axis where a vector covers several rows: from a table."""
        width, height, _ = self.block
        if self.block[axis] == 1:
            return constant(INT64, 0)
        count = self.vectors * self.lanes
        under = (1, width, width * height)[axis]
        numbers = [(thread // under) % self.block[axis] for thread in range(count)]
        text = self.text
        elements = ", ".join(f"i16 {n}" for n in numbers)
        found = text.module.table("threads", f"[{count} x i16]", f"[{elements}]")
        loaded = text.load(vector("i16", self.lanes), text.at("i16", found, first), 2)
        kind = vector("i64", self.lanes)
        return varying(INT64, (text.let(f"zext {vector('i16', self.lanes)} {loaded} to {kind}"),))

    def tail(self, x: Operand) -> Operand | None:
        """The lanes that have a thread; None: all."""
        threads = self.block[0] if self.in_rows else math.prod(self.block)
        if threads % self.lanes == 0:
            return None
        text = self.text
        if self.per_row == 1:
            bits = ", ".join(f"i1 {'true' if n < threads else 'false'}" for n in range(self.lanes))
            return f"<{bits}>"
        first = text.let(f"mul nuw nsw i64 {x}, {self.lanes}")
        return self.frame.arithmetic.one(
            self.frame.arithmetic.compare(
                "lt", linear(INT64, first, 1), constant(INT64, threads)
            )
        )

    def open_masks(
        self, number: Operand, end: str
    ) -> dict[Target, tuple[Operand, Operand | None]]:
        """The masks of threads that are still here, in slots, and where they are kept."""
        frame, text = self.frame, self.text
        kept: dict[Target, tuple[Operand, Operand | None]] = {}
        if self.plan.has_return:
            kept[None] = (text.alloca(frame.masks, hint="alive"), self.alive)
        for target in self.open:
            if target in self.stays:
                kept[target] = (text.alloca(frame.masks, hint="stay"), self.stays[target])
        for target, (slot, address) in kept.items():
            mask = frame.all_on() if address is None else self.saved_mask(address, number)
            text.store(frame.masks, mask, slot)
            if address is not None:
                frame.mask = frame.masked_and(frame.mask, mask)
            self.exits[target] = Exit(end if target is None else None, slot)
        frame.alive = self.who_is_alive(kept.get(None))
        frame.assigned = {}
        for web, address in self.assigned.items():
            frame.assigned[web] = text.alloca(frame.masks, hint="assigned")
            text.store(frame.masks, self.saved_mask(address, number), frame.assigned[web])
        return kept

    def who_is_alive(self, slot: tuple[Operand, Operand | None] | None) -> Callable[[], Operand]:
        """Lanes that exist and have not returned."""
        frame, tail = self.frame, self.frame.tail

        def alive() -> Operand:
            here = None if slot is None else frame.text.load(frame.masks, slot[0])
            return frame.masked_and(tail, here) or frame.all_on()

        return alive

    def saved_mask(self, address: Operand, number: Operand) -> Operand:
        text, lanes = self.text, self.lanes
        bits = text.load("i64", text.at("i64", address, number))
        narrow = bits if lanes == 64 else text.let(f"trunc i64 {bits} to i{lanes}")
        return text.let(f"bitcast i{lanes} {narrow} to {self.frame.masks}")

    def save_mask(self, slot: Operand, address: Operand, number: Operand) -> None:
        mask = self.text.load(self.frame.masks, slot)
        self.text.store("i64", self.frame.bits(mask), self.text.at("i64", address, number))

    def open_webs(
        self, leaf: Leaf | BlockBarrier, number: Operand, entry: dict[Web, tuple[Operand, ...]]
    ) -> dict[Web, Slot]:
        """Slots for the names of a leaf; gives those of the block that it assigns."""
        frame, text = self.frame, self.text
        touched, assigned = self.plan.touched[leaf]
        frame.slots, frame.values = {}, self.constant_values()
        committed: dict[Web, Slot] = {}
        for web, home in self.plan.homes.items():
            if home is Home.AGAIN:
                stmt = web.definitions[0]
                frame.values[web] = evaluate(frame, stmt.value)  # type: ignore[union-attr]
            if web not in touched:
                continue
            if home is Home.SLOT:
                frame.slots[web] = self.slot(web, *self.form(web), "s")
                self.initial(web, frame.slots[web], zero=False)
            elif home is Home.BLOCK and web not in assigned:
                frame.values[web] = uniform(web.var.type, entry[web])
            elif home is Home.BLOCK:
                frame.slots[web] = self.slot(web, Form.UNIFORM, 0, "own")
                committed[web] = frame.slots[web]
                for part, address in zip(entry[web], committed[web].addresses, strict=True):
                    text.store(register(web.var.type), part, address)
            elif home is Home.CONTEXT:
                frame.slots[web] = self.load_context(web, number)
        return committed

    def load_context(self, web: Web, number: Operand) -> Slot:
        context, text = self.contexts[web], self.text
        slot = self.slot(web, context.form, context.stride, "c")
        kind = register(web.var.type, self.lanes if context.form is Form.VARYING else 0)
        for source, target in zip(context.addresses, slot.addresses, strict=True):
            element = self.element(context, web, source, number)
            text.store(kind, self.from_context(kind, element), target)
        return slot

    def element(self, context: Context, web: Web, address: Operand, number: Operand) -> Operand:
        size = self.element_bytes(web.var.type, context.form)
        if number == "0":
            return address
        return self.text.at("i8", address, self.text.let(f"mul i64 {number}, {size}"))

    def from_context(self, kind: str, address: Operand) -> Operand:
        """bools are bytes there."""
        if not kind.endswith("i1") and not kind.endswith("i1>"):
            return self.text.load(kind, address)
        wide = kind.replace("i1", "i8")
        loaded = self.text.load(wide, address)
        return self.text.let(f"trunc {wide} {loaded} to {kind}")

    def close_webs(self, leaf: Leaf | BlockBarrier, number: Operand) -> None:
        for web in self.plan.touched[leaf][1]:
            context = self.contexts.get(web)
            if context is None:
                continue
            slot = self.frame.slots[web]
            kind = register(web.var.type, self.lanes if context.form is Form.VARYING else 0)
            for source, target in zip(slot.addresses, context.addresses, strict=True):
                value = self.text.load(kind, source)
                address = self.element(context, web, target, number)
                if kind.endswith(("i1", "i1>")):
                    wide = kind.replace("i1", "i8")
                    value, kind = self.text.let(f"zext {kind} {value} to {wide}"), wide
                self.text.store(kind, value, address)

    def close_leaf(
        self,
        committed: dict[Web, Slot],
        kept: dict[Target, tuple[Operand, Operand | None]],
        tail: Operand | None,
        returns: bool,
    ) -> None:
        """The names of the block get the values that threads which are still here gave them."""
        text, frame = self.text, self.frame
        if not committed and not returns:
            return
        mask = tail
        for slot, _ in kept.values():
            mask = frame.masked_and(mask, text.load(frame.masks, slot))
        here, done = text.label("commit"), text.label("committed")
        text.branch(frame.any(mask), here, done)
        text.start(here)
        for web, slot in committed.items():
            kind = register(web.var.type)
            for source, target in zip(slot.addresses, self.own[web].addresses, strict=True):
                text.store(kind, text.load(kind, source), target)
        if returns and self.living is not None:
            text.store("i1", "true", self.living)
        text.start(done)

    # ------------------------------------------------------------ arrays
    def local_arrays(self, number: Operand) -> None:
        for array, (base, size) in self.local.items():
            where = self.frame.arrays[array]
            address = base
            if array in self.plan.crossing and number != "0":
                address = self.text.at("i8", base, self.text.let(f"mul i64 {number}, {size}"))
            self.frame.arrays[array] = ArrayPlace(
                address, where.extents, where.strides, threads=where.threads
            )

    def allocate(self, stmt: Allocate) -> None:
        """The memory of an array that the kernel makes."""
        array = stmt.array
        dtype, space = array.type.dtype, array.type.space
        extents = tuple(constant(INT64, n) for n in array.shape)
        count = math.prod(array.shape)
        if space is AddressSpace.LOCAL:
            size = count * dtype.itemsize * self.lanes
            vectors = self.vectors if array in self.plan.crossing else 1
            base = self.storage.take(size * vectors, "local")
            self.local[array] = (base, size)
            strides = _strides(array.shape, dtype.itemsize * self.lanes)
            self.frame.arrays[array] = ArrayPlace(base, extents, strides, threads=dtype.itemsize)
            return
        strides = _strides(array.shape, dtype.itemsize)
        if space is AddressSpace.CONSTANT:
            assert stmt.data is not None
            base = self.text.module.data(stmt.data.astype(dtype.numpy).tobytes())
        elif array.is_dynamic:
            base = "%dynamic"
            words = self.text.let(f"udiv i64 %dynamicbytes, {dtype.itemsize}")
            extents = (uniform(INT64, (words,)),)
        else:
            base = self.storage.take(count * dtype.itemsize, "shared")
        self.frame.arrays[array] = ArrayPlace(base, extents, strides)


def _strides(shape: tuple[int, ...], item: int) -> tuple[Value, ...]:
    """Byte strides of an array in C's order."""
    found = []
    for axis in range(len(shape)):
        found.append(constant(INT64, item * math.prod(shape[axis + 1 :])))
    return tuple(found)

