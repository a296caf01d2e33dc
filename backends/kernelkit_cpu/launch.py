"""A loaded kernel and its launches.

In: a compiled kernel with its metadata; then configurations and arguments. Out: nothing; the kernel has
run, or what went wrong in it is raised.
Holds: a launch may come from any thread at any time, also from a callback of another launch.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from kernelkit.backend import LaunchConfig
from kernelkit.errors import InternalError, KernelError
from kernelkit_cpu import pool, record
from kernelkit_cpu.native_code import LOST, WRONG

#: Plans that an executable keeps, one for each grid and size of dynamic shared memory.
PLANS: Final = 64


class Loaded(Protocol):
    """Object code in memory."""

    def address(self, name: str) -> int: ...


class CpuExecutable:
    """Meets `kernelkit.backend.Executable`."""

    __slots__ = ("_last", "_loaded", "_metadata", "_plans", "_printer", "_unfolds")

    def __init__(
        self, loaded: Loaded, metadata: Mapping[str, Any], cache: pool.Cache | None = None
    ) -> None:
        self._loaded = loaded
        self._metadata = metadata
        self._printer = _printer(metadata) if metadata.get("prints") else None
        self._unfolds = record.needs_unfolding(metadata["parameters"])
        self._plans: dict[LaunchConfig, pool.Launch] = {}
        #: The last configuration and how to launch it. One tuple, so that threads see both or none.
        self._last: tuple[LaunchConfig | None, pool.Launch] = (None, _unplanned)
        pool.native(cache)

    def launch(self, config: LaunchConfig, args: Sequence[Any], stream: object) -> None:
        """Run the kernel, and come back when it has ended."""
        last = self._last
        if last[0] is not config:
            last = self._choose(config)
        if self._unfolds:
            args = record.unfold(self._metadata["parameters"], args)
        ended = last[1](*args)
        if ended:
            self._explain(ended, config, args)

    def _choose(self, config: LaunchConfig) -> tuple[LaunchConfig, pool.Launch]:
        found = self._plans.get(config)
        if found is None:
            found = pool.native().bind(self._plan(config))
            if len(self._plans) >= PLANS:
                self._plans = {}
            self._plans[config] = found
        last = self._last = (config, found)
        return last

    def _plan(self, config: LaunchConfig) -> np.ndarray:
        kernel = self._loaded.address(self._metadata["entry"])
        printer = 0
        if self._printer is not None:
            printer = ctypes.cast(self._printer, ctypes.c_void_p).value or 0
        return record.make_plan(kernel, self._metadata, config, printer)

    def _explain(self, ended: int | bytes, config: LaunchConfig, args: Sequence[Any]) -> None:
        """Raise what a launch that did not just end calls for."""
        if isinstance(ended, bytes):
            from kernelkit_cpu.fault_report import raise_fault

            words = struct.unpack(f"{len(ended) // 8}q", ended)
            raise_fault(self._metadata, words, config)
        elif ended == LOST:
            raise KernelError(
                "the process was forked while this launch ran, and the child has none of the threads "
                "that worked on it; launch again in the child"
            )
        elif ended <= WRONG:
            raise InternalError(_misfit(WRONG - ended, self._metadata["parameters"], args))
        else:
            error = record.remembered(ended)
            if error is not None:
                raise error


def _unplanned(*args: Any) -> int:
    raise InternalError("this executable was never configured")


def _printer(metadata: Mapping[str, Any]) -> Any:
    """The ctypes function that prints for a kernel."""
    from kernelkit_cpu.printing import callback

    return callback(metadata)


def _misfit(number: int, parameters: Sequence[Mapping[str, Any]], args: Sequence[Any]) -> str:
    if number >= min(len(args), len(parameters)) or len(args) != len(parameters):
        return f"the kernel takes {len(parameters)} arguments and was given {len(args)}"
    wanted, given = parameters[number], args[number]
    shape = f"an array of {wanted['ndim']} axes" if wanted["kind"] == "array" else wanted["dtype"]
    return f"argument {number + 1} of the kernel is {shape}, and {type(given).__name__} came"
