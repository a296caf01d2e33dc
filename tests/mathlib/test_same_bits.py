"""The functions of mathlib give the same bits, whatever runs them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kernelkit as kk
from kernelkit import registry
from kernelkit.frontend import parser  # noqa: F401 - fills the tables of handlers
from kernelkit.frontend.expansion import evaluate
from kernelkit.ir.types import FLOAT32, FLOAT64, DType
from kernelkit.mathlib import FUNCTIONS
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.scalars import random, special
from kernelkit_cpu import CpuBackend
from kernelkit_cpu.targets import CpuTarget

Array = npt.NDArray[Any]
Over = Callable[..., Array]


def operands(name: str, dtype: DType) -> list[Array]:
    rng = np.random.default_rng(8)
    few = np.concatenate([special(dtype), random(dtype, 60), rng.uniform(-9, 9, 60)])
    x = few.astype(dtype.numpy)
    return [x, rng.permutation(x)] if name == "pow" else [x]


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_reference_agrees_with_the_cpu(over: Over, name: str, dtype: DType) -> None:
    arrays = operands(name, dtype)
    expected = over(name, *arrays, backend="python", reproducible=True)
    assert_bits_equal(over(name, *arrays, reproducible=True), expected)
    # Here a compiler may fuse products and sums, and finds none.
    assert_bits_equal(over(name, *arrays), expected)


@pytest.fixture
def preset(request: pytest.FixtureRequest) -> Iterator[str]:
    """A back end for other instructions than this processor's best."""
    target = CpuTarget.parse(request.param)
    if not target.runs_here():
        pytest.skip(target.why_not_here())
    name = f"cpu-{request.param}"
    registry.register(CpuBackend(name, target))
    yield name
    registry.unregister(name)


@pytest.mark.parametrize("preset", ["avx512", "avx2", "sse2"], indirect=True)
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_instruction_set_agrees(over: Over, name: str, dtype: DType, preset: str) -> None:
    arrays = operands(name, dtype)
    assert_bits_equal(over(name, *arrays, backend=preset), over(name, *arrays))


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_constants_are_folded_to_the_same(over: Over, name: str, dtype: DType) -> None:
    arrays = [np.ascontiguousarray(a[::5]) for a in operands(name, dtype)]
    body = FUNCTIONS[name].bodies[dtype]
    found = [
        evaluate(body, dtype, *row) for row in zip(*map(np.ndarray.tolist, arrays), strict=True)
    ]
    assert_bits_equal(np.array(found, dtype.numpy), over(name, *arrays))


def test_zeros_of_both_signs_are_told_apart() -> None:
    @kk.kernel
    def signs(out):
        out[0] = math.sin(0.0)
        out[1] = math.sin(-0.0)
        out[2] = math.sin(0.0)

    out = np.ones(3)
    signs.on("python")[1, 1](out)
    assert np.signbit(out).tolist() == [False, True, False]


# ---------------------------------------------------------------- constant exponents
def raised(exponent: float) -> Any:
    @kk.kernel(reproducible=True)
    def kernel(x, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = x[i] ** exponent

    return kernel


@functools.cache
def bases(dtype: DType) -> Array:
    return np.concatenate([special(dtype), random(dtype, 500)])


SHORT: dict[float, Callable[[Array], Array]] = {
    1: lambda x: x, 2: lambda x: x * x, 3: lambda x: x * x * x,
    4: lambda x: (x * x) * (x * x), -1: lambda x: 1 / x,
    0.5: lambda x: np.where(x == -np.inf, np.inf, np.sqrt(x) + 0).astype(x.dtype),
}  # fmt: skip


@pytest.mark.parametrize("backend", ["cpu", "python"])
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("exponent", SHORT)
def test_short_powers(exponent: float, dtype: DType, backend: str) -> None:
    x = bases(dtype)
    out = np.zeros_like(x)
    raised(exponent).on(backend).forall(x.shape)(x, out)
    with np.errstate(all="ignore"):
        assert_bits_equal(out, SHORT[exponent](x))


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("exponent", [*SHORT, -2, 5, 1.5, 0, -0.5])
def test_constant_exponents_give_what_others_give(
    over: Over, exponent: float, dtype: DType
) -> None:
    """But for the last two bits."""
    x = bases(dtype)
    out = np.zeros_like(x)
    raised(exponent).on("cpu").forall(x.shape)(x, out)
    general = over("pow", x, np.full_like(x, exponent))
    if exponent in SHORT:
        np.testing.assert_array_max_ulp(out[~np.isnan(general)], general[~np.isnan(general)], 2)
        np.testing.assert_array_equal(np.isnan(out), np.isnan(general))
        np.testing.assert_array_equal(np.signbit(out)[out == 0], np.signbit(general)[out == 0])
    else:
        assert_bits_equal(out, general)


@pytest.mark.parametrize("exponent", [2, 3, 4, -1, 0.5, 1.5])
def test_short_powers_of_float16_round_once(exponent: float) -> None:
    x = np.arange(1 << 16).astype(np.uint16).view(np.float16)
    out = np.zeros_like(x)
    raised(exponent).on("cpu").forall(x.shape)(x, out)
    wide = x.astype(np.float32)
    exact = np.zeros_like(wide)
    raised(exponent).on("cpu").forall(x.shape)(wide, exact)
    with np.errstate(over="ignore"):
        assert_bits_equal(out, exact.astype(np.float16))
