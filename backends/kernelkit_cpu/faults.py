"""Faults of debug kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from kernelkit.analysis.webs import Web
from kernelkit.backend import LaunchConfig
from kernelkit.ir import nodes as ir
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.values import Value

Access = ir.Load | ir.Store | ir.Atomic | ir.View


def check_bounds(
    frame: Frame,
    node: Access,
    array: ir.ArrayVar,
    indices: Sequence[ir.Expr],
    values: Sequence[Value],
) -> None:
    raise NotImplementedError


def check_assigned(frame: Frame, expr: ir.Read, web: Web) -> None:
    raise NotImplementedError


def check_uniform(frame: Frame, expr: ir.Intrinsic, value: Value) -> None:
    raise NotImplementedError


def check_step(frame: Frame, stmt: ir.For, step: Value) -> None:
    raise NotImplementedError


def raise_fault(metadata: Mapping[str, Any], words: Sequence[int], config: LaunchConfig) -> NoReturn:
    raise NotImplementedError
