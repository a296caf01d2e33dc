"""Atomic operations of a vector of threads.

In: an Atomic. Out: code, and the old values in the lanes that run.
Holds: the lanes of a vector come one after the other, in order. Whoever else touches global memory
sees each update whole; shared memory belongs to one thread of the host, so nothing there is atomic
to the machine. Where all lanes mean one element and an order cannot be told from another, they make
one update together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kernelkit.ir import nodes as ir
from kernelkit.ir.types import AddressSpace, DType
from kernelkit_cpu import faults, memory
from kernelkit_cpu.expressions import evaluate
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import literal, register, suffix, vector
from kernelkit_cpu.values import Form, Value, varying

#: Lanes that one turn of a loop over all of them handles.
UNROLLED: Final = 4

#: Operation -> the reduction that makes one operand of those of all lanes.
_REDUCTIONS: Final = {
    "add": "add", "sub": "add", "and": "and", "or": "or", "xor": "xor",
    "min": "min", "nanmin": "min", "max": "max", "nanmax": "max",
}  # fmt: skip

#: What machines do in one instruction, by LLVM's names; the rest is tried until nobody came between.
_MACHINE: Final = {"add": "add", "sub": "sub", "and": "and", "or": "or", "xor": "xor"}


def write(frame: Frame, stmt: ir.Atomic) -> None:
    indices = [evaluate(frame, index) for index in stmt.indices]
    operands = [evaluate(frame, operand) for operand in stmt.operands]
    if frame.debug:
        faults.check_bounds(frame, stmt, stmt.array, stmt.indices, indices)
    offset = memory.place_of(frame, stmt.array, stmt.indices, indices)
    atomic = _Atomic(frame, stmt, offset, operands)
    if stmt.result is None:
        return atomic.without_result()
    web = frame.facts.analysis.webs.definitions[stmt, stmt.result]
    frame.write(web, atomic.with_result())


class _Atomic:
    """One statement on its way."""

    def __init__(self, frame: Frame, stmt: ir.Atomic, offset: Value, operands: list[Value]) -> None:
        self.frame, self.text = frame, frame.text
        self.op, self.dtype = stmt.op, stmt.array.type.dtype
        self.name, self.span = stmt.array.name, stmt.span
        self.base = frame.arrays[stmt.array].base
        self.offset, self.operands = offset, operands
        self.kind = register(self.dtype)
        self.vector = vector(self.kind, frame.lanes)
        self.is_shared = stmt.array.type.space is AddressSpace.SHARED

    def without_result(self) -> None:
        exact = self.dtype.is_integer or self.op in ("add", "sub")
        if self.offset.is_uniform and self.op in _REDUCTIONS and exact:
            self.frame.notes.note(self.span, "reduced", self.name)
            return self.frame.guarded(self._reduced)
        self._one_by_one(lambda lane, old: None)

    def with_result(self) -> Value:
        text = self.text
        olds = text.alloca(self.vector, hint="old")
        if self.offset.is_uniform and self.op in ("add", "sub") and self.dtype.is_integer:
            self.frame.notes.note(self.span, "reduced", self.name)
            self.frame.guarded(lambda: self._running(olds))
        else:
            self._one_by_one(
                lambda lane, old: text.store(self.kind, old, text.at(self.kind, olds, lane))
            )
        return varying(self.dtype, (text.load(self.vector, olds),))

    # ------------------------------------------------------------ all lanes together
    def _reduced(self) -> None:
        self._together(self._sum())

    def _together(self, operand: Operand) -> Operand:
        """One update of the element that all lanes mean; gives its old value."""
        address = self.text.at("i8", self.base, self.offset.operand)
        return _update(self.frame, self.op, self.dtype, self.is_shared, address, (operand,))

    def _sum(self) -> Operand:
        """The operands of the lanes that run, as one."""
        (value,), reduction = self.operands, _REDUCTIONS[self.op]
        if value.is_uniform:
            return self._repeated(value.operand)
        operand = self._or_neutral(value, reduction)
        if self.dtype.is_float:
            kinds = [(self.kind, "-0.0"), (self.vector, operand)]
            name = f"llvm.vector.reduce.fadd.{suffix(self.kind, self.frame.lanes)}"
            return self.text.call(name, self.kind, kinds, "reassoc")
        if reduction in ("min", "max"):
            reduction = f"{'s' if self.dtype.is_signed else 'u'}{reduction}"
        name = f"llvm.vector.reduce.{reduction}.{suffix(self.kind, self.frame.lanes)}"
        return self.text.call(name, self.kind, [(self.vector, operand)])

    def _repeated(self, operand: Operand) -> Operand:
        """An operand that all lanes share, as often as lanes run."""
        text, kind = self.text, self.kind
        if self.op not in ("add", "sub", "xor"):
            return operand
        count = self._count()
        if self.dtype.is_float:
            times = text.let(f"uitofp i64 {count} to {kind}")
            return text.let(f"fmul {kind} {operand}, {times}")
        times = count if kind == "i64" else text.let(f"trunc i64 {count} to {kind}")
        if self.op == "xor":
            times = text.let(f"and {kind} {times}, 1")
        return text.let(f"mul {kind} {operand}, {times}")

    def _count(self) -> Operand:
        """How many lanes run, as an i64."""
        frame = self.frame
        if frame.mask is None:
            # An operand of its own, for callers write it into instructions.
            return str(frame.lanes)
        return self.text.call("llvm.ctpop.i64", "i64", [("i64", frame.bits(frame.mask))])

    def _or_neutral(self, value: Value, reduction: str) -> Operand:
        """A vector of operands; idle lanes hold what changes nothing."""
        operand = self.frame.arithmetic.one(value)
        mask = self.frame.mask
        if mask is None:
            return operand
        neutral = literal(self.dtype, _neutral(reduction, self.dtype), self.frame.lanes)[0]
        return self.text.let(
            f"select {self.frame.masks} {mask}, {self.vector} {operand}, {self.vector} {neutral}"
        )

    def _running(self, olds: Operand) -> None:
        """One addition of the sum; each lane's old value is the element's and what the lanes before
        it add."""
        text, lanes = self.text, self.frame.lanes
        own = self._or_neutral(self.operands[0], "add")
        sums, step = own, 1
        while step < lanes:
            moved = _moved_up(self.frame, self.vector, sums, step)
            sums = text.let(f"add {self.vector} {sums}, {moved}")
            step *= 2
        total = text.let(f"extractelement {self.vector} {sums}, i64 {lanes - 1}")
        old = self._together(total)
        before = text.let(f"sub {self.vector} {sums}, {own}")
        first = self.frame.arithmetic.vector(Value(self.dtype, Form.UNIFORM, (old,)))[0]
        text.store(self.vector, text.let(f"{self.op} {self.vector} {first}, {before}"), olds)

    # ------------------------------------------------------------ lane by lane
    def _one_by_one(self, keep: Callable[[Operand, Operand], None]) -> None:
        """`keep` gets each lane's number and old value."""
        frame, text = self.frame, self.text
        frame.notes.note(self.span, "scalarised", self.name)
        place = self._by_lane(self.offset)
        readers = [self._by_lane(operand) for operand in self.operands]

        def one(lane: Operand) -> None:
            operands = tuple(read(lane) for read in readers)
            address = text.at("i8", self.base, place(lane))
            keep(lane, _update(frame, self.op, self.dtype, self.is_shared, address, operands))

        if not self.is_shared:
            return frame.each_lane(one)
        if frame.mask is None:
            return _all_lanes(frame, one)
        every = frame.every(frame.mask)
        memory.either(frame, every, lambda: _all_lanes(frame, one), lambda: frame.each_lane(one))

    def _by_lane(self, value: Value) -> Callable[[Operand], Operand]:
        """What gives one lane's register."""
        if value.form is not Form.LINEAR:
            spilled = self.frame.spill(value)
            return lambda lane: spilled(lane)[0]
        text, kind = self.text, register(value.type)

        def computed(lane: Operand) -> Operand:
            number = lane if kind == "i64" else text.let(f"trunc i64 {lane} to {kind}")
            steps = text.let(f"mul {kind} {number}, {value.stride}")
            return text.let(f"add {kind} {value.operand}, {steps}")

        return computed


