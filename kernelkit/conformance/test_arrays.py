"""Arrays: layouts, numbers of axes, indices that wrap, extents, views, arguments that overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import (
    DTYPES,
    Runner,
    by_dtype,
    cover,
    poison,
    sample,
)


@kk.kernel
def copy_plane(src, out):
    x, y = kk.grid(2)
    if y < src.shape[0] and x < src.shape[1]:
        out[y, x] = src[y, x]


#: Name -> a view of an array of 12 x 14 elements.
LAYOUTS = {
    "C": lambda a: a,
    "transposed": lambda a: a.T,
    "rows reversed": lambda a: a[::-1],
    "columns reversed": lambda a: a[:, ::-1],
    "both reversed": lambda a: a[::-1, ::-1],
    "every second column": lambda a: a[:, ::2],
    "every third row": lambda a: a[::3],
    "steps back": lambda a: a[::-2, 11:1:-3],
    "a part": lambda a: a[2:9, 3:10],
    "one column": lambda a: a[:, 5:6],
    "one row": lambda a: a[7:8],
    "a repeated row": lambda a: np.broadcast_to(a[3], (6, 14)),
    "a repeated column": lambda a: np.broadcast_to(a[:, 4:5], (12, 5)),
    "one element repeated": lambda a: np.broadcast_to(a[1, 1], (4, 7)),
    "the diagonal's neighbours": lambda a: np.lib.stride_tricks.sliding_window_view(a[0], 5),
    "no rows": lambda a: a[4:4],
    "no columns": lambda a: a[:, 9:9],
}


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "int64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading_in_every_layout(
    run: Runner, rng: np.random.Generator, layout: str, dtype: str
) -> None:
    src = LAYOUTS[layout](sample(rng, dtype, 12 * 14).reshape(12, 14))
    grid = (cover(src.shape[1], 8), cover(src.shape[0], 4))
    out = run(copy_plane, grid, (8, 4), src, poison(src.shape, dtype))
    np.testing.assert_array_equal(out, src)


@pytest.mark.parametrize("layout", [n for n in LAYOUTS if "repeated" not in n and "diag" not in n])
def test_writing_in_every_layout(run: Runner, rng: np.random.Generator, layout: str) -> None:
    out = LAYOUTS[layout](poison((12, 14), np.int32))
    src = sample(rng, np.int32, out.size).reshape(out.shape)
    grid = (cover(src.shape[1], 8), cover(src.shape[0], 4))
    np.testing.assert_array_equal(run(copy_plane, grid, (8, 4), src, out), src)


@pytest.mark.parametrize("dtype", by_dtype(DTYPES))
def test_strided_arrays_of_each_dtype(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    src = sample(rng, dtype, 15 * 9).reshape(9, 15)[::-2, 1::3]
    out = poison((7, 10), dtype)[1:6, ::-2].T[::-1].T
    np.testing.assert_array_equal(run(copy_plane, (2, 2), (4, 4), src, out), src)


@kk.kernel
def zero_axes(a, b, out):
    i = kk.grid(1)
    if i == 0:
        out[()] = a[()] * 2 + b[0]


def test_arrays_without_axes(run: Runner) -> None:
    out = run(
        zero_axes, 1, 3, np.array(21, np.int32), np.array([1], np.int32), poison((), np.int32)
    )
    assert out.shape == ()
    assert out == 43


@kk.kernel
def of_one_axis(src, out):
    i = kk.grid(1)
    if i < src.size:
        out[i] = src[i] + 1


@kk.kernel
def of_three_axes(src, out):
    x, y, z = kk.grid(3)
    if z < src.shape[0] and y < src.shape[1] and x < src.shape[2]:
        out[z, y, x] = src[z, y, x] + 1


@kk.kernel
def of_four_axes(src, out):
    x, y, z = kk.grid(3)
    if z < src.shape[1] and y < src.shape[2] and x < src.shape[3]:
        for w in range(src.shape[0]):
            out[w, z, y, x] = src[w, z, y, x] + 1


@kk.kernel
def of_five_axes(src, out):
    i = kk.grid(1)
    if i < src.shape[4]:
        for a in range(src.shape[0]):
            for b in range(src.shape[1]):
                for c in range(src.shape[2]):
                    for d in range(src.shape[3]):
                        out[a, b, c, d, i] = src[a][b, c][d, i] + 1


@pytest.mark.parametrize(
    ("kernel", "shape"),
    [
        (of_one_axis, (11,)),
        (of_three_axes, (2, 3, 5)),
        (of_four_axes, (3, 2, 4, 5)),
        (of_five_axes, (2, 1, 3, 2, 5)),
    ],
)
@pytest.mark.parametrize("layout", ["C", "transposed", "reversed"])
def test_numbers_of_axes(
    run: Runner, rng: np.random.Generator, kernel: Any, shape: tuple[int, ...], layout: str
) -> None:
    src = sample(rng, np.int32, int(np.prod(shape))).reshape(shape)
    out = poison(shape, np.int32)
    if layout == "transposed":
        src, out = src.reshape(shape[::-1]).T, out.reshape(shape[::-1]).T
    elif layout == "reversed":
        src, out = src[::-1], out[..., ::-1]
    block = (4, 2, 2) if kernel not in (of_one_axis, of_five_axes) else 32
    grid = 1 if block == 32 else (2, 3, 2)
    np.testing.assert_array_equal(run(kernel, grid, block, src, out), src + 1)


@kk.kernel
def extents(a, b, c, out):
    out[0] = len(a)
    out[1] = a.size
    out[2] = a.ndim
    out[3] = a.shape[0]
    rows, columns = b.shape
    out[4] = rows
    out[5] = columns
    out[6] = b.size
    out[7] = b.ndim + len(b.shape)
    out[8] = b.shape[-1]
    out[9] = c.size + 10 * c.ndim
    out[10] = b[0].size + b[0].ndim


@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (7, 0), (2, 9)])
def test_extents(run: Runner, shape: tuple[int, int]) -> None:
    a, b = np.zeros(6, np.int8)[::2], np.zeros(shape, np.float32)
    out = run(extents, 1, 1, a, b, np.array(1), poison(11, np.int64))
    rows, columns = shape
    expected = [3, 3, 1, 3, rows, columns, rows * columns, 4, columns, 1, columns + 1]
    np.testing.assert_array_equal(out, expected)


# ---------------------------------------------------------------- indices
@kk.kernel
def wrapping(src, indices, out):
    i = kk.grid(1)
    if i < out.shape[0]:
        n = len(src)
        k = indices[i]
        out[i, 0] = src[k, 0]
        out[i, 1] = src[-1, -2]
        out[i, 2] = src[i - n, 1]
        out[i, 3] = src[-(i + 1), i % 3 - 3]
        row = src[k]
        out[i, 4] = row[-3]
        src_row = -1 - i
        src[src_row, 3] = i * 10


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64"])
def test_negative_indices_wrap_once(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    src = rng.integers(-99, 99, (20, 4)).astype(np.int32)
    indices = rng.integers(-20, 20, 20).astype(dtype)
    i = np.arange(20)
    # Column 3 is written by the same launch, so no thread reads it.
    expected = np.stack(
        [
            src[indices, 0],
            np.full(20, src[-1, 2]),
            src[i - 20, 1],
            src[-(i + 1), i % 3 + 1],
            src[indices, 1],
        ],
        axis=1,
    )
    columns = expected[:, 3].copy()
    after, _, out = run.arrays(wrapping, 1, 32, src, indices, poison((20, 5), np.int32))
    readable = i % 3 + 1 != 3
    np.testing.assert_array_equal(out[:, [0, 1, 2, 4]], expected[:, [0, 1, 2, 4]])
    np.testing.assert_array_equal(out[readable, 3], columns[readable])
    np.testing.assert_array_equal(after[:, 3], i[::-1] * 10)


@kk.kernel
def unsigned_indices(src, indices, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[indices[i]] + src[np.uint8(2)]


@pytest.mark.parametrize("dtype", by_dtype(["uint8", "uint32", "uint64"]))
def test_unsigned_indices(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    src = rng.integers(-99, 99, 200).astype(np.int32)
    indices = rng.integers(0, 200, 64).astype(dtype)
    out = run.over(unsigned_indices, src, indices, poison(64, np.int32))
    np.testing.assert_array_equal(out, src[indices.astype(int)] + src[2])


@kk.kernel(wraparound=False)
def without_wraparound(src, out):
    i = kk.grid(1)
    if i < out.size:
        left = src[i - 1] if i > 0 else 0
        right = src[i + 1] if i + 1 < src.size else 0
        out[i] = left + 2 * src[i] + right


@kk.kernel
def guarded(src, out):
    i = kk.grid(1)
    if i < out.size:
        total = 2 * src[i]
        if i > 0:
            total += src[i - 1]
        if i < src.size - 1:
            total += src[i + 1]
        out[i] = total


@kk.kernel
def clamped(src, out):
    i = kk.grid(1)
    if i < out.size:
        n = src.size
        out[i] = src[max(i - 1, 0)] + 2 * src[i] + src[min(i + 1, n - 1)]


@kk.kernel
def periodic(src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[i - 1] + 2 * src[i] + src[(i + 1) % src.size]


@pytest.mark.parametrize("count", [1, 2, 3, 33, 70])
@pytest.mark.parametrize(
    ("kernel", "mode"),
    [
        (without_wraparound, "constant"),
        (guarded, "constant"),
        (clamped, "edge"),
        (periodic, "wrap"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_borders(run: Runner, rng: np.random.Generator, kernel: Any, mode: Any, count: int) -> None:
    src = rng.integers(-99, 99, count).astype(np.int32)
    padded = np.pad(src, 1, mode=mode)
    expected = padded[:-2] + 2 * src + padded[2:]
    np.testing.assert_array_equal(run.over(kernel, src, poison(count, np.int32)), expected)


# ---------------------------------------------------------------- views
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


# ---------------------------------------------------------------- arguments that overlap
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
