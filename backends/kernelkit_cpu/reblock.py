"""Blocks of our own choosing, for kernels that do not care how threads are grouped.

In: a kernel, the block it is launched with, the lanes of a vector. Out: the same work for another
block, the virtual one, or None where the user's block is fine or the kernel depends on it.
Holds: such a kernel has nothing that threads of a block share (barriers, shared memory, warps), and
along the axes that change it names threadIdx and blockIdx only together, as the number of the
thread in the grid. In the new kernel these two are those of the virtual block, while gridDim, and
blockDim as constants, are the user's; threads beyond the user's grid return. The virtual grid
covers the user's threads: `-(-gridDim * block // virtual)` along each axis.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from kernelkit.analysis.shape import Block
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, INT64, AddressSpace
from kernelkit_cpu.rewrite import Rewriter

#: A block whose rows fill vectors is left as it is if it has at least so many vectors.
ENOUGH_VECTORS = 4
#: Vectors of a virtual block of one axis; of one whose block was a single thread, which is what
#: people write where every thread has much to do.
LONG_BLOCK, SHORT_BLOCK = 16, 4
#: A virtual block of more axes: along x, y and z where free, and how many threads it may have.
TILE: Block = (64, 8, 4)
TILE_THREADS = 512


@dataclass(frozen=True)
class Reblocked:
    kernel: ir.Kernel
    #: The virtual block.
    block: Block


def reblock(kernel: ir.Kernel, block: Block, lanes: int) -> Reblocked | None:
    if block[0] % lanes == 0 and math.prod(block) >= ENOUGH_VECTORS * lanes:
        return None
    if kernel.options.debug or any(map(_tells_blocks_apart, ir.walk(kernel.body))):
        return None
    names = _registers_by_name(kernel)
    axes = frozenset(a for a in range(3) if block[a] > 1 or a == 0)
    while 0 in axes:
        virtual = virtual_block(block, axes, lanes)
        grouping = _Grouping(names, block, virtual, axes)
        body = grouping.body(kernel.body)
        free = axes & grouping.paired - grouping.bare
        if free == axes:
            guards = _guards(kernel.span, block, virtual, axes)
            return Reblocked(replace(kernel, body=(*guards, *body)), virtual)
        axes = free
    return None


def virtual_block(block: Block, axes: Collection[int], lanes: int) -> Block:
    """The block to use in place of the user's, of which some axes may change."""
    kept = math.prod(block[a] for a in range(3) if a not in axes)
    if set(axes) == {0}:
        vectors = SHORT_BLOCK if math.prod(block) == 1 else LONG_BLOCK
        return max(1, vectors // kept) * lanes, block[1], block[2]
    sizes = list(block)
    left = TILE_THREADS // kept
    for axis in sorted(axes):
        wanted = max(TILE[0], lanes) if axis == 0 else TILE[axis]
        sizes[axis] = max(lanes if axis == 0 else 1, min(wanted, left))
        left //= sizes[axis]
    return sizes[0], sizes[1], sizes[2]


def _tells_blocks_apart(stmt: ir.Stmt) -> bool:
    """Whether a statement does something that depends on who else is in the block or the warp."""
    match stmt:
        case ir.Barrier() | ir.Warp() | ir.Print():
            return True
        case ir.Allocate():
            return stmt.array.type.space is AddressSpace.SHARED
        case _:
            return False


def _guards(span: Span, block: Block, virtual: Block, axes: Collection[int]) -> Iterator[ir.If]:
    """Threads that the user's grid does not have return. An axis that ends where a virtual block
    does needs no guard."""
    for axis in sorted(axes, reverse=True):
        if block[axis] % virtual[axis]:
            grid = ir.SpecialRegister(span, INT64, "gridDim", axis)
            threads = ir.Binary(span, INT64, "mul", grid, _integer(span, block[axis]))
            beyond = ir.Compare(span, BOOL, "ge", _place(span, axis, virtual), threads)
            yield ir.If(span, beyond, (ir.Return(span),), ())


def _place(span: Span, axis: int, block: Block) -> ir.Binary:
    """A thread's number in the grid, for threads in such blocks."""
    index = ir.SpecialRegister(span, INT64, "blockIdx", axis)
    start = ir.Binary(span, INT64, "mul", index, _integer(span, block[axis]))
    return ir.Binary(span, INT64, "add", start, ir.SpecialRegister(span, INT64, "threadIdx", axis))


def _integer(span: Span, value: int) -> ir.Constant:
    return ir.Constant(span, INT64, value)


# ---------------------------------------------------------------- names
def _registers_by_name(kernel: ir.Kernel) -> dict[ir.Var, ir.Expr]:
    """What `tx = threadIdx.x` and the like stand for: names with one assignment, which every thread
    comes past before it reads them."""
    counts: dict[ir.Var, int] = {}
    for stmt in ir.walk(kernel.body):
        for var in ir.targets(stmt):
            counts[var] = counts.get(var, 0) + 1
    found: dict[ir.Var, ir.Expr] = {}
    early: set[ir.Var] = set()
    for stmt in kernel.body:
        if isinstance(stmt, ir.Assign) and _is_made_of_registers(stmt.value, found):
            if counts[stmt.target] == 1 and stmt.target not in early:
                found[stmt.target] = stmt.value
        else:
            early.update(_reads(stmt))
    return found


def _is_made_of_registers(expr: ir.Expr, names: Collection[ir.Var]) -> bool:
    match expr:
        case ir.SpecialRegister() | ir.Constant():
            return True
        case ir.Read():
            return expr.var in names
        case ir.Binary(op="mul"):
            return all(_is_made_of_registers(e, names) for e in (expr.left, expr.right))
        case _:
            return False


def _reads(stmt: ir.Stmt) -> Iterator[ir.Var]:
    for each in ir.walk((stmt,)):
        for top in ir.expressions(each):
            yield from (e.var for e in ir.walk_expr(top) if isinstance(e, ir.Read))


# ---------------------------------------------------------------- the new body
class _Grouping(Rewriter):
    """Regroups threads along some axes: `paired`, those whose thread and block numbers it met
    together, and `bare`, those of which it met one alone."""

    def __init__(
        self, names: dict[ir.Var, ir.Expr], block: Block, virtual: Block, axes: Collection[int]
    ) -> None:
        super().__init__()
        self.names, self.block, self.virtual, self.axes = names, block, virtual, axes
        self.paired: set[int] = set()
        self.bare: set[int] = set()

    def stmt(self, stmt: ir.Stmt) -> ir.Stmt | None:
        if isinstance(stmt, ir.Assign) and stmt.target in self.names:
            register = self.part(stmt.value)
            if register is not None and register[1] in self.axes:
                return None  # Whoever reads it pairs it, or the axis is bare.
        return super().stmt(stmt)

    def replaced(self, expr: ir.Expr) -> ir.Expr | None:
        match expr:
            case ir.Binary(op="add", type=type_) if type_ == INT64:
                return self.total(expr)
            case ir.Intrinsic(function="uniform"):
                return self.expr(expr.args[0])  # The user's word spoke of the user's block.
            case ir.SpecialRegister(register="blockDim"):
                return _integer(expr.span, self.block[expr.axis])
            case ir.SpecialRegister(register="laneid"):
                self.bare.add(0)
        part = self.part(expr)
        if part is None or part[1] not in self.axes:
            return None
        return self.alone(expr, *part)

    def alone(self, expr: ir.Expr, register: str, axis: int) -> ir.Expr | None:
        """What a register without its partner is: something only in blocks of one thread."""
        if self.block[axis] > 1:
            self.bare.add(axis)
            return None
        if register == "threadIdx":
            return _integer(expr.span, 0)
        self.paired.add(axis)
        return _place(expr.span, axis, self.virtual)

    def total(self, expr: ir.Binary) -> ir.Expr | None:
        """A sum with the pairs in it made one; None where there are none."""
        terms = list(_terms(expr))
        parts = [self.part(t) for t in terms]
        found = [
            axis
            for axis in self.axes
            if parts.count(("threadIdx", axis)) == parts.count(("start", axis)) == 1
        ]
        if not found:
            return None
        self.paired.update(found)
        places: list[ir.Expr] = [_place(expr.span, axis, self.virtual) for axis in found]
        others = [
            self.expr(term)
            for term, part in zip(terms, parts, strict=True)
            if part is None or part[1] not in found
        ]
        first, *rest = places + others
        for term in rest:
            first = ir.Binary(expr.span, INT64, "add", first, term)
        return first

    def part(self, expr: ir.Expr) -> tuple[str, int] | None:
        """What an expression is along an axis: threadIdx, blockIdx, or the start of the block."""
        expr = self.meaning(expr)
        match expr:
            case ir.SpecialRegister(register="threadIdx" | "blockIdx"):
                return expr.register, expr.axis
            case ir.Binary(op="mul", left=left, right=right):
                for index, size in ((left, right), (right, left)):
                    part = self.part(index)
                    if part and part[0] == "blockIdx" and self.is_size(size, part[1]):
                        return "start", part[1]
        return None

    def is_size(self, expr: ir.Expr, axis: int) -> bool:
        match self.meaning(expr):
            case ir.Constant(value=value):
                return value == self.block[axis]
            case ir.SpecialRegister(register="blockDim", axis=found):
                return self.block[found] == self.block[axis]
            case _:
                return False

    def meaning(self, expr: ir.Expr) -> ir.Expr:
        while isinstance(expr, ir.Read) and expr.var in self.names:
            expr = self.names[expr.var]
        return expr


def _terms(expr: ir.Expr) -> Iterator[ir.Expr]:
    """The terms of a sum."""
    if isinstance(expr, ir.Binary) and expr.op == "add":
        yield from _terms(expr.left)
        yield from _terms(expr.right)
    else:
        yield expr
