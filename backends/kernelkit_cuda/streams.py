"""Streams and events: those of CuPy, Numba, torch and the driver, as the launch code takes them.

In: what a user put into the brackets of a launch. Out: the stream's address.
Holds: a stream of another device, and what is no stream, is refused in words; None stays None, and
means CuPy's current stream.
"""

from __future__ import annotations

import operator
from typing import Any

from kernelkit.errors import ConfigurationError
from kernelkit_cuda.failures import explaining

_TAKEN = (
    "a stream of CuPy, Numba or torch, kernelkit.Stream, the address of a cudaStream_t as an int, or "
    "None for CuPy's current stream"
)


def address_of(stream: object, index: int) -> int | None:
    """The address of a stream on the device of that index."""
    if stream is None or type(stream) is int:
        return _checked(stream)
    if isinstance(stream, bool):
        raise TypeError(f"{stream!r} is no stream; pass {_TAKEN}")
    home = _device_of(stream)
    if home not in (None, -1, index):
        raise ValueError(
            f"the stream belongs to device {home}, and the launch goes to device {index}; make one "
            f'there: kernelkit.Stream("cuda:{index}")'
        )
    found = _pointer(stream)
    if found is None:
        raise TypeError(f"a {type(stream).__name__} is no stream of CUDA; pass {_TAKEN}")
    return _checked(found)


def _checked(address: int | None) -> int | None:
    if address is not None and not 0 <= address < 1 << 64:
        raise ValueError(f"{address} is the address of no stream; pass {_TAKEN}")
    return address


def _pointer(stream: Any) -> int | None:
    """By the protocol of CUDA's libraries, or as each library calls it."""
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        # A property in early versions of the protocol.
        return int((protocol() if callable(protocol) else protocol)[1])
    for name in ("ptr", "cuda_stream", "handle"):  # CuPy, torch, Numba
        found = getattr(stream, name, None)
        if name == "handle":
            found = getattr(found, "value", found) or (0 if hasattr(stream, name) else None)
        if found is not None:
            return _as_int(found)
    return None if isinstance(stream, (str, float)) else _as_int(stream)


def _as_int(value: Any) -> int | None:
    try:
        return operator.index(value)
    except TypeError:
        pass
    try:
        return int(value) if hasattr(value, "__int__") else None
    except (TypeError, ValueError):
        return None


def _device_of(stream: Any) -> int | None:
    """The number of the device that a stream says it belongs to."""
    found = getattr(stream, "device_id", None)  # CuPy
    if found is None:
        found = getattr(getattr(stream, "device", None), "index", None)  # torch
    return found if isinstance(found, int) else None


class _Address:
    """An address that follows the protocol of CUDA's streams."""

    def __init__(self, address: int) -> None:
        self._address = address

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self._address


def cupy_stream(cupy: Any, address: int | None) -> Any:
    """CuPy's stream of that address, its current one for None."""
    stream = cupy.cuda.Stream
    if address is None:
        return cupy.cuda.get_current_stream()
    if address == 0:
        return stream.null
    if hasattr(stream, "from_external"):  # CuPy 14
        return stream.from_external(_Address(address))
    return cupy.cuda.ExternalStream(address)


class CudaEvent:
    """Meets `kernelkit.backend.Event`."""

    def __init__(self, cupy: Any, index: int) -> None:
        self._cupy, self._index = cupy, index
        with cupy.cuda.Device(index):
            self._event = cupy.cuda.Event()

    def record(self, stream: object = None) -> None:
        address = address_of(stream, self._index)
        with self._cupy.cuda.Device(self._index), explaining("recording an event"):
            self._event.record(cupy_stream(self._cupy, address))

    def synchronize(self) -> None:
        with explaining("waiting for an event"):
            self._event.synchronize()

    def elapsed_ms(self, since: object) -> float:
        if not isinstance(since, CudaEvent):
            raise TypeError(f"an event of CUDA cannot be compared with {type(since).__name__}")
        if since._index != self._index:
            raise ConfigurationError(
                f"events of devices {self._index} and {since._index} cannot be compared; record both "
                "on one device"
            )
        with explaining("reading the time between two events"):
            self._event.synchronize()
            return float(self._cupy.cuda.get_elapsed_time(since._event, self._event))
