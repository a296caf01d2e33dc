"""Every example is short, runs by itself, and says how it compares with NumPy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_there_are_examples():
    assert {"hello", "histogram", "mandelbrot", "tiled_blur", "warp_sum"} <= {
        path.stem for path in EXAMPLES
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, tmp_path):
    assert len(path.read_text().splitlines()) <= 120
    done = subprocess.run(
        [sys.executable, "-W", "error", path],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "NumPy" in done.stdout
    assert done.stderr == ""
