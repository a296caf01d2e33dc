"""Vectors that are written together: which are, and that nobody can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import local, shared, syncthreads
from kernelkit.analysis.pipeline import Analysis
from kernelkit_cpu.items import BlockLoop, Items, Leaf
from kernelkit_cpu.jam import jam_factor
from kernelkit_cpu.jumps import find_jumps
from kernelkit_cpu.plan import make_plan

Agree = Callable[..., list[Any]]
Factor = Callable[..., int]
TILE = 16


@kk.kernel(reproducible=True)
def matmul(a, b, c):
    ours = shared.array((TILE, TILE), np.float32)
    theirs = shared.array((TILE, TILE), np.float32)
    x, y = kk.grid(2)
    tx, ty = kk.threadIdx.x, kk.threadIdx.y
    total = np.float32(0)
    for start in range(0, a.shape[1], TILE):
        ours[ty, tx] = a[y, start + tx]
        theirs[ty, tx] = b[start + ty, x]
        syncthreads()
        for k in range(TILE):
            total += ours[ty, k] * theirs[k, tx]
        syncthreads()
    c[y, x] = total


@kk.kernel(reproducible=True)
def in_one_row(a, b, c):
    """Vectors side by side, and small choices in the loop."""
    x = kk.threadIdx.x
    total = np.float32(0)
    for k in range(a.shape[1]):
        weight = b[k, 0]
        if weight > 0:
            total += a[0, k] * b[k, x % 16]
        else:
            total -= weight
        if a[x % 16, k] > 0:
            total += np.float32(1)
        for j in range(2):
            total += a[j, k]
    c[0, x] = total


@kk.kernel(reproducible=True)
def parted(a, b, c):
    """Lanes that go their own ways."""
    x, y = kk.threadIdx.x, kk.threadIdx.y
    total = np.float32(0)
    for k in range(a.shape[1]):
        if a[y, k] > b[k, x]:
            c[y, x] = k
            total += b[k, x]
    for k in range(y):
        total += a[y, k]
    c[y, x] += total


@kk.kernel(reproducible=True)
def without_loads(a, b, c):
    x, y = kk.threadIdx.x, kk.threadIdx.y
    total = a[y, x]
    for k in range(b.shape[1]):
        total = total * np.float32(0.5) + k
    c[y, x] = total


@kk.kernel(reproducible=True)
def with_arrays(a, b, c):
    x, y = kk.threadIdx.x, kk.threadIdx.y
    kept = local.array(4, np.float32)
    for k in range(4):
        kept[k] = a[y, k]
    c[y, x] = kept[0] + kept[3] + b[0, 0]


@kk.kernel(reproducible=True)
def with_returns(a, b, c):
    x, y = kk.threadIdx.x, kk.threadIdx.y
    if a[y, x] > 0.5:
        return
    total = np.float32(0)
    for k in range(16):
        total += a[y, k] * b[k, x]
    c[y, x] = total


KERNELS = (matmul, in_one_row, parted, without_loads, with_arrays, with_returns)


@pytest.fixture
def factor(analysed: Callable[..., Analysis]) -> Factor:
    """factor(kernel, groups): for its leaf with the most in it."""

    def run(kernel: Any, groups: int) -> int:
        image = np.zeros((16, 16), np.float32)
        analysis = analysed(kernel, (16, 16, 1), image, image.copy(), image.copy(), lanes=8)
        plan = make_plan(analysis, find_jumps(analysis.kernel, analysis.variability))
        leaves = list(found(plan.items))
        return max(jam_factor(analysis, leaf.body, groups) for leaf in leaves)

    return run


def found(items: Items) -> Any:
    for item in items:
        if isinstance(item, Leaf):
            yield item
        elif isinstance(item, BlockLoop):
            yield from found(item.body)


def test_loops_that_all_vectors_run_alike(factor: Factor) -> None:
    assert factor(matmul, 16) == 4
    assert factor(matmul, 6) == 2
    assert factor(matmul, 5) == 1
    assert factor(matmul, 1) == 1


def test_loops_that_gain_nothing_or_part(factor: Factor) -> None:
    assert factor(without_loads, 16) == 1
    assert factor(parted, 16) == 1
    assert factor(with_returns, 16) == 1


def stores(kernel: Any, *args: Any, **launch: Any) -> int:
    """How often the code of a kernel stores vectors of floats."""
    text = kernel.inspect(*args, backend="cpu", what="source", **launch)
    return sum(
        " x float>" in line and line.lstrip().startswith("store") for line in text.split("\n")
    )


def test_a_store_for_each_vector() -> None:
    """Only where vectors are written together is a store there more than once."""
    image = np.zeros((16, 16), np.float32)
    args = (image, image.copy(), image.copy())
    of_slots = stores(in_one_row, *args, block=8)
    assert stores(in_one_row, *args, block=64) > of_slots


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.__name__)
@pytest.mark.parametrize("block", [(16, 16), (16, 4), (16, 6), (16, 5), (5, 4)], ids=str)
def test_nobody_can_tell(agree: Agree, kernel: Any, block: tuple[int, int]) -> None:
    rng = np.random.default_rng()
    a, b = rng.normal(size=(2, 16, 16)).astype(np.float32)
    if kernel is matmul and block != (16, 16):
        return
    agree(kernel, 1, block, a, b, np.zeros((16, 16), np.float32))


@pytest.mark.parametrize("width", [8, 16, 32, 48, 64, 100])
def test_vectors_of_one_row(agree: Agree, width: int) -> None:
    rng = np.random.default_rng()
    a, b = rng.normal(size=(2, 16, 16)).astype(np.float32)
    agree(in_one_row, 1, width, a, b, np.zeros((1, width), np.float32))


def test_several_tiles(agree: Agree) -> None:
    rng = np.random.default_rng()
    a, b = rng.normal(size=(2, 48, 48)).astype(np.float32)
    agree(matmul, (3, 3), (16, 16), a, b, np.zeros((48, 48), np.float32))
