"""Operators against NumPy: bit for bit, over special and random values of every type."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import DTYPES, FLOAT16, FLOAT32, FLOAT64, INT64, DType
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.scalars import elementwise, pairs, random, special

Array = npt.NDArray[Any]

#: Operators that are NumPy's own.
SAME: dict[str, Callable[..., Array]] = {
    "neg": np.negative, "invert": np.invert, "not": np.logical_not,
    "add": np.add, "sub": np.subtract, "floordiv": np.floor_divide, "mod": np.remainder,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "shl": np.left_shift, "shr": np.right_shift,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip


def integer_power(a: Array, b: Array) -> Array:
    return np.where(b < 0, a.dtype.type(0), np.power(a, np.maximum(b, 0)))


def complex_product(a: Array, b: Array) -> Array:
    return _join(a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real)


def smiths_quotient(a: Array, b: Array) -> Array:
    """Smith's method, a zero divisor apart; for |re| < |im| both are turned by -i first, which
    loses nothing."""
    wide = np.abs(b.real) >= np.abs(b.imag)
    x, y = np.where(wide, b.real, b.imag), np.where(wide, b.imag, b.real)
    ratio = y / x
    scale = a.real.dtype.type(1) / (x + y * ratio)
    re = np.where(wide, a.real + a.imag * ratio, a.real * ratio + a.imag) * scale
    im = np.where(wide, a.imag - a.real * ratio, a.imag * ratio - a.real) * scale
    zero = (b.real == 0) & (b.imag == 0)
    return _join(
        np.where(zero, a.real / np.abs(b.real), re), np.where(zero, a.imag / np.abs(b.real), im)
    )


def _join(re: Array, im: Array) -> Array:
    out = np.empty(re.shape, np.result_type(re.dtype, np.complex64))
    out.real, out.imag = re, im
    return out


#: Operators that the contract defines; where they leave NumPy is in test_scalar_deviations.py.
OURS: dict[str, Callable[..., Array]] = {
    "min": lambda a, b: np.where(b < a, b, a),
    "max": lambda a, b: np.where(b > a, b, a),
}


def expected(op: str, dtype: DType, arrays: tuple[Array, ...]) -> Array:
    function = SAME.get(op) or OURS.get(op)
    if op == "mul":
        function = complex_product if dtype.is_complex else np.multiply
    elif op == "truediv":
        function = smiths_quotient if dtype.is_complex else np.true_divide
    elif op == "pow":
        function = integer_power
    elif op == "abs":
        function = np.absolute
    assert function is not None
    with np.errstate(all="ignore"):
        return function(*arrays)


CASES = [
    (op, dtype)
    for op, dtype in itertools.product(
        (*scalar.UNARY, *scalar.BINARY, *scalar.COMPARE), DTYPES.values()
    )
    if scalar.result_type(op, *[dtype] * (1 if op in scalar.UNARY else 2)) is not None
    # This is a math function, with a bound instead of exact bits.
    and not (op == "abs" and dtype.is_complex)
]


@pytest.mark.parametrize(("op", "dtype"), CASES, ids=[f"{op}-{dtype}" for op, dtype in CASES])
def test_operator(op: str, dtype: DType) -> None:
    if op in scalar.UNARY:
        arrays: tuple[Array, ...] = (np.concatenate([special(dtype), random(dtype, 500)]),)
    else:
        arrays = pairs(dtype, 500)
    found = elementwise(op, (dtype,) * len(arrays), *arrays)
    assert_bits_equal(found, expected(op, dtype, arrays), f"{op} {dtype}")


@pytest.mark.parametrize("dtype", [DTYPES["int8"], DTYPES["uint8"]], ids=str)
@pytest.mark.parametrize("op", [op for op in scalar.BINARY if op != "truediv"])
def test_all_pairs_of_bytes(op: str, dtype: DType) -> None:
    values = np.arange(dtype.minimum, dtype.maximum + 1).astype(dtype.numpy)
    arrays = (np.repeat(values, 256), np.tile(values, 256))
    found = elementwise(op, (dtype, dtype), *arrays)
    assert_bits_equal(found, expected(op, dtype, arrays))


@pytest.mark.parametrize("dtype", [t for t in DTYPES.values() if t.is_integer], ids=str)
def test_integers_by_the_rules_of_the_contract(dtype: DType) -> None:
    """The same again from first principles, for NumPy's answers here come with warnings."""
    low, top, one = dtype.minimum, dtype.maximum, 1

    def value(op: str, *args: int) -> int:
        found = scalar.evaluate(op, (dtype,) * len(args), *args)
        assert isinstance(found, int)
        return found

    assert value("add", top, one) == low
    assert value("sub", low, one) == top
    assert value("neg", low) == low
    assert value("abs", low) == low
    for x in (0, 1, 5, low, top):
        assert value("floordiv", x, 0) == 0
        assert value("mod", x, 0) == 0
        assert value("pow", x, 0) == 1
        for count in (dtype.bits, dtype.bits + 1, top):
            assert value("shl", x, count) == 0
            assert value("shr", x, count) == (-1 if x < 0 else 0)
    if dtype.is_signed:
        assert value("floordiv", low, -1) == low
        assert value("mod", low, -1) == 0
        assert value("floordiv", -7, 2) == -4
        assert value("mod", -7, 2) == 1
        assert value("mod", 7, -2) == -1
        assert value("pow", 2, -1) == value("pow", 1, -1) == value("pow", -1, -1) == 0
        assert value("shl", 1, -1) == 0
        assert value("shr", 1, -1) == 0
        assert value("shr", -1, low) == -1
        assert value("shr", low, dtype.bits - 1) == -1


@pytest.mark.parametrize("op", ["add", "sub", "mul", "truediv"])
def test_float16_computes_in_float32_and_rounds(op: str) -> None:
    arrays = pairs(FLOAT16, 2000)
    wide = [a.astype(np.float32) for a in arrays]
    with np.errstate(all="ignore"):
        rounded = elementwise(op, (FLOAT32, FLOAT32), *wide).astype(np.float16)
    assert_bits_equal(elementwise(op, (FLOAT16, FLOAT16), *arrays), rounded)


@pytest.mark.parametrize("dtype", [FLOAT16, FLOAT32, FLOAT64], ids=str)
def test_denormals_are_kept(dtype: DType) -> None:
    least = np.finfo(dtype.numpy).smallest_subnormal
    tiny = np.finfo(dtype.numpy).smallest_normal
    half = dtype.numpy.type(0.5)
    assert scalar.evaluate("mul", (dtype, dtype), tiny, half) == tiny * half > 0
    assert scalar.evaluate("add", (dtype, dtype), least, least) == 2 * least > least
    assert scalar.evaluate("sub", (dtype, dtype), tiny, least) == tiny - least < tiny


def test_shift_counts_near_the_width_of_int64() -> None:
    counts = np.array([-(1 << 63), -1, 0, 1, 62, 63, 64, 65, (1 << 63) - 1])
    values = np.array([-(1 << 63), -1, 0, 1, (1 << 63) - 1])
    a, b = np.repeat(values, len(counts)), np.tile(counts, len(values))
    for op in ("shl", "shr"):
        assert_bits_equal(elementwise(op, (INT64, INT64), a, b), expected(op, INT64, (a, b)), op)
