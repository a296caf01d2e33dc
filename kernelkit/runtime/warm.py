"""A launch like the last one, with native arrays of the same device: recognised in a microsecond.

In: the arguments of a launch that went the long way, and those of the next. Out: the executable for
these, or None where they must go the long way as well.
Holds: what is found here is what the long way would find; only the memory's `plain` and the
types of numbers are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.registry import Place
from kernelkit.runtime.foreign import ForeignArray
from kernelkit.runtime.specialise import Specialisation, is_narrow
from kernelkit.runtime.variants import LARGEST, NOALIAS, SMALL

if TYPE_CHECKING:
    from kernelkit.backend import Executable, LaunchConfig

_INT64 = np.int64


class Warm:
    """What the last launch was like."""

    __slots__ = ("_pattern", "_plain", "_variant", "asked", "config", "specialisation", "stream")

    def __init__(
        self,
        asked: Place | None,
        specialisation: Specialisation,
        pattern: Sequence[tuple[Any, Any, int]],
        plain: Callable[[Any], Any],
        variant: int,
        config: LaunchConfig,
        stream: Any,
    ) -> None:
        #: What the caller had asked for.
        self.asked = asked
        self.specialisation, self.config, self.stream = specialisation, config, stream
        self._pattern, self._plain, self._variant = pattern, plain, variant

    def executable(self, values: Sequence[Any]) -> Executable | None:
        """What runs these arguments, if they are like the last ones and small."""
        found = self.specialisation
        if found.captures and not found.unchanged():
            return None
        plain = self._plain
        told: list[Any] = []
        for value, (kind, dtype, ndim) in zip(values, self._pattern, strict=True):
            if type(value) is not kind:
                return None
            if dtype is not None:
                array = plain(value)
                if array is None or array[1] != ndim:
                    return None
                if array[0] is not dtype and array[0] != dtype:
                    return None
                if array[2] % dtype.alignment:
                    return None
                told.append(array)
            else:
                if (kind is int or kind is _INT64) and not -LARGEST <= value <= LARGEST:
                    return None
                told.append(None)
        variant = self._variant
        for a, b in found.pairs:
            first, second = told[a], told[b]
            if first[2] < second[3] and second[2] < first[3]:
                return found.found(variant)
        return found.found(variant | NOALIAS)


def warm(
    asked: Place | None,
    place: Place,
    specialisation: Specialisation,
    leaves: Sequence[Any],
    values: Sequence[Any],
    small_grid: bool,
    config: LaunchConfig,
    stream: Any,
) -> Warm | None:
    """What to remember of a launch; None where the next one cannot be recognised."""
    plain = getattr(place.memory, "plain", None)
    if plain is None or len(leaves) != len(values):
        return None
    pattern: list[tuple[Any, Any, int]] = []
    for leaf, value in zip(leaves, values, strict=True):
        if type(leaf) is not ForeignArray:
            pattern.append((type(value), None, 0))
            continue
        told = plain(value)
        if told is None:
            return None
        pattern.append((type(value), told[0], told[1]))
    variant = SMALL if small_grid and is_narrow(place) else 0
    return Warm(asked, specialisation, pattern, plain, variant, config, stream)
