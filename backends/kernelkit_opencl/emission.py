"""From an analysed kernel to OpenCL C for a target.

In: an Analysis and a Target. Out: an Artifact.
Holds: needs no device; what the target cannot do in any way is refused here, in the common words.
"""

from __future__ import annotations

from collections.abc import Collection

from kernelkit.analysis.pipeline import Analysis, analyse
from kernelkit.backend import Artifact, Target
from kernelkit.emit.cstyle.dialect import CDialect
from kernelkit.emit.cstyle.printer import print_kernel
from kernelkit.errors import CapabilityError
from kernelkit.ir import nodes as ir
from kernelkit_opencl.capabilities import FLAT, WARPS
from kernelkit_opencl.dialect import opencl
from kernelkit_opencl.flat import flat
from kernelkit_opencl.leaving import stay
from kernelkit_opencl.pocl import watched
from kernelkit_opencl.warps import divergent_warps


def emit(analysis: Analysis, target: Target) -> Artifact:
    features = target.features.split()
    if WARPS not in features:
        wrong = [str(diagnostic) for diagnostic in divergent_warps(analysis)]
        if wrong:
            raise CapabilityError("\n".join(wrong))
    by_block = WARPS not in features
    staying = kernel = stay(analysis, by_block)
    if FLAT in features:
        kernel = flat(staying, by_block)
    if kernel is not analysis.kernel:
        analysis = analyse(kernel, analysis.shape, checked=True)
    source = print_kernel(analysis, dialect_for(features))
    text = watched(source.text) if FLAT in features else source.text
    # What was flattened is beyond PoCL's optimiser: it still mixes up its threads, if seldom.
    more = {"local_bytes": _own_bytes(analysis), "optimised": kernel is staying}
    return Artifact(text, {**source.metadata, **more})


def _own_bytes(analysis: Analysis) -> int:
    """At most so much of each thread is kept in memory where threads take turns: its arrays, and its
    variables across barriers."""
    statements = list(ir.walk(analysis.kernel.body))
    found = analysis.memory.local_bytes
    if any(isinstance(stmt, ir.Barrier | ir.Warp) for stmt in statements):
        names = {var for stmt in statements for var in ir.targets(stmt)}
        found += sum(var.type.itemsize for var in names)
    return found


def dialect_for(features: Collection[str]) -> CDialect:
    """The dialect of a target with these features."""
    return opencl(features, WARPS in features)
