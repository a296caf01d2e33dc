"""Casts: every pair of dtypes through a store, NumPy's and Python's casts, rounding to integers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.exact import rounded
from kernelkit.conformance.launching import (
    COMPLEX,
    DTYPES,
    FLOATS,
    INTEGERS,
    Runner,
    by_dtype,
    poison,
    sample,
)
from kernelkit.testing.comparison import assert_bits_equal

COUNT = 90


@kk.kernel
def store(src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[i]


def to_integer(value: Any, target: np.dtype) -> int:
    """Integers wrap; floats are cut off and saturate, and NaN gives 0."""
    bounds = np.iinfo(target)
    if isinstance(value, bool | int):
        span = 1 << bounds.bits
        return (int(value) - int(bounds.min)) % span + int(bounds.min)
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return int(bounds.max if value > 0 else bounds.min)
    return min(max(math.trunc(value), int(bounds.min)), int(bounds.max))


def to_float(value: Any, target: np.dtype) -> Any:
    if isinstance(value, int):
        return rounded(value, target)
    with np.errstate(all="ignore"):
        return target.type(value)  # From a float: NumPy rounds once.


def cast(values: np.ndarray, target: Any) -> np.ndarray:
    """What each value becomes, worked out one at a time."""
    kind = np.dtype(target)
    if kind.kind == "b":
        return np.array([bool(v == v and v != 0) or v != v for v in values.tolist()])
    if kind.kind in "iu":
        return np.array([to_integer(v, kind) for v in values.tolist()], kind)
    if kind.kind == "f":
        exact = values if values.dtype.kind == "f" else values.tolist()
        return np.array([to_float(v, kind) for v in exact], kind)
    part = np.dtype(f"f{kind.itemsize // 2}")
    out = np.zeros(values.shape, kind)
    out.real = cast(values.real, part)
    if values.dtype.kind == "c":
        out.imag = cast(values.imag, part)
    return out


def interesting(rng: np.random.Generator, source: str) -> np.ndarray:
    """Samples; for floats also values at and beyond the limits of every integer type, and such as
    are wrong when they are rounded twice, by way of float64 or of float32."""
    src = sample(rng, source, COUNT)
    if source in ("int64", "uint64"):
        src[-4:] = [2**60 + 2**36 + 1, 2**60 + 3 * 2**36 - 1, 2**62 - 2**37 + 1, 2**53 + 1]
    if np.dtype(source).kind == "f":
        limits = [2.0**k for k in (7, 8, 15, 16, 31, 32, 63, 64)]
        edges = [s * (limit + d) for limit in limits for d in (-1, 0, 0.5) for s in (1, -1)]
        with np.errstate(all="ignore"):
            src[: len(edges)] = np.array(edges).astype(source)
            src[len(edges) :] *= 1000
            src[-3:] = np.array([1 + 2**-11 + 2**-30, 1 + 3 * 2**-11 - 2**-40, 2**-25 + 2**-60])
    return src


REAL_PAIRS = [
    pytest.param(a, b, marks=pytest.mark.needs(dtypes=[a, b]), id=f"{a}-{b}")
    for a in DTYPES
    for b in DTYPES
    if a not in COMPLEX and (a != b)
]


@pytest.mark.parametrize(("source", "target"), REAL_PAIRS)
def test_a_store_casts(run: Runner, rng: np.random.Generator, source: str, target: str) -> None:
    src = interesting(rng, source)
    assert_bits_equal(run.over(store, src, poison(COUNT, target)), cast(src, target))


@pytest.mark.needs(dtypes=COMPLEX)
@pytest.mark.parametrize(("source", "target"), [COMPLEX, COMPLEX[::-1]])
def test_a_store_casts_complex(
    run: Runner, rng: np.random.Generator, source: str, target: str
) -> None:
    src = sample(rng, source, COUNT)
    assert_bits_equal(run.over(store, src, poison(COUNT, target)), cast(src, target))


@kk.kernel
def called(src, out, dtype: kk.constexpr):
    """The cast decides; the store into a wide array shows what it gave."""
    i = kk.grid(1)
    if i < out.size:
        out[i] = dtype(src[i])


@pytest.mark.needs(dtypes=["float64", "uint64"])
@pytest.mark.parametrize("target", by_dtype(["bool", *INTEGERS, *FLOATS]))
@pytest.mark.parametrize("source", by_dtype(["int64", "float32"]))
def test_numpys_casts(run: Runner, rng: np.random.Generator, source: str, target: str) -> None:
    src = interesting(rng, source)
    wide = {"f": "float64", "u": "uint64"}.get(np.dtype(target).kind, "int64")
    out = run.over(called, src, poison(COUNT, wide), np.dtype(target).type)
    assert_bits_equal(out, cast(src, target).astype(wide))


@pytest.mark.needs(dtypes="float64")
@pytest.mark.parametrize("source", by_dtype(["bool", *INTEGERS, *FLOATS]))
def test_pythons_casts(run: Runner, rng: np.random.Generator, source: str) -> None:
    src = interesting(rng, source)
    for target, kind, wide in [(int, "int64", "int64"), (float, "float64", "float64")]:
        out = run(called, 3, 32, src, poison(COUNT, wide), target)
        assert_bits_equal(out, cast(src, kind))
    assert_bits_equal(run(called, 3, 32, src, poison(COUNT, np.bool_), bool), cast(src, "bool"))


@kk.kernel
def round_to_integers(src, out):
    i = kk.grid(1)
    if i < src.size:
        out[i, 0] = math.floor(src[i])
        out[i, 1] = math.ceil(src[i])
        out[i, 2] = math.trunc(src[i])
        out[i, 3] = round(src[i])
        out[i, 4] = int(src[i])


@pytest.mark.parametrize("dtype", by_dtype(FLOATS))
def test_rounding_gives_int64(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    src = interesting(rng, dtype)
    src[-8:] = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.25, -0.75]
    out = run(round_to_integers, 3, 32, src, poison((COUNT, 5), np.int64))
    with np.errstate(all="ignore"):
        steps = [np.floor(src), np.ceil(src), np.trunc(src), np.rint(src), src]
    np.testing.assert_array_equal(out, np.stack([cast(s, "int64") for s in steps], axis=1))


@kk.kernel
def integer_division_of_rounded(src, out):
    i = kk.grid(1)
    if i < out.size:
        cell = math.floor(src[i] / 2)
        out[i] = cell % 5 + (round(src[i]) << 4)


def test_rounded_numbers_index_and_shift(run: Runner, rng: np.random.Generator) -> None:
    src = rng.uniform(-99, 99, COUNT).astype(np.float32)
    out = run.over(integer_division_of_rounded, src, poison(COUNT, np.int64))
    expected = [math.floor(x / 2) % 5 + (round(x) << 4) for x in src.tolist()]
    np.testing.assert_array_equal(out, expected)


@kk.kernel
def rounded_integers(src, out):
    i = kk.grid(1)
    if i < src.size:
        out[i, 0] = math.floor(src[i])
        out[i, 1] = round(src[i])
        out[i, 2] = int(src[i])


@pytest.mark.parametrize("dtype", by_dtype(["bool", "int8", "uint16", "int32", "uint32", "int64"]))
def test_rounding_an_integer_changes_nothing(
    run: Runner, rng: np.random.Generator, dtype: str
) -> None:
    src = sample(rng, dtype, COUNT)
    out = run(rounded_integers, 3, 32, src, poison((COUNT, 3), np.int64))
    np.testing.assert_array_equal(out, np.stack([src.astype(np.int64)] * 3, axis=1))


@kk.kernel
def name_keeps_its_type(src, out):
    i = kk.grid(1)
    if i < out.size:
        small = np.int8(0)
        small = np.int8(src[i])
        half: np.float32 = src[i] * 0.5
        small += 100
        out[i] = small + half


@pytest.mark.needs(dtypes="float64")
def test_an_assignment_casts_to_the_names_type(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-(2**20), 2**20, COUNT).astype(np.int32)
    small = (src.astype(np.int8) + np.int8(100)).astype(np.int64)
    out = run.over(name_keeps_its_type, src, poison(COUNT, np.float32))
    np.testing.assert_array_equal(out, (small + src * 0.5).astype(np.float32))


@kk.kernel
def annotated(src, out):
    i = kk.grid(1)
    if i < src.size:
        small: np.int8 = src[i]
        wide: int = src[i]
        half: np.float16 = 0.1
        out[i, 0] = small
        out[i, 1] = wide
        out[i, 2] = half * 1e4


@pytest.mark.needs(dtypes=["float16", "float64"])
def test_an_annotation_with_a_dtype_fixes_the_type(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-(2**20), 2**20, COUNT).astype(np.int32)
    out = run(annotated, 3, 32, src, poison((COUNT, 3), np.int64))
    third = int(np.float16(0.1) * np.float16(1e4))
    expected = np.stack([src.astype(np.int8), src, np.full(COUNT, third)], axis=1)
    np.testing.assert_array_equal(out, expected)
