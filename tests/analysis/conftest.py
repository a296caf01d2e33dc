"""What the tests of the analyses share: kernels from Python source, and a way to ask about them."""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from kernelkit.analysis.pipeline import Analysis, analyse
from kernelkit.analysis.shape import Shape
from kernelkit.analysis.webs import Web
from kernelkit.errors import CompileError
from kernelkit.frontend.arguments import ArgType, ScalarArg
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir.nodes import Expr, Kernel, Options, Stmt, expressions, walk, walk_expr
from kernelkit.ir.types import DTYPES, INT64, ArrayType
from kernelkit.ir.verify import verify


def argument(text: str) -> ArgType:
    """`int64` is a scalar, `float32[2]` an array of two axes."""
    name, _, axes = text.rstrip("]").partition("[")
    return ArrayType(DTYPES[name], int(axes)) if axes else ScalarArg(DTYPES[name])


@dataclass(frozen=True)
class Analysed:
    """An analysis, asked by names and by the text of source lines."""

    analysis: Analysis

    def webs(self, name: str) -> list[Web]:
        return [w for w in self.analysis.webs.webs if w.var.name == name]

    def kinds(self, name: str) -> list[str]:
        """The kind of each web of a name, in the order of the source."""
        return [str(self.analysis.variability.webs[w]) for w in self.webs(name)]

    def stmt(self, text: str, kind: type | tuple[type, ...] = object) -> Any:
        """The first statement of a kind on a line that contains `text`."""
        for stmt in walk(self.analysis.kernel.body):
            line = linecache.getline(stmt.span.file, stmt.span.line)
            if text in line and isinstance(stmt, kind):
                return stmt
        raise AssertionError(f"no {kind} at {text!r}")

    def expr(self, text: str, kind: type) -> Any:
        """The first expression of a kind on such a line."""
        for stmt in walk(self.analysis.kernel.body):
            for top in expressions(stmt):
                for expr in walk_expr(top):
                    line = linecache.getline(expr.span.file, expr.span.line)
                    if text in line and isinstance(expr, kind):
                        return expr
        raise AssertionError(f"no {kind} at {text!r}")

    def kind(self, expr: Expr) -> str:
        return str(self.analysis.variability.kinds[expr])

    def divergence(self, stmt: Stmt) -> str:
        return self.analysis.variability.divergence[stmt].name

    def control(self, stmt: Stmt) -> str:
        return self.analysis.variability.control(stmt).name


@pytest.fixture
def parsed() -> Callable[..., Kernel]:
    """parsed(function, name="float32[2]", ...): parameters are int64 if their name is a single
    letter of i to n, else arrays of float32 with one axis."""

    def run(
        function: Callable[..., Any], options: Options | None = None, **arguments: str
    ) -> Kernel:
        names = inspect.signature(function).parameters
        kinds = {
            name: argument(arguments[name])
            if name in arguments
            else ScalarArg(INT64)
            if name in "ijklmn"
            else ArrayType(DTYPES["float32"], 1)
            for name in names
        }
        return verify(parse(read_source(function), kinds, options or Options()).kernel)

    return run


@pytest.fixture
def analysed(parsed: Callable[..., Kernel]) -> Callable[..., Analysed]:
    def run(function: Callable[..., Any], shape: Shape | None = None, **arguments: Any) -> Analysed:
        kernel = parsed(function, **arguments)
        return Analysed(analyse(kernel, shape or Shape((64, 4, 1), 16)))

    return run


@pytest.fixture
def refused(analysed: Callable[..., Analysed]) -> Callable[..., CompileError]:
    """The error of a kernel that the analyses refuse."""

    def run(function: Callable[..., Any], **arguments: Any) -> CompileError:
        with pytest.raises(CompileError) as caught:
            analysed(function, **arguments)
        return caught.value

    return run
