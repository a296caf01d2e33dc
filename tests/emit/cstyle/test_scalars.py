"""The scalar table in C: on OpenCL devices against its meaning, for CUDA by its compiler."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from opencl_devices import each_device

import kernelkit_cuda.nvrtc as nvrtc
from kernelkit.ir import scalar
from kernelkit.ir.types import (
    BOOL,
    COMPLEX64,
    DTYPES,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT8,
    INT32,
    INT64,
    UINT8,
    UINT64,
    DType,
)
from kernelkit.testing.comparison import assert_bits_equal, ulp_distance
from kernelkit.testing.scalars import elementwise, elementwise_cast, pairs, random, special

Array = npt.NDArray[Any]
Case = tuple[str, tuple[DType, ...], DType]

INTEGERS = tuple(t for t in DTYPES.values() if t.is_integer)
OPERATIONS = (*scalar.UNARY, *scalar.BINARY, *scalar.COMPARE, *scalar.FUNCTIONS)
in_types = pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
in_integers = pytest.mark.parametrize("dtype", INTEGERS, ids=str)
COUNT = 4000


# ---------------------------------------------------------------- the whole table
@functools.cache
def cases(dtype: DType) -> list[Case]:
    """Everything that a type's first operand starts, but casts: (operation, operands, result)."""
    shapes = {(dtype,), (dtype,) * 2, (dtype,) * 3, (dtype, INT64), (BOOL, dtype, dtype)}
    found = [
        (op, operands, scalar.result_type(op, *operands))
        for op in OPERATIONS
        for operands in sorted(shapes, key=str)
    ]
    return [(op, operands, result) for op, operands, result in found if result]


def casts(dtype: DType) -> list[DType]:
    return [t for t in DTYPES.values() if scalar.can_cast(dtype, t)]


def names(operands: tuple[DType, ...], dtype: DType) -> list[str]:
    """The inputs that an operation takes: x, y, z of the type, p a bool, m an int64."""
    free = iter("xyz")
    return [next(free) if t == dtype else {"bool": "p", "int64": "m"}[t.name] for t in operands]


def tried(dtype: DType) -> list[tuple[Callable[..., str], DType]]:
    operations = [
        (lambda s, op=op, t=operands: s.expression(op, t, names(t, dtype)), result)
        for op, operands, result in cases(dtype)
    ]
    return operations + [(lambda s, t=t: s.cast(dtype, t, "x"), t) for t in casts(dtype)]


@functools.cache
def inputs(dtype: DType) -> dict[str, tuple[DType, Array]]:
    rng = np.random.default_rng(3)
    if dtype == BOOL:
        x, y = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    else:
        x, y = pairs(dtype, 1500)
        chosen = rng.permutation(len(x))[:COUNT]
        x, y = x[chosen], y[chosen]
    z = np.resize(
        rng.permutation(np.concatenate([special(dtype), random(dtype, COUNT, 7)])), len(x)
    )
    far = [2**31 - 1, -(2**31), 2**40, 2**63 - 1, -(2**63), 1000, -1074, 2100, -2100]
    m = np.concatenate([far, rng.integers(-1100, 1100, 50), rng.integers(-30, 30, 60)])
    p = rng.integers(0, 2, len(x)).astype(bool)
    return {
        "x": (dtype, x), "y": (dtype, y), "z": (dtype, z),
        "m": (INT64, np.resize(m, len(x))), "p": (BOOL, p),
    }  # fmt: skip


@functools.cache
def expected(dtype: DType) -> list[Array]:
    given = inputs(dtype)
    found = [
        elementwise(op, operands, *(given[n][1] for n in names(operands, dtype)))
        for op, operands, _ in cases(dtype)
    ]
    return found + [elementwise_cast(dtype, t, given["x"][1]) for t in casts(dtype)]


@each_device
@in_types
def test_the_table(device: Any, dtype: DType, results: Callable[..., list[Array]]) -> None:
    compare(dtype, results(device, inputs(dtype), tried(dtype)))


@pytest.mark.parametrize("dtype", [INT32, UINT8, INT64, FLOAT16, FLOAT32, COMPLEX64], ids=str)
def test_the_table_of_cuda_on_this_processor(
    dtype: DType, host_results: Callable[..., list[Array]]
) -> None:
    """Its text, if not its functions: those are the host's."""
    compare(dtype, host_results(inputs(dtype), tried(dtype)))


def compare(dtype: DType, found: list[Array]) -> None:
    labels = [f"{op}({dtype})" for op, _, _ in cases(dtype)]
    labels += [f"{dtype} to {t}" for t in casts(dtype)]
    for label, actual, wanted in zip(labels, found, expected(dtype), strict=True):
        check(label, dtype, actual, wanted)


