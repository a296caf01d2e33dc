"""Returns within a part of a kernel that has no barriers: they leave the part and nothing else.

In: the statements of a part. Out: the same, with a flag that is cleared where a thread returns.
"""

from __future__ import annotations

from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.rewrite import with_parts
from kernelkit.ir.types import BOOL
from kernelkit_opencl.needs import outward


def returns(stmt: ir.Stmt) -> bool:
    return any(isinstance(s, ir.Return) for s in ir.walk((stmt,)))


def read(live: ir.Var, span: Span) -> ir.Read:
    return ir.Read(span, BOOL, live)


def gone(live: ir.Var, span: Span) -> ir.Expr:
    return ir.Unary(span, BOOL, "not", read(live, span))


def left(body: list[ir.Stmt], live: ir.Var) -> list[ir.Stmt]:
    """A part whose Returns clear `live` and go behind it. Only its last statement may hold jumps
    that leave the part; nothing that matters then stands behind it."""
    jumps = list(outward(body[-1]))
    if jumps:
        # Where such a jump goes, a Return can go as well.
        kind = ir.Continue if any(isinstance(j, ir.Continue) for j in jumps) else ir.Break
        return _Part(live, kind).body(body, last=False)
    part = _Part(live, ir.Break)
    found = part.body(body, last=True)
    return [ir.Scope(body[0].span, "", tuple(found))] if part.jumped else found


class _Part:
    """`jump`: what leaves the part at its outermost level; `jumped`: whether it was needed."""

    def __init__(self, live: ir.Var, jump: type[ir.Break | ir.Continue]) -> None:
        self.live, self.jump, self.jumped = live, jump, False

    def body(self, body: ir.Body | list[ir.Stmt], last: bool, inner: bool = False) -> list[ir.Stmt]:
        """`last`: nothing comes behind it; `inner`: it is in a loop or Scope of the part."""
        found: list[ir.Stmt] = []
        for number, stmt in enumerate(body):
            at_end = last and number == len(body) - 1
            if not returns(stmt):
                found.append(stmt)
            elif isinstance(stmt, ir.Return):
                over = ir.Constant(stmt.span, BOOL, value=False)
                found.append(ir.Assign(stmt.span, self.live, over))
                return found if at_end else [*found, self._leave(stmt.span, inner)]
            elif isinstance(stmt, ir.If):
                arms = (tuple(self.body(arm, at_end, inner)) for arm in ir.bodies(stmt))
                found.append(ir.If(stmt.span, stmt.condition, *arms))
            else:
                found.append(self._around(stmt))
                if not at_end:
                    leave = (self._leave(stmt.span, inner),)
                    found.append(ir.If(stmt.span, gone(self.live, stmt.span), leave, ()))
        return found

    def _around(self, stmt: ir.Stmt) -> ir.Stmt:
        """A loop or Scope that is left by Break where a thread returns."""
        inside = [tuple(self.body(body, last=False, inner=True)) for body in ir.bodies(stmt)]
        return with_parts(stmt, ir.expressions(stmt), inside)

    def _leave(self, span: Span, inner: bool) -> ir.Stmt:
        if inner:
            return ir.Break(span)
        self.jumped = True
        return self.jump(span)
