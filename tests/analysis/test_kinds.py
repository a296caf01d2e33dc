"""The lattice of kinds and its rules."""

import itertools

import pytest

from kernelkit.analysis.kinds import (
    BLOCK_UNIFORM,
    VARYING,
    VECTOR_UNIFORM,
    Kind,
    Level,
    all_uniform,
    binary,
    cast,
    join,
    linear,
    merged,
    unary,
)
from kernelkit.errors import Span
from kernelkit.ir.nodes import Binary, Cast, Constant, SpecialRegister, Unary
from kernelkit.ir.types import FLOAT32, INT8, INT32, INT64, UINT8

HERE = Span(__file__, 1)
ONE, TWO = Kind(Level.LINEAR, 1), Kind(Level.LINEAR, 2)
GUARDED = Kind(Level.GUARDED_LINEAR, 1)
ALL = [BLOCK_UNIFORM, VECTOR_UNIFORM, ONE, TWO, GUARDED, VARYING]
VALUE = SpecialRegister(HERE, INT64, "threadIdx", 0)


@pytest.mark.parametrize(("a", "b"), [*itertools.product(ALL, ALL)], ids=str)
def test_join_is_the_least_upper_bound(a, b):
    both = join(a, b)
    assert both == join(b, a)
    assert both.level >= max(a.level, b.level)
    assert join(both, a) == join(both, b) == both
    assert join(a, a) == a


@pytest.mark.parametrize(("a", "b", "c"), [*itertools.product(ALL, ALL, ALL)], ids=str)
def test_join_is_associative(a, b, c):
    assert join(join(a, b), c) == join(a, join(b, c))


def test_what_does_not_fit_varies():
    assert join(ONE, TWO) == VARYING
    assert join(ONE, VECTOR_UNIFORM) == VARYING
    assert join(ONE, GUARDED) == GUARDED
    assert join(BLOCK_UNIFORM, VECTOR_UNIFORM) == VECTOR_UNIFORM


def test_merging_after_threads_parted():
    assert merged(BLOCK_UNIFORM, Level.BLOCK_UNIFORM) == BLOCK_UNIFORM
    assert merged(BLOCK_UNIFORM, Level.VECTOR_UNIFORM) == VECTOR_UNIFORM
    assert merged(ONE, Level.VECTOR_UNIFORM) == ONE
    assert {merged(k, Level.VARYING) for k in ALL} == {VARYING}


def test_conditions_part_threads():
    assert [k.control.name for k in (BLOCK_UNIFORM, VECTOR_UNIFORM, ONE, GUARDED, VARYING)] == [
        "BLOCK_UNIFORM",
        "VECTOR_UNIFORM",
        "VARYING",
        "VARYING",
        "VARYING",
    ]
    assert all_uniform([]) == BLOCK_UNIFORM
    assert all_uniform([BLOCK_UNIFORM, VECTOR_UNIFORM]) == VECTOR_UNIFORM
    assert all_uniform([BLOCK_UNIFORM, ONE]) == VARYING


def test_strides_wrap_in_their_type():
    assert linear(255, UINT8) == Kind(Level.LINEAR, -1)
    assert linear(128, INT8) == Kind(Level.LINEAR, -128)
    assert linear(256, INT8) == VECTOR_UNIFORM
    assert linear(256, INT8, Level.GUARDED_LINEAR) == VARYING


CASES = [
    ("add", ONE, ONE, TWO),
    ("add", ONE, BLOCK_UNIFORM, ONE),
    ("add", GUARDED, ONE, Kind(Level.GUARDED_LINEAR, 2)),
    ("add", ONE, VARYING, VARYING),
    ("add", BLOCK_UNIFORM, VECTOR_UNIFORM, VECTOR_UNIFORM),
    ("sub", TWO, ONE, ONE),
    ("sub", ONE, ONE, VECTOR_UNIFORM),
    ("sub", VECTOR_UNIFORM, ONE, Kind(Level.LINEAR, -1)),
    ("sub", GUARDED, ONE, VARYING),
    ("mul", ONE, BLOCK_UNIFORM, VARYING),
    ("mul", VARYING, BLOCK_UNIFORM, VARYING),
    ("min", ONE, BLOCK_UNIFORM, GUARDED),
    ("max", VECTOR_UNIFORM, ONE, GUARDED),
    ("max", ONE, TWO, VARYING),
    ("mod", ONE, VECTOR_UNIFORM, GUARDED),
    ("mod", BLOCK_UNIFORM, ONE, VARYING),
    ("floordiv", ONE, BLOCK_UNIFORM, VARYING),
    ("and", ONE, BLOCK_UNIFORM, VARYING),
    ("floordiv", BLOCK_UNIFORM, VECTOR_UNIFORM, VECTOR_UNIFORM),
]


@pytest.mark.parametrize(("op", "left", "right", "result"), CASES, ids=str)
def test_binary(op, left, right, result):
    assert binary(Binary(HERE, INT64, op, VALUE, VALUE), left, right) == result


@pytest.mark.parametrize(
    ("op", "constant", "result"),
    [
        ("mul", 3, Kind(Level.LINEAR, 3)),
        ("mul", -1, Kind(Level.LINEAR, -1)),
        ("mul", 0, VECTOR_UNIFORM),
        ("shl", 2, Kind(Level.LINEAR, 4)),
        ("shl", 64, VARYING),
        ("shl", -1, VARYING),
    ],
)
def test_binary_with_a_constant(op, constant, result):
    expr = Binary(HERE, INT64, op, VALUE, Constant(HERE, INT64, constant))
    assert binary(expr, ONE, BLOCK_UNIFORM) == result


def test_a_constant_on_the_left_scales_too():
    expr = Binary(HERE, INT64, "mul", Constant(HERE, INT64, 5), VALUE)
    assert binary(expr, BLOCK_UNIFORM, ONE) == Kind(Level.LINEAR, 5)
    assert binary(expr, BLOCK_UNIFORM, GUARDED) == Kind(Level.GUARDED_LINEAR, 5)


def test_floats_are_never_linear():
    assert binary(Binary(HERE, FLOAT32, "add", VALUE, VALUE), VARYING, BLOCK_UNIFORM) == VARYING
    assert cast(Cast(HERE, FLOAT32, VALUE), ONE) == VARYING


def test_unary():
    assert unary(Unary(HERE, INT64, "neg", VALUE), ONE) == Kind(Level.LINEAR, -1)
    assert unary(Unary(HERE, INT64, "invert", VALUE), GUARDED) == Kind(Level.GUARDED_LINEAR, -1)
    assert unary(Unary(HERE, INT64, "abs", VALUE), ONE) == VARYING
    assert unary(Unary(HERE, INT64, "abs", VALUE), VECTOR_UNIFORM) == VECTOR_UNIFORM


def test_casts_between_integers():
    narrow = SpecialRegister(HERE, INT32, "threadIdx", 0)
    assert cast(Cast(HERE, INT32, VALUE), ONE) == ONE
    assert cast(Cast(HERE, INT64, narrow), ONE) == GUARDED  # it may wrap between two lanes
    assert cast(Cast(HERE, INT64, narrow), VECTOR_UNIFORM) == VECTOR_UNIFORM


def test_kinds_read_well():
    assert [str(k) for k in (BLOCK_UNIFORM, TWO, GUARDED)] == [
        "block-uniform",
        "linear(2)",
        "guarded-linear(1)",
    ]
