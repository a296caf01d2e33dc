"""What a kernel needs against what a device has.

In: an Analysis and a device. Out: nothing, or a CapabilityError that lists all that is lacking,
each with the place of its first use.
Holds: every back end refuses in these words, and before anything is emitted.
"""

from __future__ import annotations

from collections.abc import Iterator

from kernelkit.analysis.pipeline import Analysis
from kernelkit.backend import Capabilities, Device
from kernelkit.errors import CapabilityError, Diagnostic, Span
from kernelkit.ir.nodes import Kernel, Var

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
    found = list(_lacking(analysis, can))
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


def _lacking(analysis: Analysis, can: Capabilities) -> Iterator[tuple[Span, str, str]]:
    """(where, what, what to do instead) for each thing that is not there."""
    needs = analysis.requirements
    for dtype in sorted(needs.dtypes - can.dtypes):
        near = _NEAREST.get(dtype)
        instead = "use another dtype"
        if near in can.dtypes:
            instead = f"use {near}{_passed(analysis.kernel, dtype, near)}"
        yield needs.spans[dtype], dtype, instead
    for need in sorted(needs.atomics):
        op, dtype = need
        if dtype not in can.atomics:
            able = ", ".join(sorted(can.atomics)) or "none"
            yield needs.spans[need], f"atomic.{op} on {dtype}", f"it has atomics on: {able}"
    for name, (what, instead) in _FEATURES.items():
        if getattr(needs, name) and not getattr(can, name):
            yield needs.spans[name], what, instead


def _passed(kernel: Kernel, dtype: str, near: str | None) -> str:
    """How scalar arguments become of the nearest type: Python's numbers are of the widest."""
    names = [
        f"np.{near}({param.name.removesuffix('.arg')})"
        for param in kernel.params
        if isinstance(param, Var) and param.type.name == dtype
    ]
    return f", and pass {', '.join(names)}" if names else ""
