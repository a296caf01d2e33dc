"""Calls of mathlib's functions, written out where they stand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

import kernelkit as kk
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir.nodes import (
    Allocate,
    Assign,
    Expr,
    If,
    Kernel,
    Options,
    Store,
    expressions,
    walk,
    walk_expr,
)
from kernelkit.ir.types import FLOAT16, FLOAT32, FLOAT64, ArrayType, DType
from kernelkit.ir.verify import verify

Lines = Callable[..., list[str]]


def kernel_of(function: Callable[..., None], dtype: DType = FLOAT32) -> Kernel:
    source = read_source(function)
    arguments = dict.fromkeys(source.signature.parameters, ArrayType(dtype, 1, "C"))
    parsed = parse(source, arguments, Options())
    assert [capture.name for capture in parsed.captures] == []
    return verify(parsed.kernel)


def parts(kernel: Kernel) -> list[Expr]:
    return [e for s in walk(kernel.body) for top in expressions(s) for e in walk_expr(top)]


def exponential(x, out):
    out[0] = (
        1 +
        math.exp(x[0])
    )  # fmt: skip


def test_everything_stands_where_the_call_stands() -> None:
    """So do tracebacks, reports and debuggers show the user's line."""
    kernel = kernel_of(exponential)
    file, first = exponential.__code__.co_filename, exponential.__code__.co_firstlineno
    spans = {e.span for e in parts(kernel)} | {s.span for s in walk(kernel.body)}
    assert {span.file for span in spans} == {file}
    assert {span.line for span in spans} <= {first + 1, first + 2, first + 3}
    assignments = [s for s in walk(kernel.body) if isinstance(s, Assign)]
    assert len(assignments) > 5
    assert {(s.span.line, s.span.column) for s in assignments[1:]} == {(first + 3, 8)}
    assert {s.target.name[0] for s in assignments} == {"."}


def names(x, out):
    n, r, p, rounded, low, high = x[0], x[1], x[2], x[3], x[4], x[5]
    out[0] = math.exp(n) + math.exp(r) + p + rounded + math.sin(low) + high


def test_names_of_the_user_stay_the_users() -> None:
    x, out = np.arange(6.0), np.zeros(1)
    kk.kernel(names).on("python")[1, 1](x, out)
    assert math.isclose(out[0], 1 + math.e + 2 + 3 + math.sin(4) + 5)


def twice(x, out):
    out[0] = math.sin(x[0]) + math.cos(x[1])
    out[1] = math.tan(out[0])


def test_calls_share_their_table() -> None:
    kernel = kernel_of(twice)
    assert sum(isinstance(stmt, Allocate) for stmt in walk(kernel.body)) == 1
    assert isinstance(kernel.body[0], Allocate)
    assert sum(isinstance(stmt, If) for stmt in walk(kernel.body)) == 3


def constant(x, out):
    out[0] = math.exp(0.0) * x[0] + math.log(1) + 2.0**10 + math.sin(1e300)


def test_constants_leave_nothing_behind() -> None:
    kernel = kernel_of(constant)
    assert [type(stmt) for stmt in kernel.body] == [Store]
    assert "float64" not in {e.type.name for e in parts(kernel)}


def half(x, out):
    out[0] = math.exp(x[0])
    out[1] = x[1] ** x[2]


def test_float16_is_computed_in_float32() -> None:
    kernel = kernel_of(half, FLOAT16)
    kinds = {e.type.name for e in parts(kernel) if e.type.is_float}
    assert kinds == {"float16", "float32"}


def of_integers(x, out):
    i = kk.grid(1)
    out[0] = math.exp(i)


def test_integers_become_float64() -> None:
    assert "float64" in {e.type.name for e in parts(kernel_of(of_integers))}


def squares(x, out):
    out[0] = x[0] ** 2 + (x[1] + 1) ** 3.0


def test_short_powers_are_products(ir: Lines) -> None:
    assert ir(squares, "float32[:]", "float32[:]") == [
        "$1: float32 = x[0]",
        "$2: float32 = x[1] + 1.0f32",
        "out[0] = $1 * $1 + $2 * $2 * $2",
    ]


def variable(x, out):
    y = x[0]
    out[0] = y**2 if y > 0 else y**-1


def test_a_power_of_a_name_needs_no_statement(ir: Lines) -> None:
    assert ir(variable, "float64[:]", "float64[:]") == [
        "y: float64 = x[0]",
        "out[0] = y * y if y > 0.0 else 1.0 / y",
    ]


def lazily(x, out):
    i = kk.grid(1)
    if i > 5:
        late = x[0]
    ok = i < x.size and math.exp(x[i]) > 2
    other = math.log(x[i]) if i < x.size else 0.0
    if i > 5 and math.exp(late) > 1:
        ok = True
    out[i] = other if ok else -other


def test_lazy_operands_stay_lazy() -> None:
    """Neither an element outside the array nor a name without a value is read."""
    x, out = np.array([0.5, 1.0, 3.0]), np.zeros(5)
    for backend in ("python", "cpu"):
        kk.kernel(lazily, debug=True).on(backend)[1, 5](x, out)
        logs = np.log(x)
        assert np.allclose(out, [-logs[0], logs[1], logs[2], 0, 0])


def looping(x, out):
    total = 0.0
    while math.exp(total) < x[0]:
        total += 1
    out[0] = total


def test_the_condition_of_a_loop_is_computed_each_time() -> None:
    out = np.zeros(1)
    kk.kernel(looping).on("python")[1, 1](np.array([100.0]), out)
    assert out[0] == 5


def uniform_type(x, out):
    out[0] = math.exp(0.5) * x[0]
    out[1] = math.pow(x[0], 2.5)


def test_literals_take_the_type_that_they_meet() -> None:
    assert {e.type.name for e in parts(kernel_of(uniform_type)) if e.type.is_float} == {"float32"}
    kernel = kernel_of(uniform_type, FLOAT64)
    assert {e.type.name for e in parts(kernel) if e.type.is_float} == {"float64"}
