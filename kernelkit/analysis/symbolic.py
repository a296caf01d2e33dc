"""Expressions as affine sums and conditions, and as simpler expressions where some part is certain.

In: expressions, at a place where some names and facts are known. Out: for each its value (a sum for
an integer, a condition for a bool, None for the rest) and an expression that gives the same.
Holds: operands of lazy operations are seen with the facts that hold where they are evaluated;
without `rewrites` every expression comes out as it went in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from kernelkit.analysis import conditions
from kernelkit.analysis.affine import Affine, constant
from kernelkit.analysis.conditions import Comparison, Condition, Junction, Negation
from kernelkit.analysis.facts import Facts
from kernelkit.analysis.integers import Integers
from kernelkit.analysis.shape import Shape
from kernelkit.analysis.state import State, Value
from kernelkit.ir.nodes import (
    ArrayVar,
    Binary,
    Cast,
    Compare,
    Constant,
    Expr,
    Extent,
    Intrinsic,
    Kernel,
    Load,
    Logical,
    Read,
    Select,
    SpecialRegister,
    Unary,
    Var,
)
from kernelkit.ir.types import BOOL, DType

Seen = tuple[Value, Expr]


class Symbolic:
    """Sees expressions. Subclasses say what may be assumed, by the hooks below."""

    rewrites = False

    def __init__(self, kernel: Kernel, shape: Shape) -> None:
        self.kernel = kernel
        self.integers = Integers(shape, kernel.span, promising=self.rewrites)
        self.always = self.integers.always
        #: A view -> the array it is a part of, and how many axes were indexed away.
        self.views: dict[ArrayVar, tuple[ArrayVar, int]] = {}
        self.state = State({}, Facts(self.integers.atoms, self.always))
        #: What the scalar parameters are when the kernel starts.
        self.parameters = {
            p: self.integers.parameter(p)
            for p in kernel.params
            if isinstance(p, Var) and p.type.is_integer
        }
        for param in kernel.params:
            if isinstance(param, Var):
                self.state.names[param] = self.parameters.get(param)
        #: Expressions seen in this state.
        self.memo: dict[Expr, Seen] = {}
        #: Index expressions that cannot be negative somewhere, and those that may be elsewhere.
        self.fine: list[Expr] = []
        self.maybe_negative: list[Expr] = []

    # ------------------------------------------------------------ hooks
    def suppose_fits(self, value: Affine) -> None:
        """A factor of a product that might wrap around."""

    def suppose_clamp(self, expr: Binary, left: Affine, right: Affine) -> bool:
        """A min or max that may do nothing in most blocks."""
        return False

    def suppose_remainder(self, expr: Binary, value: Affine, divisor: Affine) -> None:
        """A mod that may do nothing in most blocks."""

    def suppose_positive(self, expr: Unary, value: Affine) -> None:
        """An abs that may do nothing in most blocks."""

    def suppose_index(self, value: Affine) -> bool:
        """An index that may be negative, in few blocks."""
        return False

    def suppose_condition(self, condition: Condition, hint: bool | None) -> bool:
        """A condition that most blocks may decide, as `hint` says; whether something was supposed."""
        return False

    def folded(self) -> None:
        """Some part of an expression was certain."""

    def relied(self, *values: Affine) -> None:
        """Something was found certain because of these."""

    # ------------------------------------------------------------ seeing
    @property
    def facts(self) -> Facts:
        return self.state.facts

    def enter(self, state: State) -> None:
        self.state, self.memo = state, {}

    def where(self, condition: Condition, truth: bool) -> State | None:
        """The state where a condition is so; None where that cannot be."""
        if isinstance(condition, bool):
            return self.state if condition == truth else None
        self.rely_on(condition)
        found = self.state.copy()
        return found if conditions.learn(condition, truth, found.facts) else None

    def see(self, expr: Expr) -> Seen:
        found = self.memo.get(expr)
        if found is None:
            found = self.memo[expr] = _SEERS[type(expr)](self, expr)
        return found

    def integer(self, expr: Expr) -> tuple[Affine, Expr]:
        value, new = self.see(expr)
        if not isinstance(value, Affine):
            value = self.integers.unknown(expr.type)
        return value, new

    def all_of(self, exprs: Sequence[Expr]) -> tuple[tuple[Expr, ...], bool]:
        """The expressions as they come out, and whether one of them changed."""
        new = tuple([self.see(e)[1] for e in exprs])
        return new, any(a is not b for a, b in zip(exprs, new, strict=True))

    def indices(self, exprs: Sequence[Expr]) -> tuple[Expr, ...]:
        return tuple([self._index(e) for e in exprs])

    def _index(self, expr: Expr) -> Expr:
        value, new = self.integer(expr)
        fine = self.facts.at_least(value, 0)
        if not fine and self.suppose_index(value) and self.facts.at_least(value, 0):
            self.folded()
            fine = True
        if fine:
            self.relied(value)
            self.fine.append(new)
        else:
            self.maybe_negative.append(new)
        return new

    def never_negative(self) -> frozenset[Expr]:
        return frozenset(self.fine).difference(self.maybe_negative)

    def result(self, expr: Expr, value: Value, new: Expr | None = None) -> Seen:
        """What was seen of an expression: certain conditions become constants."""
        new = new or expr
        if expr.type == BOOL and not isinstance(value, Affine) and value is not None:
            verdict = conditions.holds(value, self.facts)
            if verdict is not None and not isinstance(expr, Constant):
                if self.rewrites:
                    self.rely_on(value)
                    self.folded()
                    new = Constant(expr.span, BOOL, verdict)
                value = verdict
        return value, new if self.rewrites else expr

    def rely_on(self, condition: Condition) -> None:
        match condition:
            case Comparison():
                self.relied(condition.left, condition.right)
            case Junction():
                self.rely_on(condition.left)
                self.rely_on(condition.right)
            case Negation():
                self.rely_on(condition.operand)
            case _:
                pass

    # ------------------------------------------------------------ leaves
    def _constant(self, expr: Constant) -> Seen:
        value = expr.value
        if isinstance(value, bool):
            return value, expr
        return (constant(value) if isinstance(value, int) else None), expr

    def _read(self, expr: Read) -> Seen:
        return self.result(expr, self.state[expr.var])

    def _register(self, expr: SpecialRegister) -> Seen:
        return self.integers.register(expr), expr

    def _extent(self, expr: Extent) -> Seen:
        array, axis = expr.array, expr.axis
        while array in self.views:
            array, dropped = self.views[array]
            axis += dropped
        return self.integers.extent(array, axis, array in self.kernel.params), expr

    def _load(self, expr: Load) -> Seen:
        indices = self.indices(expr.indices)
        new: Expr = expr
        if any(a is not b for a, b in zip(indices, expr.indices, strict=True)):
            new = Load(expr.span, expr.type, expr.array, indices)
        return self.opaque(expr.type), new

    def opaque(self, dtype: DType) -> Value:
        return self.integers.unknown(dtype) if dtype.is_integer else None

    # ------------------------------------------------------------ operations
    def _unary(self, expr: Unary) -> Seen:
        value, operand = self.see(expr.operand)
        new: Expr = expr
        if operand is not expr.operand:
            new = Unary(expr.span, expr.type, expr.op, operand)
        if expr.op == "not" or expr.type == BOOL:
            negated = None if isinstance(value, Affine) else _negated(value)
            return self.result(expr, negated, new)
        if not isinstance(value, Affine):
            return self.opaque(expr.type), new
        if expr.op == "abs":
            self.suppose_positive(expr, value)
            if self.facts.at_least(value, 0):
                return value, self._instead(expr, operand, value)
        return self.integers.unary(expr.op, expr.type, value, self.facts), new

    def _instead(self, expr: Expr, operand: Expr, *because: Affine) -> Expr:
        """An operand in place of an operation that does nothing."""
        if not self.rewrites:
            return expr
        self.relied(*because)
        self.folded()
        return operand

    def _binary(self, expr: Binary) -> Seen:
        (a, left), (b, right) = self.see(expr.left), self.see(expr.right)
        new: Expr = expr
        if left is not expr.left or right is not expr.right:
            new = Binary(expr.span, expr.type, expr.op, left, right)
        if expr.type == BOOL:
            return self._bools(expr, a, b, new)
        if not (isinstance(a, Affine) and isinstance(b, Affine)):
            return self.opaque(expr.type), new
        if expr.op in ("min", "max", "mod"):
            return self._clamp(expr, a, b, left, right, new)
        if expr.op == "mul" and self.rewrites and not (a.is_constant or b.is_constant):
            self._fit(expr, a, b)
        value = self.integers.binary(expr.op, expr.type, a, b, self.facts)
        return value, new

    def _fit(self, expr: Binary, a: Affine, b: Affine) -> None:
        low, high = self.facts.interval(self.integers.product(a, b))
        if expr.type.bits == 64 and (low < expr.type.minimum or high > expr.type.maximum):
            self.suppose_fits(a)
            self.suppose_fits(b)

    def _bools(self, expr: Binary, a: Value, b: Value, new: Expr) -> Seen:
        if expr.op not in ("and", "or") or isinstance(a, Affine) or isinstance(b, Affine):
            return None, new
        return self.result(expr, Junction(expr.op, a, b), new)

    def _clamp(
        self, expr: Binary, a: Affine, b: Affine, left: Expr, right: Expr, new: Expr
    ) -> Seen:
        if expr.op == "mod":
            return self._mod(expr, a, b, left, right, new)
        difference = a.minus(b)
        order = self.facts.order(difference)
        if not order and self.rewrites and self.suppose_clamp(expr, a, b):
            order = self.facts.order(difference)
        if order:
            first = (order < 0) == (expr.op == "min")
            return (a if first else b), self._instead(expr, left if first else right, a, b)
        return self.integers.binary(expr.op, expr.type, a, b, self.facts), new

    def _mod(self, expr: Binary, a: Affine, b: Affine, left: Expr, right: Expr, new: Expr) -> Seen:
        if self.rewrites:
            self.suppose_remainder(expr, a, b)
        for times in (0, 1):
            reduced = a.minus(b) if times else a
            if self.facts.at_least(reduced, 0) and self.facts.at_most(reduced.minus(b), -1):
                if times:
                    left = Binary(expr.span, expr.type, "sub", left, right)
                return reduced, self._instead(expr, left, a, b)
        return self.integers.binary(expr.op, expr.type, a, b, self.facts), new

    def _compare(self, expr: Compare) -> Seen:
        (a, left), (b, right) = self.see(expr.left), self.see(expr.right)
        new: Expr = expr
        if left is not expr.left or right is not expr.right:
            new = Compare(expr.span, expr.type, expr.op, left, right)
        if isinstance(a, Affine) and isinstance(b, Affine):
            return self.result(expr, Comparison(expr.op, a, b), new)
        return None, new

    def _cast(self, expr: Cast) -> Seen:
        value, operand = self.see(expr.operand)
        new: Expr = expr
        if operand is not expr.operand:
            new = Cast(expr.span, expr.type, operand)
        if expr.type == BOOL:
            known = Comparison("ne", value, constant(0)) if isinstance(value, Affine) else None
            return self.result(expr, known, new)
        if not expr.type.is_integer:
            return None, new
        if isinstance(value, Affine):
            return self.integers.fitted(value, expr.type, self.facts), new
        if isinstance(value, bool):
            return constant(int(value)), new
        return (
            self.integers.bounded(0, 1) if expr.operand.type == BOOL else self.opaque(expr.type)
        ), new

    def _intrinsic(self, expr: Intrinsic) -> Seen:
        args, changed = self.all_of(expr.args)
        new: Expr = expr
        if changed:
            new = Intrinsic(expr.span, expr.type, expr.function, args)
        if expr.function == "uniform":
            return self.result(expr, self.see(expr.args[0])[0], new)
        if expr.function in ("popc", "clz", "ffs"):
            return self.integers.bounded(0, expr.args[0].type.bits), new
        if expr.function == "selp" and expr.type.is_integer:
            forms = [self.integer(e)[0] for e in expr.args[1:]]
            return self.integers.joined((form, self.facts) for form in forms), new
        return self.opaque(expr.type), new

    # ------------------------------------------------------------ lazy operations
    def inside(self, state: State, expr: Expr) -> Seen:
        """An expression where more is known."""
        if state is self.state:
            return self.see(expr)
        outer = self.state, self.memo
        self.enter(state)
        found = self.see(expr)
        self.state, self.memo = outer
        return found

    def _logical(self, expr: Logical) -> Seen:
        value, left = self.see(expr.left)
        first: Condition = None if isinstance(value, Affine) else value
        goes_on = expr.op == "and"
        state = self.where(first, goes_on)
        if state is None:
            return self.result(expr, not goes_on, left)
        value, right = self.inside(state, expr.right)
        second: Condition = None if isinstance(value, Affine) else value
        new: Expr = expr
        if first is goes_on:
            new = right
        elif second is goes_on:
            new = left
        elif left is not expr.left or right is not expr.right:
            new = Logical(expr.span, BOOL, expr.op, left, right)
        return self.result(expr, Junction(expr.op, first, second), new)

    def decided(self, expr: Expr, hint: bool | None) -> tuple[Condition, Expr]:
        """A condition where control parts, with what may be supposed of it."""
        mark = len(self.fine), len(self.maybe_negative)
        value, new = self.see(expr)
        if not isinstance(value, (Affine, bool)) and self.suppose_condition(value, hint):
            self.memo = {}
            del self.fine[mark[0] :], self.maybe_negative[mark[1] :]
            value, new = self.see(expr)
        return (None if isinstance(value, Affine) else value), new

    def _select(self, expr: Select) -> Seen:
        known, condition = self.decided(expr.condition, None)
        arms = [
            None if state is None else (*self.inside(state, arm), state)
            for arm, state in (
                (expr.then, self.where(known, True)), (expr.orelse, self.where(known, False))
            )
        ]  # fmt: skip
        reached = [arm for arm in arms if arm is not None]
        if len(reached) == 1:
            self.rely_on(known)
            return reached[0][0], self._instead(expr, reached[0][1])
        if not reached:
            return self.opaque(expr.type), expr
        (a, then, one), (b, orelse, two) = reached
        new: Expr = expr
        if condition is not expr.condition or then is not expr.then or orelse is not expr.orelse:
            new = Select(expr.span, expr.type, condition, then, orelse)
        if isinstance(a, Affine) and isinstance(b, Affine):
            if a == b:
                return a, new
            return self.integers.joined(((a, one.facts), (b, two.facts))), new
        return self.opaque(expr.type), new


def _negated(value: Condition) -> Condition:
    if isinstance(value, bool):
        return not value
    return None if value is None else Negation(value)


_SEERS: Final[dict[type, Callable[[Any, Any], Seen]]] = {
    Constant: Symbolic._constant, Read: Symbolic._read, SpecialRegister: Symbolic._register,
    Extent: Symbolic._extent, Load: Symbolic._load, Unary: Symbolic._unary,
    Binary: Symbolic._binary, Compare: Symbolic._compare, Cast: Symbolic._cast,
    Intrinsic: Symbolic._intrinsic, Logical: Symbolic._logical, Select: Symbolic._select,
}  # fmt: skip
