"""Loads and stores of a vector, by the form of their address.

In: arrays and index values. Out: values; loads and stores.
Holds: an access at an address that lanes share is one scalar access; lanes that do not run touch
nothing. An address is linear modulo 2^64, which is what memory is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kernelkit.errors import Span
from kernelkit.ir.nodes import ArrayVar, Expr
from kernelkit.ir.types import INT64, DType
from kernelkit_cpu.frame import ArrayPlace, Frame
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import Parts, memory, register, suffix, vector
from kernelkit_cpu.values import Form, Value, constant, linear, uniform, varying

#: Vector loads and a shuffle read every k-th element up to this k; beyond, a gather is as good.
MAX_STEP = 4


# ---------------------------------------------------------------- addresses
def place_of(
    frame: Frame, array: ArrayVar, indices: Sequence[Expr], values: Sequence[Value]
) -> Value:
    """The offset in bytes of an element (or of a view's start) from the array's base."""
    where = frame.arrays[array]
    offset = where.offset
    for axis, (expr, value) in enumerate(zip(indices, values, strict=True)):
        index = _index(frame, expr, value, where, axis)
        part = frame.arithmetic.binary("mul", index, where.strides[axis])
        offset = part if offset is None else frame.arithmetic.binary("add", offset, part)
    return constant(INT64, 0) if offset is None else offset


def _index(frame: Frame, expr: Expr, value: Value, where: ArrayPlace, axis: int) -> Value:
    """An index as int64, with a negative one wrapped once."""
    index = frame.arithmetic.cast(value, INT64)
    options = frame.facts.analysis.kernel.options
    settled = (
        not options.wraparound or not expr.type.is_signed or expr in frame.facts.never_negative
    )
    if settled or (isinstance(index.constant, int) and index.constant >= 0):
        return index
    return wrapped(frame, index, where.extents[axis])


def wrapped(frame: Frame, index: Value, extent: Value) -> Value:
    """index + extent where index is negative."""
    arithmetic = frame.arithmetic
    zero = constant(INT64, 0)

    def plain(value: Value) -> Value:
        moved = arithmetic.plain("add", value, extent)
        return arithmetic.select(arithmetic.compare("lt", value, zero), moved, value)

    if index.form in (Form.UNIFORM, Form.VARYING):
        return plain(index)
    low, high, _ = arithmetic.span(index)
    # With both ends at or above 0 there is no wrap-around between them.
    ends = [frame.text.let(f"icmp sge i64 {end}, 0") for end in (low, high)]
    guard = arithmetic.both(index.guard, *ends)

    def vector() -> Parts:
        return arithmetic.vector(plain(varying(INT64, arithmetic.vector(index))))

    return Value(INT64, Form.GUARDED, index.scalar, index.stride, guard, vector)


def with_lanes(frame: Frame, array: ArrayVar, offset: Value) -> Value:
    """The offset of each lane's own element, where lanes have elements of their own."""
    threads = frame.arrays[array].threads
    if not threads:
        return offset
    return frame.arithmetic.binary("add", offset, linear(INT64, "0", threads))


# ---------------------------------------------------------------- loads
def load(frame: Frame, array: ArrayVar, offset: Value, tested: bool, span: Span) -> Value:
    """Elements at offsets in bytes. `tested`: look at run time whether varying ones are in a row."""
    dtype, base = array.type.dtype, frame.arrays[array].base
    offset = with_lanes(frame, array, offset)
    if offset.is_uniform:
        frame.notes.note(span, "uniform", array.name)
        return _load_one(frame, dtype, base, offset.operand)

    def run(base_offset: Operand, stride: int) -> Value:
        if stride == 0:
            return _load_one(frame, dtype, base, base_offset)
        return _load_row(frame, dtype, base, base_offset, stride, span, array.name)

    def gather() -> Value:
        frame.notes.note(span, "gather", array.name)
        return _gather(frame, dtype, base, frame.arithmetic.one(offset))

    if offset.form is Form.LINEAR:
        return run(offset.operand, offset.stride)
    if offset.form is Form.GUARDED:
        return frame.choose(offset.guard, dtype, lambda: run(offset.operand, offset.stride), gather)
    if not tested:
        return gather()
    frame.notes.note(span, "run-time tested", array.name)
    first, same = _in_a_row(frame, frame.arithmetic.one(offset), dtype.itemsize)
    return frame.choose(same, dtype, lambda: run(first, dtype.itemsize), gather)


def _in_a_row(frame: Frame, offsets: Operand, step: int) -> tuple[Operand, Operand]:
    """(lane 0's offset, whether the offsets of all lanes that run follow it in steps)."""
    text, lanes = frame.text, frame.lanes
    kind = vector("i64", lanes)
    # An idle lane 0 may hold poison; frozen it holds anything, and what matches the others is right.
    offsets = text.let(f"freeze {kind} {offsets}")
    first = text.let(f"extractelement {kind} {offsets}, i64 0")
    wanted = frame.arithmetic.one(linear(INT64, first, step))
    same = text.let(f"icmp eq {kind} {offsets}, {wanted}")
    if frame.mask is not None:
        same = text.let(
            f"select {frame.masks} {frame.mask}, {frame.masks} {same}, {frame.masks} splat (i1 true)"
        )
    return first, frame.every(same)


def _part_step(dtype: DType) -> int:
    return dtype.component.itemsize


def from_memory(frame: Frame, dtype: DType, operand: Operand, lanes: int) -> Operand:
    if dtype.kind != "b":
        return operand
    zero = "zeroinitializer" if lanes else "0"
    return frame.text.let(f"icmp ne {memory(dtype, lanes)} {operand}, {zero}")


def to_memory(frame: Frame, dtype: DType, operand: Operand, lanes: int) -> Operand:
    if dtype.kind != "b":
        return operand
    return frame.text.let(f"zext {register(dtype, lanes)} {operand} to {memory(dtype, lanes)}")


def load_scalar(frame: Frame, dtype: DType, base: Operand, offset: Operand) -> Parts:
    """One element."""
    kind, step, text = memory(dtype), _part_step(dtype), frame.text
    address = text.at("i8", base, offset)
    addresses = [address, text.at("i8", address, step)] if dtype.is_complex else [address]
    return tuple(from_memory(frame, dtype, text.load(kind, a, step), 0) for a in addresses)


def store_scalar(frame: Frame, dtype: DType, base: Operand, offset: Operand, parts: Parts) -> None:
    kind, step, text = memory(dtype), _part_step(dtype), frame.text
    address = text.at("i8", base, offset)
    addresses = [address, text.at("i8", address, step)] if dtype.is_complex else [address]
    for each, part in zip(addresses, parts, strict=True):
        text.store(kind, to_memory(frame, dtype, part, 0), each, step)


def _load_one(frame: Frame, dtype: DType, base: Operand, offset: Operand) -> Value:
    def one() -> Value:
        return uniform(dtype, load_scalar(frame, dtype, base, offset))

    if frame.mask is None or frame.certain:
        return one()
    nothing = constant(dtype, 0)
    return frame.choose(frame.any(frame.mask), dtype, one, lambda: nothing)


def _load_row(
    frame: Frame, dtype: DType, base: Operand, offset: Operand, stride: int, span: Span, name: str
) -> Value:
    """Elements at a fixed stride."""
    size, text = dtype.itemsize, frame.text
    step, rest = divmod(stride, size)
    if rest or abs(step) > MAX_STEP or (dtype.is_complex and step != 1):
        frame.notes.note(span, "gather", f"{name} (stride {stride} bytes)")
        offsets = frame.arithmetic.one(linear(INT64, offset, stride))
        return _gather(frame, dtype, base, offsets)
    if step == 1:
        frame.notes.note(span, "contiguous", name)
        return _load_contiguous(frame, dtype, text.at("i8", base, offset))
    if step == -1:  # A load and a permutation.
        frame.notes.note(span, "contiguous", f"{name} (backwards)")
    else:
        frame.notes.note(span, "strided", f"{name} (every {abs(step)} elements)")

    def whole() -> Value:
        return _load_steps(frame, dtype, base, offset, step)

    def some() -> Value:
        # Around the lanes that run there may be nothing to read.
        offsets = frame.arithmetic.one(linear(INT64, offset, stride))
        return _gather(frame, dtype, base, offsets)

    if frame.mask is None:
        return whole()
    return frame.choose(frame.every(frame.mask), dtype, whole, some)


def _load_contiguous(frame: Frame, dtype: DType, address: Operand) -> Value:
    if dtype.is_complex:
        return _load_pairs(frame, dtype, address)
    found = load_vector(frame, memory(dtype), frame.lanes, address, dtype.itemsize, frame.mask)
    return varying(dtype, (from_memory(frame, dtype, found, frame.lanes),))


def load_vector(
    frame: Frame, element: str, lanes: int, address: Operand, align: int, mask: Operand | None
) -> Operand:
    kind = vector(element, lanes)
    if mask is None:
        return frame.text.load(kind, address, align)
    return frame.text.call(
        f"llvm.masked.load.{suffix(element, lanes)}.p0",
        kind,
        [("ptr", address), ("i32", str(align)), (vector("i1", lanes), mask),
         (kind, "zeroinitializer")],
    )  # fmt: skip


def _load_pairs(frame: Frame, dtype: DType, address: Operand) -> Value:
    """Complex numbers in a row: real and imaginary parts are taken apart."""
    lanes, part = frame.lanes, dtype.component
    element = register(part)
    mask = None if frame.mask is None else _doubled(frame, frame.mask)
    both = load_vector(frame, element, 2 * lanes, address, part.itemsize, mask)
    kind = vector(element, 2 * lanes)
    return varying(
        dtype,
        tuple(
            _shuffled(frame, kind, both, "poison", [2 * lane + which for lane in range(lanes)])
            for which in (0, 1)
        ),
    )


def _doubled(frame: Frame, mask: Operand) -> Operand:
    """Each lane's bit twice."""
    each = [lane for lane in range(frame.lanes) for _ in range(2)]
    return _shuffled(frame, frame.masks, mask, "poison", each)


def _shuffled(frame: Frame, kind: str, a: Operand, b: Operand, lanes: Sequence[int]) -> Operand:
    chosen = ", ".join(f"i32 {lane}" for lane in lanes)
    return frame.text.let(f"shufflevector {kind} {a}, {kind} {b}, <{len(lanes)} x i32> <{chosen}>")


def _load_steps(frame: Frame, dtype: DType, base: Operand, offset: Operand, step: int) -> Value:
    """Every step-th element, by whole vectors that reach no further than the last one."""
    lanes, size, text = frame.lanes, dtype.itemsize, frame.text
    element, count = memory(dtype), abs(step)
    kind = vector(element, lanes)
    if step < 0:
        offset = frame.arithmetic.plus(INT64, offset, (lanes - 1) * step * size)
    starts = [j * lanes for j in range(count - 1)] + [(count - 1) * (lanes - 1)]
    loads = [
        text.load(kind, text.at("i8", base, frame.arithmetic.plus(INT64, offset, s * size)), size)
        for s in starts
    ]
    wanted = [lane * count for lane in range(lanes)]
    if step < 0:
        wanted.reverse()
    found = _picked(frame, kind, loads, starts, wanted)
    return varying(dtype, (from_memory(frame, dtype, found, lanes),))


def _picked(
    frame: Frame, kind: str, loads: Sequence[Operand], starts: Sequence[int], wanted: Sequence[int]
) -> Operand:
    """The wanted elements of overlapping vectors: one shuffle per vector beyond the first."""
    lanes = frame.lanes
    source = [max(j for j, s in enumerate(starts) if s <= w and w - s < lanes) for w in wanted]
    first = [w - starts[j] if j == 0 else -1 for j, w in zip(source, wanted, strict=True)]
    if len(loads) == 1:
        return _shuffled(frame, kind, loads[0], "poison", first)
    merged = loads[0]
    for j in range(1, len(loads)):
        picks = []
        for lane, (origin, w) in enumerate(zip(source, wanted, strict=True)):
            if origin == j:
                picks.append(lanes + w - starts[j])
            elif j == 1:
                picks.append(first[lane] if origin == 0 else 0)
            else:
                picks.append(lane)
        merged = _shuffled(frame, kind, merged, loads[j], picks)
    return merged


def addresses(frame: Frame, base: Operand, offsets: Operand) -> Operand:
    return frame.text.let(f"getelementptr i8, ptr {base}, {vector('i64', frame.lanes)} {offsets}")


def _gather(frame: Frame, dtype: DType, base: Operand, offsets: Operand) -> Value:
    lanes, element, size = frame.lanes, memory(dtype), _part_step(dtype)
    kind = vector(element, lanes)
    pointers = vector("ptr", lanes)
    where = addresses(frame, base, offsets)
    parts = []
    for part in range(2 if dtype.is_complex else 1):
        if part:
            where = frame.text.let(f"getelementptr i8, {pointers} {where}, i64 {size}")
        found = frame.text.call(
            f"llvm.masked.gather.{suffix(element, lanes)}.v{lanes}p0",
            kind,
            [(pointers, where), ("i32", str(size)), (frame.masks, frame.active()),
             (kind, "zeroinitializer")],
        )  # fmt: skip
        parts.append(from_memory(frame, dtype, found, lanes))
    return varying(dtype, tuple(parts))


# ---------------------------------------------------------------- stores
def store(
    frame: Frame, array: ArrayVar, offset: Value, value: Value, tested: bool, span: Span
) -> None:
    """Elements to offsets in bytes."""
    dtype, base = array.type.dtype, frame.arrays[array].base
    offset = with_lanes(frame, array, offset)
    if offset.is_uniform:
        frame.notes.note(span, "uniform", array.name)
        return frame.guarded(lambda: _store_one(frame, dtype, base, offset.operand, value))
    parts = frame.arithmetic.vector(value)

    def run(base_offset: Operand, stride: int) -> None:
        if stride == dtype.itemsize:
            frame.notes.note(span, "contiguous", array.name)
            _store_contiguous(frame, dtype, frame.text.at("i8", base, base_offset), parts)
        else:
            scatter(frame.arithmetic.one(linear(INT64, base_offset, stride)))

    def scatter(offsets: Operand) -> None:
        frame.notes.note(span, "scatter", array.name)
        _scatter(frame, dtype, base, offsets, parts)

    if offset.form is Form.LINEAR:
        return run(offset.operand, offset.stride)
    if offset.form is Form.GUARDED:
        return either(
            frame,
            offset.guard,
            lambda: run(offset.operand, offset.stride),
            lambda: scatter(frame.arithmetic.one(offset)),
        )
    offsets = frame.arithmetic.one(offset)
    if not tested:
        return scatter(offsets)
    frame.notes.note(span, "run-time tested", array.name)
    first, same = _in_a_row(frame, offsets, dtype.itemsize)
    return either(frame, same, lambda: run(first, dtype.itemsize), lambda: scatter(offsets))


def either(
    frame: Frame, condition: Operand, then: Callable[[], None], orelse: Callable[[], None]
) -> None:
    """One of two effects."""
    text = frame.text
    yes, no, end = text.label("then"), text.label("else"), text.label("end")
    text.branch(condition, yes, no)
    text.start(yes)
    then()
    text.jump(end)
    text.start(no)
    orelse()
    text.start(end)


def _store_one(frame: Frame, dtype: DType, base: Operand, offset: Operand, value: Value) -> None:
    """All lanes store to one place: one of those that run wins."""
    store_scalar(frame, dtype, base, offset, frame.lane(value, frame.first_active()))


def _store_contiguous(frame: Frame, dtype: DType, address: Operand, parts: Parts) -> None:
    lanes, mask, part = frame.lanes, frame.mask, dtype.component
    if dtype.is_complex:
        kind = vector(register(part), lanes)
        order = [lane + which * lanes for lane in range(lanes) for which in (0, 1)]
        both = _shuffled(frame, kind, parts[0], parts[1], order)
        mask = None if mask is None else _doubled(frame, mask)
        return store_vector(frame, register(part), 2 * lanes, both, address, part.itemsize, mask)
    operand = to_memory(frame, dtype, parts[0], lanes)
    store_vector(frame, memory(dtype), lanes, operand, address, dtype.itemsize, mask)


def store_vector(
    frame: Frame,
    element: str,
    lanes: int,
    operand: Operand,
    address: Operand,
    align: int,
    mask: Operand | None,
) -> None:
    kind = vector(element, lanes)
    if mask is None:
        return frame.text.store(kind, operand, address, align)
    frame.text.call(
        f"llvm.masked.store.{suffix(element, lanes)}.p0",
        "void",
        [(kind, operand), ("ptr", address), ("i32", str(align)), (vector("i1", lanes), mask)],
    )


def _scatter(frame: Frame, dtype: DType, base: Operand, offsets: Operand, parts: Parts) -> None:
    lanes, element, size = frame.lanes, memory(dtype), _part_step(dtype)
    kind, pointers = vector(element, lanes), vector("ptr", lanes)
    where = addresses(frame, base, offsets)
    for number, part in enumerate(parts):
        if number:
            where = frame.text.let(f"getelementptr i8, {pointers} {where}, i64 {size}")
        frame.text.call(
            f"llvm.masked.scatter.{suffix(element, lanes)}.v{lanes}p0",
            "void",
            [(kind, to_memory(frame, dtype, part, lanes)), (pointers, where),
             ("i32", str(size)), (frame.masks, frame.active())],
        )  # fmt: skip
