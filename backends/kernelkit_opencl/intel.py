"""Intel's CPU runtime: floats as IEEE has them.

In: a kernel's text. Out: a text that its compiler takes fewer liberties with.
Holds: only that runtime gets it.

Its compiler does what OpenCL allows only under -cl-unsafe-math-optimizations. It makes vectors of a
loop that sums floats, in blocks that are not full, and so adds in another order; and where
FP_CONTRACT is off, NaN * 0 becomes 0 in functions that it expands late. None of clang's pragmas
about floats keeps it from that. -cl-opt-disable does, but subgroups have one thread then. So loops
stay loops in reproducible kernels, and functions are expanded early.
"""

from __future__ import annotations

import re
from typing import Any, Final

from kernelkit_opencl.devices import is_cpu

_LATE: Final = "static inline "
_EARLY: Final = f"{_LATE}__attribute__((always_inline)) "
_LOOP: Final = re.compile(r"^([ \t]*)((?:for|while) \()", re.MULTILINE)
_PRAGMA: Final = "#pragma clang loop vectorize(disable)"


def takes_liberties(device: Any) -> bool:
    """Whether a device is one of that runtime's."""
    return "Intel" in device.platform.name and is_cpu(device)


def strict(text: str, reproducible: bool) -> str:
    early = text.replace(_LATE, _EARLY)
    return _LOOP.sub(rf"{_PRAGMA}\n\1\2", early) if reproducible else early
