"""Compare what a kernel wrote with what it should have written.

In: arrays, the computed one first. Out: nothing, or an AssertionError that names the first element
that differs, both values, their distance in ulp (units in the last place), and how many differ.
Holds: only NumPy is used, so that an expected value never comes from the code under test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]

_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
_NAN_DISTANCE = np.iinfo(np.uint64).max


def _parts(array: Array) -> tuple[Array, ...]:
    """A complex array as its real and imaginary parts; any other as itself."""
    return (array.real, array.imag) if array.dtype.kind == "c" else (array,)


def _bits(array: Array) -> Array:
    """The bit patterns of a real array, every NaN as the same one."""
    flat = np.ascontiguousarray(array).reshape(array.shape)
    if array.dtype.kind == "f":
        flat = np.where(np.isnan(flat), np.array(np.nan, array.dtype), flat)
    return flat.view(_UNSIGNED[array.dtype.itemsize])


def _float_distance(a: Array, b: Array) -> npt.NDArray[np.uint64]:
    """How many floats lie between a and b; the greatest uint64 where just one is NaN."""
    width = 8 * a.dtype.itemsize
    keys = []
    for bits in (_bits(a).astype(np.uint64), _bits(b).astype(np.uint64)):
        magnitude = bits & np.uint64((1 << (width - 1)) - 1)
        middle = np.uint64(1 << (width - 1))
        keys.append(np.where(bits >= middle, middle - magnitude, middle + magnitude))
    distance = np.maximum(*keys) - np.minimum(*keys)
    return np.where(np.isnan(a) != np.isnan(b), np.uint64(_NAN_DISTANCE), distance)


def ulp_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """For each pair of floats of one dtype, how many representable steps apart they are.

    0 and -0 are 0 apart, and so are two NaNs; a NaN is as far as can be from any number. Of complex
    numbers it is the larger distance of the two parts.
    """
    left, right = np.asarray(a), np.asarray(b)
    if left.dtype != right.dtype or left.dtype.kind not in "fc":
        raise TypeError(f"ulp_distance needs floats of one dtype, not {left.dtype}, {right.dtype}")
    left, right = np.broadcast_arrays(left, right)
    parts = [_float_distance(x, y) for x, y in zip(_parts(left), _parts(right), strict=True)]
    return np.asarray(np.max(np.stack(parts), axis=0))


def ulp_error(actual: npt.ArrayLike, exact: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
    """How far floats are from exact values of a wider type, in units in the last place of these.

    Infinite where just one is NaN, and where a zero has the wrong sign; an infinity counts as the
    next power of two behind the greatest float.
    """
    found, true = np.asarray(actual), np.asarray(exact)
    info, wide = np.finfo(found.dtype), true.dtype.type
    with np.errstate(all="ignore"):
        exponent = np.where(np.isinf(true), info.maxexp, np.frexp(true)[1])
        exponent = np.maximum(exponent, info.minexp + 1)
        step = np.ldexp(wide(1), np.minimum(exponent, info.maxexp) - info.nmant - 1)
        limit = np.ldexp(wide(1), info.maxexp)
        error = np.clip(found.astype(wide), -limit, limit) - np.clip(true, -limit, limit)
        error = np.abs(error) / step
    wrong = np.isnan(found) != np.isnan(true)
    wrong |= (found == 0) & (np.signbit(found) != np.signbit(true)) & ~np.isnan(true)
    return np.where(wrong, np.inf, np.where(np.isnan(true), 0, error))


def _check_kind(actual: Array, expected: Array, what: str, any_width: bool = False) -> None:
    lead = f"{what}: " if what else ""
    if actual.shape != expected.shape:
        raise AssertionError(f"{lead}shape {actual.shape}, expected {expected.shape}")
    same = actual.dtype.kind == expected.dtype.kind if any_width else actual.dtype == expected.dtype
    if not same:
        raise AssertionError(f"{lead}dtype {actual.dtype}, expected {expected.dtype}")


def _distance_text(actual: Array, expected: Array, where: tuple[int, ...]) -> str:
    if actual.dtype.kind not in "fc":
        return ""
    # A reference of higher precision is first rounded to what the result could have been.
    with np.errstate(all="ignore"):
        wanted = expected[where].astype(actual.dtype)
    distance = int(ulp_distance(actual[where], wanted))
    return ", NaN on one side only" if distance == _NAN_DISTANCE else f", {distance} ulp apart"


def _fail(actual: Array, expected: Array, wrong: Array, what: str, limit: str) -> None:
    """Raises for the elements that `wrong` marks."""
    where = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    place = f" at [{', '.join(map(str, where))}]" if where else ""
    got, wanted = actual[where], expected[where]
    raise AssertionError(
        f"{what + ': ' if what else ''}{int(np.count_nonzero(wrong))} of {wrong.size} elements "
        f"differ{limit}; the first{place}: got {got!r}, expected {wanted!r}"
        f"{_distance_text(actual, expected, where)}"
    )


def assert_bits_equal(actual: npt.ArrayLike, expected: npt.ArrayLike, what: str = "") -> None:
    """The same dtype, shape and bits. Any NaN equals any NaN; 0 and -0 differ."""
    left, right = np.asarray(actual), np.asarray(expected)
    _check_kind(left, right, what)
    pairs = zip(_parts(left), _parts(right), strict=True)
    wrong = np.any(np.stack([np.asarray(_bits(a) != _bits(b)) for a, b in pairs]), axis=0)
    if np.any(wrong):
        _fail(left, right, np.asarray(wrong), what, " in their bits")


def _outside(actual: Array, expected: Array, magnitude: Array, ulps: float) -> Array:
    """Where a real result is further from the expected value than `ulps` steps at `magnitude`."""
    with np.errstate(all="ignore"):
        rounded = expected.astype(actual.dtype)
        same = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
        step = np.spacing(np.abs(magnitude).astype(actual.dtype)).astype(np.float64)
        error = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
        return np.asarray(~(same | (error <= ulps * step)))


def assert_close(
    actual: npt.ArrayLike,
    expected: npt.ArrayLike,
    *,
    ulps: float = 2.0,
    magnitude: npt.ArrayLike | None = None,
    what: str = "",
) -> None:
    """Every element within `ulps` steps of the expected value; the expected array may be wider.

    A step is the spacing of actual's dtype at `magnitude`, which is the expected value itself where
    it is not given. Give the size of the largest intermediate value where terms cancel (the sum of
    the absolute values of what was added). NaN equals NaN, and infinities equal themselves.
    Integers and bools must be equal.
    """
    left, right = np.asarray(actual), np.asarray(expected)
    if left.dtype.kind not in "fc":
        assert_bits_equal(left, right, what)
        return
    _check_kind(left, right, what, any_width=True)
    size = np.abs(right) if magnitude is None else np.abs(np.asarray(magnitude))
    size = np.broadcast_to(size, right.shape)
    pairs = zip(_parts(left), _parts(right), strict=True)
    wrong = np.any(np.stack([_outside(a, b, size, ulps) for a, b in pairs]), axis=0)
    if np.any(wrong):
        _fail(left, right, np.asarray(wrong), what, f" by more than {ulps:g} ulp")
