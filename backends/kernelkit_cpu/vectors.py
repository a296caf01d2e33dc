"""A leaf: the statements of a block between two barriers, in a loop over the block's vectors.

In: a leaf, and what lives across leaves. Out: instructions.
Holds: behind a leaf all threads of the block have done it; masks, contexts and the block's scalars
are in memory again. Code of one vector has a frame of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from kernelkit.ir.nodes import Return, walk
from kernelkit_cpu import faults, layout, warp_checks
from kernelkit_cpu.arrays import Arrays
from kernelkit_cpu.contexts import Entry, Names
from kernelkit_cpu.control import Writer
from kernelkit_cpu.exits import Exit, Exits
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.homes import Home
from kernelkit_cpu.items import Leaf, Vectors
from kernelkit_cpu.jam import JamWriter, jam_factor
from kernelkit_cpu.jumps import Jumps, Target
from kernelkit_cpu.layout import At, Layout, combined, counted
from kernelkit_cpu.masks import Masks, exits_of, still_here
from kernelkit_cpu.plan import Plan
from kernelkit_cpu.sizes import size
from kernelkit_cpu.text import Operand

#: Vector loops of so few rounds, with contexts, are unrolled whole if their bodies are small.
FEW_VECTORS, SMALL_BODY = 8, 150
#: Vector loops of tiny bodies are unrolled so often.
TINY_BODY, TIMES = 40, 4

#: Writes what one vector does.
Write = Callable[[Frame, dict[Target, Exit]], None]


class VectorLoops(NamedTuple):
    """`frame` is the block's; each leaf has a copy of it."""

    frame: Frame
    plan: Plan
    jumps: Jumps
    layout: Layout
    masks: Masks
    names: Names
    arrays: Arrays

    # ------------------------------------------------------------ a leaf
    def leaf(self, leaf: Leaf) -> None:
        frame, last = self.frame.twin(), leaf is self.plan.last
        living = self.masks.living
        returns = living is not None and any(isinstance(s, Return) for s in walk(leaf.body))
        if returns and living is not None:
            frame.text.store("i1", "false", living)
        factor = self.jam_factor(leaf)
        if factor > 1:
            return self.jammed(leaf, factor)
        faults.begin_vectors(frame, leaf.body)

        def one(frame: Frame, exits: dict[Target, Exit]) -> None:
            Writer(frame, Exits(frame, self.jumps, exits)).body(leaf.body, top=last)

        self.over(frame, leaf, one, returns)

    def over(self, frame: Frame, leaf: Vectors, write: Write, returns: bool = False) -> None:
        """A loop over the vectors of the block. `returns`: threads may return in it."""
        text = frame.text
        entry = self.names.entry(leaf)
        _, height, depth = self.layout.block
        per_row = self.layout.per_row

        def one(at: At) -> None:
            self.one(frame, leaf, at, entry, write, returns)

        if not self.layout.in_rows:
            return counted(text, per_row, lambda n: one(At("0", "0", n)), self.mark(leaf))

        def plane(z: Operand) -> None:
            def row(y: Operand) -> None:
                counted(text, per_row, lambda x: one(At(z, y, x)), self.mark(leaf, per_row))

            counted(text, height, row, self.mark(leaf, height if per_row == 1 else 0))

        counted(text, depth, plane, self.mark(leaf))

    def mark(self, leaf: Vectors, count: int = 0) -> str:
        """How a loop over so many vectors may be unrolled; over 0: not at all."""
        module = self.frame.text.module
        if self.frame.cold or not count or not isinstance(leaf, Leaf):
            return module.loop("unroll.disable")
        crossing = any(self.plan.homes[w] is Home.CONTEXT for w in self.plan.touched[leaf].used)
        amount = size(leaf.body)
        if count <= FEW_VECTORS and amount < SMALL_BODY and crossing:
            return module.loop("unroll.full")
        if amount < TINY_BODY:
            return module.loop("unroll.count", TIMES)
        return module.loop("unroll.disable")

    # ------------------------------------------------------------ one vector
    def one(
        self, frame: Frame, leaf: Vectors, at: At, entry: Entry, write: Write, returns: bool
    ) -> None:
        text = frame.text
        number = layout.vector_number(text, self.layout, at)
        end, skip = text.label("endvector"), text.label("nextvector")
        layout.set_registers(frame, self.layout, at)
        frame.tail = layout.lanes_with_threads(frame, self.layout, at.x)
        frame.mask, frame.certain = frame.tail, True
        kept = self.masks.begin_vector(frame, number)
        if self.masks.is_partial(kept):
            go = text.label("go")
            text.branch(frame.any(frame.mask), go, skip)
            text.start(go)
        self.arrays.begin_vector(frame, number)
        committed = self.names.begin_vector(frame, leaf, number, entry)
        warp_checks.begin_vector(frame)
        write(frame, exits_of(kept, end))
        if text.here and (committed or returns):
            mask = still_here(frame, kept)
            here, done = text.label("commit"), text.label("committed")
            text.branch(frame.any(mask), here, done)
            text.start(here)
            self.names.commit(frame, committed)
            if returns and self.masks.living is not None:
                text.store("i1", "true", self.masks.living)
            text.start(done)
        text.start(end)
        self.masks.end_vector(frame, kept, number)
        self.names.end_vector(frame, leaf, number)
        text.start(skip)

    # ------------------------------------------------------------ several vectors
    def jam_factor(self, leaf: Leaf) -> int:
        """How many vectors are written at once."""
        frame, grid = self.frame, self.layout
        plain = grid.in_rows and grid.is_even and not self.arrays.local
        if not plain or frame.cold or frame.debug or self.plan.has_return or self.masks.left:
            return 1
        side_by_side = grid.block[1] if grid.block[1] > 1 else grid.per_row
        return jam_factor(frame.facts.analysis, leaf.body, side_by_side)

    def jammed(self, leaf: Leaf, factor: int) -> None:
        """The vectors of several rows at once, or several vectors of the one row."""
        text = self.frame.text
        entry = self.names.entry(leaf)
        _, height, depth = self.layout.block
        rows, columns = height, self.layout.per_row
        by_rows = height > 1
        if by_rows:
            rows //= factor
        else:
            columns //= factor
        mark = text.module.loop("unroll.disable")

        def plane(z: Operand) -> None:
            def row(y: Operand) -> None:
                def along(x: Operand) -> None:
                    outer = y if by_rows else x
                    each = [combined(text, outer, factor, str(n)) for n in range(factor)]
                    self.several(
                        leaf, [At(z, n, x) if by_rows else At(z, "0", n) for n in each], entry
                    )

                counted(text, columns, along, mark)

            counted(text, rows, row, mark)

        counted(text, depth, plane, mark)

    def several(self, leaf: Leaf, places: Sequence[At], entry: Entry) -> None:
        """One round of the vectors at these places."""
        vectors, committed = [], {}
        for at in places:
            frame = self.frame.twin()
            number = layout.vector_number(frame.text, self.layout, at)
            layout.set_registers(frame, self.layout, at)
            committed = self.names.begin_vector(frame, leaf, number, entry)
            vectors.append((frame, number))
        JamWriter([Writer(frame, Exits(frame, self.jumps, {})) for frame, _ in vectors]).body(
            leaf.body
        )
        for frame, number in vectors:
            self.names.end_vector(frame, leaf, number)
        # Nobody is gone: the last vector's values stand for those of all.
        self.names.commit(vectors[-1][0], committed)
