"""Floats in C: the operators of the scalar table.

Holds: float16 computes in float32 and rounds; `min` and `max` are as Python writes them; // and %
are NumPy's, and nothing in them is contracted.
"""

from __future__ import annotations

from typing import Final

from kernelkit.emit.cstyle.casts import rounded_to_half
from kernelkit.emit.cstyle.code import Code, computed, short
from kernelkit.emit.cstyle.literals import literal
from kernelkit.ir.types import DType

_SYMBOLS: Final = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip


def unary(code: Code, op: str, dtype: DType, a: str) -> str:
    return f"(-{a})" if op == "neg" else code.math("fabs", computed(dtype), a)


def compare(op: str, a: str, b: str) -> str:
    return f"({a} {_SYMBOLS[op]} {b})"


def binary(code: Code, op: str, dtype: DType, a: str, b: str) -> str:
    wide = computed(dtype)
    if op in ("min", "max"):
        kind = short(wide)
        better = "b < a" if op == "min" else "b > a"
        return code.call(f"{op}_{kind}", kind, [kind] * 2, f"return {better} ? b : a;", [a, b])
    if op == "truediv":
        found = divided(code, wide, a, b)
    elif op in ("floordiv", "mod"):
        found = (_floordiv if op == "floordiv" else _mod)(code, wide, a, b)
    else:
        found = f"({a} {_SYMBOLS[op]} {b})"
    return found if wide == dtype else rounded_to_half(code, found)


def divided(code: Code, dtype: DType, a: str, b: str) -> str:
    return code.math("truediv", dtype, a, b)


def fmin(code: Code, name: str, dtype: DType, a: str, b: str) -> str:
    """fmin or fmax: a NaN only where both are."""
    kind = short(computed(dtype))
    symbol = "<=" if name == "fmin" else ">="
    body = f"return a {symbol} b || b != b ? a : b;"
    return code.call(f"{name}_{kind}", kind, [kind] * 2, body, [a, b])


# ---------------------------------------------------------------- // and %
def _floordiv(code: Code, dtype: DType, a: str, b: str) -> str:
    """NumPy's: from what fmod leaves, so that it fits % exactly."""
    kind = short(dtype)
    zero, one, half = (literal(code, dtype, x) for x in (0.0, 1.0, 0.5))
    less = code.operator("sub", dtype, "quotient", one)
    body = f"""
{kind} direct = {divided(code, dtype, "a", "b")};
if (b == {zero}) return direct;
{kind} rest = {code.math("fmod", dtype, "a", "b")};
{kind} whole = {code.operator("sub", dtype, "a", "rest")};
{kind} quotient = {divided(code, dtype, "whole", "b")};
if (rest != {zero} && (rest < {zero}) != (b < {zero})) quotient = {less};
if (quotient == {zero}) return {code.math("copysign", dtype, zero, "direct")};
{kind} found = {code.math("floor", dtype, "quotient")};
{kind} above = {code.operator("sub", dtype, "quotient", "found")};
return above > {half} ? {code.operator("add", dtype, "found", one)} : found;"""
    return code.call(f"floordiv_{kind}", kind, [kind] * 2, body, [a, b], exact=True)


def _mod(code: Code, dtype: DType, a: str, b: str) -> str:
    kind, zero = short(dtype), literal(code, dtype, 0.0)
    body = f"""
{kind} rest = {code.math("fmod", dtype, "a", "b")};
if (rest == {zero}) return {code.math("copysign", dtype, zero, "b")};
return (rest < {zero}) != (b < {zero}) ? {code.operator("add", dtype, "rest", "b")} : rest;"""
    return code.call(f"mod_{kind}", kind, [kind] * 2, body, [a, b], exact=True)
