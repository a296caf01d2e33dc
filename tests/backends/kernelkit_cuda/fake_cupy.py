"""A CuPy whose devices are the host: what the CUDA back end asks of CuPy, and no more.

In: kernels as Python functions, by name. Out: an object in place of the module `cupy`, which notes
what it was asked.
Holds: `launchKernel` gets addresses, as the driver does, and reads the arguments from there.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np


class CudaError(RuntimeError):
    """As CuPy's: it has the number that CUDA gave."""

    def __init__(self, status: int, text: str = "CUDA_ERROR") -> None:
        super().__init__(f"{text}: {status}")
        self.status = status


class OutOfMemoryError(MemoryError):
    pass


class MemoryPointer:
    def __init__(self, keep: Any, ptr: int, device_id: int) -> None:
        self._keep, self.ptr, self.device_id = keep, ptr, device_id

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self._keep, self.ptr + offset, self.device_id)


class _Bytes:
    def __init__(self, array: Array) -> None:
        self._keep = array.data
        self.__array_interface__ = {
            "data": (array.data.ptr, False), "shape": array.shape, "strides": array.strides,
            "typestr": array.dtype.str, "version": 3,
        }  # fmt: skip


class Array:
    """A `cupy.ndarray`."""

    def __init__(self, shape: Any, dtype: Any, memptr: MemoryPointer, strides: Any = None) -> None:
        self.shape, self.dtype, self.data = tuple(shape), np.dtype(dtype), memptr
        if strides is None:
            strides = np.ndarray(self.shape, self.dtype, bytes(self.nbytes)).strides
        self.strides = tuple(strides)

    ndim = property(lambda self: len(self.shape))
    size = property(lambda self: int(np.prod(self.shape)))
    nbytes = property(lambda self: self.size * self.dtype.itemsize)

    @property
    def _c_contiguous(self) -> bool:
        return self.host().flags.c_contiguous

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "data": (self.data.ptr, False), "shape": self.shape, "strides": self.strides,
            "typestr": self.dtype.str, "version": 3,
        }  # fmt: skip

    def host(self) -> np.ndarray:
        return np.asarray(_Bytes(self))

    def get(self) -> np.ndarray:
        return self.host().copy()

    def set(self, value: np.ndarray) -> None:
        self.host()[...] = value

    def __getitem__(self, key: slice) -> Array:
        found = self.host()[key]
        return Array(found.shape, found.dtype, self.data + (found.ctypes.data - self.data.ptr))


class Stream:
    null: Stream

    def __init__(self, ptr: int | None = None, device_id: int = 0) -> None:
        self.ptr = 0x5000 + id(self) % 4096 * 16 if ptr is None else ptr
        self.device_id = device_id
        self.synchronized = 0

    @classmethod
    def from_external(cls, obj: Any) -> Stream:
        version, ptr = obj.__cuda_stream__()
        assert version == 0
        return cls(ptr, -1)

    def __enter__(self) -> Stream:
        _current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _current.pop()

    def synchronize(self) -> None:
        self.synchronized += 1


Stream.null = Stream(0, -1)
_current = [Stream.null]


class Event:
    now = 0.0

    def record(self, stream: Stream) -> None:
        Event.now += 1.5
        self.stream, self.time = stream.ptr, Event.now

    def synchronize(self) -> None:
        pass


