"""Shuffles: each lane gets the value of another one.

In: a Warp whose operation is one of SOURCES. Out: the values.
Holds: a lane that names one which does not take part gets its own value. A constant distance is a
shuffle of the machine's; others are permutations where the machine has them, else the vector goes
through memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, INT32, INT64, UINT32, DType
from kernelkit_cpu import lanes
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.lanes import FULL, WARP_SIZE, WORDS
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import Parts, register, suffix, vector
from kernelkit_cpu.values import Arithmetic, Value, constant, linear, uniform, varying

#: Operation -> the lane that it names, from one's own and the operand; -1 or so: none.
SOURCES: Final[dict[str, Callable[[int, int], int]]] = {
    "shfl": lambda lane, wanted: wanted % WARP_SIZE,
    "shfl_up": lambda lane, delta: lane - delta,
    "shfl_down": lambda lane, delta: lane + delta,
    "shfl_xor": lambda lane, bits: lane ^ bits,
}


def source(arithmetic: Arithmetic, op: str, operand: Value) -> Value:
    """The lanes that a shuffle names, as int32."""
    lane = linear(INT32, "0", 1)
    if op == "shfl":
        return arithmetic.binary("and", operand, constant(INT32, WARP_SIZE - 1))
    if op == "shfl_xor":
        return arithmetic.binary("xor", lane, operand)
    return arithmetic.binary("sub" if op == "shfl_up" else "add", lane, operand)


def shuffle(frame: Frame, stmt: ir.Warp, present: Value, operands: list[Value]) -> Sequence[Value]:
    value, operand = operands
    if value.is_uniform:
        return (value,)
    if stmt.op == "shfl" and operand.is_uniform:
        return (_from_one(frame, stmt, present, value, operand),)
    if isinstance(operand.constant, int):
        return (_by_constant(frame, stmt.op, present, value, operand.constant),)
    return (_by_any(frame, present, value, source(frame.arithmetic, stmt.op, operand)),)


# ---------------------------------------------------------------- from where
def _from_one(frame: Frame, stmt: ir.Warp, present: Value, value: Value, operand: Value) -> Value:
    """All lanes name the same one."""
    arithmetic = frame.arithmetic
    wanted = source(arithmetic, "shfl", operand)
    number = arithmetic.cast(wanted, INT64)
    given = uniform(value.type, frame.lane(value, number.operand))
    analysis = frame.facts.analysis
    surely = present.constant == FULL or any(
        analysis.variability.webs[analysis.webs.definitions[stmt, var]].is_uniform
        for var in stmt.results
    )
    if surely:
        return given
    if present.is_uniform:
        bit = arithmetic.binary("shr", present, arithmetic.cast(wanted, present.type))
        there = arithmetic.cast(arithmetic.binary("and", bit, constant(bit.type, 1)), BOOL)
    else:
        there = varying(BOOL, (lanes.contains(frame, present, arithmetic.one(wanted)),))
    return arithmetic.select(there, given, value)


def _by_constant(frame: Frame, op: str, present: Value, value: Value, operand: int) -> Value:
    """The lanes that are named are known now."""
    named = [SOURCES[op](lane, operand) for lane in range(WARP_SIZE)]
    inside = [0 <= lane < WARP_SIZE for lane in named]
    taken = [n if there else own for own, (n, there) in enumerate(zip(named, inside, strict=True))]
    chosen = ", ".join(f"i32 {lane}" for lane in taken)
    index = f"<{chosen}>"
    kind = register(value.type, WARP_SIZE)
    moved = varying(
        value.type,
        tuple(
            frame.text.let(f"shufflevector {kind} {part}, {kind} poison, {WORDS} {index}")
            for part in frame.arithmetic.vector(value)
        ),
    )
    if present.constant == FULL or not any(inside):
        return moved
    there = varying(BOOL, (lanes.contains(frame, present, index),))
    return frame.arithmetic.select(there, moved, value)


def _by_any(frame: Frame, present: Value, value: Value, wanted: Value) -> Value:
    """The lanes that are named are known when the kernel runs."""
    text, arithmetic = frame.text, frame.arithmetic
    # In idle lanes it may be poison, and an address is made of it.
    index = text.let(f"freeze {WORDS} {arithmetic.one(wanted)}")
    there = text.let(f"icmp ult {WORDS} {index}, splat (i32 {WARP_SIZE})")
    index = text.let(f"and {WORDS} {index}, splat (i32 {WARP_SIZE - 1})")
    if present.constant != FULL:
        there = text.let(f"and {frame.masks} {there}, {lanes.contains(frame, present, index)}")
    moved = varying(value.type, permuted(frame, value, index))
    return arithmetic.select(varying(BOOL, (there,)), moved, value)


# ---------------------------------------------------------------- permutations
def permuted(frame: Frame, value: Value, index: Operand) -> Parts:
    """The registers of a value with lane index[k]'s value in lane k; indices are 0 to 31."""
    if value.type.kind == "b":
        held = frame.text.let(f"freeze {frame.masks} {frame.arithmetic.one(value)}")
        votes = uniform(UINT32, (lanes.number(frame, held),))
        return (lanes.contains(frame, votes, index),)
    part = value.type.component
    return tuple(_permuted(frame, part, each, index) for each in frame.arithmetic.vector(value))


