"""What numba.cuda can do, on a GPU and in its simulator.

In: the numbers of a device. Out: a `Target`.
"""

from __future__ import annotations

from typing import Final

from kernelkit.backend import Capabilities, Device, Target

#: The name of the target that is Numba's simulator.
SIMULATOR: Final = "numba-simulator"
#: Warp operations with masks, and what kernels may rely on, begin here.
OLDEST: Final = (7, 0)
#: Bytes of shared memory that a block has without asking: of arrays whose shapes are known, of
#: dynamic shared memory until a launch asks for more.
STATIC_SHARED: Final = 48 * 1024


def gpu(cc: tuple[int, int], capabilities: Capabilities | None = None) -> Target:
    """The target of a GPU with this compute capability: `sm_80`."""
    return Target(f"sm_{cc[0]}{cc[1]}", capabilities or Capabilities())


def architecture(target: Target) -> tuple[int, int]:
    """Its compute capability: (8, 0) of sm_80, (12, 0) of sm_120."""
    digits = target.name.removeprefix("sm_")
    return int(digits[:-1]), int(digits[-1])


def simulated(backend: str) -> Device:
    """The simulator, which has no operations of warps."""
    able = Capabilities(warp_operations=False)
    return Device(backend, 0, "Numba's CUDA simulator", Target(SIMULATOR, able))
