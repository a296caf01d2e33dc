"""Values by form: which operations keep the cheap forms, and that each form holds the same numbers.

Every case becomes a function over rows of LANES elements. A uniform operand is a row's first
element, a linear one starts there; what comes out is set beside NumPy, wrap-around included.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import BOOL, DTYPES, DType
from kernelkit_cpu.operations import Operations
from kernelkit_cpu.targets import host
from kernelkit_cpu.text import Operand, Text
from kernelkit_cpu.types import Parts, register
from kernelkit_cpu.values import Arithmetic, Form, Value, constant, linear, uniform, varying

Array = npt.NDArray[Any]
LANES, ROWS = 8, 400
INTEGERS = ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64"]
STRIDES = (1, -1, 3, -4)


class Taken(NamedTuple):
    """How a case takes an operand: a stride; 0 for a uniform one, None for a varying one."""

    stride: int | None

    def value(self, text: Text, dtype: DType, row: Operand) -> Value:
        if self.stride is None:
            return varying(dtype, (row,))
        kind = register(dtype, LANES)
        first = text.let(f"extractelement {kind} {row}, i64 0")
        return linear(dtype, first, self.stride) if self.stride else uniform(dtype, (first,))

    def numbers(self, rows: Array) -> Array:
        if self.stride is None:
            return rows
        steps = np.arange(LANES) * self.stride
        with np.errstate(over="ignore"):
            return rows[:, :1] + steps.astype(rows.dtype)


UNIFORM, VARYING = Taken(0), Taken(None)
Write = Callable[[Arithmetic, list[Value]], Value]


class Cases:
    """Cases in one module: `add` says how a value is made, `check` that it is what NumPy has."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch(host(), LANES)
        self.added: list[tuple[int, tuple[Taken, ...], tuple[DType, ...], Any, Form]] = []

    def add(
        self,
        operands: Sequence[Taken],
        dtypes: Sequence[str],
        result: str,
        write: Write,
        expected: Callable[..., Any],
    ) -> Value:
        """Gives the value that was made, for its form to be looked at."""
        sources, made = tuple(DTYPES[d] for d in dtypes), []

        def written(operations: Operations, rows: list[Parts], lanes: int) -> Parts:
            text = self.batch.text
            arithmetic = Arithmetic(text, operations, lanes)
            values = [
                o.value(text, d, row[0]) for o, d, row in zip(operands, sources, rows, strict=True)
            ]
            made.append(write(arithmetic, values))
            return arithmetic.vector(made[-1])

        number = self.batch.add(sources, DTYPES[result], written)
        self.added.append((number, tuple(operands), sources, expected, made[-1].form))
        return made[-1]

    def check(self, rng: np.random.Generator) -> None:
        self.batch.load()
        for number, operands, sources, expected, form in self.added:
            rows = [numbers_of(rng, d.numpy, (ROWS, LANES)) for d in sources]
            with np.errstate(all="ignore"):
                taken = [o.numbers(r) for o, r in zip(operands, rows, strict=True)]
                wanted = np.broadcast_to(expected(*taken), (ROWS, LANES)).reshape(-1)
            found = self.batch(number, *(r.reshape(-1) for r in rows))
            np.testing.assert_array_equal(found, wanted, f"case {number}: {operands}, {form!r}")


def numbers_of(rng: np.random.Generator, dtype: Any, shape: tuple[int, ...]) -> Array:
    """Numbers of the whole range, small ones, and some near its ends."""
    info = np.iinfo(dtype)
    found = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    small = rng.integers(max(info.min, -20), 60, shape).astype(dtype)
    offset = rng.integers(0, 20, shape).astype(dtype)
    ends = np.where(rng.random(shape) < 0.5, info.min + offset, info.max - offset).astype(dtype)
    kind = rng.integers(0, 3, shape)
    return np.choose(kind, [found, small, ends]).astype(dtype)


@pytest.fixture
def cases(batch: Any) -> Cases:
    return Cases(batch)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng()


def as_type(dtype: str) -> Callable[[Any], Array]:
    return lambda numbers: np.asarray(numbers).astype(dtype)


