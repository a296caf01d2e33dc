"""Where the jumps of a kernel lead, and what each statement may be left for.

In: a kernel, and how its threads part at jumps. Out: Jumps.
Holds: a target is a loop or scope with the place in it, or None, the end of the thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.variability import Variability
from kernelkit.analysis.webs import Place
from kernelkit.ir.nodes import (
    Body,
    Break,
    Continue,
    For,
    Kernel,
    Return,
    Scope,
    Stmt,
    While,
    bodies,
)

Jump = Break | Continue | Return
Breakable = For | While | Scope
#: A place that jumps lead to; None: the end of the thread.
Target = tuple[Breakable, Place] | None


class Jumps(NamedTuple):
    """Where each jump leads, how threads part at it, and which targets a statement may leave for."""

    targets: Mapping[Stmt, Target]
    levels: Mapping[Stmt, Level]
    escapes: Mapping[Stmt, tuple[Target, ...]]

    def level(self, jump: Jump) -> Level:
        return self.levels.get(jump, Level.BLOCK_UNIFORM)


def find_jumps(kernel: Kernel, variability: Variability) -> Jumps:
    finder = _Finder()
    finder.visit(kernel.body, None)
    levels = {c.stmt: c.level for causes in variability.jumps.values() for c in causes}
    return Jumps(finder.targets, levels, finder.escapes)


class _Finder:
    def __init__(self) -> None:
        self.targets: dict[Stmt, Target] = {}
        self.escapes: dict[Stmt, tuple[Target, ...]] = {}

    def visit(self, body: Body, enclosing: Breakable | None) -> dict[Target, None]:
        """The targets that a body may be left for, in order."""
        found: dict[Target, None] = {}
        for stmt in body:
            left = self.left_for(stmt, enclosing)
            self.escapes[stmt] = tuple(left)
            found |= left
        return found

    def left_for(self, stmt: Stmt, enclosing: Breakable | None) -> dict[Target, None]:
        if isinstance(stmt, Return):
            self.targets[stmt] = None
            return {None: None}
        if isinstance(stmt, Break | Continue):
            assert enclosing is not None
            target = (enclosing, Place.END if isinstance(stmt, Break) else Place.NEXT)
            self.targets[stmt] = target
            return {target: None}
        owner = stmt if isinstance(stmt, Breakable) else enclosing
        left: dict[Target, None] = {}
        for each in bodies(stmt):
            left |= self.visit(each, owner)
        return {t: None for t in left if t is None or t[0] is not stmt}
