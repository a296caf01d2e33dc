"""Every kernel of the conformance suite, the examples, the demo and the benchmarks is compiled to
machine code, for GPUs old and new; no GPU is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernelkit_cuda import nvrtc

HERE = Path(__file__).parent
EXAMPLES = sorted((HERE.parents[2] / "examples").glob("*.py"))

pytestmark = pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing())


def architectures() -> tuple[str, ...]:
    return tuple(dict.fromkeys(("sm_90", "sm_75", "sm_80", nvrtc.newest())))


def recorded(program: str, folder: Path, **settings: str) -> list[dict[str, Any]]:
    """What a program launches, run on the reference in a process of its own."""
    out = folder / "kernels.jsonl"
    done = subprocess.run(
        [sys.executable, str(HERE / "recorder.py"), str(out), program],
        capture_output=True, text=True, cwd=folder, timeout=1200, env=os.environ | settings,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_every_kernel_of_the_conformance_suite_compiles(tmp_path: Path, programs: Any) -> None:
    kernels = recorded("conformance", tmp_path)
    assert len(kernels) > 2000
    for arch in architectures():
        assert sum(1 for _ in programs.compiled(kernels, arch)) == len(kernels)


def test_and_with_the_checks_of_debug_kernels(tmp_path: Path, programs: Any) -> None:
    kernels = recorded("conformance", tmp_path, KERNELKIT_DEBUG="1")
    debugged = [k for k in kernels if k["metadata"]["debug"]]
    assert len(debugged) > 1000
    assert all(k["metadata"]["record"] for k in debugged)
    assert sum(1 for _ in programs.compiled(debugged, "sm_90")) == len(debugged)


@pytest.mark.parametrize(
    "program", ["benchmarks", "demo", *map(str, EXAMPLES)], ids=lambda p: Path(p).stem
)
def test_kernels_made_for_speed_keep_everything_in_registers(
    program: str, tmp_path: Path, programs: Any
) -> None:
    kernels = recorded(program, tmp_path)
    assert kernels
    for arch in architectures():
        found = list(programs.compiled(kernels, arch))
        assert len(found) == len(kernels)
        spilling = [str(resources) for _, resources in found if resources.in_local_memory]
        assert spilling == []


def test_local_arrays_that_are_indexed_at_random_are_seen_to_be_in_local_memory(
    programs: Any,
) -> None:
    """What the test above looks for."""
    text = """extern "C" __global__ void k(int* a, int n) {
        int t[64];
        for (int i = 0; i < 64; i++) t[i] = a[i];
        for (int i = 0; i < n; i++) t[a[i] & 63] += i;
        a[0] = t[a[1] & 63];
    }"""
    metadata = {"name": "k", "reproducible": False}
    ((_, found),) = programs.compiled(
        [{"text": text, "metadata": metadata, "kernel": "k"}], "sm_90"
    )
    assert found.in_local_memory
    assert found.stack_bytes >= 256


def test_the_kernel_that_is_wrong_among_many_is_named(programs: Any) -> None:
    text = 'extern "C" __global__ void k(int* a) { a[0] = %s; }'
    metadata = {"name": "k", "reproducible": False}
    kernels = [
        {"text": text % value, "metadata": metadata, "kernel": name}
        for name, value in (("good", "1"), ("bad", "missing"))
    ]
    with pytest.raises(nvrtc.NvrtcError, match=r"bad\.cu\(1\): error: identifier .missing."):
        list(programs.compiled(kernels, "sm_90"))
