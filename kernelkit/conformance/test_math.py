"""The functions of `math`, and rsqrt and cbrt: within their bound of the true value."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import FLOATS, Runner, by_dtype, poison, sample
from kernelkit.frontend import parser  # noqa: F401 - so that mathlib can be read
from kernelkit.frontend.expansion import evaluate
from kernelkit.ir.scalar import FUNCTIONS
from kernelkit.ir.types import DTYPES
from kernelkit.mathlib import FUNCTIONS as MATHLIB
from kernelkit.testing.comparison import assert_bits_equal, assert_close

COUNT = 150


def unary(function: Any, **options: Any) -> Any:
    @kk.kernel(**options)
    def kernel(x, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(x[i])

    return kernel


def binary(function: Any, **options: Any) -> Any:
    @kk.kernel(**options)
    def kernel(x, y, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(x[i], y[i])

    return kernel


def careful(function: Callable[..., float]) -> Callable[..., np.ndarray]:
    """A function of Python's math, element by element; where Python raises, NaN."""

    def each(*values: float) -> float:
        try:
            return function(*values)
        except (ValueError, OverflowError):
            return math.nan

    return lambda *arrays: np.array(
        [each(*v) for v in zip(*map(np.ndarray.tolist, arrays), strict=True)]
    )


def gamma(x: float) -> float:
    """Of C: infinite at 0 and where it is too large."""
    if x == 0:
        return math.copysign(math.inf, x)
    try:
        return math.gamma(x)
    except OverflowError:
        return math.inf


def lgamma(x: float) -> float:
    """Of C: infinite at 0 and the negative integers."""
    at_pole = x <= 0 and (math.isinf(x) or x == math.floor(x))
    return math.inf if at_pole else math.lgamma(x)


@dataclass(frozen=True)
class Case:
    """A function, what it should give in float64, where it is tried, and special operands."""

    name: str
    function: Any
    oracle: Callable[..., Any]
    low: float
    high: float
    special: tuple[float, ...] = (0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0)

    def bound(self, dtype: str) -> float:
        bound = (MATHLIB if self.name in MATHLIB else FUNCTIONS)[self.name].ulp
        assert bound is not None
        if dtype == "float16":
            return min(bound, 1)
        # The oracle is not exact in float64, but where it is correctly rounded.
        return bound + (1 if dtype == "float64" and bound > 0.5 else 0.001)


UNARY = [
    Case("sqrt", math.sqrt, np.sqrt, 0, 1e4),
    Case("rsqrt", kk.rsqrt, lambda x: 1 / np.sqrt(x), 1e-3, 1e3),
    Case("cbrt", kk.cbrt, np.cbrt, -1e3, 1e3),
    Case("exp", math.exp, np.exp, -10, 10),
    Case("exp2", math.exp2, np.exp2, -14, 15),
    Case("expm1", math.expm1, np.expm1, -3, 5),
    Case("log", math.log, np.log, 1e-4, 1e4),
    Case("log2", math.log2, np.log2, 1e-4, 1e4),
    Case("log10", math.log10, np.log10, 1e-4, 1e4),
    Case("log1p", math.log1p, np.log1p, -0.99, 100),
    Case("sin", math.sin, np.sin, -100, 100),
    Case("cos", math.cos, np.cos, -100, 100),
    Case("tan", math.tan, np.tan, -20, 20),
    Case("asin", math.asin, np.arcsin, -1, 1),
    Case("acos", math.acos, np.arccos, -1, 1),
    Case("atan", math.atan, np.arctan, -50, 50),
    Case("sinh", math.sinh, np.sinh, -8, 8),
    Case("cosh", math.cosh, np.cosh, -8, 8),
    Case("tanh", math.tanh, np.tanh, -4, 4),
    Case("asinh", math.asinh, np.arcsinh, -50, 50),
    Case("acosh", math.acosh, np.arccosh, 1, 50),
    Case("atanh", math.atanh, np.arctanh, -1, 1),
    Case("erf", math.erf, careful(math.erf), -3, 3),
    Case("erfc", math.erfc, careful(math.erfc), -2, 3.5),
    Case("gamma", math.gamma, careful(gamma), 0.05, 8),
    Case("lgamma", math.lgamma, careful(lgamma), 0.05, 50),
    Case("degrees", math.degrees, np.degrees, -100, 100),
    Case("radians", math.radians, np.radians, -1000, 1000),
    Case("fabs", math.fabs, np.fabs, -100, 100),
]
BINARY = [
    Case("atan2", math.atan2, np.arctan2, -50, 50),
    Case("hypot", math.hypot, np.hypot, -50, 50),
    Case("fmod", math.fmod, np.fmod, -50, 50),
    Case("remainder", math.remainder, careful(math.remainder), -50, 50),
    Case("copysign", math.copysign, np.copysign, -50, 50),
]
KERNELS = {case.name: unary(case.function) for case in UNARY} | {
    case.name: binary(case.function) for case in BINARY
}


