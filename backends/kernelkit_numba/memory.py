"""The memory of a CUDA device: Numba's device arrays, and every array that shares its memory.

In: arrays with `__cuda_array_interface__`. Out: Numba's DeviceNDArrays, which are what launches take.
Holds: nothing is copied but by copy_in and copy_out.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import cuda
from numba.cuda.api import from_cuda_array_interface
from numba.cuda.cudadrv import driver as numba_driver
from numba.cuda.cudadrv.devicearray import DeviceNDArray

from kernelkit_numba.failures import DeviceMemoryError, explaining
from kernelkit_numba.streams import NumbaEvent, address_of, is_capturing

#: `plain` speaks only of arrays up to this size.
_PLAIN_BYTES: Final = (1 << 30) - 1


class NumbaMemory:
    """Meets `kernelkit.backend.Memory`."""

    def __init__(self, index: int) -> None:
        self._index, self._context = index, cuda.gpus[index]

    # ------------------------------------------------------------ whose it is
    def owns(self, value: object) -> bool:
        if isinstance(value, DeviceNDArray):
            return bool(value.gpu_data.context.device.id == self._index)
        if isinstance(value, (np.ndarray, np.generic, type)):
            return False
        try:
            interface = getattr(value, "__cuda_array_interface__", None)
            return interface is not None and self._holds(value, interface)
        except Exception:  # it offers an array that cannot be had
            return False

    def _holds(self, value: Any, interface: Any) -> bool:
        address = interface["data"][0]
        if address and 0 not in interface["shape"]:
            binding = numba_driver.binding
            attribute = binding.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
            with self._context:
                found = numba_driver.driver.cuPointerGetAttribute(
                    attribute, binding.CUdeviceptr(address)
                )
            return int(found) == self._index
        # Nothing is there to ask about; torch's say where they are.
        index = getattr(getattr(value, "device", None), "index", None)
        return not isinstance(index, int) or index == self._index

    def adopt(self, value: Any) -> Any:
        if isinstance(value, DeviceNDArray):
            return value
        with self._context, explaining("taking an array over"):
            return cuda.as_cuda_array(value)

    def view(
        self, base: Any, dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...],
        offset: int,
    ) -> Any:  # fmt: skip
        interface = {
            "shape": shape,
            "strides": strides,
            "typestr": np.dtype(dtype).str,
            "data": (_address(base) + offset, False),
            "version": 3,
        }
        with self._context:
            return from_cuda_array_interface(interface, owner=base, sync=False)

    def bounds(self, native: Any) -> tuple[int, int] | None:
        first = _address(native)
        if native.size == 0:
            return first, first
        steps = [(n - 1) * s for n, s in zip(native.shape, native.strides, strict=True)]
        low, high = sum(min(0, step) for step in steps), sum(max(0, step) for step in steps)
        return first + low, first + high + native.dtype.itemsize

    def plain(self, value: Any) -> tuple[np.dtype, int, int, int] | None:
        if type(value) is not DeviceNDArray:
            return None
        size = value.size * value.dtype.itemsize
        if not 0 < size <= _PLAIN_BYTES or not value.is_c_contiguous():
            return None
        if value.gpu_data.context.device.id != self._index:
            return None
        first = _address(value)
        return value.dtype, value.ndim, first, first + size

    # ------------------------------------------------------------ there and back
    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        return self._with_room(shape, dtype, lambda: cuda.device_array(shape, dtype))

    def copy_in(self, value: np.ndarray) -> Any:
        return self._with_room(
            value.shape, value.dtype, lambda: cuda.to_device(np.array(value, order="C"))
        )

    def _with_room(self, shape: tuple[int, ...], dtype: np.dtype, make: Any) -> Any:
        with self._context:
            try:
                with explaining("allocating an array"):
                    return make()
            except DeviceMemoryError as error:
                size = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=object))
                raise DeviceMemoryError(
                    f"device {self._index} has no room for an array of {size} bytes "
                    f"({' x '.join(map(str, shape)) or 'one element'}, {np.dtype(dtype)})"
                ) from error

    def copy_out(self, value: Any) -> np.ndarray:
        native = self.adopt(value)
        with self._context, explaining("copying an array to the host"):
            # Whatever stream it was written in.
            cuda.synchronize()
            if native.size == 0:
                return np.empty(native.shape, native.dtype)
            # Numba copies no negative strides, so all the bytes that the elements span.
            first, end = self.bounds(native) or (0, 0)
            offset = _address(native) - first
            span = self.view(native, np.dtype(np.uint8), (end - first,), (1,), -offset)
            raw = span.copy_to_host()
            return np.ndarray(native.shape, native.dtype, raw.data, offset, native.strides)

    def synchronize(self) -> None:
        with self._context, explaining("waiting for the device"):
            cuda.synchronize()

    # ------------------------------------------------------------ streams
    def stream(self) -> Any:
        with self._context, explaining("making a stream"):
            return cuda.stream()

    def event(self) -> NumbaEvent:
        return NumbaEvent(self._context)

    def stream_of(self, stream: object) -> int | None:
        return address_of(stream, self._index)

    def capturing(self, stream: int | None) -> bool:
        return is_capturing(self._context, stream)


def _address(native: Any) -> int:
    return int(native.device_ctypes_pointer.value or 0)
