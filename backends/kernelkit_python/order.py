"""In which order blocks and threads run.

A correct kernel gives the same results in every order; `schedule` is there to show it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Literal, TypeVar

T = TypeVar("T")
Direction = Literal["forward", "reverse", "random"]


class Order:
    """One of the orders; a random one draws anew for each launch, block and phase."""

    def __init__(self, direction: Direction = "forward", seed: int = 0) -> None:
        if direction not in ("forward", "reverse", "random"):
            raise ValueError(f"the order is 'forward', 'reverse' or 'random', not {direction!r}")
        self._direction = direction
        self._random = random.Random(seed)

    def blocks(self, grid: tuple[int, int, int]) -> Iterator[tuple[int, int, int]]:
        """The places of all blocks; forward, x runs fastest."""
        width, height, depth = grid
        for number in self.threads(range(width * height * depth)):
            yield number % width, number // width % height, number // (width * height)

    def threads(self, items: Sequence[T]) -> Sequence[T]:
        """The items, in the order in which they run."""
        if self._direction == "forward":
            return items
        if self._direction == "reverse":
            return items[::-1]
        return self._random.sample(items, len(items))


_FORWARD: Final = Order()
_CURRENT: Final[ContextVar[Order]] = ContextVar("kernelkit_python_order", default=_FORWARD)


def current_order() -> Order:
    return _CURRENT.get()


@contextmanager
def schedule(order: Direction = "forward", seed: int = 0) -> Iterator[None]:
    """Inside, launches on the reference run blocks and threads in this order."""
    token = _CURRENT.set(Order(order, seed))
    try:
        yield
    finally:
        _CURRENT.reset(token)
