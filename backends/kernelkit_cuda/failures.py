"""What CUDA says when something fails, as errors of kernelkit that say what to do.

In: an exception of CuPy's. Out: the exception to raise in its place.
Holds: what the driver says is quoted; an error after which the device answers nothing more in this
process says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from kernelkit.errors import BackendError, ConfigurationError, KernelError

INVALID_VALUE: Final = 1
OUT_OF_MEMORY: Final = 2
NOT_INITIALIZED: Final = 3
INVALID_CONTEXT: Final = 201
OUT_OF_RESOURCES: Final = 701

#: A kernel did something the device cannot go on after; the process' context is lost.
_STICKY: Final = {
    214: "the memory of the device reported an error (ECC)",
    700: "a kernel read or wrote an address outside of any array",
    702: "a kernel ran for longer than the system allows",
    714: "a kernel's stack overflowed or was overwritten",
    715: "a kernel met an illegal instruction",
    716: "a kernel used a misaligned address",
    717: "a kernel used an address of the wrong kind of memory",
    718: "a kernel jumped to nowhere",
    719: "a kernel failed",
}
_CAPTURE: Final = frozenset(range(900, 909))
_UNLOADABLE: Final = {
    200: "the driver does not take the code",
    209: "the driver finds no code for this device",
    218: "the driver cannot translate the code",
    222: "the driver is older than the compiler",
    223: "the driver is not to translate code",
}


class DeviceMemoryError(KernelError, MemoryError):
    """A device has no room for an array."""


class DeviceLostError(KernelError):
    """A kernel failed in a way after which the device answers nothing more in this process."""


def status_of(error: BaseException) -> int | None:
    """The number that CUDA gave; None for errors that are not CUDA's."""
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else None


def explained(error: BaseException, doing: str) -> KernelError | None:
    """The error to raise in place of one of CUDA's; `doing`: what was going on. None for others."""
    status, said = status_of(error), str(error)
    if isinstance(error, MemoryError) and not isinstance(error, KernelError):
        status = OUT_OF_MEMORY
    if status is None:
        return None
    if status == OUT_OF_MEMORY:
        return DeviceMemoryError(f"{doing}: there is no room on the device ({said})")
    if status == NOT_INITIALIZED:
        return BackendError(
            f"{doing}: CUDA cannot be used here ({said}): a process that was forked from one that used "
            "it has to do without; start processes with multiprocessing's 'spawn'"
        )
    if status in _STICKY:
        return DeviceLostError(
            f"{doing}: {_STICKY[status]} ({said}). The process has lost the device and what is in "
            "its memory: start it anew; @kernel(debug=True) or KERNELKIT_DEBUG=1 finds the line"
        )
    if status in _CAPTURE:
        return ConfigurationError(
            f"{doing}: this cannot be captured into a graph ({said}); do it before the capture"
        )
    if status in _UNLOADABLE:
        return BackendError(
            f"{doing}: {_UNLOADABLE[status]} ({said}); update the driver, or install CuPy and NVRTC "
            "for the CUDA that it knows"
        )
    return BackendError(f"{doing}: {said}")


@contextmanager
def explaining(doing: str) -> Iterator[None]:
    """Errors of CUDA's in here become ours."""
    try:
        yield
    except Exception as error:
        found = explained(error, doing)
        if found is None:
            raise
        raise found from error


def launch_failure(
    error: BaseException, kernel: str, grid: Sequence[int], block: Sequence[int], shared: int,
    attributes: dict[str, Any],
) -> KernelError | None:  # fmt: skip
    """Why a launch was refused; `attributes`: `registers` and `threads`, which one block may have
    at most, as the driver has them."""
    status = status_of(error)
    x, y, z = block
    if status == OUT_OF_RESOURCES:
        registers, most = attributes.get("registers"), attributes.get("threads")
        fewer = f"a block of at most {most} threads" if most else "a smaller block"
        return ConfigurationError(
            f"{kernel} takes {registers} registers for each thread, and a block of {x} x {y} x {z} "
            f"threads with {shared} bytes of shared memory is more than the device has room for; "
            f"launch {fewer}, or split the kernel in two"
        )
    if status == INVALID_VALUE:
        return ConfigurationError(
            f"the device refused a launch of {kernel} with grid {tuple(grid)}, block {tuple(block)} "
            f"and {shared} bytes of dynamic shared memory ({error})"
        )
    return explained(error, f"launching {kernel}")
