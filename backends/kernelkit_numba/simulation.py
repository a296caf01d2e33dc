"""Kernels in Numba's simulator: threads of Python, on arrays of NumPy.

Holds: it is for tests of what is printed. Arrays are not copied, so those that overlap stay one.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import types
from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

from kernelkit.backend import LaunchConfig
from kernelkit.emit.launch_record import new_record, report
from kernelkit.ir.scalar import from_constant
from kernelkit.ir.types import DTYPES
from kernelkit_numba.library import CALLED
from kernelkit_numba.simulated import LIBDEVICE, LIBRARY


class SimulatedExecutable:
    """A kernel, ready to run as threads of Python."""

    def __init__(self, text: str, metadata: Mapping[str, Any]) -> None:
        names: dict[str, Any] = {"np": np, "cuda": cuda, "types": types, "libdevice": LIBDEVICE}
        names |= {name: LIBRARY[name] for name in set(CALLED.findall(text))}
        exec(compile(text, f"<{metadata['source']}>", "exec", dont_inherit=True), names)
        self._kernel = cuda.jit(names[metadata["name"]])
        self._parameters, self._metadata = metadata["parameters"], metadata

    def launch(self, config: LaunchConfig, args: Sequence[Any], stream: object) -> None:
        words = (new_record(self._metadata),) if self._metadata["record"] else ()
        values = list(map(_value, self._parameters, (*args, *words)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # integers that wrap; the threads share no errstate
            self._kernel[config.grid, config.block, 0, config.shared_bytes](*values)
        if words:
            report(self._metadata, words[0], config)


def _value(parameter: Mapping[str, Any], value: Any) -> Any:
    if "ndim" in parameter:
        return FakeCUDAArray(np.asarray(value)) if parameter["ndim"] else np.asarray(value)
    dtype = DTYPES[parameter["dtype"]]
    found = from_constant(dtype, value)
    if dtype.name == "float16":
        return np.float32(found)
    return dtype.numpy.type(found)
