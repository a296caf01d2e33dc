"""The type in which operands meet, seen from inside a kernel: by wrapping, and by a rounded third."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import COMPLEX, DTYPES, FLOATS, INTEGERS, Runner, poison


def met(a: str, b: str) -> str:
    """NumPy's promotion, but an integer that meets a float or a complex takes its type."""
    for this, other in ((a, b), (b, a)):
        if np.dtype(this).kind in "iu" and np.dtype(other).kind in "fc":
            return other
    return str(np.promote_types(a, b))


def pairs(kinds: str) -> list[Any]:
    """Every pair of dtypes that meet in a dtype of these kinds."""
    found = []
    for i, a in enumerate(DTYPES):
        for b in DTYPES[i:]:
            result = met(a, b)
            both_signs = {np.dtype(t).kind for t in (a, b)} == {"i", "u"}
            if {a, b} == {"bool"} or (both_signs and result == "float64"):
                continue  # bool with bool has no arithmetic, uint64 with signed no common type.
            if np.dtype(result).kind in kinds:
                marks = pytest.mark.needs(dtypes=[a, b, result])
                found.append(pytest.param(a, b, result, marks=marks, id=f"{a}-{b}"))
    return found


@kk.kernel
def integer_type(a, b, out):
    """The width by the bits set of ~0, the sign by its comparison with 0."""
    zero = (a[0] + b[0]) * 0
    out[0] = kk.popc(~zero)
    out[1] = ~zero < 0


@kk.kernel
def float_type(a, b, out):
    """A third, rounded to the type."""
    out[0] = ((a[0] * b[0]) * 0 + 1) / 3


@kk.kernel
def complex_type(a, b, out):
    third = ((a[0] + b[0]) * 0 + 1) / 3
    out[0] = third.real
    out[1] = third.imag


def one(dtype: str) -> np.ndarray:
    return np.ones(1, dtype)


def width_and_sign(dtype: str) -> list[int]:
    kind = np.dtype(dtype)
    return [8 * kind.itemsize, kind.kind == "i"]


def test_the_table_of_pairs_is_whole() -> None:
    """105 pairs, less bool with itself and uint64 with the four signed types."""
    assert len(pairs("iu")) + len(pairs("f")) + len(pairs("c")) == 105 - 1 - 4


@pytest.mark.parametrize(("a", "b", "result"), pairs("iu"))
def test_pairs_that_meet_in_an_integer(run: Runner, a: str, b: str, result: str) -> None:
    for x, y in ((a, b), (b, a)):
        out = run(integer_type, 1, 1, one(x), one(y), poison(2, np.int32))
        np.testing.assert_array_equal(out, width_and_sign(result))


def third(dtype: str) -> float:
    return float(np.dtype(dtype).type(1) / np.dtype(dtype).type(3))


@pytest.mark.needs(dtypes="float64")
@pytest.mark.parametrize(("a", "b", "result"), pairs("f"))
def test_pairs_that_meet_in_a_float(run: Runner, a: str, b: str, result: str) -> None:
    for x, y in ((a, b), (b, a)):
        out = run(float_type, 1, 1, one(x), one(y), poison(1, np.float64))
        assert float(out[0]) == third(result)


@pytest.mark.needs(dtypes="float64")
@pytest.mark.parametrize(("a", "b", "result"), pairs("c"))
def test_pairs_that_meet_in_a_complex(run: Runner, a: str, b: str, result: str) -> None:
    part = {"complex64": "float32", "complex128": "float64"}[result]
    for x, y in ((a, b), (b, a)):
        out = run(complex_type, 1, 1, one(x), one(y), poison(2, np.float64))
        np.testing.assert_array_equal(out, [third(part), 0])


# ---------------------------------------------------------------- literals
@kk.kernel
def integer_with_literal(a, out):
    zero = (a[0] + 100) * 0
    out[0] = kk.popc(~zero)
    out[1] = ~zero < 0


@kk.kernel
def float_with_literals(a, out):
    out[0] = (a[0] * 0 + 1.0) / 3
    out[1] = (1 + 0.5 * a[0] * 0) / 3.0
    out[2] = (2 * a[0] - a[0]) / 3


@kk.kernel
def integer_with_float_literal(a, out):
    out[0] = (a[0] * 0 + 1.0) / 3
    out[1] = a[0] / 3


@kk.kernel
def literals_alone(a, out):
    out[0] = 1 / 3
    out[1] = 1.0 / 3.0 + a[0] * 0


@kk.kernel
def big_literals(out):
    out[0] = 2**62 + 2**62 - 1
    out[1] = (1 << 70) >> 40
    out[2] = 0xFFFFFFFF
    out[3] = -(2**63)
    out[4] = 10**18 * 7 // 10**3
    out[5] = -7 // 2 * 100 + -7 % 3


@pytest.mark.parametrize(
    "dtype", [pytest.param(t, marks=pytest.mark.needs(dtypes=t)) for t in INTEGERS]
)
def test_an_integer_literal_takes_an_integers_type(run: Runner, dtype: str) -> None:
    out = run(integer_with_literal, 1, 1, one(dtype), poison(2, np.int32))
    np.testing.assert_array_equal(out, width_and_sign(dtype))


