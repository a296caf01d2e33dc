"""The conformance suite in the ways in which the default run of it does not go.

pytest's own run of it is on the back end that NumPy arrays have by default. Here it is run on the
reference, with the checks of debug kernels, and with the vectors of other processors.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.parametrize("way", WAYS)
def test_conformance(way: str, tmp_path: Path) -> None:
    backend, settings = WAYS[way]
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
            "--pyargs", "kernelkit.conformance", f"--kernelkit-backend={backend}",
        ],
        capture_output=True, text=True, cwd=tmp_path, timeout=1200, env=os.environ | settings,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2000:]
    passed, *rest = re.findall(r"(\d+) (\w+)", done.stdout.splitlines()[-1].partition(" in ")[0])
    assert int(passed[0]) > 1000
    assert (passed[1], rest) == ("passed", [])  # and nothing skipped
