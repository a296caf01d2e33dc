"""What a kernel needs of a device.

In: a kernel. Out: Requirements, each with the place of its first use, for refusals in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kernelkit.analysis.operands import operands_first
from kernelkit.errors import Span
from kernelkit.ir.nodes import (
    Allocate,
    Assert,
    Atomic,
    Barrier,
    Kernel,
    Print,
    Stmt,
    View,
    Warp,
    expressions,
    targets,
    walk,
)
from kernelkit.ir.types import AddressSpace
from kernelkit.records import record

#: A dtype by name; an atomic as (operation, dtype's name); a feature by the name of its field.
Need = str | tuple[str, str]

FEATURES: dict[type, str] = {
    Warp: "warp_operations",
    Barrier: "barriers",
    Print: "printing",
    Assert: "assertions",
}


@record
class Requirements:
    """`spans` says where each dtype, atomic and feature is first used; a dtype that only a
    parameter has is used at the kernel's `def`."""

    dtypes: frozenset[str]
    atomics: frozenset[tuple[str, str]]
    warp_operations: bool
    barriers: bool
    shared_memory: bool
    printing: bool
    assertions: bool
    spans: Mapping[Need, Span]


def find_requirements(kernel: Kernel) -> Requirements:
    spans: dict[Need, Span] = {}
    dtypes: dict[str, None] = {}
    atomics: dict[tuple[str, str], None] = {}
    for stmt in walk(kernel.body):
        for name, span in _dtypes(stmt):
            dtypes.setdefault(name)
            spans.setdefault(name, span)
        if isinstance(stmt, Atomic):
            need = (stmt.op, stmt.array.type.dtype.name)
            atomics.setdefault(need)
            spans.setdefault(need, stmt.span)
        if type(stmt) in FEATURES:
            spans.setdefault(FEATURES[type(stmt)], stmt.span)
        if isinstance(stmt, Allocate) and stmt.array.type.space is AddressSpace.SHARED:
            spans.setdefault("shared_memory", stmt.span)
    for symbol in kernel.params:
        name = str(getattr(symbol.type, "dtype", symbol.type))
        dtypes.setdefault(name)
        spans.setdefault(name, kernel.span)
    return Requirements(
        dtypes=frozenset(dtypes),
        atomics=frozenset(atomics),
        warp_operations="warp_operations" in spans,
        barriers="barriers" in spans,
        shared_memory="shared_memory" in spans,
        printing="printing" in spans,
        assertions="assertions" in spans,
        spans=spans,
    )


def _dtypes(stmt: Stmt) -> Iterator[tuple[str, Span]]:
    for expr in operands_first(expressions(stmt)):
        yield expr.type.name, expr.span
    for var in targets(stmt):
        yield var.type.name, stmt.span
    if isinstance(stmt, Allocate):
        yield stmt.array.type.dtype.name, stmt.span
    if isinstance(stmt, View):
        yield stmt.target.type.dtype.name, stmt.span
