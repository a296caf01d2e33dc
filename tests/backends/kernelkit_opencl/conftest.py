"""For tests that need no printer: a device's memory, and kernels from texts in OpenCL C."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from opencl_devices import FOUND

from kernelkit.backend import Artifact, Device
from kernelkit_opencl import backend

#: Enough of a prelude.
TYPES = "typedef int i32; typedef long i64; typedef float f32; typedef ulong u64;\n"
DEFAULTS = {
    "name": "k", "source": "kernel", "sites": [], "record": False, "prints": False,
    "block": [1, 1, 1], "static_shared": 0, "dynamic_shared": False, "carved": 0,
    "reproducible": False, "debug": False,
}  # fmt: skip


def device_of(native: Any) -> Device:
    """The back end's device for one of pyopencl's."""
    return backend.probe()[FOUND.devices.index(native)]


@pytest.fixture
def memory() -> Callable[[Any], Any]:
    """The memory of a device of pyopencl."""
    return lambda native: backend.memory(device_of(native))


@pytest.fixture
def load() -> Callable[..., Any]:
    """What the back end loads for a text with a kernel `k`. The signature is written
    "pointer 0, offset 0, extent 0 0, value 1 f32"."""

    def loaded(native: Any, text: str, signature: str, **metadata: Any) -> Any:
        entries = [_entry(part.split()) for part in signature.split(",")]
        artifact = Artifact(TYPES + text, {**DEFAULTS, "signature": entries, **metadata})
        device = device_of(native)
        return backend.load(backend.compile(artifact, device.target), device)

    return loaded


def _entry(words: Sequence[str]) -> dict[str, Any]:
    what, *rest = words
    entry: dict[str, Any] = {"what": what, "type": "i64", "leaf": -1, "axis": 0}
    if what == "pointer":
        entry["type"] = "u64"
    if rest:
        entry["leaf"] = int(rest[0])
    if what == "value":
        entry["type"] = rest[1]
    elif len(rest) > 1:
        entry["axis"] = int(rest[1])
    return entry
