"""The CUDA back end, `cuda`: CUDA C, compiled by NVRTC, loaded and launched through CuPy.

Compiling needs NVRTC, and neither CuPy nor a device; CuPy is imported when a device is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from kernelkit.backend import PROTOCOL, Artifact, Binary, Device, Target

if TYPE_CHECKING:
    from kernelkit.analysis.pipeline import Analysis
    from kernelkit.analysis.shape import Block, Shape
    from kernelkit.ir.nodes import Kernel
    from kernelkit_cuda.launch import CudaExecutable
    from kernelkit_cuda.memory import CudaMemory
    from kernelkit_cuda.resources import Resources

__all__ = ["CudaBackend", "backend"]

#: `#line` directives tell profilers the lines of the user's file.
_OPTIONS: Final = ("--std=c++17", "--generate-line-info")
#: As IEEE 754 has it, and no contraction.
_REPRODUCIBLE: Final = ("--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false")
_REPORT: Final = "--ptxas-options=-v"


class CudaBackend:
    """Meets `kernelkit.backend.Backend`. `cupy`: what tests put in CuPy's place."""

    name: str = "cuda"
    protocol: int = PROTOCOL
    #: What compile makes is worth keeping on disk.
    cached: bool = True
    #: Kernels are compiled for small arrays where a launch has only such.
    narrow: bool = True
    #: Numbers are packed as what their parameters are.
    rounds: bool = True

    def __init__(self, cupy: Any = None) -> None:
        self._cupy, self._given = cupy, cupy is not None

    def cache_key(self) -> str:
        from kernelkit_cuda import nvrtc

        # A ROCm build compiles by itself.
        return f"NVRTC {nvrtc.library()}" if not nvrtc.why_missing() else "no NVRTC"

    # ------------------------------------------------------------ devices
    def _find(self) -> tuple[Any, str]:
        if self._given:
            return self._cupy, ""
        from kernelkit_cuda.library import find_cupy

        self._cupy, why = find_cupy()
        return self._cupy, why

    def probe(self) -> tuple[Device, ...]:
        from kernelkit_cuda import devices

        try:
            return () if self.why_unavailable() else devices.found(self._cupy)
        except Exception:
            return ()

    def why_unavailable(self) -> str:
        from kernelkit_cuda import devices

        cupy, why = self._find()
        if why:
            return why
        try:
            why = devices.why_none(cupy)
            if not why and not devices.found(cupy):
                return f"its GPUs are older than sm_{devices.OLDEST}, which kernels need"
        except Exception as error:
            return f"CuPy failed while looking for devices: {type(error).__name__}: {error}"
        return why

    def offline(self, arch: str) -> Target:
        """The target of a device that is not at hand; "" for the newest that NVRTC knows."""
        from kernelkit_cuda import devices, nvrtc

        return devices.offline(arch or nvrtc.newest())

    # ------------------------------------------------------------ code
    def shape(self, kernel: Kernel, block: Block, target: Target) -> Shape:
        from kernelkit.analysis.shape import Shape

        return Shape(block)

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        from kernelkit.emit.cstyle.printer import print_kernel
        from kernelkit.ir.nodes import Var
        from kernelkit_cuda import hip
        from kernelkit_cuda.dialect import CUDA

        dialect = hip.dialect(CUDA) if target.name.startswith(hip.PREFIX) else CUDA
        source = print_kernel(analysis, dialect)
        scalars = [p.type.name if isinstance(p, Var) else None for p in analysis.kernel.params]
        return Artifact(source.text, {**source.metadata, "scalars": scalars})

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        metadata = json.loads(json.dumps(artifact.metadata))
        return Binary(self._compiled(artifact, target)[0], metadata)

    def _compiled(self, artifact: Artifact, target: Target) -> tuple[bytes, str]:
        from kernelkit_cuda import hip, nvrtc

        name = f"{artifact.metadata['source']}.cu"
        if target.name.startswith(hip.PREFIX):
            exact = artifact.metadata["reproducible"]
            return hip.compile(self._cupy, artifact.text, name, exact), ""
        return nvrtc.compile(artifact.text, name, target.name, (*options(artifact), _REPORT))

    def load(self, binary: Binary, device: Device) -> CudaExecutable:
        from kernelkit_cuda.launch import CudaExecutable

        return CudaExecutable(self._cupy, device.index, binary.data, binary.metadata)

    def memory(self, device: Device) -> CudaMemory:
        from kernelkit_cuda.memory import CudaMemory

        return CudaMemory(self._cupy, device.index)

    # ------------------------------------------------------------ for people
    @property
    def forms(self) -> dict[str, Callable[[Analysis, Target], str]]:
        """What `kernel.inspect` shows of this back end."""
        return {"ptx": self._ptx, "resources": self._resources}

    def resources(self, analysis: Analysis, target: Target) -> Resources:
        """What a kernel takes of a device."""
        from dataclasses import replace

        from kernelkit.errors import BackendError
        from kernelkit_cuda import nvrtc
        from kernelkit_cuda.resources import parse

        artifact = self.emit(analysis, target)
        _, log = self._compiled(artifact, target)
        found = parse(log).get(artifact.metadata["name"])
        if found is None:
            known = ", ".join(f"sm_{arch}" for arch in nvrtc.library().architectures)
            raise BackendError(
                f"NVRTC {nvrtc.library()} makes no machine code for {target.name}, so what a kernel "
                f"takes of it is not known; it does for {known}"
            )
        # What is carved out of dynamic shared memory, the compiler does not see.
        return replace(found, shared_bytes=found.shared_bytes + artifact.metadata["carved"])

    def _resources(self, analysis: Analysis, target: Target) -> str:
        return str(self.resources(analysis, target))

    def _ptx(self, analysis: Analysis, target: Target) -> str:
        from kernelkit_cuda import nvrtc

        artifact = self.emit(analysis, target)
        name = f"{artifact.metadata['source']}.cu"
        return nvrtc.ptx(artifact.text, name, target.name, options(artifact))


def options(artifact: Artifact) -> tuple[str, ...]:
    """What NVRTC is told for a kernel."""
    return (*_OPTIONS, *(_REPRODUCIBLE if artifact.metadata["reproducible"] else ()))


backend: Final = CudaBackend()
