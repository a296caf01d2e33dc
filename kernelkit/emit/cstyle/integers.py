"""Integers and bools in C: every operator and function of the scalar table.

Holds: signed numbers wrap, since they are computed without sign; a shift count outside the width
gives 0, or the sign for >>; what C would compute as int is cast back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kernelkit.emit.cstyle.code import Code, constant, short
from kernelkit.ir.types import DType

_SYMBOLS: Final = {
    "add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip


def _unsigned(dtype: DType) -> str:
    """The type without sign that a type is computed in."""
    return f"u{max(dtype.bits, 32)}"


def _wrapped(dtype: DType, text: str) -> str:
    return f"(({short(dtype)})({text}))"


def unary(code: Code, op: str, dtype: DType, a: str) -> str:
    kind, wide = short(dtype), _unsigned(dtype)
    if op == "neg":
        if dtype.is_signed and dtype.bits < 32:
            return _wrapped(dtype, f"-{a}")
        return (
            _wrapped(dtype, f"0 - ({wide}){a}") if dtype.is_signed else _wrapped(dtype, f"0 - {a}")
        )
    if op == "not":
        return f"(!{a})"
    if op == "invert":
        return f"(~{a})" if dtype.bits >= 32 else _wrapped(dtype, f"~{a}")
    if not dtype.is_signed:
        return a
    body = f"return ({kind})(a < 0 ? 0 - ({wide})a : ({wide})a);"
    return code.call(f"abs_{kind}", kind, [kind], body, [a])


def binary(code: Code, op: str, dtype: DType, a: str, b: str) -> str:
    if dtype.kind == "b":
        return f"({a} != {b})" if op == "xor" else f"({a} {_SYMBOLS[op] * 2} {b})"
    if op in ("and", "or", "xor"):
        text = f"{a} {_SYMBOLS[op]} {b}"
        return f"({text})" if dtype.bits >= 32 else _wrapped(dtype, text)
    if op in ("add", "sub", "mul"):
        return _arithmetic(op, dtype, a, b)
    return {
        "floordiv": _floordiv, "mod": _mod, "shl": _shl, "shr": _shr, "pow": _power,
        "min": _least, "max": _greatest,
    }[op](code, dtype, a, b)  # fmt: skip


def compare(op: str, a: str, b: str) -> str:
    return f"({a} {_SYMBOLS[op]} {b})"


def _arithmetic(op: str, dtype: DType, a: str, b: str) -> str:
    symbol, wide = _SYMBOLS[op], _unsigned(dtype)
    # Narrow sums fit an int, which C computes them in; products of uint16 do not.
    if dtype.bits < 32 and op != "mul":
        return _wrapped(dtype, f"{a} {symbol} {b}")
    if dtype.bits >= 32 and not dtype.is_signed:
        return f"({a} {symbol} {b})"
    return _wrapped(dtype, f"({wide}){a} {symbol} ({wide}){b}")


# ---------------------------------------------------------------- division
def _floordiv(code: Code, dtype: DType, a: str, b: str) -> str:
    kind, wide, divisor = short(dtype), _unsigned(dtype), constant(b)
    if divisor is not None and divisor > 0:
        if divisor == 1:
            return a
        if not dtype.is_signed:
            return _wrapped(dtype, f"{a} / {b}")
        if not divisor & (divisor - 1):
            return _wrapped(dtype, f"{a} >> {divisor.bit_length() - 1}")
        body = f"{kind} q = a / b;\nreturn q - (a < 0 && q * b != a);"
        return code.call(f"floordiv_positive_{kind}", kind, [kind] * 2, body, [a, b])
    if not dtype.is_signed:
        body = f"return b ? ({kind})(a / b) : ({kind})0;"
        return code.call(f"floordiv_{kind}", kind, [kind] * 2, body, [a, b])
    body = f"""
bool special = ({wide})b + 1 <= 1;  // 0 or -1
{kind} d = special ? ({kind})1 : b, q = a / d, r = a % d;
{kind} negated = b ? ({kind})(0 - ({wide})a) : ({kind})0;
return special ? negated : ({kind})(q - (r != 0 && (r ^ d) < 0));"""
    return code.call(f"floordiv_{kind}", kind, [kind] * 2, body, [a, b])


def _mod(code: Code, dtype: DType, a: str, b: str) -> str:
    kind, wide, divisor = short(dtype), _unsigned(dtype), constant(b)
    if divisor is not None and divisor > 0:
        if not divisor & (divisor - 1):
            return _wrapped(dtype, f"{a} & {divisor - 1}")
        if not dtype.is_signed:
            return _wrapped(dtype, f"{a} % {b}")
        body = f"{kind} r = a % b;\nreturn r < 0 ? r + b : r;"
        return code.call(f"mod_positive_{kind}", kind, [kind] * 2, body, [a, b])
    if not dtype.is_signed:
        body = f"return b ? ({kind})(a % b) : ({kind})0;"
        return code.call(f"mod_{kind}", kind, [kind] * 2, body, [a, b])
    body = f"""
