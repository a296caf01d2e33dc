"""Floats: IEEE operations one at a time, // and % as NumPy's, min and max, NaN, reproducibility."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.exact import fused, rounded
from kernelkit.conformance.launching import FLOATS, Runner, by_dtype, poison, sample
from kernelkit.testing.comparison import assert_bits_equal, assert_close

COUNT = 120


def two(function: Any, **options: Any) -> Any:
    @kk.kernel(**options)
    def kernel(a, b, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(a[i], b[i])

    return kernel


def add(a, b):
    return a + b


def subtract(a, b):
    return a - b


def multiply(a, b):
    return a * b


def divide(a, b):
    return a / b


def floor_divide(a, b):
    return a // b


def modulo(a, b):
    return a % b


def least(a, b):
    return min(a, b)


def greatest(a, b):
    return max(a, b)


def select(a, b):
    return kk.selp(a < b, a, b)


def negated_sum(a, b):
    return -a if a == a else -b


def magnitude(a, b):
    return abs(a)


def by_definition(take: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def apply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.array([y if take(x, y) else x for x, y in zip(a, b, strict=True)], a.dtype)

    return apply


def with_two(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A NumPy function; in float16 NumPy itself computes in float32 and rounds."""

    def apply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function(a, b))

    return apply


#: function -> what it gives; these are exact, or correctly rounded, on every back end.
EXACT: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    f.__name__: (f, meaning)
    for f, meaning in [
        (add, with_two(np.add)),
        (subtract, with_two(np.subtract)),
        (multiply, with_two(np.multiply)),
        (floor_divide, with_two(np.floor_divide)),
        (modulo, with_two(np.remainder)),
        (least, by_definition(lambda a, b: b < a)),
        (greatest, by_definition(lambda a, b: b > a)),
        (select, by_definition(lambda a, b: not a < b)),
        (negated_sum, lambda a, b: np.where(np.isnan(a), -b, -a)),
        (magnitude, lambda a, b: np.abs(a)),
    ]
}
KERNELS = {name: two(function) for name, (function, _) in EXACT.items()}


@pytest.mark.parametrize("dtype", by_dtype(FLOATS))
@pytest.mark.parametrize("name", EXACT)
def test_one_operation_is_exact(
    run: Runner, rng: np.random.Generator, name: str, dtype: str
) -> None:
    a, b = sample(rng, dtype, COUNT), sample(rng, dtype, COUNT)
    out = run.over(KERNELS[name], a, b, poison(COUNT, dtype))
    assert_bits_equal(out, EXACT[name][1](a, b))


