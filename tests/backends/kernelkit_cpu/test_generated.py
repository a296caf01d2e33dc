"""Random kernels: what the CPU back end makes of them is what the reference does, bit for bit, with
every instruction set and width of vectors, with and without the checks of debug builds.

Many more of them: `python -m kernelkit.testing.differential --places native,avx2,sse2,native:64`.
"""

from __future__ import annotations

import pytest

from kernelkit import registry
from kernelkit.testing.differential import PROGRAMS, REFERENCE, check, outcome, place_name

#: Instruction sets, and lanes where they are not the back end's own choice.
PLACES = ("native", "avx512", "avx2", "sse2", "native:64", "native:4")
#: Kernels of one test; tests are small, so that they spread over the cores.
SHARE = {"kernels": 8, "flows": 5, "images": 12, "walks": 10}


def hold(program: str, place: str, seeds: range, debug: bool = False) -> None:
    backend = registry.place("cpu").backend.variant(place)  # type: ignore[attr-defined]
    if backend.why_unavailable():
        pytest.skip(backend.why_unavailable())
    name = place_name(place)
    try:
        for seed in seeds:
            kernel = PROGRAMS[program](seed)
            try:
                check(kernel, outcome(kernel, REFERENCE, debug), name, debug)
            except Exception as error:
                error.add_note(f"{program} {seed} on {place}\n{kernel!r}")
                raise
    finally:
        registry.unregister(name)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_release_builds_agree_with_the_reference(program: str, place: str) -> None:
    first = 100 * PLACES.index(place)
    hold(program, place, range(first, first + SHARE[program]))


@pytest.mark.parametrize("place", ["native", "sse2"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_debug_builds_agree_with_the_reference(program: str, place: str) -> None:
    first = 1000 + 100 * PLACES.index(place)
    hold(program, place, range(first, first + SHARE[program]), debug=True)
