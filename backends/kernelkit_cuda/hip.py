"""ROCm builds of CuPy: the same text with another head, compiled by hiprtc through CuPy.

In: what devices.py and `compile` hand on. Out: a target, code.
Holds: none of this has run: no machine with ROCm was at hand. Warp operations are those of 32 lanes,
so devices whose wavefronts have 64 are said to have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kernelkit.backend import Capabilities, Target

#: Words of CUDA that hiprtc does not have; the rest of the text is the same for both.
_HEAD: Final = "#define __grid_constant__\n"
PREFIX: Final = "gfx"


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


def compile(cupy: Any, text: str, name: str, reproducible: bool) -> bytes:
    """Code for the current device."""
    contraction = "off" if reproducible else "fast"
    options = ("-std=c++17", f"-ffp-contract={contraction}")
    compiler = cupy.cuda.compiler
    code, _ = compiler.compile_using_nvrtc(_HEAD + text, options, None, name)
    return code if isinstance(code, bytes) else bytes(code)
