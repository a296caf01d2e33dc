"""Streams and events: those of Numba, CuPy, torch and the driver.

In: what a user put into the brackets of a launch. Out: the stream's address.
Holds: what is no stream, or one of another device, is refused in words; None is the default stream.
"""

from __future__ import annotations

import operator
from typing import Any

from numba import cuda
from numba.cuda.cudadrv import driver as numba_driver

from kernelkit_numba.failures import explaining

_TAKEN = (
    "a stream of Numba, CuPy or torch, kernelkit.Stream, the address of a CUstream as an int, or "
    "None for the default stream"
)


def address_of(stream: object, index: int) -> int | None:
    """The address of a stream on the device of that index."""
    if stream is None:
        return None
    if isinstance(stream, bool):
        raise TypeError(f"{stream!r} is no stream; pass {_TAKEN}")
    home = getattr(stream, "device_id", getattr(getattr(stream, "device", None), "index", None))
    if isinstance(home, int) and home not in (-1, index):
        raise ValueError(
            f"the stream belongs to device {home}, and the launch goes to device {index}; make one "
            f'there: kernelkit.Stream("numba:{index}")'
        )
    found = _pointer(stream)
    if found is None:
        raise TypeError(f"a {type(stream).__name__} is no stream of CUDA; pass {_TAKEN}")
    if not 0 <= found < 1 << 64:
        raise ValueError(f"{found} is the address of no stream; pass {_TAKEN}")
    return found


def _pointer(stream: Any) -> int | None:
    """By the protocol of CUDA's libraries, or as each library calls it."""
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        # A property in early versions of the protocol.
        return int((protocol() if callable(protocol) else protocol)[1])
    for name in ("ptr", "cuda_stream"):  # CuPy, torch
        found = getattr(stream, name, None)
        if found is not None:
            return operator.index(found)
    try:
        return operator.index(stream)
    except TypeError:
        return None


def is_capturing(context: Any, stream: object) -> bool:
    """Whether launches in the stream of this address are being recorded and not run."""
    address = int(stream or 0)  # type: ignore[call-overload]
    # The default streams are never captured, and asking disturbs a capture elsewhere.
    if address <= 2:
        return False
    with context:
        status = numba_driver.driver.cuStreamIsCapturing(numba_driver.binding.CUstream(address))
    return bool(int(status) != 0)


class NumbaEvent:
    """Meets `kernelkit.backend.Event`."""

    def __init__(self, context: Any) -> None:
        self._context = context
        with context, explaining("making an event"):
            self._event = cuda.event()

    def record(self, stream: object = None) -> None:
        address = address_of(stream, self._context.id)
        with self._context, explaining("recording an event"):
            self._event.record(cuda.external_stream(address) if address else 0)

    def synchronize(self) -> None:
        with self._context, explaining("waiting for an event"):
            self._event.synchronize()

    def elapsed_ms(self, since: object) -> float:
        if not isinstance(since, NumbaEvent):
            raise TypeError(f"an event of CUDA cannot be compared with {type(since).__name__}")
        with self._context, explaining("reading the time between two events"):
            self._event.synchronize()
            return float(cuda.event_elapsed_time(since._event, self._event))