def check(label: str, dtype: DType, actual: Array, wanted: Array) -> None:
    op = label.partition("(")[0]
    function = scalar.FUNCTIONS.get(op)
    ulp = function.ulp if function else 4 if op == "abs" and dtype.is_complex else 0
    if not ulp or ulp <= 0.5:
        assert_bits_equal(actual, wanted, label)
        return
    bound = 1 if dtype == FLOAT16 else ulp + 1  # the table's value is not exact either
    distance = ulp_distance(actual, wanted).astype(float)
    if op == "lgamma":
        # Python's own loses digits between the poles.
        near, x = np.abs(wanted) < 1, inputs(dtype)["x"][1]
        with np.errstate(all="ignore"):
            ulps = np.abs(actual - wanted) / np.finfo(wanted.dtype).eps
        distance = np.where(near, ulps, distance)[(x > 0) | (x < -30) | ~np.isfinite(x)]
    assert distance.max() <= bound, f"{label} is {distance.max()} ulp away"
    zeros = (actual == 0) & (wanted == 0)
    assert np.array_equal(np.signbit(actual[zeros]), np.signbit(wanted[zeros])), label


@pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing() or "found")
@pytest.mark.parametrize("arch", ["sm_75", "sm_90"])
@in_types
def test_cuda_compiles_the_table(dtype: DType, arch: str, text_of: Callable[..., str]) -> None:
    text = text_of("cuda", {n: t for n, (t, _) in inputs(dtype).items()}, tried(dtype))
    # Not every operation takes all inputs.
    code, log = nvrtc.compile(text, "k.cu", arch, ["--diag-suppress=177"])
    assert code
    assert not log


# ---------------------------------------------------------------- contraction
@each_device
def test_reproducible_products_are_rounded(
    device: Any, results: Callable[..., list[Array]]
) -> None:
    x, y = (random(FLOAT64, 2000, seed)[1000:] for seed in (1, 2))
    given = {"x": (FLOAT64, x), "y": (FLOAT64, y)}

    def difference(s: Any) -> str:
        product = s.expression("mul", (FLOAT64, FLOAT64), ["x", "y"])
        return str(s.expression("sub", (FLOAT64, FLOAT64), [product, "x"]))

    found = results(device, given, [(difference, FLOAT64)], reproducible=True)[0]
    assert_bits_equal(found, x * y - x)


def test_only_reproducible_texts_forbid_contraction(scalars: Callable[..., Any]) -> None:
    assert "FP_CONTRACT OFF" in scalars("opencl", reproducible=True).prelude
    assert "FP_CONTRACT" not in scalars("opencl").prelude
    assert "pragma" not in scalars("cuda", reproducible=True).prelude


# ---------------------------------------------------------------- literals
def constants(dtype: DType) -> list[Any]:
    return [scalar.to_constant(x) for x in (v if dtype.kind in "fc" else v.item()
            for v in special(dtype))]  # fmt: skip


@each_device
@in_types
def test_literals(device: Any, dtype: DType, results: Callable[..., list[Array]]) -> None:
    given = {"x": (INT32, np.zeros(1, np.int32))}
    made = [(lambda s, v=v: s.literal(dtype, v), dtype) for v in constants(dtype)]
    found = np.concatenate(results(device, given, made))
    assert_bits_equal(found, special(dtype))


@pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing() or "found")
def test_cuda_takes_the_literals_in_constant_arrays(scalars: Callable[..., Any]) -> None:
    table, text = scalars("cuda"), ""
    for dtype in DTYPES.values():
        kind, name = table.memory_type(dtype), f"c_{dtype}"
        values = ", ".join(table.memory_literal(dtype, v) for v in constants(dtype))
        text += f"__constant__ {kind} {name}[] = {{ {values} }};\n"
        text += (
            f'extern "C" __global__ void k_{dtype}({kind}* out) {{ *out = {name}[threadIdx.x]; }}\n'
        )
    assert not nvrtc.compile(table.prelude + text, "k.cu", "sm_90")[1]


@pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing() or "found")
def test_cuda_contracts_nothing_in_complex_products(text_of: Callable[..., str]) -> None:
    given = {"x": COMPLEX64, "y": COMPLEX64}
    made = [
        (lambda s, op=op: s.expression(op, (COMPLEX64,) * 2, ["x", "y"]), COMPLEX64)
        for op in ("mul", "truediv")
    ]
    text = nvrtc.ptx(text_of("cuda", given, made), "k.cu", "sm_90")
    assert "mul.rn.f32" in text
    assert "fma" not in text


@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        (INT32, 3, "3"),
        (INT32, -(2**31), "(-2147483647 - 1)"),
        (INT64, -(2**63), "(-9223372036854775807L - 1)"),
        (UINT64, 2**64 - 1, "18446744073709551615UL"),
        (INT8, -5, "((i8)(-5))"),
        (FLOAT32, 0.1, "0.1f"),
        (FLOAT32, 1e20, "1e+20f"),
        (FLOAT64, -0.0, "(-0.0)"),
        (FLOAT16, 65504.0, "65504.0f"),
        (BOOL, True, "true"),
    ],
)
def test_text_of_a_literal(
    dtype: DType, value: Any, text: str, scalars: Callable[..., Any]
) -> None:
    assert scalars("opencl").literal(dtype, value) == text