def _permuted(frame: Frame, dtype: DType, part: Operand, index: Operand) -> Operand:
    kind, bits, text = register(dtype, WARP_SIZE), dtype.bits, frame.text
    whole = vector(f"i{bits}", WARP_SIZE)
    if dtype.is_float:
        part = text.let(f"bitcast {kind} {part} to {whole}")
    # Machines move words.
    wide = max(bits, 32)
    used = vector(f"i{wide}", WARP_SIZE)
    if wide > bits:
        part = text.let(f"zext {whole} {part} to {used}")
    found = _way(frame)(frame, wide, part, index)
    if wide > bits:
        found = text.let(f"trunc {used} {found} to {whole}")
    return text.let(f"bitcast {whole} {found} to {kind}") if dtype.is_float else found


def _way(frame: Frame) -> Callable[[Frame, int, Operand, Operand], Operand]:
    if frame.target.has("avx512f"):
        return _of_two_registers
    return _of_one_register if frame.target.has("avx2") else _through_memory


def _through_memory(frame: Frame, bits: int, part: Operand, index: Operand) -> Operand:
    text, element = frame.text, f"i{bits}"
    kind, pointers = vector(element, WARP_SIZE), vector("ptr", WARP_SIZE)
    buffer = text.alloca(kind, hint="shuffled")
    text.store(kind, part, buffer)
    where = text.let(f"getelementptr {element}, ptr {buffer}, {WORDS} {index}")
    return text.call(
        f"llvm.masked.gather.{suffix(element, WARP_SIZE)}.v{WARP_SIZE}p0",
        kind,
        [
            (pointers, where),
            ("i32", str(bits // 8)),
            (frame.masks, frame.all_on()),
            (kind, "poison"),
        ],
    )


def _of_two_registers(frame: Frame, bits: int, part: Operand, index: Operand) -> Operand:
    """AVX-512 takes elements out of two registers at once: all 32 of 32 bits, half of them of 64."""
    text = frame.text
    count, letter = 512 // bits, "d" if bits == 32 else "q"
    kind = vector(f"i{bits}", count)
    name = f"llvm.x86.avx512.vpermi2var.{letter}.512"
    if bits == 64:
        index = text.let(f"zext {WORDS} {index} to {vector('i64', WARP_SIZE)}")
    sources = _split(frame, bits, count, part)
    found = []
    for wanted in _split(frame, bits, count, index):
        tables = [
            text.call(name, kind, [(kind, a), (kind, wanted), (kind, b)])
            for a, b in zip(sources[::2], sources[1::2], strict=True)
        ]
        found.append(_chosen(frame, bits, count, wanted, tables))
    return _joined(frame, f"i{bits}", count, found)


def _of_one_register(frame: Frame, bits: int, part: Operand, index: Operand) -> Operand:
    """AVX2 takes words out of one register of 8. A long element is two words."""
    text, whole = frame.text, vector(f"i{bits}", WARP_SIZE)
    if bits == 64:
        high = text.let(f"lshr {whole} {part}, splat (i64 32)")
        halves = [text.let(f"trunc {whole} {each} to {WORDS}") for each in (part, high)]
        moved = [_of_one_register(frame, 32, each, index) for each in halves]
        low, high = (text.let(f"zext {WORDS} {each} to {whole}") for each in moved)
        high = text.let(f"shl {whole} {high}, splat (i64 32)")
        return text.let(f"or {whole} {low}, {high}")
    count, name = 8, "llvm.x86.avx2.permd"
    kind = vector("i32", count)
    sources = _split(frame, 32, count, part)
    found = []
    for wanted in _split(frame, 32, count, index):
        tables = [text.call(name, kind, [(kind, each), (kind, wanted)]) for each in sources]
        found.append(_chosen(frame, 32, count, wanted, tables))
    return _joined(frame, "i32", count, found)


def _chosen(
    frame: Frame, bits: int, count: int, wanted: Operand, tables: Sequence[Operand]
) -> Operand:
    """From what each table gives for an index, by the bits of the index that no table looks at."""
    text, kind, masks = frame.text, vector(f"i{bits}", count), vector("i1", count)
    left = list(tables)
    weight = WARP_SIZE // len(left)
    while len(left) > 1:
        # The sign is what blends go by.
        moved = text.let(f"shl {kind} {wanted}, splat (i{bits} {bits - weight.bit_length()})")
        upper = text.let(f"icmp slt {kind} {moved}, zeroinitializer")
        left = [
            text.let(f"select {masks} {upper}, {kind} {b}, {kind} {a}")
            for a, b in zip(left[::2], left[1::2], strict=True)
        ]
        weight *= 2
    return left[0]


def _split(frame: Frame, bits: int, count: int, part: Operand) -> list[Operand]:
    """A vector as machine registers of so many elements."""
    kind = vector(f"i{bits}", WARP_SIZE)
    return [
        frame.text.let(
            f"shufflevector {kind} {part}, {kind} poison, <{count} x i32> {_range(first, count)}"
        )
        for first in range(0, WARP_SIZE, count)
    ]


def _joined(frame: Frame, element: str, count: int, found: Sequence[Operand]) -> Operand:
    """Machine registers as one vector."""
    left = list(found)
    while len(left) > 1:
        kind, twice = vector(element, count), _range(0, 2 * count)
        left = [
            frame.text.let(f"shufflevector {kind} {a}, {kind} {b}, <{2 * count} x i32> {twice}")
            for a, b in zip(left[::2], left[1::2], strict=True)
        ]
        count *= 2
    return left[0]


def _range(first: int, count: int) -> str:
    return f"<{', '.join(f'i32 {k}' for k in range(first, first + count))}>"
