"""What the front-end tests share: parse a function and look at the IR's text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from kernelkit.errors import CompileError
from kernelkit.frontend.arguments import ArgType, ScalarArg, StaticArg
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir.nodes import Options
from kernelkit.ir.printer import format_kernel
from kernelkit.ir.types import FLOAT64, INT64, ArrayType, from_numpy
from kernelkit.ir.verify import verify


def argument(example: object) -> ArgType:
    """The argument type of an example: "float32[:,:]", a NumPy type, a Python number, None."""
    if isinstance(example, str):
        name, _, axes = example.partition("[")
        dtype = from_numpy(name)
        assert dtype is not None
        return ArrayType(dtype, axes.count(":"))
    if example in (int, float):
        return ScalarArg(INT64) if example is int else ScalarArg(FLOAT64, weak=True)
    if isinstance(example, type) and issubclass(example, np.generic):
        dtype = from_numpy(example)
        assert dtype is not None
        return ScalarArg(dtype)
    return StaticArg(example)


@pytest.fixture
def ir() -> Callable[..., list[str]]:
    """ir(function, *examples) -> the lines of the kernel's body, verified."""

    def lines(function: Callable[..., object], *examples: object) -> list[str]:
        source = read_source(function)
        arguments = dict(zip(source.signature.parameters, map(argument, examples), strict=True))
        kernel = verify(parse(source, arguments, Options()).kernel)
        return [line.removeprefix("    ") for line in format_kernel(kernel).splitlines()[1:]]

    return lines


@pytest.fixture
def refused() -> Callable[..., CompileError]:
    """refused(function, *examples) -> the CompileError that parsing raises."""

    def error(function: Callable[..., object], *examples: object) -> CompileError:
        source = read_source(function)
        arguments = dict(zip(source.signature.parameters, map(argument, examples), strict=True))
        with pytest.raises(CompileError) as caught:
            parse(source, arguments, Options())
        return caught.value

    return error
