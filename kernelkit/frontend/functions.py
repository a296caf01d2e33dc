"""Python's own functions in a kernel, math's, and casts.

Holds: a function is recognised by identity; integers become float64 in math's functions, and a
result has the type of the operands.
"""

import ast
import builtins
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np

from kernelkit.frontend import operators
from kernelkit.frontend.context import Context
from kernelkit.frontend.operands import (
    extent,
    scalar,
)
from kernelkit.frontend.values import (
    UNKNOWN,
    ArrayRef,
    Scalar,
    TupleValue,
    Unknown,
    Value,
)
from kernelkit.ir.nodes import Constant
from kernelkit.ir.types import (
    BOOL,
    COMPLEX128,
    FLOAT64,
    INT64,
    DType,
    from_numpy,
)

Handler = Callable[[Context, ast.Call, list[Value], dict[str, Value]], Value]

#: math.f -> (intrinsic, operands); integers become float64, the result has the operands' type.
MATH: Final[dict[Any, tuple[str, int]]] = {
    getattr(math, name): (name, count)
    for count, group in {
        1: "sqrt cbrt exp exp2 expm1 log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh "
           "asinh acosh atanh erf erfc gamma lgamma fabs isnan isinf isfinite degrees radians",
        2: "atan2 fmod remainder copysign nextafter",
        3: "fma",
    }.items()
    for name in group.split()
    if hasattr(math, name)
}  # fmt: skip
_ROUNDING: Final[dict[Any, str]] = {
    math.floor: "floor", math.ceil: "ceil", math.trunc: "trunc", builtins.round: "round",
}  # fmt: skip


# ---------------------------------------------------------------- arguments
def positional(
    ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value], count: int
) -> list[Value]:
    name = ast.unparse(node.func)
    if kwargs:
        ctx.fail(node, f"{name} takes no keyword arguments")
    if len(args) != count:
        ctx.fail(node, f"{name} takes {count} argument{'s' * (count != 1)}, not {len(args)}")
    return args


def scalars(ctx: Context, node: ast.Call, args: list[Value]) -> list[Scalar] | None:
    """Arguments as numbers; None where one is not known yet."""
    nodes = [*node.args, *(k.value for k in node.keywords)]
    found = [scalar(ctx, a, n) for a, n in zip(args, nodes, strict=False)]
    return (
        None
        if any(isinstance(f, Unknown) for f in found)
        else [f for f in found if isinstance(f, Scalar)]
    )


# ---------------------------------------------------------------- casts
_CASTS: Final = {bool: BOOL, int: INT64, float: FLOAT64, complex: COMPLEX128}


def _cast_dtype(function: Any) -> DType | None:
    for cast, dtype in _CASTS.items():  # by identity: a dtype equals the type it stands for
        if function is cast and cast is not complex:
            return dtype
    if isinstance(function, np.dtype) or (
        isinstance(function, type) and issubclass(function, np.generic)
    ):
        return from_numpy(function)
    return None


def _cast(
    dtype: DType, ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]
) -> Value:
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, 1))
    if found is None:
        return UNKNOWN
    return cast_to(ctx, found[0], dtype, node)


def cast_to(ctx: Context, value: Scalar, dtype: DType, node: ast.AST) -> Scalar:
    """An explicit cast; to bool it is the truth of a number."""
    if dtype == BOOL:
        return Scalar(operators.truth(ctx, value, node))
    if (
        value.weak
        and value.constant is not None
        and dtype.is_integer
        and not isinstance(value.constant, int)
    ):
        value = Scalar(Constant(value.expr.span, value.expr.type, value.constant))
    return Scalar(operators.cast(ctx, value, dtype, node))


def _complex(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    if len(args) == 1 and not kwargs:
        return _cast(COMPLEX128, ctx, node, args, kwargs)
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, 2))
    if found is None:
        return UNKNOWN
    met = operators.meet(ctx, "complex", found, node)
    part = met.dtype if met.dtype.is_float and met.dtype.bits >= 32 else FLOAT64
    parts = [operators.cast(ctx, v, part, node) for v in found]
    return Scalar(operators.apply(ctx, "complex", parts, node))


# ---------------------------------------------------------------- Python's functions
def _abs(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, 1))
    return UNKNOWN if found is None else operators.unary(ctx, "abs", found[0], node)


