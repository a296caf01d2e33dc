"""Comparison of results: distances, bits, tolerances, and what the messages say."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from kernelkit.testing.comparison import (
    assert_bits_equal,
    assert_close,
    ulp_distance,
    ulp_error,
)

FLOATS = ("float16", "float32", "float64")


@pytest.mark.parametrize("dtype", FLOATS)
def test_neighbours_are_one_apart(dtype: str) -> None:
    kind = np.dtype(dtype).type
    for value in (1.0, -1.0, 0.0, -0.0, 3.5, float(np.finfo(dtype).tiny), -2.0):
        x = kind(value)
        above = np.nextafter(x, kind(np.inf))
        assert ulp_distance(x, above) == ulp_distance(above, x) == 1
        assert ulp_distance(x, x) == 0


@pytest.mark.parametrize("dtype", FLOATS)
def test_distance_counts_what_lies_between(dtype: str) -> None:
    kind, info = np.dtype(dtype).type, np.finfo(dtype)
    assert ulp_distance(kind(0), kind(-0.0)) == 0
    assert ulp_distance(kind(-info.smallest_subnormal), info.smallest_subnormal) == 2
    assert ulp_distance(kind(1), kind(2)) == 2**info.nmant
    assert ulp_distance(info.max, kind(np.inf)) == 1
    everything = int(ulp_distance(kind(-np.inf), kind(np.inf)))
    assert everything == 2 * int(np.array(np.inf, dtype).view(f"u{info.bits // 8}"))


def test_distance_of_nan() -> None:
    nan, other = np.float32(np.nan), -np.float32(np.nan)
    assert ulp_distance(nan, other) == 0
    assert ulp_distance(nan, np.float32(1)) == np.iinfo(np.uint64).max


def test_distance_of_complex_numbers_is_that_of_the_worse_part() -> None:
    a = np.array([1 + 1j, 2 + 0j], np.complex64)
    b = a.copy()
    b.imag[0] = np.nextafter(np.float32(1), np.float32(2))
    assert ulp_distance(a, b).tolist() == [1, 0]


def test_distance_broadcasts() -> None:
    assert ulp_distance(np.ones((2, 3)), np.float64(1)).tolist() == [[0, 0, 0]] * 2


@pytest.mark.parametrize(("a", "b"), [(np.int32(1), np.int32(1)), (np.float32(1), np.float64(1))])
def test_distance_needs_floats_of_one_dtype(a: np.generic, b: np.generic) -> None:
    with pytest.raises(TypeError, match="floats of one dtype"):
        ulp_distance(a, b)


# ---------------------------------------------------------------- bits
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_errors_are_in_units_of_the_exact_value(dtype: str) -> None:
    kind, info = np.dtype(dtype).type, np.finfo(dtype)
    eps, least = float(info.eps), float(info.smallest_subnormal)
    rows = [
        (1, 1 + eps / 4, 0.25), (1, 1 - eps / 4, 0.5), (2, 2 - eps, 1), (least, 1.5 * least, 0.5),
        (0.0, least / 8, 0.125), (np.inf, 2.0**info.maxexp - 2.0 ** (info.maxexp - 1) * eps / 2, 0.5),
        (info.max, 2.0**info.maxexp, 1), (np.inf, 1e300, 0), (np.nan, np.nan, 0),
    ]  # fmt: skip
    for found, exact, expected in rows:
        for sign in (1, -1):
            assert ulp_error(kind(sign * found), np.float64(sign * exact)) == expected


def test_the_error_is_infinite_for_a_wrong_nan_or_zero() -> None:
    found = np.array([np.nan, 1, 0, -0.0, 0, 0], np.float32)
    exact = np.array([1, np.nan, -0.0, 0, -1e-300, 0])
    assert ulp_error(found, exact).tolist() == [np.inf] * 5 + [0]


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, -2, 3], np.int8),
        np.array([True, False]),
        np.array([0.0, -0.0, np.inf, 1e-320]),
        np.array([[1 + 2j, complex(0.0, -0.0)]], np.complex64),
        np.array(7, np.uint64),
        np.zeros((0, 3), np.float16),
        np.arange(12.0).reshape(3, 4).T[::-1],
    ],
)
def test_an_array_equals_its_copy(array: np.ndarray) -> None:
    assert_bits_equal(array, array.copy())
    assert_close(array, array.copy(), ulps=0)


def test_any_nan_equals_any_nan() -> None:
    patterns = np.array([0x7FC00000, 0xFFC00001, 0x7F800001], np.uint32).view(np.float32)
    assert_bits_equal(patterns, np.full(3, np.nan, np.float32))


@pytest.mark.parametrize(
    ("actual", "expected", "message"),
    [
        (0.0, -0.0, "1 of 1 elements differ in their bits; the first: got .*0 ulp apart"),
        (
            np.array([1, 2]),
            np.array([1, 3]),
            r"1 of 2 .* the first at \[1\]: got .*2.*expected .*3",
        ),
        (np.zeros(2), np.zeros(3), r"shape \(2,\), expected \(3,\)"),
        (np.zeros(2), np.zeros(2, np.float32), "dtype float64, expected float32"),
        (np.float32(np.nan), np.float32(1), "NaN on one side only"),
        (np.ones((2, 2)), np.array([[1, 1], [0, 0.0]]), r"2 of 4 elements .* at \[1, 0\]"),
        (np.array([1j]), np.array([-1j]), r"at \[0\]"),
    ],
)
def test_what_differs_is_told(actual: object, expected: object, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_bits_equal(np.asarray(actual), np.asarray(expected))


def test_the_message_names_values_and_distance() -> None:
    actual = np.array([1, 1.0000005], np.float32)
    with pytest.raises(AssertionError) as caught:
        assert_bits_equal(actual, np.ones(2, np.float32), "sums")
    text = str(caught.value)
    assert text.startswith("sums: 1 of 2 elements differ")
    assert re.search(r"got np\.float32\(1\.0000005\), expected np\.float32\(1\.0\), 4 ulp", text)


# ---------------------------------------------------------------- tolerances
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("value", [1.5, -1.5, 300.0, 0.0, 6e-8])
def test_the_tolerance_is_in_steps_of_the_result(dtype: str, value: float) -> None:
    expected = np.array([value], dtype)
    off = expected.copy()
    for _ in range(3):
        off = np.nextafter(off, np.array(np.inf, dtype))
    assert_close(off, expected, ulps=3)
    with pytest.raises(AssertionError, match="differ by more than 2 ulp"):
        assert_close(off, expected, ulps=2)


def test_the_expected_value_may_be_wider() -> None:
    third = np.array([1 / 3])
    assert_close(third.astype(np.float32), third, ulps=0.5)
    off = np.nextafter(third.astype(np.float32), np.float32(1))
    assert_close(off, third, ulps=1.5)
    with pytest.raises(AssertionError, match="1 ulp apart"):
        assert_close(off, third, ulps=0.6)


def test_magnitude_allows_for_cancellation() -> None:
    actual, expected = np.array([1e-7], np.float32), np.array([0.0])
    with pytest.raises(AssertionError):
        assert_close(actual, expected, ulps=4)
    assert_close(actual, expected, ulps=4, magnitude=1.0)
    with pytest.raises(AssertionError):
        assert_close(actual, expected, ulps=4, magnitude=0.01)


@pytest.mark.parametrize(
    ("actual", "expected"),
    [(math.nan, 1.0), (1.0, math.nan), (math.inf, 1e30), (3e38, math.inf), (math.inf, -math.inf)],
)
def test_special_values_are_close_to_themselves_only(actual: float, expected: float) -> None:
    for value in (actual, expected):
        assert_close(np.float32(value), np.float64(value))
    with pytest.raises(AssertionError):
        assert_close(np.float32(actual), np.float64(expected), ulps=1e6)


def test_overflow_of_the_expected_value_is_infinity() -> None:
    assert_close(np.float32(np.inf), np.float64(1e300))
    assert_close(np.float16(np.inf), np.float64(1e5))


def test_parts_of_complex_numbers_are_scaled_by_the_whole() -> None:
    expected = np.array([1 + 1e-9j], np.complex64)
    assert_close(expected + np.complex64(1e-7j), expected, ulps=2)
    with pytest.raises(AssertionError):
        assert_close(expected + np.complex64(1e-5j), expected, ulps=2)


def test_integers_must_be_equal() -> None:
    assert_close(np.array([1, 2]), np.array([1, 2]))
    with pytest.raises(AssertionError):
        assert_close(np.array([1, 2]), np.array([1, 3]), ulps=5)
    with pytest.raises(AssertionError, match="dtype"):
        assert_close(np.array([1.0]), np.array([1]))