class FakeCupy:
    """`kernels`: name of the function -> Python function of a Launch. `failures`: errors that the
    next launches raise. `room`: bytes that may be allocated at once."""

    __version__ = "14.2.0"
    ndarray = Array

    def __init__(self, devices: int = 1) -> None:
        self.devices, self.device = devices, 0
        self.kernels: dict[str, Callable[[Launch], None]] = {}
        self.launches: list[Launch] = []
        self.failures: list[BaseException] = []
        self.attributes_set: list[tuple[int, int, int]] = []
        self.calls: list[str] = []
        self.room, self.pooled, self.capturing = 1 << 40, 0, False
        self.homes: dict[int, tuple[int, int]] = {}
        self.is_hip, self.versions, self.warp_size = False, (13020, 13020), 32
        self.compute_capability = (9, 0)
        self._names: dict[int, str] = {}
        runtime = SimpleNamespace(
            is_hip=False,
            driverGetVersion=lambda: self.versions[0],
            runtimeGetVersion=lambda: self.versions[1],
            getDeviceCount=lambda: self.devices,
            getDevice=lambda: self.device,
            setDevice=self._set_device,
            memGetInfo=lambda: self.calls.append("memGetInfo"),
            deviceSynchronize=lambda: self.calls.append("deviceSynchronize"),
            pointerGetAttributes=self._pointer_attributes,
            streamIsCapturing=lambda ptr: self.capturing,
            getDeviceProperties=lambda index: self._properties(),
        )  # fmt: skip
        driver = SimpleNamespace(
            moduleGetFunction=self._function,
            launchKernel=self._launch,
            funcGetAttribute=lambda attribute, f: {0: 512, 4: 168}[attribute],
            funcSetAttribute=self._set_attribute,
        )
        self.cuda = SimpleNamespace(
            runtime=runtime, driver=driver, Stream=Stream, Event=Event,
            Device=lambda index: Device(self, index),
            function=SimpleNamespace(Module=lambda: Module(self)),
            get_current_stream=lambda: _current[-1],
            get_elapsed_time=lambda a, b: b.time - a.time,
        )  # fmt: skip

    # ------------------------------------------------------------ arrays
    def _home(self) -> int:
        return self.device

    def empty(self, shape: Any, dtype: Any = float) -> Array:
        host = np.empty(shape, dtype)
        if host.nbytes > self.room - self.pooled:
            raise OutOfMemoryError(f"Out of memory allocating {host.nbytes} bytes")
        return Array(host.shape, host.dtype, MemoryPointer(host, host.ctypes.data, self.device))

    def zeros(self, shape: Any, dtype: Any = float) -> Array:
        made = self.empty(shape, dtype)
        made.host()[...] = 0
        return made

    def array(self, value: np.ndarray) -> Array:
        made = self.empty(value.shape, value.dtype)
        made.host()[...] = value
        return made

    def asarray(self, value: Any) -> Array:
        found = value.__cuda_array_interface__
        pointer = MemoryPointer(value, found["data"][0], self.device)
        return Array(found["shape"], found["typestr"], pointer, found.get("strides"))

    def from_dlpack(self, value: Any) -> Array:
        host = np.from_dlpack(value.host)
        return Array(host.shape, host.dtype, MemoryPointer(host, host.ctypes.data, self.device))

    def asnumpy(self, value: Array) -> np.ndarray:
        return value.get()

    def get_default_memory_pool(self) -> Any:
        def free() -> None:
            self.pooled = 0
            self.calls.append("free_all_blocks")

        return SimpleNamespace(free_all_blocks=free)

    # ------------------------------------------------------------ runtime, driver
    def _properties(self) -> dict[str, Any]:
        major, minor = self.compute_capability
        return {
            "name": b"Fake GPU", "major": major, "minor": minor, "warpSize": self.warp_size,
            "maxThreadsPerBlock": 1024, "maxThreadsDim": (1024, 1024, 64),
            "maxGridSize": (2**31 - 1, 65535, 65535), "sharedMemPerBlock": 49152,
            "sharedMemPerBlockOptin": 232448, "gcnArchName": b"gfx1100:xnack-",
        }  # fmt: skip

    def _set_device(self, index: int) -> None:
        self.device = index
        self.calls.append(f"setDevice {index}")

    def _pointer_attributes(self, address: int) -> Any:
        kind, device = self.homes.get(address, (0, -2))
        return SimpleNamespace(type=kind, device=device)

    def _function(self, module: int, name: str) -> int:
        self._names[handle := 100 + len(self._names)] = name
        return handle

    def _set_attribute(self, f: int, attribute: int, value: int) -> None:
        if value > 227 * 1024:
            raise CudaError(1, "CUDA_ERROR_INVALID_VALUE")
        self.attributes_set.append((f, attribute, value))

    def _launch(
        self, f: int, gx: int, gy: int, gz: int, bx: int, by: int, bz: int, shared: int,
        stream: int, parameters: int, extra: int,
    ) -> None:  # fmt: skip
        assert extra == 0
        if self.failures:
            raise self.failures.pop(0)
        launch = Launch((gx, gy, gz), (bx, by, bz), shared, stream, parameters, self.device)
        self.launches.append(launch)
        self.kernels.get(self._names[f], lambda launch: None)(launch)


class Launch:
    """What the driver was given; `read` takes an argument from where it lies then."""

    def __init__(
        self, grid: Any, block: Any, shared: int, stream: int, at: int, device: int
    ) -> None:
        self.grid, self.block, self.shared, self.stream = grid, block, shared, stream
        self.device, self._at = device, at

    def read(self, number: int, dtype: Any) -> Any:
        address = ctypes.c_uint64.from_address(self._at + 8 * number).value
        kind = np.dtype(dtype)
        assert address % kind.alignment == 0
        return np.frombuffer(ctypes.string_at(address, kind.itemsize), kind)[0]


class Device:
    def __init__(self, cupy: FakeCupy, index: int) -> None:
        self._cupy, self.id = cupy, index
        self._before: list[int] = []

    def __enter__(self) -> Device:
        self._before.append(self._cupy.device)
        self._cupy.device = self.id
        return self

    def __exit__(self, *_: object) -> None:
        self._cupy.device = self._before.pop()


class Module:
    def __init__(self, cupy: FakeCupy) -> None:
        self._cupy, self.ptr = cupy, 0

    def load(self, code: bytes) -> None:
        if self._cupy.failures:
            raise self._cupy.failures.pop(0)
        self.ptr = 7
