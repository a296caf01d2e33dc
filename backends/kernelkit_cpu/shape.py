"""How wide vectors are, and whether they stay within a row of threads.

In: a kernel, the block it runs in, the processor. Out: its Shape.
Holds: 32 lanes where warps are used, so that a warp is a vector. Elsewhere a vector fills a register
with the widest type that the kernel computes floats in; loops that only some lanes go on with are
bound by latency, so there a vector is several registers.
"""

from __future__ import annotations

from kernelkit.analysis.shape import Block, Shape
from kernelkit.ir.nodes import (
    Binary,
    For,
    Kernel,
    Load,
    Stmt,
    Store,
    Warp,
    While,
    bodies,
    expressions,
    walk,
    walk_expr,
)
from kernelkit_cpu.targets import CpuTarget

WARP = 32
#: Registers of a vector in loops that are bound by latency.
DEEP = 2


def choose_shape(
    kernel: Kernel, block: Block, target: CpuTarget, lanes: int | None = None
) -> Shape:
    width = block[0]
    statements = list(walk(kernel.body))
    if any(isinstance(s, Warp) for s in statements):
        return Shape(block, WARP, rowwise=width % WARP == 0)
    if lanes is not None:
        return Shape(block, lanes, rowwise=width >= lanes or width % lanes == 0)
    return Shape(block, *_fitting(block, preferred_lanes(kernel, target, statements)))


def preferred_lanes(kernel: Kernel, target: CpuTarget, statements: list[Stmt] | None = None) -> int:
    """The lanes that suit a kernel where its block does not matter."""
    statements = list(walk(kernel.body)) if statements is None else statements
    lanes = max(4, target.bits // 32)
    if _computes_wide(statements):
        lanes = max(4, target.bits // 64)
    if any(isinstance(s, While) and _only_computes(s) for s in statements):
        lanes *= DEEP
    return lanes


def _fitting(block: Block, lanes: int) -> tuple[int, bool]:
    """(lanes, whether vectors stay in a row) for a block."""
    width, height, depth = block
    if height * depth == 1:
        while lanes > 4 and lanes >= 2 * width:
            lanes //= 2
        return lanes, True
    for narrower in (lanes, lanes // 2, lanes // 4):
        if narrower >= 4 and width % narrower == 0:
            return narrower, True
    return lanes, width >= lanes


def _computes_wide(statements: list[Stmt]) -> bool:
    """Whether most floating-point work is on float64."""
    wide = narrow = 0
    for stmt in statements:
        for expr in expressions(stmt):
            for inner in walk_expr(expr):
                kind = inner.type.component
                if kind.is_float and isinstance(inner, Binary | Load):
                    wide += kind.bits == 64
                    narrow += kind.bits != 64
    return wide > narrow


def _only_computes(loop: While) -> bool:
    """Whether an innermost loop touches no memory: its speed is how fast one step follows another."""
    inside = [s for body in bodies(loop) for s in walk(body)]
    if any(isinstance(s, While | For | Store) for s in inside):
        return False
    every = [e for s in (loop, *inside) for x in expressions(s) for e in walk_expr(x)]
    return not any(isinstance(e, Load) for e in every)
