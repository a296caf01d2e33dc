"""The door for back ends: the Backend protocol and what passes through it.

In: an Analysis of a typed kernel. Out: text, then bytes, then something that launches.
Holds: a back end is found through the entry-point group `kernelkit.backends` and imports of
kernelkit only errors, ir, analysis, emit and this module; emit and compile need no device.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from kernelkit.ir.types import DTYPES
from kernelkit.records import record

if TYPE_CHECKING:  # a launch of what the disk cache holds needs no analysis
    from kernelkit.analysis.pipeline import Analysis
    from kernelkit.analysis.shape import Block, Shape
    from kernelkit.ir.nodes import Kernel

#: The version of this protocol; a back end that names another one is refused with a clear message.
PROTOCOL = 1


@record
class Capabilities:
    """What a device can do. The runtime checks launches against it, so that every back end
    refuses in the same words."""

    dtypes: frozenset[str] = frozenset(DTYPES)
    #: Dtypes on which atomics work, in global and in shared memory.
    atomics: frozenset[str] = frozenset(
        ("int32", "uint32", "int64", "uint64", "float32", "float64")
    )
    warp_operations: bool = True
    #: Warp operations also where threads of one block part ways. A back end whose device cannot do
    #: that refuses such a kernel when it is to emit it.
    divergent_warps: bool = True
    barriers: bool = True
    shared_memory: bool = True
    printing: bool = True
    assertions: bool = True
    reproducible: bool = True
    threads_per_block: int = 1024
    block: tuple[int, int, int] = (1024, 1024, 64)
    grid: tuple[int, int, int] = (2**31 - 1, 65535, 65535)
    #: Bytes of shared memory a block may use, static and dynamic together.
    shared_bytes: int = 48 * 1024


@record
class Target:
    """What code is made for: `name` says which processor, in the back end's own words."""

    name: str
    capabilities: Capabilities = Capabilities()
    features: str = ""


@record
class Device:
    """One device that a back end found. `name` is what a person calls it."""

    backend: str
    index: int
    name: str
    target: Target = field(repr=False)


@record
class Artifact:
    """What emit made: text for people, caches and compilers. `metadata` is JSON-like."""

    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@record
class Binary:
    """What compile made and a disk cache may keep: bytes, free of any device."""

    data: bytes
    metadata: Mapping[str, Any] = field(default_factory=dict)


@record
class LaunchConfig:
    """A checked launch: grid and block as (x, y, z), dynamic shared memory in bytes."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int = 0


class Executable(Protocol):
    """A kernel, loaded and ready."""

    def launch(self, config: LaunchConfig, args: Sequence[Any], stream: object) -> None:
        """Run it. `args` are in the order of Kernel.params: native arrays and scalars, checked."""


class Event(Protocol):
    """A point in a stream, for timing."""

    def record(self, stream: object = None) -> None: ...
    def synchronize(self) -> None: ...
    def elapsed_ms(self, since: Event) -> float:
        """Milliseconds from `since` to this event."""


class Memory(Protocol):
    """The native arrays of a device.

    The arrays that a launch hands to Executable.launch are of the device's own type: its native
    arrays. `allocate` and `copy_in` raise MemoryError where there is no room.

    A memory may have, besides, what follows; a device whose memory is not the host's does well to
    have the first three.

    adopt(value) -> native: a native array that shares the memory of something this memory owns,
        `value` itself if it is native. It waits for, or orders this thread's launches after, the
        stream that the value names (`stream` in version 3 of `__cuda_array_interface__`).
        Without it, all that this memory owns is native.
    view(base, dtype, shape, strides, offset) -> native: other elements of a native array's memory;
        `strides` and `offset` in bytes, from the first element of `base`. NumPy arrays that
        overlap or have gaps are passed to a device in this way; without it they are refused there.
    bounds(native) -> (first, end) | None: the range of bytes that its elements span, in numbers
        that are equal for equal places and differ for different ones; an address, where there is
        one. None where that is not known: the array then counts as overlapping every other.
        Needed for natives that have no `__cuda_array_interface__`.
    plain(native) -> (dtype, ndim, first, end) | None: for a warm launch; its time is part of every
        launch. Says of an array that is exactly of the native type and lies on this device, in
        order without gaps, may be written, has at least one element and less than 2**30 bytes: its
        NumPy dtype, how many axes it has, and its bounds as above. None for anything else, which then
        takes the longer way.
    stream_of(stream) -> native stream: of a stream of this device's, other libraries' streams, raw
        pointers. It raises TypeError or ValueError for anything else, the text saying what it
        takes. Without it, streams are handed on as they are.
    capturing(stream) -> bool: whether launches there are being recorded (into a CUDA graph) and not
        run, so that nothing can be copied or waited for. `stream` is native, or None.
    borrow(span) -> native | None: the host's memory in place of a copy, for devices that reach it:
        a one-dimensional native array of uint8 over the bytes of `span`, or None where this span
        cannot be used so, which is then copied.
    give_back(native, span, written): ends a borrow, after the launch was waited for: if `written`,
        `span` holds what the device wrote.
    """

    def owns(self, value: object) -> bool:
        """Whether `value` is an array that lives where this device works, native or another
        library's."""

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> Any: ...
    def copy_in(self, value: np.ndarray) -> Any:
        """A device array with the elements of `value`; `value` itself where the device can use it.
        `value` may change as soon as this returns."""

    def copy_out(self, value: Any) -> np.ndarray:
        """The elements of an array that this memory owns, after all that was asked of it before."""

    def synchronize(self) -> None: ...
    def stream(self) -> Any: ...
    def event(self) -> Event: ...


