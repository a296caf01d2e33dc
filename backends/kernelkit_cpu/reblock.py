"""Blocks of our own choosing, for kernels that do not care how threads are grouped.

In: a kernel, the block it is launched with, the lanes of a vector. Out: the same work for another
block, the virtual one, or None where the user's block is fine or the kernel depends on it.
Holds: such a kernel has nothing that threads of a block share (barriers, shared memory, warps), and
along the axes that change it names threadIdx and blockIdx only together, as the number of the
thread in the grid. In the new kernel these two are those of the virtual block, while gridDim, and
blockDim as constants, are the user's; threads beyond the user's grid return. The virtual grid
covers the user's threads: along axis v it has `-(-gridDim[a] * block[a] // virtual[v])` blocks, with
a = axes[v] the user's axis that lies there.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from kernelkit.analysis.shape import Block
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.rewrite import Rewriter
from kernelkit.ir.types import BOOL, INT64, AddressSpace
from kernelkit.records import record
from kernelkit_cpu.orientation import walking_axis

#: A number for each of x, y, z.
Axes = tuple[int, int, int]

#: A block whose rows fill vectors is left as it is if it has at least so many vectors.
ENOUGH_VECTORS = 4
#: Vectors of a virtual block of one axis; of one whose block was a single thread, which is what
#: people write where every thread has much to do.
LONG_BLOCK, SHORT_BLOCK = 16, 4
#: A virtual block of more axes: along x, y and z where free, and how many threads it may have.
TILE: Block = (64, 4, 2)
TILE_THREADS = 512


@record
class Reblocked:
    kernel: ir.Kernel
    #: The virtual block.
    block: Block
    #: The user's axis that lies along each axis of the virtual block and grid.
    axes: Axes


def reblock(kernel: ir.Kernel, block: Block, lanes: int, turn: bool = False) -> Reblocked | None:
    """`turn`: vectors may lie along another axis than the user's x, if that walks along memory."""
    fills_vectors = block[0] % lanes == 0 and math.prod(block) >= ENOUGH_VECTORS * lanes
    if fills_vectors and not (turn and math.prod(block[1:]) > 1):
        return None
    if kernel.options.debug or any(map(_tells_blocks_apart, ir.walk(kernel.body))):
        return None
    names = _registers_by_name(kernel)
    along = walking_axis(kernel, block) if turn else 0
    found = None
    if along:
        found = _along(kernel, names, block, along, lanes)
    if found is None and not fills_vectors:
        found = _along(kernel, names, block, 0, lanes)
    return found


def _along(
    kernel: ir.Kernel, names: Mapping[ir.Var, ir.Expr], block: Block, along: int, lanes: int
) -> Reblocked | None:
    """Vectors along that axis of the user's, in a virtual block."""
    axes = frozenset(a for a in range(3) if block[a] > 1 or a == along)
    while along in axes:
        layout = Layout(block, virtual_sizes(block, axes, along, lanes), along)
        grouping = _Grouping(names, layout, axes)
        body = grouping.body(kernel.body)
        free = axes & (grouping.paired - grouping.bare)
        if free == axes:
            body = (*layout.guards(kernel.span, axes), *body)
            return Reblocked(replace(kernel, body=body), layout.virtual_block, layout.axes)
        axes = free
    return None


def virtual_sizes(block: Block, axes: Collection[int], along: int, lanes: int) -> Block:
    """Threads of the virtual block along each axis of the user's, of which some may change."""
    kept = math.prod(block[a] for a in range(3) if a not in axes)
    sizes = list(block)
    if set(axes) == {along}:
        vectors = SHORT_BLOCK if math.prod(block) == 1 else LONG_BLOCK
        sizes[along] = max(1, vectors // kept) * lanes
        return sizes[0], sizes[1], sizes[2]
    left = TILE_THREADS // kept
    for place, axis in enumerate(sorted(axes, key=swapped(along).__getitem__)):
        wanted, least = (max(TILE[0], lanes), lanes) if place == 0 else (TILE[place], 1)
        sizes[axis] = max(least, min(wanted, left))
        left //= sizes[axis]
    return sizes[0], sizes[1], sizes[2]


def swapped(along: int) -> Axes:
    """The axes, with x and that one in each other's places."""
    x, y, z = ({0: along, along: 0}.get(axis, axis) for axis in range(3))
    return x, y, z


@record
class Layout:
    """The user's block, the sizes of the virtual one along the user's axes, and the user's axis
    along which vectors lie: it changes places with x."""

    block: Block
    sizes: Block
    along: int

    @property
    def axes(self) -> Axes:
        return swapped(self.along)

    @property
    def virtual_block(self) -> Block:
        x, y, z = (self.sizes[axis] for axis in self.axes)
        return x, y, z

    def register(self, span: Span, name: str, axis: int) -> ir.SpecialRegister:
        """threadIdx or blockIdx of the virtual block, along an axis of the user's."""
        return ir.SpecialRegister(span, INT64, name, self.axes[axis])

    def place(self, span: Span, axis: int) -> ir.Binary:
        """A thread's number in the grid."""
        index = self.register(span, "blockIdx", axis)
        start = ir.Binary(span, INT64, "mul", index, _integer(span, self.sizes[axis]))
        return ir.Binary(span, INT64, "add", start, self.register(span, "threadIdx", axis))

    def guards(self, span: Span, axes: Collection[int]) -> Iterator[ir.If]:
        """Threads that the user's grid does not have return. An axis that ends where a virtual
        block does needs no guard."""
        for axis in sorted(axes, key=lambda a: self.axes[a], reverse=True):
            if self.block[axis] % self.sizes[axis]:
                grid = ir.SpecialRegister(span, INT64, "gridDim", axis)
                threads = ir.Binary(span, INT64, "mul", grid, _integer(span, self.block[axis]))
                beyond = ir.Compare(span, BOOL, "ge", self.place(span, axis), threads)
                yield ir.If(span, beyond, (ir.Return(span),), ())


def _tells_blocks_apart(stmt: ir.Stmt) -> bool:
    """Whether a statement does something that depends on who else is in the block or the warp."""
    match stmt:
        case ir.Barrier() | ir.Warp() | ir.Print():
            return True
        case ir.Allocate():
            return stmt.array.type.space is AddressSpace.SHARED
        case _:
            return False


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
        self, names: Mapping[ir.Var, ir.Expr], layout: Layout, axes: Collection[int]
    ) -> None:
        super().__init__()
        self.names, self.layout, self.axes = names, layout, axes
        self.block = layout.block
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
        if part is not None and part[1] in self.axes:
            return self.alone(expr, *part)
        if isinstance(expr, ir.SpecialRegister) and expr.register in ("threadIdx", "blockIdx"):
            return self.layout.register(expr.span, expr.register, expr.axis)
        return None

    def alone(self, expr: ir.Expr, register: str, axis: int) -> ir.Expr | None:
        """What a register without its partner is: something only in blocks of one thread."""
        if self.block[axis] > 1:
            self.bare.add(axis)
            return None
        if register == "threadIdx":
            return _integer(expr.span, 0)
        self.paired.add(axis)
        return self.layout.place(expr.span, axis)

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
        places: list[ir.Expr] = [self.layout.place(expr.span, axis) for axis in found]
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
