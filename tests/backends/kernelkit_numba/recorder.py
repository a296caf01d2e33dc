"""Records every kernel of the conformance suite as the Numba back end prints it; no device is needed.

In: `python recorder.py OUT.jsonl`. Out: a line of JSON for each text: text and metadata.
Holds: kernels run on the reference, so the suite goes on as it would on a GPU.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import kernelkit_numba
import kernelkit_python
from kernelkit import registry
from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.shape import Shape
from kernelkit.backend import PROTOCOL, Artifact, Binary, Device, HostMemory, Target
from kernelkit_numba.capabilities import gpu

NAME = "recorder"


class Recorder:
    """A back end that prints numba.cuda Python and runs the reference's."""

    name = NAME
    protocol = PROTOCOL
    rounds = True

    def __init__(self) -> None:
        self.found: dict[str, None] = {}

    def probe(self) -> tuple[Device, ...]:
        return (Device(NAME, 0, "recorder of numba.cuda", gpu((9, 0))),)

    def why_unavailable(self) -> str:
        return ""

    def shape(self, kernel: Any, block: Any, target: Target) -> Shape:
        return kernelkit_numba.backend.shape(kernel, block, target)

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        artifact = kernelkit_numba.backend.emit(analysis, target)
        self.found[json.dumps({"text": artifact.text, "metadata": artifact.metadata})] = None
        return kernelkit_python.backend.emit(analysis, target)

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        return kernelkit_python.backend.compile(artifact, target)

    def load(self, binary: Binary, device: Device) -> Any:
        return kernelkit_python.backend.load(binary, device)

    def memory(self, device: Device) -> HostMemory:
        return HostMemory()


def main(out: str) -> None:
    os.environ["KERNELKIT_CACHE"] = "0"
    recorder = Recorder()
    registry.register(recorder)
    status = pytest.main(
        [
            "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
            "--pyargs", "kernelkit.conformance", f"--kernelkit-backend={NAME}",
        ]
    )  # fmt: skip
    assert status == 0
    Path(out).write_text("".join(f"{line}\n" for line in recorder.found))


if __name__ == "__main__":
    main(*sys.argv[1:])
