"""What compiled kernels take of a device: registers, spills, stack and shared memory.

In: what ptxas says with `--ptxas-options=-v`. Out: Resources, as figures and as a text.
"""

from __future__ import annotations

import re
from typing import Any, Final

from kernelkit.records import record

_ENTRY: Final = re.compile(r"Compiling entry function '([^']+)' for '([^']+)'")
_FIGURES: Final = {
    "registers": re.compile(r"Used (\d+) registers"),
    "stack_bytes": re.compile(r"(\d+) bytes stack frame"),
    "spill_stores": re.compile(r"(\d+) bytes spill stores"),
    "spill_loads": re.compile(r"(\d+) bytes spill loads"),
    "shared_bytes": re.compile(r"(\d+) bytes smem"),
    "local_bytes": re.compile(r"(\d+) bytes lmem"),
    "constant_bytes": re.compile(r"(\d+) bytes cmem\[[1-9]\d*\]"),
    "barriers": re.compile(r"used (\d+) barriers"),
}


@record
class Resources:
    """Registers for each thread; the rest in bytes: for each thread, but for `shared_bytes`, which
    are static and for each block. `stack_bytes` hold local arrays and what is spilled."""

    kernel: str
    architecture: str
    registers: int = 0
    stack_bytes: int = 0
    spill_stores: int = 0
    spill_loads: int = 0
    shared_bytes: int = 0
    local_bytes: int = 0
    constant_bytes: int = 0
    barriers: int = 0

    @property
    def in_local_memory(self) -> bool:
        """Whether a thread keeps anything outside of registers."""
        return bool(self.stack_bytes or self.spill_stores or self.spill_loads or self.local_bytes)

    def __str__(self) -> str:
        return (
            f"{self.kernel} on {self.architecture}: {self.registers} registers; "
            f"{self.spill_stores} bytes of spill stores, {self.spill_loads} bytes of spill loads; "
            f"{self.stack_bytes} bytes of stack; {self.shared_bytes} bytes of static shared memory"
        )


def parse(log: str) -> dict[str, Resources]:
    """The resources of each kernel in a log."""
    pieces = _ENTRY.split(log)[1:]
    found: dict[str, Resources] = {}
    for kernel, architecture, said in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        figures: dict[str, Any] = {}
        for name, pattern in _FIGURES.items():
            match = pattern.search(said)
            if match is not None:
                figures[name] = int(match[1])
        found[kernel] = Resources(kernel, architecture, **figures)
    return found
