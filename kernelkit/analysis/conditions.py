"""Conditions over affine sums: what they say, whether they hold, what they teach.

In: facts. Out: verdicts, and facts with a condition learned.
Holds: None stands for what nothing is known of; Python's own bools for what is certain.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kernelkit.analysis.affine import Affine
from kernelkit.analysis.facts import Facts


class Comparison(NamedTuple):
    """lt le gt ge eq ne of two integers."""

    op: str
    left: Affine
    right: Affine

    @property
    def difference(self) -> Affine:
        return self.left.minus(self.right)


class Junction(NamedTuple):
    """and, or; an operand that is None is unknown."""

    op: str
    left: Condition
    right: Condition


class Negation(NamedTuple):
    operand: Condition


Condition = Comparison | Junction | Negation | bool | None

_OPPOSITE: Final = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}
#: left op right as (sign, limit): sign * (left - right) <= limit.
ORDER: Final = {"lt": (1, -1), "le": (1, 0), "gt": (-1, -1), "ge": (-1, 0)}


def holds(condition: Condition, facts: Facts) -> bool | None:
    """Whether a condition is certain, either way."""
    match condition:
        case Comparison():
            return _compared(condition, facts)
        case Junction():
            decides = condition.op == "or"
            found = [holds(c, facts) for c in (condition.left, condition.right)]
            if decides in found:
                return decides
            return None if None in found else not decides
        case Negation():
            found_one = holds(condition.operand, facts)
            return None if found_one is None else not found_one
        case _:
            return condition


def _compared(condition: Comparison, facts: Facts) -> bool | None:
    op, difference = condition.op, condition.difference
    if op in ORDER:
        sign, limit = ORDER[op]
        if sign > 0:
            return facts.compared(difference, limit)
        found = facts.compared(difference, -limit - 1)
        return None if found is None else not found
    low, high = facts.interval(difference)
    if low == high == 0:
        return op == "eq"
    return op == "ne" if low > 0 or high < 0 else None


def learn(condition: Condition, truth: bool, facts: Facts) -> bool:
    """Add to the facts that a condition is true, or false; False where it cannot be."""
    match condition:
        case Comparison():
            return _learn_comparison(condition, truth, facts)
        case Junction():
            if truth == (condition.op == "and"):
                return learn(condition.left, truth, facts) and learn(condition.right, truth, facts)
            return _learn_one(condition, truth, facts)
        case Negation():
            return learn(condition.operand, not truth, facts)
        case None:
            return True
        case _:
            return condition == truth


def _learn_one(condition: Junction, truth: bool, facts: Facts) -> bool:
    """One of the two is so; which one is known only where the other cannot be."""
    left, right = (holds(c, facts) for c in (condition.left, condition.right))
    if left == (not truth):
        return learn(condition.right, truth, facts)
    if right == (not truth):
        return learn(condition.left, truth, facts)
    return True


def _learn_comparison(condition: Comparison, truth: bool, facts: Facts) -> bool:
    op = condition.op if truth else _OPPOSITE[condition.op]
    difference = condition.difference
    if op in ORDER:
        sign, limit = ORDER[op]
        return facts.learn(difference.times(sign), limit)
    if op == "eq":
        return facts.learn(difference, 0) and facts.learn(difference.times(-1), 0)
    low, high = facts.interval(difference)
    if low == high == 0:
        return False
    if low == 0:
        return facts.learn(difference.times(-1), -1)
    return high != 0 or facts.learn(difference, -1)
