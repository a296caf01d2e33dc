"""A device for tests: its memory is not the host's, and the reference runs its kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.shape import Block, Shape
from kernelkit.backend import (
    PROTOCOL,
    Artifact,
    Binary,
    Capabilities,
    Device,
    HostEvent,
    LaunchConfig,
    Target,
)
from kernelkit.ir.nodes import Kernel, Options
from kernelkit_python import ReferenceBackend


class Native:
    """An array of the device; NumPy does not know it, and it follows no protocol."""

    __slots__ = ("data", "home")

    def __init__(self, data: np.ndarray, home: str) -> None:
        self.data, self.home = data, home

    shape = property(lambda self: self.data.shape)
    dtype = property(lambda self: self.data.dtype)
    strides = property(lambda self: self.data.strides)

    def __getitem__(self, key: Any) -> Native:
        return Native(self.data[key], self.home)

    def reshape(self, shape: Any) -> Native:
        return Native(self.data.reshape(shape), self.home)


def address(array: np.ndarray) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


class Other:
    """The same array in another library, which has an interface for others."""

    def __init__(self, native: Native, readonly: bool = False, **interface: Any) -> None:
        self.native = native
        data = native.data
        self.__cuda_array_interface__ = {
            "shape": data.shape,
            "typestr": data.dtype.str,
            "strides": None if data.flags.c_contiguous else data.strides,
            "data": (address(data), readonly),
            "version": 3,
            **interface,
        }


class Tensor:
    """One that speaks DLPack only."""

    def __init__(self, native: Native) -> None:
        self.native = native

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("memory adopts it")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


class Stream:
    """A native stream; `raw` is what other libraries have of it."""

    def __init__(self, home: str, raw: int = 7) -> None:
        self.home, self.raw = home, raw

    def synchronize(self) -> None:
        pass


class FakeMemory:
    """Natives of one device, with room for so many bytes."""

    def __init__(self, home: str, room: int = 1 << 40) -> None:
        self.home, self.room = home, room
        self.copied_in = self.copied_out = self.waited = 0
        self.adopted: list[object] = []
        self.capture = False

    def owns(self, value: object) -> bool:
        native = value.native if isinstance(value, (Other, Tensor)) else value
        return isinstance(native, Native) and native.home == self.home

    def adopt(self, value: Any) -> Native:
        if isinstance(value, Native):
            return value
        self.adopted.append(value)
        native: Native = value.native
        return native

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> Native:
        # Aligned as devices do, and full of what nobody expects.
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size > self.room:
            raise MemoryError(f"{self.home} has {self.room} bytes")
        raw = np.full(size + 64, 0xC5, np.uint8)
        start = -address(raw) % 64
        return Native(raw[start : start + size].view(dtype).reshape(shape), self.home)

    def copy_in(self, value: np.ndarray) -> Native:
        self.copied_in += value.nbytes
        made = self.allocate(value.shape, value.dtype)
        made.data[...] = value
        return made

    def copy_out(self, value: Any) -> np.ndarray:
        native = self.adopt(value)
        self.copied_out += native.data.nbytes
        return native.data.copy()

    def view(self, base: Native, dtype: np.dtype, shape: Any, strides: Any, offset: int) -> Native:
        whole = base.data.reshape(-1).view(np.uint8)
        return Native(np.ndarray(shape, dtype, whole.data, offset, strides), self.home)

    def bounds(self, native: Native) -> tuple[int, int]:
        return np.lib.array_utils.byte_bounds(native.data)

    def plain(self, native: Any) -> tuple[np.dtype, int, int, int] | None:
        if type(native) is not Native or native.home != self.home:
            return None
        data = native.data
        if not data.flags.carray or not 0 < data.nbytes < 1 << 30:
            return None
        first = address(data)
        return data.dtype, data.ndim, first, first + data.nbytes

    def synchronize(self) -> None:
        self.waited += 1

    def stream(self) -> Stream:
        return Stream(self.home)

    def stream_of(self, stream: Any) -> Stream:
        if isinstance(stream, Stream):
            if stream.home != self.home:
                raise ValueError(f"it belongs to {stream.home}")
            return stream
        if isinstance(stream, int):
            return Stream(self.home, stream)
        raise TypeError("this device takes its own streams and raw pointers")

    def capturing(self, stream: Any) -> bool:
        return self.capture

    def event(self) -> HostEvent:
        return HostEvent()


class ReachingMemory(FakeMemory):
    """That of a device which can work in the host's memory."""

    def __init__(self, home: str, room: int = 1 << 40) -> None:
        super().__init__(home, room)
        self.lent: list[tuple[int, bool]] = []
        self.returned: list[bool] = []

    def borrow(self, span: np.ndarray) -> Native | None:
        if span.size < 8:
            return None
        self.lent.append((address(span), span.flags.writeable))
        return Native(span, self.home)

    def give_back(self, native: Native, span: np.ndarray, written: bool) -> None:
        assert native.data is span
        self.returned.append(written)


class FakeDevices:
    """A back end with devices of its own memory. `fail`: the next launch raises that instead."""

    protocol = PROTOCOL

    def __init__(
        self,
        name: str = "fake",
        count: int = 2,
        memory: Callable[..., FakeMemory] = FakeMemory,
        narrow: bool = False,
        **capabilities: Any,
    ) -> None:
        self.name, self.narrow = name, narrow
        self.capabilities = Capabilities(**capabilities)
        self.memories = [memory(f"{name}:{i}") for i in range(count)]
        self.emitted: list[Options] = []
        #: (device, config, native arguments, stream) of each launch.
        self.launches: list[tuple[int, LaunchConfig, Sequence[Any], Any]] = []
        self.fail: BaseException | None = None
        self._reference = ReferenceBackend()

    def probe(self) -> tuple[Device, ...]:
        target = Target("fake", self.capabilities)
        return tuple(
            Device(self.name, i, f"fake device {i}", target) for i in range(len(self.memories))
        )

    def why_unavailable(self) -> str:
        return "it was not made"

    def memory(self, device: Device) -> FakeMemory:
        return self.memories[device.index]

    def shape(self, kernel: Kernel, block: Block, target: Target) -> Shape:
        return self._reference.shape(kernel, block, target)

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        self.emitted.append(analysis.kernel.options)
        return self._reference.emit(analysis, target)

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        return self._reference.compile(artifact, target)

    def load(self, binary: Binary, device: Device) -> FakeExecutable:
        return FakeExecutable(self, self._reference.load(binary, device), device.index)


class FakeExecutable:
    def __init__(self, backend: FakeDevices, inner: Any, index: int) -> None:
        self.backend, self.inner, self.index = backend, inner, index

    def launch(self, config: LaunchConfig, args: Sequence[Any], stream: Any) -> None:
        home = f"{self.backend.name}:{self.index}"
        for each in args:
            assert type(each) is not np.ndarray
            assert not isinstance(each, Native) or each.home == home
        self.backend.launches.append((self.index, config, args, stream))
        data = [each.data if isinstance(each, Native) else each for each in args]
        self.inner.launch(config, data, None)
        if self.backend.fail is not None:  # as one that failed half-way
            error, self.backend.fail = self.backend.fail, None
            raise error
