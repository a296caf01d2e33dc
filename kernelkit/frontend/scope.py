"""The state of a function that is about to be parsed: which names are its own.

In: a SourceFunction. Out: a Function without bindings. Holds: what the text alone tells is found
once.
"""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache

from kernelkit.frontend.context import Function, assigned_names
from kernelkit.frontend.source import SourceFunction


def function_state(source: SourceFunction, prefix: str) -> Function:
    """A fresh Function: which names are its own, which of them are assigned once."""
    return Function(source, prefix, *_own_names(source))


@cache
def _own_names(source: SourceFunction) -> tuple[frozenset[str], frozenset[str]]:
    counts = Counter(assigned_names(source.tree.body))
    counters = {
        name
        for loop in ast.walk(source.tree)
        if isinstance(loop, ast.For)
        for name in assigned_names([ast.Assign([loop.target], ast.Constant(0))])
    }
    parameters = set(source.signature.parameters)
    once = {name for name, count in counts.items() if count == 1} - counters - parameters
    return frozenset({*counts, *parameters}), frozenset(once)
