"""How the threads of a block lie in vectors, and the numbers that follow from a vector's place.

In: a Shape; where a vector stands. Out: counts; the registers of a frame, and the lanes that have a
thread.
Holds: vectors are numbered in the order of their threads, x fastest. Where vectors stay in rows,
each row begins a vector.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from kernelkit.analysis.kinds import stays_in_row
from kernelkit.analysis.shape import Block, Shape
from kernelkit.ir.types import INT64
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.text import Operand, Text
from kernelkit_cpu.types import vector
from kernelkit_cpu.values import Value, constant, linear, uniform, varying

#: Lanes of a warp.
WARP = 32
#: With so many lanes LLVM must not see in a constant that the last quarter of them has no threads:
#: LLVM 22 never ends when it chooses instructions for AVX-512 that count under such a mask.
HIDDEN = 32


class At(NamedTuple):
    """Where a vector is: the row of threads (z, y), and how many vectors are before it there; where
    vectors do not stay in rows, how many in the block."""

    z: Operand
    y: Operand
    x: Operand


class Layout(NamedTuple):
    block: Block
    lanes: int
    in_rows: bool

    @classmethod
    def of(cls, shape: Shape) -> Layout:
        return cls(shape.block, shape.lanes, stays_in_row(shape))

    @property
    def threads(self) -> int:
        """Threads in a row, or in the block where vectors do not stay in rows."""
        return self.block[0] if self.in_rows else math.prod(self.block)

    @property
    def per_row(self) -> int:
        """Vectors for these."""
        return -(-self.threads // self.lanes)

    @property
    def rows(self) -> int:
        return self.block[1] * self.block[2] if self.in_rows else 1

    @property
    def vectors(self) -> int:
        return self.per_row * self.rows

    @property
    def starts_warps(self) -> bool:
        """Whether every vector is a whole warp, or begins one."""
        whole = not self.in_rows or self.rows == 1 or self.block[0] % WARP == 0
        return self.lanes == WARP and whole

    @property
    def is_even(self) -> bool:
        """Whether all lanes of all vectors have a thread."""
        return self.threads % self.lanes == 0


def combined(text: Text, outer: Operand, size: int, inner: Operand) -> Operand:
    """outer * size + inner."""
    if outer == "0":
        return inner
    scaled = outer if size == 1 else text.let(f"mul nuw nsw i64 {outer}, {size}")
    if inner == "0":
        return scaled
    return text.let(f"add nuw nsw i64 {scaled}, {inner}")


def counted(text: Text, count: int, write: Callable[[Operand], None], mark: str) -> None:
    """A loop from 0 to count - 1."""
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


def vector_number(text: Text, layout: Layout, at: At) -> Operand:
    """How many vectors of the block are before one."""
    if not layout.in_rows:
        return at.x
    row = combined(text, at.z, layout.block[1], at.y)
    return combined(text, row, layout.per_row, at.x)


# ---------------------------------------------------------------- registers
def set_registers(frame: Frame, layout: Layout, at: At) -> None:
    """threadIdx, laneid and the threads' numbers in the block."""
    text, (z, y, x) = frame.text, at
    width, height, depth = layout.block
    first = x if x == "0" else text.let(f"mul nuw nsw i64 {x}, {layout.lanes}")
    if layout.in_rows:
        start = combined(text, combined(text, z, height, y), width, first)
        across: list[Value] = [
            linear(INT64, first, 1) if width > 1 else constant(INT64, 0),
            uniform(INT64, (y,)) if height > 1 else constant(INT64, 0),
            uniform(INT64, (z,)) if depth > 1 else constant(INT64, 0),
        ]
    else:
        start = first
        across = [_from_table(frame, layout, axis, first) for axis in range(3)]
    frame.thread_numbers = linear(INT64, start, 1)
    for axis, value in enumerate(across):
        frame.registers["threadIdx", axis] = value
    if layout.starts_warps:
        frame.registers["laneid", 0] = linear(INT64, "0", 1)
    else:
        lane = frame.arithmetic.binary("and", frame.thread_numbers, constant(INT64, WARP - 1))
        frame.registers["laneid", 0] = lane


def _from_table(frame: Frame, layout: Layout, axis: int, first: Operand) -> Value:
    """threadIdx along an axis where a vector covers several rows."""
    width, height, _ = layout.block
    if layout.block[axis] == 1:
        return constant(INT64, 0)
    count = layout.vectors * layout.lanes
    under = (1, width, width * height)[axis]
    numbers = ", ".join(f"i16 {thread // under % layout.block[axis]}" for thread in range(count))
    text, narrow = frame.text, vector("i16", layout.lanes)
    table = text.module.table("threads", f"[{count} x i16]", f"[{numbers}]")
    loaded = text.load(narrow, text.at("i16", table, first), 2)
    wide = vector("i64", layout.lanes)
    return varying(INT64, (text.let(f"zext {narrow} {loaded} to {wide}"),))


def lanes_with_threads(frame: Frame, layout: Layout, x: Operand) -> Operand | None:
    """The lanes that have a thread; None: all."""
    if layout.is_even:
        return None
    threads, lanes, text = layout.threads, layout.lanes, frame.text
    hidden = frame.target.bits == 512 and lanes >= HIDDEN
    if layout.per_row == 1 and not hidden:
        bits = ", ".join(f"i1 {'true' if lane < threads else 'false'}" for lane in range(lanes))
        return f"<{bits}>"
    count = constant(INT64, threads)
    if hidden:
        place = text.module.table("threads", "i64", str(threads))
        count = uniform(INT64, (text.let(f"load volatile i64, ptr {place}"),))
    first = x if x == "0" else text.let(f"mul nuw nsw i64 {x}, {lanes}")
    return frame.arithmetic.one(frame.arithmetic.compare("lt", linear(INT64, first, 1), count))
