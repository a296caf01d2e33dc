"""The table of a target that the Python printer works by: the reference, numba.cuda.

Holds: a template never changes the order in which its fields are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelkit.ir.nodes import ArrayVar
from kernelkit.ir.types import AddressSpace, DType


def _as_it_is(dtype: DType, text: str) -> str:
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonDialect:
    """How one target writes what a kernel does. The templates are texts for `str.format`; which
    fields each may use stands beside it. `site` is a number in the table of sites."""

    name: str
    #: What a function takes after the kernel's own parameters.
    parameters: tuple[str, ...]
    #: Register -> template; fields: axis (x, y or z) and the parameters above.
    registers: Mapping[str, str]
    expression: Callable[[str, tuple[DType, ...], Sequence[str]], str]
    cast: Callable[[DType, DType, str], str]
    literal: Callable[[DType, bool | int | float | complex], str]
    #: Functions of the table that need more than their operands; fields: site, the parameters,
    #: args (all operands, comma-separated).
    functions: Mapping[str, str]
    #: Fields of the next four: array, site, rank (number of indices), kind (of the dtype), dtype,
    #: wrap ("" or "n"), index (comma-separated, "()" for none), place (a tuple), args ("array,
    #: site, i, j").
    load: str
    view: str
    store: str  # and value
    atomic: str  # and op, update (a function), operands ("a, b")
    #: (operation, dtype) -> the source of the function that makes the new value from the old one;
    #: None where the templates have no use for it.
    update: Callable[[str, DType], str] | None
    #: Address space -> template; fields: number (in PythonSource.arrays), shape, dtype, the
    #: parameters.
    allocate: Mapping[AddressSpace, str]
    extent: str  # array, axis
    #: Operation -> template; fields: site, args (the predicate), request ("site, predicate").
    barrier: Mapping[str, str]
    #: Fields: site, op, dtype (of the first operand), args ("mask, operands"), request ("site, "
    #: and args).
    warp: str
    fence: Mapping[str, str]  # by its scope
    range: str  # args, for constant bounds
    checked_range: str  # site, args, the parameters
    #: site, cost, the parameters: a truth that a while loop evaluates at each turn; "" for none.
    tick: str
    print: str  # parts, comma-separated texts
    text: str  # value, spec (a literal): a text
    fail: str  # site, parts: a statement
    breakpoint: str
    #: Whether barriers and warp operations suspend the function (it is a generator then).
    suspends: bool
    #: Names that no variable may have, as printed code calls them.
    taken: frozenset[str] = frozenset()
    #: What a value is in an expression that is this in memory, and the way back.
    loaded: Callable[[DType, str], str] = _as_it_is
    stored: Callable[[DType, str], str] = _as_it_is
    #: The elements of a constant array as an expression, which gets the name _k_data{number}.
    data: Callable[[Any, ArrayVar], str] | None = None
    #: The head of a loop that runs once, and what ends it if need be.
    scope: tuple[str, str] = ("for _k_once in (None,):", "")
