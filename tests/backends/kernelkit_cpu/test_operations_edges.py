"""What operations do with constants, with lanes that hold nothing, and where one rounding would do."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernelkit.ir.types import (
    DTYPES,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT16,
    INT32,
    INT64,
    UINT64,
    DType,
)
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.scalars import elementwise, random, special
from kernelkit_cpu.targets import CpuTarget
from kernelkit_cpu.types import literal, register, vector

Array = npt.NDArray[Any]

INTEGERS = [t for t in DTYPES.values() if t.is_integer]
PLACES = [
    (name, lanes)
    for name, lanes in [("native", 0), ("native", 8), ("avx2", 4), ("sse2", 4)]
    if CpuTarget.parse(name).runs_here()
]
everywhere = pytest.mark.parametrize(("name", "lanes"), PLACES)


# ---------------------------------------------------------------- constants
def constants(op: str, dtype: DType) -> list[int]:
    if op == "pow":
        found = {-2, -1, 0, 1, 2, 3, 4, 7, 10, 31, 63, 64}
    elif op in ("shl", "shr"):
        found = {-1, 0, 1, dtype.bits - 1, dtype.bits, dtype.bits + 1, dtype.minimum}
    else:
        found = {0, 1, 2, 3, 7, 10, 16, 100, -1, -2, -3, -10, dtype.minimum, dtype.maximum}
        found |= {1 << 50, (1 << 50) + 1, -(1 << 50) - 1, (1 << 63) + 5, 1 << dtype.bits - 1}
    return sorted(x for x in found if dtype.minimum <= x <= dtype.maximum)


@everywhere
@pytest.mark.parametrize("op", ["floordiv", "mod", "shl", "shr", "pow"])
def test_by_a_constant(batch: Any, op: str, name: str, lanes: int) -> None:
    code, cases = batch(CpuTarget.parse(name), lanes), []
    for dtype in INTEGERS:
        for value in constants(op, dtype):

            def write(to: Any, args: Any, n: int, dtype: DType = dtype, value: int = value) -> Any:
                return to.binary(op, dtype, args[0], literal(dtype, value, n), n)

            cases.append((dtype, value, code.add([dtype], dtype, write)))
    code.load()
    for dtype, value, number in cases:
        a = np.concatenate([special(dtype), random(dtype, 200)])
        wanted = elementwise(op, (dtype, dtype), a, np.full(len(a), value, dtype.numpy))
        assert_bits_equal(code(number, a), wanted, f"{dtype} {op} {value}")


@everywhere
def test_of_a_constant(batch: Any, name: str, lanes: int) -> None:
    code, cases = batch(CpuTarget.parse(name), lanes), []
    for dtype in (INT16, INT32, INT64, UINT64):
        for op in ("floordiv", "mod", "shl", "pow"):
            value = dtype.maximum - 3

            def left(to: Any, args: Any, n: int, op: str = op, dtype: DType = dtype) -> Any:
                return to.binary(op, dtype, literal(dtype, dtype.maximum - 3, n), args[0], n)

            def both(to: Any, args: Any, n: int, op: str = op, dtype: DType = dtype) -> Any:
                return to.binary(
                    op, dtype, *(literal(dtype, x, n) for x in (dtype.maximum - 3, 7)), n
                )

            for write, right in ((left, None), (both, 7)):
                cases.append((op, dtype, value, right, code.add([dtype], dtype, write)))
    code.load()
    for op, dtype, value, right, number in cases:
        b = np.concatenate([special(dtype), random(dtype, 100)])
        wanted = b if right is None else np.full(len(b), right, dtype.numpy)
        wanted = elementwise(op, (dtype, dtype), np.full(len(b), value, dtype.numpy), wanted)
        assert_bits_equal(code(number, b), wanted, f"{value} {op} of {dtype}")


# ---------------------------------------------------------------- division
def spread(dtype: DType, count: int, rng: np.random.Generator) -> Array:
    """Integers of every size."""
    bits = rng.integers(0, 2**64, count, dtype=np.uint64) >> np.uint64(64 - dtype.bits)
    bits >>= rng.integers(0, dtype.bits, count).astype(np.uint64)
    signs = rng.choice([-1, 1], count) if dtype.is_signed else 1
    return (bits.astype(dtype.numpy) * signs).astype(dtype.numpy)


@everywhere
def test_quotients_near_integers(batch: Any, name: str, lanes: int) -> None:
    """Where a division in floating point would go wrong, did it not know what it does."""
    code, rng = batch(CpuTarget.parse(name), lanes), np.random.default_rng(7)
    numbers = {
        (op, dtype): code.add(
            [dtype, dtype], dtype,
            lambda to, args, n, op=op, dtype=dtype: to.binary(op, dtype, *args, n),
        )
        for op in ("floordiv", "mod") for dtype in INTEGERS
    }  # fmt: skip
    code.load()
    for (op, dtype), number in numbers.items():
        b = spread(dtype, 20_000, rng)
        b[b == 0] = 1
        one = rng.integers(-1, 2, len(b)).astype(dtype.numpy)
        with np.errstate(over="ignore"):
            a = (b * spread(dtype, len(b), rng) + one).astype(dtype.numpy)
        if dtype == INT64:  # the least value by -1 is the table's own
            a[a == dtype.minimum] += 1
        with np.errstate(all="ignore"):
            wanted = (np.floor_divide if op == "floordiv" else np.remainder)(a, b)
        usual = (b != -1) if dtype.is_signed else np.full(len(b), True)
        assert_bits_equal(code(number, a, b)[usual], wanted[usual], f"{dtype} {op}")


@everywhere
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_remainders_of_floats_near_multiples(
    batch: Any, dtype: DType, name: str, lanes: int
) -> None:
    code, rng, count = batch(CpuTarget.parse(name), lanes), np.random.default_rng(8), 20_000
    same = (dtype, dtype)
    numbers = [
        code.add(same, dtype, lambda to, args, n: to.intrinsic("fmod", same, args, n)),
        code.add(same, dtype, lambda to, args, n: to.binary("mod", dtype, *args, n)),
        code.add(same, dtype, lambda to, args, n: to.binary("floordiv", dtype, *args, n)),
    ]
    code.load()
    b = np.ldexp(rng.uniform(-2, 2, count), rng.integers(-30, 30, count)).astype(dtype.numpy)
    times = rng.integers(-(2**20), 2**20, count).astype(dtype.numpy)
    a = np.nextafter(b * times, rng.choice([-np.inf, np.inf], count).astype(dtype.numpy))
    far = np.ldexp(a, rng.integers(-60, 61, count)).astype(dtype.numpy)
    for left in (a, b * times, far):
        for number, exact in zip(numbers, (np.fmod, np.remainder, np.floor_divide), strict=True):
            assert_bits_equal(code(number, left, b), exact(left, b), f"{exact}")


# ---------------------------------------------------------------- lanes that do not run
@pytest.mark.parametrize("name", dict.fromkeys(name for name, _ in PLACES))
def test_poison_in_a_lane_stays_there(batch: Any, name: str) -> None:
    """What other lanes give is right, and nothing traps."""
    lanes = 8
    code, numbers = batch(CpuTarget.parse(name), lanes), {}
    for op, dtype in [
        *((op, t) for op in ("floordiv", "mod", "pow", "shl") for t in INTEGERS),
        *((op, t) for op in ("floordiv", "mod") for t in (FLOAT16, FLOAT32, FLOAT64)),
    ]:

        def write(to: Any, args: Any, n: int, op: str = op, dtype: DType = dtype) -> Any:
            text, full = code.text, register(dtype, n)
            alone = []
            for (part,) in args:
                first = text.let(f"extractelement {full} {part}, i64 0")
                alone.append(
                    (text.let(f"insertelement {full} poison, {register(dtype)} {first}, i64 0"),)
                )
            found = to.binary(op, dtype, *alone, n)[0]
            everywhere = f"{vector('i32', n)} zeroinitializer"
            return (text.let(f"shufflevector {full} {found}, {full} poison, {everywhere}"),)

        numbers[op, dtype] = code.add([dtype, dtype], dtype, write)
    code.load()
    for (op, dtype), number in numbers.items():
        a, b = (np.repeat(random(dtype, 160, seed), lanes) for seed in (1, 2))
        found = code(number, a, b)[::lanes]
        wanted = elementwise(op, (dtype, dtype), a[::lanes], b[::lanes])
        assert_bits_equal(found, wanted, f"{op} of {dtype}")


@everywhere
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_select(batch: Any, dtype: DType, name: str, lanes: int) -> None:
    code = batch(CpuTarget.parse(name), lanes)
    yes = DTYPES["bool"]
    each = code.add(
        [yes, dtype, dtype], dtype, lambda to, args, n: to.select(dtype, args[0][0], *args[1:], n)
    )

    def one_for_all(to: Any, args: Any, n: int) -> Any:
        bit = args[0][0]
        if n:
            bit = code.text.let(f"extractelement {vector('i1', n)} {bit}, i64 0")
        return to.select(dtype, bit, *args[1:], n, uniform_condition=True)

    together = code.add([yes, dtype, dtype], dtype, one_for_all)
    code.load()
    a, b = random(dtype, 320, 1), random(dtype, 320, 2)
    condition = random(yes, 320, 3)
    assert_bits_equal(code(each, condition, a, b), np.where(condition, a, b))
    alike = np.repeat(condition[:: lanes or 1], lanes or 1)
    assert_bits_equal(code(together, alike, a, b), np.where(alike, a, b))


# ---------------------------------------------------------------- contraction
def multiply_add(to: Any, args: Any, lanes: int) -> Any:
    product = to.binary("mul", FLOAT32, args[0], args[1], lanes)
    return to.binary("add", FLOAT32, product, args[2], lanes)


@pytest.mark.parametrize("lanes", [0, 8])
def test_only_where_it_is_allowed_are_products_and_sums_fused(batch: Any, lanes: int) -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.uniform(1, 2, 640).astype(np.float32) for _ in range(2))
    c = -(a * b)
    native = CpuTarget.parse("native")
    for contract in (False, True):
        code = batch(native, lanes, contract=contract)
        number = code.add([FLOAT32] * 3, FLOAT32, multiply_add)
        assert ("contract" in code.module.text()) == contract
        found = code.load()(number, a, b, c)
        if not contract:
            assert not np.any(found)
        elif native.is_arm or native.has("fma"):
            exact = a.astype(np.float64) * b + c
            assert_bits_equal(found, exact.astype(np.float32))


def test_nothing_else_is_left_to_llvm(batch: Any) -> None:
    """Neither NaNs nor signs of zeros nor the order of sums; and no complex product is fused."""
    complexes = DTYPES["complex64"]
    code = batch(CpuTarget.parse("native"), 4, contract=True)
    for op in ("mul", "truediv"):
        code.add(
            [complexes] * 2, complexes, lambda to, a, n, op=op: to.binary(op, complexes, *a, n)
        )
    assert "contract" not in code.module.text()
    for op in ("add", "sub", "mul", "truediv", "mod", "floordiv", "min", "max"):
        for dtype in (FLOAT16, FLOAT32, FLOAT64):
            code.add([dtype] * 2, dtype, lambda to, a, n, op=op, t=dtype: to.binary(op, t, *a, n))
    flags = re.findall(r"\b(fast|nnan|ninf|nsz|arcp|afn|reassoc)\b", code.module.text())
    assert flags == []


# ---------------------------------------------------------------- float16
@everywhere
def test_every_float16_and_what_lies_between(batch: Any, name: str, lanes: int) -> None:
    code = batch(CpuTarget.parse(name), lanes)

    def cast(source: DType, target: DType) -> int:
        return code.add([source], target, lambda to, a, n: to.cast(source, target, a[0], n))

    widened, narrowed, once = cast(FLOAT16, FLOAT32), cast(FLOAT32, FLOAT16), cast(FLOAT64, FLOAT16)
    code.load()
    halves = np.arange(1 << 16).astype(np.uint16).view(np.float16)
    assert_bits_equal(code(widened, halves), halves.astype(np.float32))
    finite = np.sort(halves[np.isfinite(halves)].astype(np.float64))
    middles = np.concatenate([(finite[1:] + finite[:-1]) / 2, [65520.0, -65520.0]])
    with np.errstate(over="ignore"):
        for values, number in ((middles.astype(np.float32), narrowed), (middles, once)):
            for near in (
                values,
                *(np.nextafter(values, values.dtype.type(x)) for x in (-9e9, 9e9)),
            ):
                assert_bits_equal(code(number, near), near.astype(np.float16))
