"""Values of a vector of threads, by form, and arithmetic that keeps the cheap forms.

A value is uniform (one scalar), linear (scalar + lane x stride), guarded (linear where a scalar
test holds; its vector is made only where it does not), or varying (a vector).

In: IR operations on values. Out: values; instructions by the way.
Holds: linear values are linear modulo 2^bits; whoever compares or widens one asks `span` whether it
wraps. A guarded value's vector is made anew at each use, so it may be used in any later block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import IntEnum

from kernelkit.ir import scalar
from kernelkit.ir.types import BOOL, DType
from kernelkit.records import record
from kernelkit_cpu.operations import Operations
from kernelkit_cpu.text import Operand, Text
from kernelkit_cpu.types import Parts, literal, register, splat

Number = bool | int | float | complex


class Form(IntEnum):
    UNIFORM = 0
    LINEAR = 1
    GUARDED = 2
    VARYING = 3


@record(eq=False)
class Value:
    """`scalar`: the value, or that of lane 0 if linear. `every` and `some`: for bools, cheap scalar
    answers to whether all lanes, or any, are true."""

    type: DType
    form: Form
    scalar: Parts = ()
    stride: int = 0
    guard: Operand = "true"
    vector: Callable[[], Parts] | None = None
    constant: Number | None = None
    every: Callable[[], Operand] | None = None
    some: Callable[[], Operand] | None = None

    @property
    def is_uniform(self) -> bool:
        return self.form is Form.UNIFORM

    @property
    def operand(self) -> Operand:
        """The one register of a scalar that is not complex."""
        return self.scalar[0]


def uniform(dtype: DType, parts: Parts) -> Value:
    return Value(dtype, Form.UNIFORM, parts)


def constant(dtype: DType, value: Number) -> Value:
    return Value(dtype, Form.UNIFORM, literal(dtype, value), constant=value)


def varying(dtype: DType, parts: Parts) -> Value:
    return Value(dtype, Form.VARYING, vector=lambda: parts)


def linear(dtype: DType, base: Operand, stride: int) -> Value:
    """base + lane x stride; uniform where the stride is nothing modulo 2^bits."""
    half = 1 << (dtype.bits - 1)
    stride = (stride + half) % (2 * half) - half
    form = Form.LINEAR if stride else Form.UNIFORM
    return Value(dtype, form, (base,), stride)


_SIGNED = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"}
_UNSIGNED = {"lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge"}
_NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}
_SWAPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


class Arithmetic:
    """Operations on values of vectors of `lanes` threads, written to one function."""

    def __init__(self, text: Text, operations: Operations, lanes: int) -> None:
        self.text, self.operations, self.lanes = text, operations, lanes

    # ------------------------------------------------------------ forms
    def vector(self, value: Value) -> Parts:
        """The registers that hold a value in every lane."""
        if value.vector is not None:
            return value.vector()
        if value.form is Form.UNIFORM:
            return splat(self.text, value.type, value.scalar, self.lanes)
        kind = register(value.type, self.lanes)
        base = splat(self.text, value.type, value.scalar, self.lanes)[0]
        return (self.text.let(f"add {kind} {base}, {self.steps(value.type, value.stride)}"),)

    def one(self, value: Value) -> Operand:
        """The single vector register of a value that is not complex."""
        return self.vector(value)[0]

    def steps(self, dtype: DType, stride: int) -> Operand:
        """lane x stride, as a constant vector."""
        kind, bits = register(dtype), dtype.bits
        half = 1 << (bits - 1)
        each = [(lane * stride + half) % (2 * half) - half for lane in range(self.lanes)]
        return "<" + ", ".join(f"{kind} {n}" for n in each) + ">"

    def is_vector(self, values: Sequence[Value]) -> bool:
        return any(not v.is_uniform for v in values)

    def _operands(self, values: Sequence[Value]) -> tuple[int, list[Parts]]:
        """(lanes, registers): scalars where all are uniform, else vectors."""
        if self.is_vector(values):
            return self.lanes, [self.vector(v) for v in values]
        return 0, [v.scalar for v in values]

    def _made(self, dtype: DType, lanes: int, parts: Parts) -> Value:
        return varying(dtype, parts) if lanes else uniform(dtype, parts)

    def plus(self, dtype: DType, base: Operand, offset: int) -> Operand:
        """A scalar plus a constant, modulo 2^bits."""
        if offset == 0:
            return base
        return self.text.let(f"add {register(dtype)} {base}, {offset}")

    def last(self, value: Value) -> Operand:
        """The value in the last lane of a linear one."""
        return self.plus(value.type, value.operand, (self.lanes - 1) * value.stride)

    def span(self, value: Value) -> tuple[Operand, Operand, Operand]:
        """(least, greatest, i1: it does not wrap) of a linear or uniform value's lanes."""
        if not value.stride:
            return value.operand, value.operand, "true"
        first, last = value.operand, self.last(value)
        low, high = (first, last) if value.stride > 0 else (last, first)
        if (self.lanes - 1) * abs(value.stride) >= 1 << (value.type.bits - 1):
            return low, high, "false"
        kind = "sle" if value.type.is_signed else "ule"
        return low, high, self.text.let(f"icmp {kind} {register(value.type)} {low}, {high}")

    def both(self, *conditions: Operand) -> Operand:
        """The conjunction of scalars; a later one may be poison where an earlier one is false."""
        result = "true"
        for each in conditions:
            if each == "false":
                return each
            if result == "true":
                result = each
            elif each != "true":
                result = self.text.let(f"select i1 {result}, i1 {each}, i1 false")
        return result

    # ------------------------------------------------------------ operations
    def unary(self, op: str, a: Value) -> Value:
        dtype = a.type
        if a.constant is not None and not dtype.is_complex:
            return self._folded(op, (dtype,), dtype, a)
        if dtype.is_integer and a.form in (Form.LINEAR, Form.GUARDED) and op in ("neg", "invert"):
            base = self.operations.unary(op, dtype, a.scalar, 0)[0]
            return self._like(a, dtype, base, -a.stride, lambda: self._vector_unary(op, a))
        result = scalar.result_type(op, dtype)
        assert result is not None
        lanes, (x,) = self._operands((a,))
        made = self._made(result, lanes, self.operations.unary(op, dtype, x, lanes))
        if op == "not" and lanes:
            some, every = a.some, a.every
            return replace(
                made,
                every=some and (lambda: self._not(some())),
                some=every and (lambda: self._not(every())),
            )
        return made

    def _vector_unary(self, op: str, a: Value) -> Parts:
        return self.operations.unary(op, a.type, self.vector(a), self.lanes)

    def _not(self, operand: Operand) -> Operand:
        return self.text.let(f"xor i1 {operand}, true")

    def _like(
        self, a: Value, dtype: DType, base: Operand, stride: int, vector: Callable[[], Parts]
    ) -> Value:
        """A value linear under the same test as `a`."""
        made = linear(dtype, base, stride)
        if a.form is not Form.GUARDED:
            return made
        return Value(dtype, Form.GUARDED, made.scalar, made.stride, a.guard, vector)

    def _folded(self, op: str, operands: tuple[DType, ...], dtype: DType, *values: Value) -> Value:
        found = scalar.evaluate(op, operands, *(v.constant for v in values))
        return constant(dtype, scalar.to_constant(found))

    def binary(self, op: str, a: Value, b: Value) -> Value:
        dtype = a.type
        if a.constant is not None and b.constant is not None and not dtype.is_complex:
            return self._folded(op, (dtype, dtype), dtype, a, b)
        if dtype.is_integer:
            same = _neutral(op, a, b)
            if same is not None:
                return same
            if self.is_vector((a, b)) and Form.VARYING not in (a.form, b.form):
                found = self._linear(op, a, b)
                if found is not None:
                    return found
        return self.plain(op, a, b)

    def plain(self, op: str, a: Value, b: Value) -> Value:
        """A binary operation lane by lane."""
        lanes, (x, y) = self._operands((a, b))
        return self._made(a.type, lanes, self.operations.binary(op, a.type, x, y, lanes))

    def _linear(self, op: str, a: Value, b: Value) -> Value | None:
        """An integer operation on uniform, linear and guarded values that keeps it so."""
        dtype, text = a.type, self.text
        kind = register(dtype)
        guard = self.both(a.guard, b.guard)

        def made(base: Operand, stride: int, condition: Operand) -> Value:
            if condition == "true":
                return linear(dtype, base, stride)
            found = linear(dtype, base, stride)
            vector = self._again(op, a, b)
            return Value(dtype, Form.GUARDED, found.scalar, found.stride, condition, vector)

        match op:
            case "add" | "sub":
                stride = a.stride + b.stride if op == "add" else a.stride - b.stride
                base = text.let(f"{op} {kind} {a.operand}, {b.operand}")
                return made(base, stride, guard)
            case "mul" if isinstance(b.constant, int) or isinstance(a.constant, int):
                x, factor = (a, b.constant) if isinstance(b.constant, int) else (b, a.constant)
                assert isinstance(factor, int)
                base = text.let(f"mul {kind} {x.operand}, {factor}")
                return made(base, x.stride * factor, guard)
            case "shl" if isinstance(b.constant, int) and 0 <= b.constant < dtype.bits:
                base = text.let(f"shl {kind} {a.operand}, {b.constant}")
                return made(base, a.stride << b.constant, guard)
            case "min" | "max" if bool(a.stride) != bool(b.stride):
                x, limit = (a, b) if a.stride else (b, a)
                low, high, sound = self.span(x)
                compare = (_SIGNED if dtype.is_signed else _UNSIGNED)["le" if op == "min" else "ge"]
                end = high if op == "min" else low
                fits = text.let(f"icmp {compare} {kind} {end}, {limit.operand}")
                return made(x.operand, x.stride, self.both(guard, sound, fits))
            case "mod" if a.stride and b.is_uniform:
                low, high, sound = self.span(a)
                signed = dtype.is_signed
                least = text.let(f"icmp sge {kind} {low}, 0") if signed else "true"
                below = text.let(f"icmp {'slt' if signed else 'ult'} {kind} {high}, {b.operand}")
                return made(a.operand, a.stride, self.both(guard, sound, least, below))
        return None

    def _again(self, op: str, a: Value, b: Value) -> Callable[[], Parts]:
        return lambda: self.operations.binary(
            op, a.type, self.vector(a), self.vector(b), self.lanes
        )

    def compare(self, op: str, a: Value, b: Value) -> Value:
        dtype = a.type
        if a.constant is not None and b.constant is not None and not dtype.is_complex:
            return self._folded(op, (dtype, dtype), BOOL, a, b)
        lanes, (x, y) = self._operands((a, b))
        made = self._made(BOOL, lanes, self.operations.compare(op, dtype, x, y, lanes))
        if not lanes or op not in _SIGNED or not dtype.is_integer:
            return made
        if a.form is Form.LINEAR and b.is_uniform:
            return self._summed(made, op, a, b)
        if b.form is Form.LINEAR and a.is_uniform:
            return self._summed(made, _SWAPPED[op], b, a)
        return made

    def _summed(self, made: Value, op: str, x: Value, limit: Value) -> Value:
        """A comparison of a linear value with a limit, with cheap answers for all lanes."""

        def holds(operator: str) -> Operand:
            low, high, sound = self.span(x)
            names = _SIGNED if x.type.is_signed else _UNSIGNED
            end = high if operator in ("lt", "le") else low
            text = f"icmp {names[operator]} {register(x.type)} {end}, {limit.operand}"
            return self.both(sound, self.text.let(text))

        return replace(made, every=lambda: holds(op), some=lambda: self._not(holds(_NEGATED[op])))

    def cast(self, value: Value, target: DType) -> Value:
        source = value.type
        if source == target:
            return value
        if value.constant is not None and not source.is_complex and not target.is_complex:
            return constant(target, scalar.to_constant(scalar.cast(source, target, value.constant)))
        if value.stride and source.is_integer and target.is_integer:
            base = self.operations.cast(source, target, value.scalar, 0)[0]
            vector = self._cast_again(value, target)
            if target.bits <= source.bits:
                return self._like(value, target, base, value.stride, vector)
            _, _, sound = self.span(value)
            guard = self.both(value.guard, sound)
            return Value(target, Form.GUARDED, (base,), value.stride, guard, vector)
        lanes, (x,) = self._operands((value,))
        return self._made(target, lanes, self.operations.cast(source, target, x, lanes))

    def _cast_again(self, value: Value, target: DType) -> Callable[[], Parts]:
        return lambda: self.operations.cast(value.type, target, self.vector(value), self.lanes)

    def intrinsic(self, function: str, values: Sequence[Value], result: DType) -> Value:
        types = tuple(v.type for v in values)
        lanes, operands = self._operands(values)
        return self._made(
            result, lanes, self.operations.intrinsic(function, types, operands, lanes)
        )

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        """One of two values, both of which were computed."""
        dtype = a.type
        if condition.constant is not None:
            return a if condition.constant else b
        if condition.is_uniform:
            if a.form is Form.LINEAR and b.form is Form.LINEAR and a.stride == b.stride:
                chosen = self.operations.select(
                    dtype, condition.operand, a.scalar, b.scalar, 0, uniform_condition=True
                )
                return linear(dtype, chosen[0], a.stride)
            lanes, (x, y) = self._operands((a, b))
            chosen = self.operations.select(
                dtype, condition.operand, x, y, lanes, uniform_condition=True
            )
            return self._made(dtype, lanes, chosen)
        mask = self.one(condition)
        x, y = self.vector(a), self.vector(b)
        return varying(dtype, self.operations.select(dtype, mask, x, y, self.lanes))


def _neutral(op: str, a: Value, b: Value) -> Value | None:
    """The operand that an integer operation leaves as it is."""
    if op in ("add", "or", "xor") and a.constant == 0 and a.constant is not None:
        return b
    if (
        op in ("add", "sub", "or", "xor", "shl", "shr")
        and b.constant == 0
        and b.constant is not None
    ):
        return a
    if op == "mul" and a.constant == 1:
        return b
    if op in ("mul", "floordiv") and b.constant == 1:
        return a
    return None
