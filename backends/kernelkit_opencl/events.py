"""Events: points in a queue, with the device's own clock.

In: a device's home. Out: what `kernelkit.backend.Event` asks for.
Holds: times of queues that do not keep them are refused in words.
"""

from __future__ import annotations

from typing import Any

from kernelkit.errors import ConfigurationError
from kernelkit_opencl.contexts import Home, Stream
from kernelkit_opencl.failures import name_of


class QueueEvent:
    """A point in a queue: in that of the last launch, if none is named."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._event: Any = None

    def record(self, stream: object = None) -> None:
        import pyopencl as cl

        queue = stream.queue if isinstance(stream, Stream) else stream or self._latest()
        if not isinstance(queue, cl.CommandQueue):
            raise ConfigurationError(
                f"an event is recorded in a kernelkit.Stream or a pyopencl.CommandQueue, not {stream!r}"
            )
        self._event = cl.enqueue_marker(queue)

    def _latest(self) -> Any:
        """Arrays of users bring queues of their own, and a launch goes to theirs."""
        return self._home.queue if self._home.latest is None else self._home.latest

    def synchronize(self) -> None:
        self._recorded().wait()

    def elapsed_ms(self, since: object) -> float:
        if not isinstance(since, QueueEvent):
            raise TypeError(f"an event of OpenCL cannot be compared with {type(since).__name__}")
        if since._home is not self._home:
            names = " and ".join(name_of(each._home.device) for each in (self, since))
            raise ConfigurationError(
                f"the clocks of two devices, {names}, cannot be compared; record both events on one"
            )
        return (self._nanoseconds() - since._nanoseconds()) * 1e-6

    def _recorded(self) -> Any:
        if self._event is None:
            raise ConfigurationError("this event was never recorded; call event.record() first")
        return self._event

    def _nanoseconds(self) -> int:
        import pyopencl as cl

        event = self._recorded()
        event.wait()
        try:
            return int(event.profile.end)
        except cl.Error as error:
            raise ConfigurationError(
                "the queue of this event keeps no times; make it with "
                "properties=pyopencl.command_queue_properties.PROFILING_ENABLE, or use kernelkit.Stream"
            ) from error