# ---------------------------------------------------------------- operations
@pytest.mark.parametrize("dtype", INTEGERS)
def test_sums_and_multiples_stay_linear(cases: Cases, rng: Any, dtype: str) -> None:
    number = DTYPES[dtype]
    for stride in STRIDES:
        one = Taken(stride)
        for op, compute in (("add", operator.add), ("sub", operator.sub)):
            for other in (UNIFORM, Taken(2)):
                for pair in ((one, other), (other, one)):
                    made = cases.add(
                        pair, (dtype, dtype), dtype, lambda a, v, op=op: a.binary(op, *v), compute
                    )
                    assert made.form is Form.LINEAR
        for factor in (3, 5, 100):
            for swapped in (False, True):

                def times(
                    a: Arithmetic, v: list[Value], factor: int = factor, swapped: bool = swapped
                ) -> Value:
                    pair = (v[0], constant(number, factor))
                    return a.binary("mul", *(pair[::-1] if swapped else pair))

                by = np.array(factor, dtype)
                made = cases.add((one,), (dtype,), dtype, times, lambda x, by=by: x * by)
                assert made.form is Form.LINEAR
        made = cases.add(
            (one,), (dtype,), dtype,
            lambda a, v: a.binary("shl", v[0], constant(number, 3)),
            lambda x: x << np.array(3, x.dtype),
        )  # fmt: skip
        assert made.form is Form.LINEAR
        for op, compute_one in (("neg", np.negative), ("invert", np.invert)):
            made = cases.add(
                (one,), (dtype,), dtype, lambda a, v, op=op: a.unary(op, v[0]), compute_one
            )
            assert made.form is Form.LINEAR
            assert made.stride == linear(number, "0", -stride).stride
    cases.check(rng)


def test_what_cancels_is_uniform(cases: Cases, rng: Any) -> None:
    same = Taken(4)
    made = cases.add(
        (same, same), ("int32", "int32"), "int32", lambda a, v: a.binary("sub", *v), operator.sub
    )
    assert made.form is Form.UNIFORM
    made = cases.add(
        (Taken(1),), ("uint8",), "uint8",
        lambda a, v: a.binary("shl", v[0], constant(DTYPES["uint8"], 7)),
        lambda x: x << np.uint8(7),
    )  # fmt: skip
    assert (made.form, made.stride) == (Form.LINEAR, -128)
    made = cases.add(
        (Taken(2),), ("uint8",), "uint8",
        lambda a, v: a.binary("shl", v[0], constant(DTYPES["uint8"], 7)),
        lambda x: x << np.uint8(7),
    )  # fmt: skip
    assert made.form is Form.UNIFORM
    cases.check(rng)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_clamps_are_guarded(cases: Cases, rng: Any, dtype: str) -> None:
    """Where the guard holds, lane n has the base and n strides; else the vector has what is right."""
    number = DTYPES[dtype]
    for stride in STRIDES:
        for pair in ((Taken(stride), UNIFORM), (UNIFORM, Taken(stride))):
            for op, compute in (("min", np.minimum), ("max", np.maximum)):
                made = cases.add(
                    pair, (dtype, dtype), dtype, lambda a, v, op=op: a.binary(op, *v), compute
                )
                assert made.form is Form.GUARDED

                def both_ways(a: Arithmetic, v: list[Value], op: str = op) -> Value:
                    return chosen_by_guard(a, a.binary(op, *v))

                cases.add(pair, (dtype, dtype), dtype, both_ways, compute)

        def modulo(a: Arithmetic, v: list[Value]) -> Value:
            return a.binary("mod", v[0], a.binary("or", v[1], constant(number, 1)))

        remainder: Any = lambda x, y: np.mod(x, y | np.array(1, y.dtype))
        pair = (Taken(stride), UNIFORM)
        made = cases.add(pair, (dtype, dtype), dtype, modulo, remainder)
        assert made.form is Form.GUARDED
        cases.add(
            pair, (dtype, dtype), dtype, lambda a, v: chosen_by_guard(a, modulo(a, v)), remainder
        )
    cases.check(rng)


def chosen_by_guard(arithmetic: Arithmetic, made: Value) -> Value:
    """A guarded value as those read it who ask its guard."""
    assert made.form is Form.GUARDED
    condition = uniform(BOOL, (made.guard,))
    straight = linear(made.type, made.operand, made.stride)
    vectors = [varying(made.type, arithmetic.vector(each)) for each in (straight, made)]
    return arithmetic.select(condition, *vectors)


