"""Plain C, as `kernelkit.emit.cstyle` prints it."""

from kernelkit.emit.cstyle.c11 import HEAD, SPELLING
from kernelkit.emit.cstyle.dialect import CDialect
from kernelkit.ir.types import AddressSpace

REGISTERS = ("threadIdx", "blockIdx", "gridDim")
HEAD += f"static _Thread_local struct {{ int x, y, z; }} {', '.join(REGISTERS)};\n"

PLAIN_C = CDialect(
    name="cc",
    scalars=SPELLING,
    atomics=None,
    warps=None,
    kernel="static void {name}({parameters})",
    spaces=dict.fromkeys(AddressSpace, ""),
    restrict="restrict",
    registers={name: f"{name}.{{axis}}" for name in REGISTERS},
    shared="",
    constant="static const {type} {name}[{size}] = {{{values}}};",
    dynamic="",
)
