"""Casts between all pairs of types against NumPy, bit for bit."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import DTYPES, FLOAT16, FLOAT32, FLOAT64, INT64, UINT64, DType
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.scalars import elementwise_cast, random, special

Array = npt.NDArray[Any]
PAIRS = list(itertools.product(DTYPES.values(), repeat=2))
DEFINED = [(a, b) for a, b in PAIRS if scalar.can_cast(a, b)]


def samples(source: DType) -> Array:
    return np.concatenate([special(source), random(source, 1000)])


def saturated(values: Array, target: DType) -> Array:
    """Floats to integers as the contract has it; NumPy decides only within the range."""
    with np.errstate(all="ignore"):
        exact = values.astype(np.float64)
        inside = (exact > target.minimum - 1.0) & (exact < target.maximum + 1.0)
        out = np.where(inside, exact, 0.0).astype(target.numpy)
    out[exact >= target.maximum + 1.0] = target.maximum
    out[exact <= target.minimum - 1.0] = target.minimum
    return out


@pytest.mark.parametrize(("source", "target"), DEFINED, ids=[f"{a}-{b}" for a, b in DEFINED])
def test_cast(source: DType, target: DType) -> None:
    values = samples(source)
    found = elementwise_cast(source, target, values)
    if source.is_float and target.is_integer:
        assert_bits_equal(found, saturated(values, target))
        return
    with np.errstate(all="ignore"):
        assert_bits_equal(found, values.astype(target.numpy))


def test_only_complex_to_real_is_undefined() -> None:
    undefined = {(a, b) for a, b in PAIRS if not scalar.can_cast(a, b)}
    assert undefined == {(a, b) for a, b in PAIRS if a.is_complex and b.kind in "iuf"}
    for source, target in undefined:
        with pytest.raises(ValueError, match=f"no cast from {source} to {target}; take .real"):
            scalar.cast_expression(source, target, "x")


@pytest.mark.parametrize("source", [FLOAT16, FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("target", [t for t in DTYPES.values() if t.is_integer], ids=str)
def test_floats_saturate_and_nan_gives_0(source: DType, target: DType) -> None:
    def cast(x: float) -> Any:
        return scalar.cast(source, target, x)

    assert cast(np.inf) == target.maximum
    assert cast(-np.inf) == target.minimum
    assert cast(np.nan) == 0
    assert cast(2.75) == 2
    assert cast(-0.75) == 0
    assert cast(-2.75) == (-2 if target.is_signed else 0)
    great = np.finfo(source.numpy).max
    fits = int(great) <= target.maximum
    assert cast(great) == (int(great) if fits else target.maximum)


@pytest.mark.parametrize("source", [INT64, UINT64], ids=str)
@pytest.mark.parametrize("target", [FLOAT16, FLOAT32, FLOAT64], ids=str)
def test_integers_to_floats_round_once(source: DType, target: DType) -> None:
    """Around every tie, where a detour by way of a double would round twice."""
    digits = np.finfo(target.numpy).nmant + 1
    values = set()
    for bits in range(digits + 1, source.bits + 1):
        half = 1 << (bits - digits - 1)
        for lead in (1 << (bits - 1), (1 << (bits - 1)) + 2 * half, (1 << bits) - 2 * half):
            values |= {lead + half + d for d in (-1, 0, 1)}
    values |= {-x for x in values}
    fitting = sorted(x for x in values if source.minimum <= x <= source.maximum)
    found = elementwise_cast(source, target, np.array(fitting, source.numpy))
    with np.errstate(over="ignore"):
        exact = np.array([nearest(x, target) for x in fitting]).astype(target.numpy)
    assert_bits_equal(found, exact)


def nearest(x: int, target: DType) -> float:
    """The integer rounded to the type's digits, half to even, in integers alone."""
    digits = np.finfo(target.numpy).nmant + 1
    drop = max(abs(x).bit_length() - digits, 0)
    kept, rest = divmod(abs(x), 1 << drop)
    half = 1 << drop >> 1
    kept += rest > half or (rest == half > 0 and kept & 1)
    return float(kept << drop) * (-1 if x < 0 else 1)


def test_float64_to_float16_rounds_once() -> None:
    just_above_a_tie = 1 + 2.0**-11 + 2.0**-40
    assert scalar.cast(FLOAT64, FLOAT16, just_above_a_tie) == 1 + 2.0**-10
    assert scalar.cast(FLOAT32, FLOAT16, np.float32(just_above_a_tie)) == 1


def test_widening_and_identity_cost_nothing() -> None:
    for source, target in DEFINED:
        integers = source.is_integer and target.is_integer
        fits = target.minimum <= source.minimum and source.maximum <= target.maximum
        if source == target or (integers and fits):
            assert scalar.cast_expression(source, target, "x") == "x"
