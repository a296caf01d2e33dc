"""What the tests of back ends share: kernels as typed IR, and IR run on the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

import kernelkit_python
from kernelkit import registry
from kernelkit.analysis.pipeline import analyse
from kernelkit.analysis.shape import Block, Shape
from kernelkit.backend import LaunchConfig
from kernelkit.ir.nodes import Kernel
from kernelkit.ir.verify import verify
from kernelkit.runtime.arguments import read

Typed = Callable[..., tuple[Kernel, Sequence[Any]]]
Interpret = Callable[..., None]


@pytest.fixture(scope="session")
def typed() -> Typed:
    """typed(kernel, block, *args): its IR for these arguments, and what to launch it with."""

    def run(kernel: Any, block: Any, *args: Any) -> tuple[Kernel, Sequence[Any]]:
        reading = read(kernel.parameters, kernel.parameters.bind(args, {}))
        found = kernel.specialiser.analyse(
            registry.place("python"), kernel[1, block].block, reading
        )
        variant = found.variant(reading.leaves, small_grid=False)
        return found.analysed(variant).kernel, reading.leaves

    return run


@pytest.fixture(scope="session")
def interpret() -> Interpret:
    """interpret(kernel, grid, block, values, shared_bytes): runs IR on the reference."""

    def run(
        kernel: Kernel, grid: Block, block: Block, values: Sequence[Any], shared_bytes: int = 0
    ) -> None:
        backend = kernelkit_python.backend
        (device,) = backend.probe()
        analysis = analyse(verify(kernel), Shape(block))
        binary = backend.compile(backend.emit(analysis, device.target), device.target)
        config = LaunchConfig(grid, block, shared_bytes)
        backend.load(binary, device).launch(config, values, None)

    return run