def _extreme(op: str) -> Handler:
    def handler(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
        if kwargs:
            ctx.fail(node, f"{op} takes no keyword arguments in a kernel")
        if len(args) == 1 and isinstance(args[0], TupleValue):
            args = list(args[0].items)
            found = [scalar(ctx, a, node) for a in args]
            numbers = (
                None
                if any(isinstance(f, Unknown) for f in found)
                else [f for f in found if isinstance(f, Scalar)]
            )
        else:
            numbers = scalars(ctx, node, args)
            if len(args) < 2:
                ctx.fail(
                    node,
                    f"{op} of {len(args)} value{'s' * (len(args) != 1)}; give two or more, or a tuple",
                )
        if numbers is None:
            return UNKNOWN
        if not numbers:
            ctx.fail(node, f"{op} of an empty tuple")
        met = operators.meet(ctx, op, numbers, node)
        typed = [
            v if v.type == met or met.weak else Scalar(operators.cast(ctx, v, met.dtype, node))
            for v in numbers
        ]
        result = typed[0]
        for value in typed[1:]:
            result = operators.binary(ctx, op, result, value, node)
        return result

    return handler


def _len(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    (value,) = positional(ctx, node, args, kwargs, 1)
    match value:
        case TupleValue():
            return Scalar(Constant(ctx.span(node), INT64, len(value.items)), weak=True)
        case ArrayRef():
            if value.array.type.ndim == 0:
                ctx.fail(node, "an array without axes has no length")
            return extent(ctx, value.array, 0, node)
        case Unknown():
            return UNKNOWN
        case _:
            ctx.fail(
                node, f"{ast.unparse(node.args[0])} has no length; len takes arrays and tuples"
            )


def _pow(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, 2))
    return UNKNOWN if found is None else operators.binary(ctx, "pow", found[0], found[1], node)


def _math_pow(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, 2))
    if found is None:
        return UNKNOWN
    met = operators.meet(ctx, "pow", found, node)
    if met.dtype.kind in "biu":
        found = [Scalar(operators.cast(ctx, v, FLOAT64, node), met.weak) for v in found]
    return operators.binary(ctx, "pow", found[0], found[1], node)


def _divmod(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, 2))
    if found is None:
        return UNKNOWN
    parts = [operators.binary(ctx, op, found[0], found[1], node) for op in ("floordiv", "mod")]
    return TupleValue(tuple(parts))


# ---------------------------------------------------------------- math
def _math(
    function: str, count: int, ctx: Context, node: ast.Call, args: list[Value],
    kwargs: dict[str, Value],
) -> Value:  # fmt: skip
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, count))
    return (
        UNKNOWN if found is None else operators.intrinsic(ctx, function, found, node, floating=True)
    )


def _rounding(
    function: str, ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]
) -> Value:
    if function == "round" and len(args) + len(kwargs) == 2:
        ctx.fail(node, "round to digits is not part of the language; write round(x * 100) / 100")
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, 1))
    if found is None:
        return UNKNOWN
    value = found[0]
    if value.expr.type.kind in "biu":
        return value if value.weak else Scalar(operators.cast(ctx, value, INT64, node))
    typed = Scalar(operators.apply(ctx, function, [operators.settle(ctx, value, node)], node))
    return Scalar(operators.cast(ctx, typed, INT64, node))


def _log(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    if len(args) not in (1, 2) or kwargs:
        ctx.fail(node, "math.log takes a number and, at most, a base")
    found = scalars(ctx, node, args)
    if found is None:
        return UNKNOWN
    logs = [operators.intrinsic(ctx, "log", [v], node, floating=True) for v in found]
    return logs[0] if len(logs) == 1 else operators.binary(ctx, "truediv", logs[0], logs[1], node)


def _hypot(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, 2))
    return (
        UNKNOWN if found is None else operators.intrinsic(ctx, "hypot", found, node, floating=True)
    )


def _ldexp(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, positional(ctx, node, args, kwargs, 2))
    if found is None:
        return UNKNOWN
    value, exponent = found
    if not exponent.expr.type.is_integer:
        ctx.fail(node, f"the exponent of math.ldexp must be an integer, not {exponent.expr.type}")
    dtype = value.expr.type if value.expr.type.is_float else FLOAT64
    parts = [operators.cast(ctx, value, dtype, node), operators.cast(ctx, exponent, INT64, node)]
    return Scalar(operators.apply(ctx, "ldexp", parts, node), value.weak)


def _two_parts(first: str, second: str) -> Handler:
    def handler(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
        found = scalars(ctx, node, positional(ctx, node, args, kwargs, 1))
        if found is None:
            return UNKNOWN
        parts = [operators.intrinsic(ctx, f, found, node, floating=True) for f in (first, second)]
        return TupleValue(tuple(parts))

    return handler


PYTHON: Final[dict[Any, Handler]] = {
    abs: _abs, min: _extreme("min"), max: _extreme("max"), len: _len, pow: _pow, divmod: _divmod,
    complex: _complex, math.pow: _math_pow, math.log: _log, math.hypot: _hypot,
    math.ldexp: _ldexp, math.frexp: _two_parts("frexp_mantissa", "frexp_exponent"),
    math.modf: _two_parts("modf_fraction", "modf_integer"),
}  # fmt: skip


def handler_of(function: Any) -> Handler | None:
    """How a call of one of these is parsed; None for anything else."""
    dtype = _cast_dtype(function)
    if dtype is not None:
        return partial(_cast, dtype)
    try:
        if function in MATH:
            return partial(_math, *MATH[function])
        if function in _ROUNDING:
            return partial(_rounding, _ROUNDING[function])
        return PYTHON.get(function)
    except TypeError:  # unhashable
        return None
