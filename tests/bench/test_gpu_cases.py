"""The table's kernels are right, at awkward sizes, on every back end that works on the host; those
by hand compile for old and new GPUs, without spills."""

from __future__ import annotations

import re

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.bench.gpu_cases import CASES
from kernelkit.bench.gpu_rawkernels import SOURCES

HOSTS = [row.backend for row in kk.devices() if row.usable and row.backend in ("cpu", "python")]
SIZES = [(case, size) for case in CASES for size in case.small]
NAMES = [case.name for case in CASES]
#: The reference takes its time for as many blocks as these are launched with.
MANY = ("total", "histogram")


@pytest.mark.parametrize("backend", HOSTS)
@pytest.mark.parametrize(
    ("case", "size"), SIZES, ids=[f"{case.name}-{'x'.join(map(str, size))}" for case, size in SIZES]
)
def test_our_kernels_are_right(case, size, backend):
    problem = case.problem(*size)
    launch = case.launch(lambda array: array, *problem.inputs)
    launch.prepare()
    few = backend == "python" and case.name in MANY
    case.ours.on(backend)[3 if few else launch.grid, launch.block](*launch.arguments)
    problem.check(launch.result)


def test_every_case_has_a_kernel_by_hand():
    assert set(SOURCES) == set(NAMES)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_arrays_are_below_2_gib(case):
    """So that kernels may count in 32 bits, as those by hand do."""
    assert 4 * max(np.prod(case.size[:2]), np.prod(case.size[-2:])) < 2**31


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_c_takes_what_python_takes_and_the_extents(case):
    launch = case.launch(lambda array: array, *case.problem(*case.small[0]).inputs)
    head = re.search(rf"\b{case.name}\((.*?)\)", SOURCES[case.name], re.DOTALL)[1]
    parameters = [part.split() for part in head.split(",")]
    assert len(parameters) == len(launch.for_c)
    for words, argument in zip(parameters, launch.for_c, strict=True):
        if isinstance(argument, np.ndarray) and argument.ndim:
            kind = {"f4": "float*", "i4": "int*", "u1": "char*"}[argument.dtype.str[1:]]
        else:
            kind = {np.float32: "float", np.int32: "int"}[type(argument)]
        assert kind in words


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
@pytest.mark.parametrize("name", NAMES)
def test_kernels_by_hand_compile(name, architecture):
    nvrtc = pytest.importorskip("kernelkit_cuda.nvrtc")
    if why := nvrtc.why_missing():
        pytest.skip(why)
    _, log = nvrtc.compile(SOURCES[name], f"{name}.cu", architecture, ["--ptxas-options=-v"])
    assert "warning" not in log
    assert "0 bytes stack frame, 0 bytes spill stores" in log
