"""CUDA C, as `kernelkit.emit.cstyle` prints it. It needs no header."""

from __future__ import annotations

from typing import Final

from kernelkit.emit.cstyle.dialect import CDialect
from kernelkit.ir.types import AddressSpace
from kernelkit_cuda.atomics import ATOMICS
from kernelkit_cuda.scalars import SPELLING
from kernelkit_cuda.warps import WARPS

#: What a block may have without asking for more when it is launched.
STATIC_SHARED: Final = 48 * 1024

CUDA: Final = CDialect(
    name="cuda",
    scalars=SPELLING,
    atomics=ATOMICS,
    warps=WARPS,
    kernel='extern "C" __global__ void __launch_bounds__({threads}) {name}({parameters})',
    # Pointers are generic; the compiler infers where they point to.
    spaces=dict.fromkeys(AddressSpace, ""),
    restrict="__restrict__",
    registers={
        "threadIdx": "threadIdx.{axis}",
        "blockIdx": "blockIdx.{axis}",
        "gridDim": "gridDim.{axis}",
    },
    shared="__shared__ {type} {name}[{size}];",
    constant="static __constant__ {type} {name}[{size}] = {{{values}}};",
    dynamic="extern __shared__ __align__(16) unsigned char kk_dynamic[];",
    unroll="#pragma unroll",
    assume="__builtin_assume({condition});",
    lines=True,
    static_shared=STATIC_SHARED,
)
