"""What users write: the decorators, the choice of a device, and what can run here.

In: Python functions, names of back ends. Out: kernels, device functions, a list of devices.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from kernelkit import registry
from kernelkit.errors import ArgumentError
from kernelkit.frontend.source import remember
from kernelkit.registry import DeviceRow
from kernelkit.runtime.arrays import (
    Event,
    Stream,
    asarray,
    current_device,
    empty,
    synchronize,
    to_numpy,
)
from kernelkit.runtime.kernel import Kernel
from kernelkit.runtime.selection import use
from kernelkit.runtime.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

#: Turns `debug` on for every kernel that does not say otherwise, unless it says no.
DEBUG_VARIABLE = "KERNELKIT_DEBUG"
_OFF = ("", "0", "off", "no", "false")


@overload
def kernel(fn: Callable[P, Any], /) -> Kernel[P]: ...
@overload
def kernel(
    *, reproducible: bool = False, debug: bool | None = None, wraparound: bool = True
) -> Callable[[Callable[P, Any]], Kernel[P]]: ...
def kernel(
    fn: Callable[P, Any] | None = None,
    /,
    *,
    reproducible: bool = False,
    debug: bool | None = None,
    wraparound: bool = True,
) -> Kernel[P] | Callable[[Callable[P, Any]], Kernel[P]]:
    """Make a kernel of a function: `@kk.kernel`, or `@kk.kernel(debug=True)`.

    reproducible: the same bits on every back end; floating-point operations are not contracted.
    debug: raise on reads of unassigned names and the like (default: whether KERNELKIT_DEBUG=1).
    wraparound: whether negative indices count from the end, as in Python.
    """
    if debug is None:
        debug = os.environ.get(DEBUG_VARIABLE, "").lower() not in _OFF
    settings = Settings(reproducible, debug, wraparound)
    for name, value in zip(Settings._fields, settings, strict=True):
        if not isinstance(value, bool):
            raise ArgumentError(f"kernel({name}=...) takes True or False, not {value!r}")

    def decorate(function: Callable[P, Any]) -> Kernel[P]:
        return Kernel(_check_function("kernel", function), settings)

    return decorate if fn is None else decorate(fn)


class DeviceFunction(Generic[P, R]):
    """A function that kernels call; outside of one it is the plain Python function. Made by
    `@kernelkit.device`."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, R]

    def __init__(self, fn: Callable[P, R]) -> None:
        functools.update_wrapper(self, fn)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The function in plain Python."""
        return self.__wrapped__(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<device function {self.__module__}.{self.__qualname__}>"

    def __reduce__(self) -> str:
        return self.__qualname__


def device(fn: Callable[P, R], /) -> DeviceFunction[P, R]:
    """Mark a function as one that kernels call. It is inlined where it is called, and stays
    callable from Python."""
    return DeviceFunction(_check_function("device", fn))


def _check_function(decorator: str, fn: Callable[P, R]) -> Callable[P, R]:
    if inspect.isfunction(fn):
        remember(fn)
        return fn
    instead = "write it with def"
    if isinstance(fn, str):
        instead = "kernels take no signature: the types are those of the arguments"
    if isinstance(fn, (Kernel, DeviceFunction)):
        instead = f"{fn.__name__} has a decorator of kernelkit already; keep one of them"
    elif isinstance(fn, (staticmethod, classmethod)) or inspect.ismethod(fn):
        instead = f"define it outside the class, or put @staticmethod above @{decorator}"
    raise ArgumentError(
        f"@{decorator} is for a plain Python function, not for {fn!r} ({type(fn).__name__}); "
        f"{instead}"
    )


class Devices(list[DeviceRow]):
    """Rows of backend, index, name, usable, why; prints as a table."""

    def __repr__(self) -> str:
        if not self:
            return "no back end is registered"
        rows = [("device", "usable", "name, or what is missing")]
        for row in self:
            place = row.backend if row.index is None else f"{row.backend}:{row.index}"
            rows.append((place, "yes" if row.usable else "no", row.name or row.why))
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return "\n".join(f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}".rstrip() for a, b, c in rows)


def devices() -> Devices:
    """What can run here, and for each back end that cannot, why."""
    return Devices(registry.rows())


# ---------------------------------------------------------------- threads
def set_num_threads(number: int) -> None:
    """Let the back end "cpu" use so many threads for each launch from now on, in this process.

    Without it they are as many as KERNELKIT_NUM_THREADS says, else as the processors that this
    process may use.
    """
    _cpu().set_num_threads(number)


def get_num_threads() -> int:
    """How many threads the back end "cpu" uses for a launch, the one that launches among them."""
    number: int = _cpu().get_num_threads()
    return number


def _cpu() -> Any:
    return registry.place("cpu").backend


__all__ = [
    "Event",
    "Stream",
    "asarray",
    "current_device",
    "device",
    "devices",
    "empty",
    "get_num_threads",
    "kernel",
    "set_num_threads",
    "synchronize",
    "to_numpy",
    "use",
]
