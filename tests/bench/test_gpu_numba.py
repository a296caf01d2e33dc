"""The kernels in plain numba.cuda are right, as far as Numba's simulator goes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("numba", reason="numba is not installed")

#: In a process of its own, for Numba decides when it is imported. Shuffles it does not simulate.
PROGRAM = """
import numpy as np
from numba import cuda
from kernelkit.bench import gpu_numba
from kernelkit.bench.gpu_cases import CASES

for case in CASES:
    if case.name != "total":
        size = min(case.small, key=np.prod)
        problem = case.problem(*size)
        launch = case.launch(cuda.to_device, *problem.inputs)
        launch.prepare()
        grid = tuple(min(side, 3) for side in launch.grid) if case.name == "histogram" else launch.grid
        getattr(gpu_numba, case.name)[grid, launch.block](*launch.arguments)
        problem.check(launch.result.copy_to_host())
        print(case.name)
"""


def test_they_are_right_in_the_simulator():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300,
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert len(run.stdout.split()) == 7
