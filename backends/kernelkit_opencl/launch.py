"""Launches: a built kernel, its arguments in the order of its signature, a queue.

In: a program's text and metadata; then grid, block and arguments. Out: a command in a queue.
Holds: a launch goes to the context of its arrays and, if it names no stream, into their queue, so
that it comes after what was asked of them before; kernels, which hold their arguments, belong to
one thread each.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from kernelkit.backend import LaunchConfig
from kernelkit.emit.launch_record import HEADER, new_record, report, words_used
from kernelkit_opencl.build import build
from kernelkit_opencl.contexts import Home
from kernelkit_opencl.failures import (
    arrays_too_large,
    block_too_large,
    launch_failed,
    out_of_memory,
    several_contexts,
)
from kernelkit_opencl.memory import root
from kernelkit_opencl.pocl import room_for_arrays

Value = Callable[[Any], Any]

#: Where no array is, or one without elements.
_NOWHERE: Final = (None, 0)


def _half_or_integer(value: Any) -> int:
    if not isinstance(value, (float, np.floating)):
        return int(value)
    with np.errstate(over="ignore"):
        return int(np.float16(value).view(np.uint16))


def _single(value: Any) -> float:
    """Rounded to float32; what is too large for it is infinite."""
    return ctypes.c_float(value).value


def _single_complex(value: Any) -> np.complex64:
    return np.complex64(complex(_single(value.real), _single(value.imag)))


#: C type of a scalar -> what pyopencl packs for it.
_VALUES: Final[Mapping[str, Value]] = {
    **dict.fromkeys(("i8", "i16", "i32", "i64", "u8", "u32", "u64"), int),
    "u16": _half_or_integer,
    "f32": _single,
    "f64": float,
    "c64": _single_complex,
    "c128": np.complex128,
}
#: The same -> the dtype by which pyopencl packs it; None: as the bytes that it is.
_PACKED: Final = {
    "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "u8": np.uint8,
    "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "f32": np.float32, "f64": np.float64,
}  # fmt: skip
_BUFFERS: Final = ("pointer", "dynamic", "record")


class OpenclExecutable:
    """A kernel on a device, ready to run."""

    def __init__(
        self, text: str, metadata: Mapping[str, Any], options: list[str], home: Home
    ) -> None:
        self._text, self._metadata, self._options, self._home = text, metadata, options, home
        self._name: str = metadata["source"]
        signature = metadata["signature"]
        self._arrays = sorted({e["leaf"] for e in signature if e["what"] == "pointer"})
        self._makers = [_maker(entry) for entry in signature]
        self._dtypes = [
            None if e["what"] in _BUFFERS else _PACKED.get(e["type"]) for e in signature
        ]
        self._programs: dict[Any, Any] = {}
        self._lock = threading.Lock()
        self._own = threading.local()
        self._check_block(self._kernel(home.context))

    # ------------------------------------------------------------ kernels
    def _kernel(self, context: Any) -> Any:
        """This thread's kernel for that context."""
        kernels = self._own.__dict__.setdefault("kernels", {})
        found = kernels.get(context)
        if found is None:
            import pyopencl as cl

            found = cl.Kernel(self._program(context), self._metadata["name"])
            found.set_scalar_arg_dtypes(self._dtypes)
            kernels[context] = found
        return found

    def _program(self, context: Any) -> Any:
        with self._lock:
            found = self._programs.get(context)
            if found is None:
                found = build(self._text, self._options, context, self._home.device)
                self._programs[context] = found
            return found

    def _check_block(self, kernel: Any) -> None:
        import pyopencl as cl

        x, y, z = block = tuple(self._metadata["block"])
        device = self._home.device
        most = kernel.get_work_group_info(cl.kernel_work_group_info.WORK_GROUP_SIZE, device)
        if x * y * z > most:
            raise block_too_large(self._name, block, most, device)
        local, room = self._metadata.get("local_bytes", 0), room_for_arrays(device)
        if room is not None and x * y * z * local > room:
            raise arrays_too_large(self._name, x * y * z, local, room, device)

    # ------------------------------------------------------------ launches
    def launch(self, config: LaunchConfig, args: Sequence[Any], stream: Any) -> None:
        import pyopencl as cl

        arrays = [args[leaf] for leaf in self._arrays]
        context, queue, others = self._where(arrays, stream)
        ordered = self._home.remember(queue)
        record = self._record(context) if self._metadata["record"] else None
        launch = _Launch(args, {a: _place(args[a]) for a in self._arrays}, config, record)
        kernel = self._kernel(context)
        block = self._block(config)
        sizes = tuple(g * b for g, b in zip(config.grid, block, strict=True))
        waits = [event for array in arrays for event in array.events]
        waits += [cl.enqueue_marker(other) for other in others]
        for other in others:
            other.flush()
        try:
            kernel.set_args(*(make(launch) for make in self._makers))
            event = cl.enqueue_nd_range_kernel(queue, kernel, sizes, block, wait_for=waits or None)
        except cl.Error as error:
            shared = self._metadata["static_shared"] + config.shared_bytes
            raise launch_failed(
                error, self._name, config.block, self._home.device, shared
            ) from error
        queue.flush()
        for array in arrays:
            if stream is not None or not ordered or array.queue is None:
                array.add_event(event)
        for other in others:
            cl.enqueue_barrier(other, wait_for=[event])
        if record is not None:
            self._report(queue, record, config)

    def _block(self, config: LaunchConfig) -> tuple[int, int, int]:
        """The block as the kernel's text has it: subgroups are made along x alone."""
        x, y, z = config.block
        return (x * y * z, 1, 1) if self._metadata.get("row") else (x, y, z)

    def _where(self, arrays: Sequence[Any], stream: Any) -> tuple[Any, Any, list[Any]]:
        """The context and the queue of a launch, and other queues that the arrays belong to."""
        home = self._home
        queue = stream
        for array in arrays:
            if queue is None:
                queue = array.queue
        if queue is None:
            queue = home.queue_in(next((a.context for a in arrays), home.context))
        context = queue.context
        others: list[Any] = []
        for array in arrays:
            if array.context != context:
                raise several_contexts(self._name, stream is not None)
            if stream is None and array.queue not in (None, queue, *others):
                others.append(array.queue)
        return context, queue, others

    # ------------------------------------------------------------ faults and prints
    def _record(self, context: Any) -> Any:
        import pyopencl as cl

        words = new_record(self._metadata)
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        with out_of_memory(self._home.device, words.nbytes):
            return cl.Buffer(context, flags, hostbuf=words)

    def _report(self, queue: Any, record: Any, config: LaunchConfig) -> None:
        """Wait for the launch, print what it printed, raise what went wrong in it."""
        import pyopencl as cl

        header = np.empty(HEADER, np.int64)
        cl.enqueue_copy(queue, header, record, is_blocking=True)
        words = np.empty(words_used(header.tolist()), np.int64)
        cl.enqueue_copy(queue, words, record, is_blocking=True)
        report(self._metadata, words, config)


