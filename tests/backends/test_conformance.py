"""The conformance suite in the ways in which the default run of it does not go.

pytest's own run of it is on the back end that NumPy arrays have by default. Here it is run on the
reference, with the checks of debug kernels, with the vectors of other processors, and on each
OpenCL device.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opencl_devices import FOUND, each_device

import kernelkit as kk
import kernelkit.conformance
from kernelkit.backend import Capabilities
from kernelkit_cpu.targets import CpuTarget, chosen

#: (back end, what the environment says).
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "python": ("python", {}),
    "cpu, debug": ("cpu", {"KERNELKIT_DEBUG": "1"}),
} | {
    f"cpu, {preset}": ("cpu", {"KERNELKIT_CPU": preset})
    for preset in ("sse2", "avx2", "avx512", "neon")
    if CpuTarget.parse(preset).runs_here() and CpuTarget.parse(preset).bits != chosen().bits
}

#: What a back end may leave out: PoCL has no subgroups.
LACKS = {"Portable Computing Language": "test_warps"}
SUITE = Path(kernelkit.conformance.__path__[0])


def run_suite(what: str, backend: str, settings: dict[str, str], folder: Path) -> dict[str, int]:
    """How many tests passed, failed, were skipped."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
            "--pyargs", what, f"--kernelkit-backend={backend}",
        ],
        capture_output=True, text=True, cwd=folder, timeout=1200, env=os.environ | settings,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2000:]
    counts = re.findall(r"(\d+) (\w+)", done.stdout.splitlines()[-1].partition(" in ")[0])
    return {name: int(count) for count, name in counts}


@pytest.mark.parametrize("way", WAYS)
def test_conformance(way: str, tmp_path: Path) -> None:
    counts = run_suite("kernelkit.conformance", *WAYS[way], tmp_path)
    assert counts.pop("passed") > 1000
    assert counts == {}  # and nothing skipped


@each_device
@pytest.mark.parametrize("room", sorted(path.stem for path in SUITE.glob("test_*.py")))
def test_conformance_of_opencl(room: str, device: Any, tmp_path: Path) -> None:
    """In parts, so that they run side by side."""
    backend = f"opencl:{FOUND.devices.index(device)}"
    counts = run_suite(f"kernelkit.conformance.{room}", backend, {}, tmp_path)
    assert counts.pop("passed") > 0
    assert not counts or LACKS.get(device.platform.name) == room or not can(backend).reproducible


def can(backend: str) -> Capabilities:
    with kk.use(backend):
        return kk.current_device().target.capabilities
