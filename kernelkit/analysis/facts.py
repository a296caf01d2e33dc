"""What is known of integers at a place in a kernel: ranges of atoms, and relations between them.

In: comparisons that hold there. Out: intervals of affine sums.
Holds: every interval is sound, never exact by promise. Facts speak of atoms, which are values and
not names, so that no assignment makes them stale.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from kernelkit.analysis.affine import BEYOND, Affine, Atom, Atoms, Role, Terms, of_atom

Range = tuple[int, int]
EVERYTHING: Range = (-BEYOND, BEYOND)


class Facts:
    """`ranges` of single atoms, and `relations`: ranges of sums without a constant, divided by
    what their coefficients have in common and with a positive first one. `always` holds besides,
    wherever in the kernel one is."""

    __slots__ = ("always", "atoms", "ranges", "relations")

    def __init__(self, atoms: Atoms, always: Facts | None = None) -> None:
        self.atoms, self.always = atoms, always
        self.ranges: dict[Atom, Range] = {}
        self.relations: dict[Terms, Range] = {}

    def copy(self) -> Facts:
        new = Facts(self.atoms, self.always)
        new.ranges, new.relations = self.ranges.copy(), self.relations.copy()
        return new

    # ------------------------------------------------------------ asking
    def range_of(self, atom: Atom) -> Range:
        low, high = self.ranges.get(atom) or (atom.low, atom.high)
        if atom.factors is not None:
            low, high = _meet((low, high), _product(*map(self.range_of, atom.factors)))
        if self.always is not None and (own := self.always.ranges.get(atom)) is not None:
            low, high = _meet((low, high), own)
        return low, high

    def numeric(self, form: Affine) -> Range:
        """The interval that follows from those of the atoms alone."""
        low = high = form.const
        for atom, factor in form.terms:
            least, most = self.range_of(atom)
            if factor < 0:
                least, most = most, least
            low, high = low + factor * least, high + factor * most
        return low, high

    def interval(self, form: Affine) -> Range:
        """The interval that follows from all that is known."""
        found = self.numeric(form)
        return self._refined(form, found) if form.terms else found

    def at_most(self, form: Affine, limit: int) -> bool:
        """Whether form <= limit is certain."""
        found = self.numeric(form)
        if found[1] > limit and form.terms:
            found = self._refined(form, found)
        return found[1] <= limit

    def at_least(self, form: Affine, limit: int) -> bool:
        """Whether form >= limit is certain."""
        found = self.numeric(form)
        if found[0] < limit and form.terms:
            found = self._refined(form, found)
        return found[0] >= limit

    def compared(self, form: Affine, limit: int) -> bool | None:
        """Whether form <= limit; None where neither is certain."""
        found = self.numeric(form)
        if found[0] <= limit < found[1] and form.terms:
            found = self._refined(form, found)
        return True if found[1] <= limit else False if found[0] > limit else None

    def order(self, difference: Affine) -> int:
        """-1 where a - b <= 0 is certain, 1 where a - b >= 0 is, else 0."""
        found = self.numeric(difference)
        if found[0] < 0 < found[1] and difference.terms:
            found = self._refined(difference, found)
        return -1 if found[1] <= 0 else 1 if found[0] >= 0 else 0

    def _refined(self, form: Affine, found: Range) -> Range:
        """What relations add to the numeric interval, for the form and for its extremes."""
        found = self._related(form, found)
        if not form.is_uniform:
            low, high = form.extreme(False), form.extreme(True)
            if low is not None:
                least = self._related(low, self.numeric(low))[0]
                found = max(found[0], least), found[1]
            if high is not None:
                most = self._related(high, self.numeric(high))[1]
                found = found[0], min(found[1], most)
        return found

    def _related(self, form: Affine, found: Range) -> Range:
        """What follows from one relation at a time."""
        factors = dict(form.terms)
        for terms, known in self.relations.items():
            found = self._through(form.const, factors, terms, known, found)
        if self.always is not None:
            for terms, known in self.always.relations.items():
                found = self._through(form.const, factors, terms, known, found)
        defined = self.atoms.never_positive
        if defined:
            for atom in form.terms:
                for sum_ in defined.get(atom[0], ()):
                    known = (-BEYOND, -sum_.const)
                    found = self._through(form.const, factors, sum_.terms, known, found)
        return found

    def _through(
        self, const: int, factors: dict[Atom, int], terms: Terms, known: Range, found: Range
    ) -> Range:
        """const + factors = times * terms + rest, for each whole number that removes an atom."""
        tried: list[int] = []
        for atom, factor in terms:
            own = factors.get(atom)
            if own is None or own % factor or own // factor in tried:
                continue
            times = own // factor
            tried.append(times)
            rest = factors.copy()
            for other, theirs in terms:
                rest[other] = rest.get(other, 0) - times * theirs
            low, high = known if times > 0 else (known[1], known[0])
            low, high = const + times * low, const + times * high
            for other, left in rest.items():
                if left:
                    least, most = self.range_of(other)
                    if left < 0:
                        least, most = most, least
                    low, high = low + left * least, high + left * most
            found = (max(found[0], low), min(found[1], high))
        return found

    # ------------------------------------------------------------ learning
    def learn(self, form: Affine, limit: int) -> bool:
        """Learn form <= limit; False where that cannot be."""
        if not form.terms:
            return form.const <= limit
        if self.at_least(form, limit + 1):
            return False
        key, known = normal(form, limit)
        return self._learn(key, known) and self._spread(form, limit)

    def _learn(self, terms: Terms, known: Range) -> bool:
        if len(terms) == 1:
            atom = terms[0][0]
            new = _meet(self.range_of(atom), known)
            self.ranges[atom] = new
        else:
            new = _meet(self.relations.get(terms, EVERYTHING), known)
            self.relations[terms] = new
        return new[0] <= new[1]

    def _spread(self, form: Affine, limit: int) -> bool:
        """What form <= limit says of each atom, given the ranges of the others."""
        if len(form.terms) == 1:
            return True
        least = self.numeric(form)[0]
        for atom, factor in form.terms:
            low, high = self.range_of(atom)
            others = least - factor * (low if factor > 0 else high)
            if self.relations and atom.role & Role.SIZE:
                rest = form.plus(of_atom(atom), -factor)
                others = self._related(rest, (others, BEYOND))[0]
            room = limit - others  # factor * atom <= room
            if factor > 0 and room // factor < high:
                high = room // factor
            elif factor < 0 and -(room // -factor) > low:
                low = -(room // -factor)
            else:
                continue
            if low > high:
                return False
            self.ranges[atom] = (low, high)
        return True


def joined(states: Iterable[Facts], born: int) -> Facts:
    """What holds in all of several states, of atoms that all of them know: those with numbers up to
    `born`, and functions. Of another one some state knows only what follows from its making, which
    may be what cannot be there."""
    first, *others = states
    if not others:
        return first
    new = Facts(first.atoms, first.always)
    for atom in {a: None for s in (first, *others) for a in s.ranges}:
        if atom.number <= born or atom.is_function:
            new.ranges[atom] = _hull(s.range_of(atom) for s in (first, *others))
    for terms in {t: None for s in (first, *others) for t in s.relations}:
        if any(atom.number > born and not atom.is_function for atom, _ in terms):
            continue
        form = Affine(0, terms)
        known = _hull(s.relations.get(terms) or s.interval(form) for s in (first, *others))
        default = new.numeric(form)
        if known[0] > default[0] or known[1] < default[1]:
            new.relations[terms] = known
    return new


def normal(form: Affine, limit: int) -> tuple[Terms, Range]:
    """form <= limit as the range of a sum in the normal form of `Facts.relations`."""
    common = gcd(*(factor for _, factor in form.terms))
    sign = 1 if form.terms[0][1] > 0 else -1
    terms = tuple((atom, sign * factor // common) for atom, factor in form.terms)
    bound = (limit - form.const) // common
    return terms, ((-BEYOND, bound) if sign > 0 else (-bound, BEYOND))


def _meet(a: Range, b: Range) -> Range:
    return max(a[0], b[0]), min(a[1], b[1])


def _hull(ranges: Iterable[Range]) -> Range:
    lows, highs = zip(*ranges, strict=True)
    return min(lows), max(highs)


def _product(a: Range, b: Range) -> Range:
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)
