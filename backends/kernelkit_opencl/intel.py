"""Intel's CPU runtime: sums that stay in order.

In: a kernel's text. Out: the text with a pragma before its loops.
Holds: only reproducible kernels ask for it.

That runtime's compiler makes vectors of a loop that sums floats, in blocks that are not full, and
so adds in another order than the kernel says, which OpenCL does not allow without
-cl-unsafe-math-optimizations. No option and none of clang's pragmas about floats keeps it from that
but -cl-opt-disable, which makes everything slow. This pragma does.
"""

from __future__ import annotations

import re
from typing import Any, Final

from kernelkit_opencl.devices import is_cpu

_LOOP: Final = re.compile(r"^([ \t]*)((?:for|while) \()", re.MULTILINE)
_PRAGMA: Final = "#pragma clang loop vectorize(disable)"


def reorders(device: Any) -> bool:
    """Whether a device is one of that runtime's."""
    return "Intel" in device.platform.name and is_cpu(device)


def in_order(text: str) -> str:
    return _LOOP.sub(rf"{_PRAGMA}\n\1\2", text)
