"""Constants as literals of C.

In: a dtype and a value. Out: an expression of the register's type that stands anywhere, or the
initial value of an array's element. Holds: a float's literal has the digits that make it exact, and
none of a float32 is a double.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kernelkit.emit.cstyle.code import Code, short
from kernelkit.ir.scalar import from_constant, to_constant
from kernelkit.ir.types import FLOAT16, FLOAT32, DType


def literal(code: Code, dtype: DType, value: Any) -> str:
    found = to_constant(from_constant(dtype, value))
    if isinstance(found, complex):
        parts = (literal(code, dtype.component, part) for part in (found.real, found.imag))
        return f"{complex_maker(code, dtype)}({', '.join(parts)})"
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, int):
        return _integer(code, dtype, found)
    return _float(dtype, found, code.spelling.infinity, code.spelling.nan)


def memory_literal(code: Code, dtype: DType, value: Any) -> str:
    """An initial value, of the type in memory: a float16's bits, a complex number in braces."""
    found = to_constant(from_constant(dtype, value))
    if isinstance(found, complex):
        parts = (memory_literal(code, dtype.component, part) for part in (found.real, found.imag))
        return f"{{{', '.join(parts)}}}"
    if isinstance(found, bool):
        return str(int(found))
    if isinstance(found, int):
        return _integer(code, dtype, found)
    if dtype == FLOAT16:
        return hex(np.float16(found).view(np.uint16))
    spelling = code.spelling
    return _float(dtype, found, spelling.static_infinity, spelling.static_nan)


def complex_maker(code: Code, dtype: DType) -> str:
    """The function that makes a complex number of its parts."""
    kind, part = short(dtype), short(dtype.component)
    return code.function(
        kind, kind, f"{part} re, {part} im", f"{kind} z;\nz.re = re;\nz.im = im;\nreturn z;"
    )


def _integer(code: Code, dtype: DType, value: int) -> str:
    if dtype.bits < 32:
        return f"(({short(dtype)}){value})" if value >= 0 else f"(({short(dtype)})({value}))"
    end = code.spelling.suffixes[short(dtype)]
    if dtype.is_signed and value == dtype.minimum:
        return f"({value + 1}{end} - 1)"  # C has no negative literals
    return f"({value}{end})" if value < 0 else f"{value}{end}"


def _float(dtype: DType, value: float, infinity: str, nan: str) -> str:
    narrow = dtype.bits < 64
    if math.isnan(value) or math.isinf(value):
        special = nan if math.isnan(value) else infinity
        special = special if narrow else f"((f64){special})"
        return f"(-{special})" if value < 0 else special
    text = f"{_shortest(FLOAT32 if narrow else dtype, value)}{'f' if narrow else ''}"
    return f"({text})" if text.startswith("-") else text


def _shortest(dtype: DType, value: float) -> str:
    """The fewest digits that give the value back, with a point or an exponent."""
    text = str(dtype.numpy.type(value))
    return text if any(c in text for c in ".e") else f"{text}.0"
