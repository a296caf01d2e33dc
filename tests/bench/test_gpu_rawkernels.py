"""The kernels by hand are right: compiled as C++ for the host, with threads for threads."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelkit.bench.gpu_cases import CASES
from kernelkit.bench.gpu_launches import Launch
from kernelkit.bench.gpu_rawkernels import SOURCES

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no g++")

BY_NAME = {case.name: case for case in CASES}
#: Of each case a size that blocks do not fit.
SIZES = {name: min(case.small, key=lambda size: abs(np.prod(size) - 900)) for name, case in BY_NAME.items()}  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """All kernels in one library, each with a function that launches it."""
    folder = tmp_path_factory.mktemp("rawkernels")
    parts = [f'#include "{HERE / "cuda_on_host.hpp"}"']
    for name, source in SOURCES.items():
        parameters = re.search(rf"\b{name}\((.*?)\)", source, re.DOTALL)[1]
        names = re.findall(r"(\w+)(?=,|$)", parameters)
        body = source.replace('extern "C"', "static")
        defines = re.findall(r"#define (\w+)", source)
        parts += [
            f"namespace of_{name} {{{body}}}",
            f'extern "C" void launch_{name}(Place grid, Place block, {parameters}) {{',
            f"    launch(grid, block, [=] {{ of_{name}::{name}({', '.join(names)}); }});",
            "}",
            *(f"#undef {define}" for define in defines),
        ]
    file = folder / "kernels.cpp"
    file.write_text("\n".join(parts))
    command = [COMPILER, "-std=c++20", "-O1", "-w", "-shared", "-fPIC", "-pthread"]
    done = subprocess.run(
        [*command, "-o", folder / "kernels.so", file], capture_output=True, text=True
    )
    if done.returncode and "barrier: No such file" in done.stderr:
        pytest.skip("this g++ has no barriers of C++20")
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(folder / "kernels.so"))


class Place(ctypes.Structure):
    _fields_ = [(axis, ctypes.c_int) for axis in "xyz"]


def run(library: Any, name: str, launch: Launch, grid: tuple[int, ...]) -> None:
    def passed(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return ctypes.c_void_p(value.ctypes.data)
        return {np.float32: ctypes.c_float, np.int32: ctypes.c_int}[type(value)](value)

    sides = [Place(*(*side, 1, 1)[:3]) for side in (grid, launch.block)]
    getattr(library, f"launch_{name}")(*sides, *map(passed, launch.for_c))


@pytest.mark.parametrize("name", SOURCES)
def test_kernels_by_hand_are_right(name, library):
    problem = BY_NAME[name].problem(*SIZES[name])
    launch = BY_NAME[name].launch(np.array, *problem.inputs)
    launch.prepare()
    run(library, name, launch, (3,) if name in ("total", "histogram") else launch.grid)
    problem.check(launch.result)
