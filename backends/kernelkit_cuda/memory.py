"""The memory of a CUDA device: CuPy's arrays, and every array that shares its memory.

In: arrays of any library. Out: `cupy.ndarray`s, which are what launches take.
Holds: nothing is copied but by copy_in and copy_out; a device without room stays usable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np

from kernelkit_cuda.failures import DeviceMemoryError, explaining
from kernelkit_cuda.streams import CudaEvent, address_of, cupy_stream

T = TypeVar("T")

#: DLPack's types of devices whose memory is CUDA's, and ROCm's.
_DLPACK_CUDA, _DLPACK_ROCM = 2, 10
#: What cudaPointerGetAttributes calls memory of a device, and managed memory of one.
_ON_DEVICE: Final = (2, 3)
#: `plain` speaks only of arrays up to this size.
_PLAIN_BYTES: Final = (1 << 30) - 1

#: (dtype, number of axes, first address, the one after the last)
Plain = tuple[np.dtype, int, int, int]


class CudaMemory:
    """Meets `kernelkit.backend.Memory`."""

    def __init__(self, cupy: Any, index: int) -> None:
        self._cupy, self._index = cupy, index
        self._dlpack = _DLPACK_ROCM if cupy.cuda.runtime.is_hip else _DLPACK_CUDA
        #: For every warm launch; what it needs is bound in it.
        self.plain: Callable[[Any], Plain | None] = _plain(cupy.ndarray, index)

    def _device(self) -> Any:
        return self._cupy.cuda.Device(self._index)

    # ------------------------------------------------------------ whose it is
    def owns(self, value: object) -> bool:
        if isinstance(value, self._cupy.ndarray):
            native: Any = value
            return bool(native.data.device_id == self._index)
        if isinstance(value, (np.ndarray, np.generic, type)):
            return False
        try:
            interface = getattr(value, "__cuda_array_interface__", None)
            if interface is not None:
                return self._holds(value, interface)
            device = getattr(value, "__dlpack_device__", None)
            return device is not None and tuple(map(int, device())) == (self._dlpack, self._index)
        except Exception:  # it offers an array that cannot be had
            return False

    def _holds(self, value: Any, interface: Any) -> bool:
        address = interface["data"][0]
        if address and 0 not in interface["shape"]:
            found = self._cupy.cuda.runtime.pointerGetAttributes(address)
            return bool(found.type in _ON_DEVICE and found.device == self._index)
        # Nothing is there to ask about; torch's say where they are, others are of the current device.
        index = getattr(getattr(value, "device", None), "index", None)
        if not isinstance(index, int):
            index = self._cupy.cuda.runtime.getDevice()
        return bool(index == self._index)

    def adopt(self, value: Any) -> Any:
        if isinstance(value, self._cupy.ndarray):
            return value
        with self._device(), explaining("taking an array over"):
            if hasattr(value, "__cuda_array_interface__"):
                return self._cupy.asarray(value)
            return self._cupy.from_dlpack(value)

    def view(
        self, base: Any, dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...],
        offset: int,
    ) -> Any:  # fmt: skip
        with self._device():
            return self._cupy.ndarray(shape, dtype, base.data + offset, strides)

    def bounds(self, native: Any) -> tuple[int, int] | None:
        first: int = native.data.ptr
        if native.size == 0:
            return first, first
        low = high = 0
        for n, stride in zip(native.shape, native.strides, strict=True):
            low += min(0, (n - 1) * stride)
            high += max(0, (n - 1) * stride)
        return first + low, first + high + native.dtype.itemsize

    # ------------------------------------------------------------ there and back
    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        return self._with_room(lambda: self._cupy.empty(shape, dtype), shape, dtype)

    def copy_in(self, value: np.ndarray) -> Any:
        # CuPy copies what is not contiguous by itself; a Fortran array stays one.
        return self._with_room(lambda: self._cupy.array(value), value.shape, value.dtype)

    def _with_room(self, make: Callable[[], T], shape: tuple[int, ...], dtype: np.dtype) -> T:
        """What `make` allocates; once more when CuPy's pool has let go of what it keeps."""
        with self._device(), explaining("allocating an array"):
            try:
                return make()
            except MemoryError:
                self._cupy.get_default_memory_pool().free_all_blocks()
            try:
                return make()
            except MemoryError as error:
                size = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=object))
                raise DeviceMemoryError(
                    f"device {self._index} has no room for an array of {size} bytes "
                    f"({' x '.join(map(str, shape)) or 'one element'}, {np.dtype(dtype)}; {error})"
                ) from error

    def copy_out(self, value: Any) -> np.ndarray:
        native = self.adopt(value)
        with self._device(), explaining("copying an array to the host"):
            # Whatever stream it was written in.
            self._cupy.cuda.runtime.deviceSynchronize()
            return np.asarray(self._cupy.asnumpy(native))

    def synchronize(self) -> None:
        with self._device(), explaining("waiting for the device"):
            self._cupy.cuda.runtime.deviceSynchronize()

    # ------------------------------------------------------------ streams
    def stream(self) -> Any:
        with self._device(), explaining("making a stream"):
            return self._cupy.cuda.Stream()

    def event(self) -> CudaEvent:
        return CudaEvent(self._cupy, self._index)

    def stream_of(self, stream: object) -> int | None:
        return address_of(stream, self._index)

    def capturing(self, stream: int | None) -> bool:
        with self._device():
            address = cupy_stream(self._cupy, stream).ptr
            # The default stream is never captured, and asking disturbs a capture elsewhere.
            return bool(address > 2 and self._cupy.cuda.runtime.streamIsCapturing(address))


def _plain(ndarray: Any, index: int) -> Callable[[Any], Plain | None]:
    def plain(value: Any) -> Plain | None:
        if type(value) is not ndarray:
            return None
        data, size = value.data, value.nbytes
        if data.device_id != index or not 0 < size <= _PLAIN_BYTES or not value._c_contiguous:
            return None
        first = data.ptr
        return value.dtype, value.ndim, first, first + size

    return plain
