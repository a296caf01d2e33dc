"""What a kernel says: print and assert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kernelkit.ir import nodes as ir
from kernelkit_cpu.frame import Frame


def write(frame: Frame, stmt: ir.Print) -> None:
    raise NotImplementedError


def write_assert(frame: Frame, stmt: ir.Assert) -> None:
    """Nothing in release builds."""
    raise NotImplementedError


def callback(metadata: Mapping[str, Any], write: Callable[[str], object] | None = None) -> Any:
    raise NotImplementedError