def test_what_is_done_to_guarded_values(cases: Cases, rng: Any) -> None:
    """A chain, as indices at a border go: clamp below, clamp above, scale, move, turn."""

    def chain(a: Arithmetic, v: list[Value]) -> Value:
        low = a.binary("max", v[0], constant(v[0].type, 0))
        both = a.binary("min", low, v[1])
        scaled = a.binary("mul", both, constant(v[0].type, 3))
        return a.unary("neg", a.binary("add", scaled, v[1]))

    def expected(x: Array, limit: Array) -> Array:
        return -(np.minimum(np.maximum(x, 0), limit) * np.asarray(3, x.dtype) + limit)

    for dtype in ("int32", "int64"):
        for stride in STRIDES:
            pair = (Taken(stride), UNIFORM)
            made = cases.add(pair, (dtype, dtype), dtype, chain, expected)
            assert made.form is Form.GUARDED
            cases.add(
                pair, (dtype, dtype), dtype, lambda a, v: chosen_by_guard(a, chain(a, v)), expected
            )
    cases.check(rng)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_the_rest_is_done_lane_by_lane(cases: Cases, rng: Any, dtype: str) -> None:
    table = {"mul": operator.mul, "and": operator.and_, "or": operator.or_, "xor": operator.xor}
    for op, compute in table.items():
        for pair in ((Taken(1), Taken(3)), (Taken(-1), VARYING), (VARYING, UNIFORM)):
            made = cases.add(
                pair, (dtype, dtype), dtype, lambda a, v, op=op: a.binary(op, *v), compute
            )
            assert made.form is Form.VARYING
        made = cases.add(
            (UNIFORM, UNIFORM), (dtype, dtype), dtype, lambda a, v, op=op: a.binary(op, *v), compute
        )
        assert made.form is Form.UNIFORM
    cases.check(rng)


def test_operands_that_change_nothing() -> None:
    text = Text(None)  # type: ignore[arg-type]
    arithmetic = Arithmetic(text, None, LANES)  # type: ignore[arg-type]
    number = DTYPES["int32"]
    zero, one, x = constant(number, 0), constant(number, 1), linear(number, "%x", 2)
    for op in ("add", "or", "xor"):
        assert arithmetic.binary(op, zero, x) is x
    for op in ("add", "sub", "or", "xor", "shl", "shr"):
        assert arithmetic.binary(op, x, zero) is x
    assert arithmetic.binary("mul", one, x) is x
    for op in ("mul", "floordiv"):
        assert arithmetic.binary(op, x, one) is x
    assert text.lines == []


# ---------------------------------------------------------------- casts
@pytest.mark.parametrize("source", INTEGERS)
def test_casts_between_integers(cases: Cases, rng: Any, source: str) -> None:
    """Narrower ones stay linear, wider ones if nothing wraps."""
    for target in INTEGERS:
        for stride in (1, -4):
            widens = DTYPES[target].bits > DTYPES[source].bits

            def write(a: Arithmetic, v: list[Value], target: str = target) -> Value:
                return a.cast(v[0], DTYPES[target])

            one = (Taken(stride),)
            made = cases.add(one, (source,), target, write, as_type(target))
            assert made.form is (Form.GUARDED if widens else Form.LINEAR)
            if widens:
                cases.add(
                    one, (source,), target,
                    lambda a, v, write=write: chosen_by_guard(a, write(a, v)), as_type(target),
                )  # fmt: skip
    cases.check(rng)


def test_a_cast_of_a_guarded_value(cases: Cases, rng: Any) -> None:
    def write(a: Arithmetic, v: list[Value]) -> Value:
        return a.cast(a.binary("min", *v), DTYPES["int64"])

    pair = (Taken(1), UNIFORM)
    expected: Any = lambda x, y: np.minimum(x, y).astype(np.int64)
    made = cases.add(pair, ("int32", "int32"), "int64", write, expected)
    assert made.form is Form.GUARDED
    cases.add(
        pair, ("int32", "int32"), "int64", lambda a, v: chosen_by_guard(a, write(a, v)), expected
    )
    cases.check(rng)


# ---------------------------------------------------------------- comparisons
_COMPARED = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}