def arguments(rng: np.random.Generator, case: Case, dtype: str) -> np.ndarray:
    values = rng.uniform(case.low, case.high, COUNT)
    values[: len(case.special)] = case.special
    values[len(case.special) : COUNT // 3] *= 1e-2  # Some near 0, where relative errors show.
    return values.astype(dtype)


@pytest.mark.parametrize("dtype", by_dtype(FLOATS))
@pytest.mark.parametrize("case", UNARY, ids=lambda case: case.name)
def test_of_one_number(run: Runner, rng: np.random.Generator, case: Case, dtype: str) -> None:
    x = arguments(rng, case, dtype)
    with np.errstate(all="ignore"):
        expected = np.asarray(case.oracle(x.astype(np.float64)))
    out = run.over(KERNELS[case.name], x, poison(COUNT, dtype))
    # Near the zeros of lgamma the bound counts ulps of 1.
    size = np.maximum(np.abs(expected), 1) if case.name == "lgamma" else None
    assert_close(out, expected, ulps=case.bound(dtype), magnitude=size, what=case.name)
    np.testing.assert_array_equal(np.signbit(out)[out == 0], np.signbit(expected)[out == 0])


@pytest.mark.parametrize("dtype", by_dtype(FLOATS))
@pytest.mark.parametrize("case", BINARY, ids=lambda case: case.name)
def test_of_two_numbers(run: Runner, rng: np.random.Generator, case: Case, dtype: str) -> None:
    x, y = (arguments(rng, case, dtype) for _ in "xy")
    rng.shuffle(y[: len(case.special)])
    with np.errstate(all="ignore"):
        expected = case.oracle(x.astype(np.float64), y.astype(np.float64))
    out = run.over(KERNELS[case.name], x, y, poison(COUNT, dtype))
    assert_close(out, expected, ulps=case.bound(dtype), what=case.name)


def raised(x, y):
    return x**y


@pytest.mark.parametrize("dtype", by_dtype(FLOATS))
@pytest.mark.parametrize("function", [math.pow, raised, pow], ids=["math.pow", "**", "pow"])
def test_pow(run: Runner, rng: np.random.Generator, function: Any, dtype: str) -> None:
    special = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, -1.0, 2.0, -2.0, 3.0, 0.5, -0.5]
    x = np.concatenate([np.repeat(special, 12), rng.uniform(0, 9, COUNT)]).astype(dtype)
    y = np.concatenate([np.tile(special, 12), rng.uniform(-4, 4, COUNT)]).astype(dtype)
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), y.astype(np.float64))
    out = run.over(binary(function), x, y, poison(x.size, dtype))
    slack = 1.0 if dtype == "float64" else 0.001
    assert_close(out, expected, ulps=MATHLIB["pow"].ulp + slack)


@pytest.mark.needs(reproducible=True)
@pytest.mark.parametrize("dtype", by_dtype(["float32", "float64"]))
@pytest.mark.parametrize("name", MATHLIB)
def test_reproducible_bits(run: Runner, rng: np.random.Generator, name: str, dtype: str) -> None:
    """Those of the front end, which computes with constants itself."""
    make = unary if MATHLIB[name].arity == 1 else binary
    kernel = make(getattr(math, name), reproducible=True)
    arrays = [rng.permutation(sample(rng, dtype, 60)) for _ in range(MATHLIB[name].arity)]
    arrays[0][:4] = [1e30, -1e5, 0.01, 20]
    kind = DTYPES[dtype]
    expected = [
        evaluate(MATHLIB[name].bodies[kind], kind, *map(float, row))
        for row in zip(*arrays, strict=True)
    ]
    out = run.over(kernel, *arrays, poison(60, dtype))
    assert_bits_equal(out, np.array(expected, dtype))


