"""Arrays: layouts of every kind, from no axes to five, extents."""

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


@pytest.mark.parametrize("dtype", by_dtype(["uint8", "int16", "float32", "int64"]))
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
