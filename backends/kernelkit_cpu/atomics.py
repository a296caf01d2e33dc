"""Atomic operations of a vector of threads."""

from __future__ import annotations

from kernelkit.ir import nodes as ir
from kernelkit_cpu.frame import Frame


def write(frame: Frame, stmt: ir.Atomic) -> None:
    raise NotImplementedError
