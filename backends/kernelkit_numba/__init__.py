"""The back end `numba`: kernels as numba.cuda Python, compiled by the numba-cuda package.

In: analyses. Out: text, machine code for one NVIDIA architecture, launches.
Holds: importing this package imports no Numba; `compile` needs its wheels and no device. With
NUMBA_ENABLE_CUDASIM=1 kernels run in Numba's simulator, on arrays of NumPy.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.shape import Block, Shape
from kernelkit.backend import (
    PROTOCOL,
    Artifact,
    Binary,
    Device,
    Executable,
    HostMemory,
    Memory,
    Target,
)
from kernelkit.ir.nodes import Kernel
from kernelkit_numba.capabilities import SIMULATOR, simulated

if TYPE_CHECKING:
    from kernelkit_numba.memory import NumbaMemory

__all__ = ["NumbaBackend", "backend"]


def _simulates() -> bool:
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


class NumbaBackend:
    """Meets `kernelkit.backend.Backend`."""

    name: str = "numba"
    protocol: int = PROTOCOL
    cached: bool = True
    #: Numbers are passed as what their parameters are.
    rounds: bool = True

    def __init__(self) -> None:
        self._found: tuple[tuple[Device, ...], str] | None = None
        self._memories: dict[int, NumbaMemory] = {}

    # ------------------------------------------------------------ what there is
    def probe(self) -> tuple[Device, ...]:
        return self._probed()[0]

    def why_unavailable(self) -> str:
        return self._probed()[1]

    def _probed(self) -> tuple[tuple[Device, ...], str]:
        if self._found is None:
            if _simulates():
                self._found = (simulated(self.name),), ""
            else:
                from kernelkit_numba.devices import find

                self._found = find(self.name)
        return self._found

    def cache_key(self) -> str:
        from kernelkit_numba.devices import versions

        return versions()

    # ------------------------------------------------------------ from a kernel to a launch
    def shape(self, kernel: Kernel, block: Block, target: Target) -> Shape:
        return Shape(block)

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        from kernelkit_numba.printing import printed

        return Artifact(*printed(analysis))

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        if target.name == SIMULATOR:
            return Binary(artifact.text.encode(), artifact.metadata)
        from kernelkit_numba.compiling import to_binary

        return to_binary(artifact, target)

    def load(self, binary: Binary, device: Device) -> Executable:
        if device.target.name == SIMULATOR:
            from kernelkit_numba.simulation import SimulatedExecutable

            return SimulatedExecutable(binary.data.decode(), binary.metadata)
        from kernelkit_numba.launch import NumbaExecutable

        return NumbaExecutable(binary, device)

    def memory(self, device: Device) -> Memory:
        if device.target.name == SIMULATOR:
            return HostMemory()
        found = self._memories.get(device.index)
        if found is None:
            from kernelkit_numba.memory import NumbaMemory

            found = self._memories[device.index] = NumbaMemory(device.index)
        return found

    # ------------------------------------------------------------ to be looked at
    @property
    def forms(self) -> dict[str, Callable[[Analysis, Target], str]]:
        """What `kernel.inspect` shows of this back end."""
        return {"ptx": self._ptx}

    def _ptx(self, analysis: Analysis, target: Target) -> str:
        from kernelkit_numba.capabilities import architecture
        from kernelkit_numba.compiling import to_ptx

        artifact = self.emit(analysis, target)
        return to_ptx(artifact.text, artifact.metadata, architecture(target))


backend: Final = NumbaBackend()
