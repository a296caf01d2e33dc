"""Indices: negative ones wrap once, unsigned ones do not, and what borders are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import Runner, by_dtype, poison


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
