"""What OpenCL's errors mean.

In: an error of pyopencl. Out: MemoryError, ConfigurationError or BackendError in words.
Holds: what an error means goes by its code, which the standard fixes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from kernelkit.errors import ArgumentError, BackendError, ConfigurationError, KernelError

_ALLOCATION: Final = -4
_RESOURCES: Final = -5
_HOST_MEMORY: Final = -6
_GROUP_SIZE: Final = -54
_BUFFER_SIZE: Final = -61
_TOO_MUCH: Final = (_ALLOCATION, _RESOURCES, _HOST_MEMORY)


def name_of(device: Any) -> str:
    return " ".join(device.name.split())


@contextmanager
def out_of_memory(device: Any, nbytes: int) -> Iterator[None]:
    """Inside, a MemoryError says that there is no room on the device."""
    import pyopencl as cl

    try:
        yield
    except cl.Error as error:
        if error.code == _BUFFER_SIZE:
            most = device.max_mem_alloc_size
            raise MemoryError(
                f"{name_of(device)} takes at most {most} bytes in one array, not {nbytes}"
            ) from error
        if error.code in _TOO_MUCH:
            raise MemoryError(
                f"{name_of(device)} has no room for {nbytes} bytes (of {device.global_mem_size})"
            ) from error
        raise


def launch_failed(
    error: Any, kernel: str, block: tuple[int, int, int], device: Any, shared: int
) -> Exception:
    """What to raise where a launch was refused."""
    where, sizes = name_of(device), " x ".join(map(str, block))
    if error.code == _RESOURCES:
        return ConfigurationError(
            f"{where} has not what a block of {kernel} needs: {sizes} threads and {shared} bytes of "
            f"shared memory ({error}); use a smaller block, smaller tiles or fewer variables"
        )
    if error.code in _TOO_MUCH:
        return MemoryError(
            f"there is no room on {where} for the arrays of {kernel} ({error}); free some, or launch "
            "on parts"
        )
    if error.code == _GROUP_SIZE:
        return ConfigurationError(
            f"{where} does not run {kernel} in blocks of {sizes} threads ({error}); use a smaller block"
        )
    return BackendError(f"{where} did not launch {kernel}: {error}")


def arrays_too_large(kernel: str, threads: int, nbytes: int, room: int, device: Any) -> KernelError:
    """What is raised where the local arrays of a block's threads would overflow a stack."""
    most = room // nbytes
    smaller = f"a block of at most {most} threads" if most else "another device"
    return ConfigurationError(
        f"each of the {threads} threads of a block of {kernel} has {nbytes} bytes of variables and local arrays, and "
        f"{name_of(device)} has {room} bytes for those of a whole block; use {smaller}, fewer or smaller "
        "ones, or parts of a global array"
    )


def several_contexts(kernel: str, queued: bool) -> KernelError:
    """What is raised where arrays cannot meet; `queued`: in a queue that the caller named."""
    if queued:
        return ArgumentError(
            f"the queue that {kernel} is to run in and its arrays belong to several OpenCL contexts, "
            "which share nothing; leave the queue out, pass a kernelkit.Stream for arrays of NumPy or "
            "kernelkit, or make the arrays with pyopencl.array.to_device(queue, x)"
        )
    return ArgumentError(
        f"the arrays of {kernel} belong to several OpenCL contexts, which share nothing; those of NumPy "
        "and kernelkit go to kernelkit's own: make all of them with pyopencl in one context, or bring "
        "them together with kernelkit.asarray(x.get(), device)"
    )


def forked(device: Any) -> KernelError:
    """What is raised in a process that was forked from one which had looked for devices."""
    return BackendError(
        f"the threads of {name_of(device)} stayed behind when this process was forked: start processes "
        "with multiprocessing's 'spawn', fork before kernelkit looks for devices, or run on another "
        "back end here, such as cpu"
    )


def block_too_large(
    kernel: str, block: tuple[int, int, int], most: int, device: Any
) -> KernelError:
    """What is raised where a kernel needs too much of each thread for so many threads."""
    x, y, z = block
    return ConfigurationError(
        f"a block of {kernel} has {x} x {y} x {z} = {x * y * z} threads, and {name_of(device)} runs "
        f"at most {most} of this kernel, for each needs many registers or large local arrays; use a "
        "smaller block and a larger grid"
    )
