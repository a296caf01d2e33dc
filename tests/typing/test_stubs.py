"""What an editor's type checker says of kernels: right ones pass, misspelt names do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RIGHT = """
import numpy as np
import kernelkit as kk
from kernelkit import atomic, shared, syncthreads, threadIdx

@kk.device
def twice(x: float) -> float:
    return 2 * x

@kk.kernel(reproducible=True)
def right(a: np.ndarray, n: int, radius: kk.constexpr) -> None:
    x, y = kk.grid(2)
    i = kk.grid(1) + threadIdx.x
    tile = shared.array((radius, 4), np.float32)
    tile[0, kk.laneid] = twice(a[i])
    syncthreads()
    if kk.syncthreads_count(i < n) > 3 and kk.any_sync(0xFFFFFFFF, x > y):
        atomic.add(a, (0, 1), kk.shfl_down_sync(0xFFFFFFFF, tile[0, 0], 1))

a = np.zeros((3, 4), np.float32)
right[(1, 2), 32](a, 3, 2)
right.forall(a.shape)(a, 3, 2)
right.on("python")[1, 1, None, 128](a, 3, 2)
print(kk.__version__)
"""
WRONG = """
import numpy as np
import kernelkit as kk

@kk.kernel
def wrong(a: np.ndarray, n: int) -> None:
    i = kk.threadIdx.w
    t = kk.shared.array(3)
    kk.syncthread()
    v = kk.popc("x")

wrong[1, 2](np.zeros(3), "no")
"""


def check(text: str, folder: Path) -> list[str]:
    path = folder / "sample.py"
    path.write_text(text)
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "backends")))
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent",
         "--disable-error-code=type-arg", "--config-file=", str(path)],
        capture_output=True, text=True, env=os.environ | {"MYPYPATH": paths}, cwd=folder,
    )  # fmt: skip
    return [line for line in run.stdout.splitlines() if line.startswith("sample.py")]


def test_a_right_kernel_passes_strict_checking(tmp_path):
    assert check(RIGHT, tmp_path) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (7, '"Dim3" has no attribute "w"'),
        (8, 'Missing positional argument "dtype"'),
        (9, 'Module has no attribute "syncthread"'),
        (10, 'expected "int"'),
        (12, 'incompatible type "str"; expected "int"'),
    ],
)
def test_mistakes_are_found(line, message, wrong):
    assert any(text.startswith(f"sample.py:{line}:") and message in text for text in wrong)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    return check(WRONG, tmp_path_factory.mktemp("typing"))
