"""The one table of scalar operations: what a kernel's arithmetic means.

In: an operation's name and its operand types. Out: its result type, and its exact value as a
Python expression over NAMESPACE, from which `evaluate` and `cast` are compiled.
Holds: a value is a bool, an int within range, or a NumPy scalar for floats and complex numbers
(`Constant.value` in the IR is Python's own instead; `to_constant`, `from_constant`). Expressions
use each argument once, in order, and never raise; they may warn, so run them under
`np.errstate(all="ignore")`, as `evaluate` does. Every back end implements this table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from kernelkit.ir.scalar_functions import (
    BINARY_KINDS,
    COMPARE_KINDS,
    FUNCTIONS,
    UNARY_KINDS,
    Function,
    binary_type,
    compare_type,
    unary_type,
)
from kernelkit.ir.scalar_math import MATH
from kernelkit.ir.scalar_values import VALUES, Value, float32_of_wide
from kernelkit.ir.types import DType

__all__ = [
    "BINARY", "COMPARE", "FUNCTIONS", "NAMESPACE", "UNARY", "Function", "can_cast",
    "cast", "cast_expression", "evaluate", "expression", "from_constant", "literal", "result_type",
    "to_constant",
]  # fmt: skip

UNARY: Final = tuple(UNARY_KINDS)
BINARY: Final = tuple(BINARY_KINDS)
COMPARE: Final = tuple(COMPARE_KINDS)
#: What expressions may name. Treat it as read-only: copy it into a module's globals.
NAMESPACE: Final[dict[str, object]] = VALUES | MATH


def result_type(op: str, *operands: DType) -> DType | None:
    """The type of an operation's result; None where it is not defined for these operands."""
    if op in FUNCTIONS:
        return FUNCTIONS[op].result_type(*operands)
    if op in UNARY_KINDS and len(operands) == 1:
        return unary_type(op, operands[0])
    if op in BINARY_KINDS and len(operands) == 2:
        return binary_type(op, operands[0], operands[1])
    if op in COMPARE_KINDS and len(operands) == 2:
        return compare_type(op, operands[0], operands[1])
    return None


# ---------------------------------------------------------------- operators as Python
_SYMBOLS: Final = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%",
    "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip


def _wrapped(dtype: DType, source: str) -> str:
    """An integer expression without outer parentheses, brought into the range of the type."""
    if dtype.is_signed:
        return f"_k_{dtype}({source})"
    return f"(({source}) & {(1 << dtype.bits) - 1:#x})"


def _is_literal(arg: str, low: int, high: int) -> bool:
    """Whether the argument is the literal of an integer from low to high."""
    return arg.isdigit() and low <= int(arg) <= high


def _integer(op: str, dtype: DType, a: str, b: str) -> str:
    """Binary operators of integers. A literal that cannot go wrong needs no check."""
    direct = f"{a} {_SYMBOLS.get(op, '')} {b}"
    if op in ("add", "sub", "mul"):
        return _wrapped(dtype, direct)
    if op in ("and", "or", "xor"):
        return f"({direct})"
    if op == "mod":
        return f"({direct})" if _is_literal(b, 1, dtype.maximum) else f"({a} % ({b} or 1))"
    if op == "floordiv":
        if _is_literal(b, 1, dtype.maximum):
            return f"({direct})"
        # Without a sign a divisor above every value gives the 0 that is wanted.
        too_great = 1 << dtype.bits
        return _call(op, dtype, a, b) if dtype.is_signed else f"({a} // ({b} or {too_great:#x}))"
    if op == "shl":
        if _is_literal(b, 0, dtype.bits - 1):
            return _wrapped(dtype, direct)
        return _call(op, dtype, a, b)
    if op == "shr":
        if not dtype.is_signed or _is_literal(b, 0, dtype.maximum):
            return f"({direct})"
        return _call(op, dtype, a, b)
    return _call(op, dtype, a, b)


def _call(op: str, dtype: DType, *args: str) -> str:
    return f"_k_{op}_{dtype}({', '.join(args)})"


