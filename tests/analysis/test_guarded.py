"""Counters of while loops stay as narrow as the loop's test keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.analysis.widths import SMALL, Widths
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir import nodes as ir
from kernelkit.runtime.arguments import read


@kk.kernel
def counters(out, limit):
    up = down = strided = 0
    while up < limit and down > -limit and out[0] == 0:
        up += 1
        if out[1] == 0:
            down -= 1
        strided += 2
    out[2] = up + down + strided


@kk.kernel
def not_counters(out, limit):
    twice = inner = other = swapped = 0
    while twice < limit and inner < limit:
        twice += 1
        for _ in range(3):
            inner += 1
        twice += 1
    while other < limit or out[0] == 0:
        other += 1
    while limit <= swapped:
        swapped += 1
    out[2] = twice + inner + other + swapped


@kk.kernel
def turned(out, limit):
    a = 0
    while limit > a:
        a = a * 2 + 1
    b = 10
    while 0 <= b:
        b -= 3
    out[2] = a + b


@kk.kernel
def tiles(out):
    top = kk.blockIdx.y * 32
    deep = kk.gridDim.z * 4
    left = kk.blockIdx.x * 32
    out[2] = top + left + deep


def test_grids_of_small_launches_are_cudas_along_y_and_z():
    found = ranges(tiles)
    assert found["top"] == (0, 65534 * 32)
    assert found["deep"] == (0, 65535 * 4)
    assert found["left"] == (0, (SMALL - 1) * 32)


def ranges(kernel: Any, *limit: Any) -> dict[str, tuple[int, int]]:
    args = (np.zeros(5, np.int64), *limit)
    reading = read(kernel.parameters, kernel.parameters.bind(args, {}))
    parsed = parse(read_source(kernel.__wrapped__), reading.types, ir.Options(small=True)).kernel
    found = Widths(parsed, (1, 1, 1))
    names = {var for stmt in ir.walk(parsed.body) for var in ir.targets(stmt)}
    return {var.name: found.variable(var) for var in names}


WHOLE = (-(1 << 63), (1 << 63) - 1)


@pytest.mark.parametrize("limit", [7, np.int32(7)])
def test_the_test_bounds_a_counter(limit):
    found = ranges(counters, limit)
    greatest = SMALL if isinstance(limit, int) else 2**31 - 1
    assert found["up"] == (0, greatest)
    # -limit of the least int32 wraps to itself.
    assert found["down"][0] >= -(2**31) and found["down"][1] == 0
    assert found["strided"] == WHOLE


def test_what_is_assigned_more_than_once_or_maybe_untested_is_not_bounded():
    found = ranges(not_counters, 7)
    for name in ("twice", "inner", "other"):
        assert found[name] == WHOLE, name
    assert found["swapped"] == WHOLE


def test_either_side_may_be_the_counter():
    found = ranges(turned, 7)
    assert found["a"] == (0, 2 * SMALL - 1)
    assert found["b"] == (-3, 10)
