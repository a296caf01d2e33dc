"""Values from outside a kernel: scalar arguments of every type, closures, globals, constants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import (
    COMPLEX,
    FLOATS,
    INTEGERS,
    Runner,
    by_dtype,
    poison,
    sample,
)
from kernelkit.testing.comparison import assert_bits_equal


@kk.kernel
def keep(value, out):
    out[kk.grid(1)] = value


@pytest.mark.parametrize("dtype", by_dtype(["bool", *INTEGERS, *FLOATS, *COMPLEX]))
def test_scalars_of_each_numpy_type(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    for value in sample(rng, dtype, 8)[:6]:
        out = run(keep, 1, 3, value, poison(3, dtype))
        assert_bits_equal(out, np.full(3, value))


@kk.kernel
def integer_type(value, out):
    out[0] = kk.popc(~(value * 0))
    out[1] = ~(value * 0) < 0


@pytest.mark.parametrize("dtype", by_dtype(INTEGERS))
def test_a_numpy_scalar_keeps_its_type(run: Runner, dtype: str) -> None:
    kind = np.dtype(dtype)
    out = run(integer_type, 1, 1, kind.type(1), poison(2, np.int32))
    np.testing.assert_array_equal(out, [8 * kind.itemsize, kind.kind == "i"])


def test_a_python_int_is_an_int64(run: Runner) -> None:
    np.testing.assert_array_equal(run(integer_type, 1, 1, 1, poison(2, np.int32)), [64, 1])
    for value in (2**63 - 1, -(2**63), 0, -1, 2**31, -(2**31) - 1):
        assert run(keep, 1, 1, value, poison(1, np.int64))[0] == value


@kk.kernel
def with_a_float(factor, src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[i] * factor + factor


@pytest.mark.needs(dtypes="float64")
@pytest.mark.parametrize("dtype", by_dtype(["float16", "float32"]))
def test_a_python_float_is_weak(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    src = rng.integers(1, 50, 40).astype(dtype)
    out = run.over(with_a_float, 0.5, src, poison(40, dtype))
    np.testing.assert_array_equal(out, src * src.dtype.type(0.5) + src.dtype.type(0.5))


@kk.kernel
def third_by_argument(three, src, out):
    out[0] = src[0] / three
    out[1] = 1 / three


@pytest.mark.needs(dtypes="float64")
def test_a_python_float_alone_is_a_float64(run: Runner) -> None:
    out = run(third_by_argument, 1, 1, 3.0, np.ones(1, np.float32), poison(2, np.float64))
    np.testing.assert_array_equal(out, [np.float32(1) / np.float32(3), 1 / 3])
    out = run(third_by_argument, 1, 1, np.float64(3), np.ones(1, np.float32), poison(2, np.float64))
    np.testing.assert_array_equal(out, [1 / 3, 1 / 3])


@kk.kernel
def conditions(flag, out):
    i = kk.grid(1)
    if flag:
        out[i] = 1
    else:
        out[i] = 2


@pytest.mark.needs(dtypes="float64")
@pytest.mark.parametrize("flag", [True, False, np.bool_(True), np.bool_(False), 5, 0, -0.0, 0.25])
def test_scalars_as_conditions(run: Runner, flag: Any) -> None:
    np.testing.assert_array_equal(
        run(conditions, 1, 3, flag, poison(3, np.int8)), [2 - bool(flag)] * 3
    )


@pytest.mark.needs(dtypes="float64")
def test_one_kernel_takes_argument_types_in_turn(run: Runner) -> None:
    for value in (1, 2.5, True, np.int8(-3), np.float32(0.1), 7, 2.5):
        dtype = np.result_type(type(value))
        assert run(keep, 1, 1, value, poison(1, dtype))[0] == value


@kk.kernel
def reassigned(n, x, out):
    n += 1
    x = x * 2
    out[kk.grid(1)] = n + x


def test_scalar_parameters_can_be_assigned(run: Runner) -> None:
    out = run(reassigned, 1, 3, 4, np.int32(5), poison(3, np.int64))
    np.testing.assert_array_equal(out, [15] * 3)


# ---------------------------------------------------------------- closures and globals
def adder(amount: Any, operation: Any) -> Any:
    @kk.kernel
    def kernel(src, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = operation(src[i], amount)

    return kernel


def plus(a, b):
    return a + b


def times(a, b):
    return a * b


@pytest.mark.parametrize(
    ("amount", "operation", "expected"),
    [
        (3, plus, [3, 4, 5]),
        (-2, times, [0, -2, -4]),
        (np.int8(7), plus, [7, 8, 9]),
        (3, max, [3, 3, 3]),
    ],
)
def test_closures(run: Runner, amount: Any, operation: Any, expected: list[int]) -> None:
    src = np.arange(3, dtype=np.int32)
    out = run.over(adder(amount, operation), src, poison(3, np.int32))
    np.testing.assert_array_equal(out, expected)


SCALE = 3
LIMITS = (2, (5, 8))
NAME = None
hypotenuse = math.hypot
thread_index = kk.threadIdx
INFINITY = math.inf


@kk.kernel
def uses_globals(out):
    i = thread_index.x
    out[i] = i * SCALE + LIMITS[1][1] - LIMITS[0]
    if NAME is None:
        out[i] += int(hypotenuse(3, 4))
    if i < INFINITY and -INFINITY < i:
        out[i] += 100


@pytest.mark.needs(dtypes="float64")
def test_globals_are_constants(run: Runner) -> None:
    out = run(uses_globals, 1, 4, poison(4, np.int64))
    np.testing.assert_array_equal(out, 3 * np.arange(4) + 111)


@kk.kernel
def scaled(out):
    i = kk.grid(1)
    out[i] = apply_scale(i)


def apply_scale(i):
    return i * SCALE


def test_a_changed_global_recompiles(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    for scale in (3, 5, -1, 3):
        monkeypatch.setitem(globals(), "SCALE", scale)
        out = run(scaled, 1, 4, poison(4, np.int64))
        np.testing.assert_array_equal(out, scale * np.arange(4))


def test_a_changed_closure_recompiles(run: Runner) -> None:
    amount = 1

    @kk.kernel
    def kernel(out):
        out[kk.grid(1)] = amount

    for amount in (1, 2, 7):
        np.testing.assert_array_equal(run(kernel, 1, 2, poison(2, np.int32)), [amount] * 2)


# ---------------------------------------------------------------- compile-time values
@kk.kernel
def unrolled(src, out, radius: kk.constexpr, mode: kk.constexpr = "sum", extra=None):
    window = kk.local.array(2 * radius + 1, np.int32)
    i = kk.grid(1)
    if i < out.size:
        for k in range(2 * radius + 1):
            window[k] = src[(i + k) % src.size]
        total = 0
        for k in range(len(window)):
            if mode == "sum":
                total += window[k]
            elif mode == "max":
                total = max(total, window[k])
        if extra is not None:
            total += extra[i]
        out[i] = total


@pytest.mark.parametrize("radius", [0, 1, 3])
@pytest.mark.parametrize("mode", ["sum", "max"])
def test_constexpr_and_none(run: Runner, rng: np.random.Generator, radius: int, mode: str) -> None:
    src = rng.integers(1, 99, 40).astype(np.int32)
    rows = [np.roll(src, -k) for k in range(2 * radius + 1)]
    expected = np.sum(rows, axis=0) if mode == "sum" else np.max(rows, axis=0)
    _, out = run.arrays(unrolled, 2, 32, src, poison(40, np.int32), radius, mode)
    np.testing.assert_array_equal(out, expected)
    _, out = run.arrays(unrolled, 2, 32, src, poison(40, np.int32), radius, mode, None)
    np.testing.assert_array_equal(out, expected)
    _, out, _ = run.arrays(unrolled, 2, 32, src, poison(40, np.int32), radius, mode, src)
    np.testing.assert_array_equal(out, expected + src)


def test_keyword_and_default_arguments(run: Runner) -> None:
    src, out = kk.asarray(np.arange(5, dtype=np.int32)), kk.asarray(poison(5, np.int32))
    unrolled[1, 32](src=src, radius=1, out=out)
    kk.synchronize()
    np.testing.assert_array_equal(kk.to_numpy(out), [3, 6, 9, 7, 5])


@kk.kernel
def logic_of_constants(out, extra, flag: kk.constexpr):
    i = kk.grid(1)
    if i < out.shape[0]:
        out[i, 0] = extra is not None and extra[i] > 2
        out[i, 1] = extra is None or extra[i] > 2
        out[i, 2] = flag and i + 1
        out[i, 3] = flag or i + 1
        out[i, 4] = 5 if extra is None else extra[i]
        out[i, 5] = i > 1 and flag and NAME is None


@pytest.mark.parametrize("flag", [0, 7])
@pytest.mark.parametrize("given", [False, True])
def test_logic_of_constants(run: Runner, given: bool, flag: int) -> None:
    i, extra = np.arange(6), np.arange(6)[::-1].copy()
    args = (poison((6, 6), np.int64), extra if given else None, flag)
    above = extra > 2 if given else np.zeros(6, bool)
    columns = [
        above,
        above | (not given),
        i + 1 if flag else i * 0,
        i * 0 + flag if flag else i + 1,
        extra if given else i * 0 + 5,
        (i > 1) * flag if flag == 0 else (i > 1) * 1,
    ]
    out = run.arrays(logic_of_constants, 1, 8, *args)[0]
    np.testing.assert_array_equal(out, np.stack(columns, axis=1))


@kk.kernel
def chosen_when_compiling(src, out, fancy: kk.constexpr):
    i = kk.grid(1)
    if i < out.size:
        if fancy:
            out[i] = src[i, 0]
        else:
            out[i] = src[i]


def test_the_branch_not_taken_is_not_compiled(run: Runner) -> None:
    flat = np.arange(6)
    _, out = run.arrays(chosen_when_compiling, 1, 32, flat, poison(6, np.int64), False)
    np.testing.assert_array_equal(out, flat)
    square = flat.reshape(3, 2)
    _, out = run.arrays(chosen_when_compiling, 1, 32, square, poison(3, np.int64), True)
    np.testing.assert_array_equal(out, square[:, 0])
