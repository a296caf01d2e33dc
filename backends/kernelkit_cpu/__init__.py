"""The CPU back end, `cpu`: a block is a loop, a warp is a vector.

Kernels become LLVM code with explicit vectors, and their blocks run on all cores.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kernelkit.backend import PROTOCOL, Artifact, Binary, Capabilities, Device, HostMemory, Target
from kernelkit.errors import BackendError
from kernelkit_cpu import pool
from kernelkit_cpu.launch import CpuExecutable
from kernelkit_cpu.targets import CpuTarget, chosen

if TYPE_CHECKING:
    from kernelkit.analysis.pipeline import Analysis
    from kernelkit.analysis.shape import Block, Shape
    from kernelkit.ir.nodes import Kernel

__all__ = ["CpuBackend", "backend"]

#: What H100 has is what kernels may ask for.
SHARED_BYTES = 227 * 1024


class CpuBackend:
    """Meets `kernelkit.backend.Backend`. `target` and `lanes` are what tests force."""

    protocol: int = PROTOCOL
    #: What compile makes is worth keeping on disk.
    cached: bool = True

    def __init__(
        self, name: str = "cpu", target: CpuTarget | None = None, lanes: int | None = None
    ) -> None:
        self.name = name
        self.lanes = lanes
        self.cache: pool.Cache | None = None
        self._target = target

    def variant(self, text: str) -> CpuBackend:
        """Another of its kind, for tests: "avx2" for an instruction set, "native:64" for lanes too."""
        preset, _, lanes = text.partition(":")
        name = f"{self.name}-{text.replace(':', '-')}"
        return CpuBackend(name, CpuTarget.parse(preset), int(lanes) if lanes else None)

    def cache_key(self) -> str:
        from kernelkit_cpu.llvm import versions

        return f"{versions()}, lanes {self.lanes}"

    def cpu(self) -> CpuTarget:
        if self._target is None:
            self._target = chosen()
        return self._target

    def probe(self) -> tuple[Device, ...]:
        if self.why_unavailable():
            return ()
        cpu = self.cpu()
        can = Capabilities(shared_bytes=SHARED_BYTES)
        target = Target(cpu.name, can, cpu.features)
        label = f"{platform.machine()} {cpu.name} with {cpu.bits}-bit vectors"
        return (Device(self.name, 0, label, target),)

    def why_unavailable(self) -> str:
        if sys.platform == "win32":
            return "its threads are POSIX threads, which Windows has not; use WSL"
        try:
            return self.cpu().why_not_here()
        except BackendError as error:  # KERNELKIT_CPU names no CPU
            return str(error)
        except ImportError as error:
            return (
                f"llvmlite, which makes its code, cannot be imported ({error}); install it anew: "
                "pip install --force-reinstall llvmlite"
            )

    def shape(self, kernel: Kernel, block: Block, target: Target) -> Shape:
        from kernelkit_cpu.shape import choose_shape

        return choose_shape(kernel, block, self._parsed(target), self.lanes)

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        from kernelkit_cpu.emit import emit

        return emit(analysis, self._parsed(target), self.lanes)

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        from kernelkit_cpu.llvm import optimise_and_compile

        data = optimise_and_compile(artifact.text, self._parsed(target))
        return Binary(data, json.loads(json.dumps(artifact.metadata)))

    def load(self, binary: Binary, device: Device) -> CpuExecutable:
        from kernelkit_cpu.llvm import load_object

        return CpuExecutable(load_object(binary.data), binary.metadata, self.cache)

    def memory(self, device: Device) -> HostMemory:
        return HostMemory()

    def set_num_threads(self, number: int) -> None:
        pool.set_num_threads(number)

    def get_num_threads(self) -> int:
        return pool.get_num_threads()

    @property
    def forms(self) -> dict[str, Callable[[Analysis, Target], str]]:
        """What `kernel.inspect` shows of this back end."""
        return {"llvm": self._llvm, "asm": self._assembly, "report": self._report}

    def _llvm(self, analysis: Analysis, target: Target) -> str:
        from kernelkit_cpu.llvm import optimised

        return optimised(self.emit(analysis, target).text, self._parsed(target))

    def _assembly(self, analysis: Analysis, target: Target) -> str:
        from kernelkit_cpu.llvm import assembly

        return assembly(self.emit(analysis, target).text, self._parsed(target))

    def _report(self, analysis: Analysis, target: Target) -> str:
        from kernelkit_cpu.emit import report

        return report(analysis, self._parsed(target), self.lanes)

    def _parsed(self, target: Target) -> CpuTarget:
        return CpuTarget.parse(target.name, target.features)


backend: Final = CpuBackend()
