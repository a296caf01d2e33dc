"""Operations among the lanes of a warp."""

from __future__ import annotations

from kernelkit.ir import nodes as ir
from kernelkit_cpu.frame import Frame


def write(frame: Frame, stmt: ir.Warp) -> None:
    raise NotImplementedError
