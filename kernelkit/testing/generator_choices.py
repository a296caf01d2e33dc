"""Where a random kernel's decisions come from: a seed, or hypothesis.

In: a seed, or hypothesis's `draw`. Out: small integers, of which 0 is always the simplest choice.
Holds: equal seeds give equal decisions on every machine; hypothesis is imported only when it draws.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")


class Choices(ABC):
    """Decisions, one at a time."""

    @abstractmethod
    def below(self, count: int) -> int:
        """One of 0 .. count - 1; 0 is the simplest."""

    @abstractmethod
    def part(self, make: Callable[[], T]) -> T:
        """make(), whose decisions belong together and are dropped together."""

    def pick(self, options: Sequence[T]) -> T:
        """One of the options; the first is the simplest."""
        return options[self.below(len(options))]

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases; False is the simpler."""
        return self.below(100) >= 100 - percent

    def weighted(self, table: Sequence[tuple[int, T]]) -> T:
        """One entry of (weight, entry) rows; the first is the simplest."""
        at = self.below(sum(weight for weight, _ in table))
        for weight, entry in table:
            if at < weight:
                return entry
            at -= weight
        raise AssertionError("weights add up")


class Seeded(Choices):
    """Decisions that follow from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def below(self, count: int) -> int:
        # Not randrange: random() alone is promised to stay the same across Python versions.
        return int(self._random.random() * count)

    def part(self, make: Callable[[], T]) -> T:
        return make()


class Drawn(Choices):
    """Decisions that hypothesis makes, records and shrinks."""

    def __init__(self, draw: Callable[[SearchStrategy[Any]], Any]) -> None:
        from hypothesis import strategies as st

        self._draw = draw
        self._nothing = st.tuples()

    def below(self, count: int) -> int:
        return int(self._draw(_integers(count))) if count > 1 else 0

    def part(self, make: Callable[[], T]) -> T:
        # What a map draws on its way is one span to hypothesis; st.composite would take far longer.
        made: T = self._draw(self._nothing.map(lambda _: make()))
        return made


@cache
def _integers(count: int) -> SearchStrategy[int]:
    from hypothesis import strategies as st

    # Of up to 128 integers hypothesis draws each as often, of more it favours the small ones.
    assert count <= 128
    return st.integers(0, count - 1)