@pytest.mark.needs(dtypes="float64")
@pytest.mark.parametrize(
    "dtype", [pytest.param(t, marks=pytest.mark.needs(dtypes=t)) for t in FLOATS]
)
def test_literals_take_a_floats_type(run: Runner, dtype: str) -> None:
    out = run(float_with_literals, 1, 1, one(dtype), poison(3, np.float64))
    np.testing.assert_array_equal(out, [third(dtype)] * 3)


@pytest.mark.needs(dtypes="float64")
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "int64"])
def test_integers_with_float_literals_are_float64(run: Runner, dtype: str) -> None:
    out = run(integer_with_float_literal, 1, 1, one(dtype), poison(2, np.float64))
    np.testing.assert_array_equal(out, [third("float64")] * 2)


@pytest.mark.needs(dtypes="float64")
def test_literals_alone_are_float64(run: Runner) -> None:
    out = run(literals_alone, 1, 1, one("int32"), poison(2, np.float64))
    np.testing.assert_array_equal(out, [third("float64")] * 2)


def test_integer_literals_are_exact_among_themselves(run: Runner) -> None:
    expected = [2**63 - 1, 2**30, 2**32 - 1, -(2**63), 7 * 10**15, -398]
    np.testing.assert_array_equal(run(big_literals, 1, 1, poison(6, np.int64)), expected)


@pytest.mark.needs(dtypes=COMPLEX)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int32"])
def test_complex_literals(run: Runner, dtype: str) -> None:
    part = "float32" if dtype in ("float32", "complex64") else "float64"
    out = run(with_complex_literal, 1, 1, one(dtype), poison(2, np.float64))
    np.testing.assert_array_equal(out, [third(part), 0])


@kk.kernel
def with_complex_literal(a, out):
    z = (a[0] * 0 + (1 + 0j)) / 3
    out[0] = z.real
    out[1] = z.imag


# ---------------------------------------------------------------- where else types meet
@kk.kernel
def types_of_the_launch(out):
    i = kk.threadIdx.x + kk.blockIdx.y + kk.blockDim.z * kk.gridDim.x
    n = out.shape[0] + len(out) + out.size + out.ndim
    out[0] = kk.popc(~(i * 0))
    out[1] = kk.popc(~(n * 0))
    for k in range(3):
        out[2] = kk.popc(~(k * 0))
    out[3] = kk.popc(~(kk.grid(1) * 0))
    out[4] = kk.popc(~(kk.laneid * 0))
    out[5] = kk.popc(~(round(out[0]) * 0))
    out[6] = kk.popc(~(math.floor(out[0] * 0.5) * 0))
    out[7] = kk.popc(~(int(out[0]) * 0))


@pytest.mark.needs(dtypes="float64")
def test_places_extents_ranges_and_rounded_numbers_are_int64(run: Runner) -> None:
    np.testing.assert_array_equal(run(types_of_the_launch, 1, 1, poison(8, np.int32)), [64] * 8)


@kk.kernel
def joined_names(small, wide, half, out):
    i = 0
    i = wide[0]  # A literal does not make it wider: int32.
    out[0] = kk.popc(~(i * 0))
    if wide[0] > 0:
        j = small[0]
    else:
        j = wide[0]  # int8 and int32 join in int32.
    out[1] = kk.popc(~(j * 0))
    total = 0
    for k in range(2):
        total += half[0]  # A literal and float32 join in float32.
    out[2] = total / 6 == half[0] * 2 / 6
    x = wide[0]
    x = half[0] / 3  # int32 and float32 join in float32, so what was assigned first is cast to it.
    out[3] = x * 3 == half[0]
    t = wide[0] if small[0] > 0 else 0
    out[4] = kk.popc(~(t * 0))
    y = half[0] if small[0] > 0 else wide[0]
    out[5] = y / 4 == 0.25
    b = True
    b = small[0] > 5
    out[6] = b


def test_names_join_their_assignments(run: Runner) -> None:
    args = np.ones(1, np.int8), np.ones(1, np.int32), np.ones(1, np.float32)
    out = run(joined_names, 1, 1, *args, poison(7, np.int32))
    np.testing.assert_array_equal(out, [32, 32, 1, 1, 32, 1, 0])


@kk.kernel
def augmented(a, narrow, out):
    """x op= y is x = x op y, with a cast to the type of what is assigned."""
    narrow[0] += a[0]
    narrow[1] -= 300 * a[0]
    narrow[2] *= a[0] / 2
    x = narrow[0]
    x += 1
    out[0] = x
    out[1] = narrow[1]
    out[2] = narrow[2]


@pytest.mark.needs(dtypes="float64")
def test_augmented_assignment_casts_back(run: Runner) -> None:
    a = np.array([1001], np.int64)
    out = run(augmented, 1, 1, a, np.array([1, 2, 3], np.int8), poison(3, np.int64))
    # 1 + 1001 = 1002 wraps to -22; 2 - 300300 wraps to -10; 3 * 500.5 saturates.
    expected = [(1002 + 128) % 256 - 128 + 1, (2 - 300300 + 128) % 256 - 128, 127]
    np.testing.assert_array_equal(out, expected)
