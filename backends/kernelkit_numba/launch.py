"""Launches of loaded kernels, with arguments as Numba passes them.

In: a binary; then a configuration, native arrays and scalars. Out: a launch in a stream.
Holds: an array is its words (`compiling.ARRAY_WORDS`), as Numba's own launches have them; launches
are asynchronous, and the device is made current for as long as one is given out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from cuda.core import LaunchConfig as CoreConfig
from cuda.core import ObjectCode, Stream
from cuda.core import launch as launch_core
from numba import cuda
from numba.cuda.cudadrv import driver as numba_driver

from kernelkit.backend import Binary, Device, LaunchConfig
from kernelkit.emit import launch_record
from kernelkit.errors import ConfigurationError
from kernelkit_numba.capabilities import STATIC_SHARED
from kernelkit_numba.failures import explaining
from kernelkit_numba.streams import is_capturing


def _half(value: Any) -> float:
    with np.errstate(over="ignore"):
        return float(np.float16(value))


_SCALARS: Final[dict[str, Callable[[Any], Any]]] = {
    "bool": bool,
    "float16": lambda value: ctypes.c_float(_half(value)),
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
    **{
        f"{sign}int{bits}": getattr(ctypes, f"c_{sign}int{bits}")
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


class NumbaExecutable:
    """A kernel, loaded on a device."""

    def __init__(self, binary: Binary, device: Device) -> None:
        self._index, self._source = device.index, binary.metadata["source"]
        self._metadata = binary.metadata
        self._context = cuda.gpus[device.index]
        with self._context, explaining(f"loading {self._source}"):
            self._code = ObjectCode.from_cubin(binary.data)
            self._kernel = self._code.get_kernel(binary.metadata["entry"])
        self._parameters = [_passing(each) for each in binary.metadata["parameters"]]
        self._allowed = STATIC_SHARED - binary.metadata["static_shared"]
        self._configs: dict[LaunchConfig, CoreConfig] = {}
        self._default = Stream.from_handle(0)

    def launch(self, config: LaunchConfig, args: Sequence[Any], stream: object) -> None:
        if self._metadata["record"]:
            self._launch_and_report(config, args, stream)
        else:
            self._enqueue(config, args, stream)

    def _launch_and_report(self, config: LaunchConfig, args: Sequence[Any], stream: object) -> None:
        """Launch with a record, wait, and say what the kernel said."""
        if is_capturing(self._context, stream):
            does = "prints" if self._metadata["prints"] else "checks what it does"
            raise ConfigurationError(
                f"{self._source} {does}, so its launch is waited for, which cannot be while launches "
                "are being captured into a graph; capture a kernel without print and debug=True"
            )
        with self._context, explaining(f"running {self._source}"):
            queue: Any = cuda.external_stream(int(stream)) if stream else 0  # type: ignore[call-overload]
            words = cuda.to_device(launch_record.new_record(self._metadata), stream=queue)
            self._enqueue(config, (*args, words), stream)
            found = words.copy_to_host(stream=queue)
            if queue:
                queue.synchronize()
        launch_record.report(self._metadata, found, config)

    def _enqueue(self, config: LaunchConfig, args: Sequence[Any], stream: object) -> None:
        words: list[Any] = []
        for passing, value in zip(self._parameters, args, strict=True):
            passing(value, words)
        queue = self._default if not stream else Stream.from_handle(int(stream))  # type: ignore[call-overload]
        with self._context, explaining(f"launching {self._source}"):
            launch_core(queue, self._config(config), self._kernel, *words)

    def _config(self, config: LaunchConfig) -> CoreConfig:
        found = self._configs.get(config)
        if found is None:
            self._allow(config.shared_bytes)
            found = CoreConfig(grid=config.grid, block=config.block, shmem_size=config.shared_bytes)
            if len(self._configs) > 1000:
                self._configs.clear()
            self._configs[config] = found
        return found

    def _allow(self, size: int) -> None:
        """Beyond 48 KiB a kernel must say what it will take."""
        if size <= self._allowed:
            return
        attribute = numba_driver.binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        numba_driver.driver.cuKernelSetAttribute(attribute, size, self._kernel.handle, self._index)
        self._allowed = size


def _passing(parameter: Mapping[str, Any]) -> Callable[[Any, list[Any]], None]:
    """A function that adds an argument's words to others."""
    if "ndim" in parameter:
        return pass_array
    dtype = parameter["dtype"]
    if dtype.startswith("complex"):
        part = _SCALARS["float32" if dtype == "complex64" else "float64"]

        def pass_complex(value: Any, words: list[Any]) -> None:
            words += part(value.real), part(value.imag)

        return pass_complex
    make = _SCALARS[dtype]

    def pass_scalar(value: Any, words: list[Any]) -> None:
        words.append(make(value))

    return pass_scalar


def pass_array(array: Any, words: list[Any]) -> None:
    """Neither meminfo nor parent, items, item size, address, extents, strides."""
    address = array.device_ctypes_pointer.value or 0
    words += (0, 0, array.size, array.dtype.itemsize, address, *array.shape, *array.strides)
