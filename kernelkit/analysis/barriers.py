"""Barriers that only some threads of a block may reach.

In: a kernel, its webs and variability. Out: one diagnostic per such barrier, with a note at each
branch or loop that keeps threads away and, where it can be found, what its condition depends on.
"""

from __future__ import annotations

from collections.abc import Iterator

from kernelkit.analysis.explain import reason
from kernelkit.analysis.kinds import Level
from kernelkit.analysis.variability import Cause, Variability
from kernelkit.analysis.webs import Place, Webs
from kernelkit.errors import Diagnostic, Span
from kernelkit.ir.nodes import Barrier, Expr, For, If, Kernel, While, expressions, walk

NAMES = {
    "sync": "syncthreads",
    "count": "syncthreads_count",
    "and": "syncthreads_and",
    "or": "syncthreads_or",
}
UNIFORM = "write `kk.uniform(...)` around the condition if it is the same in all threads"
MOVE_OUT = f"move it out of the `if`, or {UNIFORM}"
SAME_COUNT = (
    "let all threads run the same number of iterations, with the work under an `if`, or write "
    "`kk.uniform(...)` around what decides it if it is the same in all threads"
)
NO_BREAK = f"skip the work with an `if` in place of the `break`, or {UNIFORM}"
NO_JUMP = f"put the work under an `if` in place of jumping over the barrier, or {UNIFORM}"

Note = tuple[Span, str]


def divergent_barriers(
    kernel: Kernel, webs: Webs, variability: Variability
) -> Iterator[Diagnostic]:
    finder = _Finder(webs, variability)
    for stmt in walk(kernel.body):
        if isinstance(stmt, Barrier) and variability.causes[stmt]:
            yield finder.diagnostic(stmt)


class _Finder:
    def __init__(self, webs: Webs, variability: Variability) -> None:
        self.webs, self.variability = webs, variability

    def diagnostic(self, barrier: Barrier) -> Diagnostic:
        causes = self.variability.causes[barrier][::-1]
        advice, _ = self.found(causes[0])
        notes = dict.fromkeys(note for cause in causes for note in self.found(cause)[1])
        return Diagnostic(
            barrier.span,
            f"`{NAMES[barrier.op]}` may not be reached by all threads of the block; {advice}",
            tuple(notes),
        )

    def found(self, cause: Cause) -> tuple[str, list[Note]]:
        """What to write instead, and the places that explain it."""
        match cause.stmt:
            case If():
                return MOVE_OUT, [self.branch(cause.stmt, "come this way")]
            case For() | While():
                return self.loop(cause.stmt)
            case _:
                return NO_JUMP, [self.jump(cause, "jump over the barrier here")]

    def loop(self, loop: For | While) -> tuple[str, list[Note]]:
        deciding = [e for e in expressions(loop) if self.differs(e)]
        notes = [
            (e.span, f"threads may run this loop a different number of times{self.why(e)}")
            for e in deciding[:1]
        ]
        jumps = self.variability.jumps[loop, Place.END]
        notes += [self.jump(jump, "leave the loop here") for jump in jumps]
        return (SAME_COUNT if deciding else NO_BREAK), notes

    def jump(self, cause: Cause, what: str) -> Note:
        """Where it was decided that only some threads come to a jump."""
        nearest = cause.behind[-1]
        if isinstance(nearest.stmt, If):
            return self.branch(nearest.stmt, what)
        return self.jump(nearest, "jump ahead here")

    def branch(self, stmt: If, what: str) -> Note:
        why = self.why(stmt.condition)
        return stmt.condition.span, f"only some threads of the block may {what}{why}"

    def differs(self, expr: Expr) -> bool:
        return self.variability.kinds[expr].level is not Level.BLOCK_UNIFORM

    def why(self, expr: Expr) -> str:
        found = reason(expr, self.webs, self.variability)
        return f", depending on {found}" if found else ""
