"""Intel's CPU runtime: floats as IEEE has them.

In: a kernel's text. Out: a text, and options for its build.
Holds: only that runtime gets them.

Its compiler takes liberties that OpenCL gives only under -cl-unsafe-math-optimizations. It makes
vectors of a loop that sums floats, in blocks that are not full, and so adds in another order. Where
FP_CONTRACT is off, NaN * 0 becomes 0 in functions that it expands late. None of clang's pragmas
about floats keeps it from that; -cl-opt-disable does, which costs a reproducible kernel much of its
speed. Other kernels may sum in any order; in them functions are expanded early.
"""

from __future__ import annotations

from typing import Any, Final

from kernelkit_opencl.devices import is_cpu

_LATE: Final = "static inline "
_EARLY: Final = f"{_LATE}__attribute__((always_inline)) "


def takes_liberties(device: Any) -> bool:
    """Whether a device is one of that runtime's."""
    return "Intel" in device.platform.name and is_cpu(device)


def strict(text: str, reproducible: bool) -> tuple[str, list[str]]:
    if reproducible:
        return text, ["-cl-opt-disable"]
    return text.replace(_LATE, _EARLY), []
