"""`launch`: a function through every room of the house, on the reference, without the runtime."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kernelkit_python
from kernelkit.backend import Artifact, Binary, Executable, LaunchConfig
from kernelkit.frontend.arguments import ArgType, ScalarArg
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir.nodes import Kernel, Options
from kernelkit.ir.types import BOOL, FLOAT64, INT64, ArrayType, from_numpy
from kernelkit.ir.verify import verify

Dims = int | tuple[int, ...]


def argument_type(value: Any) -> ArgType:
    if isinstance(value, np.ndarray):
        layout = "C" if value.flags.c_contiguous else "A"
        dtype = from_numpy(value.dtype)
        assert dtype is not None
        return ArrayType(dtype, value.ndim, layout)
    if isinstance(value, np.generic):
        dtype = from_numpy(value.dtype)
        assert dtype is not None
        return ScalarArg(dtype)
    dtype = {bool: BOOL, int: INT64, float: FLOAT64}[type(value)]
    return ScalarArg(dtype, weak=isinstance(value, float))


def parse_kernel(function: Callable[..., Any], *args: Any, **options: bool) -> Kernel:
    source = read_source(function)
    types = dict(zip(source.signature.parameters, map(argument_type, args), strict=True))
    return verify(parse(source, types, Options(**options)).kernel)


def emitted(kernel: Kernel) -> tuple[Artifact, Binary]:
    backend = kernelkit_python.backend
    (device,) = backend.probe()
    analysis: Any = SimpleNamespace(kernel=kernel)
    artifact = backend.emit(analysis, device.target)
    return artifact, backend.compile(artifact, device.target)


def build(kernel: Kernel) -> Executable:
    backend = kernelkit_python.backend
    (device,) = backend.probe()
    return backend.load(emitted(kernel)[1], device)


def three(dims: Dims) -> tuple[int, int, int]:
    given = (dims,) if isinstance(dims, int) else dims
    x, y, z = (*given, 1, 1)[:3]
    return x, y, z


@pytest.fixture
def executable() -> Callable[..., Executable]:
    """executable(function, *args, **options), for arguments like these"""
    return lambda function, *args, **options: build(parse_kernel(function, *args, **options))


@pytest.fixture
def printed() -> Callable[..., tuple[Artifact, Binary]]:
    """printed(function, *args, **options): what emit and compile make"""
    return lambda function, *args, **options: emitted(parse_kernel(function, *args, **options))


@pytest.fixture
def launch(executable: Callable[..., Executable]) -> Callable[..., None]:
    """launch(function, grid, block, *args, shared_bytes=0, **options)"""

    def run(
        function: Callable[..., Any], grid: Dims, block: Dims, *args: Any,
        shared_bytes: int = 0, **options: bool,
    ) -> None:  # fmt: skip
        config = LaunchConfig(three(grid), three(block), shared_bytes)
        executable(function, *args, **options).launch(config, args, None)

    return run
