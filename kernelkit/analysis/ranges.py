"""Indices that are never negative, so that nothing needs to wrap them.

In: a kernel and its shape. Out: index expressions of loads, stores, atomics and views that are at
least 0 in every thread that evaluates them, whatever the arguments.
Holds: a node that stands in several places is among them if it is so in all of them.
"""

from __future__ import annotations

from kernelkit.analysis.flow import Flow
from kernelkit.analysis.shape import Shape
from kernelkit.ir.nodes import Expr, Kernel


def never_negative(kernel: Kernel, shape: Shape) -> frozenset[Expr]:
    flow = Flow(kernel, shape)
    try:
        flow.walked()
    except RecursionError:  # nothing is known of a kernel nested that deeply
        return frozenset()
    return flow.never_negative()
