"""The kernels in plain numba.cuda are right, as far as Numba's simulator goes, and ours become code
like theirs on the same road."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from kernelkit import registry
from kernelkit.analysis.pipeline import analyse
from kernelkit.analysis.shape import Shape
from kernelkit.bench.gpu_cases import CASES, Case
from kernelkit.runtime.arguments import read
from kernelkit.runtime.variants import NOALIAS

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


def ours(case: Case) -> str:
    """The PTX of our kernel by the back end `numba`, for arrays that do not overlap."""
    from kernelkit_numba import backend
    from kernelkit_numba.capabilities import gpu

    launch = case.launch(lambda array: array, *case.problem(*case.small[0]).inputs)
    kernel = case.ours
    reading = read(kernel.parameters, kernel.parameters.bind(launch.arguments, {}))
    block = kernel[launch.grid, launch.block].block
    made: Any = kernel.specialiser.analyse(registry.place("python"), block, reading)
    analysis = analyse(made.analysed(NOALIAS).kernel, Shape(block))
    return backend.forms["ptx"](analysis, gpu((9, 0)))


def plain(case: Case) -> str:
    import numba
    from numba import cuda

    from kernelkit.bench import gpu_numba

    launch = case.launch(lambda array: array, *case.problem(*case.small[0]).inputs)
    signature = tuple(map(numba.typeof, launch.arguments))
    return cuda.compile_ptx(getattr(gpu_numba, case.name).py_func, signature, cc=(9, 0))[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ours_is_unrolled_as_the_plain_one_is(case):
    devices = pytest.importorskip("kernelkit_numba.devices")
    if why := devices.why_missing():
        pytest.skip(why)
    assert ours(case).count("ld.global") >= plain(case).count("ld.global")
