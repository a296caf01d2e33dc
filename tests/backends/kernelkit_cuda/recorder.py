"""Records every kernel that a program launches as the CUDA back end prints it; no device is needed.

In: `python recorder.py OUT.jsonl PROGRAM`: "conformance", "demo", "benchmarks" or the path of an
example. Out: a line of JSON for each text: text, metadata, and the kernel's name.
Holds: kernels run on the reference, so that programs go on as on a GPU. Each is printed as for small
arrays that do not overlap, which is what most launches get, and as for all others.
"""

from __future__ import annotations

import dataclasses
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

import kernelkit_cuda
import kernelkit_python
from kernelkit import registry
from kernelkit.analysis.pipeline import Analysis, analyse
from kernelkit.analysis.shape import Shape
from kernelkit.backend import PROTOCOL, Artifact, Binary, Device, HostMemory, Target

NAME = "recorder"


class Recorder:
    """A back end that prints CUDA and runs Python."""

    name = NAME
    protocol = PROTOCOL
    narrow = True
    rounds = True

    def __init__(self) -> None:
        self.texts: dict[str, dict[str, Any]] = {}

    def probe(self) -> tuple[Device, ...]:
        target = dataclasses.replace(
            kernelkit_cuda.backend.offline("sm_90"), name="sm_90", features="python"
        )
        return (Device(NAME, 0, "recorder of CUDA C", target),)

    def why_unavailable(self) -> str:
        return ""

    def shape(self, kernel: Any, block: Any, target: Target) -> Shape:
        return kernelkit_cuda.backend.shape(kernel, block, target)

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        self._record(analysis, target)
        wide = dataclasses.replace(analysis.kernel.options, noalias=False, small=False)
        if wide != analysis.kernel.options:
            kernel = dataclasses.replace(analysis.kernel, options=wide)
            self._record(analyse(kernel, analysis.shape), target)
        return kernelkit_python.backend.emit(analysis, target)

    def _record(self, analysis: Analysis, target: Target) -> None:
        artifact = kernelkit_cuda.backend.emit(analysis, target)
        lines = artifact.text.splitlines()
        key = "\n".join(line for line in lines if not line.startswith("#line"))
        options = analysis.kernel.options
        self.texts.setdefault(
            key,
            {
                "kernel": analysis.kernel.name,
                "small": options.small,
                "text": artifact.text,
                "metadata": dict(artifact.metadata),
            },
        )

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        return kernelkit_python.backend.compile(artifact, target)

    def load(self, binary: Binary, device: Device) -> Any:
        return kernelkit_python.backend.load(binary, device)

    def memory(self, device: Device) -> HostMemory:
        return HostMemory()


# ---------------------------------------------------------------- programs
def conformance() -> None:
    import pytest

    status = pytest.main(
        [
            "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
            "--pyargs", "kernelkit.conformance", f"--kernelkit-backend={NAME}",
        ]
    )  # fmt: skip
    assert status == 0


def demo() -> None:
    from kernelkit.demo import run
    from kernelkit.demo.images import read_picture

    run.PATIENCE = 0.0
    outcomes = run.run_all(read_picture(None).pixels, [NAME], 48)
    assert not any(outcome.wrong for outcome in outcomes), outcomes


def benchmarks() -> None:
    """Every case of the benchmarks at its least size."""
    import kernelkit as kk
    from kernelkit.bench import cpu_cases

    with kk.use(NAME):
        for case in cpu_cases.CASES:
            problem = case.problem(*min(case.small))
            contender, _ = cpu_cases.load(case.contender)
            runner = contender(*problem.inputs)
            runner.run()
            problem.check(runner.result())
        _gpu_kernels()


def _gpu_kernels() -> None:
    """As on GPUs, but for one block of each: their code is all that is wanted."""
    from kernelkit.bench import gpu_cases

    for case in gpu_cases.CASES:
        launch = case.launch(lambda array: array, *case.problem(*max(case.small)).inputs)
        case.ours[(1,) * len(launch.grid), launch.block](*launch.arguments)


def main(out: str, program: str) -> None:
    os.environ["KERNELKIT_CACHE"] = "0"
    recorder = Recorder()
    registry.register(recorder)
    try:
        if program in ("conformance", "demo", "benchmarks"):
            globals()[program]()
        else:
            os.environ["KERNELKIT_BACKEND"] = NAME
            runpy.run_path(program, run_name="__main__")
    finally:
        lines = (json.dumps(found) for found in recorder.texts.values())
        Path(out).write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
