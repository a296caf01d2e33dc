"""Where a launch goes.

In: what the caller asked for (`kernel.on`, `kk.use`, KERNELKIT_BACKEND, in this order) and where
the arguments are. Out: a place.
Holds: arrays decide where nobody asked for anything; NumPy arrays are copied to a device only where
somebody asked for it, and from device to device nothing is: an array that the chosen place cannot
work on is an ArgumentError that says which and where it is.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import TYPE_CHECKING

import numpy as np

from kernelkit import registry
from kernelkit.errors import ArgumentError, BackendError
from kernelkit.registry import Place
from kernelkit.runtime.foreign import ForeignArray
from kernelkit.runtime.refusals import type_name

if TYPE_CHECKING:
    from types import TracebackType

    from kernelkit.backend import Device
    from kernelkit.runtime.arguments import Reading

VARIABLE = "KERNELKIT_BACKEND"

#: What each `use` chose, the innermost last.
_used: ContextVar[tuple[Place | None, ...]] = ContextVar("kernelkit.use", default=())


class use:
    """`with kk.use("python"):` launches on that back end, whatever KERNELKIT_BACKEND says.

    "cuda:1" names a device. None leaves the choice as it is. Holds for the current thread or task;
    `kernel.on(name)` still wins.
    """

    def __init__(self, name: str | Device | None) -> None:
        self._place = None if name is None else resolve(name)

    def __enter__(self) -> None:
        _used.set((*_used.get(), self._place or used()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _used.set(_used.get()[:-1])


def resolve(name: str | Device | Place) -> Place:
    """The place of "cuda:1" or of a Device."""
    if isinstance(name, str):
        return registry.place(name)
    if isinstance(name, Place):
        return name
    backend, index = getattr(name, "backend", None), getattr(name, "index", None)
    if not isinstance(backend, str) or not isinstance(index, int):
        registry.check_name(name)
    return registry.place(f"{backend}:{index}")


def used() -> Place | None:
    """What the innermost `use` chose."""
    stack = _used.get()
    return stack[-1] if stack else None


def from_environment(name: str) -> Place:
    """What KERNELKIT_BACKEND chooses."""
    try:
        return registry.place(name)
    except BackendError as error:
        raise BackendError(f"{VARIABLE}={name}: {error}") from None


def chosen() -> Place | None:
    """What `use` or the environment chose; None where the arguments decide."""
    place = used()
    name = os.environ.get(VARIABLE)
    return from_environment(name) if place is None and name else place


def current_place() -> Place:
    """Where a launch with arrays of the host goes."""
    return chosen() or registry.host_place()


def place_for(reading: Reading, asked: Place | None) -> Place:
    """Where a launch goes: where it was asked to, else where its arrays are."""
    if not reading.foreign:
        return asked or registry.host_place()
    place = asked or _common_owner(reading)
    _check_owned(reading, place)
    return place


def _common_owner(reading: Reading) -> Place:
    """The one place that owns all arrays."""
    homes = {i: _home(reading, i) if i in reading.foreign else None for i in _arrays(reading)}
    owners = {place for place in homes.values() if place is not None}
    owner = owners.pop()
    if owners or not (owner.host or None not in homes.values()):
        listed = "; ".join(
            f"{reading.labels[i]!r} is {f'on {home}' if home else _ON_HOST}"
            for i, home in homes.items()
        )
        raise ArgumentError(
            f"the arrays of {reading.kernel} are not all in one place: {listed}; bring them "
            "together with kernelkit.asarray(x, device)"
        )
    return owner


_ON_HOST = "in the host's memory"


def _home(reading: Reading, leaf: int) -> Place:
    value = reading.leaves[leaf].native
    place = registry.owner(value)
    if place is None:
        reasons = "; ".join(f"{r.backend}: {r.why or 'not its memory'}" for r in registry.rows())
        raise ArgumentError(
            f"{reading.labels[leaf]!r} of {reading.kernel} is a {type_name(value)}, which no back "
            f"end that is usable here works on ({reasons}); pass its elements in a NumPy array"
        )
    return place


def _check_owned(reading: Reading, place: Place) -> None:
    """Every array of a device must lie where the launch goes."""
    for leaf in reading.foreign:
        native = reading.leaves[leaf].native
        if place.memory.owns(native):
            continue
        home = registry.owner(native)
        label = reading.labels[leaf]
        where = f"{label!r} of {reading.kernel} is a {type_name(native)}"
        if home is None:
            raise ArgumentError(
                f"{where}, which no back end that is usable here works on, and the launch goes to "
                f"{place}; pass its elements in a NumPy array"
            )
        raise ArgumentError(
            f"{where} on {home}, and the launch goes to {place}; pass "
            f'kernelkit.asarray({label}, "{place}")'
        )


def _arrays(reading: Reading) -> list[int]:
    return [i for i, x in enumerate(reading.leaves) if isinstance(x, (np.ndarray, ForeignArray))]
