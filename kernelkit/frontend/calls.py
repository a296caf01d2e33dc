"""Calls: whatever is called, by what it is.

Holds: what is called is resolved by object identity, so aliases work.
"""

import ast
import builtins
import inspect
import math
import types
from typing import Any, Final

import numpy as np

from kernelkit.frontend import names, operators
from kernelkit.frontend.builtins import BUILTINS, Dim3
from kernelkit.frontend.context import EXPRESSIONS, Context, handles
from kernelkit.frontend.functions import Handler, handler_of
from kernelkit.frontend.inline import call_function
from kernelkit.frontend.operands import (
    evaluate,
    is_kernel,
)
from kernelkit.frontend.outside import FUNCTIONS, NUMPY
from kernelkit.frontend.values import (
    UNKNOWN,
    Scalar,
    Static,
    TupleValue,
    Unknown,
    Value,
)

#: Handlers of kernelkit's device names, by dotted name; filled by device.py.
DEVICE: Final[dict[str, Handler]] = {}
DEVICE_NAMES: Final = {id(obj): name for name, obj in BUILTINS.items()}


@handles(EXPRESSIONS, ast.Call)
def call(ctx: Context, node: ast.Call) -> Value:
    if isinstance(node.func, ast.Attribute) and node.func.attr == "conjugate":
        owner = ctx.expression(node.func.value)
        if isinstance(owner, (Scalar, Unknown)):
            return _conjugate(ctx, owner, node)
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
    handler = handler_of(function)
    if handler is not None:
        return handler(ctx, node, args, kwargs)
    if isinstance(function, type) and hasattr(function, "_fields"):
        return _named_tuple(ctx, node, function, args, kwargs)
    if isinstance(function, types.FunctionType) and not _is_numpy(function):
        return call_function(ctx, function, args, kwargs, node)
    if isinstance(value, Dim3):
        ctx.fail(node, f"{value!r} is not called; read its .x, .y or .z")
    ctx.fail(node, _not_callable(ast.unparse(node.func), function))


def _is_numpy(function: Any) -> bool:
    return (getattr(function, "__module__", None) or "").partition(".")[0] == "numpy"


def _not_callable(text: str, function: Any) -> str:
    name = getattr(function, "__name__", "")
    if isinstance(function, np.ufunc) or _is_numpy(function):
        instead = NUMPY.get(name) or (f"write math.{name}" if hasattr(math, name) else None)
        return f"{text} is not for kernels; {instead or 'write it out by elements'}"
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


def _conjugate(ctx: Context, value: Scalar | Unknown, node: ast.Call) -> Value:
    if isinstance(value, Unknown) or not value.expr.type.is_complex:
        return value
    return Scalar(
        operators.apply(ctx, "conj", [operators.settle(ctx, value, node)], node), value.weak
    )


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
