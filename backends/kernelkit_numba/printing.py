"""A kernel as numba.cuda Python, and what a launch of it must know.

In: an analysis. Out: text, and metadata of JSON's types: the kernel's name in the text, and its
parameters: for an array dtype, axes, layout, whether it is read-only; for a scalar its dtype.
"""

from __future__ import annotations

from typing import Any

from kernelkit.analysis.pipeline import Analysis
from kernelkit.emit.python import print_kernel
from kernelkit.errors import CapabilityError, Diagnostic
from kernelkit.ir import nodes as ir
from kernelkit_numba.capabilities import STATIC_SHARED
from kernelkit_numba.dialect import NUMBA, REPRODUCIBLE
from kernelkit_numba.lowering import lowered
from kernelkit_numba.reports import reporting

_HEAD = "# numba.cuda, with device functions _k_... of kernelkit_numba\n"


def printed(analysis: Analysis) -> tuple[str, dict[str, Any]]:
    """Text and metadata."""
    reporter, sites, has_record = reporting(analysis.kernel)
    kernel = lowered(reporter, analysis.shape.block)
    source = print_kernel(kernel, REPRODUCIBLE if kernel.options.reproducible else NUMBA)
    return _HEAD + source.text, {
        "name": source.function,
        "source": kernel.name,
        "parameters": list(map(_parameter, kernel.params)),
        "block": list(analysis.shape.block),
        "static_shared": _static(analysis),
        "record": has_record,
        "prints": any(isinstance(stmt, ir.Print) for stmt in ir.walk(analysis.kernel.body)),
        "debug": kernel.options.debug,
        "sites": sites,
    }


def _static(analysis: Analysis) -> int:
    """Bytes of shared memory in arrays whose shapes are known."""
    found = analysis.memory.static_shared_bytes
    if found > STATIC_SHARED:
        kernel = analysis.kernel
        message = (
            f"{kernel.name} needs {found} bytes of shared memory in arrays whose shapes are known, and "
            f"numba.cuda has {STATIC_SHARED} for these; make one of them the launch's dynamic shared "
            "memory, shared.array(0, dtype)"
        )
        raise CapabilityError(str(Diagnostic(kernel.span, message)))
    return found


def _parameter(symbol: ir.Symbol) -> dict[str, Any]:
    if isinstance(symbol, ir.Var):
        return {"dtype": symbol.type.name}
    kind = symbol.type
    return {
        "dtype": kind.dtype.name,
        "ndim": kind.ndim,
        "layout": "C" if kind.layout == "C" else "A",
        "readonly": kind.readonly,
    }