@runtime_checkable
class Backend(Protocol):
    """What a package registers under `kernelkit.backends`.

    It may have, besides:

    forms: a mapping of names to functions (Analysis, Target) -> text, which
        `kernel.inspect(what=name)` shows.
    offline: arch -> Target, of a device that is not at hand; "" for what it thinks best. Kernels can be
        inspected and compiled for it.
    narrow = True: kernels are compiled with Options.small wherever a launch keeps that promise, and
        once more without it where one does not.
    rounds = True: a launch rounds a number, Python's or NumPy's, to the type of its parameter. A
        float64 or complex128 argument that the kernel reads only rounded to one narrower type
        then is a parameter of that type.
    cached, cache_key, cache: see DiskCache, and docs/backends.md.
    """

    name: str
    protocol: int

    def probe(self) -> tuple[Device, ...]:
        """The devices usable here; () where there are none. Never raises."""

    def why_unavailable(self) -> str:
        """One line that says why probe() found nothing and what would help; else ''."""

    def shape(self, kernel: Kernel, block: Block, target: Target) -> Shape: ...
    def emit(self, analysis: Analysis, target: Target) -> Artifact: ...
    def compile(self, artifact: Artifact, target: Target) -> Binary: ...
    def load(self, binary: Binary, device: Device) -> Executable: ...
    def memory(self, device: Device) -> Memory: ...


# ---------------------------------------------------------------- the host's memory
class HostEvent:
    """A moment on the host's clock."""

    def __init__(self) -> None:
        self.seconds = float("nan")

    def record(self, stream: object = None) -> None:
        self.seconds = time.perf_counter()

    def synchronize(self) -> None:
        pass

    def elapsed_ms(self, since: Event) -> float:
        if not isinstance(since, HostEvent):
            raise TypeError(f"an event of the host cannot be compared with {type(since).__name__}")
        return (self.seconds - since.seconds) * 1e3


class HostStream:
    """Launches on the host run in order and are done when they return."""

    def synchronize(self) -> None:
        pass


class HostMemory:
    """NumPy arrays, for every back end that works on the host."""

    def owns(self, value: object) -> bool:
        return isinstance(value, np.ndarray)

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return np.empty(shape, dtype)

    def copy_in(self, value: np.ndarray) -> np.ndarray:
        return value

    def copy_out(self, value: np.ndarray) -> np.ndarray:
        return value

    def synchronize(self) -> None:
        pass

    def stream(self) -> HostStream:
        return HostStream()

    def event(self) -> HostEvent:
        return HostEvent()
