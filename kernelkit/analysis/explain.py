"""Why a value may differ between the threads of a block, in the user's words.

In: an expression that is not block-uniform. Out: what it depends on, for the notes of an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.variability import Variability
from kernelkit.analysis.webs import Merge, Web, Webs
from kernelkit.ir.nodes import (
    ArrayVar,
    Assign,
    Atomic,
    Expr,
    For,
    Load,
    Read,
    SpecialRegister,
    Stmt,
    Warp,
    children,
    expressions,
)
from kernelkit.ir.types import AddressSpace


def reason(expr: Expr, webs: Webs, variability: Variability) -> str:
    """Follows an expression down to the first thing that differs between threads; may be ''."""
    return _Search(webs, variability).expression(expr)


class _Search:
    """Depth first; '' is a dead end. `seen` holds the expressions and webs that were tried."""

    def __init__(self, webs: Webs, variability: Variability) -> None:
        self.webs, self.variability = webs, variability
        self.seen: set[Expr | Web] = set()

    def expression(self, expr: Expr) -> str:
        if self.variability.kinds[expr].level is Level.BLOCK_UNIFORM or expr in self.seen:
            return ""
        self.seen.add(expr)
        found = self.first(children(expr))
        if found:
            return found
        match expr:
            case SpecialRegister(register="laneid"):
                return "`laneid`"
            case SpecialRegister():
                return f"`{expr.register}.{'xyz'[expr.axis]}`"
            case Read():
                return self.web(self.webs.reads[expr])
            case Load():
                return self.load(expr)
            case _:
                return ""

    def first(self, expressions: Iterable[Expr]) -> str:
        return next((found for e in expressions if (found := self.expression(e))), "")

    def load(self, load: Load) -> str:
        name = _shown(load.array)
        if load.array.type.space is AddressSpace.LOCAL:
            return f"{name}, an array of one thread"
        view = self.variability.views.get(load.array)
        if view is not None and view.level is not Level.BLOCK_UNIFORM:
            return f"{name}, a view that starts at different places"
        return (
            f"{name}, which is written in the same phase (put a `syncthreads()` between the write "
            "and this read)"
        )

    def web(self, web: Web) -> str:
        if web in self.seen:
            return ""
        self.seen.add(web)
        definitions = (found for stmt in web.definitions if (found := self.definition(stmt)))
        merges = (found for merge in web.merges if (found := self.parting(merge)))
        return next(chain(definitions, merges), "")

    def definition(self, stmt: Stmt) -> str:
        match stmt:
            case Assign():
                return self.expression(stmt.value)
            case For():
                return self.first((stmt.start, stmt.step))
            case Atomic():
                return f"what an atomic gave at line {stmt.span.line}"
            case Warp():
                return f"what a warp operation gave at line {stmt.span.line}"
            case _:
                return ""

    def parting(self, merge: Merge) -> str:
        """What decides which threads bring which value of a name."""
        jumps = self.variability.jumps.get((merge.stmt, merge.place), ())
        deciding = [merge.stmt, *(cause.stmt for jump in jumps for cause in jump.behind)]
        return self.first(e for stmt in deciding for e in expressions(stmt))


def _shown(array: ArrayVar) -> str:
    """A name as the user wrote it: without the marks of inlining."""
    return f"`{array.name.rpartition('.')[2]}`"
