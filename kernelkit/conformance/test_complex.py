"""Complex numbers: naive products, Smith's quotients, parts, comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import COMPLEX, Runner, by_dtype, poison, sample
from kernelkit.testing.comparison import assert_bits_equal, assert_close

COUNT = 64


def product(a: Any, b: Any) -> np.ndarray:
    """(ac - bd, ad + bc), each operation rounded."""
    out = np.empty_like(a)
    out.real = a.real * b.real - a.imag * b.imag
    out.imag = a.real * b.imag + a.imag * b.real
    return out


def quotient(a: Any, b: Any) -> np.ndarray:
    """Smith's method with one reciprocal, each operation rounded."""
    out, one = np.empty_like(a), a.real.dtype.type(1)
    with np.errstate(all="ignore"):
        wide = np.abs(b.real) >= np.abs(b.imag)
        ratio = np.where(wide, b.imag / b.real, b.real / b.imag)
        scale = one / np.where(wide, b.real + b.imag * ratio, b.imag + b.real * ratio)
        real = np.where(wide, a.real + a.imag * ratio, a.real * ratio + a.imag)
        imag = np.where(wide, a.imag - a.real * ratio, a.imag * ratio - a.real)
        out.real, out.imag = real * scale, imag * scale
    return out


@kk.kernel(reproducible=True)
def arithmetic(a, b, out):
    i = kk.grid(1)
    if i < a.size:
        out[i, 0] = a[i] + b[i]
        out[i, 1] = a[i] - b[i]
        out[i, 2] = a[i] * b[i]
        out[i, 3] = a[i] / b[i]
        out[i, 4] = -a[i]
        out[i, 5] = a[i].conjugate()


@pytest.mark.needs(reproducible=True)
@pytest.mark.parametrize("dtype", by_dtype(COMPLEX))
def test_arithmetic(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a, b = (sample(rng, dtype, COUNT, special=False) for _ in "ab")
    out = run(arithmetic, 2, 32, a, b, poison((COUNT, 6), dtype))
    columns = [a + b, a - b, product(a, b), quotient(a, b), -a, np.conj(a)]
    assert_bits_equal(out, np.stack(columns, axis=1))


@kk.kernel
def contracted(a, b, out):
    i = kk.grid(1)
    if i < a.size:
        out[i, 0] = a[i] * b[i]
        out[i, 1] = a[i] / b[i]
        z = a[i]
        z *= b[i]
        z += 1
        out[i, 2] = z


@pytest.mark.parametrize("dtype", by_dtype(COMPLEX))
def test_contraction_stays_near(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a, b = (sample(rng, dtype, COUNT, special=False) for _ in "ab")
    out = run(contracted, 2, 32, a, b, poison((COUNT, 3), dtype))
    x, y = a.astype(np.complex128), b.astype(np.complex128)
    exact = np.stack([x * y, x / y, x * y + 1], axis=1)
    magnitude = np.stack([abs(x) * abs(y), abs(x) / abs(y), abs(x) * abs(y) + 1], axis=1)
    assert_close(out, exact, ulps=8, magnitude=magnitude)


@kk.kernel
def parts(a, re, im, out):
    i = kk.grid(1)
    if i < a.size:
        re[i, 0] = a[i].real
        re[i, 1] = abs(a[i])
        im[i] = a[i].imag
        out[i, 0] = complex(a[i].imag, a[i].real)
        out[i, 1] = a[i].real
        out[i, 2] = complex(i, -1)
        out[i, 3] = a[i] * 2 + 1j
        out[i, 4] = a[i].real * 1j


@pytest.mark.parametrize("dtype", by_dtype(COMPLEX))
def test_parts(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a = sample(rng, dtype, COUNT, special=False)
    part = a.real.dtype
    _, re, im, out = run.arrays(
        parts, 2, 32, a, poison((COUNT, 2), part), poison(COUNT, part), poison((COUNT, 5), dtype)
    )
    assert_bits_equal(re[:, 0], a.real)
    assert_bits_equal(im, a.imag)
    assert_close(re[:, 1], np.abs(a.astype(np.complex128)), ulps=4)
    i = np.arange(COUNT)
    columns = [a.imag + 1j * a.real, a.real, i - 1j, 2 * a + np.complex64(1j), 1j * a.real]
    np.testing.assert_array_equal(out, np.stack(columns, axis=1).astype(dtype))


@kk.kernel
def comparisons(a, b, out):
    i = kk.grid(1)
    if i < a.size:
        out[i, 0] = a[i] == b[i]
        out[i, 1] = a[i] != b[i]
        out[i, 2] = bool(a[i])
        out[i, 3] = a[i] == 1


@pytest.mark.parametrize("dtype", by_dtype(COMPLEX))
def test_comparisons(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    choices = np.array([0, 1, 1j, -1, complex(np.nan, 0), complex(-0.0, 0), complex(0, np.nan)])
    a, b = rng.choice(choices, (2, COUNT)).astype(dtype)
    out = run(comparisons, 2, 32, a, b, poison((COUNT, 4), np.bool_))
    np.testing.assert_array_equal(out, np.stack([a == b, a != b, a.astype(bool), a == 1], axis=1))


@kk.kernel
def transform(src, turns, out):
    """A discrete Fourier transform; the twiddle factors come as a table."""
    k = kk.grid(1)
    if k < out.size:
        total = 0j
        for n in range(src.size):
            total += src[n] * turns[n * k % src.size]
        out[k] = total


@pytest.mark.parametrize("dtype", by_dtype(COMPLEX))
def test_sums_of_products(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    src = sample(rng, dtype, 21, special=False)
    turns = np.exp(-2j * np.pi * np.arange(21) / 21).astype(dtype)
    out = run.over(transform, src, turns, poison(21, dtype))
    magnitude = np.full(21, np.abs(src).sum())
    assert_close(out, np.fft.fft(src.astype(np.complex128)), ulps=32, magnitude=magnitude)


@kk.kernel
def shared_and_scalar(a, factor, out):
    tile = kk.shared.array(COUNT, a.dtype)
    i = kk.threadIdx.x
    tile[i] = a[i] * factor
    kk.syncthreads()
    out[i] = tile[COUNT - 1 - i]


@pytest.mark.needs(shared_memory=True, barriers=True)
@pytest.mark.parametrize("dtype", by_dtype(COMPLEX))
def test_in_shared_memory_with_a_scalar(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a = sample(rng, dtype, COUNT, special=False)
    out = run(shared_and_scalar, 1, COUNT, a, 2j, poison(COUNT, dtype))
    np.testing.assert_array_equal(out, (a * a.dtype.type(2j))[::-1])
