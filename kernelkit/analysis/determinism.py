"""What a reproducible kernel must not do: let the order of threads decide a rounding.

In: a kernel. Out: a diagnostic per order-dependent float atomic, if its options ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from kernelkit.errors import Diagnostic
from kernelkit.ir.nodes import Atomic, Kernel, walk

#: The sum of floats depends on the order; their least, greatest and last value do not round.
ROUNDING = ("add", "sub")


def order_dependent_atomics(kernel: Kernel) -> Iterator[Diagnostic]:
    if not kernel.options.reproducible:
        return
    for stmt in walk(kernel.body):
        if isinstance(stmt, Atomic) and stmt.op in ROUNDING:
            dtype = stmt.array.type.dtype
            if dtype.is_float or dtype.is_complex:
                yield Diagnostic(
                    stmt.span,
                    f"atomic.{stmt.op} on {dtype} rounds in an order that differs from run to run, "
                    "which reproducible=True rules out; sum within the block through shared memory "
                    "in a fixed order and store one value per block, or add integers",
                )
