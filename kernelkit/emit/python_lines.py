"""Small questions of the Python printer: where a line belongs, and what an array gets.

In: nodes of the IR. Out: spans, bodies, numbers.
"""

from __future__ import annotations

from dataclasses import replace

from kernelkit.errors import Span
from kernelkit.ir import nodes as ir


def shape(array: ir.ArrayVar) -> tuple[int, ...] | int:
    """0 for the launch's dynamic shared memory. Nobody reads an array without elements: it gets one,
    as not every target has empty ones."""
    return 0 if array.is_dynamic else tuple(max(1, extent) for extent in array.shape)


def header(span: Span, last: ir.Expr) -> Span:
    """A compound statement's span without its body: as far as the last expression of its head."""
    end = last.span
    if end.file != span.file or (end.end_line, end.end_column) <= (span.line, span.column):
        return span
    return replace(span, end_line=end.end_line, end_column=end.end_column)


def is_short(start: ir.Expr, stop: ir.Expr, step: ir.Expr, limit: int = 1 << 16) -> bool:
    """Whether a constant range is legal and so short that no budget needs to watch it."""
    values = [expr.value for expr in (start, stop, step) if isinstance(expr, ir.Constant)]
    first, last, by = (int(value.real) for value in values)
    return by != 0 and abs(last - first) <= limit


def in_source_order(kernel: ir.Kernel) -> ir.Body:
    """The body, with constants that were brought forward from later lines put on the def line, so
    that a debugger does not begin there."""
    first = next((s.span.line for s in kernel.body if not isinstance(s, ir.Allocate)), 0)
    return tuple(
        replace(stmt, span=kernel.span)
        if isinstance(stmt, ir.Allocate) and stmt.data is not None and stmt.span.line >= first > 0
        and index < _leading(kernel.body)
        else stmt
        for index, stmt in enumerate(kernel.body)
    )  # fmt: skip


def _leading(body: ir.Body) -> int:
    """How many allocations a body starts with."""
    return next((i for i, s in enumerate(body) if not isinstance(s, ir.Allocate)), len(body))
