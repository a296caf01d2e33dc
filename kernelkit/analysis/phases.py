"""Barrier phases: which parts of a kernel may run at the same time within a block.

In: a kernel and the roots of its views. Out: Phases.
Holds: threads of a block passed the same barrier last, so two statements may run at the same time
only if some barrier (or the kernel's start) can be the last one before both. That set of last
barriers is kept as bits; a loop's head gets a bit of its own that stands for all that can reach
it, so that each statement is visited once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from kernelkit.analysis.memory import Roots
from kernelkit.analysis.operands import operands_first
from kernelkit.ir.nodes import (
    ArrayVar,
    Atomic,
    Barrier,
    Body,
    Break,
    Constant,
    Continue,
    For,
    If,
    Kernel,
    Load,
    Return,
    Scope,
    Stmt,
    Store,
    While,
    bodies,
    expressions,
    walk,
)
from kernelkit.records import record


@record
class Phases:
    """`since[s]`: the barriers that may have been the last before s, a bit each; a While's is that
    of its condition. `stable`: the loads from memory that no thread of the block writes in that
    phase. `holding`: the barriers, and the statements with a barrier inside."""

    since: Mapping[Stmt, int]
    stable: frozenset[Load]
    holding: frozenset[Stmt]

    def overlap(self, a: Stmt, b: Stmt) -> bool:
        """Whether threads of a block may be at `a` and at `b` at the same time."""
        return bool(self.since[a] & self.since[b])


def barrier_phases(kernel: Kernel, roots: Roots) -> Phases:
    walker = _Walker()
    walker.body(kernel.body, walker.new_bit())
    since = walker.resolved()
    return Phases(since, _stable_loads(kernel, roots, since), frozenset(_holding(kernel.body)))


def _holding(body: Body) -> Iterator[Stmt]:
    for stmt in body:
        inside = [s for inner in bodies(stmt) for s in _holding(inner)]
        yield from inside
        if inside or isinstance(stmt, Barrier):
            yield stmt


def _stable_loads(kernel: Kernel, roots: Roots, since: Mapping[Stmt, int]) -> frozenset[Load]:
    written: dict[ArrayVar | None, int] = {}
    for stmt in walk(kernel.body):
        if isinstance(stmt, Store | Atomic):
            memory = _memory(roots[stmt.array])
            written[memory] = written.get(memory, 0) | since[stmt]
    seen: set[Load] = set()
    unstable: set[Load] = set()
    for stmt in walk(kernel.body):
        for expr in operands_first(expressions(stmt)):
            if isinstance(expr, Load):
                seen.add(expr)
                if since[stmt] & written.get(_memory(roots[expr.array]), 0):
                    unstable.add(expr)
    return frozenset(seen - unstable)


def _memory(root: ArrayVar) -> ArrayVar | None:
    """What is the same memory: all dynamic shared arrays start at one place. Parameters that
    overlap are kept apart: to write one and read the other in the same phase is a race."""
    return None if root.is_dynamic else root


@record(frozen=False)
class _Exits:
    """What reaches the end and the next iteration of a breakable statement by jumps."""

    breaks: int = 0
    continues: int = 0


@record(frozen=False)
class _Walker:
    """Forward over the structured code. 0 stands for: not reached."""

    bits: int = 0
    #: A loop head's bit -> the bits that can reach it.
    heads: dict[int, int] = field(default_factory=dict)
    since: dict[Stmt, int] = field(default_factory=dict)
    exits: list[_Exits] = field(default_factory=list)

    def new_bit(self) -> int:
        self.bits += 1
        return 1 << (self.bits - 1)

    def body(self, body: Body, at: int) -> int:
        for stmt in body:
            at = self.stmt(stmt, at)
        return at

    def stmt(self, stmt: Stmt, at: int) -> int:
        self.since[stmt] = at
        match stmt:
            case Barrier():
                return self.new_bit() if at else 0
            case If():
                return self.body(stmt.then, at) | self.body(stmt.orelse, at)
            case Scope():
                self.exits.append(_Exits())
                end = self.body(stmt.body, at)
                return end | self.exits.pop().breaks
            case For() | While():
                return self.loop(stmt, at)
            case Break():
                self.exits[-1].breaks |= at
                return 0
            case Continue():
                self.exits[-1].continues |= at
                return 0
            case Return():
                return 0
            case _:
                return at

    def loop(self, loop: For | While, at: int) -> int:
        self.exits.append(_Exits())
        head = self.new_bit() if at else 0
        test = head
        if isinstance(loop, While):
            test = self.since[loop] = self.body(loop.prelude, head)
        end = self.body(loop.body, test)
        exits = self.exits.pop()
        if head:
            self.heads[head] = at | end | exits.continues
        endless = (
            isinstance(loop, While)
            and isinstance(loop.condition, Constant)
            and bool(loop.condition.value)
        )
        return exits.breaks | (0 if endless else test)

    def resolved(self) -> dict[Stmt, int]:
        """`since` with the bits of loop heads replaced by those of the barriers behind them."""
        known: dict[int, int] = {}
        for stmt, mask in self.since.items():
            if mask not in known:
                known[mask] = self.behind(mask)
            self.since[stmt] = known[mask]
        return self.since

    def behind(self, mask: int) -> int:
        todo, seen = mask, 0
        while todo:
            bit = todo & -todo
            seen |= bit
            todo = (todo | self.heads.get(bit, 0)) & ~seen
        for head in self.heads:
            seen &= ~head
        return seen
