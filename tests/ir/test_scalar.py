"""The table itself: what is defined, and that its expressions keep their promises."""

from __future__ import annotations

import ast
import itertools
import math
import pickle
from typing import Any

import numpy as np
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import (
    BOOL,
    COMPLEX64,
    COMPLEX128,
    DTYPES,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT8,
    INT32,
    INT64,
    UINT8,
    DType,
)
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.scalars import special

ALL = tuple(DTYPES.values())
OPERATIONS = (*scalar.UNARY, *scalar.BINARY, *scalar.COMPARE, *scalar.FUNCTIONS)
KINDS = {t.kind: t for t in (BOOL, INT32, UINT8, FLOAT32, COMPLEX64)}


def signatures(op: str) -> list[tuple[DType, ...]]:
    """Every tuple of operand types for which the operation is defined."""
    arity = 1 if op in scalar.UNARY else 2
    if op in scalar.FUNCTIONS:
        arity = scalar.FUNCTIONS[op].arity
    found = itertools.product(ALL, repeat=arity)
    return [types for types in found if scalar.result_type(op, *types) is not None]


def is_represented(dtype: DType, value: Any) -> bool:
    if dtype.kind == "b":
        return type(value) is bool
    if dtype.is_integer:
        return type(value) is int and dtype.minimum <= value <= dtype.maximum
    return type(value) is dtype.numpy.type


def few(dtype: DType, count: int) -> list[Any]:
    """Some of the special values, ends included, of Python's own types but for floats."""
    values = special(dtype)
    chosen = values[np.linspace(0, len(values) - 1, min(count, len(values))).astype(int)]
    return list(chosen) if dtype.kind in "fc" else chosen.tolist()


# ---------------------------------------------------------------- what is defined
@pytest.mark.parametrize(
    ("op", "kinds"),
    [
        ("neg", "iufc"), ("invert", "iu"), ("not", "b"), ("abs", "iufc"),
        ("add", "iufc"), ("sub", "iufc"), ("mul", "iufc"), ("truediv", "fc"),
        ("floordiv", "iuf"), ("mod", "iuf"), ("pow", "iu"), ("min", "iuf"), ("max", "iuf"),
        ("and", "biu"), ("or", "biu"), ("xor", "biu"), ("shl", "iu"), ("shr", "iu"),
        ("lt", "biuf"), ("le", "biuf"), ("gt", "biuf"), ("ge", "biuf"), ("eq", "biufc"),
        ("ne", "biufc"),
    ],
)  # fmt: skip
def test_operators_are_defined_for_their_kinds_and_equal_types_only(op: str, kinds: str) -> None:
    arity = 1 if op in scalar.UNARY else 2
    assert signatures(op) == [(t,) * arity for t in ALL if t.kind in kinds]
    for types in signatures(op):
        expected = BOOL if op in scalar.COMPARE else types[0]
        if op == "abs":
            expected = types[0].component
        assert scalar.result_type(op, *types) == expected


def test_the_groups_name_each_operator_once() -> None:
    assert scalar.UNARY == ("neg", "invert", "not", "abs")
    assert set(scalar.BINARY) == set(
        "add sub mul truediv floordiv mod pow and or xor shl shr min max".split()
    )
    assert set(scalar.COMPARE) == set("lt le gt ge eq ne".split())
    assert len(set(OPERATIONS)) == len(OPERATIONS)


def test_functions_are_defined_for_their_kinds() -> None:
    taken = {
        name: "".join(dict.fromkeys(types[-1].kind for types in signatures(name)))
        for name in scalar.FUNCTIONS
    }
    integers = ("popc", "clz", "ffs", "brev")
    others = {
        **dict.fromkeys(integers, "iu"), **dict.fromkeys(("fmin", "fmax"), "iuf"),
        **dict.fromkeys(("real", "imag", "conj"), "c"),
        "int_as_float": "i", "longlong_as_double": "i", "ldexp": "i", "selp": "biufc", "uniform": "biufc", "complex": "f",
    }  # fmt: skip
    assert taken == {name: others.get(name, "f") for name in scalar.FUNCTIONS}


