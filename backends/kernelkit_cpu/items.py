"""What of a kernel the block does as a whole, and what its threads do, vector by vector.

In: an analysed kernel. Out: items, in the order of the kernel's statements. A Leaf is a run of
statements without barriers: one loop over the vectors of the block. All around leaves is the block's
own control flow, on scalars.
Holds: plain barriers leave no item; the end of a leaf is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.pipeline import Analysis
from kernelkit.ir.nodes import (
    Allocate,
    Barrier,
    Body,
    Break,
    Continue,
    For,
    If,
    Scope,
    Stmt,
    While,
    walk,
)
from kernelkit_cpu.jumps import Jumps


class Leaf(NamedTuple):
    body: Body


class BlockIf(NamedTuple):
    stmt: If
    then: Items
    orelse: Items


class BlockLoop(NamedTuple):
    stmt: For | While
    prelude: Items
    body: Items


class BlockScope(NamedTuple):
    stmt: Scope
    body: Items


class BlockBarrier(NamedTuple):
    """One that counts or votes."""

    stmt: Barrier


class BlockJump(NamedTuple):
    stmt: Break | Continue


Item = Leaf | BlockIf | BlockLoop | BlockScope | BlockBarrier | BlockJump
Items = tuple[Item, ...]
#: What is done in a loop over the vectors.
Vectors = Leaf | BlockBarrier


def split(analysis: Analysis, jumps: Jumps) -> Items:
    return _Splitter(analysis, jumps).split(analysis.kernel.body)


def on_vectors(items: Items) -> Iterator[Vectors]:
    """The leaves among items and what is in them, in order."""
    for item in items:
        match item:
            case Leaf() | BlockBarrier():
                yield item
            case BlockIf():
                yield from on_vectors(item.then)
                yield from on_vectors(item.orelse)
            case BlockLoop():
                yield from on_vectors(item.prelude)
                yield from on_vectors(item.body)
            case BlockScope():
                yield from on_vectors(item.body)


class _Splitter:
    def __init__(self, analysis: Analysis, jumps: Jumps) -> None:
        self.jumps, self.holding = jumps, analysis.phases.holding

    def split(self, body: Body) -> Items:
        items: list[Item] = []
        run: list[Stmt] = []

        def flush() -> None:
            if any(not isinstance(s, Allocate) for s in run):
                items.append(Leaf(tuple(run)))
            run.clear()

        for stmt in body:
            item = self.item(stmt)
            if item is None and not isinstance(stmt, Barrier):
                run.append(stmt)
                continue
            flush()
            if item is not None:
                items.append(item)
        flush()
        return tuple(items)

    def item(self, stmt: Stmt) -> Item | None:
        """What is done at the level of the block; None for threads' own work and plain barriers."""
        match stmt:
            case Barrier():
                return BlockBarrier(stmt) if stmt.op != "sync" else None
            case Break() | Continue() if self.leaves_together(stmt):
                return BlockJump(stmt)
            case If() if stmt in self.holding or self.holds_exit(stmt):
                return BlockIf(stmt, self.split(stmt.then), self.split(stmt.orelse))
            case For() if stmt in self.holding:
                return BlockLoop(stmt, (), self.split(stmt.body))
            case While() if stmt in self.holding:
                return BlockLoop(stmt, self.split(stmt.prelude), self.split(stmt.body))
            case Scope() if stmt in self.holding:
                return BlockScope(stmt, self.split(stmt.body))
            case _:
                return None

    def leaves_together(self, jump: Break | Continue) -> bool:
        """Whether all threads of the block take a jump out of something with a barrier in it."""
        target = self.jumps.targets[jump]
        together = self.jumps.level(jump) is Level.BLOCK_UNIFORM
        return target is not None and target[0] in self.holding and together

    def holds_exit(self, stmt: If) -> bool:
        inside = (s for arm in (stmt.then, stmt.orelse) for s in walk(arm))
        return any(isinstance(s, Break | Continue) and self.leaves_together(s) for s in inside)
