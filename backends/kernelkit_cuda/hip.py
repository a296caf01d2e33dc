"""ROCm builds of CuPy: the table of CUDA C with a few other words, compiled by hiprtc through CuPy.

In: what devices.py and `compile` hand on. Out: a target, a dialect, code.
Holds: none of this has run or been compiled: no machine with ROCm was at hand. Masks of lanes have 64
bits there, as far as the compiler goes; our warps have 32 lanes, so devices whose wavefronts have 64
are said to have no warp operations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from kernelkit.backend import Capabilities, Target
from kernelkit.errors import BackendError

if TYPE_CHECKING:
    from kernelkit.emit.cstyle.dialect import CDialect
    from kernelkit.emit.cstyle.warps import WarpTable

#: Names of architectures begin so.
PREFIX: Final = "gfx"
_HEAD: Final = "#define HIP_ENABLE_WARP_SYNC_BUILTINS\n"
_DYNAMIC: Final = "extern __shared__ __attribute__((aligned(16))) unsigned char kk_dynamic[];"
#: In place of PTX.
_HALVES: Final = {
    "u16_f32": "return __builtin_bit_cast(u16, (_Float16)x);",
    "u16_f64": "return __builtin_bit_cast(u16, (_Float16)x);",
    "f32_u16": "return (f32)__builtin_bit_cast(_Float16, x);",
}
_WIDE_MASK: Final = ("_sync({mask}", "_sync((u64){mask}")


# ---------------------------------------------------------------- devices
def why_none(cupy: Any) -> str:
    """Why a ROCm build of CuPy has no device."""
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:
        return f"CuPy is a ROCm build and finds no device ({error}); install AMD's driver and ROCm"
    return "" if count else "CuPy is a ROCm build and finds no device"


def warp_operations(properties: Mapping[str, Any]) -> bool:
    return bool(properties.get("warpSize") == 32)


def target(properties: Mapping[str, Any], can: Capabilities) -> Target:
    """`gcnArchName` is such as gfx1100, with features behind a colon."""
    name = properties.get("gcnArchName", b"gfx000")
    name = name.decode() if isinstance(name, bytes) else str(name)
    base, _, features = name.partition(":")
    return Target(base, can, features)


# ---------------------------------------------------------------- code
def dialect(cuda: CDialect) -> CDialect:
    """The table of CUDA C as hiprtc takes it."""
    warps = None if cuda.warps is None else _warps(cuda.warps)
    scalars = dataclasses.replace(cuda.scalars, halves=_HALVES)
    return dataclasses.replace(cuda, name="hip", scalars=scalars, warps=warps, dynamic=_DYNAMIC)


def _warps(cuda: WarpTable) -> WarpTable:
    def wide(text: str) -> str:
        return text.replace(*_WIDE_MASK)

    return dataclasses.replace(
        cuda,
        ballot=f"(u32){wide(cuda.ballot)}",
        given={bits: wide(text) for bits, text in cuda.given.items()},
        match=f"(u32){wide(cuda.match)}",
        sync=cuda.sync.replace("__syncwarp({mask}", "__syncwarp((u64){mask}"),
        active=f"(u32){cuda.active}",
        native={op: wide(text) for op, text in cuda.native.items()},
    )


def compile(cupy: Any, text: str, name: str, reproducible: bool) -> bytes:
    """Code for the current device."""
    if cupy is None or not cupy.cuda.runtime.is_hip:
        raise BackendError("code for AMD's GPUs is compiled by a ROCm build of CuPy only")
    options = ("-std=c++17", f"-ffp-contract={'off' if reproducible else 'fast'}")
    code, _ = cupy.cuda.compiler.compile_using_nvrtc(_HEAD + text, options, None, name)
    return bytes(code)
