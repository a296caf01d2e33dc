"""The samples reach what they are there for, and the table over arrays is the table."""

from __future__ import annotations

import numpy as np
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import DTYPES, FLOAT16, FLOAT32, FLOAT64, INT8, INT32, DType
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.scalars import elementwise, elementwise_cast, pairs, random, special

in_all = pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)


@in_all
def test_samples_have_the_type_and_repeat_themselves(dtype: DType) -> None:
    for values in (special(dtype), random(dtype, 99), *pairs(dtype, 10)):
        assert values.dtype == dtype.numpy
    assert len(random(dtype, 99)) == 99
    assert_bits_equal(random(dtype, 50), random(dtype, 50))
    if dtype.kind != "b":
        assert random(dtype, 50).tobytes() != random(dtype, 50, seed=1).tobytes()


@in_all
def test_pairs_hold_each_special_value_with_each(dtype: DType) -> None:
    a, b = pairs(dtype, 10)
    count = len(special(dtype))
    assert len(a) == len(b) == count**2 + 10
    seen = {(x.tobytes(), y.tobytes()) for x, y in zip(a, b, strict=True)}
    assert len(seen) >= count**2


@pytest.mark.parametrize("dtype", [t for t in DTYPES.values() if t.is_integer], ids=str)
def test_special_integers_reach_both_ends(dtype: DType) -> None:
    values = special(dtype).tolist()
    assert {0, 1, dtype.minimum, dtype.maximum, dtype.minimum + 1, dtype.bits} <= set(values)
    assert (-1 in values) == dtype.is_signed


@pytest.mark.parametrize("dtype", [FLOAT16, FLOAT32, FLOAT64], ids=str)
def test_special_floats_hold_what_ieee_adds(dtype: DType) -> None:
    values, info = special(dtype), np.finfo(dtype.numpy)
    assert {1.0, np.inf, -np.inf, info.max, info.smallest_subnormal} <= {*values.tolist()}
    assert np.any(np.isnan(values))
    assert np.signbit(values[values == 0]).tolist() == [False, True]
    found = random(dtype, 4000)
    exponents = np.unique(np.frexp(found[np.isfinite(found)])[1])
    assert len(exponents) > min(info.maxexp - info.minexp, 1000) * 0.7


def test_elementwise_is_the_table() -> None:
    a = np.array([1, 127, -128], np.int8)
    assert_bits_equal(elementwise("add", (INT8, INT8), a, a), a + a)
    assert elementwise("neg", (INT8,), a).tolist() == [
        scalar.evaluate("neg", (INT8,), x) for x in a.tolist()
    ]
    assert_bits_equal(elementwise_cast(INT8, FLOAT32, a), a.astype(np.float32))
    assert elementwise("isnan", (FLOAT32,), np.array([np.nan], np.float32)).tolist() == [True]
    with pytest.raises(ValueError, match=r"truediv\(int32, int32\) is not in the scalar table"):
        elementwise("truediv", (INT32, INT32), a, a)