class _Launch:
    """What the arguments of a kernel are made of."""

    def __init__(
        self,
        args: Sequence[Any],
        places: Mapping[int, tuple[Any, int]],
        config: LaunchConfig,
        record: Any,
    ) -> None:
        self.args, self.places, self.config, self.record = args, places, config, record


def _place(array: Any) -> tuple[Any, int]:
    """The buffer that holds an array, and at which byte its first element is."""
    if array.base_data is None:
        return _NOWHERE
    buffer, start = root(array.base_data)
    return buffer, start + array.offset


def _maker(entry: Mapping[str, Any]) -> Callable[[_Launch], Any]:
    """Makes one argument."""
    leaf, axis = entry["leaf"], entry["axis"]
    convert = _VALUES.get(entry["type"], int)
    makers: dict[str, Callable[[_Launch], Any]] = {
        "pointer": lambda launch: launch.places[leaf][0],
        "offset": lambda launch: launch.places[leaf][1],
        "extent": lambda launch: launch.args[leaf].shape[axis],
        "stride": lambda launch: launch.args[leaf].strides[axis],
        "value": lambda launch: convert(launch.args[leaf]),
        "dynamic": _dynamic,
        "dynamic_bytes": lambda launch: launch.config.shared_bytes,
        "record": lambda launch: launch.record,
    }
    return makers[entry["what"]]


def _dynamic(launch: _Launch) -> Any:
    import pyopencl as cl

    return cl.LocalMemory(max(launch.config.shared_bytes, 16))
