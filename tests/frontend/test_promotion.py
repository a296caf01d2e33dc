"""The promotion table against NumPy 2, with its one deviation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kernelkit.frontend.promotion import PromotionError, ScalarType, promote
from kernelkit.ir.types import DTYPES, FLOAT64, INT64, UINT64

PAIRS = list(itertools.product(DTYPES.values(), repeat=2))
_WEAK = {"i": (ScalarType(INT64, True), 1), "f": (ScalarType(FLOAT64, True), 1.0)}


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=lambda t: t.name)
def test_strong_types_meet_as_in_numpy(a, b):
    integer_meets_float = {a.kind, b.kind} & set("iu") and {a.kind, b.kind} & set("fc")
    if UINT64 in (a, b) and "i" in (a.kind, b.kind):
        with pytest.raises(PromotionError, match=r"np\.uint64"):
            promote(ScalarType(a), ScalarType(b))
        return
    met = promote(ScalarType(a), ScalarType(b))
    assert not met.weak
    if integer_meets_float:
        assert met.dtype == (a if a.kind in "fc" else b)
    else:
        assert met.dtype.numpy == np.promote_types(a.numpy, b.numpy)


@pytest.mark.parametrize("strong", DTYPES.values(), ids=lambda t: t.name)
@pytest.mark.parametrize("kind", "if")
def test_literals_are_weak_as_in_numpy(kind, strong):
    weak, example = _WEAK[kind]
    expected = (np.ones(1, strong.numpy) + example).dtype
    assert promote(weak, ScalarType(strong)).dtype.numpy == expected
    assert promote(ScalarType(strong), weak) == promote(weak, ScalarType(strong))


def test_complex_literals_take_the_width_of_the_float():
    weak = ScalarType(DTYPES["complex128"], True)
    for name, expected in (
        ("float16", "complex64"), ("float32", "complex64"), ("float64", "complex128"),
        ("int8", "complex128"), ("bool", "complex128"), ("complex64", "complex64"),
    ):  # fmt: skip
        assert promote(weak, ScalarType(DTYPES[name])).dtype.name == expected


def test_literals_among_themselves_stay_weak():
    weak_int, weak_float = _WEAK["i"][0], _WEAK["f"][0]
    assert promote(weak_int, weak_float) == weak_float
    assert promote(weak_int, weak_int).weak