@pytest.mark.parametrize("dtype", INTEGERS)
def test_comparisons_and_their_summaries(cases: Cases, rng: Any, dtype: str) -> None:
    """`every` is never true where a lane is false, `some` never false where a lane is true; both
    are exact where the numbers do not wrap around."""
    for stride in STRIDES:
        for pair in ((Taken(stride), UNIFORM), (UNIFORM, Taken(stride))):
            for op, compute in _COMPARED.items():

                def compared(a: Arithmetic, v: list[Value], op: str = op) -> Value:
                    return a.compare(op, *v)

                def wraps(x: Array, y: Array, pair: Any = pair) -> Array:
                    moving = x if pair[0].stride else y
                    steps = np.diff(moving.astype(object), axis=1)
                    return ~(steps == (pair[0].stride or pair[1].stride)).all(1, keepdims=True)

                cases.add(pair, (dtype, dtype), "bool", compared, compute)

                def every(a: Arithmetic, v: list[Value], op: str = op) -> Value:
                    summary = a.compare(op, *v).every
                    assert summary is not None
                    return uniform(BOOL, (summary(),))

                def some(a: Arithmetic, v: list[Value], op: str = op) -> Value:
                    summary = a.compare(op, *v).some
                    assert summary is not None
                    return uniform(BOOL, (summary(),))

                cases.add(
                    pair, (dtype, dtype), "bool", every,
                    lambda x, y, f=compute, w=wraps: f(x, y).all(1, keepdims=True) & ~w(x, y),
                )  # fmt: skip
                cases.add(
                    pair, (dtype, dtype), "bool", some,
                    lambda x, y, f=compute, w=wraps: f(x, y).any(1, keepdims=True) | w(x, y),
                )  # fmt: skip
    cases.check(rng)


def test_the_opposite_of_a_comparison_has_the_opposite_summaries(cases: Cases, rng: Any) -> None:
    def summary(which: str) -> Write:
        def write(a: Arithmetic, v: list[Value]) -> Value:
            opposite = a.unary("not", a.compare("lt", *v))
            found = getattr(opposite, which)
            assert found is not None
            return uniform(BOOL, (found(),))

        return write

    pair = (Taken(1), UNIFORM)
    for which, reduce in (("every", np.all), ("some", np.any)):

        def expected(x: Array, y: Array, reduce: Any = reduce, which: str = which) -> Array:
            wrapped = (np.diff(x.astype(np.int64), axis=1) != 1).any(1, keepdims=True)
            exact = reduce(~(x < y), axis=1, keepdims=True)
            return exact & ~wrapped if which == "every" else exact | wrapped

        cases.add(pair, ("int32", "int32"), "bool", summary(which), expected)
    cases.check(rng)


# ---------------------------------------------------------------- select, constants
def test_a_uniform_choice_between_linear_values(cases: Cases, rng: Any) -> None:
    def write(a: Arithmetic, v: list[Value]) -> Value:
        return a.select(a.compare("lt", v[2], constant(v[2].type, 5)), v[0], v[1])

    expected: Any = lambda x, y, c: np.where(c < 5, x, y)
    types = ("int32", "int32", "int32")
    same = cases.add((Taken(2), Taken(2), UNIFORM), types, "int32", write, expected)
    assert (same.form, same.stride) == (Form.LINEAR, 2)
    for pair in ((Taken(2), Taken(3)), (Taken(1), UNIFORM), (UNIFORM, VARYING)):
        made = cases.add((*pair, UNIFORM), types, "int32", write, expected)
        assert made.form is Form.VARYING
    uniforms = cases.add((UNIFORM,) * 3, types, "int32", write, expected)
    assert uniforms.form is Form.UNIFORM
    made = cases.add((Taken(1), UNIFORM, VARYING), types, "int32", write, expected)
    assert made.form is Form.VARYING
    cases.check(rng)


def test_constants_are_computed_at_once(rng: Any) -> None:
    """No instruction, and what the scalar table says."""
    text = Text(None)  # type: ignore[arg-type]
    arithmetic = Arithmetic(text, None, LANES)  # type: ignore[arg-type]
    for name in ("int8", "uint32", "int64", "float32", "float64"):
        dtype = DTYPES[name]
        for op in ("add", "sub", "mul", "floordiv", "mod", "min", "max"):
            if dtype.is_float and op in ("min", "max"):
                continue
            for a, b in rng.integers(0, 120, (10, 2)).tolist():
                x, y = constant(dtype, a), constant(dtype, b)
                with np.errstate(all="ignore"):
                    wanted = scalar.to_constant(scalar.evaluate(op, (dtype, dtype), a, b))
                found = arithmetic.binary(op, x, y).constant
                assert found == wanted or (found != found and wanted != wanted)
        x, y = constant(dtype, 3), constant(dtype, 7)
        assert arithmetic.compare("lt", x, y).constant is True
        assert arithmetic.cast(x, DTYPES["int16"]).constant == 3
    chosen = arithmetic.select(constant(BOOL, False), x, y)
    assert chosen is y
    assert text.lines == []
