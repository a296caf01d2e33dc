"""What is known while one vector of threads is being written: its lanes, its mask, its names.

In: analyses and a Text. Out: a Frame, which expressions, memory, control, atomics, warps and faults
share.
Holds: code is written where at least one lane runs (`certain`), except inside lazy operands; what
idle lanes hold is arbitrary, maybe poison, so masks are combined by `masked_and` only.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.webs import Web
from kernelkit.ir.nodes import ArrayVar, Expr, Var
from kernelkit.ir.types import DType
from kernelkit.records import record
from kernelkit_cpu.lowering import Views
from kernelkit_cpu.operations import Operations
from kernelkit_cpu.report import Notes
from kernelkit_cpu.targets import CpuTarget
from kernelkit_cpu.text import Operand, Text
from kernelkit_cpu.types import Parts, register, vector
from kernelkit_cpu.values import Arithmetic, Form, Value, uniform, varying


@record
class Slot:
    """Memory of one web in the function: scalars for uniform and linear webs, else vectors."""

    form: Form
    stride: int
    addresses: tuple[Operand, ...]


@record
class ArrayPlace:
    """Where an array's elements are: base + offset + sum of index x stride, all in bytes.

    `threads`: bytes from a lane's element to the next lane's; 0 for memory that lanes share.
    """

    base: Operand
    extents: tuple[Value, ...]
    strides: tuple[Value, ...]
    offset: Value | None = None
    threads: int = 0


@dataclass(slots=True)
class Facts:
    """What the passes found: `never_negative` are indices that need no wrap; `views` says through
    which view an access was written."""

    analysis: Analysis
    never_negative: frozenset[Expr] = frozenset()
    views: Views = field(default_factory=dict)
    #: Webs that are read somewhere.
    read: frozenset[Web] = field(init=False)

    def __post_init__(self) -> None:
        self.read = frozenset(self.analysis.webs.reads.values())


@record(frozen=False, eq=False)
class Frame:
    text: Text
    target: CpuTarget
    facts: Facts
    lanes: int
    operations: Operations
    arithmetic: Arithmetic
    notes: Notes
    #: Lanes that run; None: all.
    mask: Operand | None = None
    #: Whether surely some lane runs.
    certain: bool = True
    #: (register, axis) -> its value in this vector.
    registers: dict[tuple[str, int], Value] = field(default_factory=dict)
    arrays: dict[ArrayVar, ArrayPlace] = field(default_factory=dict)
    parameters: dict[Var, Value] = field(default_factory=dict)
    #: A counter (i32, in memory) of iterations until the next look for a cancelled launch.
    ticks: Operand = ""
    #: Whether the code being written rarely runs.
    cold: bool = False
    #: Webs with one definition that is above all reads.
    values: dict[Web, Value] = field(default_factory=dict)
    slots: dict[Web, Slot] = field(default_factory=dict)
    #: The launch record.
    record: Operand = "%record"
    #: Linear number of the block.
    block_number: Operand = "%block"
    #: Each lane's thread: linear number in the block.
    thread_numbers: Value | None = None
    #: Where to go after a fault.
    fault_exit: str = "fault"
    #: Lanes that have a thread; None: all.
    tail: Operand | None = None
    #: Lanes of this vector that have a thread which has not returned.
    alive: Callable[[], Operand] | None = None
    #: Of webs that may be unassigned, in debug builds: masks (in memory) of lanes that assigned.
    assigned: dict[Web, Operand] = field(default_factory=dict)
    #: In debug builds: what threads before said to kk.uniform (in memory: a thread's number, -1 for
    #: none yet, and its value).
    promises: dict[Expr, tuple[Operand, ...]] = field(default_factory=dict)
    #: In debug builds: whom warp operations of this vector wait for (in memory, see warp_checks).
    waited_for: Operand | None = None
    #: Sites of faults and prints: metadata, shared by all frames of a module.
    sites: list[dict[str, object]] = field(default_factory=list)

    @property
    def debug(self) -> bool:
        return self.facts.analysis.kernel.options.debug

    def twin(self) -> Frame:
        """A frame for a vector, or another one, at the same place of the code; all its lanes run."""
        made = copy.copy(self)
        made.registers, made.arrays = dict(self.registers), dict(self.arrays)
        made.values, made.slots = {}, {}
        made.mask, made.certain, made.tail = None, True, None
        return made

    def keeps(self, web: Web) -> bool:
        """Whether assignments to a web are written: those that nobody reads are not."""
        return web in self.facts.read or self.debug

    @contextmanager
    def rarely(self, cold: bool = True) -> Iterator[None]:
        """Write code that rarely runs, for small size, and with no notes."""
        kept, self.cold = self.cold, cold or self.cold
        with self.notes.cold(cold):
            yield
        self.cold = kept

    # ------------------------------------------------------------ masks
    @property
    def masks(self) -> str:
        return vector("i1", self.lanes)

    def all_on(self) -> Operand:
        return "splat (i1 true)"

    def active(self) -> Operand:
        """The mask as a vector, also where all lanes run."""
        return self.all_on() if self.mask is None else self.mask

    def masked_and(self, a: Operand | None, b: Operand | None) -> Operand | None:
        """a and b, where b may be poison in the lanes that a leaves out. None: all lanes."""
        if a is None or b is None:
            return b if a is None else a
        text = f"select {self.masks} {a}, {self.masks} {b}, {self.masks} zeroinitializer"
        return self.text.let(text)

    def inverted(self, mask: Operand) -> Operand:
        return self.text.let(f"xor {self.masks} {mask}, splat (i1 true)")

    def any(self, mask: Operand | None) -> Operand:
        """Whether some lane of a mask is on."""
        return "true" if mask is None else self._reduced("or", mask)

    def every(self, mask: Operand) -> Operand:
        return self._reduced("and", mask)

    def _reduced(self, op: str, mask: Operand) -> Operand:
        name = f"llvm.vector.reduce.{op}.v{self.lanes}i1"
        return self.text.call(name, "i1", [(self.masks, mask)])

    def bits(self, mask: Operand) -> Operand:
        """A mask as an i64, lane 0 lowest."""
        narrow = self.text.let(f"bitcast {self.masks} {mask} to i{self.lanes}")
        if self.lanes == 64:
            return narrow
        return self.text.let(f"zext i{self.lanes} {narrow} to i64")

    @contextmanager
    def under(self, mask: Operand | None, certain: bool) -> Iterator[None]:
        """Write code for the lanes of a mask (which is already cut to those that run)."""
        kept = self.mask, self.certain
        self.mask, self.certain = mask, certain
        try:
            yield
        finally:
            self.mask, self.certain = kept

    def first_active(self) -> Operand:
        """The number (i64) of the first lane that runs; 0 where none does."""
        if self.mask is None:
            return "0"
        bits = self.bits(self.mask)
        found = self.text.call("llvm.cttz.i64", "i64", [("i64", bits), ("i1", "false")])
        return self.text.let(f"and i64 {found}, {self.lanes - 1}")

    def lane(self, value: Value, lane: Operand) -> Parts:
        """The value of one lane."""
        if value.is_uniform:
            return value.scalar
        kind = register(value.type, self.lanes)
        return tuple(
            self.text.let(f"extractelement {kind} {part}, i64 {lane}")
            for part in self.arithmetic.vector(value)
        )

    def as_uniform(self, value: Value) -> Value:
        """A value that is known to be the same in all lanes that run, as a scalar."""
        if value.is_uniform:
            return value
        found = self.lane(value, self.first_active())
        if not self.certain:
            # Where no lane runs that is lane 0's, maybe poison, on which nobody may branch.
            kind = register(value.type)
            found = tuple(self.text.let(f"freeze {kind} {part}") for part in found)
        return uniform(value.type, found)

    # ------------------------------------------------------------ code for some
    def guarded(self, write: Callable[[], None]) -> None:
        """Scalar code with effects, which must not run where no lane does."""
        if self.mask is None or self.certain:
            return write()
        some, none = self.text.label("some"), self.text.label("none")
        self.text.branch(self.any(self.mask), some, none)
        self.text.start(some)
        write()
        self.text.start(none)

    def choose(
        self,
        condition: Operand,
        dtype: DType,
        then: Callable[[], Value],
        orelse: Callable[[], Value],
    ) -> Value:
        """One of two values; only the chosen one is computed."""
        if condition in ("true", "false"):
            return then() if condition == "true" else orelse()
        text = self.text
        yes, no, end = text.label("then"), text.label("else"), text.label("end")
        text.branch(condition, yes, no)
        text.start(yes)
        a = then()
        first = text.pause()
        text.start(no)
        b = orelse()
        second = text.pause()
        # A scalar only if both arms turned out to give one.
        lanes = 0 if a.is_uniform and b.is_uniform else self.lanes
        ways = []
        text.resume(first)
        for value in (a, b):
            ways.append((self._registers(value, lanes), text.here))
            text.jump(end)
            if len(ways) == 1:
                text.resume(replace(second, lines=text.lines + second.lines))
        text.start(end)
        kind = register(dtype, lanes)
        parts = tuple(
            text.phi(kind, *((operands[i], label) for operands, label in ways))
            for i in range(len(ways[0][0]))
        )
        return varying(dtype, parts) if lanes else uniform(dtype, parts)

    def _registers(self, value: Value, lanes: int) -> list[Operand]:
        return list(self.arithmetic.vector(value) if lanes else value.scalar)

    def each_lane(self, write: Callable[[Operand], None]) -> None:
        """A loop over the lanes that run, in order; `write` gets the lane's number (i64)."""
        text = self.text
        if self.lanes == 1 and self.mask is None:
            return write("0")
        head, body, end = text.label("lanes"), text.label("lane"), text.label("lanesend")
        slot = text.alloca("i64", hint="left")
        text.store("i64", self.bits(self.active()), slot)
        text.start(head)
        left = text.load("i64", slot)
        more = text.let(f"icmp ne i64 {left}, 0")
        text.branch(more, body, end)
        text.start(body)
        lane = text.call("llvm.cttz.i64", "i64", [("i64", left), ("i1", "true")])
        lower = text.let(f"sub i64 {left}, 1")
        text.store("i64", text.let(f"and i64 {left}, {lower}"), slot)
        write(lane)
        text.jump(head, text.module.loop("unroll.disable"))
        text.start(end)

    def spill(self, value: Value) -> Callable[[Operand], Parts]:
        """Puts a value where single lanes can be read cheaply; gives what reads one."""
        if value.is_uniform:
            return lambda lane: value.scalar
        kind = register(value.type)
        kind = "i8" if kind == "i1" else kind
        addresses = []
        for part in self.arithmetic.vector(value):
            address = self.text.alloca(vector(kind, self.lanes), hint="spill")
            if register(value.type) == "i1":
                part = self.text.let(f"zext {self.masks} {part} to {vector('i8', self.lanes)}")
            self.text.store(vector(kind, self.lanes), part, address)
            addresses.append(address)

        def read(lane: Operand) -> Parts:
            found = tuple(self.text.load(kind, self.text.at(kind, a, lane)) for a in addresses)
            if register(value.type) == "i1":
                return tuple(self.text.let(f"trunc i8 {f} to i1") for f in found)
            return found

        return read

    # ------------------------------------------------------------ names
    def write(self, web: Web, value: Value) -> None:
        """Assign to a web in the lanes that run."""
        if web in self.assigned:
            self._note_assigned(self.assigned[web])
        slot = self.slots.get(web)
        if slot is None:
            self.values[web] = value
            return
        dtype, text = web.var.type, self.text
        if slot.form is Form.UNIFORM:
            parts = self.as_uniform(value).scalar
        elif slot.form is Form.LINEAR:
            parts = (self._base(value, slot.stride),)
        else:
            return self._write_vector(web, slot, value)
        for part, address in zip(parts, slot.addresses, strict=True):
            text.store(register(dtype), part, address)

    def _note_assigned(self, address: Operand) -> None:
        before = self.text.load(self.masks, address)
        now = self.text.let(f"or {self.masks} {before}, {self.active()}")
        self.text.store(self.masks, now, address)

    def _base(self, value: Value, stride: int) -> Operand:
        """Lane 0's value of one that is known to be linear."""
        if value.form is Form.LINEAR and value.stride == stride:
            return value.operand
        first = self.first_active()
        kind = register(value.type)
        (found,) = self.lane(value, first)
        narrow = first if value.type.bits == 64 else self.text.let(f"trunc i64 {first} to {kind}")
        back = self.text.let(f"mul {kind} {narrow}, {stride}")
        return self.text.let(f"sub {kind} {found}, {back}")

    def _write_vector(self, web: Web, slot: Slot, value: Value) -> None:
        dtype, text = web.var.type, self.text
        kind = register(dtype, self.lanes)
        blended = self.mask is not None and web in self.facts.analysis.variability.blended
        for part, address in zip(self.arithmetic.vector(value), slot.addresses, strict=True):
            if blended:
                old = text.load(kind, address)
                part = text.let(f"select {self.masks} {self.mask}, {kind} {part}, {kind} {old}")
            text.store(kind, part, address)

    def read(self, web: Web) -> Value:
        slot = self.slots.get(web)
        if slot is None:
            return self.values[web]
        dtype = web.var.type
        lanes = self.lanes if slot.form is Form.VARYING else 0
        parts = tuple(self.text.load(register(dtype, lanes), a) for a in slot.addresses)
        if slot.form is Form.LINEAR:
            return Value(dtype, Form.LINEAR, parts, slot.stride)
        return varying(dtype, parts) if lanes else uniform(dtype, parts)
