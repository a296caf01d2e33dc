"""The conformance suite on a GPU that is the host: what the back end prints, packs, launches and
reports is the real thing; the compiler, the driver and CuPy are not (see emulator.py)."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kernelkit_cuda import nvrtc

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing()),
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="it is written for x86-64"),
]


@pytest.mark.parametrize("debug", ["0", "1"], ids=["release", "debug"])
def test_the_conformance_suite(debug: str, tmp_path: Path) -> None:
    environment = os.environ | {"KERNELKIT_DEBUG": debug}
    suite = ("--pyargs", "kernelkit.conformance")
    kernels = str(tmp_path / "kernels.jsonl")
    for program, *arguments in (
        ("recorder.py", kernels, "conformance"),
        ("emulator.py", kernels, *suite),
    ):
        done = subprocess.run(
            [sys.executable, str(HERE / program), *arguments],
            capture_output=True, text=True, cwd=tmp_path, timeout=1200, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2000:]
    (counts,) = re.findall(r"^(\d+ .*) in .*$", done.stdout, re.MULTILINE)
    found = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", counts)}
    assert found.pop("passed") > 1500
    assert set(found) <= {"warning", "warnings"}, counts  # and nothing skipped
