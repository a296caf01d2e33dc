"""What tests of the Numba back end share: kernels as it prints them, and whether it can compile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from kernelkit.analysis.pipeline import Analysis, analyse
from kernelkit.analysis.shape import Shape
from kernelkit.ir.nodes import Kernel
from kernelkit.ir.verify import verify

Typed = Callable[..., tuple[Kernel, Sequence[Any]]]


@pytest.fixture(scope="session")
def analysed(typed: Typed) -> Callable[..., Analysis]:
    """analysed(kernel, block, *args): its analysis for these arguments."""

    def run(kernel: Any, block: tuple[int, int, int], *args: Any) -> Analysis:
        return analyse(verify(typed(kernel, block, *args)[0]), Shape(block))

    return run


@pytest.fixture(scope="session")
def compiler() -> None:
    """Skips where Numba cannot compile for NVIDIA's GPUs."""
    from kernelkit_numba.devices import why_missing

    why = why_missing()
    if why:
        pytest.skip(why)