@pytest.mark.parametrize(
    ("name", "types", "expected"),
    [
        ("isnan", (FLOAT16,), BOOL), ("frexp_exponent", (FLOAT64,), INT32),
        ("popc", (INT64,), INT32), ("brev", (UINT8,), UINT8), ("real", (COMPLEX64,), FLOAT32),
        ("imag", (COMPLEX128,), FLOAT64), ("complex", (FLOAT32, FLOAT32), COMPLEX64),
        ("complex", (FLOAT64, FLOAT64), COMPLEX128), ("complex", (FLOAT16, FLOAT16), None),
        ("complex", (FLOAT32, FLOAT64), None), ("ldexp", (FLOAT32, INT64), FLOAT32),
        ("ldexp", (FLOAT32, INT32), None), ("selp", (BOOL, INT8, INT8), INT8),
        ("selp", (INT8, INT8, INT8), None), ("selp", (BOOL, INT8, INT32), None),
        ("float_as_int", (FLOAT32,), INT32), ("float_as_int", (FLOAT64,), None),
        ("int_as_float", (INT32,), FLOAT32), ("int_as_float", (INT64,), None),
        ("double_as_longlong", (FLOAT64,), INT64), ("longlong_as_double", (INT64,), FLOAT64),
        ("fma", (FLOAT32,) * 3, FLOAT32), ("fma", (FLOAT32,) * 2, None), ("sqrt", (INT32,), None),
        ("add", (INT32,), None), ("neg", (INT32, INT32), None), ("lt", (INT32, INT64), None),
        ("no such operation", (INT32,), None),
    ],
)  # fmt: skip
def test_result_types(name: str, types: tuple[DType, ...], expected: DType | None) -> None:
    assert scalar.result_type(name, *types) == expected


def test_every_float_function_states_its_bound() -> None:
    for function in scalar.FUNCTIONS.values():
        floats = any(t.is_float for types in signatures(function.name) for t in types)
        special_forms = function.name in ("selp", "uniform", "complex")
        assert (function.ulp is not None) == (floats and not special_forms), function.name
        assert function.doc.endswith("."), function.name


# ---------------------------------------------------------------- what an expression promises
@pytest.mark.parametrize("op", OPERATIONS)
def test_results_have_the_representation_and_range_of_their_type(op: str) -> None:
    for types in signatures(op):
        result = scalar.result_type(op, *types)
        assert result is not None
        count = {1: 40, 2: 12, 3: 5}[len(types)]
        for values in itertools.product(*(few(t, count) for t in types)):
            value = scalar.evaluate(op, types, *values)
            assert is_represented(result, value), (op, types, values, value)


def test_casts_have_the_representation_and_range_of_their_type() -> None:
    for source, target in itertools.product(ALL, ALL):
        if scalar.can_cast(source, target):
            for value in few(source, 40):
                found = scalar.cast(source, target, value)
                assert is_represented(target, found), (source, target, value, found)


@pytest.mark.parametrize("op", OPERATIONS)
def test_expressions_use_each_argument_once_and_in_order(op: str) -> None:
    for types in signatures(op):
        order: list[int] = []

        def argument(i: int, types: tuple[DType, ...] = types, order: list[int] = order) -> Any:
            order.append(i)
            return scalar.from_constant(types[i], 1)

        text = scalar.expression(op, types, [f"argument({i})" for i in range(len(types))])
        eval(text, {**scalar.NAMESPACE, "argument": argument})
        assert order == list(range(len(types))), text


@pytest.mark.parametrize("op", OPERATIONS)
def test_expressions_are_closed_and_close_their_arguments(op: str) -> None:
    """`f(x).real` and `-f(x) ** 2` must not change what f(x) means, whatever x looks like."""
    for types in signatures(op):
        loose = ["p if q else r"] * len(types)
        text = scalar.expression(op, types, loose)
        parenthesised = scalar.expression(op, types, [f"({a})" for a in loose])
        assert dump(text) == dump(parenthesised)
        attribute = ast.parse(f"{text}.attribute", mode="eval").body
        assert isinstance(attribute, ast.Attribute), text
        assert ast.dump(attribute.value) == dump(text), text


def dump(source: str) -> str:
    return ast.dump(ast.parse(source, mode="eval").body)


def test_a_string_in_an_argument_does_not_fool_the_parentheses() -> None:
    argument = "read('(') + read(')')"
    found = scalar.expression("neg", (FLOAT32,), (argument,))
    assert found == f"(-({argument}))"


