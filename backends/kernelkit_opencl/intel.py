"""Intel's CPU runtime: floats as IEEE has them.

In: a kernel's text. Out: a text that its compiler takes fewer liberties with.
Holds: only that runtime gets it.

Its compiler does what OpenCL allows only under -cl-unsafe-math-optimizations. It makes vectors of a
loop that sums floats, in blocks that are not full, and so adds in another order; and where
FP_CONTRACT is off, NaN * 0 becomes 0 in functions that it expands late. None of clang's pragmas
about floats keeps it from that. -cl-opt-disable does, but subgroups have one thread then. So functions
are expanded early; in reproducible kernels loops stay loops, and products of complex numbers, where
a part is often known to be 0, stay calls.
"""

from __future__ import annotations

import re
from typing import Any, Final

from kernelkit_opencl.devices import is_cpu

_LATE: Final = "static inline "
_EARLY: Final = f"{_LATE}__attribute__((always_inline)) "
#: Functions of complex numbers that multiply.
_COMPLEX: Final = re.compile(r"(__attribute__\(\()always_inline(\)\) c\d+ kk_(?:mul|truediv)_c)")
_LOOP: Final = re.compile(r"^([ \t]*)((?:for|while) \()", re.MULTILINE)
_PRAGMA: Final = "#pragma clang loop vectorize(disable)"


def takes_liberties(device: Any) -> bool:
    """Whether a device is one of that runtime's."""
    return "Intel" in device.platform.name and is_cpu(device)


def strict(text: str, reproducible: bool) -> str:
    early = text.replace(_LATE, _EARLY)
    if reproducible:
        early = _COMPLEX.sub(r"\1noinline\2", early)
    return _LOOP.sub(rf"{_PRAGMA}\n\1\2", early) if reproducible else early
