"""Numbers as arguments: Python's and NumPy's floats and complex numbers that are read narrower."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import Runner, by_dtype, poison
from kernelkit.testing.comparison import assert_bits_equal

#: Beside what they are: half-way cases of float16 and float32, what overflows and what underflows.
FLOATS = (
    0.1, -0.0, 0.0, 1e300, -1e300, 1e-300, -1e-300, float("nan"), float("inf"), -float("inf"),
    65504.0, 65519.999, 65520.0, 3e-8, 2.0**-25, 6e-8, 1 + 2.0**-11, 1 + 2.0**-11 + 2.0**-40,
    1 + 2.0**-24, 1 + 3 * 2.0**-24, 3.4028235677973362e38, 3.4028235677973366e38, 1e-45, 7e-46,
)  # fmt: skip
NARROW = ("float16", "float32")

pytestmark = pytest.mark.needs(dtypes="float64")


def rounded(value: Any, dtype: Any) -> Any:
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(dtype)


@kk.kernel
def keep(value, out):
    out[kk.grid(1)] = value


@kk.kernel
def select(value, x, out):
    """The value beside a float of the array's type, with which nothing is computed."""
    i = kk.grid(1)
    out[i] = value if x[i] > 0 else x[i]


def sign(value, first):
    return -value if first else value


@kk.kernel
def signs(value, out):
    i = kk.grid(1)
    kept = sign(value, i == 0)
    out[i] = kept


@kk.kernel
def both(value, single, half):
    i = kk.grid(1)
    single[i] = value
    half[i] = value


@kk.kernel
def widely(value, out):
    """What is computed in float64 is rounded after that."""
    out[kk.grid(1)] = value * 3 + 1


@pytest.mark.parametrize("kind", [float, np.float64])
@pytest.mark.parametrize("dtype", by_dtype(NARROW))
def test_a_float_is_rounded_once(run: Runner, dtype: str, kind: Any) -> None:
    out = [run(keep, 1, 2, kind(value), poison(2, dtype)) for value in FLOATS]
    assert_bits_equal(np.array(out), np.array([rounded([v, v], dtype) for v in FLOATS]))


@pytest.mark.parametrize("dtype", by_dtype(NARROW))
def test_a_python_float_takes_the_type_of_what_it_meets(run: Runner, dtype: str) -> None:
    x = np.array([-2, 1, 3], dtype)
    for value in FLOATS:
        expected = np.where(x > 0, rounded(value, dtype), x)
        assert_bits_equal(run(select, 1, 3, value, x, poison(3, dtype)), expected)


@pytest.mark.parametrize("dtype", by_dtype(NARROW))
def test_through_functions_names_and_signs(run: Runner, dtype: str) -> None:
    for value in FLOATS:
        expected = rounded([-value, value], dtype)
        assert_bits_equal(run(signs, 1, 2, value, poison(2, dtype)), expected)


@pytest.mark.needs(dtypes="float16")
def test_in_two_types(run: Runner) -> None:
    for value in FLOATS:
        single, half = run.arrays(both, 1, 1, value, poison(1, np.float32), poison(1, np.float16))
        assert_bits_equal(single, rounded([value], np.float32))
        assert_bits_equal(half, rounded([value], np.float16))


@pytest.mark.parametrize("dtype", by_dtype(NARROW))
def test_what_is_computed_before_is_float64(run: Runner, dtype: str) -> None:
    value = 0.1 + 2.0**-40
    expected = rounded([value * 3 + 1], dtype)
    assert_bits_equal(run(widely, 1, 1, value, poison(1, dtype)), expected)


@pytest.mark.parametrize("kind", [complex, np.complex128])
@pytest.mark.needs(dtypes="complex128")
def test_complex_numbers_are_rounded_by_parts(run: Runner, kind: Any) -> None:
    for value in FLOATS:
        z = kind(complex(value, -0.1)), kind(complex(0.7, value))
        out = [run(keep, 1, 1, each, poison(1, np.complex64))[0] for each in z]
        assert_bits_equal(np.array(out), rounded(z, np.complex64))


def test_a_float_in_a_complex_array(run: Runner) -> None:
    for value in FLOATS:
        out = run(keep, 1, 1, value, poison(1, np.complex64))
        assert_bits_equal(out, np.array([complex(rounded(value, np.float32), 0)], np.complex64))
