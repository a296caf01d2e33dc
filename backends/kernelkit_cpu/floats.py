"""Operators of floats.

Holds: float16 computes in float32 and rounds; `min` and `max` are as Python writes them; // and %
are NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kernelkit.ir.types import DType
from kernelkit_cpu.halves import narrow, widen
from kernelkit_cpu.instructions import Code, same_bits
from kernelkit_cpu.remainders import floordiv, mod
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import register

_TABLE: Final[dict[str, Callable[[Code, str, Operand, Operand], Operand]]] = {
    "add": Code.fadd, "sub": Code.fsub, "mul": Code.fmul, "floordiv": floordiv, "mod": mod,
}  # fmt: skip
_PREDICATES: Final = {
    "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"
}  # fmt: skip


def negated(code: Code, kind: str, a: Operand) -> Operand:
    return code.op("fneg", kind, a) if kind != "half" else _bitwise(code, "xor", a, -0x8000)


def absolute(code: Code, kind: str, a: Operand) -> Operand:
    if kind == "half":
        return _bitwise(code, "and", a, 0x7FFF)
    return code.intrinsic("fabs", kind, a)


def _bitwise(code: Code, op: str, a: Operand, mask: int) -> Operand:
    """On the bits of a float16, which not every processor can compute with."""
    bits = code.convert("bitcast", "half", a, "i16")
    return code.convert("bitcast", "i16", code.op(op, "i16", bits, code.number("i16", mask)),
                        "half")  # fmt: skip


def compare(code: Code, op: str, kind: str, a: Operand, b: Operand) -> Operand:
    if kind == "half":
        a, b, kind = widen(code, a), widen(code, b), "float"
    return code.fcmp(_PREDICATES[op], kind, a, b)


def binary(code: Code, op: str, dtype: DType, a: Operand, b: Operand) -> Operand:
    kind = register(dtype)
    if op in ("min", "max"):
        better = compare(code, "lt" if op == "min" else "gt", kind, b, a)
        return code.select(kind, better, b, a)
    if kind == "half":
        return narrow(code, _arithmetic(code, op, "float", widen(code, a), widen(code, b)))
    return _arithmetic(code, op, kind, a, b)


def _arithmetic(code: Code, op: str, kind: str, a: Operand, b: Operand) -> Operand:
    if op == "truediv":
        return code.op("fdiv", kind, a, b)
    return _TABLE[op](code, kind, a, b)


def fmin(code: Code, kind: str, a: Operand, b: Operand, smaller: bool) -> Operand:
    """fmin or fmax: `a if a <= b or b != b else b`."""
    better = compare(code, "lt" if smaller else "gt", kind, b, a)
    chosen = code.select(kind, better, b, a)
    wide = (widen(code, a), "float") if kind == "half" else (a, kind)
    return code.select(kind, code.fcmp("uno", wide[1], wide[0], wide[0]), b, chosen)


def bits_of(code: Code, kind: str, a: Operand) -> Operand:
    return code.convert("bitcast", kind, a, same_bits(kind))
