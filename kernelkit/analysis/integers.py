"""Integer operations on affine sums, in types that wrap around.

In: an operation of the scalar table, its type, operands as sums, and facts. Out: its value as a
sum: exact where it is affine and cannot leave its type, else a new atom with what is known of it.
Holds: what differs from the mathematical value only by wrap-around that cannot happen is not
noted; where it can, nothing of the operands is left in the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from kernelkit.analysis.affine import Affine, Atom, Role, constant, of_atom, products
from kernelkit.analysis.facts import Facts, Range
from kernelkit.analysis.leaves import SAFE, Leaves
from kernelkit.analysis.reach import REACH, product
from kernelkit.ir.nodes import (
    Binary,
    Expr,
    Unary,
    Var,
)
from kernelkit.ir.types import INT64, DType

#: A product with more terms than this is not multiplied out.
_TERMS: Final = 4


class Integers(Leaves):
    """Calculates with the values of one kernel."""

    # ------------------------------------------------------------ operations
    def fitted(self, form: Affine, dtype: DType, facts: Facts) -> Affine:
        """A mathematical value as one of a type."""
        low, high = dtype.minimum, dtype.maximum
        least, most = facts.numeric(form)
        if least < low or most > high:
            least, most = facts.interval(form)
        if low <= least and most <= high:
            return form
        if self.suppose_within is not None and self.suppose_within(form, dtype):
            return form
        return self.unknown(dtype)

    def unary(self, op: str, dtype: DType, a: Affine, facts: Facts) -> Affine:
        if op == "neg":
            return self.fitted(a.times(-1), dtype, facts)
        if op == "invert":
            return a.times(-1).shifted(-1 if dtype.is_signed else dtype.maximum)
        if op != "abs":
            return self.unknown(dtype)
        low, high = facts.interval(a)
        if low >= 0:
            return a
        if high <= 0:
            return self.fitted(a.times(-1), dtype, facts)
        return self.unknown(dtype) if low <= dtype.minimum else self._made("abs", (a,), facts)

    def binary(self, op: str, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        rule = _RULES.get(op)
        if rule is None:
            return self.unknown(dtype)
        return rule(self, dtype, a, b, facts)

    def _add(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        return self.fitted(a.plus(b), dtype, facts)

    def _sub(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        return self.fitted(a.minus(b), dtype, facts)

    def _mul(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        return self.fitted(self.product(a, b), dtype, facts)

    def product(self, a: Affine, b: Affine) -> Affine:
        """Without wrap-around."""
        if a.is_constant:
            return b.times(a.const)
        if b.is_constant:
            return a.times(b.const)
        if len(a.terms) > _TERMS or len(b.terms) > _TERMS:
            low, high = product(self.always.numeric(a), self.always.numeric(b))
            return of_atom(self.atoms.new(low, high, promises=a.promises | b.promises))
        found = Affine(0, (), a.promises | b.promises)
        for factor, x, y in products(a, b):
            if x is None or y is None:
                atom = x or y
                found = found.shifted(factor) if atom is None else found.plus(of_atom(atom), factor)
            else:
                found = found.plus(of_atom(self._factors(x, y)), factor)
        return found

    def _factors(self, x: Atom, y: Atom) -> Atom:
        if x.number > y.number:
            x, y = y, x
        # Not what is known only here: the atom is the same everywhere.
        low, high = product(self.always.range_of(x), self.always.range_of(y))
        key = ("product", x, y, low, high)
        atom = self.atoms.known(key)
        if atom is not None:
            return atom
        expr: Expr | None = None
        least = most = None
        if x.expr is not None and y.expr is not None and low > -SAFE and high < SAFE:
            expr = Binary(self.span, INT64, "mul", x.expr, y.expr)
        elif (x.expr is None) != (y.expr is None):
            least, most = self._scaled(*((x, y) if x.expr is None else (y, x)))
        role = (x.role | y.role) & ~Role.EXTENT
        promises = x.promises | y.promises
        return self.atoms.remember(
            key,
            self.atoms.new(
                low,
                high,
                role,
                expr=expr,
                least=least,
                most=most,
                factors=(x, y),
                is_function=x.is_function and y.is_function,
                promises=promises,
            ),
        )

    def _scaled(self, thread: Atom, factor: Atom) -> tuple[Affine | None, Affine | None]:
        """The bounds of an atom that differs between threads, times one that does not."""
        least, most = thread.least, thread.most
        if (
            factor.expr is None
            or least is None
            or most is None
            or self.always.range_of(factor)[0] < 0
        ):
            return None, None
        low, high = (self.product(bound, of_atom(factor)) for bound in (least, most))
        return (low, high) if low.is_uniform and high.is_uniform else (None, None)

    def _min(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        return self._made("min", (a, b), facts)

    def _max(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        return self._made("max", (a, b), facts)

    def _floordiv(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and b.const > 0:
            quotient, rest = a.divided(b.const)
            low, high = (end // b.const for end in facts.interval(rest))
            if low == high:
                return quotient.shifted(low)
            return quotient.plus(self._made("floordiv", (rest, b), facts))
        if facts.interval(b)[0] < 0 and facts.interval(a)[0] <= dtype.minimum:
            return self.unknown(dtype)  # by -1 it wraps around
        return self._made("floordiv", (a, b), facts)

    def _mod(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and b.const > 0:
            _, a = a.divided(b.const)
        if facts.at_least(a, 0) and facts.at_most(a.minus(b), -1):
            return a.promising(b.promises)
        if b.is_constant and b.const > 0 and a.promises:
            return self.bounded(0, b.const - 1)  # which needs no promise
        return self._made("mod", (a, b), facts)

    def _and(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and b.const >= 0 and b.const & (b.const + 1) == 0:
            return self._mod(dtype, a, constant(b.const + 1), facts)
        if b.is_constant and b.const >= 0 and a.promises:
            return self.bounded(0, b.const)
        return self._made("and", (a, b), facts)

    def _or(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        return self._made("or", (a, b), facts)

    def _xor(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        return self._made("xor", (a, b), facts)

    def _shl(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and 0 <= b.const < dtype.bits:
            return self.fitted(a.times(1 << b.const), dtype, facts)
        return self.unknown(dtype)

    def _shr(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and 0 <= b.const < dtype.bits:
            return self._floordiv(dtype, a, constant(1 << b.const), facts)
        return self._made("shr", (a, b), facts)

    def _pow(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and b.const == 2:
            return self._mul(dtype, a, a, facts)
        return self.unknown(dtype)

    # ------------------------------------------------------------ results that are not affine
    def _made(self, op: str, operands: tuple[Affine, ...], facts: Facts) -> Affine:
        """The atom of an operation. What it claims holds everywhere; what is known of it only here
        is added to the facts."""
        everywhere = _reached(op, operands, self.always)
        key = (op, operands, everywhere)
        atom = self.atoms.known(key)
        if atom is None:
            atom = self.atoms.remember(key, self._operation(op, operands, everywhere))
        itself = of_atom(atom)
        low, high = _reached(op, operands, facts)
        if low > everywhere[0]:
            facts.learn(itself.times(-1), -low)
        if high < everywhere[1]:
            facts.learn(itself, high)
        if op == "mod" and not operands[1].is_constant and facts.at_least(operands[1], 1):
            facts.learn(itself.minus(operands[1]), -1)
        return itself

    def _operation(self, op: str, operands: tuple[Affine, ...], reach: Range) -> Atom:
        promises = frozenset[Var]().union(*(a.promises for a in operands))
        role = Role.NONE
        for operand in operands:
            role |= operand.role & ~Role.EXTENT
        expr = self._before(op, operands, reach)
        least, most = (None, None) if expr is not None else self._ends(op, operands, reach)
        atom = self.atoms.new(
            *reach,
            role,
            expr=expr,
            least=least,
            most=most,
            is_function=all(a.is_function for a in operands),
            promises=promises,
        )
        if op == "min":
            self.atoms.define(atom, *(of_atom(atom).minus(a) for a in operands))
        elif op == "max":
            self.atoms.define(atom, *(a.minus(of_atom(atom)) for a in operands))
        return atom

    def _ends(
        self, op: str, operands: tuple[Affine, ...], reach: Range
    ) -> tuple[Affine | None, Affine | None]:
        """The least and the most that the result can be in a block."""
        if all(a.is_uniform for a in operands):  # and yet it cannot be calculated
            return None, None
        lows, highs = ([a.extreme(end) for a in operands] for end in (False, True))
        match op:
            case "floordiv" if operands[1].is_constant and operands[1].const > 0:
                return self._quotient(lows[0], operands[1]), self._quotient(highs[0], operands[1])
            case "mod" if self.always.at_least(operands[1], 1):
                return constant(0), operands[1].shifted(-1).extreme(True)
            case "mod" | "and" if reach[0] >= 0:
                return constant(reach[0]), constant(reach[1])
            case "min":
                return None, _either(highs)
            case "max":
                return _either(lows), None
            case _:
                return None, None

    def _quotient(self, a: Affine | None, divisor: Affine) -> Affine | None:
        if a is None:
            return None
        nothing = Facts(self.atoms)
        found = self._floordiv(INT64, a, divisor, nothing)
        return found if found.is_uniform else None

    def joined(self, forms: Iterable[tuple[Affine, Facts]]) -> Affine:
        """One of several values, each with what is known where it comes from."""
        pairs = list(forms)
        lows, highs = zip(*(facts.interval(form) for form, facts in pairs), strict=True)
        least, most = (
            _outermost([form.extreme(end) for form, _ in pairs], end) for end in (False, True)
        )
        promises = frozenset[Var]().union(*(form.promises for form, _ in pairs))
        role = Role.NONE
        for form, _ in pairs:
            role |= form.role & ~Role.EXTENT
        return of_atom(
            self.atoms.new(min(lows), max(highs), role, least=least, most=most, promises=promises)
        )

    # ------------------------------------------------------------ before the block starts
    def _before(self, op: str, operands: tuple[Affine, ...], known: Range) -> Expr | None:
        """The operation as int64 arithmetic that runs before the block; None where it cannot."""
        if not all(a.is_uniform and self.is_safe(a) for a in operands):
            return None
        if not -SAFE < known[0] <= known[1] < SAFE:
            return None
        exprs = [self.expr(a) for a in operands]
        if op == "abs":
            return Unary(self.span, INT64, op, exprs[0])
        return Binary(self.span, INT64, op, exprs[0], exprs[1])


_Rule = Callable[[Integers, DType, Affine, Affine, Facts], Affine]
_RULES: Final[dict[str, _Rule]] = {
    "add": Integers._add, "sub": Integers._sub, "mul": Integers._mul, "min": Integers._min,
    "max": Integers._max, "floordiv": Integers._floordiv, "mod": Integers._mod,
    "and": Integers._and, "or": Integers._or, "xor": Integers._xor, "shl": Integers._shl,
    "shr": Integers._shr, "pow": Integers._pow,
}  # fmt: skip


def _reached(op: str, operands: tuple[Affine, ...], facts: Facts) -> Range:
    ranges = [facts.interval(a) for a in operands]
    return REACH[op](ranges[0], ranges[-1])


def _either(bounds: list[Affine | None]) -> Affine | None:
    """One of several bounds that all hold: rather one that does not move with the block."""
    known = [b for b in bounds if b is not None]
    still = [b for b in known if not b.role & Role.PLACE]
    return next(iter(still or known), None)


def _outermost(bounds: list[Affine | None], highest: bool) -> Affine | None:
    """The outermost of bounds that differ by constants."""
    known = [b for b in bounds if b is not None]
    if len(known) < len(bounds) or any(b.terms != known[0].terms for b in known):
        return None
    return (max if highest else min)(known, key=lambda b: b.const)
