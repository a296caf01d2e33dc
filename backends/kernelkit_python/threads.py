"""What a thread sees of itself: threadIdx and its kin, and the state of its block."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from kernelkit.emit.fault_text import not_uniform
from kernelkit.errors import DivergenceError
from kernelkit_python.traps import Trap
from kernelkit_python.warps import WARP_SIZE

Place = tuple[int, int, int]


class Dim3:
    """blockIdx, blockDim, gridDim."""

    __slots__ = ("x", "y", "z")

    def __init__(self, place: Place) -> None:
        self.x, self.y, self.z = place

    @property
    def place(self) -> Place:
        return self.x, self.y, self.z

    def __repr__(self) -> str:
        return f"({self.x}, {self.y}, {self.z})"


class Thread(Dim3):
    """threadIdx, and the thread's number in its block and in its warp."""

    __slots__ = ("index", "lane")

    def __init__(self, place: Place, index: int) -> None:
        super().__init__(place)
        self.index, self.lane = index, index % WARP_SIZE


@lru_cache(maxsize=16)
def threads_of(block: Place) -> tuple[Thread, ...]:
    """All threads of a block, x fastest."""
    width, height, depth = block
    return tuple(
        Thread((x, y, z), x + width * (y + height * z))
        for z in range(depth)
        for y in range(height)
        for x in range(width)
    )


class BlockState:
    """What the threads of one block share: their arrays, and what `kk.uniform` saw this phase."""

    def __init__(self, shared: list[np.ndarray | None]) -> None:
        self.shared = shared
        self._turns: dict[tuple[int, int], int] = {}
        self._seen: dict[tuple[int, int], tuple[Thread, Any]] = {}

    def next_phase(self) -> None:
        """All threads have passed a barrier."""
        self._turns.clear()
        self._seen.clear()

    def uniform(self, site: int, thread: Thread, value: Any) -> Any:
        """The value, which must be that of every other thread at the same turn."""
        key = (site, thread.index)
        turn = self._turns[key] = self._turns.get(key, 0) + 1
        first, expected = self._seen.setdefault((site, turn), (thread, value))
        if value == expected or (value != value and expected != expected):
            return value
        raise Trap(DivergenceError, site, not_uniform(first, expected, thread, value))
