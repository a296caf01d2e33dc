"""Complex arithmetic in C: naive products, quotients by Smith's method.

Holds: every step is rounded to the type of the parts, also where contraction is allowed, so that
z * conj(z) is real.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.emit.cstyle.code import Code, short
from kernelkit.emit.cstyle.floats import divided
from kernelkit.emit.cstyle.literals import complex_maker, literal
from kernelkit.ir.types import DType


def unary(code: Code, op: str, dtype: DType, a: str) -> str:
    kind, part = short(dtype), short(dtype.component)
    if op == "neg":
        body = f"return {complex_maker(code, dtype)}(-a.re, -a.im);"
        return code.call(f"neg_{kind}", kind, [kind], body, [a])
    body = f"return {code.math('hypot', dtype.component, 'a.re', 'a.im')};"
    return code.call(f"abs_{kind}", part, [kind], body, [a])


def binary(code: Code, op: str, dtype: DType, a: str, b: str) -> str:
    body = {"mul": _multiply, "truediv": _divide}.get(op)
    kind = short(dtype)
    text = body(code, dtype) if body else _by_parts(code, op, dtype)
    return code.call(f"{op}_{kind}", kind, [kind] * 2, text, [a, b], exact=body is not None)


def compare(code: Code, op: str, dtype: DType, a: str, b: str) -> str:
    kind = short(dtype)
    body = "return a.re == b.re && a.im == b.im;"
    equal = code.call(f"eq_{kind}", "bool", [kind] * 2, body, [a, b])
    return equal if op == "eq" else f"(!{equal})"


def function(code: Code, name: str, dtype: DType, args: Sequence[str]) -> str:
    """real, imag and conj; complex of its parts' type."""
    if name in ("real", "imag"):
        return f"{args[0]}.{'re' if name == 'real' else 'im'}"
    kind = short(dtype)
    body = f"return {complex_maker(code, dtype)}(a.re, -a.im);"
    return code.call(f"conj_{kind}", kind, [kind], body, args)


def _by_parts(code: Code, op: str, dtype: DType) -> str:
    symbol = "+" if op == "add" else "-"
    return f"return {complex_maker(code, dtype)}(a.re {symbol} b.re, a.im {symbol} b.im);"


def _multiply(code: Code, dtype: DType) -> str:
    def both(op: str, p: str, q: str, r: str, s: str) -> str:
        products = (code.operator("mul", dtype.component, *each) for each in ((p, q), (r, s)))
        return code.operator(op, dtype.component, *products)

    real = both("sub", "a.re", "b.re", "a.im", "b.im")
    imaginary = both("add", "a.re", "b.im", "a.im", "b.re")
    return f"return {complex_maker(code, dtype)}({real}, {imaginary});"


def _divide(code: Code, dtype: DType) -> str:
    """Smith's method: ratio of b's smaller part to its greater one, and one scale for both parts."""
    part, make = dtype.component, complex_maker(code, dtype)
    kind, one = short(part), literal(code, part, 1.0)

    def div(p: str, q: str) -> str:
        return divided(code, part, p, q)

    def joined(op: str, p: str, q: str, ratio: str) -> str:
        """p and q * ratio."""
        return code.operator(op, part, p, code.operator("mul", part, q, ratio))

    def parts(real: str, imaginary: str) -> str:
        found = (code.operator("mul", part, each, "scale") for each in (real, imaginary))
        return f"return {make}({', '.join(found)});"

    x, y = (code.math("fabs", part, f"b.{each}") for each in ("re", "im"))
    flipped = code.operator("sub", part, code.operator("mul", part, "a.im", "ratio"), "a.re")
    swapped = code.operator("add", part, code.operator("mul", part, "a.re", "ratio"), "a.im")
    return f"""
if ({x} >= {y}) {{
    if (b.re == 0 && b.im == 0) return {make}({div("a.re", x)}, {div("a.im", x)});
    {kind} ratio = {div("b.im", "b.re")};
    {kind} scale = {div(one, joined("add", "b.re", "b.im", "ratio"))};
    {parts(joined("add", "a.re", "a.im", "ratio"), joined("sub", "a.im", "a.re", "ratio"))}
}}
{kind} ratio = {div("b.re", "b.im")};
{kind} scale = {div(one, joined("add", "b.im", "b.re", "ratio"))};
{parts(swapped, flipped)}"""
