"""Names: what one stands for when it is read, and what an assignment makes of it.

Holds: locals are bound flow by flow; a name from outside is folded and captured, so that a launch
can see that it changed.
"""

from __future__ import annotations

import ast
import difflib
import types
from collections.abc import Iterable
from typing import NoReturn

import numpy as np

from kernelkit.errors import Diagnostic, Span
from kernelkit.frontend import operators
from kernelkit.frontend.builtins import BUILTINS
from kernelkit.frontend.captures import Current, capture
from kernelkit.frontend.context import Context
from kernelkit.frontend.promotion import ScalarType
from kernelkit.frontend.values import (
    UNKNOWN,
    ArrayRef,
    Binding,
    Conflict,
    Scalar,
    Static,
    TupleBinding,
    TupleValue,
    Unknown,
    Value,
    VarBinding,
)
from kernelkit.ir.nodes import ArrayVar, Assign, Load, Read, walk_expr
from kernelkit.ir.types import DTYPES, INT64, AddressSpace, ArrayType, from_numpy

Where = ast.AST | Span
_FIXED_MODULES = ("math", "numpy", "kernelkit", "builtins")


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean x?`, or nothing."""
    close = difflib.get_close_matches(name, [k for k in known if not k.startswith("__")], 1, 0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _hint(name: str) -> str:
    if name in DTYPES:
        return f"; write np.{name}"
    return "; kernelkit's own names are kk.grid, kk.threadIdx, ..." if name == "cuda" else ""


def _refuse_numba(ctx: Context, text: str, where: Where) -> NoReturn:
    """numba's device names look like ours and mean nothing here."""
    name = text.rpartition(".")[2]
    ours = {known.partition(".")[0] for known in BUILTINS} | {"warpsize"}
    instead = f"kk.{name}" if name in ours else f"np.{name}" if name in DTYPES else "kernelkit's"
    ctx.fail(where, f"{text} is numba's and means nothing to kernelkit; write {instead}")


def _module(value: object) -> str:
    home = getattr(value, "__module__", None) or type(value).__module__
    return str(home).partition(".")[0]


# ---------------------------------------------------------------- reading
def read_name(ctx: Context, name: str, where: Where) -> Value:
    """The value that a name stands for here."""
    function = ctx.function
    binding = function.env.get(name)
    if binding is None and name in function.local_names:
        binding = VarBinding(function.prefix + name)
    if binding is not None:
        return read_binding(ctx, binding, name, where)
    found, value, current = function.source.lookup(name)
    if not found:
        known = function.source.visible_names() | function.local_names | set(BUILTINS)
        ctx.fail(where, f"{name} is not defined{_hint(name) or nearest(name, known)}")
    return outside(ctx, value, name, current, where)


def read_binding(ctx: Context, binding: Binding, name: str, where: Where) -> Value:
    match binding:
        case VarBinding():
            return _read_var(ctx, binding, name, where)
        case TupleBinding():
            items = tuple(
                read_binding(ctx, b, f"{name}[{i}]", where) for i, b in enumerate(binding.items)
            )
            return TupleValue(items, binding.cls)
        case Conflict():
            ctx.fail(where, binding.message, (binding.span, "they meet here"))
        case _:
            return binding


def _read_var(ctx: Context, binding: VarBinding, name: str, where: Where) -> Value:
    span = ctx.span(where)
    if binding.constant is not None:
        return Scalar(binding.constant.expr, binding.constant.weak)
    join = ctx.joins.get(binding.key)
    if join is None:
        message = f"{name} is read here but never assigned a value; assign it first"
        if ctx.function.source.lookup(name)[0]:
            message = (
                f"{name} is assigned in this function, so it is not the global {name}, and has no "
                "value yet; use another name, or pass it as an argument (a kernel changes no global)"
            )
        ctx.unknown.append(Diagnostic(span, message))
        return UNKNOWN
    var = ctx.var(binding.key)
    return Scalar(Read(span, var.type, var), join.type.weak)


# ---------------------------------------------------------------- values from outside the kernel
def outside(ctx: Context, value: object, name: str, current: Current, where: Where) -> Value:
    """A global, closure or attribute: folded, and captured unless it cannot change."""
    if not isinstance(value, types.ModuleType) and _module(value) == "numba":
        _refuse_numba(ctx, name, where)
    if isinstance(value, np.ndarray):
        return _global_array(ctx, value, name, current, where)
    _capture(ctx, name, value, current)
    return fold(ctx, value, name, where)


def fold(ctx: Context, value: object, name: str, where: Where) -> Value:
    """A compile-time object as a value."""
    constant = operators.number(ctx, value, where)
    if constant is not None:
        return constant
    if isinstance(value, tuple):
        items = tuple(fold(ctx, v, f"{name}[{i}]", where) for i, v in enumerate(value))
        return TupleValue(items, type(value) if hasattr(value, "_fields") else None)
    if isinstance(value, np.ndarray):
        return _global_array(ctx, value, name, lambda: value, where)
    return Static(value)


def _capture(ctx: Context, name: str, value: object, current: Current) -> None:
    key = id(ctx.function.source.fn), name
    found = None if key in ctx.captures else capture(name, value, current)
    if found is not None:
        ctx.captures[key] = found


def _global_array(
    ctx: Context, value: np.ndarray, name: str, current: Current, where: Where
) -> Value:
    _capture(ctx, name, value, current)
    if value.flags.writeable:
        return Static(value)  # which only const.array_like takes
    array = ctx.globals.get(id(value))
    if array is None:
        array = constant_array(ctx, value, name, where)
        ctx.allocate(ctx.span(where), array, np.ascontiguousarray(value), first=True)
        ctx.globals[id(value)] = array
    return ArrayRef(array)


def constant_array(ctx: Context, value: np.ndarray, name: str, where: Where) -> ArrayVar:
    """A new constant array for a NumPy array's elements."""
    dtype = from_numpy(value.dtype)
    if dtype is None:
        ctx.fail(where, f"{name} has dtype {value.dtype}, which no kernel knows; use .astype(...)")
    if value.ndim == 0 or value.size == 0:
        ctx.fail(where, f"{name} has shape {value.shape}; a constant array needs elements and axes")
    kind = ArrayType(dtype, value.ndim, "C", AddressSpace.CONSTANT, readonly=True)
    last = name.rpartition(".")[2]
    default = last if last.isidentifier() else "table"
    return ArrayVar(ctx.array_name(default, where), kind, value.shape)


def attribute(ctx: Context, owner: object, name: str, node: ast.Attribute) -> Value:
    """owner.name of a compile-time object."""
    try:
        value = getattr(owner, name)
    except AttributeError:
        what = getattr(owner, "__name__", None) or repr(owner)
        ctx.fail(node, f"{what} has no attribute {name}{nearest(name, dir(owner))}")
    except Exception as error:
        ctx.fail(node, f"{ast.unparse(node)} raised {type(error).__name__} when compiling: {error}")
    module = getattr(owner, "__name__", "") if isinstance(owner, types.ModuleType) else ""
    if module.partition(".")[0] in ("numba", "numba_cuda"):
        _refuse_numba(ctx, ast.unparse(node), node)
    if isinstance(owner, type) or module.partition(".")[0] in _FIXED_MODULES:
        return fold(ctx, value, name, node)
    return outside(
        ctx, value, f"{ast.unparse(node.value)}.{name}", lambda: getattr(owner, name), node
    )


# ---------------------------------------------------------------- assigning
def assign(ctx: Context, name: str, value: Value, where: Where) -> None:
    """name = value"""
    function = ctx.function
    once = name in function.assigned_once
    function.env[name] = bind(ctx, function.prefix + name, value, where, keep_constant=once)


def bind(
    ctx: Context, key: str, value: Value, where: Where, *, keep_constant: bool = False
) -> Binding:
    """Emits the assignments that make the variables of `key` hold a value."""
    span = ctx.span(where)
    match value:
        case Scalar():
            ctx.join(key, value.type, span)
            var = ctx.var(key)
            if keep_constant and value.weak and var.type == INT64 and _beyond(value.constant):
                # 0x9E3779B97F4A7C15 fits no int64, but it will fit the uint64 that it meets.
                return VarBinding(key, value)
            ctx.emit(Assign(span, var, operators.cast(ctx, value, var.type, where)))
            known = value if keep_constant and value.constant is not None else None
            if known is not None and ctx.joins[key].declared:
                known = Scalar(operators.cast(ctx, value, var.type, where))
            return VarBinding(key, known)
        case TupleValue():
            items = protect(ctx, list(value.items))
            fields = getattr(value.cls, "_fields", range(len(items)))
            bound = [
                bind(ctx, f"{key}.{field}", item, where, keep_constant=keep_constant)
                for field, item in zip(fields, items, strict=True)
            ]
            return TupleBinding(tuple(bound), value.cls)
        case Unknown():
            return (
                VarBinding(key) if not isinstance(ctx.function.env.get(key), Unknown) else UNKNOWN
            )
        case _:
            return value


def _beyond(constant: object) -> bool:
    return type(constant) is int and not INT64.minimum <= constant <= INT64.maximum


def declare(ctx: Context, name: str, dtype: object, where: Where) -> None:
    """name: dtype"""
    found = from_numpy(dtype)
    if found is not None:
        ctx.join(ctx.function.prefix + name, ScalarType(found), ctx.span(where), declared=True)


def protect(ctx: Context, items: list[Value], *, alone: bool = False) -> list[Value]:
    """Values assigned one after the other, made safe against each other (a, b = b, a); `alone`:
    also a single one."""
    if len(items) < 2 and not alone:
        return items
    return [_protected(ctx, item) for item in items]


def _protected(ctx: Context, item: Value) -> Value:
    if isinstance(item, TupleValue):
        return TupleValue(tuple(_protected(ctx, i) for i in item.items), item.cls)
    if isinstance(item, Scalar) and any(isinstance(e, (Read, Load)) for e in walk_expr(item.expr)):
        return Scalar(ctx.spill(item.expr), item.weak)
    return item
