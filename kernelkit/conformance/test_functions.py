"""Device functions: returns anywhere, defaults and keywords, nesting, loops, arrays, tuples."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import Runner, poison

COUNT = 70


@kk.device
def clamp(x, low, high):
    if x < low:
        return low
    if x > high:
        return high
    return x


def sign(x):
    """A plain function is inlined as well."""
    if x > 0:
        return 1
    elif x < 0:
        return -1
    else:
        return 0


@kk.device
def smallest_divisor(n):
    for k in range(2, n):
        if n % k == 0:
            return k
        if k * k > n:
            break
    return n


@kk.device
def digit_sum(n, base=10, *, weight=1):
    total = 0
    while True:
        total += n % base * weight
        n //= base
        if n == 0:
            return total


@kk.device
def first_pair(n, wanted):
    """Returns from inside two loops."""
    for a in range(1, n):
        for b in range(a, n):
            if a * b == wanted:
                return a * 100 + b
            if a * b > wanted:
                break
    return -1


@kk.device
def twice_nested(x):
    return clamp(sign(x) * smallest_divisor(clamp(abs(x), 2, 50)), low=-9, high=9)


def of_one(function: Any) -> Any:
    @kk.kernel
    def kernel(src, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(src[i])

    return kernel


def with_defaults(x):
    return digit_sum(abs(x))


def with_keywords(x):
    return digit_sum(weight=3, n=abs(x), base=7)


def with_one_keyword(x):
    return digit_sum(abs(x), 2, weight=2) + digit_sum(abs(x), base=8)


def pair_of(x):
    return first_pair(12, x)


def in_a_condition(x):
    if smallest_divisor(abs(x) + 2) == 2 and sign(x) >= 0:
        return clamp(x, 0, 10) if sign(x - 5) > 0 else -clamp(x, 0, 10)
    return 1000


def in_a_loop(x):
    total = 0
    for k in range(clamp(x, 0, 5)):
        if sign(k - 2) == 0:
            continue
        total += smallest_divisor(k + 9)
    return total


#: Everything a kernel calls here is also plain Python, which says what it should give.
PLAIN = {
    f.__name__: f
    for f in (
        sign, twice_nested, with_defaults, with_keywords, with_one_keyword, pair_of,
        in_a_condition, in_a_loop, smallest_divisor,
    )
}  # fmt: skip
KERNELS = {name: of_one(function) for name, function in PLAIN.items()}


@pytest.mark.parametrize("name", PLAIN)
def test_against_python(run: Runner, rng: np.random.Generator, name: str) -> None:
    src = rng.integers(-60, 61, COUNT)
    if name == "smallest_divisor":
        src = np.abs(src) + 2
    out = run.over(KERNELS[name], src, poison(COUNT, np.int64))
    plain = getattr(PLAIN[name], "__wrapped__", PLAIN[name])
    np.testing.assert_array_equal(out, [plain(x) for x in src.tolist()])


@kk.kernel
def each_call_has_its_own_types(a, b, out):
    i = kk.grid(1)
    if i < a.size:
        out[i, 0] = halved(a[i])
        out[i, 1] = halved(b[i])
        out[i, 2] = halved(3)


def halved(x):
    y = x / 2
    return y + x


@pytest.mark.needs(dtypes="float64")
def test_each_call_has_its_own_types(run: Runner, rng: np.random.Generator) -> None:
    a = rng.integers(-99, 99, COUNT).astype(np.int32)
    b = rng.integers(-99, 99, COUNT).astype(np.float32)
    out = run(each_call_has_its_own_types, 3, 32, a, b, poison((COUNT, 3), np.float64))
    np.testing.assert_array_equal(out, np.stack([a * 1.5, b * 1.5, np.full(COUNT, 4.5)], axis=1))


@kk.kernel
def parameters_are_local(src, out):
    i = kk.grid(1)
    if i < out.size:
        x = src[i]
        y = spoils_its_parameter(x, i)
        out[i] = 1000 * x + y


def spoils_its_parameter(x, i):
    for k in range(3):
        x += k
        i += 1
    return x + i


def test_a_function_assigns_its_own_names(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-60, 61, COUNT)
    out = run.over(parameters_are_local, src, poison(COUNT, np.int64))
    np.testing.assert_array_equal(out, 1000 * src + src + 3 + np.arange(COUNT) + 3)


@kk.kernel
def arrays_to_functions(src, out):
    i = kk.grid(1)
    if i < src.shape[0]:
        total = fill(out[i], src, i)
        out[i, 0] = total


def fill(row, src, i):
    """Writes through a view; returns nothing useful but the sum of what it wrote."""
    total = 0
    for k in range(1, len(row)):
        row[k] = src[i] * k
        total += row[k]
    note(row)
    return total


def note(row):
    if row[1] < 0:
        return
    row[-1] += 1


def test_arrays_as_parameters(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-60, 61, COUNT)
    expected = np.outer(src, np.arange(5))
    expected[:, 0] = expected.sum(axis=1)
    expected[:, 4] += src >= 0
    out = run(arrays_to_functions, 3, 32, src, poison((COUNT, 5), np.int64))
    np.testing.assert_array_equal(out, expected)


# ---------------------------------------------------------------- tuples
class Point(NamedTuple):
    x: Any
    y: Any = 2


@kk.device
def minmax(a, b):
    if a < b:
        return a, b
    return b, a


@kk.device
def moved(point, by=(1, -1)):
    return Point(point.x + by[0], y=point.y + by[1])


@kk.kernel
def tuples(src, out):
    i = kk.grid(1)
    if i < src.shape[0]:
        low, high = minmax(src[i, 0], src[i, 1])
        out[i, 0] = low
        out[i, 1] = high
        pair = (low, (high, 7))
        (a, (b, c)) = pair
        out[i, 2] = a + b * c
        out[i, 3] = pair[1][0] + pair[-1][1] + len(pair)
        a, b = b, a
        out[i, 4] = 10 * a + b
        p = moved(moved(Point(a, b)), (5, 10))
        out[i, 5] = p.x
        out[i, 6] = p.y + p[1]
        q = Point(x=b)
        out[i, 7] = q.x * q.y
        total = 0
        for value in (low, 3, high, q.y):
            total = 2 * total + value
        out[i, 8] = total
        out[i, 9] = max(minmax(a, b)) - min((a, b, 5))


def test_tuples(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-60, 61, (COUNT, 2))
    low, high = src.min(axis=1), src.max(axis=1)
    columns = [
        low, high, low + 7 * high, high + 7 + 2, 10 * high + low, high + 6, 2 * (low + 9),
        2 * low, 8 * low + 12 + 2 * high + 2, high - np.minimum(low, 5),
    ]  # fmt: skip
    out = run(tuples, 3, 32, src, poison((COUNT, 10), np.int64))
    np.testing.assert_array_equal(out, np.stack(columns, axis=1))


class Settings(NamedTuple):
    radius: int
    weights: Any
    shift: float = 0.5


@kk.kernel
def tuple_arguments(settings, pair, out):
    i = kk.grid(1)
    tile = kk.local.array(pair[1], np.int32)
    if i < out.size:
        total = np.float32(0)
        for k in range(-settings.radius, settings.radius + 1):
            total += settings.weights[(i + k) % len(settings.weights)]
        for k in range(pair[1]):
            tile[k] = k
        out[i] = total + settings.shift + tile[pair[1] - 1] + pair[0][0]


@pytest.mark.needs(dtypes="float64")
def test_tuples_as_arguments(run: Runner, rng: np.random.Generator) -> None:
    """Their numbers are known when compiling; their arrays are parameters like any other."""
    weights = rng.integers(-9, 9, COUNT).astype(np.float32)
    for radius in (0, 2):
        out = run(
            tuple_arguments, 3, 32, Settings(radius, weights), ((3,), 4), poison(COUNT, np.float32)
        )
        sums = sum(np.roll(weights, -k) for k in range(-radius, radius + 1))
        np.testing.assert_array_equal(out, sums + np.float32(0.5 + 3 + 3))


@kk.kernel
def rotate_values(src, out):
    """A swap of three, and one of elements, reads all before it writes."""
    i = kk.grid(1)
    if i < src.shape[0]:
        a, b, c = src[i, 0], src[i, 1], src[i, 2]
        for _ in range(2):
            a, b, c = c, a, b
        out[i, 0], out[i, 1], out[i, 2] = a, b, c
        out[i, 0], out[i, 2] = out[i, 2], out[i, 0]


def test_swaps(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-60, 61, (COUNT, 3))
    out = run(rotate_values, 3, 32, src, poison((COUNT, 3), np.int64))
    np.testing.assert_array_equal(out, src[:, [0, 2, 1]])


@kk.kernel
def maths_of_floats(src, out):
    i = kk.grid(1)
    if i < src.size:
        radius, angle = polar(src[i], src[i] + 1)
        out[i, 0] = radius
        out[i, 1] = angle


@kk.device
def polar(x, y):
    return math.hypot(x, y), math.atan2(y, x)


def test_functions_returning_floats(run: Runner, rng: np.random.Generator) -> None:
    src = rng.uniform(-9, 9, COUNT).astype(np.float32)
    out = run(maths_of_floats, 3, 32, src, poison((COUNT, 2), np.float32))
    expected = np.stack([np.hypot(src, src + 1), np.arctan2(src + 1, src)], axis=1)
    np.testing.assert_allclose(out, expected, rtol=1e-5)


@kk.kernel
def over_tuples(arrays, out):
    i = kk.grid(1)
    if i < out.shape[0]:
        total = 0
        for array in arrays:
            total += array[i % len(array)]
        out[i, 0] = total
        for low, high in ((0, 3), (5, 9), (12, 20)):
            if i < low:
                continue
            if i < high:
                out[i, 1] = low
                break
        else:
            out[i, 1] = -1
        for value in (1, 2, 3):
            value *= 10
        out[i, 2] = value
        weight = 0
        for dx in (-1, 0, 1):
            for dy in (-1, 0, 1):
                if dx * dy == 0:
                    weight += i + dx - dy
        out[i, 3] = weight


def test_iteration_over_static_tuples(run: Runner, rng: np.random.Generator) -> None:
    """Its items may differ in type and layout: each one is a compile-time thing."""
    a, b = rng.integers(-9, 9, 7).astype(np.int8), rng.integers(-9, 9, (5, 2))[:, 1]
    out = run(over_tuples, 1, 32, (a, b), poison((25, 4), np.int64))
    i = np.arange(25)
    inside = [next((lo for lo, hi in ((0, 3), (5, 9), (12, 20)) if lo <= k < hi), -1) for k in i]
    np.testing.assert_array_equal(
        out, np.stack([a[i % 7] + b[i % 5], inside, np.full(25, 30), 5 * i], axis=1)
    )
