"""Which CUDA devices there are and what they can do.

In: CuPy, or an architecture. Out: Devices with their Capabilities, or one line that says why there
are none and what would help.
Holds: no question here raises, and none makes a context on a device.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kernelkit.backend import Capabilities, Device, Target
from kernelkit_cuda import hip, nvrtc

#: Shared memory of a block, by opt-in, in KiB, by architecture.
_SHARED_KIB: Final = {
    70: 96, 75: 64, 80: 163, 86: 99, 87: 163, 88: 99, 89: 99, 90: 227, 100: 227, 101: 227,
    103: 227, 107: 227, 110: 227, 120: 99, 121: 99,
}  # fmt: skip
#: Warp operations with masks, and what kernels may rely on, begin here.
OLDEST: Final = 70


def why_none(cupy: Any) -> str:
    """Why CuPy has no device that kernels can run on; '' if it has one."""
    runtime = cupy.cuda.runtime
    if runtime.is_hip:
        return hip.why_none(cupy)
    try:
        driver, made_for = runtime.driverGetVersion(), runtime.runtimeGetVersion()
        if driver == 0:
            return "there is no NVIDIA driver; install it (https://www.nvidia.com/drivers)"
        if driver // 1000 < made_for // 1000:
            major = driver // 1000
            return (
                f"the NVIDIA driver knows CUDA {_version(driver)} and CuPy is made for CUDA "
                f"{_version(made_for)}: update the driver, or pip uninstall cupy-cuda"
                f"{made_for // 1000}x && pip install cupy-cuda{major}x"
            )
        count = runtime.getDeviceCount()
    except Exception as error:
        return f"CUDA finds no device ({error}){_hidden()}"
    if not count:
        return f"CUDA finds no device{_hidden()}"
    nvrtc.prefer(made_for // 1000)
    return nvrtc.why_missing() or _too_new(driver)


def _too_new(driver: int) -> str:
    """Why the driver does not load what NVRTC makes: it is of an older CUDA."""
    if nvrtc.library().version[0] <= driver // 1000:
        return ""
    return (
        f"NVRTC {nvrtc.library()} makes code that the NVIDIA driver, which knows CUDA "
        f"{_version(driver)}, does not load: update the driver, or pip install "
        f"nvidia-cuda-nvrtc-cu{driver // 1000}"
    )


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _hidden() -> str:
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if shown is None else f"; CUDA_VISIBLE_DEVICES={shown!r} may hide it"


def found(cupy: Any) -> tuple[Device, ...]:
    """The devices of this machine, those that are too old left out."""
    runtime = cupy.cuda.runtime
    devices = []
    for index in range(runtime.getDeviceCount()):
        properties = runtime.getDeviceProperties(index)
        name = properties["name"]
        name = name.decode() if isinstance(name, bytes) else str(name)
        if runtime.is_hip:
            able = capabilities(properties, hip.warp_operations(properties))
            target = hip.target(properties, able)
        else:
            arch = 10 * properties["major"] + properties["minor"]
            if arch < OLDEST:
                continue
            target = Target(f"sm_{arch}", capabilities(properties))
        devices.append(Device("cuda", index, name, target))
    return tuple(devices)


def capabilities(properties: Mapping[str, Any], warp_operations: bool = True) -> Capabilities:
    """What a device with these properties, as CUDA names them, can do."""
    plain = properties["sharedMemPerBlock"]
    return Capabilities(
        warp_operations=warp_operations,
        threads_per_block=properties["maxThreadsPerBlock"],
        block=_three(properties["maxThreadsDim"]),
        grid=_three(properties["maxGridSize"]),
        shared_bytes=max(plain, properties.get("sharedMemPerBlockOptin", 0)),
    )


def _three(extents: Sequence[int]) -> tuple[int, int, int]:
    x, y, z = map(int, extents)
    return x, y, z


def offline(arch: str) -> Target:
    """What code for an architecture is made for, where no such device is at hand."""
    number = nvrtc.architecture(arch)
    return Target(f"sm_{number}", Capabilities(shared_bytes=_SHARED_KIB.get(number, 48) * 1024))