@kk.kernel
def parts(x, exponents, out, numbers):
    i = kk.grid(1)
    if i < x.size:
        mantissa, exponent = math.frexp(x[i])
        fraction, whole = math.modf(x[i])
        out[i, 0] = mantissa
        out[i, 1] = fraction
        out[i, 2] = whole
        out[i, 3] = math.ldexp(x[i], exponents[i])
        out[i, 4] = math.nextafter(x[i], 1.0)
        numbers[i, 0] = exponent
        numbers[i, 1] = math.isnan(x[i])
        numbers[i, 2] = math.isinf(x[i])
        numbers[i, 3] = math.isfinite(x[i])


@pytest.mark.parametrize("dtype", by_dtype(FLOATS))
def test_parts_of_floats(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    x = (rng.standard_normal(COUNT) * 100).astype(dtype)
    x[:8] = [0, -0.0, np.inf, -np.inf, np.nan, 1, -0.5, np.finfo(dtype).smallest_subnormal]
    exponents = rng.integers(-20, 20, COUNT).astype(np.int32)
    exponents[20:24] = [3000, -3000, 0, 2**31 - 1]
    out, numbers = run.arrays(
        parts, 5, 32, x, exponents, poison((COUNT, 5), dtype), poison((COUNT, 4), np.int64)
    )[2:]
    with np.errstate(all="ignore"):
        mantissa, exponent = np.frexp(x)
        fraction, whole = np.modf(x)
        scaled = np.ldexp(x, exponents)
        following = np.nextafter(x, x.dtype.type(1))
    exponent = np.where(np.isfinite(x), exponent, 0)
    assert_bits_equal(out, np.stack([mantissa, fraction, whole, scaled, following], axis=1))
    flags = [np.isnan(x), np.isinf(x), np.isfinite(x)]
    np.testing.assert_array_equal(numbers, np.stack([exponent, *flags], axis=1))


@kk.kernel
def of_integers(n, out):
    i = kk.grid(1)
    if i < n.size:
        out[i, 0] = math.sqrt(n[i])
        out[i, 1] = math.hypot(n[i], 3)
        out[i, 2] = math.log(n[i], 10)
        out[i, 3] = math.pow(n[i], 2)
        out[i, 4] = n[i] / 7
        out[i, 5] = math.pi * n[i] + math.e - math.tau


@pytest.mark.needs(dtypes="float64")
@pytest.mark.parametrize("dtype", by_dtype(["int32", "uint8", "int64"]))
def test_of_integers_in_float64(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    n = rng.integers(3, 120, COUNT).astype(dtype)
    out = run(of_integers, 5, 32, n, poison((COUNT, 6), np.float64))
    wide = n.astype(np.float64)
    last = math.pi * wide + math.e - math.tau
    columns = [np.sqrt(wide), np.hypot(wide, 3), np.log(wide) / np.log(10), wide**2, wide / 7, last]
    assert_close(out, np.stack(columns, axis=1), ulps=6)


@kk.kernel
def mixed(x, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = math.atan2(x[i], 2) + math.hypot(1, x[i]) * math.inf


@pytest.mark.parametrize("dtype", by_dtype(["float32", "float64"]))
def test_literals_among_the_operands(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    x = rng.uniform(-9, 9, COUNT).astype(dtype)
    np.testing.assert_array_equal(run.over(mixed, x, poison(COUNT, dtype)), np.full(COUNT, np.inf))


@kk.kernel
def precision(x, out):
    """A function of a float32 gives a float32: the sum below loses what a float64 would keep."""
    i = kk.grid(1)
    if i < out.size:
        out[i] = (math.sqrt(x[i]) + 1e9) - 1e9


def test_the_result_has_the_operands_type(run: Runner, rng: np.random.Generator) -> None:
    x = rng.integers(1, 99, COUNT).astype(np.float32)
    expected = (np.sqrt(x) + np.float32(1e9)) - np.float32(1e9)
    assert_bits_equal(run.over(precision, x, poison(COUNT, np.float32)), expected)