def test_literals_spare_checks_but_change_no_value() -> None:
    for op in ("floordiv", "mod", "shl", "shr", "pow"):
        for dtype in (t for t in ALL if t.is_integer):
            for right in few(dtype, 30):
                text = scalar.expression(op, (dtype, dtype), ("x", scalar.literal(dtype, right)))
                for left in few(dtype, 30):
                    found = eval(text, {**scalar.NAMESPACE, "x": left})
                    assert found == scalar.evaluate(op, (dtype, dtype), left, right), text


def test_every_name_is_reserved() -> None:
    assert all(name.startswith("_k_") and name.isidentifier() for name in scalar.NAMESPACE)


def test_what_is_not_defined_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"truediv\(int32, int32\) is not in the scalar table"):
        scalar.expression("truediv", (INT32, INT32), ("a", "b"))
    with pytest.raises(ValueError, match=r"neg\(bool\)"):
        scalar.evaluate("neg", (BOOL,), True)
    with pytest.raises(ValueError, match=r"add\(int32, int32\)"):
        scalar.expression("add", (INT32, INT32), ("a",))


# ---------------------------------------------------------------- constants
@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_literals_and_constants_round_trip(dtype: DType) -> None:
    for value in few(dtype, 1000):
        found = eval(scalar.literal(dtype, value), dict(scalar.NAMESPACE))
        assert is_represented(dtype, found)
        assert_bits_equal(np.array(found, dtype.numpy), np.array(value, dtype.numpy))
        constant = scalar.to_constant(value)
        assert type(constant) in (bool, int, float, complex)
        again = scalar.from_constant(dtype, constant)
        assert is_represented(dtype, again)
        assert_bits_equal(np.array(again, dtype.numpy), np.array(value, dtype.numpy))


def test_the_text_of_literals() -> None:
    assert scalar.literal(INT32, 7) == "7"
    assert scalar.literal(INT32, -7) == "(-7)"
    assert scalar.literal(BOOL, 1) == "True"
    assert scalar.literal(FLOAT64, 0.1) == "_k_float64(0.1)"
    assert scalar.literal(FLOAT32, -0.0) == "_k_float32(-0.0)"
    assert scalar.literal(FLOAT16, -math.inf) == "_k_float16(-_k_inf)"
    assert scalar.literal(COMPLEX64, complex(0, math.nan)) == (
        "_k_complex64(_k_complex(0.0, _k_nan))"
    )


def test_a_constant_must_fit_its_type() -> None:
    for dtype, value in ((INT8, 128), (UINT8, -1), (INT64, 1 << 63)):
        with pytest.raises(ValueError, match=f"{value} does not fit {dtype}"):
            scalar.from_constant(dtype, value)
        with pytest.raises(ValueError, match="does not fit"):
            scalar.literal(dtype, value)
    with pytest.raises(TypeError, match="is no scalar value"):
        scalar.to_constant("text")


def test_an_integer_as_a_float32_constant_is_rounded_once() -> None:
    for shift in (30, 38, 60):
        just_above_a_tie = (1 << shift + 24) + (1 << shift) + 1
        found = scalar.from_constant(FLOAT32, just_above_a_tie)
        assert int(found) == (1 << shift + 24) + (2 << shift)
        assert int(scalar.from_constant(FLOAT32, -just_above_a_tie)) == -int(found)


def test_evaluate_takes_constants_of_pythons_own_types() -> None:
    third = scalar.evaluate("truediv", (FLOAT32, FLOAT32), 1, 3.0)
    assert type(third) is np.float32
    assert third == np.float32(1) / np.float32(3)
    assert scalar.cast(FLOAT32, INT32, 2.75) == 2


def test_neither_warns_nor_raises_under_strict_settings() -> None:
    with np.errstate(all="raise"):
        assert np.isinf(scalar.evaluate("truediv", (FLOAT32, FLOAT32), 1.0, 0.0))
        assert np.isinf(scalar.cast(FLOAT64, FLOAT16, 1e300))
        assert np.isnan(scalar.evaluate("log10", (FLOAT64,), -1.0))


def test_results_pickle_as_what_they_are() -> None:
    value = scalar.evaluate("expm1", (FLOAT16,), 1.0)
    assert type(pickle.loads(pickle.dumps(value))) is np.float16
