"""Which memory a kernel touches: roots of views, parameters read and written, bytes.

In: a kernel. Out: MemoryUse.
Holds: an access through a view is one to its root; an atomic both
reads and writes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from kernelkit.analysis.operands import operands_first
from kernelkit.ir.nodes import (
    Allocate,
    ArrayVar,
    Atomic,
    Kernel,
    Load,
    Store,
    View,
    expressions,
    walk,
)
from kernelkit.ir.types import AddressSpace, DType
from kernelkit.records import record

Roots = Mapping[ArrayVar, ArrayVar]

#: No element needs more: the widest is complex128.
MAX_ALIGNMENT = 16


@record
class MemoryUse:
    """`written` and `read` name array parameters. `shared_offsets` lays the static shared arrays
    out in the order of their allocation, each aligned to its element; dynamic shared memory starts
    at `static_shared_bytes`, which is then a multiple of MAX_ALIGNMENT."""

    roots: Roots
    written: frozenset[str]
    read: frozenset[str]
    shared_offsets: Mapping[ArrayVar, int]
    static_shared_bytes: int
    dynamic_shared: bool
    local_bytes: int
    constant_bytes: int


def memory_use(kernel: Kernel) -> MemoryUse:
    roots = view_roots(kernel)
    read, written = _accesses(kernel, roots)
    parameters = {p for p in kernel.params if isinstance(p, ArrayVar)}
    arrays = [s.array for s in walk(kernel.body) if isinstance(s, Allocate)]
    shared = [a for a in arrays if a.type.space is AddressSpace.SHARED]
    dynamic = any(a.is_dynamic for a in shared)
    offsets, end = _layout([a for a in shared if not a.is_dynamic])
    return MemoryUse(
        roots=roots,
        written=frozenset(a.name for a in written & parameters),
        read=frozenset(a.name for a in read & parameters),
        shared_offsets=offsets,
        static_shared_bytes=_align(end, MAX_ALIGNMENT) if dynamic else end,
        dynamic_shared=dynamic,
        local_bytes=_bytes(arrays, AddressSpace.LOCAL),
        constant_bytes=_bytes(arrays, AddressSpace.CONSTANT),
    )


def view_roots(kernel: Kernel) -> Roots:
    """For every array of the kernel, views included, the array that holds its elements."""
    roots = {p: p for p in kernel.params if isinstance(p, ArrayVar)}
    for stmt in walk(kernel.body):
        if isinstance(stmt, Allocate):
            roots[stmt.array] = stmt.array
        elif isinstance(stmt, View):  # its base is declared before it
            roots[stmt.target] = roots[stmt.base]
    return roots


def _accesses(kernel: Kernel, roots: Roots) -> tuple[frozenset[ArrayVar], frozenset[ArrayVar]]:
    read: set[ArrayVar] = set()
    written: set[ArrayVar] = set()
    for stmt in walk(kernel.body):
        for expr in operands_first(expressions(stmt)):
            if isinstance(expr, Load):
                read.add(roots[expr.array])
        if isinstance(stmt, Store | Atomic):
            written.add(roots[stmt.array])
        if isinstance(stmt, Atomic):
            read.add(roots[stmt.array])
    return frozenset(read), frozenset(written)


def _bytes(arrays: list[ArrayVar], space: AddressSpace) -> int:
    return sum(_size(a) for a in dict.fromkeys(arrays) if a.type.space is space)


def _layout(arrays: list[ArrayVar]) -> tuple[dict[ArrayVar, int], int]:
    offsets: dict[ArrayVar, int] = {}
    end = 0
    for array in dict.fromkeys(arrays):
        offsets[array] = _align(end, alignment(array.type.dtype))
        end = offsets[array] + _size(array)
    return offsets, end


def alignment(dtype: DType) -> int:
    """Bytes that the address of an element is a multiple of."""
    return min(dtype.itemsize, MAX_ALIGNMENT)


def _size(array: ArrayVar) -> int:
    return math.prod(array.shape) * array.type.dtype.itemsize


def _align(offset: int, to: int) -> int:
    return -(-offset // to) * to
