"""A kernel as numba.cuda Python, and what a launch of it must know.

In: an analysis. Out: text, and metadata of JSON's types: the kernel's name in the text, and its
parameters: for an array dtype, axes, layout, whether it is read-only; for a scalar its dtype.
"""

from __future__ import annotations

from typing import Any

from kernelkit.analysis.pipeline import Analysis
from kernelkit.emit.python import print_kernel
from kernelkit.ir import nodes as ir
from kernelkit_numba.dialect import NUMBA, REPRODUCIBLE
from kernelkit_numba.lowering import lowered
from kernelkit_numba.reports import reporting

_HEAD = "# numba.cuda, with device functions _k_... of kernelkit_numba\n"


def printed(analysis: Analysis) -> tuple[str, dict[str, Any]]:
    """Text and metadata."""
    reporter, sites, has_record = reporting(analysis.kernel)
    kernel = lowered(reporter)
    source = print_kernel(kernel, REPRODUCIBLE if kernel.options.reproducible else NUMBA)
    return _HEAD + source.text, {
        "name": source.function,
        "source": kernel.name,
        "parameters": list(map(_parameter, kernel.params)),
        "block": list(analysis.shape.block),
        "record": has_record,
        "prints": any(isinstance(stmt, ir.Print) for stmt in ir.walk(analysis.kernel.body)),
        "debug": kernel.options.debug,
        "sites": sites,
    }


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