def _neutral(reduction: str, dtype: DType) -> int | float:
    """The operand that changes nothing."""
    if dtype.is_float:
        return -0.0
    ends = {"and": -1 if dtype.is_signed else dtype.maximum, "min": dtype.maximum}
    return {"max": dtype.minimum, **ends}.get(reduction, 0)


def _moved_up(frame: Frame, kind: str, operand: Operand, step: int) -> Operand:
    """Each lane's value `step` lanes further up; zeros come in below."""
    lanes = [f"i32 {frame.lanes + k if k < step else k - step}" for k in range(frame.lanes)]
    return frame.text.let(
        f"shufflevector {kind} {operand}, {kind} zeroinitializer, "
        f"<{frame.lanes} x i32> <{', '.join(lanes)}>"
    )


def _all_lanes(frame: Frame, one: Callable[[Operand], None]) -> None:
    """A loop over all lanes. It is not unrolled whole: LLVM would then take the lanes out of their
    vectors one by one, which costs more than to load them."""
    text, lanes = frame.text, frame.lanes
    count = min(UNROLLED, lanes)
    slot = text.alloca("i64", hint="lane")
    text.store("i64", "0", slot)
    body, end = text.label("lane"), text.label("lanesend")
    text.start(body)
    first = text.load("i64", slot)
    for number in range(count):
        one(text.let(f"add i64 {first}, {number}") if number else first)
    following = text.let(f"add i64 {first}, {count}")
    text.store("i64", following, slot)
    more = text.let(f"icmp ult i64 {following}, {lanes}")
    text.branch(more, body, end, text.module.loop("unroll.disable"))
    text.start(end)


