"""Back ends made of nothing: they compile to a note of what they were given, and run nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from kernelkit import registry
from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.shape import Block, Shape
from kernelkit.backend import (
    PROTOCOL,
    Artifact,
    Binary,
    Capabilities,
    Device,
    HostEvent,
    HostMemory,
    LaunchConfig,
    Target,
)
from kernelkit.ir.nodes import Kernel


class DeviceArray:
    """An array in memory that the host cannot reach; `address` makes ranges that may overlap."""

    def __init__(
        self, data: np.ndarray, home: str, address: int | None = 4096, readonly: bool = False
    ) -> None:
        self.data, self.home = data, home
        self.shape, self.dtype, self.strides = data.shape, data.dtype, data.strides
        if address is not None:
            self.__cuda_array_interface__ = {
                "shape": data.shape,
                "typestr": data.dtype.str,
                "strides": None if data.flags.c_contiguous else data.strides,
                "data": (address, readonly),
                "version": 3,
            }


class DeviceMemory:
    """Device arrays of one device."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.waited = 0

    def owns(self, value: object) -> bool:
        return isinstance(value, DeviceArray) and value.home == self.home

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> DeviceArray:
        return DeviceArray(np.empty(shape, dtype), self.home)

    def copy_in(self, value: np.ndarray) -> DeviceArray:
        return DeviceArray(value.copy(), self.home)

    def copy_out(self, value: DeviceArray) -> np.ndarray:
        return value.data.copy()

    def synchronize(self) -> None:
        self.waited += 1

    def stream(self) -> str:
        return f"stream of {self.home}"

    def event(self) -> HostEvent:
        return HostEvent()


class FakeBackend:
    """A back end that remembers what it was asked."""

    protocol = PROTOCOL

    def __init__(
        self,
        name: str,
        capabilities: Capabilities | None = None,
        host: bool = True,
        count: int = 1,
        why: str = "",
    ) -> None:
        self.name, self.why = name, why
        self.capabilities = Capabilities() if capabilities is None else capabilities
        self.memories: list[Any] = [
            HostMemory() if host else DeviceMemory(f"{name}:{i}") for i in range(count)
        ]
        #: (config, args, stream) of every launch, and the kernels that were emitted.
        self.launches: list[tuple[LaunchConfig, Sequence[Any], object]] = []
        self.emitted: list[Kernel] = []
        self.compiled = self.loaded = 0
        #: Called instead of compiling, where a test wants that to go wrong.
        self.on_compile: Callable[[], None] = lambda: None

    def probe(self) -> tuple[Device, ...]:
        target = Target("nothing", self.capabilities)
        places = range(len(self.memories))
        return tuple(Device(self.name, i, f"{self.name} device", target) for i in places)

    def why_unavailable(self) -> str:
        return self.why

    def shape(self, kernel: Kernel, block: Block, target: Target) -> Shape:
        return Shape(block)

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        self.emitted.append(analysis.kernel)
        return Artifact(f"text of {analysis.kernel.name}")

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        self.on_compile()
        self.compiled += 1
        return Binary(artifact.text.encode())

    def load(self, binary: Binary, device: Device) -> FakeBackend:
        self.loaded += 1
        return self

    def launch(self, config: LaunchConfig, args: Sequence[Any], stream: object) -> None:
        self.launches.append((config, args, stream))

    def memory(self, device: Device) -> Any:
        return self.memories[device.index]


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tester's own environment chooses is not under test."""
    monkeypatch.delenv("KERNELKIT_BACKEND", raising=False)
    monkeypatch.delenv("KERNELKIT_DEBUG", raising=False)


@pytest.fixture
def fake_backend() -> Iterator[Callable[..., FakeBackend]]:
    """fake_backend(name, ...): a new FakeBackend, registered while the test runs."""
    made: list[str] = []

    def make(name: str = "fake", **what: Any) -> FakeBackend:
        backend = FakeBackend(name, **what)
        made.append(name)
        registry.register(backend)
        return backend

    yield make
    for name in made:
        registry.unregister(name)


@pytest.fixture
def fake(fake_backend: Callable[..., FakeBackend]) -> FakeBackend:
    """A back end that takes the host's arrays, and is chosen by its name "fake"."""
    return fake_backend()


@pytest.fixture
def device_array() -> type[DeviceArray]:
    return DeviceArray
