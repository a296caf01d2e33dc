"""Calls: Python's builtins, math, casts, and the dispatch to device names and functions.

Holds: what is called is resolved by object identity, so aliases work.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import types
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from kernelkit.frontend import names, operators
from kernelkit.frontend.builtins import BUILTINS, Dim3
from kernelkit.frontend.context import EXPRESSIONS, Context, handles
from kernelkit.frontend.inline import call_function
from kernelkit.frontend.operands import (
    evaluate,
    extent,
    is_kernel,
    scalar,
)
from kernelkit.frontend.outside import FUNCTIONS
from kernelkit.frontend.values import (
    UNKNOWN,
    ArrayRef,
    Scalar,
    Static,
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
#: Handlers of kernelkit's device names, by dotted name; filled by device.py.
DEVICE: Final[dict[str, Handler]] = {}
DEVICE_NAMES: Final = {id(obj): name for name, obj in BUILTINS.items()}

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


# ---------------------------------------------------------------- dispatch
@handles(EXPRESSIONS, ast.Call)
def call(ctx: Context, node: ast.Call) -> Value:
    if isinstance(node.func, ast.Attribute) and node.func.attr == "conjugate":
        return _conjugate(ctx, node)
    target = ctx.expression(node.func)
    if isinstance(target, Unknown):
        return UNKNOWN
    if not isinstance(target, Static):
        ctx.fail(node.func, f"{ast.unparse(node.func)} is not a function")
    function = inspect.unwrap(target.value) if callable(target.value) else target.value
    if function is builtins.print:
        ctx.fail(node, "print gives no value; write it as a statement of its own")
    refuse_stars(ctx, node)
    args = evaluate(ctx, [*node.args, *(k.value for k in node.keywords)])
    keywords = [k.arg for k in node.keywords if k.arg is not None]
    positional, named = (
        args[: len(node.args)],
        dict(zip(keywords, args[len(node.args) :], strict=True)),
    )
    return _dispatch(ctx, node, target.value, function, positional, named)


def refuse_stars(ctx: Context, node: ast.Call) -> None:
    for arg in node.args:
        if isinstance(arg, ast.Starred):
            ctx.fail(arg, "star arguments are not part of the language; write the arguments out")
    for keyword in node.keywords:
        if keyword.arg is None:
            ctx.fail(keyword.value, "star arguments are not part of the language; write them out")


def _dispatch(
    ctx: Context, node: ast.Call, value: object, function: Any, args: list[Value],
    kwargs: dict[str, Value],
) -> Value:  # fmt: skip
    name = DEVICE_NAMES.get(id(function))
    if name is not None and name in DEVICE:
        return DEVICE[name](ctx, node, *_bound(ctx, node, name, function, args, kwargs))
    if is_kernel(value):
        ctx.fail(
            node,
            f"{ast.unparse(node.func)} is a kernel, and a kernel cannot call one; make it @kk.device",
        )
    dtype = _cast_dtype(function)
    if dtype is not None:
        return _cast(ctx, node, dtype, _positional(ctx, node, args, kwargs, 1))
    handler = _python_function(function)
    if handler is not None:
        return handler(ctx, node, args, kwargs)
    if isinstance(function, type) and hasattr(function, "_fields"):
        return _named_tuple(ctx, node, function, args, kwargs)
    if isinstance(function, types.FunctionType) and not _is_numpy(function):
        return call_function(ctx, function, args, kwargs, node)
    if isinstance(value, Dim3):
        ctx.fail(node, f"{value!r} is not called; read its .x, .y or .z")
    ctx.fail(node, _not_callable(ast.unparse(node.func), function))


def _python_function(function: Any) -> Handler | None:
    try:
        if function in MATH:
            return _math
        if function in _ROUNDING:
            return _rounding
        return PYTHON.get(function)
    except TypeError:  # unhashable
        return None


def _is_numpy(function: Any) -> bool:
    return (getattr(function, "__module__", None) or "").partition(".")[0] == "numpy"


def _not_callable(text: str, function: Any) -> str:
    name = getattr(function, "__name__", "")
    if isinstance(function, np.ufunc) or _is_numpy(function):
        instead = f"math.{name}" if hasattr(math, name) else {"abs": "abs", "absolute": "abs", "minimum": "min", "maximum": "max"}.get(name)  # fmt: skip
        return f"{text} works on whole arrays, not in a kernel; write {instead or 'it out by elements'}"
    if function is builtins.range:
        return "range(...) stands only behind `for x in`"
    instead = next((hint for known, hint in FUNCTIONS if known is function), None)
    if instead is not None:
        return f"{text} cannot be called in a kernel; {instead}"
    return (
        f"{text} cannot be called in a kernel; of Python's functions there are abs, bool, complex, "
        "divmod, float, int, len, max, min, pow, range and round, and most of math's"
    )


def _bound(
    ctx: Context, node: ast.Call, name: str, function: Any, args: list[Value],
    kwargs: dict[str, Value],
) -> tuple[list[Value], dict[str, Value]]:  # fmt: skip
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        taken = ", ".join(p for p in inspect.signature(function).parameters)
        ctx.fail(node, f"{name}({taken}): {error}")
    return list(bound.arguments.values()), {}


def _positional(
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
    if function in (bool, int, float):
        return _CASTS[function]
    if isinstance(function, np.dtype) or (
        isinstance(function, type) and issubclass(function, np.generic)
    ):
        return from_numpy(function)
    return None


def _cast(ctx: Context, node: ast.Call, dtype: DType, args: list[Value]) -> Value:
    found = scalars(ctx, node, args)
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
        return _cast(ctx, node, COMPLEX128, args)
    found = scalars(ctx, node, _positional(ctx, node, args, kwargs, 2))
    if found is None:
        return UNKNOWN
    met = operators.meet(ctx, "complex", found, node)
    part = met.dtype if met.dtype.is_float and met.dtype.bits >= 32 else FLOAT64
    parts = [operators.cast(ctx, v, part, node) for v in found]
    return Scalar(operators.apply(ctx, "complex", parts, node))


def _conjugate(ctx: Context, node: ast.Call) -> Value:
    assert isinstance(node.func, ast.Attribute)
    value = scalar(ctx, ctx.expression(node.func.value), node.func.value)
    if isinstance(value, Unknown) or not value.expr.type.is_complex:
        return value
    return Scalar(
        operators.apply(ctx, "conj", [operators.settle(ctx, value, node)], node), value.weak
    )


# ---------------------------------------------------------------- Python's functions
def _abs(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, _positional(ctx, node, args, kwargs, 1))
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
    (value,) = _positional(ctx, node, args, kwargs, 1)
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
    found = scalars(ctx, node, _positional(ctx, node, args, kwargs, 2))
    return UNKNOWN if found is None else operators.binary(ctx, "pow", found[0], found[1], node)


def _math_pow(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, _positional(ctx, node, args, kwargs, 2))
    if found is None:
        return UNKNOWN
    met = operators.meet(ctx, "pow", found, node)
    if met.dtype.kind in "biu":
        found = [Scalar(operators.cast(ctx, v, FLOAT64, node), met.weak) for v in found]
    return operators.binary(ctx, "pow", found[0], found[1], node)


def _divmod(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, _positional(ctx, node, args, kwargs, 2))
    if found is None:
        return UNKNOWN
    parts = [operators.binary(ctx, op, found[0], found[1], node) for op in ("floordiv", "mod")]
    return TupleValue(tuple(parts))


# ---------------------------------------------------------------- math
def _math(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    function, count = MATH[inspect.unwrap(_target(ctx, node))]
    found = scalars(ctx, node, _positional(ctx, node, args, kwargs, count))
    return (
        UNKNOWN if found is None else operators.intrinsic(ctx, function, found, node, floating=True)
    )


def _target(ctx: Context, node: ast.Call) -> Any:
    target = ctx.expression(node.func)
    assert isinstance(target, Static)
    return target.value


def _rounding(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    function = _ROUNDING[_target(ctx, node)]
    if function == "round" and len(args) + len(kwargs) == 2:
        ctx.fail(node, "round to digits is not part of the language; write round(x * 100) / 100")
    found = scalars(ctx, node, _positional(ctx, node, args, kwargs, 1))
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
    found = scalars(ctx, node, _positional(ctx, node, args, kwargs, 2))
    return (
        UNKNOWN if found is None else operators.intrinsic(ctx, "hypot", found, node, floating=True)
    )


def _ldexp(ctx: Context, node: ast.Call, args: list[Value], kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, _positional(ctx, node, args, kwargs, 2))
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
        found = scalars(ctx, node, _positional(ctx, node, args, kwargs, 1))
        if found is None:
            return UNKNOWN
        parts = [operators.intrinsic(ctx, f, found, node, floating=True) for f in (first, second)]
        return TupleValue(tuple(parts))

    return handler


def _named_tuple(
    ctx: Context, node: ast.Call, cls: Any, args: list[Value], kwargs: dict[str, Value]
) -> Value:
    try:
        bound = inspect.signature(cls).bind(*args, **kwargs).arguments
    except TypeError as error:
        ctx.fail(node, f"{cls.__name__}{inspect.signature(cls)}: {error}")
    defaults = getattr(cls, "_field_defaults", {})
    items = [bound[f] if f in bound else names.fold(ctx, defaults[f], f, node) for f in cls._fields]
    return TupleValue(tuple(items), cls)


PYTHON: Final[dict[Any, Handler]] = {
    abs: _abs, min: _extreme("min"), max: _extreme("max"), len: _len, pow: _pow, divmod: _divmod,
    complex: _complex, math.pow: _math_pow, math.log: _log, math.hypot: _hypot,
    math.ldexp: _ldexp, math.frexp: _two_parts("frexp_mantissa", "frexp_exponent"),
    math.modf: _two_parts("modf_fraction", "modf_integer"),
}  # fmt: skip
