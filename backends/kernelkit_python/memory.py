"""Shared and local arrays, full of poison before a kernel writes them.

Holds: the poison is NaN in every float, a huge number in integers of 16 bits and more; static shared
arrays never overlap; all dynamic ones start at the same place; one buffer serves all blocks of a
launch, so views of it are made once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

#: Repeated: NaN in float16, 32 and 64; 0x7FFF... in integers.
POISON: Final = b"\xff\x7f"
_ALIGNMENT: Final = 16


@dataclass(frozen=True, slots=True)
class Placed:
    """A shared array; the shape (0,) means all of the launch's dynamic shared memory."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def is_dynamic(self) -> bool:
        return self.shape == (0,)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _poison(nbytes: int) -> bytes:
    return POISON * (nbytes // 2) + POISON[: nbytes % 2]


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT


def local_template(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """What a local array starts as."""
    nbytes = math.prod(shape) * dtype.itemsize
    return np.frombuffer(_poison(nbytes), dtype).reshape(shape).copy()


class SharedMemory:
    """The shared memory of one block at a time. `arrays` has None for each array that is not
    shared, so that both are numbered alike."""

    def __init__(self, arrays: Sequence[Placed | None], dynamic_bytes: int) -> None:
        static = sum(_aligned(a.nbytes) for a in arrays if a is not None)
        total = static + _aligned(dynamic_bytes)
        self._poison = _poison(total)
        self._buffer = bytearray(total)
        self.arrays: list[np.ndarray | None] = []
        offset = 0
        for array in arrays:
            if array is None:
                self.arrays.append(None)
            elif array.is_dynamic:
                shape = (dynamic_bytes // array.dtype.itemsize,)
                self.arrays.append(np.ndarray(shape, array.dtype, self._buffer, static))
            else:
                self.arrays.append(np.ndarray(array.shape, array.dtype, self._buffer, offset))
                offset += _aligned(array.nbytes)

    def renew(self) -> None:
        """As a new block finds it."""
        self._buffer[:] = self._poison
