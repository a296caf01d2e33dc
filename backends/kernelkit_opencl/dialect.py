"""OpenCL C 1.2, as `kernelkit.emit.cstyle` prints it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from kernelkit.emit.cstyle.dialect import CDialect
from kernelkit.ir.types import AddressSpace
from kernelkit_opencl.atomics import atomics
from kernelkit_opencl.scalars import SPELLING
from kernelkit_opencl.warps import warps

_SPACES: Final = {
    AddressSpace.GLOBAL: "__global ",
    AddressSpace.SHARED: "__local ",
    AddressSpace.LOCAL: "__private ",
    AddressSpace.CONSTANT: "__constant ",
}


def opencl(extensions: Collection[str] = (), subgroups: bool = False) -> CDialect:
    """The dialect of a device with these extensions; `subgroups`: its subgroups can be warps."""
    return CDialect(
        name="opencl",
        scalars=SPELLING,
        atomics=atomics(extensions),
        warps=warps(subgroups),
        kernel=(
            "__kernel __attribute__((reqd_work_group_size({x}, {y}, {z}))) {attributes}\n"
            "void {name}({parameters})"
        ),
        spaces=_SPACES,
        restrict="restrict",
        registers={
            "threadIdx": "get_local_id({number})",
            "blockIdx": "get_group_id({number})",
            "gridDim": "get_num_groups({number})",
        },
        shared="__local {type} {name}[{size}];",
        constant="__constant {type} {name}[{size}] = {{{values}}};",
        dynamic="",
        buffers=True,
        leaves=False,
        rows=subgroups,
    )
