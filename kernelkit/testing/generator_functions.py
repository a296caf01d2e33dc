"""Random device functions, written before the kernel that calls them.

In: a program in which nothing is in scope yet. Out: functions that the kernel's expressions may
call, and their text. Holds: a function sees its parameters alone; it calls only functions written
earlier.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from kernelkit.ir.types import DType
from kernelkit.testing.generator_control import INNER
from kernelkit.testing.generator_expressions import expression
from kernelkit.testing.generator_program import (
    ArrayName,
    Flow,
    Function,
    Level,
    Mode,
    Name,
    Program,
)
from kernelkit.testing.generator_statements import bare, body

#: A store through a function, with an early return; in every program that calls it.
PUT: Final = """\
@kk.device
def put(array, index, value):
    if value != value:
        array[index] = 0
        return
    array[index] = value
"""


def functions(p: Program) -> list[str]:
    """Texts of up to two device functions."""
    texts: list[str] = []
    while len(texts) < 2 and p.choices.chance(35):
        texts.append(p.choices.part(lambda: _function(p)))
    return texts


def _function(p: Program) -> str:
    """One function, with as many returns as its statements have."""
    scalars = tuple(p.choices.pick(p.palette) for _ in range(1 + p.choices.below(3)))
    array = p.choices.pick(p.palette) if p.choices.chance(35) else None
    results = tuple(p.choices.pick(p.palette) for _ in range(2 if p.choices.chance(25) else 1))
    text = p.fresh("function")
    _enter(p, scalars, array, results)
    head = ", ".join((["array"] if array else []) + [f"x{k}" for k in range(len(scalars))])
    p.statements_left, kept = 5, p.statements_left
    body(p, least=0)
    p.statements_left = kept
    values = [expression(p, t) for t in results]
    p.emit(f"return {bare(values[0]) if len(values) == 1 else ', '.join(values)}")
    lines, function = p.lines, Function(text, scalars, array, results)
    _leave(p)
    p.functions.append(function)
    mark = "@kk.device\n" if p.choices.chance(60) else ""
    return f"{mark}def {text}({head}):\n" + "\n".join(lines) + "\n"


def _enter(
    p: Program, scalars: tuple[DType, ...], array: DType | None, results: tuple[DType, ...]
) -> None:
    p.flow = replace(Flow(level=Level.THREAD), results=results, depth=1, weight=4)
    p.tables = {Level.THREAD: INNER}
    p.lines = []
    p.names = [Name(f"x{k}", dtype, Level.THREAD) for k, dtype in enumerate(scalars)]
    p.arrays = []
    if array is not None:
        p.arrays.append(ArrayName("array", array, (0,), Mode.READ, level=Level.THREAD))


def _leave(p: Program) -> None:
    """Back to nothing in scope; counting starts anew, so that names clash with the kernel's."""
    p.flow, p.tables, p.lines, p.names, p.arrays = Flow(), {}, [], [], []
    p.used = {
        prefix: count
        for prefix, count in p.used.items()
        if prefix in ("function", "CONSTANT", "TABLE")
    }
