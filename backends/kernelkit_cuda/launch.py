"""A loaded kernel and its launches.

In: a module's code with its metadata; then configurations, native arrays and scalars. Out: nothing;
the launch is in the stream, or, for kernels that print or check, what they said has been said.
Holds: a launch may come from any thread at any time; the device that was current stays so; the code
of a launch is written for its signature, for its time is part of every launch.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kernelkit.backend import LaunchConfig
from kernelkit.errors import ConfigurationError
from kernelkit_cuda.arguments import Buffer, Packing, exact, make_packing
from kernelkit_cuda.failures import INVALID_CONTEXT, explaining, launch_failure, status_of
from kernelkit_cuda.streams import cupy_stream

#: Shared memory that a block may have without asking for more.
PLAIN_SHARED: Final = 48 * 1024
#: Of cuFuncGetAttribute and cuFuncSetAttribute.
_MOST_THREADS, _REGISTERS, _DYNAMIC_SHARED = 0, 4, 8
#: Plans that an executable keeps, one for each configuration.
PLANS: Final = 64

#: (configuration, function's arguments from grid to shared memory, dynamic shared memory of the user)
Plan = tuple[LaunchConfig | None, tuple[int, ...], int]

_LAUNCH: Final = """
def launch(config, args, stream, record=0):
    plan = self.plan
    if plan[0] is not config:
        plan = choose(config)
    if current_device() != device:
        return elsewhere(config, args, stream, record)
    {names} = args
    dynamic = plan[2]
    try:
        buffer = buffers.pop()
    except IndexError:
        buffer = Buffer(packing)
    try:
        pack_into(buffer.bytes, 0, {values})
        enqueue(
            function, *plan[1], current_stream().ptr if stream is None else stream,
            buffer.pointers, 0,
        )
    except Exception as error:
        recover(error, plan, args, stream, record, buffer)
    finally:
        buffers.append(buffer)
