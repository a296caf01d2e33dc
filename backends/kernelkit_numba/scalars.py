"""The scalar table as numba.cuda Python: what the printer writes for each operation.

In: an operation, its operand types, its arguments as source. Out: source whose type under Numba is
exactly the result's, for Numba widens integers and we do not.
Holds: a float16 in a register is a float32 that is exactly one, and every operation rounds it. What
does not fit an expression that uses each argument once is a function `_k_...` of `functions.py`;
`libdevice` stands for that module of numba.cuda. With `exact`, sums and products are `_rn`
functions, which no compiler contracts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kernelkit.ir import scalar
from kernelkit.ir.types import FLOAT16, FLOAT32, FLOAT64, DType

#: Function of the table -> libdevice's for float64 and for float32.
FUNCTIONS: Final = {
    **{
        name: (name, f"{name}f")
        for name in (
            "rsqrt", "cbrt", "expm1", "log10", "log1p", "asin", "acos", "atan", "atan2", "sinh",
            "cosh", "asinh", "acosh", "atanh", "erf", "erfc", "lgamma", "floor", "ceil", "trunc",
            "fabs", "fmod", "remainder", "copysign", "hypot", "nextafter",
        )
    },
    "gamma": ("tgamma", "tgammaf"),
    "round": ("rint", "rintf"),
    "sqrt": ("dsqrt_rn", "fsqrt_rn"),
    "fma": ("fma_rn", "fmaf_rn"),
}  # fmt: skip
#: The operators that round, in their uncontracted form.
ROUNDED: Final = {
    "add": ("dadd_rn", "fadd_rn"),
    "mul": ("dmul_rn", "fmul_rn"),
    "truediv": ("ddiv_rn", "fdiv_rn"),
}
_SYMBOLS: Final = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "and": "&", "or": "|", "xor": "^",
    "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
}  # fmt: skip


def register(dtype: DType) -> DType:
    """The type in which a value is worked with."""
    return FLOAT32 if dtype == FLOAT16 else dtype


def _to(dtype: DType, source: str) -> str:
    return f"np.{dtype}({source})"


def _narrowed(dtype: DType, source: str) -> str:
    """An integer in its own type, of which Numba has made one of 64 bits."""
    return source if dtype.bits == 64 else f"np.{dtype}{source}"


def _rounded(dtype: DType, source: str) -> str:
    return f"_k_float16({source})" if dtype == FLOAT16 else source


def _place(dtype: DType) -> int:
    return 0 if dtype == FLOAT64 else 1


def _call(op: str, dtype: DType, args: Sequence[str]) -> str:
    return f"_k_{op}_{dtype}({', '.join(args)})"


# ---------------------------------------------------------------- operators
def _integer(op: str, dtype: DType, args: Sequence[str]) -> str:
    symbol = _SYMBOLS.get(op)
    if symbol is None:
        return _call(op, dtype, args)
    return _narrowed(dtype, f"({args[0]} {symbol} {args[1]})")


def _float(op: str, dtype: DType, args: Sequence[str], exact: bool) -> str:
    a, b = args
    if op in ("floordiv", "mod"):
        return _rounded(dtype, _call(op, register(dtype), args))
    if op in ("min", "max"):
        return _call(op, register(dtype), args)
    if exact and dtype != FLOAT16:
        if op == "sub":
            op, b = "add", f"(-{b})"
        return f"libdevice.{ROUNDED[op][_place(dtype)]}({a}, {b})"
    return _rounded(dtype, f"({a} {_SYMBOLS[op]} {b})")


def _complex(op: str, dtype: DType, args: Sequence[str], exact: bool) -> str:
    if exact and op in ("mul", "truediv"):
        op = f"{op}_rn"
    return _call(op, dtype, args)


def _binary(op: str, dtype: DType, args: Sequence[str], exact: bool) -> str:
    if dtype.kind == "b":
        return f"({args[0]} {_SYMBOLS[op]} {args[1]})"
    if dtype.is_integer:
        return _integer(op, dtype, args)
    return (_complex if dtype.is_complex else _float)(op, dtype, args, exact)


def _unary(op: str, dtype: DType, arg: str) -> str:
    if op == "not":
        return f"(not {arg})"
    if dtype.is_complex:
        return _call(op, dtype, [arg])
    if op == "abs":
        if not dtype.is_float:
            return _call(op, dtype, [arg]) if dtype.is_signed else arg
        return _function("fabs", dtype, [arg])
    if dtype.is_float:
        return f"(-{arg})"
    return _narrowed(dtype, f"(~{arg})" if op == "invert" else f"(np.{dtype}(0) - {arg})")


def _compare(op: str, dtype: DType, args: Sequence[str]) -> str:
    if dtype.is_complex:
        return _call(op, dtype, args)
    if dtype.kind == "b":
        args = [f"np.uint8({arg})" for arg in args]
    return f"({args[0]} {_SYMBOLS[op]} {args[1]})"


# ---------------------------------------------------------------- functions
def _parts(dtype: DType, args: Sequence[str]) -> str:
    return f"np.complex{2 * dtype.bits}(complex({args[0]}, {args[1]}))"


_TEMPLATES: Final[dict[str, Callable[[DType, Sequence[str]], str]]] = {
    "uniform": lambda t, a: a[0],
    "real": lambda t, a: f"{a[0]}.real",
    "imag": lambda t, a: f"{a[0]}.imag",
    "complex": _parts,
    "modf_integer": lambda t, a: _function("trunc", t, a),
    **{
        name: lambda t, a, name=name: f"libdevice.{name}({a[0]})"  # type: ignore[misc]
        for name in ("float_as_int", "int_as_float", "double_as_longlong", "longlong_as_double")
    },
}  # fmt: skip


def _function(name: str, dtype: DType, args: Sequence[str]) -> str:
    template = _TEMPLATES.get(name)
    if template is not None:
        return template(dtype, args)
    if name == "nextafter" and dtype == FLOAT16:
        return _call(name, dtype, args)
    if name in FUNCTIONS:
        source = f"libdevice.{FUNCTIONS[name][_place(dtype)]}({', '.join(args)})"
        return _rounded(dtype, source)
    if name == "selp":
        return f"_k_selp({', '.join(args)})"
    source = _call(name, register(dtype), args)
    rounds = name in ("ldexp", "degrees", "radians")
    return _rounded(dtype, source) if rounds else source


def expression(
    op: str, operands: tuple[DType, ...], args: Sequence[str], exact: bool = False
) -> str:
    """The value of an operation, as source that can stand anywhere without more parentheses."""
    if scalar.result_type(op, *operands) is None or len(args) != len(operands):
        raise ValueError(f"{op}({', '.join(map(str, operands))}) is not in the scalar table")
    first = operands[0]
    if op in scalar.FUNCTIONS:
        return _function(op, first, args)
    if op in scalar.UNARY:
        return _unary(op, first, args[0])
    if op in scalar.COMPARE:
        return _compare(op, first, args)
    return _binary(op, first, args, exact)


# ---------------------------------------------------------------- casts
def cast(source: DType, target: DType, arg: str) -> str:
    """Integers wrap, a float to an integer saturates, to a float is rounded once."""
    if not scalar.can_cast(source, target):
        raise ValueError(f"no cast from {source} to {target}; take .real or abs()")
    if target.kind == "b":
        if source.is_complex:
            return f"_k_truth_{source}({arg})"
        return f"({arg} != np.{register(source)}(0))"
    if target.is_integer:
        if source.is_float:
            return f"_k_saturate_{register(source)}_{target}({arg})"
        return _to(target, arg)
    if target.is_complex:
        if source.is_complex:
            return _to(target, arg)
        return f"_k_real_{target}({cast(source, target.component, arg)})"
    return _to_float(source, target, arg)


def _to_float(source: DType, target: DType, arg: str) -> str:
    if target == FLOAT16:
        if source == FLOAT64:
            return f"_k_narrow({arg})"
        return f"_k_float16({arg if source == FLOAT32 else _to(FLOAT32, arg)})"
    if target == FLOAT32 and source == FLOAT16:
        return arg
    return _to(target, arg)


# ---------------------------------------------------------------- constants and memory
def _real(x: float) -> str:
    return {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}.get(repr(x), repr(x))


def literal(dtype: DType, value: bool | int | float | complex) -> str:
    """A constant."""
    found = scalar.to_constant(scalar.from_constant(dtype, value))
    if isinstance(found, bool):
        return repr(found)
    if isinstance(found, complex):
        return f"np.{dtype}(complex({_real(found.real)}, {_real(found.imag)}))"
    if isinstance(found, float):
        return f"np.{register(dtype)}({_real(found)})"
    return f"np.{dtype}({found})"


def loaded(dtype: DType, text: str) -> str:
    """What is read from memory."""
    return f"np.float32({text})" if dtype == FLOAT16 else text


def stored(dtype: DType, text: str) -> str:
    """What is written to memory."""
    return f"np.float16({text})" if dtype == FLOAT16 else text
