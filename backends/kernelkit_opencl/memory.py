"""The memory of an OpenCL device: pyopencl's arrays, queues as streams.

In: a device of pyopencl. Out: what `kernelkit.backend.Memory` asks for, with views, bounds and the
host's memory in place for devices that are CPUs.
Holds: arrays of the user's own contexts are taken as they are, if their device is this one; an
array's elements may lie anywhere in its buffer, with any strides.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from kernelkit.errors import ArgumentError
from kernelkit_opencl.contexts import Home, Stream
from kernelkit_opencl.devices import is_cpu
from kernelkit_opencl.events import QueueEvent
from kernelkit_opencl.failures import out_of_memory

#: Buffers are numbered by their handles, bytes within them by what is below.
_REACH = 1 << 64
#: A warm launch takes no more.
_PLAIN_BYTES = (1 << 30) - 1


def root(buffer: Any) -> tuple[Any, int]:
    """The buffer that a part of a buffer belongs to, and where in it that begins."""
    import pyopencl as cl

    whole = buffer.get_info(cl.mem_info.ASSOCIATED_MEMOBJECT)
    if whole is None:
        return buffer, 0
    return whole, buffer.get_info(cl.mem_info.OFFSET)


def reach(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """The first byte of an array's elements and the one after the last, from its first element."""
    if 0 in shape:
        return 0, 0
    steps = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    return sum(min(s, 0) for s in steps), sum(max(s, 0) for s in steps) + itemsize


class OpenclMemory:
    """Meets `kernelkit.backend.Memory`. Native arrays are pyopencl.array.Array."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._on_host = is_cpu(home.device)

    # ------------------------------------------------------------ whose is it
    def owns(self, value: object) -> bool:
        if "pyopencl.array" not in sys.modules:
            return False
        from pyopencl.array import Array

        return isinstance(value, Array) and self._device_of(value) == self.home.device

    def _device_of(self, value: Any) -> Any:
        """An array without a queue belongs to the first device of its context."""
        if value.queue is not None:
            return value.queue.device
        return value.context.devices[0] if value.context is not None else None

    def adopt(self, value: Any) -> Any:
        if value.base_data is not None and not hasattr(value.base_data, "get_info"):
            raise ArgumentError(
                "an array in shared virtual memory has no buffer, which OpenCL kernels take; copy it: "
                "pyopencl.array.to_device(queue, x.get())"
            )
        return value

    # ------------------------------------------------------------ arrays
    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        import pyopencl.array as arrays

        with out_of_memory(self.home.device, math.prod(shape) * np.dtype(dtype).itemsize):
            return arrays.Array(self.home.queue, shape, dtype)

    def copy_in(self, value: np.ndarray) -> Any:
        import pyopencl as cl

        native = self.allocate(value.shape, value.dtype)
        if value.size:
            source = np.ascontiguousarray(value)
            with out_of_memory(self.home.device, value.nbytes):
                cl.enqueue_copy(self.home.queue, native.base_data, source, is_blocking=True)
        return native

    def copy_out(self, value: Any) -> np.ndarray:
        """Only the bytes that the elements span are read."""
        import pyopencl as cl

        if not value.size:
            return np.empty(value.shape, value.dtype)
        low, high = reach(value.shape, value.strides, value.dtype.itemsize)
        span = np.empty(high - low, np.uint8)
        queue = value.queue if value.queue is not None else self.home.queue_in(value.context)
        with out_of_memory(self.home.device, span.nbytes):
            cl.enqueue_copy(
                queue,
                span,
                value.base_data,
                src_offset=value.offset + low,
                is_blocking=True,
                wait_for=value.events,
            )
        found = np.ndarray(value.shape, value.dtype, span.data, -low, value.strides)
        return found if found.flags.c_contiguous else found.copy()

    def view(
        self,
        base: Any,
        dtype: np.dtype,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        offset: int,
    ) -> Any:
        import pyopencl.array as arrays

        return arrays.Array(
            base.queue if base.queue is not None else base.context,
            shape,
            dtype,
            data=base.base_data,
            offset=base.offset + offset,
            strides=strides,
            events=base.events,
        )

    # ------------------------------------------------------------ where it lies
    def bounds(self, native: Any) -> tuple[int, int]:
        if native.base_data is None:
            return 0, 0
        buffer, start = root(native.base_data)
        low, high = reach(native.shape, native.strides, native.dtype.itemsize)
        first = (buffer.int_ptr * _REACH) + start + native.offset
        return first + low, first + high

    def plain(self, native: Any) -> tuple[np.dtype, int, int, int] | None:
        from pyopencl.array import Array

        if type(native) is not Array or not 0 < native.nbytes <= _PLAIN_BYTES:
            return None
        if not native.flags.c_contiguous or self._device_of(native) != self.home.device:
            return None
        if not hasattr(native.base_data, "get_info"):
            return None
        return native.dtype, native.ndim, *self.bounds(native)

    # ------------------------------------------------------------ the host's memory in place
    def borrow(self, span: np.ndarray) -> Any:
        """A buffer over the host's own bytes, where the device works in the host's memory."""
        import pyopencl as cl
        import pyopencl.array as arrays

        if not self._on_host or not span.size:
            return None
        access = cl.mem_flags.READ_WRITE if span.flags.writeable else cl.mem_flags.READ_ONLY
        try:
            buffer = cl.Buffer(self.home.context, access | cl.mem_flags.USE_HOST_PTR, hostbuf=span)
        except cl.Error:  # more than one buffer may have: nor could it be copied
            return None
        return arrays.Array(self.home.queue, span.shape, span.dtype, data=buffer)

    def give_back(self, native: Any, span: np.ndarray, written: bool) -> None:
        """The standard has results there only after the buffer was mapped."""
        import pyopencl as cl

        if not written:
            return
        queue = self.home.queue
        mapped, _ = cl.enqueue_map_buffer(
            queue, native.base_data, cl.map_flags.READ, 0, span.shape, span.dtype
        )
        mapped.base.release(queue)
        queue.finish()

    # ------------------------------------------------------------ time
    def synchronize(self) -> None:
        self.home.synchronize()

    def stream(self) -> Any:
        return Stream(self.home.new_queue())

    def event(self) -> QueueEvent:
        return QueueEvent(self.home)

    def stream_of(self, stream: Any) -> Any:
        import pyopencl as cl

        queue = stream.queue if isinstance(stream, Stream) else stream
        if isinstance(queue, cl.CommandQueue):
            if queue.device == self.home.device:
                return queue
            raise ValueError(f"that queue belongs to {queue.device.name.strip()}")
        raise TypeError("OpenCL takes a pyopencl.CommandQueue of its device, or a kernelkit.Stream")
