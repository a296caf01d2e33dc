"""The table of a language of the C family that the printer works by: CUDA C, OpenCL C, plain C.

Holds: a template is a text for `str.format`; which fields it may use stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kernelkit.ir.types import AddressSpace
from kernelkit.records import record

if TYPE_CHECKING:
    from kernelkit.emit.cstyle.atomics import AtomicTable
    from kernelkit.emit.cstyle.scalars import ScalarSpelling
    from kernelkit.emit.cstyle.warps import WarpTable


@record
class CDialect:
    """How one language writes what a kernel does."""

    name: str
    scalars: ScalarSpelling
    #: Without atomics debug kernels are printed without checks.
    atomics: AtomicTable | None
    warps: WarpTable | None
    #: The head of the kernel. Fields: name, parameters, threads (in a block), x, y, z (of a block),
    #: attributes (what the warp table asks for, or nothing).
    kernel: str
    #: What stands before the type that a pointer points to, with a space behind it.
    spaces: Mapping[AddressSpace, str]
    #: Behind the star of a pointer that overlaps no other.
    restrict: str
    #: threadIdx, blockIdx, gridDim. Fields: axis (x, y, z), number (0, 1, 2).
    registers: Mapping[str, str]
    #: A shared array. Fields: type, name, size.
    shared: str
    #: A constant array, outside of the kernel. Fields: type, name, size, values.
    constant: str
    #: Dynamic shared memory, called kk_dynamic: a declaration in the kernel, or, if it is "", a
    #: parameter.
    dynamic: str
    #: Whether arrays come as a buffer and an offset in bytes.
    buffers: bool = False
    #: Before a loop whose number of turns is known and small.
    unroll: str = ""
    #: Tells the compiler what holds, if it can be told. Field: condition.
    assume: str = ""
    #: Whether to say where each statement comes from, for profilers.
    lines: bool = False
    #: Whether threads may return while others wait in barriers.
    leaves: bool = True
    #: Whether the block of a kernel with warp operations is launched as one row of threads, so that
    #: the device's own warps are ours.
    rows: bool = False
    #: Static shared arrays beyond so many bytes lie in dynamic shared memory.
    static_shared: int = 1 << 62

    def pointer(self, space: AddressSpace, pointee: str, noalias: bool = False) -> str:
        """The type of a pointer, ready for a name behind it."""
        return f"{self.spaces[space]}{pointee}* {self.restrict + ' ' if noalias else ''}"
