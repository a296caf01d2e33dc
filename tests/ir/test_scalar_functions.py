"""Exact functions of the table, bit for bit: those of floats, integers, complex numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import (
    BOOL,
    COMPLEX64,
    COMPLEX128,
    DTYPES,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    DType,
)
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.scalars import elementwise, pairs, random, special

Array = npt.NDArray[Any]
FLOATS = (FLOAT16, FLOAT32, FLOAT64)
INTEGERS = tuple(t for t in DTYPES.values() if t.is_integer)

in_floats = pytest.mark.parametrize("dtype", FLOATS, ids=str)
in_integers = pytest.mark.parametrize("dtype", INTEGERS, ids=str)


def samples(dtype: DType, count: int = 1000) -> Array:
    return np.concatenate([special(dtype), random(dtype, count)])


# ---------------------------------------------------------------- exact functions of floats
def frexp_exponent(x: Array) -> Array:
    """C leaves the exponent of infinities and NaN open; it is 0 here."""
    return np.where(np.isfinite(x), np.frexp(x)[1], np.int32(0))


EXACT: dict[str, Callable[..., Array]] = {
    "sqrt": np.sqrt, "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint,
    "fabs": np.fabs, "isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite,
    "frexp_mantissa": lambda x: np.frexp(x)[0], "frexp_exponent": frexp_exponent,
    "modf_fraction": lambda x: np.modf(x)[0], "modf_integer": lambda x: np.modf(x)[1],
    "fmod": np.fmod, "copysign": np.copysign,
    "nextafter": lambda x, y: np.where(x == y, y, np.nextafter(x, y)),
    "fmin": lambda a, b: np.where((a <= b) | np.isnan(b), a, b),
    "fmax": lambda a, b: np.where((a >= b) | np.isnan(b), a, b),
}  # fmt: skip


@in_floats
@pytest.mark.parametrize("name", EXACT)
def test_exact_function(name: str, dtype: DType) -> None:
    arity = scalar.FUNCTIONS[name].arity
    arrays = (samples(dtype),) if arity == 1 else pairs(dtype, 1000)
    with np.errstate(all="ignore"):
        expected = EXACT[name](*arrays)
    assert_bits_equal(elementwise(name, (dtype,) * arity, *arrays), expected, name)


@in_floats
def test_ldexp(dtype: DType) -> None:
    counts = np.array([0, 1, -1, 5, -5, 30, -30, 140, -149, 1000, -1074, 2100, -2100])
    far = np.array([(1 << 31) - 1, -(1 << 31), 1 << 40, (1 << 63) - 1, -(1 << 63)])
    values = samples(dtype, 200)
    for n in (*counts, *far):
        exponents = np.full(values.shape, n)
        with np.errstate(all="ignore"):
            # C's int would wrap the far ones; beyond 2**14 nothing changes any more.
            expected = np.ldexp(values, np.clip(exponents, -(1 << 14), 1 << 14))
        assert_bits_equal(elementwise("ldexp", (dtype, INT64), values, exponents), expected)


@in_floats
def test_remainder_by_fractions(dtype: DType) -> None:
    x, y = pairs(dtype, 500)
    with np.errstate(all="ignore"):
        expected = np.array([remainder(float(a), float(b)) for a, b in zip(x, y, strict=True)])
        assert_bits_equal(
            elementwise("remainder", (dtype, dtype), x, y), expected.astype(dtype.numpy)
        )


def remainder(x: float, y: float) -> float:
    if math.isnan(x) or math.isnan(y) or math.isinf(x) or y == 0:
        return math.nan
    if math.isinf(y):
        return x
    a, b = Fraction(x), Fraction(y)
    exact = a - round(a / b) * b  # a Fraction rounds half to even
    return float(exact) if exact else math.copysign(0.0, x)


# ---------------------------------------------------------------- fused multiply-add
def rounded(exact: Fraction, dtype: DType) -> Any:
    """A fraction as the nearest float, half to even: of the candidates around it the closest."""
    make, info = dtype.numpy.type, np.finfo(dtype.numpy)
    limit = Fraction(2) ** info.maxexp * (1 - Fraction(float(info.epsneg)) / 2)
    if abs(exact) >= limit:
        return make(math.inf if exact > 0 else -math.inf)
    greatest = Fraction(float(info.max))
    with np.errstate(all="ignore"):
        start = make(float(max(-greatest, min(exact, greatest))))
        around = [start, np.nextafter(start, make(-np.inf)), np.nextafter(start, make(np.inf))]
    best = min(
        (c for c in around if np.isfinite(c)),
        key=lambda c: (abs(Fraction(float(c)) - exact), int(c.view(f"u{dtype.itemsize}")) & 1),
    )
    return make(math.copysign(best, exact))


def fma(dtype: DType, a: Any, b: Any, c: Any) -> Any:
    if not (np.isfinite(a) and np.isfinite(b)):
        return a * b + c
    if not np.isfinite(c):
        return c
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if exact == 0:
        return dtype.numpy.type(float(a) * float(b) + float(c))
    if dtype == FLOAT16:
        return rounded(exact, FLOAT32).astype(np.float16)
    return rounded(exact, dtype)


def check_fma(dtype: DType, a: Array, b: Array, c: Array) -> None:
    with np.errstate(all="ignore"):
        rows = zip(a, b, c, strict=True)
        expected = np.array([fma(dtype, x, y, z) for x, y, z in rows], dtype.numpy)
    assert_bits_equal(elementwise("fma", (dtype,) * 3, a, b, c), expected, "fma")


@in_floats
def test_fma_of_special_and_random_values(dtype: DType) -> None:
    a, b = pairs(dtype, 2000)
    rng = np.random.default_rng(3)
    c = rng.permutation(np.concatenate([a, samples(dtype)]))[: len(a)]
    chosen = rng.permutation(len(a))[:5000]
    check_fma(dtype, a[chosen], b[chosen], c[chosen])


@in_floats
def test_fma_where_the_sum_cancels_or_lies_near_a_tie(dtype: DType) -> None:
    rng = np.random.default_rng(5)
    info = np.finfo(dtype.numpy)
    a, b = (rng.uniform(1, 2, 600).astype(dtype.numpy) for _ in range(2))
    check_fma(dtype, a, b, -(a * b))
    # A product of half an ulp of c and a trifle: what rounding twice gets wrong.
    half = dtype.numpy.type(float(info.eps) / 2)
    signs = rng.choice([-1, 1], 600).astype(dtype.numpy)
    nearly_one = (1 + signs * info.eps * rng.integers(0, 3, 600)).astype(dtype.numpy)
    check_fma(dtype, nearly_one, np.full(600, half), a)
    check_fma(dtype, -nearly_one, np.full(600, half), a)


@in_floats
def test_fma_at_the_ends_of_the_range(dtype: DType) -> None:
    info = np.finfo(dtype.numpy)
    great, tiny, least = info.max, info.smallest_normal, info.smallest_subnormal
    ends = [great, -great, tiny, -tiny, least, -least, info.max / 2, *map(dtype.numpy.type, (0, -0.0, 1, -1, 0.5, 2, np.inf, -np.inf, np.nan))]  # fmt: skip
    grid = np.array([(x, y, z) for x in ends for y in ends for z in ends], dtype.numpy)
    check_fma(dtype, *grid.T)


# ---------------------------------------------------------------- integers
def bit_matrix(values: Array) -> Array:
    """One row of bits for each value, the highest first."""
    big = values.astype(values.dtype.newbyteorder(">"))
    return np.unpackbits(big.view(np.uint8).reshape(len(values), -1), axis=1)


@in_integers
def test_bits(dtype: DType) -> None:
    values = samples(dtype)
    bits = bit_matrix(values)
    none = ~bits.any(axis=1)
    expected = {
        "popc": bits.sum(axis=1),
        "clz": np.where(none, dtype.bits, bits.argmax(axis=1)),
        "ffs": np.where(none, 0, bits[:, ::-1].argmax(axis=1) + 1),
    }
    for name, counts in expected.items():
        assert_bits_equal(elementwise(name, (dtype,), values), counts.astype(np.int32), name)
    reverse = elementwise("brev", (dtype,), values)
    assert np.array_equal(bit_matrix(reverse), bits[:, ::-1])


@in_integers
@pytest.mark.parametrize("name", ["fmin", "fmax"])
def test_fmin_and_fmax_of_integers(name: str, dtype: DType) -> None:
    a, b = pairs(dtype, 500)
    function = np.minimum if name == "fmin" else np.maximum
    assert_bits_equal(elementwise(name, (dtype, dtype), a, b), function(a, b))


# ---------------------------------------------------------------- floats as bits
@pytest.mark.parametrize(
    ("name", "source", "result"),
    [
        ("float_as_int", FLOAT32, INT32), ("int_as_float", INT32, FLOAT32),
        ("double_as_longlong", FLOAT64, INT64), ("longlong_as_double", INT64, FLOAT64),
    ],
)  # fmt: skip
def test_bits_as_another_type(name: str, source: DType, result: DType) -> None:
    values = samples(source)
    found = elementwise(name, (source,), values)
    assert found.dtype == result.numpy
    assert found.tobytes() == values.tobytes()


# ---------------------------------------------------------------- any type
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_selp_and_uniform(dtype: DType) -> None:
    a, b = pairs(dtype, 100)
    condition = random(BOOL, len(a))
    chosen = elementwise("selp", (BOOL, dtype, dtype), condition, a, b)
    assert_bits_equal(chosen, np.where(condition, a, b))
    assert_bits_equal(elementwise("uniform", (dtype,), a), a)


@pytest.mark.parametrize("dtype", [COMPLEX64, COMPLEX128], ids=str)
def test_complex_parts(dtype: DType) -> None:
    values = samples(dtype)
    part = dtype.component
    assert_bits_equal(elementwise("real", (dtype,), values), values.real)
    assert_bits_equal(elementwise("imag", (dtype,), values), values.imag)
    assert_bits_equal(elementwise("conj", (dtype,), values), np.conj(values))
    again = elementwise("complex", (part, part), values.real, values.imag)
    assert_bits_equal(again, values)


def test_every_exact_function_is_tested_here() -> None:
    others = (
        "ldexp remainder fma fmin fmax popc clz ffs brev selp uniform real imag conj complex "
        "float_as_int int_as_float double_as_longlong longlong_as_double"
    ).split()
    exact = {name for name, f in scalar.FUNCTIONS.items() if f.ulp is None or f.ulp <= 0.5}
    assert exact == {*EXACT, *others}