@pytest.mark.parametrize("dtype", by_dtype(FLOATS))
def test_division(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    """Correctly rounded in reproducible kernels; elsewhere a device may err by 2.5 ulp."""
    a, b = sample(rng, dtype, COUNT), sample(rng, dtype, COUNT)
    b[:6] = [0, -0.0, np.inf, np.nan, 1, 3]
    with np.errstate(all="ignore"):
        expected = a / b
    assert_close(run.over(two(divide), a, b, poison(COUNT, dtype)), expected, ulps=2.5)


@kk.kernel
def minimum_of_number_and_nan(a, b, out):
    i = kk.grid(1)
    if i < a.size:
        out[i, 0] = kk.fmin(a[i], b[i])
        out[i, 1] = kk.fmax(a[i], b[i])


@pytest.mark.parametrize("dtype", by_dtype([*FLOATS, "int32", "uint8"]))
def test_fmin_and_fmax_ignore_nan(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a, b = sample(rng, dtype, COUNT), sample(rng, dtype, COUNT)
    if np.dtype(dtype).kind == "f":
        a[:20] = np.nan
        b[10:30] = np.nan
    out = run(minimum_of_number_and_nan, 4, 32, a, b, poison((COUNT, 2), dtype))
    np.testing.assert_array_equal(out, np.stack([np.fmin(a, b), np.fmax(a, b)], axis=1))


@kk.kernel
def fused_multiply_add(a, b, c, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = kk.fma(a[i], b[i], c[i])


#: dtype -> two factors whose product lies in the middle between 1 and the next float.
TO_THE_MIDDLE = {
    "float32": (97 * 257 / 2**12, 673 / 2**12),
    "float64": (3 * 107 / 2**8, 28059810762433 / 2**45),
}


@pytest.mark.parametrize("dtype", by_dtype(["float32", "float64"]))
def test_fma_rounds_once(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a, b = (sample(rng, dtype, COUNT, special=False) for _ in "ab")
    c = -(a * b)  # Cancels all but what a second rounding would lose.
    c[::3] = sample(rng, dtype, c[::3].size, special=False)
    # A tail far below the last place decides what a middle is rounded to.
    a[:8], b[:8] = TO_THE_MIDDLE[dtype]
    c[:8] = [2.0**-80, -(2.0**-80), 2.0**-120, -(2.0**-120), 2.0**-149, 0, -(2.0**-26), 2.0**-26]
    a[4:8] *= -1
    c[4:8] *= -1
    out = run.over(fused_multiply_add, a, b, c, poison(COUNT, dtype))
    assert_bits_equal(out, fused(a, b, c))


def of_float(x, bits, out):
    i = kk.grid(1)
    if i < x.size:
        bits[i] = kk.float_as_int(x[i])
        out[i] = kk.int_as_float(bits[i] ^ -2147483648)


def of_double(x, bits, out):
    i = kk.grid(1)
    if i < x.size:
        bits[i] = kk.double_as_longlong(x[i])
        out[i] = kk.longlong_as_double(bits[i] ^ -9223372036854775808)


@pytest.mark.parametrize("dtype", by_dtype(["float32", "float64"]))
def test_floats_as_bits(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    kernel = kk.kernel(of_float if dtype == "float32" else of_double)
    x = sample(rng, dtype, COUNT)
    x = x[~np.isnan(x)]  # The bits of a NaN are not kept everywhere.
    signed = x.view(x.dtype.str.replace("f", "i"))
    found, negated = run.arrays(kernel, 4, 32, x, np.zeros_like(signed), poison(x.size, dtype))[1:]
    np.testing.assert_array_equal(found, signed)
    assert_bits_equal(negated, -x)


@kk.kernel
def polynomial(x, y, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = ((x[i] * 0.5 + y[i]) * x[i] - 1.25) * y[i] + x[i] * y[i]


def polynomial_bound(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    a, b = np.abs(x), np.abs(y)
    return ((a * 0.5 + b) * a + 1.25) * b + a * b


@pytest.mark.parametrize("dtype", by_dtype(FLOATS))
def test_contraction_stays_within_the_rounding_error(
    run: Runner, rng: np.random.Generator, dtype: str
) -> None:
    x, y = (sample(rng, dtype, COUNT, special=False) for _ in "xy")
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    exact = ((wide_x * 0.5 + wide_y) * wide_x - 1.25) * wide_y + wide_x * wide_y
    out = run.over(polynomial, x, y, poison(COUNT, dtype))
    assert_close(out, exact, ulps=8, magnitude=polynomial_bound(wide_x, wide_y))


# ---------------------------------------------------------------- reproducible kernels
needs_reproducible = pytest.mark.needs(reproducible=True)


@kk.kernel(reproducible=True)
def reproducible_polynomial(x, y, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = ((x[i] * 0.5 + y[i]) * x[i] - 1.25) * y[i] + x[i] * y[i] / (y[i] - x[i])


@needs_reproducible
@pytest.mark.parametrize("dtype", by_dtype(["float32", "float64"]))
def test_reproducible_arithmetic_is_numpys(
    run: Runner, rng: np.random.Generator, dtype: str
) -> None:
    x, y = sample(rng, dtype, COUNT), sample(rng, dtype, COUNT)
    half, other = x.dtype.type(0.5), x.dtype.type(1.25)
    with np.errstate(all="ignore"):
        expected = ((x * half + y) * x - other) * y + x * y / (y - x)
    assert_bits_equal(run.over(reproducible_polynomial, x, y, poison(COUNT, dtype)), expected)


@needs_reproducible
@pytest.mark.parametrize("dtype", by_dtype(FLOATS))
def test_reproducible_division(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a, b = sample(rng, dtype, COUNT), sample(rng, dtype, COUNT)
    with np.errstate(all="ignore"):
        expected = a / b
    out = run.over(two(divide, reproducible=True), a, b, poison(COUNT, dtype))
    assert_bits_equal(out, expected)


@kk.kernel(reproducible=True)
def denormals(a, out):
    i = kk.grid(1)
    if i < a.size:
        out[i, 0] = a[i] * 0.25
        out[i, 1] = a[i] * 0.25 + a[i] * 0.5
        out[i, 2] = a[i] - a[i] * 0.75


@needs_reproducible
@pytest.mark.parametrize("dtype", by_dtype(["float32", "float64"]))
def test_denormals_are_kept(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    tiny = np.finfo(dtype).tiny
    a = (rng.uniform(-2, 2, COUNT) * tiny).astype(dtype)
    quarter = a * a.dtype.type(0.25)
    half, more = a * a.dtype.type(0.5), a * a.dtype.type(0.75)
    out = run(denormals, 4, 32, a, poison((COUNT, 3), dtype))
    assert_bits_equal(out, np.stack([quarter, quarter + half, a - more], axis=1))


@kk.kernel(reproducible=True)
def mean_and_deviation(src, out):
    i = kk.grid(1)
    if i < src.shape[0]:
        total = np.float32(0)
        squares = np.float32(0)
        for k in range(src.shape[1]):
            total += src[i, k]
            squares += src[i, k] * src[i, k]
        mean = total / src.shape[1]
        out[i] = squares / src.shape[1] - mean * mean


@needs_reproducible
def test_a_reproducible_sum_in_order(run: Runner, rng: np.random.Generator) -> None:
    src = sample(rng, np.float32, 40 * 9, special=False).reshape(40, 9)
    total, squares = np.zeros(40, np.float32), np.zeros(40, np.float32)
    for k in range(9):
        total += src[:, k]
        squares += src[:, k] * src[:, k]
    mean = total / np.float32(9)
    out = run(mean_and_deviation, 2, 32, src, poison(40, np.float32))
    assert_bits_equal(out, squares / np.float32(9) - mean * mean)


# ---------------------------------------------------------------- float16
@kk.kernel(reproducible=True)
def half_chain(a, b, c, out):
    i = kk.grid(1)
    if i < a.size:
        out[i, 0] = a[i] * b[i] + c[i]
        out[i, 1] = (a[i] + b[i]) / c[i]
        out[i, 2] = a[i] * 3 - 0.1


@pytest.mark.needs(dtypes="float16", reproducible=True)
def test_float16_rounds_after_each_operation(run: Runner, rng: np.random.Generator) -> None:
    a, b, c = (sample(rng, np.float16, COUNT) for _ in "abc")
    half = np.float16
    with np.errstate(all="ignore"):
        columns = [a * b + c, (a + b) / c, a * half(3) - half(0.1)]
    assert_bits_equal(
        run(half_chain, 4, 32, a, b, c, poison((COUNT, 3), half)), np.stack(columns, axis=1)
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_oracle_of_fma(rng: np.random.Generator, dtype: str) -> None:
    """Without a third operand the oracle must round as NumPy does."""
    a, b = (sample(rng, dtype, COUNT, special=False) for _ in "ab")
    assert_bits_equal(fused(a, b, np.zeros_like(a)) + a.dtype.type(0), a * b + a.dtype.type(0))
    assert rounded(0.1, np.float32) == np.float32(0.1)
