"""Arrays that are not NumPy's: those of the host by their interfaces, those of devices by description.

In: any object. Out: for memory of the host a NumPy view that shares it; for other memory what a
launch must know of the array.
Holds: nothing is copied.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from kernelkit import registry
from kernelkit.records import record

#: DLPack's device types whose memory the host reads and writes: CPU, CUDA pinned, ROCm pinned.
_HOST_DEVICES = (1, 3, 11)


class NotAnArray(Exception):
    """The object offers no array, or offers one that cannot be had; the text says why, if known."""


def dlpack_device(value: object) -> int | None:
    """The type of the device that a DLPack array lives on; None for other objects."""
    if not hasattr(value, "__dlpack__") or not hasattr(value, "__dlpack_device__"):
        return None
    return int(value.__dlpack_device__()[0])


def is_foreign(value: object) -> bool:
    """Whether an object looks like an array in memory that is not the host's."""
    if isinstance(value, type):  # np.float32 has all the attributes of its instances
        return False
    if _has(value, "__cuda_array_interface__"):
        return True
    if _has(value, "__array_interface__"):
        return False
    try:
        device = dlpack_device(value)
    except Exception as error:
        raise NotAnArray(f"{type(error).__name__}: {error}") from error
    if device is not None:
        return device not in _HOST_DEVICES
    # Such as pyopencl's, which follows no protocol. pandas' has __array__ and is the host's.
    return not _has(value, "__array__") and all(
        _has(value, name) for name in ("shape", "dtype", "strides")
    )


def _has(value: object, name: str) -> bool:
    """As hasattr; also where reading the attribute fails, which whoever uses it then reports."""
    try:
        return hasattr(value, name)
    except Exception:
        return True


def host_view(value: Any) -> np.ndarray:
    """A NumPy array that shares the memory of an array of the host."""
    if isinstance(value, type):
        raise NotAnArray("")
    try:
        if _has(value, "__array_interface__"):
            return np.asarray(value)
        if dlpack_device(value) in _HOST_DEVICES:
            return _from_dlpack(value)
    except Exception as error:
        raise NotAnArray(f"{type(error).__name__}: {error}") from error
    raise NotAnArray("")


def _from_dlpack(value: Any) -> np.ndarray:
    array = np.from_dlpack(value)
    if array.flags.writeable or not hasattr(value, "__array__"):
        return array
    # DLPack before 1.0 does not say whether one may write; the object's own view does.
    own = np.asarray(value)
    same = ("dtype", "shape", "strides")
    shared = own.ctypes.data == array.ctypes.data and all(
        getattr(own, name) == getattr(array, name) for name in same
    )
    return own if shared else array


@record(eq=False)
class ForeignArray:
    """What a launch must know of an array in a device's memory. `address` is None where unknown."""

    native: Any
    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    address: int | None
    readonly: bool
    #: Its bounds, where its memory says them; addresses then do not count.
    reach: tuple[int, int] | None = None

    @property
    def contiguous(self) -> bool:
        """Whether it lies in order without gaps; axes of one element do not matter."""
        if self.strides is None or 0 in self.shape:
            return True
        step = self.dtype.itemsize
        for n, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if n != 1 and stride != step:
                return False
            step *= n
        return True

    @property
    def aligned(self) -> bool:
        """Whether its elements lie at multiples of their alignment, as far as is known."""
        if 0 in self.shape:
            return True
        step, bounds = self.dtype.alignment, self.bounds()
        if bounds is not None and bounds[0] % step:
            return False
        strides = zip(self.shape, self.strides or (), strict=False)
        return not any(n > 1 and stride % step for n, stride in strides)

    def bounds(self) -> tuple[int, int] | None:
        """Its first address and the one after its last, or None where that is unknown."""
        if self.reach is not None:
            return self.reach
        if self.address is None:
            return None
        if 0 in self.shape:
            return self.address, self.address
        if self.strides is None:
            return self.address, self.address + math.prod(self.shape) * self.dtype.itemsize
        steps = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
        low = sum(min(s, 0) for s in steps)
        high = sum(max(s, 0) for s in steps)
        return self.address + low, self.address + high + self.dtype.itemsize


def describe(value: Any) -> ForeignArray:
    """What a device array says of itself."""
    try:
        interface = getattr(value, "__cuda_array_interface__", None)
        if interface is not None:
            return _by_interface(value, interface)
        if _has(value, "__dlpack__"):
            native = _adopted(value)
            if native is not value:
                return describe(native)
        strides = getattr(value, "strides", None)
        strides = None if callable(strides) else strides
        shape, strides = _layout(value.shape, strides)
        return ForeignArray(value, np.dtype(value.dtype), shape, strides, None, False)
    except NotAnArray:
        raise
    except Exception as error:
        raise NotAnArray(f"{type(error).__name__}: {error}") from error


def _by_interface(value: Any, interface: Any) -> ForeignArray:
    if interface.get("mask") is not None:
        raise NotAnArray("it has a mask, which a kernel would not see")
    address, readonly = interface["data"]
    shape, strides = _layout(interface["shape"], interface.get("strides"))
    dtype = np.dtype(interface["typestr"])
    return ForeignArray(value, dtype, shape, strides, address, bool(readonly))


def _layout(shape: Any, strides: Any) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Both as ints, one for each axis."""
    shape = tuple(map(operator.index, shape))
    if any(n < 0 for n in shape):
        raise NotAnArray(f"it says that its shape is {shape}")
    if strides is None:
        return shape, None
    strides = tuple(map(operator.index, strides))
    if len(strides) != len(shape):
        raise NotAnArray(f"it says that its shape is {shape} and its strides are {strides}")
    return shape, strides


def _adopted(value: Any) -> Any:
    """An array that follows DLPack only, as the device where it lies knows arrays: DLPack tells
    nothing of an array that is not taken over."""
    place = registry.owner(value)
    adopt = None if place is None else getattr(place.memory, "adopt", None)
    return value if adopt is None else adopt(value)


def settle(array: ForeignArray, memory: Any) -> ForeignArray:
    """The same array as a native one of the memory that owns it."""
    adopt, bounds = getattr(memory, "adopt", None), getattr(memory, "bounds", None)
    native = array.native if adopt is None else adopt(array.native)
    if bounds is None:
        if native is array.native:
            return array
        reach, address = array.reach, array.address
    else:
        reach, address = bounds(native), None
    return ForeignArray(
        native, array.dtype, array.shape, array.strides, address, array.readonly, reach
    )
