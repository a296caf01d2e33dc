"""hypot: sqrt(x*x + y*y) without overflow on the way.

Holds: an infinite operand makes it infinite, whatever the other one is.
"""

from __future__ import annotations

import math
from typing import Final

from kernelkit_cpu.instructions import Code
from kernelkit_cpu.text import Operand

_EXPONENT: Final = 0x7FF << 52


def hypot(code: Code, kind: str, x: Operand, y: Operand) -> Operand:
    infinity = code.number(kind, math.inf)
    infinite = (
        code.fcmp("oeq", kind, code.intrinsic("fabs", kind, each), infinity) for each in (x, y)
    )
    either = code.op("or", "i1", *infinite)
    if kind == "float":
        wide = (code.convert("fpext", kind, each, "double") for each in (x, y))
        found = code.convert("fptrunc", "double", _root(code, *wide), kind)
    else:
        scale, back = _scale(code, x, y)
        scaled = (code.op("fmul", kind, each, scale) for each in (x, y))
        found = code.op("fmul", kind, _root(code, *scaled), back)
    return code.select(kind, either, infinity, found)


def _root(code: Code, x: Operand, y: Operand) -> Operand:
    squares = (code.op("fmul", "double", each, each) for each in (x, y))
    return code.intrinsic("sqrt", "double", code.op("fadd", "double", *squares))


def _scale(code: Code, x: Operand, y: Operand) -> tuple[Operand, Operand]:
    """A power of two that brings the greater of two doubles near to 1, and its inverse."""
    sizes = (
        code.op("and", "i64", code.convert("bitcast", "double", each, "i64"),
                code.number("i64", _EXPONENT))
        for each in (x, y)
    )  # fmt: skip
    exponent = code.intrinsic("smax", "i64", *sizes)
    # Both powers are normal numbers then.
    exponent = code.intrinsic("smax", "i64", exponent, code.number("i64", 1 << 52))
    exponent = code.intrinsic("smin", "i64", exponent, code.number("i64", 2045 << 52))
    inverse = code.op("sub", "i64", code.number("i64", 2046 << 52), exponent)
    scale, back = (code.convert("bitcast", "i64", each, "double") for each in (inverse, exponent))
    return scale, back