def _binary(op: str, dtype: DType, a: str, b: str) -> str:
    if op in ("min", "max"):
        return f"_k_{op}({a}, {b})"
    if dtype.is_integer:
        return _integer(op, dtype, a, b)
    if dtype.is_complex and op in ("mul", "truediv"):
        return _call(op, dtype, a, b)
    return f"({a} {_SYMBOLS[op]} {b})"


def _unary(op: str, dtype: DType, a: str) -> str:
    if op == "not":
        return f"(not {a})"
    if op == "invert":
        return f"(~{a})" if dtype.is_signed else f"({a} ^ {(1 << dtype.bits) - 1:#x})"
    if op == "abs":
        if dtype.is_complex:
            return f"_k_abs_{dtype}({a})"
        if dtype.is_signed:
            return _wrapped(dtype, f"_k_abs({a})")
        return f"_k_abs({a})" if dtype.is_float else a
    return _wrapped(dtype, f"-{a}") if dtype.is_integer else f"(-{a})"


def _compare(op: str, dtype: DType, a: str, b: str) -> str:
    direct = f"{a} {_SYMBOLS[op]} {b}"
    # NumPy's bool becomes Python's; after `if` the two nots cost nothing.
    return f"(not not {direct})" if dtype.kind in "fc" else f"({direct})"


# ---------------------------------------------------------------- functions as Python
_TEMPLATES: Final[dict[str, Callable[[DType, Sequence[str]], str]]] = {
    "uniform": lambda t, a: a[0],
    "fabs": lambda t, a: f"_k_abs({a[0]})",
    "selp": lambda t, a: f"_k_selp({', '.join(a)})",
    "popc": lambda t, a: f"_k_bit_count({_bits(t, a[0])})",
    "clz": lambda t, a: f"({t.bits} - _k_bit_length({_bits(t, a[0])}))",
    "real": lambda t, a: f"{a[0]}.real",
    "imag": lambda t, a: f"{a[0]}.imag",
    "conj": lambda t, a: f"{a[0]}.conjugate()",
    "complex": lambda t, a: f"_k_complex{2 * t.bits}(_k_complex({a[0]}, {a[1]}))",
    **{
        name: lambda t, a, name=name: f"_k_{name}({', '.join(a)})"  # type: ignore[misc]
        for name in (
            "ffs", "fmin", "fmax", "isnan", "isinf", "isfinite", "nextafter", "frexp_exponent",
            "float_as_int", "int_as_float", "double_as_longlong", "longlong_as_double",
        )
    },
}  # fmt: skip


def _bits(dtype: DType, a: str) -> str:
    """A value as an integer without sign."""
    return f"{a} & {(1 << dtype.bits) - 1:#x}" if dtype.is_signed else a


def _function(name: str, dtype: DType, args: Sequence[str]) -> str:
    template = _TEMPLATES.get(name)
    return template(dtype, args) if template else _call(name, dtype, *args)


def _closed(source: str) -> str:
    """The source, in parentheses unless it is a name, a number, a call or already in some."""
    depth = 0
    for c in source:
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        if c in "'\"" or (depth == 0 and not (c.isalnum() or c in "_.)]}")):
            return f"({source})"  # inside a string brackets need not match
    return source


def expression(op: str, operands: tuple[DType, ...], args: Sequence[str]) -> str:
    """The value of an operation as Python source over NAMESPACE, given that of its arguments.

    The source can stand anywhere without more parentheses.
    """
    if result_type(op, *operands) is None or len(args) != len(operands):
        raise ValueError(f"{op}({', '.join(map(str, operands))}) is not in the scalar table")
    args, first = [_closed(a) for a in args], operands[0]
    if op in FUNCTIONS:
        return _function(op, first, args)
    if op in UNARY_KINDS:
        return _unary(op, first, args[0])
    return (_binary if op in BINARY_KINDS else _compare)(op, first, args[0], args[1])


