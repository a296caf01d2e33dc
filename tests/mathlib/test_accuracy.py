"""The functions of mathlib, within the bounds that they state."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernelkit.ir.types import FLOAT16, FLOAT32, FLOAT64, DType
from kernelkit.mathlib import FUNCTIONS
from kernelkit.testing.comparison import ulp_error
from kernelkit.testing.scalars import pairs, random, special

Array = npt.NDArray[Any]
Over = Callable[..., Array]
LONG = np.longdouble
#: Where NumPy's longdouble is no wider than a double, the yardstick itself errs.
SLACK = 0.0 if np.finfo(LONG).nmant > 60 else 1.0
FLOATS = pytest.mark.parametrize("dtype", [FLOAT16, FLOAT32, FLOAT64], ids=str)
SINGLE = [name for name in FUNCTIONS if name != "pow"]
#: Where a function is neither flat nor infinite, and where its methods meet.
EVERYDAY: dict[str, list[tuple[float, float]]] = {
    "exp": [(-104, 89), (-1, 1), (-746, 710)],
    "exp2": [(-150, 128), (-1, 1), (-1075, 1024)],
    "log": [(0.5, 2), (0, 100), (0.999, 1.001)],
    "log2": [(0.5, 2), (0, 100), (0.7, 0.71)],
    "sin": [(-4, 4), (-1000, 1000), (-7e4, 7e4)],
    "cos": [(-4, 4), (-1000, 1000), (-7e4, 7e4)],
    "tan": [(-4, 4), (-1000, 1000), (-7e4, 7e4)],
    "tanh": [(-1, 1), (0.9, 1), (-20, 20)],
}


def samples(name: str, dtype: DType, count: int = 20_000) -> Array:
    rng = np.random.default_rng([len(name), dtype.bits])
    parts = [special(dtype), random(dtype, count, seed=5)]
    parts += [rng.uniform(low, high, count) for low, high in EVERYDAY[name]]
    with np.errstate(over="ignore"):
        return np.concatenate([part.astype(dtype.numpy) for part in parts])


def check(name: str, found: Array, exact: Array, *arrays: Array) -> None:
    errors = ulp_error(found, exact)
    worst = int(np.argmax(errors))
    # A float16 is the float32 result rounded.
    limit = 0.51 if found.dtype == np.float16 else FUNCTIONS[name].ulp
    slack = SLACK if found.dtype == np.float64 else 0
    assert errors[worst] <= limit + slack, (
        f"{name}({', '.join(repr(a[worst]) for a in arrays)}) = {found[worst]!r}, "
        f"exactly {exact[worst]!r}: {errors[worst]} ulp"
    )


@FLOATS
@pytest.mark.parametrize("name", SINGLE)
def test_of_many_numbers(over: Over, name: str, dtype: DType) -> None:
    x = samples(name, dtype)
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(x.astype(LONG))
    check(name, over(name, x), exact, x)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_near_multiples_of_half_pi(over: Over, name: str, dtype: DType) -> None:
    """What is left of the angle is small there, and all of it has to be right."""
    rng = np.random.default_rng(3)
    turns = np.concatenate([np.arange(1, 3000), rng.integers(1, 1 << 40, 3000)])
    x = (turns * (np.arctan(LONG(1)) * 2)).astype(dtype.numpy)
    x = np.concatenate([x, np.nextafter(x, dtype.numpy.type(0)), -x])
    # The doubles and floats that come nearest to a multiple (Muller, Elementary Functions, 11.3.2).
    hardest = 6381956970095103 * 2.0**797 if dtype == FLOAT64 else 16367173 * 2.0**72
    x = np.concatenate([x, np.array([hardest, -hardest, 2 * hardest], dtype.numpy)])
    check(name, over(name, x), getattr(np, name)(x.astype(LONG)), x)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_huge_angles_beside_small_ones(over: Over, name: str, dtype: DType) -> None:
    """Some lanes of a vector take the long way, the others not."""
    rng = np.random.default_rng(4)
    top = 127 if dtype == FLOAT32 else 1023
    x = np.ldexp(rng.uniform(-2, 2, 4000), rng.integers(-5, top, 4000)).astype(dtype.numpy)
    x[rng.integers(0, 4000, 1000)] = 0.5
    x[:8] = [np.inf, 1, -np.inf, 2, np.nan, 1e30, -0.0, 0.0]
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(x.astype(LONG))
    check(name, over(name, x), exact, x)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_far_out_by_addition_theorems(over: Over, name: str, dtype: DType) -> None:
    """Without a yardstick: the sum of the squares is 1, wherever the angle is."""
    rng = np.random.default_rng(6)
    x = np.ldexp(rng.uniform(1, 2, 2000), rng.integers(20, 127, 2000)).astype(dtype.numpy)
    squares = over("sin", x).astype(LONG) ** 2 + over("cos", x).astype(LONG) ** 2
    assert np.abs(squares - 1).max() <= 2 * np.finfo(dtype.numpy).eps


# ---------------------------------------------------------------- powers
def power(x: Array, y: Array) -> Array:
    """Some powl take exponents from 2**63 on for odd; with a base of 0 or infinity the double one
    is exact."""
    edge = (x == 0) | np.isinf(x)
    with np.errstate(all="ignore"):
        small = np.power(x.astype(np.float64), y.astype(np.float64))
        return np.where(edge, small, np.power(x.astype(LONG), y.astype(LONG)))


@FLOATS
def test_powers(over: Over, dtype: DType) -> None:
    rng, kind = np.random.default_rng(13), dtype.numpy
    x, y = pairs(dtype, 20_000)
    parts = [(x, y)]
    parts += [(rng.lognormal(0, 2, 20_000), rng.normal(0, 4, 20_000))]
    parts += [(1 + rng.normal(0, 1, 20_000) * 2.0 ** rng.integers(-30, -1, 20_000),
               rng.normal(0, 1, 20_000) * 2.0 ** rng.integers(0, 30, 20_000))]  # fmt: skip
    with np.errstate(all="ignore"):
        x, y = (np.concatenate([p[k].astype(kind) for p in parts]) for k in (0, 1))
    check("pow", over("pow", x, y), power(x, y), x, y)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_powers_over_the_whole_range(over: Over, dtype: DType) -> None:
    """Exponents such that the result is anything from denormal to infinite."""
    info, rng = np.finfo(dtype.numpy), np.random.default_rng(14)
    x = np.abs(random(dtype, 40_000, seed=9))
    x = x[(x > 0) & np.isfinite(x) & (x != 1)]
    target = rng.uniform(info.minexp - info.nmant - 2, info.maxexp + 1, len(x))
    with np.errstate(all="ignore"):
        y = (target / np.log2(x.astype(LONG))).astype(dtype.numpy)
    check("pow", over("pow", x, y), power(x, y), x, y)


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_powers_that_are_floats_are_exact(over: Over, dtype: DType) -> None:
    limit = 24 if dtype == FLOAT32 else 53
    rows = [
        (base, exponent)
        for base in range(-20, 21)
        for exponent in range(-3, 40)
        if base and (abs(base) ** abs(exponent)).bit_length() <= limit
        and (exponent >= 0 or abs(base) & (abs(base) - 1) == 0)
    ]  # fmt: skip
    x, y = np.array(rows, dtype.numpy).T.copy()
    expected = np.array([float(base) ** exponent for base, exponent in rows])
    np.testing.assert_array_equal(over("pow", x, y), expected)


@functools.cache
def halves() -> Array:
    return np.arange(1 << 16).astype(np.uint16).view(np.float16)


@pytest.mark.parametrize("name", SINGLE)
def test_float16_is_the_float32_result_rounded(over: Over, name: str) -> None:
    found, wide = over(name, halves()), over(name, halves().astype(np.float32))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, wide.astype(np.float16))
