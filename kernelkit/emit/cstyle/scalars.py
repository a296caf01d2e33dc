"""Scalars in C: every operation, function, cast and literal of the scalar table.

In: an operation, its operand types, its operands as C expressions of the register types. Out: a C
expression of the register type of the result, which stands anywhere without more parentheses; the
functions that it calls are in the library.
Holds: operands have no side effects and are written once. In registers bool is `bool` and float16
is an f32 that is a float16's value; in memory they are u8 and u16. A text that uses no float64 has
no double.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from kernelkit.emit.cstyle import casts, complexes, floats, functions, integers, literals
from kernelkit.emit.cstyle.code import Code, ScalarSpelling, register
from kernelkit.emit.cstyle.library import Library
from kernelkit.ir import scalar
from kernelkit.ir.types import DType

__all__ = ["ScalarSpelling", "Scalars"]

_WIDE: Final = re.compile(r"\b(?:f64|c128)\b")


class Scalars:
    """The scalar table for one translation unit."""

    def __init__(
        self, spelling: ScalarSpelling, library: Library, reproducible: bool = False
    ) -> None:
        self.code = Code(spelling, library)
        self._reproducible = reproducible
        self._wide = False

    # ---------------------------------------------------------------- types
    @property
    def prelude(self) -> str:
        """What the text begins with. Ask for it last: it depends on what was used."""
        spelling = self.code.spelling
        wide = self._wide or _WIDE.search(self.code.library.text()) is not None
        lines = [spelling.wide] if wide and spelling.wide else []
        lines += [spelling.exact] if self._reproducible and spelling.exact else []
        reals = {"f32": "float", "f64": "double"} if wide else {"f32": "float"}
        names = {**spelling.integers, **reals}
        for real in reals:
            names[f"c{2 * int(real[1:])}"] = f"struct {{ {real} re, im; }}"
        alias = f"{spelling.alias} " if spelling.alias else ""
        lines += [f"typedef {theirs} {alias}{ours};" for ours, theirs in names.items()]
        return "\n".join(lines) + "\n"

    def register_type(self, dtype: DType) -> str:
        self._uses(dtype)
        return register(dtype)

    def memory_type(self, dtype: DType) -> str:
        self._uses(dtype)
        return {"bool": "u8", "float16": "u16"}.get(dtype.name) or register(dtype)

    def _uses(self, *dtypes: DType) -> None:
        self._wide = self._wide or any(each.component.name == "float64" for each in dtypes)

    # ---------------------------------------------------------------- values
    def expression(self, op: str, operands: tuple[DType, ...], args: Sequence[str]) -> str:
        """An operator or function of the table."""
        result = scalar.result_type(op, *operands)
        if result is None or len(args) != len(operands):
            raise ValueError(f"{op}({', '.join(map(str, operands))}) is not in the scalar table")
        self._uses(result, *operands)
        if op in scalar.FUNCTIONS:
            return functions.function(self.code, op, operands, args)
        return self._operator(op, operands[0], args)

    def _operator(self, op: str, dtype: DType, args: Sequence[str]) -> str:
        part = complexes if dtype.is_complex else floats if dtype.is_float else integers
        if op in scalar.UNARY:
            return part.unary(self.code, op, dtype, args[0])
        if op in scalar.BINARY:
            return part.binary(self.code, op, dtype, args[0], args[1])
        if dtype.is_complex:
            return complexes.compare(self.code, op, dtype, args[0], args[1])
        return (floats if dtype.is_float else integers).compare(op, args[0], args[1])

    def cast(self, source: DType, target: DType, arg: str) -> str:
        if not scalar.can_cast(source, target):
            raise ValueError(f"no cast from {source} to {target}; take .real or abs()")
        self._uses(source, target)
        return casts.cast(self.code, source, target, arg)

    def literal(self, dtype: DType, value: Any) -> str:
        self._uses(dtype)
        return literals.literal(self.code, dtype, value)

    # ---------------------------------------------------------------- memory
    def memory_literal(self, dtype: DType, value: Any) -> str:
        """An element of a constant array's initial value."""
        self._uses(dtype)
        return literals.memory_literal(self.code, dtype, value)

    def load(self, dtype: DType, lvalue: str) -> str:
        """The register's value of what memory holds."""
        self._uses(dtype)
        return casts.load(self.code, dtype, lvalue)

    def store(self, dtype: DType, value: str) -> str:
        """What memory holds of a register's value."""
        self._uses(dtype)
        return casts.store(self.code, dtype, value)

    def bits(self, dtype: DType, arg: str) -> list[str]:
        """A value's bits as u64; of a complex number those of both parts. `arg` may be written
        twice."""
        self._uses(dtype)
        return casts.bits(self.code, dtype, arg)