# ---------------------------------------------------------------- casts
def can_cast(source: DType, target: DType) -> bool:
    """Every cast is defined but those from complex to real; complex to bool is `z != 0`."""
    return not source.is_complex or target.is_complex or target.kind == "b"


def cast_expression(source: DType, target: DType, arg: str) -> str:
    """A cast as Python source: integers wrap, a float to an integer saturates and NaN gives 0, to
    a float is rounded once, to bool is `!= 0`."""
    if not can_cast(source, target):
        raise ValueError(f"no cast from {source} to {target}; take .real or abs()")
    arg = _closed(arg)
    if source == target:
        return arg
    if target.kind == "b":
        return f"(not not {arg} != 0)" if source.kind in "fc" else f"({arg} != 0)"
    if target.is_integer:
        return _to_integer(source, target, arg)
    if target.is_complex and not source.is_complex:
        arg = cast_expression(source, target.component, arg)
    elif target.name == "float32" and source.is_integer and source.bits == 64:
        return f"_k_float32_of_wide({arg})"
    return f"_k_{target}({arg})"


def _to_integer(source: DType, target: DType, arg: str) -> str:
    if source.kind == "b":
        return f"(1 if {arg} else 0)"
    if source.is_float:
        return f"_k_saturate_{target}({arg})"
    if target.minimum <= source.minimum and source.maximum <= target.maximum:
        return arg
    return _wrapped(target, arg)


# ---------------------------------------------------------------- constants
def from_constant(dtype: DType, value: Any) -> Value:
    """A value of Python or NumPy in the representation of the type; an integer must fit."""
    if dtype.kind == "b":
        return bool(value)
    if not dtype.is_integer:
        with np.errstate(all="ignore"):
            if dtype.name == "float32" and isinstance(value, int):
                return float32_of_wide(value)
            return dtype.numpy.type(value)
    found = int(value)
    if not dtype.minimum <= found <= dtype.maximum:
        raise ValueError(f"{found} does not fit {dtype}")
    return found


def to_constant(value: Value) -> bool | int | float | complex:
    """A value in its representation as `Constant.value`: Python's own bool, int, float, complex."""
    if isinstance(value, np.generic):
        value = value.item()
    if not isinstance(value, bool | int | float | complex):
        raise TypeError(f"{value!r} is no scalar value")
    return value


def _float_source(x: float) -> str:
    special = {"inf": "_k_inf", "-inf": "-_k_inf", "nan": "_k_nan"}
    return special.get(repr(x), repr(x))


def literal(dtype: DType, value: Any) -> str:
    """A constant as Python source. That of a float is a call: a printer does well to make it once
    and give it a name."""
    found = to_constant(from_constant(dtype, value))
    if isinstance(found, complex):
        parts = f"{_float_source(found.real)}, {_float_source(found.imag)}"
        return f"_k_{dtype}(_k_complex({parts}))"
    if isinstance(found, float):
        return f"_k_{dtype}({_float_source(found)})"
    return f"({found})" if found < 0 else repr(found)


# ---------------------------------------------------------------- evaluation
@cache
def _compiled(op: str, operands: tuple[DType, ...]) -> Callable[..., Value]:
    names = [f"x{i}" for i in range(len(operands))]
    source = f"lambda {', '.join(names)}: {expression(op, operands, names)}"
    return eval(source, dict(NAMESPACE))  # type: ignore[no-any-return]


@cache
def _compiled_cast(source: DType, target: DType) -> Callable[[Value], Value]:
    return eval(f"lambda x: {cast_expression(source, target, 'x')}", dict(NAMESPACE))  # type: ignore[no-any-return]


def evaluate(op: str, operands: tuple[DType, ...], *values: Value) -> Value:
    """The value of an operation. Constants of Python's own types are taken too."""
    compiled = _compiled(op, operands)
    with np.errstate(all="ignore"):
        return compiled(*map(from_constant, operands, values))


def cast(source: DType, target: DType, value: Value) -> Value:
    """A value of one type as one of another."""
    compiled = _compiled_cast(source, target)
    with np.errstate(all="ignore"):
        return compiled(from_constant(source, value))
