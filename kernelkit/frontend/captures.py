"""What a kernel takes from outside of itself, and whether it is still that.

In: a value, and a way to read it again. Out: a Capture.
Holds: a Capture is unchanged as long as a new parse would fold the same; nothing heavy is imported,
for every launch asks.
"""

from __future__ import annotations

import types
from collections.abc import Callable

import numpy as np

Current = Callable[[], object]


class Capture:
    """Something outside the kernel that was folded into it."""

    __slots__ = ("current", "name", "same", "value")

    def __init__(
        self, name: str, value: object, current: Current, same: Callable[[object, object], bool]
    ) -> None:
        self.name, self.value, self.current, self.same = name, value, current, same

    def unchanged(self) -> bool:
        """Whether a new parse would fold the same value."""
        try:
            return self.same(self.value, self.current())
        except Exception:
            return False


def capture(name: str, value: object, current: Current) -> Capture | None:
    """The capture of a value; None for a module, of which only what is read of it counts."""
    if isinstance(value, types.ModuleType):
        return None
    if isinstance(value, np.ndarray):
        return Capture(name, _Elements(value), current, _same_elements)
    return Capture(name, value, current, _same)


def _same(old: object, new: object) -> bool:
    if old is new:
        return True
    if type(old) is not type(new):
        return False
    if isinstance(old, tuple) and isinstance(new, tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return isinstance(old, (int, float, complex, str, np.generic)) and repr(old) == repr(new)


class _Elements:
    """An array's elements as they were. A flag says that nobody writes through an array, not that
    nobody writes its memory."""

    __slots__ = ("data", "dtype", "shape", "writeable")

    def __init__(self, array: np.ndarray) -> None:
        self.dtype, self.shape = array.dtype, array.shape
        self.writeable, self.data = array.flags.writeable, array.tobytes()


def _same_elements(old: object, new: object) -> bool:
    return (
        isinstance(old, _Elements)
        and isinstance(new, np.ndarray)
        and (old.dtype, old.shape, old.writeable) == (new.dtype, new.shape, new.flags.writeable)
        and old.data == new.tobytes()
    )
