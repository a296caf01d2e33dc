"""The back end in examples/backend_minimal: installed as anyone's would be, it is found, passes the
suite in all that it claims, and refuses the rest."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "examples" / "backend_minimal"
COMPILER = shutil.which(os.environ.get("CC", "cc"))
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip installed the package into."""
    folder = tmp_path_factory.mktemp("backend_minimal")
    shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    options = ["--no-deps", "--no-build-isolation", "--no-compile", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", folder / "site", "./source"],
        capture_output=True, text=True, cwd=folder, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "site"


def python(installed: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True, text=True, cwd=installed.parent, timeout=900,
        env=os.environ | {"PYTHONPATH": str(installed)} | environment,
    )  # fmt: skip


def test_it_is_short():
    lines = [line for file in SOURCE.rglob("*.py") for line in file.read_text().splitlines()]
    assert 50 < len(lines) < 150


@needs_compiler
def test_it_is_found_through_its_entry_point(installed):
    done = python(installed, "-m", "kernelkit", "devices", "--json")
    (row,) = (row for row in json.loads(done.stdout) if row["backend"] == "cc")
    assert row["usable"] and row["name"] == f"plain C by {COMPILER}"


def test_without_a_compiler_it_says_so(installed):
    done = python(installed, "-m", "kernelkit", "devices", "--json", CC="no-such-compiler")
    (row,) = (row for row in json.loads(done.stdout) if row["backend"] == "cc")
    assert not row["usable"]
    assert row["why"] == "there is no C compiler: install one, or set CC to one"


KERNELS = """
import numpy as np
import kernelkit as kk

@kk.kernel
def reverse(values):
    tile = kk.shared.array(64, np.int64)
    tile[kk.threadIdx.x] = values[kk.threadIdx.x]
    kk.syncthreads()
    values[kk.threadIdx.x] = tile[63 - kk.threadIdx.x]

@kk.kernel
def tell(values):
    print(values[0])

@kk.kernel(debug=True)
def fenced(values):
    values[0] = kk.laneid + 7
    kk.threadfence()
    values[1] = values[0]

for kernel in (reverse, tell):
    try:
        kernel.on("cc")[1, 64](np.arange(64))
    except kk.CapabilityError as error:
        print(str(error).splitlines()[0])
values = np.zeros(2)
fenced.on("cc")[1, 1](values)
print(values)
"""


@needs_compiler
def test_what_it_lacks_is_refused_and_what_is_nothing_there_is_nothing(installed):
    """Kernels that need barriers, shared memory and printing; a fence and checks."""
    (installed.parent / "kernels.py").write_text(KERNELS)
    done = python(installed, "kernels.py")
    assert done.returncode == 0, done.stderr
    first, second, last = done.stdout.splitlines()
    assert "reverse needs barriers, which plain C by" in first
    assert "tell needs printing, which plain C by" in second
    assert last == "[7. 7.]"


@needs_compiler
def test_it_conforms(installed):
    done = python(
        installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2",
        "--pyargs", "kernelkit.conformance", "--kernelkit-backend=cc",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    passed, skipped = (
        int(re.search(rf"(\d+) {word}", done.stdout)[1]) for word in ("passed", "skipped")
    )
    assert passed > 900 and skipped > 0