"""


class CudaExecutable:
    """Meets `kernelkit.backend.Executable`."""

    def __init__(self, cupy: Any, index: int, code: bytes, metadata: Mapping[str, Any]) -> None:
        self._cupy, self._index, self._metadata = cupy, index, metadata
        self._kernel = metadata["source"]
        self._packing = make_packing(metadata["signature"], metadata["scalars"])
        self._plans: dict[LaunchConfig, Plan] = {}
        self._lock = threading.Lock()
        self._opted = 0
        #: The last one. A tuple, so that threads see all of it or nothing.
        self.plan: Plan = (None, (), 0)
        with self._device(), explaining(f"loading {self._kernel}"):
            self._module = cupy.cuda.function.Module()
            self._module.load(code)
            self._function = cupy.cuda.driver.moduleGetFunction(self._module.ptr, metadata["name"])
        self._enqueue = _written(self, self._packing)
        self.launch: Callable[[LaunchConfig, Sequence[Any], Any], None] = (
            self._launch_and_report if metadata["record"] else self._enqueue
        )

    def _device(self) -> Any:
        return self._cupy.cuda.Device(self._index)

    # ------------------------------------------------------------ what seldom happens
    def _choose(self, config: LaunchConfig) -> Plan:
        found = self._plans.get(config)
        if found is None or found[0] is not config:
            shared = config.shared_bytes + self._metadata["carved"]
            self._opt_in(shared)
            found = (config, (*config.grid, *config.block, shared), config.shared_bytes)
            if len(self._plans) >= PLANS:
                self._plans = {}
            self._plans[config] = found
        self.plan = found
        return found

    def _opt_in(self, shared: int) -> None:
        """Ask for more shared memory than every block has."""
        with self._lock:
            if shared + self._metadata["static_shared"] <= PLAIN_SHARED or shared <= self._opted:
                return
            with self._device():
                driver = self._cupy.cuda.driver
                try:
                    driver.funcSetAttribute(self._function, _DYNAMIC_SHARED, shared)
                except Exception as error:
                    raise ConfigurationError(
                        f"{self._kernel} asks for {shared} bytes of shared memory, which the device "
                        f"does not give ({error}); use less, or a smaller block"
                    ) from error
            self._opted = shared

    def _elsewhere(
        self, config: LaunchConfig, args: Sequence[Any], stream: Any, record: int
    ) -> None:
        """While another device is the current one."""
        with self._device():
            self._enqueue(config, args, stream, record)

    def _recover(
        self, error: Exception, plan: Plan, args: Sequence[Any], stream: Any, record: int,
        buffer: Buffer,
    ) -> None:  # fmt: skip
        """Once more with what may have been missing; else the error in words."""
        runtime = self._cupy.cuda.runtime
        if status_of(error) == INVALID_CONTEXT:  # a thread that has not used CUDA yet
            runtime.setDevice(self._index)
            runtime.memGetInfo()
        elif isinstance(error, (struct.error, OverflowError, TypeError)):
            args = exact(self._packing.scalars, args)
        else:
            raise self._explained(error, plan) from error
        try:
            self._once_more(plan, args, stream, record, buffer)
        except Exception as again:
            raise self._explained(again, plan) from again

    def _once_more(
        self, plan: Plan, args: Sequence[Any], stream: Any, record: int, buffer: Buffer
    ) -> None:
        names = {f"a{i}": value for i, value in enumerate(args)}
        names |= {"dynamic": plan[2], "record": record}
        values = [eval(text, names) for text in self._packing.expressions]
        struct.pack_into(self._packing.format, buffer.bytes, 0, *values)
        pointer = self._cupy.cuda.get_current_stream().ptr if stream is None else stream
        self._cupy.cuda.driver.launchKernel(self._function, *plan[1], pointer, buffer.pointers, 0)

    def _explained(self, error: Exception, plan: Plan) -> Exception:
        """Why a launch was refused; an error that is not CUDA's stays what it is."""
        x, y, z, bx, by, bz, shared = plan[1]
        driver, attributes = self._cupy.cuda.driver, {}
        try:
            attributes["registers"] = driver.funcGetAttribute(_REGISTERS, self._function)
            attributes["threads"] = driver.funcGetAttribute(_MOST_THREADS, self._function)
        except Exception:  # the device is lost, and `error` says so
            pass
        return (
            launch_failure(error, self._kernel, (x, y, z), (bx, by, bz), shared, attributes)
            or error
        )

    # ------------------------------------------------------------ kernels that say something
    def _launch_and_report(self, config: LaunchConfig, args: Sequence[Any], stream: Any) -> None:
        """Launch with a record, wait, and say what the kernel said."""
        from kernelkit.emit import launch_record

        cuda = self._cupy.cuda
        with self._device():
            native = cupy_stream(self._cupy, stream)
            if native.ptr > 2 and cuda.runtime.streamIsCapturing(native.ptr):
                does = "prints" if self._metadata["prints"] else "checks what it does"
                raise ConfigurationError(
                    f"{self._kernel} {does}, so its launch is waited for, which cannot be while "
                    "launches are being captured into a graph; capture a kernel without print and "
                    "debug=True"
                )
            with native, explaining(f"running {self._kernel}"):
                header = launch_record.new_header(self._metadata)
                size = int(header[launch_record.PRINTED] + header[launch_record.CAPACITY])
                record = self._cupy.zeros(size, "int64")
                record[: len(header)].set(header)
                self._enqueue(config, args, native.ptr, record.data.ptr)
                native.synchronize()
                begun = record[: len(header)].get()
                if begun[launch_record.FAILED] or begun[launch_record.CURSOR]:
                    found = record[: launch_record.words_used(begun)].get()
                    launch_record.report(self._metadata, found, config)


def _written(executable: CudaExecutable, packing: Packing) -> Callable[..., None]:
    """The function that launches, written for one signature."""
    cuda = executable._cupy.cuda
    names = "".join(f"a{i}, " for i in range(len(packing.scalars)))
    source = _LAUNCH.format(
        names=f"({names})" if names else "()", values=", ".join(packing.expressions)
    )
    scope = {
        "self": executable,
        "device": executable._index,
        "function": executable._function,
        "choose": executable._choose,
        "elsewhere": executable._elsewhere,
        "recover": executable._recover,
        "current_device": cuda.runtime.getDevice,
        "current_stream": cuda.get_current_stream,
        "enqueue": cuda.driver.launchKernel,
        "pack_into": struct.Struct(packing.format).pack_into,
        "packing": packing,
        "buffers": [],
        "Buffer": Buffer,
    }
    exec(compile(source, f"<launch of {executable._kernel}>", "exec"), scope)
    launch: Callable[..., None] = scope["launch"]
    return launch