bool special = ({wide})b + 1 <= 1;  // 0 or -1
{kind} d = special ? ({kind})1 : b, r = a % d;
return special ? ({kind})0 : ({kind})(r + (r != 0 && (r ^ d) < 0 ? d : ({kind})0));"""
    return code.call(f"mod_{kind}", kind, [kind] * 2, body, [a, b])


# ---------------------------------------------------------------- shifts
def _shl(code: Code, dtype: DType, a: str, b: str) -> str:
    kind, wide, count = short(dtype), _unsigned(dtype), constant(b)
    if count is not None and 0 <= count < dtype.bits:
        return _wrapped(dtype, f"({wide}){a} << {count}")
    body = f"return ({wide})b < {dtype.bits} ? ({kind})(({wide})a << b) : ({kind})0;"
    return code.call(f"shl_{kind}", kind, [kind] * 2, body, [a, b])


def _shr(code: Code, dtype: DType, a: str, b: str) -> str:
    kind, wide, count = short(dtype), _unsigned(dtype), constant(b)
    if count is not None and 0 <= count < dtype.bits:
        return _wrapped(dtype, f"{a} >> {count}")
    # As a number without sign every count outside the width is above it.
    inside = f"({wide})b < {dtype.bits}"
    if dtype.is_signed:
        body = f"return a >> ({inside} ? b : ({kind}){dtype.bits - 1});"
    else:
        body = f"return {inside} ? ({kind})(a >> b) : ({kind})0;"
    return code.call(f"shr_{kind}", kind, [kind] * 2, body, [a, b])


# ---------------------------------------------------------------- powers, choices
def _power(code: Code, dtype: DType, a: str, b: str) -> str:
    kind, wide, exponent = short(dtype), _unsigned(dtype), constant(b)
    if exponent is not None and 0 <= exponent <= 64:
        body = _products(dtype, exponent)
        return code.call(f"pow{exponent}_{kind}", kind, [kind], body, [a])
    refusal = "if (b < 0) return 0;\n" if dtype.is_signed else ""
    body = f"""
{refusal}{wide} result = 1, square = ({wide})a;
for ({wide} left = ({wide})b; left; left >>= 1) {{
    if (left & 1) result *= square;
    square *= square;
}}
return ({kind})result;"""
    return code.call(f"pow_{kind}", kind, [kind] * 2, body, [a, b])


def _products(dtype: DType, exponent: int) -> str:
    """The body of a power by squarings."""
    kind, wide = short(dtype), _unsigned(dtype)
    if exponent == 0:
        return "return 1;"
    lines = [f"{wide} s0 = ({wide})a;"]
    lines += [f"{wide} s{i} = s{i - 1} * s{i - 1};" for i in range(1, exponent.bit_length())]
    factors = [f"s{i}" for i in range(exponent.bit_length()) if exponent >> i & 1]
    return "\n".join([*lines, f"return ({kind})({' * '.join(factors)});"])


def _least(code: Code, dtype: DType, a: str, b: str) -> str:
    kind = short(dtype)
    return code.call(f"min_{kind}", kind, [kind] * 2, "return b < a ? b : a;", [a, b])


def _greatest(code: Code, dtype: DType, a: str, b: str) -> str:
    kind = short(dtype)
    return code.call(f"max_{kind}", kind, [kind] * 2, "return b > a ? b : a;", [a, b])


# ---------------------------------------------------------------- functions
def function(code: Code, name: str, dtype: DType, args: Sequence[str]) -> str:
    if name in ("fmin", "fmax"):
        return binary(code, name[1:], dtype, *args)
    kind, wide = short(dtype), f"u{max(dtype.bits, 32)}"
    if name == "brev" and f"brev_{wide}" not in code.spelling.counts:
        return _reversed(code, dtype, args)
    spelling, extra = code.spelling.counts[f"{name}_{wide}"], max(dtype.bits, 32) - dtype.bits
    # A narrow number without its sign has more zeros in front.
    value = f"({wide})a" if not extra else f"({wide})(u{dtype.bits})a"
    text = spelling.format(value)
    if name == "brev":
        body = f"return ({kind})({text}{f' >> {extra}' if extra else ''});"
        return code.call(f"brev_{kind}", kind, [kind], body, args)
    if name == "clz" and extra:
        text = f"{text} - {extra}"
    return code.call(f"{name}_{kind}", "i32", [kind], f"return (i32)({text});", args)


def _reversed(code: Code, dtype: DType, args: Sequence[str]) -> str:
    """Neighbours change places: bits, pairs of bits and so on up to the halves of the number."""
    kind, bits = short(dtype), dtype.bits
    wide = f"u{bits}"
    lines, group = [f"{wide} x = ({wide})a;"], 1
    while group < bits:
        low = sum((1 << group) - 1 << place for place in range(0, bits, 2 * group))
        mask = f"({wide}){low:#x}{code.spelling.suffixes.get(wide, '')}"
        lines.append(f"x = ({wide})((x & {mask}) << {group} | (x >> {group} & {mask}));")
        group *= 2
    return code.call(f"brev_{kind}", kind, [kind], "\n".join([*lines, f"return ({kind})x;"]), args)
