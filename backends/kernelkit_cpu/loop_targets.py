"""Loops that a block runs as a whole, with counters that are the block's alone.

In: a kernel. Out: one that means the same, or the same object. Where a name is the target of a
`for` loop with a barrier inside, and is assigned elsewhere too, the loop counts in a name of its own
and hands that on:

    for .target.1 in range(n):
        k = .target.1
        ...
        if odd: k = threadIdx.x

Holds: behind it, threads never assign to a name that the block counts in.
"""

from __future__ import annotations

from dataclasses import replace

from kernelkit.ir import nodes as ir
from kernelkit.ir.rewrite import Rewriter


def with_own_counters(kernel: ir.Kernel) -> ir.Kernel:
    statements = list(ir.walk(kernel.body))
    loops = {s for s in statements if isinstance(s, ir.For) and _waits(s)}
    if not loops:
        return kernel
    own = {var for s in statements if s not in loops for var in ir.targets(s)}
    shared = {loop for loop in loops if loop.target in own or loop.target in kernel.params}
    return replace(kernel, body=_Counting(shared).body(kernel.body)) if shared else kernel


def _waits(loop: ir.For) -> bool:
    return any(isinstance(s, ir.Barrier) for s in ir.walk(loop.body))


class _Counting(Rewriter):
    def __init__(self, loops: set[ir.For]) -> None:
        super().__init__()
        self.loops = loops
        self.count = 0

    def stmt(self, stmt: ir.Stmt) -> ir.Stmt | None:
        new = super().stmt(stmt)
        if not isinstance(new, ir.For) or stmt not in self.loops:
            return new
        self.count += 1
        counter = ir.Var(f".target.{self.count}", new.target.type)
        handed_on = ir.Assign(new.span, new.target, ir.Read(new.span, counter.type, counter))
        return replace(new, target=counter, body=(handed_on, *new.body))
