"""Functions in OpenCL C where libraries lose digits, and float32 division by way of float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from opencl_devices import each_device

import kernelkit_opencl.scalars
from kernelkit.ir import scalar
from kernelkit.ir.types import FLOAT32, FLOAT64, DType
from kernelkit.testing.comparison import assert_bits_equal, ulp_distance
from kernelkit.testing.scalars import elementwise, pairs

Array = npt.NDArray[Any]


def near_trouble(dtype: DType) -> Array:
    """Where gamma's poles are and its results denormal, and where erf is nearly 1."""
    rng = np.random.default_rng(1)
    low = (-45, -30) if dtype == FLOAT32 else (-184, -165)
    great = 10.0 ** rng.uniform(30, 38.5 if dtype == FLOAT32 else 307, 500)
    parts = [rng.uniform(*low, 500), rng.uniform(-6, 6, 500), rng.uniform(1, 30, 500), great]
    tiny = np.finfo(dtype.numpy).smallest_subnormal
    return np.concatenate([*parts, [tiny, -tiny]]).astype(dtype.numpy)


@each_device
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("name", ["gamma", "erf", "erfc", "log1p", "lgamma", "expm1"])
def test_functions_where_libraries_fail(
    device: Any, name: str, dtype: DType, results: Callable[..., list[Array]]
) -> None:
    x = near_trouble(dtype)
    if name == "lgamma":
        x = np.abs(x)
    given = {"x": (dtype, x)}
    actual = results(device, given, [(lambda s: s.expression(name, (dtype,), ["x"]), dtype)])[0]
    wanted = elementwise(name, (dtype,), x)
    ulp = scalar.FUNCTIONS[name].ulp
    assert ulp
    if name == "lgamma":
        near = np.abs(wanted) < 1
        assert np.all(np.abs(actual[near] - wanted[near]) <= ulp * np.finfo(x.dtype).eps)
        actual, wanted = actual[~near], wanted[~near]
    assert ulp_distance(actual, wanted).max() <= ulp + 1
    assert np.array_equal(np.signbit(actual), np.signbit(wanted))


@each_device
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_lgamma_between_its_poles(
    device: Any, dtype: DType, results: Callable[..., list[Array]]
) -> None:
    """Where it is nearly 0, too, it is right to 16 ulps of 1."""
    rng = np.random.default_rng(2)
    pole = rng.integers(2, 16, 3000)
    factorials = np.cumprod(np.arange(1.0, 17))[pole - 1]
    x = (-pole + rng.choice([-1, 1], 3000) * rng.uniform(0.4, 2, 3000) / factorials).astype(
        dtype.numpy
    )
    x = np.concatenate([x, rng.uniform(-20, -0.5, 3000).astype(dtype.numpy)])
    # Its sum with a logarithm of the product up to the nearest pole, in more digits.
    wide = x.astype(np.longdouble)
    d = wide - np.rint(wide)
    product = d.copy()
    for k in range(1, 22):
        factor = d - k
        product = np.where(factor >= wide - 0.25, product * factor, product)
    with np.errstate(all="ignore"):
        above = elementwise("lgamma", (FLOAT64,), (1 + d).astype(np.float64))
        exact = above.astype(np.longdouble) - np.log(np.abs(product))
    call = [(lambda s: s.expression("lgamma", (dtype,), ["x"]), dtype)]
    actual = results(device, {"x": (dtype, x)}, call)[0]
    finite = np.isfinite(exact)
    size = np.maximum(np.abs(exact[finite]), 1)
    error = np.abs(actual[finite] - exact[finite]) / (size * np.finfo(dtype.numpy).eps)
    assert error.max() <= 16
    assert np.all(actual[~finite] == np.inf)


@each_device
def test_division_by_way_of_float64(device: Any, results: Callable[..., list[Array]]) -> None:
    x, y = pairs(FLOAT32, 20000)
    given = {"x": (FLOAT32, x), "y": (FLOAT32, y)}
    made = [
        (lambda s: s.expression("truediv", (FLOAT32, FLOAT32), ["x", "y"]), FLOAT32),
        (lambda s: s.expression("sqrt", (FLOAT32,), ["x"]), FLOAT32),
    ]
    found = results(device, given, made, options=kernelkit_opencl.scalars.WIDE_DIVISION)
    with np.errstate(all="ignore"):
        assert_bits_equal(found[0], x / y)
        assert_bits_equal(found[1], np.sqrt(x))
