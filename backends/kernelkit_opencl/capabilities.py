"""What an OpenCL device can do: from what it says of itself to a target.

In: pyopencl's device. Out: a Target: its capabilities for the checks, its features for the printer.
Holds: pure but for reading the device; what a device does not promise is denied, or reached by
another way that is exact.

Features are words: names of extensions that the printer knows, and
    rounded     float32 division and square root are correctly rounded if a build asks for it
    warps       a subgroup can have 32 threads
    flat        barriers may stand in no branch, and flags in no register (PoCL)
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection
from typing import Any, Final

from kernelkit.backend import Capabilities, Target
from kernelkit.ir.types import DTYPES
from kernelkit_opencl.atomics import BASE, EXTENDED, dtypes
from kernelkit_opencl.pocl import is_pocl
from kernelkit_opencl.warps import SUBGROUPS, has_subgroups

FP64: Final = "cl_khr_fp64"
ROUNDED: Final = "rounded"
WARPS: Final = "warps"
FLAT: Final = "flat"
_EXTENSIONS: Final = (FP64, BASE, EXTENDED, *SUBGROUPS)

#: Bits of CL_DEVICE_SINGLE_FP_CONFIG.
_DENORM: Final = 1 << 0
_INF_NAN: Final = 1 << 1
_TO_NEAREST: Final = 1 << 2
_ROUNDED_DIVISION: Final = 1 << 7
_IEEE: Final = _DENORM | _INF_NAN | _TO_NEAREST

#: CL_DEVICE_SUB_GROUP_SIZES_INTEL
_SUB_GROUP_SIZES: Final = 0x4108

_WIDE: Final = frozenset(("float64", "complex128"))
#: What CUDA takes; OpenCL states no limit.
_GRID: Final = (2**31 - 1, 65535, 65535)


def target_of(device: Any) -> Target:
    """Of a device of pyopencl."""
    extensions = device.extensions.split()
    features = features_of(extensions, device.single_fp_config, subgroup_sizes(device))
    if is_pocl(device):
        features += (FLAT,)
    name = f"{label_of(device)}, {_plain(device.driver_version)}"
    can = capabilities(
        features,
        device.single_fp_config,
        device.max_work_group_size,
        tuple(device.max_work_item_sizes),
        device.local_mem_size,
    )
    return Target(name, can, " ".join(features))


def label_of(device: Any) -> str:
    """What a person calls it: the device, and whose OpenCL it is."""
    return f"{_plain(device.name)} ({_plain(device.platform.name)})"


def _plain(text: str) -> str:
    return " ".join(text.replace("\0", "").split())


def features_of(
    extensions: Collection[str], single: int, sizes: Collection[int]
) -> tuple[str, ...]:
    found = [name for name in _EXTENSIONS if name in extensions]
    if single & _ROUNDED_DIVISION:
        found.append(ROUNDED)
    if has_subgroups(extensions, sizes):
        found.append(WARPS)
    return tuple(found)


def subgroup_sizes(device: Any) -> tuple[int, ...]:
    """How many threads a subgroup can be asked to have, which pyopencl does not know to ask."""
    if SUBGROUPS[-1] not in device.extensions.split():
        return ()
    import pyopencl as cl

    try:
        ask = ctypes.CDLL(cl._cl.__file__).clGetDeviceInfo
    except (OSError, AttributeError):
        return ()
    size = ctypes.c_size_t()
    handle, sizes = ctypes.c_void_p(device.int_ptr), (ctypes.c_size_t * 16)()
    if ask(handle, _SUB_GROUP_SIZES, ctypes.sizeof(sizes), sizes, ctypes.byref(size)):
        return ()
    return tuple(sizes[: size.value // ctypes.sizeof(ctypes.c_size_t)])


def capabilities(
    features: Collection[str],
    single: int,
    threads: int,
    block: tuple[int, ...],
    shared_bytes: int,
) -> Capabilities:
    """What the runtime may ask for. float32 division and square root are exact by way of float64
    where the device does not round them itself."""
    wide = FP64 in features
    block = (*block, 1, 1)[:3]
    return Capabilities(
        dtypes=frozenset(DTYPES) - (frozenset() if wide else _WIDE),
        atomics=dtypes(features, wide),
        divergent_warps=WARPS in features,
        reproducible=single & _IEEE == _IEEE and (wide or ROUNDED in features),
        threads_per_block=threads,
        block=(block[0], block[1], block[2]),
        grid=_GRID,
        shared_bytes=shared_bytes,
    )
