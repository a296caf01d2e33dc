"""What a kernel needs against what a device has.

In: an Analysis and a device. Out: nothing, or a CapabilityError that lists all that is lacking,
each with the place of its first use.
Holds: every back end refuses in these words, and before anything is emitted.
"""

from __future__ import annotations

from collections.abc import Iterator

from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.requirements import Requirements
from kernelkit.backend import Capabilities, Device
from kernelkit.errors import CapabilityError, Diagnostic, Span

#: Yes-or-no needs, with what they are called and what to do without.
_FEATURES: dict[str, tuple[str, str]] = {
    "warp_operations": ("warp operations", "exchange values through shared memory"),
    "barriers": ("barriers", "split the kernel in two launches"),
    "shared_memory": ("shared memory", "use a global array"),
    "printing": ("printing", "write to an array and print that"),
    "assertions": ("assertions", "write a flag to an array"),
}
#: dtype that is missing -> what comes nearest.
_NEAREST = {
    "float16": "float32", "float64": "float32", "complex128": "complex64", "int64": "int32",
    "uint64": "uint32",
}  # fmt: skip


def check_requirements(analysis: Analysis, device: Device) -> None:
    """Refuse a kernel that needs what a device does not have."""
    kernel, can = analysis.kernel, device.target.capabilities
    found = list(_lacking(analysis.requirements, can))
    if kernel.options.reproducible and not can.reproducible:
        found.append((kernel.span, "reproducible floating point", "drop reproducible=True"))
    if found:
        raise CapabilityError(
            "\n".join(
                str(
                    Diagnostic(
                        span, f"{kernel.name} needs {what}, which {device.name} lacks; {instead}"
                    )
                )
                for span, what, instead in found
            )
        )


def _lacking(needs: Requirements, can: Capabilities) -> Iterator[tuple[Span, str, str]]:
    """(where, what, what to do instead) for each thing that is not there."""
    for dtype in sorted(needs.dtypes - can.dtypes):
        near = _NEAREST.get(dtype)
        instead = f"use {near}" if near in can.dtypes else "use another dtype"
        yield needs.spans[dtype], dtype, instead
    for need in sorted(needs.atomics):
        op, dtype = need
        if dtype not in can.atomics:
            able = ", ".join(sorted(can.atomics)) or "none"
            yield needs.spans[need], f"atomic.{op} on {dtype}", f"it has atomics on: {able}"
    for name, (what, instead) in _FEATURES.items():
        if getattr(needs, name) and not getattr(can, name):
            yield needs.spans[name], what, instead
