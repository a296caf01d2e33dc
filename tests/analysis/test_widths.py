"""Ranges of integers that hold wherever an expression stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.analysis.widths import SMALL, Widths
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, INT64
from kernelkit.ir.verify import verify
from kernelkit.runtime import build
from kernelkit.runtime.arguments import read
from kernelkit.testing.differential import PROGRAMS
from kernelkit.testing.generator import generate

INT32 = (-(1 << 31), (1 << 31) - 1)
#: The last thread along x, in blocks of 64.
LAST = SMALL // 64 * 64 - 1


def widths(kernel: Any, *args: Any, block: Any = (64, 4, 1), small: bool = True) -> Any:
    reading = read(kernel.parameters, kernel.parameters.bind(args, {}))
    options = ir.Options(small=small, noalias=True)
    parsed = verify(parse(read_source(kernel.__wrapped__), reading.types, options).kernel)
    found = Widths(parsed, block)
    names = {var.name: var for stmt in ir.walk(parsed.body) for var in ir.targets(stmt)}
    return {name: found.variable(var) for name, var in names.items() if var.type.is_integer}


@kk.kernel
def places(a, n):
    x, y = kk.grid(2)
    left = x - 1
    twice = 2 * x
    size = a.shape[0]
    product = size * size
    low = min(max(x - 5, 0), size - 1)
    rest = x % 7
    half = x // 2
    bits = x & 255
    last = n
    for k in range(2, size, 3):
        inner = k
    for m in range(10, -1, -2):
        down = m
    a[0] = left + twice + product + low + rest + half + bits + last + inner + down


def test_small_launches() -> None:
    found = widths(places, np.zeros(5, np.int64), 3)
    assert found["x"] == (0, LAST)
    assert found["left"] == (-1, LAST - 1)
    assert found["product"][1] == SMALL * SMALL
    assert found["low"] == (-1, LAST - 5)
    assert found["rest"] == (0, 6)
    assert found["half"] == (0, LAST // 2)
    assert found["bits"] == (0, 255)
    assert found["last"] == (-SMALL, SMALL)
    assert found["inner"] == (0, SMALL - 1)
    assert found["down"] == (0, 10)


def test_other_launches() -> None:
    found = widths(places, np.zeros(5, np.int64), 3, small=False)
    assert found["x"][1] > INT32[1]
    assert found["last"] == (INT64.minimum, INT64.maximum)
    assert found["bits"] == (0, 255)
    assert found["product"] == (INT64.minimum, INT64.maximum)  # it may wrap


@kk.kernel
def counts(a):
    i = 0
    j = 0
    while a[0] < a.size:
        i += 1
        j = min(i, 9)
    a[0] = j


def test_what_grows_may_be_anything() -> None:
    found = widths(counts, np.zeros(5, np.int64))
    assert found["i"] == (INT64.minimum, INT64.maximum)
    assert found["j"][1] == 9


@kk.kernel
def steps(a, by):
    for k in range(a.size, 0, by):
        a[0] = k
    for k in range(0, 2147483640, 100):
        a[1] = k


def test_counters_that_step_beyond() -> None:
    kernel = steps
    args = (np.zeros(5, np.int64), -1)
    reading = read(kernel.parameters, kernel.parameters.bind(args, {}))
    parsed = parse(read_source(kernel.__wrapped__), reading.types, ir.Options(small=True)).kernel
    found = Widths(parsed, (1, 1, 1))
    loops = [stmt for stmt in ir.walk(parsed.body) if isinstance(stmt, ir.For)]
    assert [found.turns_fit(loop) for loop in loops] == [True, False]
    assert found.counter(loops[0]) == (0, SMALL)


def asserting(kernel: ir.Kernel, block: Any) -> ir.Kernel:
    """The kernel, with an assertion behind each assignment that its value is in its range."""
    found = Widths(kernel, block)

    def check(span: Any, var: ir.Var) -> ir.Stmt:
        value = ir.Read(span, var.type, var)
        low, high = (ir.Constant(span, var.type, bound) for bound in found.variable(var))
        both = ir.Logical(
            span, BOOL, "and",
            ir.Compare(span, BOOL, "ge", value, low), ir.Compare(span, BOOL, "le", value, high),
        )  # fmt: skip
        return ir.Assert(span, both, (f"{var.name} is ", ir.Formatted(value)))

    def body(stmts: ir.Body) -> ir.Body:
        new: list[ir.Stmt] = []
        for stmt in stmts:
            inner = {
                name: body(getattr(stmt, name))
                for name in ("then", "orelse", "prelude", "body")
                if hasattr(stmt, name)
            }
            checks = [check(stmt.span, var) for var in ir.targets(stmt) if var.type.is_integer]
            if isinstance(stmt, ir.For):
                inner["body"] = (*checks, *inner["body"])
                checks = []
            new += [replace(stmt, **inner) if inner else stmt, *checks]
        return tuple(new)

    return verify(replace(kernel, body=body(kernel.body)))


@pytest.mark.parametrize("program", ["generated", *PROGRAMS])
@pytest.mark.parametrize("seed", range(12))
def test_ranges_hold(program: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What variables are on the reference lies in their ranges."""
    kernel = generate(seed) if program == "generated" else PROGRAMS[program](seed)
    checked = []

    def parse_and_check(source: Any, types: Any, options: ir.Options) -> Any:
        parsed = parse(source, types, replace(options, small=True))
        checked.append(parsed)
        return replace(parsed, kernel=asserting(parsed.kernel, kernel.block))

    monkeypatch.setattr(build, "parse", parse_and_check)
    with kk.use("python"):
        kernel.run()
    assert checked
