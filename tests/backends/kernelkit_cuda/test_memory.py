"""Arrays, streams and events of the CUDA back end, with the host in the GPU's place."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kernelkit.errors import ConfigurationError
from kernelkit_cuda.failures import DeviceLostError, DeviceMemoryError
from kernelkit_cuda.memory import CudaMemory
from kernelkit_cuda.streams import CudaEvent, address_of


class Tensor:
    """Another library's array: by `__cuda_array_interface__`."""

    def __init__(self, host: np.ndarray, index: int | None = None, **more: Any) -> None:
        self.host = host
        self.__cuda_array_interface__ = {
            "data": (host.ctypes.data if host.size else 0, False),
            "shape": host.shape, "typestr": host.dtype.str, "strides": host.strides, "version": 3,
        } | more  # fmt: skip
        if index is not None:
            self.device = SimpleNamespace(index=index)


class Exporter:
    """Another library's array: by DLPack."""

    def __init__(self, host: np.ndarray, kind: int, index: int = 0) -> None:
        self.host, self._device = host, (kind, index)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError


@pytest.fixture
def memory(cupy: Any) -> CudaMemory:
    return CudaMemory(cupy, 0)


# ---------------------------------------------------------------- whose it is
def test_arrays_of_cupy_belong_to_their_device(cupy: Any, memory: CudaMemory) -> None:
    cupy.devices = 2
    here = cupy.empty(3)
    with cupy.cuda.Device(1):
        there = cupy.empty(3)
    assert memory.owns(here)
    assert not memory.owns(there)
    assert CudaMemory(cupy, 1).owns(there)


@pytest.mark.parametrize(
    ("kind", "device", "owned"),
    [(2, 0, True), (2, 1, False), (3, 0, True), (3, 1, False), (1, -2, False), (0, -2, False)],
    ids=["here", "another device", "managed", "managed elsewhere", "pinned", "unknown"],
)
def test_arrays_of_others(
    kind: int, device: int, owned: bool, cupy: Any, memory: CudaMemory
) -> None:
    host = np.arange(4, dtype=np.float32)
    cupy.homes[host.ctypes.data] = (kind, device)
    assert memory.owns(Tensor(host)) is owned


def test_arrays_without_elements_have_no_address_to_ask_about(
    cupy: Any, memory: CudaMemory
) -> None:
    empty = np.zeros((0, 3))
    assert memory.owns(Tensor(empty))  # of the current device
    assert not CudaMemory(cupy, 1).owns(Tensor(empty))
    assert CudaMemory(cupy, 1).owns(Tensor(empty, index=1))


def test_arrays_by_dlpack(cupy: Any, memory: CudaMemory) -> None:
    host = np.arange(4)
    assert memory.owns(Exporter(host, 2, 0))
    assert not memory.owns(Exporter(host, 2, 1))
    assert not memory.owns(Exporter(host, 1, 0))
    assert not memory.owns(Exporter(host, 13, 0))  # managed
    assert not memory.owns(Exporter(host, 10, 0))  # ROCm
    native = memory.adopt(Exporter(host, 2, 0))
    assert native.data.ptr == host.ctypes.data


def kind_of(value: Any) -> str:
    return type(value).__name__


class Failing:
    @property
    def __cuda_array_interface__(self) -> Any:
        raise RuntimeError("it requires grad")


@pytest.mark.parametrize(
    "value", [np.zeros(3), np.float32(1), 1, None, "x", float, Failing()], ids=kind_of
)
def test_what_is_no_array_of_a_gpu(value: Any, memory: CudaMemory) -> None:
    assert not memory.owns(value)
    assert memory.plain(value) is None


def test_adopting_shares_the_memory(cupy: Any, memory: CudaMemory) -> None:
    host = np.arange(12, dtype=np.int32).reshape(3, 4)[::-1, ::2]
    native = memory.adopt(Tensor(host))
    assert (native.shape, native.strides, native.dtype) == (host.shape, host.strides, host.dtype)
    native.set(-host)
    assert host[0, 0] == -8
    assert memory.adopt(native) is native


# ---------------------------------------------------------------- views
def test_views_go_backwards_as_well(cupy: Any, memory: CudaMemory) -> None:
    host = np.arange(24, dtype=np.uint8)
    base = cupy.array(host)
    found = memory.view(base, np.dtype(np.int16), (2, 3), (8, -4), 10)
    expected = np.ndarray((2, 3), np.int16, host.tobytes(), 10, (8, -4))
    assert (memory.copy_out(found) == expected).all()
    first = base.data.ptr
    assert memory.bounds(found) == (first + 2, first + 20)
    assert memory.bounds(cupy.empty((0, 4))) is not None
    low, high = memory.bounds(cupy.empty((0, 4))) or (0, 1)
    assert low == high


def test_plain_arrays_are_told_at_once(cupy: Any, memory: CudaMemory) -> None:
    array = cupy.empty((3, 5), np.float32)
    first = array.data.ptr
    assert memory.plain(array) == (np.dtype(np.float32), 2, first, first + 60)
    assert memory.plain(cupy.empty((0, 5))) is None
    assert memory.plain(cupy.ndarray((3,), np.float32, array.data, (8,))) is None
    assert CudaMemory(cupy, 1).plain(array) is None
    large = cupy.ndarray((2**28 + 1,), np.float32, array.data, (4,))
    type(large)._c_contiguous, kept = True, type(large)._c_contiguous
    try:
        assert memory.plain(large) is None
    finally:
        type(large)._c_contiguous = kept


