"""Loads and stores: each form that an address takes, for each type, with and without a mask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import local, shared, syncthreads

Agree = Callable[..., list[Any]]
DTYPES = (
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip
#: A vector and a part of one, whatever its width.
BLOCK = 77


def drawn(rng: np.random.Generator, dtype: str, shape: Any) -> np.ndarray:
    """Random bits that are numbers: NaNs have many faces."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(shape) < 0.5
    if kind.kind in "iu":
        info = np.iinfo(kind)
        return rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)
    found = rng.normal(scale=100, size=shape).astype(kind)
    if kind.kind == "c":
        found.imag = rng.normal(size=shape)
    return found


@kk.kernel
def reads(a, b, places, some, start, last, out):
    """Rows of `out`: all lanes, then some of them."""
    i = kk.threadIdx.x
    n = a.shape[0]
    for which in range(2):
        r = which * 16
        if which == 0 or some[i]:
            out[r, i] = a[start]
            out[r + 1, i] = a[start + i]
            out[r + 2, i] = a[start + 2 * i]
            out[r + 3, i] = a[start + 3 * i]
            out[r + 4, i] = a[4 * i]
            out[r + 5, i] = a[5 * i]
            out[r + 6, i] = a[last - i]
            out[r + 7, i] = a[last - 2 * i]
            out[r + 8, i] = a[last - 4 * i]
            out[r + 9, i] = a[places[i]]
            out[r + 10, i] = a[min(i + start, 60)]
            out[r + 11, i] = a[max(i - 40, 0)]
            out[r + 12, i] = a[i * i % n]
            out[r + 13, i] = b[i % 8, places[i] % 5]
            out[r + 14, i] = b[i // 16, i % 16]
            out[r + 15, i] = a[-1 - i]


@kk.kernel
def writes(x, places, some, start, last, out):
    i = kk.threadIdx.x
    for which in range(2):
        r = which * 10
        if which == 0 or some[i]:
            out[r, start] = x[0]
            out[r + 1, start + i] = x[i]
            out[r + 2, 2 * i] = x[i]
            out[r + 3, 5 * i] = x[i]
            out[r + 4, last - i] = x[i]
            out[r + 5, last - 3 * i] = x[i]
            out[r + 6, places[i]] = x[i]
            out[r + 7, (i + start) % 100] = x[i]
            out[r + 8, -1 - i] = x[i]
            if i < 60:
                out[r + 9, min(i, 70)] = x[i]


def layouts(rng: np.random.Generator, dtype: str, *shape: int) -> list[np.ndarray]:
    """The same numbers: in a row, every third element, and from behind."""
    plain = drawn(rng, dtype, shape)
    spaced = np.zeros((*shape[:-1], 3 * shape[-1]), dtype)[..., ::3]
    back = np.zeros(shape, dtype)[..., ::-1]
    spaced[...] = back[...] = plain
    return [plain, spaced, back]


@pytest.mark.parametrize("dtype", DTYPES)
def test_loads(agree: Agree, cpu: str, dtype: str) -> None:
    rng = np.random.default_rng()
    places, some = rng.integers(0, 400, BLOCK), rng.random(BLOCK) < 0.5
    table, out = drawn(rng, dtype, (8, 16)), np.zeros((32, BLOCK), dtype)
    start, last = int(rng.integers(0, 9)), int(rng.integers(310, 400))
    for a in layouts(rng, dtype, 400):
        agree(reads, 1, BLOCK, a, table, places, some, start, last, out, on=cpu)


@pytest.mark.parametrize("dtype", DTYPES)
def test_stores(agree: Agree, cpu: str, dtype: str) -> None:
    rng = np.random.default_rng()
    places, some = rng.permutation(400)[:BLOCK], rng.random(BLOCK) < 0.5
    start, last = int(rng.integers(0, 9)), int(rng.integers(310, 400))
    for out in layouts(rng, dtype, 20, 400):
        x = drawn(rng, dtype, BLOCK)
        agree(writes, 1, BLOCK, x, places, some, start, last, out, on=cpu)


@pytest.mark.parametrize("some", ["none", "all", "one"])
def test_masks_of_a_kind(agree: Agree, some: str) -> None:
    rng = np.random.default_rng()
    mask = np.full(BLOCK, some == "all")
    mask[rng.integers(0, BLOCK)] |= some == "one"
    for dtype in ("int16", "complex64", "bool"):
        a, places = drawn(rng, dtype, 400), rng.permutation(400)[:BLOCK]
        agree(
            reads, 1, BLOCK, a, drawn(rng, dtype, (8, 16)), places, mask, 3, 390,
            np.zeros((32, BLOCK), dtype),
        )  # fmt: skip
        agree(
            writes, 1, BLOCK, drawn(rng, dtype, BLOCK), places, mask, 3, 390,
            np.zeros((20, 400), dtype),
        )  # fmt: skip


# ---------------------------------------------------------------- what lanes have of their own
@kk.kernel
def own_arrays(places, out):
    """A local array has an element per thread, also where threads look at different indices."""
    i = kk.threadIdx.x
    mine = local.array((3, 4), out.dtype)
    for row in range(3):
        for column in range(4):
            mine[row, column] = out[row, i] + column
    mine[places[i] % 3, 1] = out[0, i]
    syncthreads()
    out[0, i] = mine[places[i] % 3, places[i] % 4]
    out[1, i] = mine[2, 3]
    out[2, i] = mine[-1, i % 4]


@kk.kernel
def shares(places, out):
    i = kk.threadIdx.x
    tile = shared.array((77, 2), out.dtype)
    tile[i, 0] = out[0, i]
    tile[places[i], 1] = out[1, i]
    syncthreads()
    out[0, i] = tile[76 - i, 1]
    out[1, i] = tile[places[i], 0]
    out[2, i] = tile[5, 0]


@pytest.mark.parametrize("dtype", ["int8", "float16", "float64", "complex64"])
@pytest.mark.parametrize("kernel", [own_arrays, shares], ids=lambda k: k.__name__)
def test_arrays_of_the_kernel(agree: Agree, cpu: str, kernel: Any, dtype: str) -> None:
    rng = np.random.default_rng()
    agree(kernel, 1, BLOCK, rng.permutation(BLOCK), drawn(rng, dtype, (3, BLOCK)), on=cpu)


# ---------------------------------------------------------------- indices
@kk.kernel
def by_type(a, places, out):
    i = kk.threadIdx.x
    out[i] = a[places[i]]
    out[i + 100] = a[places[i // 8]]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_types_of_indices(agree: Agree, dtype: str) -> None:
    """Negative ones count from the end."""
    rng = np.random.default_rng()
    low = 0 if dtype.startswith("u") else -100
    places = rng.integers(low, 100, BLOCK).astype(dtype)
    agree(by_type, 1, BLOCK, rng.normal(size=100), places, np.zeros(200))


@kk.kernel
def narrow(a, first, out):
    """An index that wraps around in its own type before it is one."""
    i = kk.threadIdx.x
    k = np.uint8(first) + np.uint8(i)
    out[0, i] = a[k]
    j = np.int8(first) + np.int8(i)
    out[1, i] = a[j]


def test_indices_that_wrap_around_in_their_type(agree: Agree, cpu: str) -> None:
    rng = np.random.default_rng()
    for first in (0, 100, 120, 200, 250):
        agree(narrow, 1, BLOCK, rng.normal(size=256), first, np.zeros((2, BLOCK)), on=cpu)


@kk.kernel
def in_rows(a, places, out):
    """Indices from data which lie in a row in some vectors and in others not."""
    i = kk.threadIdx.x
    k = places[i]
    out[0, i] = a[k]
    out[1, k] = a[i]
    if a[i] > 0:
        out[2, i] = a[k]
        out[3, k] = a[i]


def test_indices_that_lie_in_a_row_by_chance(agree: Agree, cpu: str) -> None:
    rng = np.random.default_rng()
    places = np.arange(128)
    rng.shuffle(places[64:])
    agree(in_rows, 1, 128, rng.normal(size=128), places, np.zeros((4, 128)), on=cpu)
