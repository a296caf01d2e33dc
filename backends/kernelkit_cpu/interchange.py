"""Grid-stride and block-stride loops turned inside out, so that a block walks through memory as one.

In: a kernel, its block, the lanes of a vector. Out: an equivalent kernel, or the same object where
there is nothing to do. In a one-dimensional block of more than one vector

    for i in range(start + threadIdx.x, stop, step): ...

becomes the loop of the whole block, whose barrier ends the iterations of all threads together:

    for base in range(start, stop, step):
        i = base + threadIdx.x
        if i < stop: ...
        syncthreads()

Holds: only loops whose iterations wait for nobody are turned, so the order in which threads run
them is free. What `stride_loops.py` finds is turned, outermost first.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import count
from typing import Final

from kernelkit.analysis.shape import Block, Shape
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, INT64
from kernelkit_cpu.stride_loops import Stride, StrideLoops, may_stride, own_jumps

#: Names that a loop may hand on: each is a load and a store for every vector and iteration.
MOST_CARRIED: Final = 8
_TEMPORARY: Final = re.compile(r"\.(\d+)")


def interchange(kernel: ir.Kernel, block: Block, lanes: int) -> ir.Kernel:
    if block[0] <= lanes or block[1:] != (1, 1) or kernel.options.debug:
        return kernel
    if not any(map(may_stride, ir.walk(kernel.body))):
        return kernel
    turning = _Turning(kernel, StrideLoops(kernel, Shape(block, lanes), MOST_CARRIED))
    body = turning.body(kernel.body)
    return replace(kernel, body=body) if turning.turned else kernel


class _Turning:
    def __init__(self, kernel: ir.Kernel, loops: StrideLoops) -> None:
        self.loops = loops
        self.turned = False
        names = (v.name for s in ir.walk(kernel.body) for v in ir.targets(s))
        numbers = (int(m[1]) for name in names if (m := _TEMPORARY.fullmatch(name)))
        self.numbers = count(max(numbers, default=0) + 1)

    def body(self, body: ir.Body) -> ir.Body:
        new: list[ir.Stmt] = []
        for place, stmt in enumerate(body):
            stride = self.stride(stmt, body[:place])
            if stride is None:
                new.append(self.inside(stmt))
                continue
            self.turned = True
            if stride.first is not None:
                new.remove(stride.first)
            new += self.inside_out(stmt, stride)
        return tuple(new)

    def stride(self, stmt: ir.Stmt, before: ir.Body) -> Stride | None:
        if not may_stride(stmt):
            return None
        if isinstance(stmt, ir.While):
            return self.loops.counted(stmt, before)
        return self.loops.ranged(stmt) if isinstance(stmt, ir.For) else None

    def inside(self, stmt: ir.Stmt) -> ir.Stmt:
        match stmt:
            case ir.If():
                then, orelse = self.body(stmt.then), self.body(stmt.orelse)
                if then != stmt.then or orelse != stmt.orelse:
                    return replace(stmt, then=then, orelse=orelse)
            case ir.For() | ir.Scope():
                body = self.body(stmt.body)
                if body != stmt.body:
                    return replace(stmt, body=body)
            case ir.While():
                prelude, body = self.body(stmt.prelude), self.body(stmt.body)
                if prelude != stmt.prelude or body != stmt.body:
                    return replace(stmt, prelude=prelude, body=body)
        return stmt

    def inside_out(self, loop: ir.Stmt, stride: Stride) -> list[ir.Stmt]:
        span, target, stop = loop.span, stride.target, stride.stop
        before: list[ir.Stmt] = []
        if not stride.stop_is_fixed:
            end = self.temporary()
            before.append(ir.Assign(span, end, stop))
            stop = ir.Read(stop.span, INT64, end)
        base = self.temporary()
        thread: ir.Expr = ir.SpecialRegister(span, INT64, "threadIdx", 0)
        if stride.coefficient != 1:
            factor = ir.Constant(span, INT64, stride.coefficient)
            thread = ir.Binary(span, INT64, "mul", thread, factor)
        mine = ir.Binary(span, INT64, "add", ir.Read(span, INT64, base), thread)
        goes_on = ir.Compare(stop.span, BOOL, "lt", ir.Read(span, INT64, target), stop)
        body: ir.Body = (
            ir.Assign(span, target, mine),
            ir.If(span, goes_on, _as_a_whole(stride.body, span), ()),
            ir.Barrier(span, "sync", None, None),
        )
        return [*before, ir.For(span, base, stride.start, stop, stride.step, body)]

    def temporary(self) -> ir.Var:
        return ir.Var(f".{next(self.numbers)}", INT64)


def _as_a_whole(body: ir.Body, span: Span) -> ir.Body:
    """A loop's body outside of its loop: a `continue` leaves a scope around it."""
    if not own_jumps(body, ir.Continue):
        return body
    return (ir.Scope(span, "", _leaving(body)),)


def _leaving(body: ir.Body) -> ir.Body:
    new: list[ir.Stmt] = []
    for stmt in body:
        if isinstance(stmt, ir.Continue):
            new.append(ir.Break(stmt.span))
        elif isinstance(stmt, ir.If):
            new.append(replace(stmt, then=_leaving(stmt.then), orelse=_leaving(stmt.orelse)))
        else:
            new.append(stmt)
    return tuple(new)