# ---------------------------------------------------------------- room
def test_arrays_go_there_and_come_back(memory: CudaMemory, cupy: Any) -> None:
    host = np.arange(12, dtype=np.float64).reshape(3, 4)
    for array in (host, host[::2, ::-1], host.T, host[0, :0]):
        native = memory.copy_in(array)
        assert memory.owns(native)
        np.testing.assert_array_equal(memory.copy_out(native), array)
    made = memory.allocate((2, 3), np.dtype(np.complex64))
    assert (made.shape, made.dtype) == ((2, 3), np.complex64)
    assert "deviceSynchronize" in cupy.calls  # before it was copied out


def test_what_the_pool_keeps_is_let_go_of_when_there_is_no_room(
    memory: CudaMemory, cupy: Any
) -> None:
    cupy.room, cupy.pooled = 1000, 900
    assert memory.allocate((100,), np.dtype(np.int64)).nbytes == 800
    assert cupy.calls == ["free_all_blocks"]
    with pytest.raises(DeviceMemoryError, match=r"device 0 has no room for an array of 1040 bytes "
                       r"\(13 x 10, int64; Out of memory allocating"):  # fmt: skip
        memory.allocate((13, 10), np.dtype(np.int64))
    with pytest.raises(MemoryError):
        memory.copy_in(np.zeros(200))
    assert memory.allocate((100,), np.dtype(np.int64)).nbytes == 800  # and it goes on


def test_a_lost_device_is_said_to_be_lost(
    memory: CudaMemory, cupy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def synchronize() -> None:
        error = RuntimeError("cudaErrorIllegalAddress")
        error.status = 700  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(cupy.cuda.runtime, "deviceSynchronize", synchronize)
    for use in (memory.synchronize, lambda: memory.copy_out(cupy.empty(3))):
        with pytest.raises(DeviceLostError, match="an address outside of any array"):
            use()


# ---------------------------------------------------------------- streams
class OfCuda:
    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, 0x50


STREAMS = {
    "None": (None, None),
    "default": (0, 0),
    "address": (0x7F00, 0x7F00),
    "CuPy": (SimpleNamespace(ptr=0x10, device_id=0), 0x10),
    "CuPy, device unknown": (SimpleNamespace(ptr=0x10, device_id=-1), 0x10),
    "torch": (SimpleNamespace(cuda_stream=0x20, device=SimpleNamespace(index=0)), 0x20),
    "Numba": (SimpleNamespace(handle=ctypes.c_void_p(0x30)), 0x30),
    "Numba, default": (SimpleNamespace(handle=ctypes.c_void_p(0)), 0),
    "Numba, an int": (SimpleNamespace(handle=0x40), 0x40),
    "protocol": (OfCuda(), 0x50),
    "NumPy's int": (np.uint64(0x60), 0x60),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams_of_every_library(name: str, memory: CudaMemory) -> None:
    stream, address = STREAMS[name]
    found = memory.stream_of(stream)
    assert found == address
    assert found is None or type(found) is int


@pytest.mark.parametrize("value", ["0x10", 1.5, object(), True, [1], np.zeros(2)], ids=kind_of)
def test_what_is_no_stream(value: Any) -> None:
    with pytest.raises(TypeError, match=r"no stream.*a stream of CuPy, Numba or torch"):
        address_of(value, 0)


@pytest.mark.parametrize("address", [-1, 1 << 64])
def test_what_is_no_address(address: int) -> None:
    with pytest.raises(ValueError, match="is the address of no stream"):
        address_of(address, 0)


def test_streams_of_another_device() -> None:
    for stream in (
        SimpleNamespace(ptr=0x10, device_id=1),
        SimpleNamespace(cuda_stream=0x20, device=SimpleNamespace(index=1)),
    ):
        with pytest.raises(ValueError, match=r'kernelkit.Stream\("cuda:0"\)'):
            address_of(stream, 0)


def test_streams_of_its_own(memory: CudaMemory) -> None:
    stream = memory.stream()
    assert memory.stream_of(stream) == stream.ptr


def test_captures(memory: CudaMemory, cupy: Any) -> None:
    assert not memory.capturing(0x40)
    cupy.capturing = True
    assert memory.capturing(0x40)
    assert not memory.capturing(0)
    assert not memory.capturing(None)
    with cupy.cuda.Stream(0x50):
        assert memory.capturing(None)


def test_events_measure(memory: CudaMemory, cupy: Any) -> None:
    before, after = memory.event(), memory.event()
    before.record()
    after.record(0x40)
    after.synchronize()
    assert after.elapsed_ms(before) == 1.5
    assert isinstance(after, CudaEvent)
    assert after._event.stream == 0x40
    with pytest.raises(TypeError, match="an event of CUDA cannot be compared with object"):
        after.elapsed_ms(object())
    with pytest.raises(ConfigurationError, match="events of devices 0 and 1 cannot be compared"):
        after.elapsed_ms(CudaEvent(cupy, 1))
    with pytest.raises(TypeError, match="no stream"):
        before.record("x")
