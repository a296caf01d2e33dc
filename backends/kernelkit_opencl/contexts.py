"""Contexts and queues: where a device's arrays live and its launches line up.

In: a device of pyopencl. Out: its `Home`: a context, the queue of launches that name no stream,
and queues for the contexts of others.
Holds: each is made at the first need and once; a queue runs in order.
"""

from __future__ import annotations

import functools
import os
import threading
from typing import Any, Final

from kernelkit_opencl.devices import find
from kernelkit_opencl.failures import forked
from kernelkit_opencl.pocl import is_pocl

_LOCK: Final = threading.RLock()
#: Queues that are remembered.
_MOST: Final = 256


class Stream:
    """A queue of launches that run in order; `queue` is pyopencl's."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def synchronize(self) -> None:
        """Wait until all of them are done."""
        self.queue.finish()


class Home:
    """One device's context and queues."""

    def __init__(self, device: Any) -> None:
        self.device = device
        #: Context -> the queue for launches there that name none.
        self._queues: dict[Any, Any] = {}
        #: Queues on which something was launched, ours and users'; the oldest goes if there are many.
        #: To each, whether what is launched there runs in order.
        self._used: dict[Any, bool] = {}
        #: Where the last launch went.
        self.latest: Any = None
        #: Whose threads work for the device; None where it works without, as it seems.
        self._process = find().process if is_pocl(device) else None

    def check_process(self) -> None:
        """What is launched in a child of the process that has the threads waits for ever."""
        if self._process is not None and self._process != os.getpid():
            raise forked(self.device)

    @functools.cached_property
    def context(self) -> Any:
        import pyopencl as cl

        self.check_process()
        with _LOCK:
            return self.__dict__.get("context") or cl.Context([self.device])

    @property
    def queue(self) -> Any:
        return self.queue_in(self.context)

    def queue_in(self, context: Any) -> Any:
        """The queue for a context, ours or a user's, whose arrays name none."""
        self.check_process()
        found = self._queues.get(context)
        if found is None:
            with _LOCK:
                found = self._queues.get(context) or self.new_queue(context)
                self._queues[context] = found
        return found

    def new_queue(self, context: Any = None) -> Any:
        """Another queue; it can time."""
        import pyopencl as cl

        properties = cl.command_queue_properties.PROFILING_ENABLE
        return cl.CommandQueue(context or self.context, self.device, properties)

    def remember(self, queue: Any) -> bool:
        """Something is launched there: `synchronize` is to wait for it. Gives whether it runs in
        order."""
        self.latest = queue
        self.check_process()
        found = self._used.get(queue)
        if found is not None:
            return found
        import pyopencl as cl

        ordered = not queue.properties & cl.command_queue_properties.OUT_OF_ORDER_EXEC_MODE_ENABLE
        with _LOCK:
            self._used[queue] = ordered
            oldest = next(iter(self._used)) if len(self._used) > _MOST else None
            if oldest is not None:
                del self._used[oldest]
        if oldest is not None:
            oldest.finish()
        return ordered

    def synchronize(self) -> None:
        """Wait for everything that was launched."""
        for queue in list(self._used):
            queue.finish()


@functools.cache
def home(device: Any) -> Home:
    """The one of that device."""
    return Home(device)
