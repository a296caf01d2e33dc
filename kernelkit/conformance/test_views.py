"""Views by partial indexing, and arguments that overlap."""

from __future__ import annotations

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import Runner, poison


@kk.kernel
def views(src, out):
    i = kk.grid(1)
    if i < src.shape[0]:
        plane = src[i]
        row = plane[1]
        same = src[i, -1]
        target = out[i]
        for k in range(row.size):
            target[0, k] = row[k]
            target[1][k] = same[-1 - k]
        where = (i, 2)
        last = out[where]
        last[0] = plane.shape[0] + 10 * len(row) + 100 * plane.ndim
        for k in range(1, last.shape[0]):
            last[k] = src[i][0][k] + src[(i, 0, k)] + src[i, 0][k]


@pytest.mark.parametrize("layout", ["C", "strided"])
def test_views_by_partial_indexing(run: Runner, rng: np.random.Generator, layout: str) -> None:
    src = rng.integers(-99, 99, (9, 4, 5)).astype(np.int32)
    out = poison((9, 3, 5), np.int32)
    if layout == "strided":
        src, out = src[::-1, ::2], out[:, ::-1]
    result = run(views, 1, 16, src, out)
    expected = np.empty((9, 3, 5), np.int32)
    expected[:, 0] = src[:, 1]
    expected[:, 1] = src[:, -1, ::-1]
    expected[:, 2] = 3 * src[:, 0]
    expected[:, 2, 0] = src.shape[1] + 10 * 5 + 100 * 2
    np.testing.assert_array_equal(result, expected)


@kk.kernel
def view_in_a_loop(src, out):
    """A name stands for another row in each round."""
    i = kk.grid(1)
    if i < src.shape[1]:
        total = 0
        for k in range(src.shape[0]):
            row = src[k]
            total += row[i] * (k + 1)
        out[i] = total


def test_a_view_that_changes_in_a_loop(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-99, 99, (5, 20)).astype(np.int32)
    out = run(view_in_a_loop, 1, 32, src, poison(20, np.int32))
    np.testing.assert_array_equal(out, np.arange(1, 6) @ src)


@kk.kernel
def shift_in_place(a, b, out):
    i = kk.grid(1)
    if i < out.size:
        x = a[i]
        out[i] = x + 1
        out[i] = out[i] * 2 + b[i] - b[i]
        out[i] += a[i] - a[i]


def test_one_array_as_several_arguments(rng: np.random.Generator) -> None:
    src = rng.integers(-99, 99, 50).astype(np.int32)
    array = kk.asarray(src.copy())
    shift_in_place[2, 32](array, array, array)
    kk.synchronize()
    np.testing.assert_array_equal(kk.to_numpy(array), 2 * (src + 1))


@kk.kernel
def sees_its_write(a, b, out):
    """Two names for overlapping memory: what one writes the other reads."""
    i = kk.grid(1)
    if i == 0:
        first = b[0]
        a[1] = 70
        out[0] = b[0] - first
        b[1] = 80
        out[1] = a[2]
        for k in range(3, 9):
            a[k] = b[k - 2] + 1
        out[2] = a[8]


def test_overlapping_arguments(rng: np.random.Generator) -> None:
    src = rng.integers(-9, 9, 12).astype(np.int32)
    base, out = kk.asarray(src.copy()), kk.asarray(poison(3, np.int32))
    sees_its_write[1, 3](base[:10], base[1:], out)
    kk.synchronize()
    expected = src.copy()
    first = expected[1]
    expected[1] = 70
    results = [70 - first]
    expected[2] = 80
    results.append(expected[2])
    for k in range(3, 9):
        expected[k] = expected[k - 1] + 1
    results.append(expected[8])
    np.testing.assert_array_equal(kk.to_numpy(out), results)
    np.testing.assert_array_equal(kk.to_numpy(base), expected)


@kk.kernel
def add_neighbours(src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[i] + src[i + 1]


def test_an_output_beside_its_input(rng: np.random.Generator) -> None:
    src = rng.integers(-99, 99, 41).astype(np.int32)
    base = kk.asarray(np.concatenate([src, poison(40, np.int32)]))
    add_neighbours[2, 32](base[:41], base[41:])
    kk.synchronize()
    np.testing.assert_array_equal(kk.to_numpy(base), np.concatenate([src, src[1:] + src[:-1]]))


def test_an_array_that_cannot_be_written_is_read(rng: np.random.Generator) -> None:
    src = rng.integers(-99, 99, 41).astype(np.int32)
    src.flags.writeable = False
    out = kk.asarray(poison(40, np.int32))
    add_neighbours[2, 32](kk.asarray(src), out)
    kk.synchronize()
    np.testing.assert_array_equal(kk.to_numpy(out), src[1:] + src[:-1])


@kk.kernel
def fill_bytes(out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = i + 1


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_arrays_aligned_to_no_more_than_their_items(dtype: str, first: int) -> None:
    base = kk.asarray(np.zeros(70, dtype))
    fill_bytes[2, 32](base[first : first + 60])
    kk.synchronize()
    expected = np.zeros(70, dtype)
    expected[first : first + 60] = np.arange(1, 61)
    np.testing.assert_array_equal(kk.to_numpy(base), expected)
