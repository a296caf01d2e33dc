"""The OpenCL back end, `opencl`: any device that speaks OpenCL C 1.2, by pyopencl.

GPUs and accelerators of any vendor, and CPUs: PoCL and Intel's runtime come from PyPI.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from kernelkit.analysis.shape import Shape
from kernelkit.backend import PROTOCOL, Artifact, Binary, Device, Target

if TYPE_CHECKING:
    from kernelkit.analysis.pipeline import Analysis
    from kernelkit.analysis.shape import Block
    from kernelkit.ir.nodes import Kernel
    from kernelkit_opencl.launch import OpenclExecutable
    from kernelkit_opencl.memory import OpenclMemory

__all__ = ["OpenclBackend", "backend"]


class OpenclBackend:
    """Meets `kernelkit.backend.Backend`."""

    name: str = "opencl"
    protocol: int = PROTOCOL
    #: Indices of 32 bits are much cheaper on GPUs.
    narrow: bool = True
    #: Numbers are packed as what their parameters are.
    rounds: bool = True

    def probe(self) -> tuple[Device, ...]:
        from kernelkit_opencl.capabilities import label_of, target_of
        from kernelkit_opencl.devices import find

        return tuple(
            Device(self.name, index, label_of(device), target_of(device))
            for index, device in enumerate(find().devices)
        )

    def why_unavailable(self) -> str:
        from kernelkit_opencl.devices import find

        return find().why()

    def shape(self, kernel: Kernel, block: Block, target: Target) -> Shape:
        return Shape(block)

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        from kernelkit_opencl.emission import emit

        return emit(analysis, target)

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        """Drivers compile, for the device that they have: the text is what a cache may keep."""
        data = json.dumps({"text": artifact.text, "features": target.features}).encode()
        return Binary(data, json.loads(json.dumps(artifact.metadata)))

    def load(self, binary: Binary, device: Device) -> OpenclExecutable:
        from kernelkit_opencl.build import options
        from kernelkit_opencl.contexts import home
        from kernelkit_opencl.devices import find
        from kernelkit_opencl.intel import strict, takes_liberties
        from kernelkit_opencl.launch import OpenclExecutable

        found, made = find(), json.loads(binary.data)
        native, text = found.devices[device.index], made["text"]
        asked = options(made["features"].split(), found.processors[device.index])
        if takes_liberties(native):
            text = strict(text, binary.metadata["reproducible"])
        if not binary.metadata.get("optimised", True):
            asked.append("-cl-opt-disable")
        return OpenclExecutable(text, binary.metadata, asked, home(native))

    def memory(self, device: Device) -> OpenclMemory:
        from kernelkit_opencl.contexts import home
        from kernelkit_opencl.devices import find
        from kernelkit_opencl.memory import OpenclMemory

        return OpenclMemory(home(find().devices[device.index]))


backend: Final = OpenclBackend()