# ---------------------------------------------------------------- one update
def _update(
    frame: Frame, op: str, dtype: DType, is_shared: bool, address: Operand,
    operands: tuple[Operand, ...],
) -> Operand:  # fmt: skip
    """Bring an element up to date; gives its old value."""
    text, kind = frame.text, register(dtype)
    if is_shared:
        old = text.load(kind, address)
        text.store(kind, _new(frame, op, dtype, old, operands), address)
        return old
    if op == "exch":
        return text.let(f"atomicrmw xchg ptr {address}, {kind} {operands[0]} monotonic")
    if op in _MACHINE and dtype.is_integer:
        return text.let(f"atomicrmw {_MACHINE[op]} ptr {address}, {kind} {operands[0]} monotonic")
    return _tried(frame, op, dtype, address, operands)


def _tried(
    frame: Frame, op: str, dtype: DType, address: Operand, operands: tuple[Operand, ...]
) -> Operand:
    """Compare-and-swap until nobody came between. What would not change is not written: a least or
    greatest value soon changes rarely, and then its users do not wait for one another."""
    text, kind, whole = frame.text, register(dtype), f"i{dtype.bits}"
    seen = text.alloca(whole, hint="seen")
    text.store(
        whole,
        text.let(f"load atomic {whole}, ptr {address} monotonic, align {dtype.itemsize}"),
        seen,
    )
    again, write_, end = text.label("again"), text.label("write"), text.label("written")
    text.start(again)
    bits = text.load(whole, seen)
    old = _as(frame, whole, bits, kind)
    new = _as(frame, kind, _new(frame, op, dtype, old, operands), whole)
    text.branch(text.let(f"icmp eq {whole} {new}, {bits}"), end, write_)
    text.start(write_)
    pair = text.let(
        f"cmpxchg weak ptr {address}, {whole} {bits}, {whole} {new} monotonic monotonic"
    )
    text.store(whole, text.let(f"extractvalue {{ {whole}, i1 }} {pair}, 0"), seen)
    text.branch(text.let(f"extractvalue {{ {whole}, i1 }} {pair}, 1"), end, again)
    text.start(end)
    return _as(frame, whole, text.load(whole, seen), kind)


def _as(frame: Frame, source: str, operand: Operand, target: str) -> Operand:
    if source == target:
        return operand
    return frame.text.let(f"bitcast {source} {operand} to {target}")


def _new(
    frame: Frame, op: str, dtype: DType, old: Operand, operands: tuple[Operand, ...]
) -> Operand:
    """The new value of an element."""
    operations, value = frame.operations, operands[0]

    def holds(test: str, a: Operand, b: Operand) -> Operand:
        return operations.compare(test, dtype, (a,), (b,), 0)[0]

    def made(operation: str, a: Operand, b: Operand) -> Operand:
        return operations.binary(operation, dtype, (a,), (b,), 0)[0]

    def chosen(condition: Operand, a: Operand, b: Operand) -> Operand:
        return operations.select(dtype, condition, (a,), (b,), 0)[0]

    def either(a: Operand, b: Operand) -> Operand:
        return frame.text.let(f"or i1 {a}, {b}")

    zero, one = (literal(dtype, number)[0] for number in (0, 1))
    match op:
        case "exch":
            return value
        case "cas":
            return chosen(holds("eq", old, value), operands[1], old)
        case "min" | "max" | "nanmin" | "nanmax":
            better = holds("lt" if op.endswith("min") else "gt", value, old)
            if op.startswith("nan") and dtype.is_float:
                better = either(better, holds("ne", old, old))
            return chosen(better, value, old)
        case "inc":
            return chosen(holds("ge", old, value), zero, made("add", old, one))
        case "dec":
            around = either(holds("eq", old, zero), holds("gt", old, value))
            return chosen(around, value, made("sub", old, one))
        case _:
            return made(op, old, value)
