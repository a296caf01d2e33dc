"""What the driver says when something fails, as errors of kernelkit that say what to do.

In: an exception of numba-cuda's or cuda.core's. Out: the exception to raise in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kernelkit.errors import BackendError, KernelError

_KNOWN: Final = re.compile(r"CUDA_ERROR_\w+")
#: A kernel did something the device cannot go on after; the process' context is lost.
_LOST: Final = {
    "CUDA_ERROR_ILLEGAL_ADDRESS": "a kernel read or wrote an address outside of any array",
    "CUDA_ERROR_LAUNCH_TIMEOUT": "a kernel ran for longer than the system allows",
    "CUDA_ERROR_MISALIGNED_ADDRESS": "a kernel used a misaligned address",
    "CUDA_ERROR_ILLEGAL_INSTRUCTION": "a kernel met an illegal instruction",
    "CUDA_ERROR_HARDWARE_STACK_ERROR": "a kernel's stack overflowed or was overwritten",
    "CUDA_ERROR_LAUNCH_FAILED": "a kernel failed",
}
_MEMORY: Final = "CUDA_ERROR_OUT_OF_MEMORY"
_RESOURCES: Final = "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"


class DeviceMemoryError(KernelError, MemoryError):
    """A device has no room for an array."""


class DeviceLostError(KernelError):
    """A kernel failed in a way after which the device answers nothing more in this process."""


def explained(error: BaseException, doing: str) -> KernelError | None:
    """The error to raise in place of one of the driver's; None for others."""
    named = _KNOWN.search(str(error))
    if named is None:
        return None
    said = " ".join(str(error).split())
    if named[0] == _MEMORY:
        return DeviceMemoryError(f"{doing}: there is no room on the device ({said})")
    if named[0] in _LOST:
        return DeviceLostError(
            f"{doing}: {_LOST[named[0]]} ({said}). The process has lost the device and what is in "
            "its memory: start it anew; kernel.on('python') finds the line"
        )
    if named[0] == _RESOURCES:
        return BackendError(
            f"{doing}: the kernel takes more registers than the device has for such a block ({said}); "
            "launch smaller blocks"
        )
    return BackendError(f"{doing}: {said}")


@contextmanager
def explaining(doing: str) -> Iterator[None]:
    """Errors of the driver inside become ours."""
    try:
        yield
    except KernelError:
        raise
    except Exception as error:
        ours = explained(error, doing)
        if ours is None:
            raise
        raise ours from error
