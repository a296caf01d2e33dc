"""Which axis of the grid walks along memory.

In: a kernel and its block. Out: the axis whose neighbouring threads read and write neighbouring
elements most often: 0 in kernels that know that x is the fastest, 1 after `x, y = grid(2)` and
`a[x, y]`, as image[column, row] is often written.
Holds: this is a guess, which may change how quick a kernel is and nothing else. It follows names
through all their assignments at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kernelkit.analysis.operands import operands_first
from kernelkit.analysis.shape import Block
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import AddressSpace

#: How far an index moves from one thread to the next along x, y, z; None: in no simple way.
Steps = tuple[int | None, int | None, int | None]

_STILL: Final[Steps] = (0, 0, 0)
#: A vector still reads rows of memory if threads are up to so many elements apart.
_NEAR: Final = 4
#: An access in a loop counts as so many outside of it, down to this depth.
_LOOP, _DEEPEST = 8, 4
#: Another axis than x must have this many times its accesses.
_CLEARLY: Final = 2


def walking_axis(kernel: ir.Kernel, block: Block) -> int:
    votes = _Votes(block)
    votes.body(kernel.body, 1)
    best = max(range(3), key=lambda axis: votes.found[axis])
    return best if votes.found[best] > _CLEARLY * votes.found[0] else 0


class _Votes:
    def __init__(self, block: Block) -> None:
        self.block = block
        self.found = [0, 0, 0]
        self.names: dict[ir.Var, Steps] = {}
        self.steps: dict[ir.Expr, Steps] = {}

    def body(self, body: ir.Body, weight: int) -> None:
        for stmt in body:
            for expr in operands_first(ir.expressions(stmt)):
                self.steps[expr] = self.step(expr)
                if isinstance(expr, ir.Load):
                    self.access(expr.array, expr.indices, weight)
            match stmt:
                case ir.Assign():
                    self.assign(stmt.target, self.steps[stmt.value])
                case ir.For():
                    self.assign(stmt.target, self.steps[stmt.start])
                case ir.Store() | ir.Atomic():
                    self.access(stmt.array, stmt.indices, weight)
                case _:
                    pass
            loops = isinstance(stmt, ir.For | ir.While)
            for inner in ir.bodies(stmt):
                self.body(inner, min(weight * _LOOP, _LOOP**_DEEPEST) if loops else weight)

    def assign(self, var: ir.Var, steps: Steps) -> None:
        self.names[var] = _joined(self.names.get(var, steps), steps)

    def access(self, array: ir.ArrayVar, indices: tuple[ir.Expr, ...], weight: int) -> None:
        """A vote of every axis along which an access walks through its last index."""
        if array.type.space is AddressSpace.GLOBAL and array.type.layout != "A" and indices:
            for axis, step in enumerate(self.steps[indices[-1]]):
                if step and abs(step) <= _NEAR:
                    self.found[axis] += weight

    # ------------------------------------------------------------ expressions
    def step(self, expr: ir.Expr) -> Steps:
        """How an expression moves, from how its operands do."""
        match expr:
            case ir.Read():
                return self.names.get(expr.var, _STILL)
            case ir.SpecialRegister():
                return self.register(expr)
            case ir.Cast() if expr.type.is_integer and expr.operand.type.is_integer:
                return self.steps[expr.operand]
            case ir.Unary(op="neg"):
                return _scaled(self.steps[expr.operand], -1)
            case ir.Binary():
                return self.binary(expr, self.steps[expr.left], self.steps[expr.right])
            case ir.Select():
                return _joined(self.steps[expr.then], self.steps[expr.orelse])
            case _:
                return _lost(self.steps[e] for e in ir.children(expr))

    def register(self, expr: ir.SpecialRegister) -> Steps:
        own = "blockIdx" if self.block[expr.axis] == 1 else "threadIdx"
        if expr.register != own:
            return _STILL
        x, y, z = (int(axis == expr.axis) for axis in range(3))
        return x, y, z

    def binary(self, expr: ir.Binary, left: Steps, right: Steps) -> Steps:
        match expr.op:
            case "add":
                return _added(left, right)
            case "sub":
                return _added(left, _scaled(right, -1))
            case "min" | "max":
                return _joined(left, right)
            case "mod" if right == _STILL:
                return left
            case "mul":
                for steps, factor in ((left, expr.right), (right, expr.left)):
                    known = self.integer(factor)
                    if known is not None:
                        return _scaled(steps, known)
        return _lost((left, right))

    def integer(self, expr: ir.Expr) -> int | None:
        match expr:
            case ir.SpecialRegister(register="blockDim"):
                return self.block[expr.axis]
            case ir.Constant(value=int() as value):
                return value
            case _:
                return None


def _each(steps: Iterator[int | None]) -> Steps:
    x, y, z = steps
    return x, y, z


def _added(a: Steps, b: Steps) -> Steps:
    pairs = zip(a, b, strict=True)
    return _each(None if m is None or n is None else m + n for m, n in pairs)


def _scaled(steps: Steps, factor: int) -> Steps:
    return _each(None if step is None else step * factor for step in steps)


def _joined(a: Steps, b: Steps) -> Steps:
    """Of two ways to move: where one stands still or both go equally far, the one that moves."""
    return _each(
        (m or n) if 0 in (m, n) or (m and n and abs(m) == abs(n)) else None
        for m, n in zip(a, b, strict=True)
    )


def _lost(operands: Iterator[Steps] | tuple[Steps, ...]) -> Steps:
    """How something moves that hangs on operands in no simple way."""
    moves = [False, False, False]
    for steps in operands:
        moves = [m or step != 0 for m, step in zip(moves, steps, strict=True)]
    return _each(None if m else 0 for m in moves)
