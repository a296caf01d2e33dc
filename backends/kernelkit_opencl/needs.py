"""What threads that have returned still have to do, so that barriers are reached by all.

In: an analysis, and whether warp operations are meetings of the block too. Out: Needs.
Holds: a meeting is a statement to which all threads of the block come. Threads that are gone walk
through whatever holds meetings, decide as the others do, and keep the names on which that depends.
"""

from __future__ import annotations

from collections.abc import Iterator

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.webs import Web
from kernelkit.ir import nodes as ir

_UNIFORM = Level.BLOCK_UNIFORM


class Needs:
    """`walked`: the Ifs, loops and Scopes through which all threads go. `webs`: the names that all
    keep. `precarious`: where no thread is left, the others may not go on: they would load what is
    outside, or never come to an end."""

    def __init__(self, analysis: Analysis, by_block: bool) -> None:
        self.analysis, self.by_block = analysis, by_block
        self.causes = analysis.variability.causes
        self.kinds = analysis.variability.kinds
        self.walked: set[ir.Stmt] = set()
        self.webs: set[Web] = set()
        self.precarious = False
        known = (-1, -1)
        while known != (len(self.walked), len(self.webs)):
            known = (len(self.walked), len(self.webs))
            self._level(analysis.kernel.body)

    # ------------------------------------------------------------ questions
    def is_meeting(self, stmt: ir.Stmt) -> bool:
        if isinstance(stmt, ir.Warp):
            return self.by_block and not self.causes[stmt]
        return isinstance(stmt, ir.Barrier)

    def meets(self, stmt: ir.Stmt) -> bool:
        """Whether it is, or holds, a meeting."""
        return any(self.is_meeting(s) for s in ir.walk((stmt,)))

    def parting(self, stmt: ir.Stmt) -> bool:
        """Whether some threads may return in it and others not."""
        return any(isinstance(s, ir.Return) and bool(self.causes[s]) for s in ir.walk((stmt,)))

    def kept(self, stmt: ir.Stmt) -> tuple[ir.Var, ...]:
        """The names that all threads keep and that it assigns itself."""
        webs = self.analysis.webs.definitions
        return tuple(v for v in ir.targets(stmt) if webs.get((stmt, v)) in self.webs)

    def is_common(self, expr: ir.Expr) -> bool:
        """Whether those that are gone can evaluate it, and get what the others get."""
        return self._uniform(expr) and all(self._known(e) for e in ir.walk_expr(expr))

    def alone(self, stmt: ir.If) -> tuple[ir.Body, bool] | None:
        """The arm of those that are left where all in the other one return, and when they are in
        that other one: if the condition holds, or if it does not."""
        if self.causes[stmt]:
            return None
        for arm, other, returned in (
            (stmt.then, stmt.orelse, False),
            (stmt.orelse, stmt.then, True),
        ):
            if arm and other and not self.causes[arm[0]] and self.causes[other[0]]:
                return arm, returned
        return None

    def parts(self, stmt: ir.Stmt) -> bool:
        """Whether threads part in an If or a loop."""
        return self.analysis.variability.divergence[stmt] is not _UNIFORM

    # ------------------------------------------------------------ the search
    def _level(self, body: ir.Body) -> None:
        for stmt in body:
            if self.causes[stmt]:
                continue
            if isinstance(stmt, ir.Assign) and self.kept(stmt):
                self._use(stmt.value)
            elif isinstance(stmt, ir.View):
                for index in filter(self.is_common, stmt.indices):
                    self._use(index)
            elif isinstance(stmt, ir.If | ir.For | ir.While | ir.Scope) and self._holds(stmt):
                self._walk(stmt)

    def _walk(self, stmt: ir.If | ir.For | ir.While | ir.Scope) -> None:
        if not isinstance(stmt, ir.Scope) and self.parts(stmt):
            found = self.alone(stmt) if isinstance(stmt, ir.If) else None
            if found is not None:
                self.walked.add(stmt)
                self._level(found[0])
            return
        self.walked.add(stmt)
        self.precarious |= isinstance(stmt, ir.While)
        for expr in ir.expressions(stmt):
            self._use(expr)
        for body in ir.bodies(stmt):
            self._level(body)

    def _use(self, expr: ir.Expr) -> None:
        """All threads need its value."""
        if not self.is_common(expr):
            self.precarious = True  # somebody must be there who knows it
            return
        for inner in ir.walk_expr(expr):
            if isinstance(inner, ir.Read):
                self.webs.add(self.analysis.webs.reads[inner])
            self.precarious |= isinstance(inner, ir.Load)

    def _holds(self, stmt: ir.Stmt) -> bool:
        """Whether something in it concerns all threads."""
        jumps = set(outward(stmt))
        for inner in ir.walk((stmt,)):
            if self.is_meeting(inner) or (inner is not stmt and self.kept(inner)):
                return True
            leaves = isinstance(inner, ir.Return) or inner in jumps
            if leaves and not self.causes[inner]:
                return True
        return isinstance(stmt, ir.For) and bool(self.kept(stmt))

    def _uniform(self, expr: ir.Expr) -> bool:
        return self.kinds[expr].level is _UNIFORM

    def _known(self, expr: ir.Expr) -> bool:
        match expr:
            case ir.Read() | ir.Load():
                return self._uniform(expr)
            case ir.Intrinsic(function="uniform"):
                return self._uniform(expr.args[0])
            case _:
                return True


def outward(stmt: ir.Stmt) -> Iterator[ir.Stmt]:
    """The Breaks and Continues in a statement that leave it."""
    if isinstance(stmt, ir.Break | ir.Continue):
        yield stmt
    if isinstance(stmt, ir.If):
        for body in ir.bodies(stmt):
            for inner in body:
                yield from outward(inner)
