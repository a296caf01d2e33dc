"""Random kernels on PoCL, bit for bit with the reference: the same ones in every run, and some that
no run before had.

A kernel takes 0.3 s of a core, of which PoCL needs a third to build it and a third to compile it for
its block. They run in a process of their own, as a compiler that fails may end the process.
"""

from __future__ import annotations

import random

import pytest
from opencl_devices import FOUND

from kernelkit.testing import differential
from kernelkit.testing.differential import PROGRAMS, Result
from kernelkit_opencl.pocl import is_pocl

PLACES = [f"opencl:{i}" for i, device in enumerate(FOUND.devices) if is_pocl(device)]
pytestmark = pytest.mark.skipif(
    not PLACES,
    reason="PoCL is not among the OpenCL devices here; `pip install pocl-binary-distribution` adds "
    "it, with pyopencl",
)
#: Seeds in a test, and tests of each kind of program.
CHUNK, CHUNKS = 20, 4


def check(program: str, seeds: range | list[int], debug: bool = False) -> None:
    """All of them, but for those that need what PoCL lacks: warp operations of some threads."""
    found: list[Result] = []
    cases = ([differential.Case(program, seed, PLACES[0], debug)] for seed in seeds)
    differential.run(cases, 1, float("inf"), found.append)
    wrong = [f"{result.case}: {result.wrong}" for result in found if result.wrong]
    assert not wrong, "\n".join(wrong)
    assert len(found) == len(seeds)
    if len(seeds) == CHUNK:
        assert sum(result.refused for result in found) <= CHUNK // 2


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("program", PROGRAMS)
def test_known_kernels(program: str, chunk: int) -> None:
    check(program, range(chunk * CHUNK, (chunk + 1) * CHUNK))


@pytest.mark.parametrize("program", PROGRAMS)
def test_kernels_with_checks(program: str) -> None:
    check(program, range(1000, 1005), debug=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_fresh_kernels(program: str) -> None:
    check(program, [random.SystemRandom().randrange(10**6, 2**31) for _ in range(5)])
