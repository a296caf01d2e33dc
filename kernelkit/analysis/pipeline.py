"""All analyses of a kernel, in order.

In: a verified kernel and the shape that a back end gives it. Out: Analysis, or one CompileError
with everything that the checks found.
Holds: a pass reads the kernel and what earlier passes found, and changes neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kernelkit.analysis.barriers import divergent_barriers
from kernelkit.analysis.determinism import order_dependent_atomics
from kernelkit.analysis.memory import MemoryUse, memory_use
from kernelkit.analysis.phases import Phases, barrier_phases
from kernelkit.analysis.requirements import Requirements, find_requirements
from kernelkit.analysis.shape import Shape
from kernelkit.analysis.variability import Variability, find_variability
from kernelkit.analysis.webs import Webs, find_webs
from kernelkit.errors import CompileError, Diagnostic
from kernelkit.ir.nodes import Kernel
from kernelkit.records import record


@record
class Analysis:
    """What is known about a kernel: the fields after `shape` bear the names of the passes."""

    kernel: Kernel
    shape: Shape
    requirements: Requirements
    memory: MemoryUse
    webs: Webs
    phases: Phases
    variability: Variability


class _Draft:
    """An Analysis in the making."""

    requirements: Requirements
    memory: MemoryUse
    webs: Webs
    phases: Phases
    variability: Variability

    def __init__(self, kernel: Kernel, shape: Shape) -> None:
        self.kernel, self.shape = kernel, shape


PASSES: tuple[tuple[str, Callable[[_Draft], object]], ...] = (
    ("requirements", lambda d: find_requirements(d.kernel)),
    ("memory", lambda d: memory_use(d.kernel)),
    ("webs", lambda d: find_webs(d.kernel)),
    ("phases", lambda d: barrier_phases(d.kernel, d.memory.roots)),
    (
        "variability",
        lambda d: find_variability(d.kernel, d.shape, d.webs, d.phases),
    ),
)

CHECKS: tuple[tuple[str, Callable[[_Draft], Iterable[Diagnostic]]], ...] = (
    ("divergent barriers", lambda d: divergent_barriers(d.kernel, d.webs, d.variability)),
    ("order-dependent atomics", lambda d: order_dependent_atomics(d.kernel)),
)


def analyse(kernel: Kernel, shape: Shape, checked: bool = False) -> Analysis:
    """Run every pass, then every check. `checked`: the kernel was made from one that was checked."""
    draft = _Draft(kernel, shape)
    for name, run in PASSES:
        setattr(draft, name, run(draft))
    checks = () if checked else CHECKS
    found = [diagnostic for _, check in checks for diagnostic in check(draft)]
    if found:
        raise CompileError(found)
    return Analysis(**vars(draft))
