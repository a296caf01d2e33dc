"""The functions of mathlib at the edges of C and IEEE 754, whatever runs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernelkit.mathlib import FUNCTIONS
from kernelkit.testing.comparison import assert_bits_equal

Array = npt.NDArray[Any]
Over = Callable[..., Array]
INF, NAN = math.inf, math.nan
DTYPES = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
BACKENDS = pytest.mark.parametrize("backend", ["cpu", "python"])

EDGES: dict[str, list[tuple[float, float]]] = {
    "exp": [(INF, INF), (-INF, 0.0), (60000, INF), (-60000, 0.0), (0.0, 1), (-0.0, 1)],
    "exp2": [(INF, INF), (-INF, 0.0), (60000, INF), (-60000, 0.0), (-0.0, 1), (7, 128), (-9, 2**-9)],
    "log": [(0.0, -INF), (-0.0, -INF), (-1, NAN), (-INF, NAN), (INF, INF), (1, 0.0)],
    "log2": [(0.0, -INF), (-0.0, -INF), (-1, NAN), (-INF, NAN), (INF, INF), (1, 0.0), (2**-14, -14)],
    "sin": [(INF, NAN), (-INF, NAN), (-0.0, -0.0), (0.0, 0.0)],
    "cos": [(INF, NAN), (-INF, NAN), (-0.0, 1), (0.0, 1)],
    "tan": [(INF, NAN), (-INF, NAN), (-0.0, -0.0), (0.0, 0.0)],
    "tanh": [(INF, 1), (-INF, -1), (-0.0, -0.0), (0.0, 0.0), (60000, 1), (-60000, -1)],
}  # fmt: skip


@BACKENDS
@DTYPES
@pytest.mark.parametrize("name", EDGES)
def test_edges(over: Over, name: str, dtype: str, backend: str) -> None:
    rows = np.array([*EDGES[name], (NAN, NAN)], dtype)
    x, expected = rows.T.copy()
    assert_bits_equal(over(name, x, backend=backend), expected)


def test_every_function_of_one_number_has_edges() -> None:
    assert {*EDGES, "pow"} == set(FUNCTIONS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["sin", "tan", "tanh"])
def test_tiny_numbers_are_themselves(over: Over, name: str, dtype: str) -> None:
    info = np.finfo(dtype)
    tiny = np.array([info.smallest_subnormal, info.smallest_normal, 2.5 * info.smallest_normal])
    x = np.concatenate([tiny, -tiny]).astype(dtype)
    assert_bits_equal(over(name, x), x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_denormals_of_powers_of_two(over: Over, dtype: str) -> None:
    info = np.finfo(dtype)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp).astype(dtype)
    powers = np.ldexp(np.ones(1, dtype), exponents.astype(int))
    assert_bits_equal(over("exp2", exponents), powers)
    assert_bits_equal(over("log2", powers), exponents)


def ieee_power(x: float, y: float) -> float:
    """IEEE 754-2019, 9.2.1, the rows that are not general."""
    odd = y == math.trunc(y) and y % 2 == 1 if math.isfinite(y) else False
    if y == 0 or x == 1:
        return 1.0
    if math.isnan(x) or math.isnan(y):
        return NAN
    if x == -1 and math.isinf(y):
        return 1.0
    if math.isinf(y):
        return INF if (abs(x) > 1) == (y > 0) else 0.0
    if x == 0:
        return (math.copysign(INF, x) if odd else INF) if y < 0 else (x if odd else 0.0)
    if math.isinf(x):
        size = INF if y > 0 else 0.0
        return math.copysign(size, x) if odd else size
    return NAN  # only finite bases are left, and negative ones with exponents that are not whole


@BACKENDS
@DTYPES
def test_edges_of_pow(over: Over, dtype: str, backend: str) -> None:
    kind, info = np.dtype(dtype).type, np.finfo(dtype)
    whole = 2.0**info.nmant
    bases = [0.0, -0.0, 1, -1, INF, -INF, NAN]
    exponents = [
        0.0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 2.5, INF, -INF, NAN, info.max, -info.max,
        whole - 1, whole - 0.5, whole, whole + 1, 1 - whole, -whole - 1, 2 * whole - 1, 2 * whole,
        info.smallest_subnormal, -info.smallest_subnormal,
    ]  # fmt: skip
    rows = [(x, y) for x in map(kind, bases) for y in map(kind, exponents)]
    rows = [r for r in rows if abs(r[0]) != 1 or not np.isfinite(r[1]) or r[0] == 1 or r[1] == 0]
    rows += [(kind(x), kind(y)) for x in (-2, -0.75, -info.max) for y in (0.5, -2.5, 3.75)]
    x, y = (np.array(column, dtype) for column in zip(*rows, strict=True))
    expected = np.array([ieee_power(float(a), float(b)) for a, b in rows], dtype)
    assert_bits_equal(over("pow", x, y, backend=backend), expected)


@DTYPES
def test_the_sign_of_a_power(over: Over, dtype: str) -> None:
    whole = 2.0 ** np.finfo(dtype).nmant
    y = np.array([1, 2, 3, -1, whole - 1, whole, whole + 1, 2 * whole - 1, 2 * whole], dtype)
    x = np.full_like(y, -1)
    expected = np.where(np.array([1, 0, 1, 1, 1, 0, 1, 1, 0]) == 1, -1, 1).astype(dtype)
    assert_bits_equal(over("pow", x, y), expected)
