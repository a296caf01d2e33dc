"""Views as names for indices, promises as assignments: what is left of them, and that it means the
same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import shared, syncthreads
from kernelkit.errors import OutOfBoundsError
from kernelkit.ir import nodes as ir
from kernelkit.ir.verify import verify
from kernelkit_cpu.lowering import lower

Agree = Callable[..., list[Any]]
Typed = Callable[..., tuple[ir.Kernel, Sequence[Any]]]
Interpret = Callable[..., None]
BLOCK = (16, 1, 1)


@kk.device
def total(row, n):
    found = 0.0
    for k in range(n):
        found += row[k]
    return found


@kk.kernel
def views(src, out):
    """Views of views, whose indices change behind them."""
    i = kk.threadIdx.x
    k = i % 3
    plane = src[k]
    k = 2
    row = plane[i % 4]
    row[0] = -1.0
    out[0, i] = total(row, row.size) + row[-1]
    last = src[-1, -2]
    out[1, i] = last[1 + i % 4] + plane.shape[0] * 10 + last.shape[0]
    kk.atomic.add(out[2], i % 7, row[1])


@kk.kernel(debug=True)
def checked(src, out, n):
    i = kk.threadIdx.x
    row = src[i % 3, n]
    out[0, i] = row[4]


@kk.kernel
def promised(src, out):
    """Conditions of the block that hold because the user says so."""
    i = kk.threadIdx.x
    tile = shared.array(16, np.float64)
    k = 0
    while kk.uniform(src[k, 0, i % 2 * 0]) > k or kk.uniform(k) < 2:
        tile[i] = src[k % 3, i % 4, 0]
        syncthreads()
        for j in range(kk.uniform(k % 3 + i * 0)):
            syncthreads()
            out[0, i] += tile[15 - i] + j
        if kk.uniform(i * 0 + k) == 1:
            syncthreads()
            out[1, i] = tile[0]
        syncthreads()
        k += 1
    out[2, i] = k


@pytest.fixture
def numbers() -> tuple[np.ndarray, np.ndarray]:
    src = np.random.default_rng().integers(1, 3, (3, 4, 5)).astype(np.float64)
    return src, np.zeros((3, 16))


def through_views(found: ir.Kernel) -> list[object]:
    """Accesses that still go through a view."""
    made = {s.target for s in ir.walk(found.body) if isinstance(s, ir.View)}
    stores = [s for s in ir.walk(found.body) if isinstance(s, ir.Store | ir.Atomic)]
    tops = (e for s in ir.walk(found.body) for e in ir.expressions(s))
    loads = [e for top in tops for e in ir.walk_expr(top) if isinstance(e, ir.Load)]
    return [each for each in (*stores, *loads) if each.array in made]


@pytest.mark.parametrize("kernel", [views, promised], ids=lambda k: k.__name__)
def test_means_the_same(
    typed: Typed, interpret: Interpret, agree: Agree, kernel: Any, numbers: Any
) -> None:
    original, values = typed(kernel, BLOCK, *numbers)
    found, _ = lower(original)
    assert found is not original
    verify(found)
    ends = []
    for each in (original, found):
        copies = [v.copy() for v in values]
        interpret(each, (1, 1, 1), BLOCK, copies)
        ends.append(copies)
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)
    agree(kernel, 1, 16, *numbers)


def test_no_views_are_left(typed: Typed, numbers: Any) -> None:
    original, _ = typed(views, BLOCK, *numbers)
    found, known = lower(original)
    assert any(isinstance(s, ir.View) for s in ir.walk(original.body))
    assert not any(isinstance(s, ir.View) for s in ir.walk(found.body))
    assert through_views(found) == []
    skipped = {count for _, count in known.values()}
    assert skipped == {1, 2}


def test_debug_builds_check_views_where_they_are_made(
    typed: Typed, agree: Agree, numbers: Any
) -> None:
    found, known = lower(typed(checked, BLOCK, *numbers, 1)[0])
    (view,) = (s for s in ir.walk(found.body) if isinstance(s, ir.View))
    assert view in known
    assert through_views(found) == []
    assert isinstance(agree(checked, 1, 16, *numbers, 3)[0], np.ndarray)
    for outside in (4, -5):
        assert agree(checked, 1, 16, *numbers, outside)[0] is OutOfBoundsError


def test_promises_in_conditions_become_assignments(typed: Typed, numbers: Any) -> None:
    found, _ = lower(typed(promised, BLOCK, *numbers)[0])

    def promises(expr: ir.Expr) -> bool:
        inner = ir.walk_expr(expr)
        return any(isinstance(e, ir.Intrinsic) and e.function == "uniform" for e in inner)

    names = []
    for stmt in ir.walk(found.body):
        assert isinstance(stmt, ir.Assign) or not any(map(promises, ir.expressions(stmt)))
        if isinstance(stmt, ir.Assign) and promises(stmt.value):
            names.append(stmt.target.name)
    assert len(set(names)) == len(names) == 3


@kk.kernel
def without(src, out):
    i = kk.threadIdx.x
    out[0, i] = src[0, 0, 0]
    syncthreads()
    out[1, i] = kk.uniform(src[0, 0, 1])


def test_kernels_without_them_are_left_alone(typed: Typed, numbers: Any) -> None:
    original, _ = typed(without, BLOCK, *numbers)
    found, known = lower(original)
    assert found is original
    assert not known
