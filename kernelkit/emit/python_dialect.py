"""The table of a target that the Python printer works by: the reference, numba.cuda.

Holds: a template never changes the order in which its fields are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kernelkit.ir.types import AddressSpace, DType


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
    #: Fields of the next four: array, site, rank (number of indices), kind (of the dtype), wrap
    #: ("" or "n"), index (comma-separated, "()" for none), args ("array, site, i, j").
    load: str
    view: str
    store: str  # and value
    atomic: str  # and update (a function), operands ("a, b")
    #: (operation, dtype) -> the source of the function that makes the new value from the old one.
    update: Callable[[str, DType], str]
    #: Address space -> template; fields: number (in PythonSource.arrays), the parameters.
    allocate: Mapping[AddressSpace, str]
    extent: str  # array, axis
    #: Fields: site, op, request ("site, mask, operands" or "site, predicate"; "site," alone).
    barrier: str
    warp: str
    fence: str
    range: str  # args, for constant bounds
    checked_range: str  # site, args, the parameters
    tick: str  # site, cost, the parameters: a truth that a while loop evaluates at each turn
    print: str  # parts, comma-separated texts
    text: str  # value, spec (a literal): a text
    fail: str  # site, parts: a statement
    breakpoint: str
    #: Whether barriers and warp operations suspend the function (it is a generator then).
    suspends: bool
