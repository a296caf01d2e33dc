"""The reference back end, `python`: kernels as Python printed from the typed IR.

Slow, exact and talkative: every access is checked, `breakpoint()` stops in the user's own source,
and a fault names array, index, block, thread, file and line. `schedule` changes the order in which
blocks and threads run.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.shape import Block, Shape
from kernelkit.backend import (
    PROTOCOL,
    Artifact,
    Binary,
    Capabilities,
    Device,
    HostMemory,
    LaunchConfig,
    Target,
)
from kernelkit.emit.python import print_kernel
from kernelkit.ir.nodes import Kernel
from kernelkit.ir.scalar import from_constant
from kernelkit.ir.types import DTYPES, DType
from kernelkit_python.dialect import REFERENCE
from kernelkit_python.order import schedule
from kernelkit_python.program import Program, annotated, from_bytes, metadata, to_bytes
from kernelkit_python.scheduler import launch

__all__ = ["backend", "schedule"]


class ReferenceExecutable:
    """A kernel, ready to run on this interpreter."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._dtypes: list[DType | None] = [
            None if name is None else DTYPES[name] for name in program.parameters
        ]

    def launch(self, config: LaunchConfig, args: Sequence[Any], stream: object) -> None:
        values = [
            np.asarray(value) if dtype is None else from_constant(dtype, value)
            for dtype, value in zip(self._dtypes, args, strict=True)
        ]
        launch(self._program, config, values)


class ReferenceBackend:
    """Meets `kernelkit.backend.Backend`."""

    name: str = "python"
    protocol: int = PROTOCOL

    def probe(self) -> tuple[Device, ...]:
        version = ".".join(platform.python_version_tuple()[:2])
        implementation = platform.python_implementation()
        target = Target(f"{implementation.lower()}-{version}", Capabilities())
        return (Device(self.name, 0, f"{implementation} {version} reference", target),)

    def why_unavailable(self) -> str:
        return ""

    def shape(self, kernel: Kernel, block: Block, target: Target) -> Shape:
        return Shape(block)

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        source = print_kernel(analysis.kernel, REFERENCE)
        extra = metadata(source, analysis.kernel)
        return Artifact(annotated(source, extra), extra)

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        return Binary(to_bytes(artifact.text, artifact.metadata))

    def load(self, binary: Binary, device: Device) -> ReferenceExecutable:
        return ReferenceExecutable(from_bytes(binary.data))

    def memory(self, device: Device) -> HostMemory:
        return HostMemory()


backend: Final = ReferenceBackend()
