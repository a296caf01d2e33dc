"""Which devices numba.cuda finds, or in one line why it finds none.

In: nothing. Out: Devices with their Capabilities; versions. Holds: no question here raises, and none
makes a context on a device; Numba is imported only where numba-cuda is installed.
"""

from __future__ import annotations

import os
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Final

from kernelkit.backend import Capabilities, Device
from kernelkit_numba.capabilities import OLDEST, gpu

_INSTALL: Final = 'pip install "kernelkit[numba]"'
#: The extras of numba-cuda with the compiler, by the driver's CUDA.
_PACKAGES: Final = ("numba-cuda", "numba", "llvmlite", "nvidia-nvvm", "nvidia-nvjitlink",
                    "nvidia-cuda-nvcc-cu12", "nvidia-nvjitlink-cu12", "cuda-core")  # fmt: skip


def find(backend: str) -> tuple[tuple[Device, ...], str]:
    """The devices, or why there are none."""
    why = why_missing()
    if why:
        return (), why
    try:
        return _devices(backend)
    except Exception as error:
        return (), f"numba-cuda failed while looking for devices: {_line(error)}"


def why_missing() -> str:
    """Why kernels cannot be compiled; '' if they can."""
    if find_spec("numba_cuda") is None or find_spec("numba") is None:
        return f"numba-cuda is not installed: {_INSTALL}"
    try:
        from numba.cuda.cudadrv.nvvm import NVVM

        NVVM()
    except Exception as error:
        return f"numba-cuda does not find its compiler, NVVM ({_line(error)}): {_INSTALL}"
    return ""


def versions() -> str:
    """What decides the code besides its text."""
    found = []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def _devices(backend: str) -> tuple[tuple[Device, ...], str]:
    from numba import cuda
    from numba.cuda.cudadrv.driver import driver

    if not driver.is_available:
        return (), f"there is no NVIDIA driver, or it is not found ({_line(cuda.cuda_error())})"
    every = [driver.get_device(index) for index in range(driver.get_device_count())]
    found = tuple(
        Device(backend, each.id, _name(each.name), gpu(each.compute_capability, _able(each)))
        for each in every
        if tuple(each.compute_capability) >= OLDEST
    )
    if found:
        return found, ""
    if every:
        return (), f"its GPUs are older than sm_{OLDEST[0]}{OLDEST[1]}, which kernels need"
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = "" if shown is None else f"; CUDA_VISIBLE_DEVICES={shown!r} may hide it"
    return (), f"CUDA finds no device{hidden}"


def _able(device: Any) -> Capabilities:
    return Capabilities(
        threads_per_block=device.MAX_THREADS_PER_BLOCK,
        block=(device.MAX_BLOCK_DIM_X, device.MAX_BLOCK_DIM_Y, device.MAX_BLOCK_DIM_Z),
        grid=(device.MAX_GRID_DIM_X, device.MAX_GRID_DIM_Y, device.MAX_GRID_DIM_Z),
        shared_bytes=max(
            device.MAX_SHARED_MEMORY_PER_BLOCK, device.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        ),
    )


def _name(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _line(error: object) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()).rstrip(".")
