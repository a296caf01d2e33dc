"""What the texts of scalar operations are made with: a dialect's spellings, types, functions.

In: names of C types, texts. Out: functions in the library of the translation unit, calls of them.
Holds: every function is small and is defined once, with everything that it calls before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from kernelkit.emit.cstyle.library import Library
from kernelkit.ir.types import FLOAT32, FLOAT64, DType
from kernelkit.records import record

#: A literal: of any type that `literals.py` writes, or a number alone.
_LITERAL: Final = re.compile(r"(?:\(\([iu]\d+\))?\(?(-?\d+)(?:u|ull|ll|U|UL|L)?\)?\)?")


@record
class ScalarSpelling:
    """How a dialect writes what C leaves to it. The texts with fields are for `str.format`."""

    #: What stands before the result type of a function.
    function: str
    #: Our names of the integer types -> the dialect's.
    integers: Mapping[str, str]
    #: Our names of the integer types -> the end of a literal.
    suffixes: Mapping[str, str]
    #: The head of a text that uses float64.
    wide: str
    #: The head of a text, and of the body of a function, where nothing may be contracted; the
    #: empty text where that is said otherwise.
    exact: str
    #: "add", "sub" and "mul" of "f32" and "f64" ("add_f32") that are never contracted. Fields: 0, 1.
    operators: Mapping[str, str]
    #: Bits of a float as an integer without sign and back: "u32_f32" is to u32. Field: 0.
    bits: Mapping[str, str]
    #: popc, clz, ffs and brev of "u32" and "u64"; their result is an int, or the argument's type
    #: from brev. Field: 0.
    counts: Mapping[str, str]
    #: Functions of f32 and of f64. Fields: 0, 1, 2.
    math: Mapping[str, tuple[str, str]]
    #: Macros of ours that a float32 function is written with: its name -> name and definition.
    macros: Mapping[str, tuple[str, str]]
    #: Saturating conversions that need no more care, where there are some: "i32_f32" is to i32.
    saturating: Mapping[str, str]
    #: The bodies of functions of x: "u16_f32" and "u16_f64" round to a float16's bits, "f32_u16"
    #: is the way back.
    halves: Mapping[str, str]
    #: Infinity and NaN of f32.
    infinity: str
    nan: str
    #: The same in initial values of arrays.
    static_infinity: str
    static_nan: str
    #: Before the name of a type: what is of it may be in the place of anything else, as arrays of
    #: different dtypes may overlap. Empty where the compiler takes that for granted.
    alias: str = ""


class Code:
    """Where the functions go that a translation unit needs."""

    def __init__(self, spelling: ScalarSpelling, library: Library) -> None:
        self.spelling = spelling
        self.library = library

    def function(
        self, name: str, result: str, parameters: str, body: str, exact: bool = False
    ) -> str:
        """Define kk_name; gives that name. `parameters`: "f32 a, f32 b". `exact`: no contraction."""
        full = f"kk_{name}"
        lines = [f"{self.spelling.function} {result} {full}({parameters}) {{"]
        if exact and self.spelling.exact:
            lines.append(self.spelling.exact)
        lines += [
            line if line[:1] == "#" else f"    {line}" for line in body.strip("\n").splitlines()
        ]
        return self.library.define(full, "\n".join([*lines, "}"]))

    def call(
        self,
        name: str,
        result: str,
        kinds: Sequence[str],
        body: str,
        args: Sequence[str],
        exact: bool = False,
    ) -> str:
        """A call of a function with the parameters a, b, c."""
        parameters = ", ".join(f"{kind} {x}" for kind, x in zip(kinds, "abc", strict=False))
        return f"{self.function(name, result, parameters, body, exact)}({', '.join(args)})"

    def math(self, name: str, dtype: DType, *args: str) -> str:
        """A function of float32 or float64 under the dialect's name."""
        if dtype == FLOAT32 and name in self.spelling.macros:
            self.library.define(*self.spelling.macros[name])
        return self.spelling.math[name][dtype == FLOAT64].format(*args)

    def repeats(self, name: str, dtype: DType) -> bool:
        """Whether a function's text has an operand more than once."""
        return self.spelling.math[name][dtype == FLOAT64].count("{0}") > 1

    def bits(self, dtype: DType, arg: str) -> str:
        """A float32 or float64 as an integer without sign."""
        return self.spelling.bits[f"u{dtype.bits}_f{dtype.bits}"].format(arg)

    def from_bits(self, dtype: DType, arg: str) -> str:
        return self.spelling.bits[f"f{dtype.bits}_u{dtype.bits}"].format(arg)

    def operator(self, name: str, dtype: DType, a: str, b: str) -> str:
        """add, sub or mul that is rounded in itself; the function around it must be exact."""
        return self.spelling.operators[f"{name}_{short(dtype)}"].format(a, b)


def short(dtype: DType) -> str:
    """The name of a type in C: that of its register, but f16 of a float16."""
    return "bool" if dtype.kind == "b" else f"{dtype.kind}{dtype.bits}"


def register(dtype: DType) -> str:
    """The C type of a value."""
    return "f32" if dtype.is_float and dtype.bits == 16 else short(dtype)


def computed(dtype: DType) -> DType:
    """The type that a float's operations compute in."""
    return FLOAT32 if dtype.is_float and dtype.bits == 16 else dtype


def constant(arg: str) -> int | None:
    """The value of an integer's literal; None of any other expression (the least values too)."""
    found = _LITERAL.fullmatch(arg)
    return int(found[1]) if found else None
