"""The native arrays, streams and events of each device, and ways to and from NumPy.

In: a device ("cuda:1", a Device, or None for where launches go now). Out: what its memory makes.
Holds: kernelkit has no array class; an array that a device works on already is given back as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kernelkit import registry
from kernelkit.errors import ArgumentError
from kernelkit.ir.types import from_numpy
from kernelkit.registry import Place
from kernelkit.runtime import refusals, selection
from kernelkit.runtime.foreign import NotAnArray, host_view, is_foreign
from kernelkit.runtime.refusals import type_name

if TYPE_CHECKING:
    from kernelkit.backend import Device


def _place(device: str | Device | None) -> Place:
    place = selection.current_place() if device is None else selection.resolve(device)
    registry.mark_in_use(place)
    return place


def current_device() -> Device:
    """The device that a launch with NumPy arrays goes to now: the choice of `kk.use`, else of
    KERNELKIT_BACKEND, else the first that works on the host."""
    return selection.current_place().device


def asarray(x: Any, device: str | Device | None = None) -> Any:
    """`x` as a native array of a device, copied only where it has to be.

    For a device that works on the host's memory that is a NumPy array. Without `device`, an array
    of a device stays where it is, and anything else goes to the current device.
    """
    home = _owner(x)
    if home is not None:
        place = home if device is None else _place(device)
        if place is home or place.memory.owns(x):
            return x
        return place.memory.copy_in(home.memory.copy_out(x))
    place, found = _place(device), _on_host(x)
    _check_dtype(found.dtype, place)
    return place.memory.copy_in(found)


def empty(
    shape: int | tuple[int, ...], dtype: npt.DTypeLike, device: str | Device | None = None
) -> Any:
    """A new native array of a device, with any elements."""
    axes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    place, found = _place(device), np.dtype(dtype)
    _check_dtype(found, place)
    return place.memory.allocate(tuple(map(int, axes)), found)


def _check_dtype(dtype: np.dtype, place: Place) -> None:
    """Libraries of devices take one dtype more or less, and fail in words of their own."""
    if not place.host and from_numpy(dtype) is None:
        raise refusals.unsupported_dtype(f"an array for {place}", "x", dtype)


def to_numpy(x: Any) -> np.ndarray:
    """The elements of a native array of any device as a NumPy array; an array of the host's memory
    is shared, not copied."""
    home = _owner(x)
    return _on_host(x) if home is None else home.memory.copy_out(x)


def synchronize(device: str | Device | None = None) -> None:
    """Wait until a device has done all it was asked to; without `device`, every device that
    kernelkit used in this process."""
    places = registry.in_use() if device is None else (_place(device),)
    for place in places:
        place.memory.synchronize()


def Stream(device: str | Device | None = None) -> Any:
    """A new native stream of a device, for `kernel[grid, block, stream]`: launches in one stream
    run in order. On the host every launch is done when it returns."""
    return _place(device).memory.stream()


def Event(device: str | Device | None = None) -> Any:
    """A new event of a device: `event.record(stream)`, `event.synchronize()`, and
    `event.elapsed_ms(earlier)` for the milliseconds between two."""
    return _place(device).memory.event()


def _owner(x: Any) -> Place | None:
    """Whose array `x` is; None for what is, or can become, an array of the host."""
    if isinstance(x, np.ndarray):
        return None
    try:
        if not is_foreign(x):
            return None
    except NotAnArray as error:
        raise ArgumentError(f"the array of a {type_name(x)} cannot be had: {error}") from error
    place = registry.owner(x)
    if place is None:
        raise ArgumentError(
            f"no back end that is usable here works on a {type_name(x)}; kernelkit.devices() says "
            "which are and why others are not"
        )
    return place


def _on_host(x: Any) -> np.ndarray:
    try:
        return host_view(x)
    except NotAnArray as error:
        if str(error):
            raise ArgumentError(f"the array of a {type_name(x)} cannot be had: {error}") from error
        return np.asarray(x)
