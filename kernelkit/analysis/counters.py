"""Names that count: the counter of a range, and what a name holds at the head of a loop.

In: the bounds of a range as sums, what a name held before, by how much an iteration changes it.
Out: values and guesses.
Holds: a guess that is certain follows from the number of iterations; any other is to be checked
against what the names hold at the end of an iteration that started from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kernelkit.analysis.affine import Affine, Role, constant, of_atom
from kernelkit.analysis.facts import Facts, Range
from kernelkit.analysis.integers import Integers
from kernelkit.analysis.loops import Step
from kernelkit.ir.nodes import Var
from kernelkit.ir.types import INT64, DType


class Span(NamedTuple):
    """range(start, stop, step)."""

    start: Affine
    stop: Affine
    step: Affine

    @property
    def promises(self) -> frozenset[Var]:
        return self.start.promises | self.stop.promises | self.step.promises

    @property
    def constant(self) -> range | None:
        bounds = (self.start, self.stop, self.step)
        if not all(b.is_constant for b in bounds) or self.step.const == 0:
            return None
        return range(*(b.const for b in bounds))

    def ends(self, facts: Facts) -> tuple[Affine, Affine] | None:
        """The least and the greatest that the counter can be; None where the step has no sign."""
        low, high = facts.interval(self.step)
        if low >= 0:
            return self.start, self.stop.shifted(-1)
        if high <= 0:
            return self.stop.shifted(1), self.start
        return None

    def reach(self, facts: Facts) -> Range:
        """The range of the counter; empty where the loop surely never runs."""
        if (known := self.constant) is not None:
            return (min(known[0], known[-1]), max(known[0], known[-1])) if known else (1, 0)
        ends = self.ends(facts)
        if ends is not None:
            return facts.interval(ends[0])[0], facts.interval(ends[1])[1]
        (al, ah), (bl, bh) = facts.interval(self.start), facts.interval(self.stop)
        return min(al, bl), max(ah, bh)

    def most_turns(self, facts: Facts) -> int | None:
        """A number of iterations that is never exceeded."""
        low, high = facts.interval(self.step)
        if low > 0:
            return max(0, -(-facts.interval(self.stop.minus(self.start))[1] // low))
        if high < 0:
            return max(0, -(-facts.interval(self.start.minus(self.stop))[1] // -high))
        return None


def counter_of(span: Span, facts: Facts, integers: Integers) -> Affine | None:
    """The counter in an iteration, what it says added to the facts; None if there is no iteration."""
    low, high = span.reach(facts)
    if low > high:
        return None
    if low == high:
        return constant(low)
    ends = span.ends(facts)
    if ends is None or span.constant is not None:
        return of_atom(
            integers.atoms.new(low, high, Role.STEP, least=constant(low), most=constant(high))
        )
    roles = span.start.role | span.stop.role
    least, most = (_outermost(span, ends, integers, end) for end in (False, True))
    atom = integers.atoms.new(
        low,
        high,
        Role.PLACE if roles & (Role.SIZE | Role.PLACE) else Role.STEP,
        least=least,
        most=most,
        promises=span.promises,
    )
    counter = of_atom(atom)
    for form in (ends[0].minus(counter), counter.minus(ends[1])):
        if not facts.learn(form, 0):
            return None
    return counter


def _outermost(
    span: Span, ends: tuple[Affine, Affine], integers: Integers, highest: bool
) -> Affine | None:
    """The least or greatest value of the counter in the whole block."""
    step = span.step
    aligned = step.is_constant and abs(step.const) > 1 and (step.const > 0) == highest
    if aligned and span.start.is_uniform and span.stop.is_uniform:
        # Not the end of the range, but the last value before it.
        facts = Facts(integers.atoms)
        sign = 1 if highest else -1
        way = span.stop.minus(span.start).times(sign).shifted(-1)
        turns = integers.binary("floordiv", INT64, way, constant(abs(step.const)), facts)
        if turns.is_uniform:
            return span.start.plus(turns, step.const)
    return ends[highest].extreme(highest)


# ---------------------------------------------------------------- names at a loop's head
class Guess(NamedTuple):
    """The range of a name at the head of every iteration, and bounds that hold in the whole block."""

    low: int
    high: int
    is_certain: bool
    least: Affine | None = None
    most: Affine | None = None
    role: int = Role.NONE
    promises: frozenset[Var] = frozenset()

    def value(self, integers: Integers) -> Affine:
        return of_atom(
            integers.atoms.new(
                self.low, self.high, self.role,
                least=self.least, most=self.most, promises=self.promises,
            )
        )  # fmt: skip

    def widened(self, dtype: DType, found: Range | None) -> Guess:
        """A guess that gives up the ends that did not stand; without `found`, both."""
        low = self.low if found is not None and found[0] >= self.low else dtype.minimum
        high = self.high if found is not None and found[1] <= self.high else dtype.maximum
        return self.wide_as(Guess(low, high, False), dtype)

    def wide_as(self, other: Guess, dtype: DType) -> Guess:
        """With the ends given up that the other one gave up."""
        wide = self
        if other.low == dtype.minimum:
            wide = wide._replace(low=dtype.minimum, least=None)
        if other.high == dtype.maximum:
            wide = wide._replace(high=dtype.maximum, most=None)
        free = (wide.low, wide.high) == (dtype.minimum, dtype.maximum)
        return wide._replace(is_certain=True) if free else wide


def anything(dtype: DType) -> Guess:
    return Guess(dtype.minimum, dtype.maximum, True)


def last_value(before: Affine, span: Span, facts: Facts) -> Guess:
    """The target of a range that nothing else assigns: what it was before, or a value of the
    counter."""
    low, high = facts.interval(before)
    first, last = span.reach(facts)
    promises = before.promises | span.promises
    if first > last:
        return Guess(low, high, True, promises=promises)
    return Guess(min(low, first), max(high, last), True, promises=promises)


def first_guess(
    dtype: DType,
    before: Affine,
    steps: Sequence[tuple[Step, Affine]],
    span: Span | None,
    facts: Facts,
) -> Guess:
    """A name that was `before` ahead of the loop and changes by steps, or in a way not known."""
    low, high = facts.interval(before)
    if not steps:
        return Guess(low, high, False, promises=before.promises)
    role = before.role & Role.PLACE
    promises = before.promises.union(*(amount.promises for _, amount in steps))
    down = up = 0
    for step, amount in steps:
        ends = [step.sign * end for end in facts.interval(amount)]
        down, up = down + min(0, *ends), up + max(0, *ends)
    least, most = before.extreme(False), before.extreme(True)
    turns = None if span is None or any(s.nested for s, _ in steps) else span.most_turns(facts)
    if span is not None and turns is not None:
        first, last = low + turns * down, high + turns * up
        if dtype.minimum <= first and last <= dtype.maximum:
            least = None if least is None else least.shifted(turns * down)
            most = None if most is None else most.shifted(turns * up)
            return Guess(first, last, True, least, most, role, promises | span.promises)
    if down or low == dtype.minimum:
        low, least = dtype.minimum, None
    if up or high == dtype.maximum:
        high, most = dtype.maximum, None
    free = low == dtype.minimum and high == dtype.maximum
    return Guess(low, high, free, least, most, role, promises)
