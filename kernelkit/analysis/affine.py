"""Affine sums of atoms: what an integer is, in terms of registers, extents, parameters and counters.

In: atoms and other sums. Out: sums in a normal form, so that equal ones compare equal.
Holds: an atom stands for one integer, without wrap-around; a sum is the exact, mathematical value.
An atom with `expr` is the same in the whole block, and `expr` computes it before the block starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from kernelkit.ir.nodes import Expr, Var
from kernelkit.records import record

#: Beyond every bound that is ever known: it stands for infinity and may still be calculated with.
BEYOND = 1 << 200


class Role:
    """What an integer speaks of, as bits; that of a calculated one is what its operands speak of."""

    NONE: Final = 0
    #: How far the data reaches: extents, scalar parameters, gridDim.
    SIZE: Final = 1
    #: Such a size that is an extent itself.
    EXTENT: Final = 2
    #: Where in the data a block is, or an iteration of a loop over it.
    PLACE: Final = 4
    #: A step of a loop of known length: a tap of a filter, an element of a tile.
    STEP: Final = 8


@record(frozen=False, eq=False)
class Atom:
    """`low`, `high`: its range, wherever it is. `least`, `most`: bounds that are the same in the
    whole block. `factors`: what it is the product of. `is_function`: what it claims holds even where
    nothing computes it, so that it may be spoken of everywhere. `promises`: the parameters that must be
    within bounds for any of this to hold."""

    number: int
    low: int
    high: int
    role: int = Role.NONE
    expr: Expr | None = None
    least: Affine | None = None
    most: Affine | None = None
    factors: tuple[Atom, Atom] | None = None
    is_function: bool = False
    promises: frozenset[Var] = frozenset()


Terms = tuple[tuple[Atom, int], ...]


class Affine(NamedTuple):
    """Terms in the order of their atoms' numbers, with coefficients that are not 0."""

    const: int
    terms: Terms = ()
    promises: frozenset[Var] = frozenset()

    @property
    def is_constant(self) -> bool:
        return not self.terms

    @property
    def is_uniform(self) -> bool:
        """Whether it is the same in the whole block."""
        return None not in [atom.expr for atom, _ in self.terms]

    @property
    def is_function(self) -> bool:
        """Whether what its atoms claim holds everywhere."""
        return all(atom.is_function for atom, _ in self.terms)

    @property
    def role(self) -> int:
        found = Role.NONE
        for atom, _ in self.terms:
            found |= atom.role
        return found

    def plus(self, other: Affine, times: int = 1) -> Affine:
        """self + times * other."""
        const = self.const + times * other.const
        if not other.terms:
            return Affine(const, self.terms, self.promises | other.promises)
        if not self.terms and times == 1:
            return Affine(const, other.terms, self.promises | other.promises)
        sums = dict(self.terms)
        for atom, factor in other.terms:
            sums[atom] = sums.get(atom, 0) + times * factor
        promises = self.promises | other.promises if other.promises else self.promises
        return Affine(const, _ordered(sums), promises)

    def minus(self, other: Affine) -> Affine:
        return self.plus(other, -1)

    def promising(self, more: frozenset[Var]) -> Affine:
        return Affine(self.const, self.terms, self.promises | more) if more else self

    def shifted(self, by: int) -> Affine:
        return Affine(self.const + by, self.terms, self.promises)

    def times(self, factor: int) -> Affine:
        if factor == 0:
            return Affine(0, (), self.promises)
        terms = tuple((atom, factor * c) for atom, c in self.terms)
        return Affine(factor * self.const, terms, self.promises)

    def divided(self, divisor: int) -> tuple[Affine, Affine]:
        """(quotient, rest) with self = divisor * quotient + rest, the quotient as large as the
        coefficients allow, the rest's constant in range(divisor)."""
        even = tuple((atom, c // divisor) for atom, c in self.terms if c % divisor == 0)
        odd = tuple((atom, c) for atom, c in self.terms if c % divisor)
        quotient, rest = divmod(self.const, divisor)
        return Affine(quotient, even, self.promises), Affine(rest, odd, self.promises)

    def extreme(self, highest: bool) -> Affine | None:
        """The least or greatest it can be in a block, in terms of what is the same in the block."""
        if self.is_uniform:
            return self
        const, promises = self.const, self.promises
        sums: dict[Atom, int] = {}
        for atom, factor in self.terms:
            if atom.expr is not None:
                sums[atom] = sums.get(atom, 0) + factor
                continue
            bound = atom.most if (factor > 0) == highest else atom.least
            if bound is None:
                return None
            const += factor * bound.const
            promises = promises | bound.promises
            for inner, times in bound.terms:
                sums[inner] = sums.get(inner, 0) + factor * times
        return Affine(const, _ordered(sums), promises)


def _ordered(sums: dict[Atom, int]) -> Terms:
    return tuple(sorted([term for term in sums.items() if term[1]], key=_number))


def _number(term: tuple[Atom, int]) -> int:
    return term[0].number


def constant(value: int) -> Affine:
    return Affine(value)


def of_atom(atom: Atom) -> Affine:
    return Affine(0, ((atom, 1),), atom.promises)


class Atoms:
    """Makes atoms, the same one for the same thing."""

    def __init__(self) -> None:
        #: How many there are; a new one's number is higher than all others'.
        self.count = 0
        self._known: dict[object, Atom] = {}
        #: What holds of atoms by how they were made: sums that are never above 0.
        self.never_positive: dict[Atom, tuple[Affine, ...]] = {}

    def new(
        self,
        low: int,
        high: int,
        role: int = Role.NONE,
        *,
        expr: Expr | None = None,
        least: Affine | None = None,
        most: Affine | None = None,
        factors: tuple[Atom, Atom] | None = None,
        is_function: bool = False,
        promises: frozenset[Var] = frozenset(),
    ) -> Atom:
        self.count += 1
        return Atom(self.count, low, high, role, expr, least, most, factors, is_function, promises)

    def known(self, key: object) -> Atom | None:
        return self._known.get(key)

    def remember(self, key: object, atom: Atom) -> Atom:
        self._known[key] = atom
        return atom

    def define(self, atom: Atom, *sums: Affine) -> None:
        """Note sums with this atom that are never above 0."""
        self.never_positive[atom] = (*self.never_positive.get(atom, ()), *sums)


def products(left: Affine, right: Affine) -> Iterator[tuple[int, Atom | None, Atom | None]]:
    """The terms of a product: a factor and up to two atoms each."""
    for a, x in (*left.terms, (None, left.const)):
        for b, y in (*right.terms, (None, right.const)):
            if x * y:
                yield x * y, a, b
