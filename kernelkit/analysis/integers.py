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
        if low <= dtype.minimum:
            return self.unknown(dtype)
        return self._made("abs", (a,), (0, max(-low, high)))

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
            low, high = _product_range(self.always.numeric(a), self.always.numeric(b))
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
        low, high = _product_range(self.always.range_of(x), self.always.range_of(y))
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
        (al, ah), (bl, bh) = facts.numeric(a), facts.numeric(b)
        return self._made("min", (a, b), (min(al, bl), min(ah, bh)))

    def _max(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        (al, ah), (bl, bh) = facts.numeric(a), facts.numeric(b)
        return self._made("max", (a, b), (max(al, bl), max(ah, bh)))

    def _floordiv(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        al, ah = facts.interval(a)
        if b.is_constant and b.const > 0:
            quotient, rest = a.divided(b.const)
            low, high = (end // b.const for end in facts.interval(rest))
            if low == high:
                return quotient.shifted(low)
            if quotient.terms or quotient.const:
                inner = self._made("floordiv", (rest, b), (low, high))
                return quotient.plus(inner)
        bl, bh = facts.interval(b)
        if bl > 0:
            ends = [x // y for x in (al, ah) for y in (bl, bh)]
            return self._made("floordiv", (a, b), (min(ends), max(ends)))
        most = max(abs(al), abs(ah))
        if al >= 0 and bl >= 0:
            return self._made("floordiv", (a, b), (0, ah))
        wraps = al <= dtype.minimum  # by -1
        return self._made("floordiv", (a, b), (-most, min(most, dtype.maximum)), opaque=wraps)

    def _mod(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        al, ah = facts.interval(a)
        bl, bh = facts.interval(b)
        if b.is_constant and b.const > 0:
            _, a = a.divided(b.const)
            al, ah = facts.interval(a)
        if al >= 0 and (ah < bl or facts.at_most(a.minus(b), -1)):
            return a.promising(b.promises)
        if b.is_constant and b.const > 0 and a.promises:
            return self.bounded(0, b.const - 1)  # which needs no promise
        low, high = min(bl + 1, 0), max(bh - 1, 0)
        if al >= 0 and bl >= 0:
            high = min(high, ah)
        return self._made("mod", (a, b), (low, high), below=b if bl > 0 else None)

    def _and(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and b.const >= 0 and b.const & (b.const + 1) == 0:
            return self._mod(dtype, a, constant(b.const + 1), facts)
        (al, ah), (bl, bh) = facts.interval(a), facts.interval(b)
        ends = [high for low, high in ((al, ah), (bl, bh)) if low >= 0]
        if not ends:
            return self.unknown(dtype)
        if b.is_constant and bl >= 0 and a.promises:
            return self.bounded(0, b.const)
        return self._made("and", (a, b), (0, min(ends)))

    def _or(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        return self._bits("or", dtype, a, b, facts)

    def _xor(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        return self._bits("xor", dtype, a, b, facts)

    def _bits(self, op: str, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        (al, ah), (bl, bh) = facts.interval(a), facts.interval(b)
        if al < 0 or bl < 0:
            return self.unknown(dtype)
        high = (1 << max(ah, bh).bit_length()) - 1
        return self._made(op, (a, b), (max(al, bl) if op == "or" else 0, high))

    def _shl(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and 0 <= b.const < dtype.bits:
            return self.fitted(a.times(1 << b.const), dtype, facts)
        return self.unknown(dtype)

    def _shr(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and 0 <= b.const < dtype.bits:
            return self._floordiv(dtype, a, constant(1 << b.const), facts)
        low, high = facts.interval(a)
        return self._made("shr", (a, b), (min(low, -1) if low < 0 else 0, max(high, 0)))

    def _pow(self, dtype: DType, a: Affine, b: Affine, facts: Facts) -> Affine:
        if b.is_constant and b.const == 2:
            return self._mul(dtype, a, a, facts)
        return self.unknown(dtype)

    # ------------------------------------------------------------ results that are not affine
    def _made(
        self, op: str, operands: tuple[Affine, ...], known: Range,
        *, below: Affine | None = None, opaque: bool = False,
    ) -> Affine:  # fmt: skip
        """The atom of an operation whose result is known to lie in a range, and, where that is
        given, `below` something. `opaque`: it may yet wrap around."""
        low, high = known
        key = (op, operands, known, below is not None, opaque)
        atom = self.atoms.known(key)
        if atom is not None:
            return of_atom(atom)
        promises = frozenset[Var]().union(*(a.promises for a in operands))
        role = Role.NONE
        for operand in operands:
            role |= operand.role
        expr = None if opaque else self._before(op, operands, (low, high))
        least = most = None
        if expr is None:
            least, most = self._ends(op, operands, (low, high), below)
        atom = self.atoms.new(
            low, high, role & ~Role.EXTENT, expr=expr, least=least, most=most, promises=promises
        )
        self.atoms.remember(key, atom)
        self._define(op, atom, operands, below)
        return of_atom(atom)

    def _define(
        self, op: str, atom: Atom, operands: tuple[Affine, ...], below: Affine | None
    ) -> None:
        itself = of_atom(atom)
        if op == "min":
            self.atoms.define(atom, *(itself.minus(a) for a in operands))
        elif op == "max":
            self.atoms.define(atom, *(a.minus(itself) for a in operands))
        elif below is not None:
            self.atoms.define(atom, itself.minus(below).shifted(1))

    def _ends(
        self, op: str, operands: tuple[Affine, ...], known: Range, below: Affine | None
    ) -> tuple[Affine | None, Affine | None]:
        """The least and the most that the result can be in a block."""
        if op == "mod" and below is not None:
            return constant(known[0]), below.shifted(-1).extreme(True)
        if all(a.is_uniform for a in operands):  # and yet it cannot be calculated
            return None, None
        lows, highs = ([a.extreme(end) for a in operands] for end in (False, True))
        if op == "floordiv" and operands[1].is_constant and operands[1].const > 0:
            return self._quotient(lows[0], operands[1]), self._quotient(highs[0], operands[1])
        if op in ("mod", "and"):
            return constant(known[0]), constant(known[1])
        if op == "min":
            return None, _either(highs)
        if op == "max":
            return _either(lows), None
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


def _product_range(a: Range, b: Range) -> Range:
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


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