# ---------------------------------------------------------------- constant operands
@each_device
@in_integers
def test_constant_right_operands(
    device: Any, dtype: DType, results: Callable[..., list[Array]]
) -> None:
    x = np.concatenate([special(dtype), random(dtype, 200)])
    low = -3 if dtype.is_signed else 0
    values = [
        *range(low, 6),
        7,
        8,
        10,
        dtype.bits - 1,
        dtype.bits,
        100,
        dtype.maximum,
        dtype.minimum,
    ]
    made, wanted = [], []
    for op in ("floordiv", "mod", "shl", "shr", "pow"):
        for v in values:
            made.append(
                (
                    lambda s, op=op, v=v: s.expression(
                        op, (dtype,) * 2, ["x", s.literal(dtype, v)]
                    ),
                    dtype,
                )
            )
            wanted.append(elementwise(op, (dtype,) * 2, x, np.full_like(x, v)))
    found = results(device, {"x": (dtype, x)}, made)
    for actual, exact in zip(found, wanted, strict=True):
        assert_bits_equal(actual, exact)


@pytest.mark.parametrize(
    ("op", "dtype", "right", "text"),
    [
        ("add", INT32, "b", "((i32)((u32)a + (u32)b))"),
        ("add", UINT64, "b", "(a + b)"),
        ("mul", UINT8, "b", "((u8)((u32)a * (u32)b))"),
        ("shl", INT32, "3", "((i32)((u32)a << 3))"),
        ("shr", INT64, "63L", "((i64)(a >> 63))"),
        ("floordiv", INT32, "8", "((i32)(a >> 3))"),
        ("mod", INT32, "8", "((i32)(a & 7))"),
        ("floordiv", UINT64, "7UL", "((u64)(a / 7UL))"),
        ("floordiv", INT32, "7", "kk_floordiv_positive_i32(a, 7)"),
        ("pow", INT32, "2", "kk_pow2_i32(a)"),
        ("shl", INT32, "32", "kk_shl_i32(a, 32)"),
        ("lt", FLOAT32, "b", "(a < b)"),
    ],
)
def test_text_of_an_operation(
    op: str, dtype: DType, right: str, text: str, scalars: Callable[..., Any]
) -> None:
    assert scalars("opencl").expression(op, (dtype, dtype), ["a", right]) == text


# ---------------------------------------------------------------- texts
@pytest.mark.parametrize("dtype", [FLOAT16, FLOAT32, COMPLEX64, INT64], ids=str)
def test_without_float64_there_is_no_double(dtype: DType, text_of: Callable[..., str]) -> None:
    narrow = [each for each in tried(dtype) if each[1].component != FLOAT64]
    text = text_of("opencl", {n: t for n, (t, _) in inputs(dtype).items()}, narrow)
    assert not re.search(r"\bdouble\b|\bf64\b|fp64", text)
    assert not re.search(r"\b\d+(\.\d+)?(e[-+]?\d+)?(?<=[.e]\d)\b(?!f)", text.replace("0x", ""))


def test_float64_is_declared_where_it_is_used(scalars: Callable[..., Any]) -> None:
    table = scalars("opencl")
    assert "double" not in table.prelude
    table.cast(INT32, FLOAT64, "a")
    assert "cl_khr_fp64 : enable" in table.prelude
    assert re.search(r"^typedef double .*f64;$", table.prelude, re.MULTILINE)


@each_device
def test_bits(device: Any, results: Callable[..., list[Array]]) -> None:
    dtypes = (INT8, BOOL, FLOAT16, FLOAT32, INT64, FLOAT64, COMPLEX64)
    given = {f"x{n}": (t, np.resize(special(t), 200)) for n, t in enumerate(dtypes)}
    made: list[Any] = []
    wanted: list[Array] = []
    for name, (dtype, values) in given.items():
        parts = [values.real, values.imag] if dtype.is_complex else [values]
        wanted += [np.ascontiguousarray(part) for part in parts]
        made += [
            (lambda s, t=dtype, x=name, n=n: s.bits(t, x)[n], UINT64) for n in range(len(parts))
        ]
    for found, values in zip(results(device, given, made), wanted, strict=True):
        known = values == values  # a NaN may have any of its bits
        assert np.array_equal(found[known], values.view(f"u{values.itemsize}")[known])


def test_what_the_table_has_not(scalars: Callable[..., Any]) -> None:
    table = scalars("cuda")
    with pytest.raises(ValueError, match=r"mod\(complex64, complex64\) is not in the scalar table"):
        table.expression("mod", (COMPLEX64, COMPLEX64), ["a", "b"])
    with pytest.raises(ValueError, match=r"no cast from complex64 to float32"):
        table.cast(COMPLEX64, FLOAT32, "a")
