"""Integers: they wrap, // and % floor, what would be undefined in C has a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import INTEGERS, SIGNED, Runner, by_dtype, poison, sample
from kernelkit.testing.comparison import assert_bits_equal

COUNT = 83


def two(function: Any) -> Any:
    """A kernel of a function of two elements."""

    @kk.kernel
    def kernel(a, b, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(a[i], b[i])

    return kernel


def one(function: Any) -> Any:
    """A kernel of a function of one element."""

    @kk.kernel
    def kernel(a, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(a[i])

    return kernel


def add(a, b):
    return a + b


def subtract(a, b):
    return a - b


def multiply(a, b):
    return a * b


def floor_divide(a, b):
    return a // b


def modulo(a, b):
    return a % b


def power(a, b):
    return a**b


def left_shift(a, b):
    return a << b


def right_shift(a, b):
    return a >> b


def bit_and(a, b):
    return a & b


def bit_or(a, b):
    return a | b


def bit_xor(a, b):
    return a ^ b


def least(a, b):
    return min(a, b)


def greatest(a, b):
    return max(a, b)


def least_of_four(a, b):
    return min(a, b, a // 2, b // 2)


def quotient_and_rest(a, b):
    quotient, rest = divmod(a, b)
    return quotient ^ rest


def shifted_right(a: int, b: int, width: int) -> int:
    if 0 <= b < width:
        return a >> b
    return -1 if a < 0 else 0


#: Kernel and meaning; the meaning is given Python ints and the width, and is wrapped afterwards.
BINARY: dict[str, tuple[Any, Callable[[int, int, int], int]]] = {
    f.__name__: (two(f), meaning)
    for f, meaning in [
        (add, lambda a, b, w: a + b),
        (subtract, lambda a, b, w: a - b),
        (multiply, lambda a, b, w: a * b),
        (floor_divide, lambda a, b, w: a // b if b else 0),
        (modulo, lambda a, b, w: a % b if b else 0),
        (power, lambda a, b, w: pow(a, b, 1 << w) if b >= 0 else 0),
        (left_shift, lambda a, b, w: a << b if 0 <= b < w else 0),
        (right_shift, shifted_right),
        (bit_and, lambda a, b, w: a & b),
        (bit_or, lambda a, b, w: a | b),
        (bit_xor, lambda a, b, w: a ^ b),
        (least, lambda a, b, w: min(a, b)),
        (greatest, lambda a, b, w: max(a, b)),
        (least_of_four, lambda a, b, w: min(a, b, a // 2, b // 2)),
        (quotient_and_rest, lambda a, b, w: (a // b) ^ (a % b) if b else 0),
    ]
}


def wrapped(values: list[int], dtype: str) -> np.ndarray:
    """Python ints brought into a dtype by dropping the bits that do not fit."""
    width = 8 * np.dtype(dtype).itemsize
    kept = [value & ((1 << width) - 1) for value in values]
    return np.array(kept, f"u{width // 8}").view(dtype)


def operands(rng: np.random.Generator, name: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = sample(rng, dtype, COUNT), sample(rng, dtype, COUNT)
    width = 8 * np.dtype(dtype).itemsize
    low = -3 if dtype in SIGNED else 0
    if name in ("left_shift", "right_shift"):
        b[::2] = rng.integers(low, width + 3, b[::2].size)
    elif name == "power":
        b = rng.integers(low, 13, COUNT).astype(dtype)
    elif name in ("floor_divide", "modulo", "quotient_and_rest"):
        b[::2] = rng.integers(3 * low, 9, b[::2].size)
        if dtype in SIGNED:
            a[:4], b[:4] = np.iinfo(dtype).min, [-1, 1, 0, np.iinfo(dtype).min]
    return a, b


@pytest.mark.parametrize("dtype", by_dtype(INTEGERS))
@pytest.mark.parametrize("name", BINARY)
def test_two_operands(run: Runner, rng: np.random.Generator, name: str, dtype: str) -> None:
    a, b = operands(rng, name, dtype)
    kernel, meaning = BINARY[name]
    out = run.over(kernel, a, b, poison(COUNT, dtype))
    width = 8 * a.dtype.itemsize
    pairs = zip(a.tolist(), b.tolist(), strict=True)
    assert_bits_equal(out, wrapped([meaning(x, y, width) for x, y in pairs], dtype))


def negative(a):
    return -a


def same(a):
    return +a


def inverse(a):
    return ~a


def magnitude(a):
    return abs(a)


def scaled(a):
    return (a * 3 + 7) // 5 % 11


def halved_by_shift(a):
    return (a >> 1) | (a << 3) & 0x55


def reversed_bits(a):
    return kk.brev(a)


def counts(a):
    return kk.popc(a) + 1000 * kk.clz(a) + 100000 * kk.ffs(a)


def flipped(a: int, width: int) -> int:
    return int(f"{a & ((1 << width) - 1):0{width}b}"[::-1], 2)


def counted(a: int, width: int) -> int:
    pattern = a & ((1 << width) - 1)
    lowest = (pattern & -pattern).bit_length()
    return pattern.bit_count() + 1000 * (width - pattern.bit_length()) + 100000 * lowest


UNARY: dict[str, tuple[Any, Callable[[int, int], int]]] = {
    f.__name__: (one(f), meaning)
    for f, meaning in [
        (negative, lambda a, w: -a),
        (same, lambda a, w: a),
        (inverse, lambda a, w: ~a),
        (magnitude, lambda a, w: abs(a)),
        (halved_by_shift, lambda a, w: (a >> 1) | (a << 3) & 0x55),
        (reversed_bits, flipped),
    ]
}


@pytest.mark.parametrize("dtype", by_dtype(INTEGERS))
@pytest.mark.parametrize("name", UNARY)
def test_one_operand(run: Runner, rng: np.random.Generator, name: str, dtype: str) -> None:
    a = sample(rng, dtype, COUNT)
    kernel, meaning = UNARY[name]
    out = run.over(kernel, a, poison(COUNT, dtype))
    width = 8 * a.dtype.itemsize
    assert_bits_equal(out, wrapped([meaning(x, width) for x in a.tolist()], dtype))


@pytest.mark.parametrize("dtype", by_dtype(INTEGERS))
def test_popc_clz_ffs_are_int32(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a = sample(rng, dtype, COUNT)
    out = run.over(one(counts), a, poison(COUNT, np.int64))
    np.testing.assert_array_equal(out, [counted(x, 8 * a.dtype.itemsize) for x in a.tolist()])


@pytest.mark.parametrize("dtype", by_dtype(INTEGERS))
def test_literals_take_the_other_operands_type(
    run: Runner, rng: np.random.Generator, dtype: str
) -> None:
    a = sample(rng, dtype, COUNT)
    out = run.over(one(scaled), a, poison(COUNT, dtype))
    wide = wrapped([3 * x + 7 for x in a.tolist()], dtype).tolist()
    assert_bits_equal(out, wrapped([x // 5 % 11 for x in wide], dtype))


@kk.kernel
def comparisons(a, b, out):
    i = kk.grid(1)
    if i < a.size:
        out[i, 0] = a[i] < b[i]
        out[i, 1] = a[i] <= b[i]
        out[i, 2] = a[i] > b[i]
        out[i, 3] = a[i] >= b[i]
        out[i, 4] = a[i] == b[i]
        out[i, 5] = a[i] != b[i]
        out[i, 6] = a[i] < b[i] < 50
        out[i, 7] = 0 <= a[i] != b[i]


@pytest.mark.parametrize("dtype", by_dtype([*INTEGERS, "float16", "float32", "float64"]))
def test_comparisons(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a, b = sample(rng, dtype, COUNT), sample(rng, dtype, COUNT)
    equal = rng.random(COUNT) < 0.4
    a[equal] = b[equal]
    out = run(comparisons, 3, 32, a, b, poison((COUNT, 8), np.bool_))
    chains = [(a < b) & (b < 50), (a >= 0) & (a != b)]
    expected = np.stack([a < b, a <= b, a > b, a >= b, a == b, a != b, *chains], axis=1)
    np.testing.assert_array_equal(out, expected)


@kk.kernel
def constant_operands(a, out):
    i = kk.grid(1)
    if i < a.size:
        x = a[i]
        out[i, 0] = x // 0
        out[i, 1] = x % 0
        out[i, 2] = x << 99
        out[i, 3] = x >> 99
        out[i, 4] = x // -1
        out[i, 5] = x**0
        out[i, 6] = x % -7
        out[i, 7] = x // 8 + x % 8


@pytest.mark.parametrize("dtype", by_dtype(SIGNED))
def test_operands_known_when_compiling(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    a = sample(rng, dtype, COUNT)
    out = run(constant_operands, 3, 32, a, poison((COUNT, 8), dtype))
    rows = [[0, 0, 0, -1 if x < 0 else 0, -x, 1, x % -7, x // 8 + x % 8] for x in a.tolist()]
    assert_bits_equal(out, np.stack([wrapped(row, dtype) for row in rows]))


@kk.kernel
def generator(seeds, out):
    """A 32-bit xorshift and a 64-bit congruential generator, which live on wrapping."""
    i = kk.grid(1)
    if i < out.shape[0]:
        x = np.uint32(seeds[i])
        y = np.uint64(seeds[i])
        for _ in range(20):
            x ^= x << 13
            x ^= x >> 17
            x ^= x << 5
            y = y * 6364136223846793005 + 1442695040888963407
        out[i, 0] = x
        out[i, 1] = y


@pytest.mark.needs(dtypes=["uint32", "uint64"])
def test_random_number_generators(run: Runner, rng: np.random.Generator) -> None:
    seeds = rng.integers(1, 2**31, 40)
    out = run(generator, 2, 32, seeds, poison((40, 2), np.uint64))
    for seed, got in zip(seeds.tolist(), out.tolist(), strict=True):
        x, y = seed, seed
        for _ in range(20):
            x ^= x << 13 & 0xFFFFFFFF
            x ^= x >> 17
            x ^= x << 5 & 0xFFFFFFFF
            y = (y * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
        assert got == [x, y]


@kk.kernel
def logic(a, b, out):
    i = kk.grid(1)
    if i < a.size:
        p = a[i]
        q = b[i]
        out[i, 0] = p and q
        out[i, 1] = p or q
        out[i, 2] = not p
        out[i, 3] = p & q
        out[i, 4] = p | q
        out[i, 5] = p ^ q
        out[i, 6] = p == q
        out[i, 7] = p != q
        out[i, 8] = int(p) + int(q) == 1
        out[i, 9] = p if q else not p


def test_bools(run: Runner, rng: np.random.Generator) -> None:
    a, b = sample(rng, np.bool_, COUNT), sample(rng, np.bool_, COUNT)
    out = run(logic, 3, 32, a, b, poison((COUNT, 10), np.bool_))
    columns = [a & b, a | b, ~a, a & b, a | b, a ^ b, a == b, a != b, a ^ b, a == b]
    np.testing.assert_array_equal(out, np.stack(columns, axis=1))
