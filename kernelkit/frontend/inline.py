"""Device functions, inlined where they are called.

In: a plain function and its arguments. Out: its value; its statements are emitted under names of
their own. Holds: a function whose only return is its last statement needs no scope; others leave
theirs by Break.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Mapping

from kernelkit.errors import CompileError, SourceError
from kernelkit.frontend import names
from kernelkit.frontend.context import Context, Frame, Function, assigned_names
from kernelkit.frontend.scope import function_state
from kernelkit.frontend.source import SourceFunction, read_source
from kernelkit.frontend.values import (
    UNKNOWN,
    ArrayRef,
    Binding,
    Scalar,
    Static,
    TupleBinding,
    TupleValue,
    Value,
    VarBinding,
)
from kernelkit.ir.nodes import Scope


def call_function(
    ctx: Context, function: types.FunctionType, args: list[Value], kwargs: dict[str, Value],
    node: ast.Call,
) -> Value:  # fmt: skip
    """The value of function(*args, **kwargs)."""
    try:
        source = read_source(function)
    except CompileError as error:
        ctx.diagnostics.extend(error.diagnostics)
        ctx.fail(node, f"{ast.unparse(node.func)} cannot be called in a kernel")
    except SourceError as error:
        ctx.fail(node, f"{ast.unparse(node.func)} cannot be inlined: {error}")
    if any(f.source.fn.__code__ is source.fn.__code__ for f in ctx.functions):
        chain = " -> ".join(f.source.name for f in ctx.functions)
        ctx.fail(
            node, f"{source.name} calls itself ({chain} -> {source.name}), and device functions are "
            "inlined; write a loop",
        )  # fmt: skip
    bound = _bind_arguments(ctx, source, args, kwargs, node)
    return _inline(ctx, source, bound, node)


def _bind_arguments(
    ctx: Context, source: SourceFunction, args: list[Value], kwargs: Mapping[str, Value],
    node: ast.Call,
) -> dict[str, Value]:  # fmt: skip
    for parameter in source.signature.parameters.values():
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            ctx.fail(
                node, f"{source.name} takes *{parameter.name}, and star arguments are not part of "
                "the language; name its parameters",
            )  # fmt: skip
    try:
        bound = source.signature.bind(*args, **kwargs).arguments
    except TypeError as error:
        ctx.fail(node, f"{source.name}{source.signature}: {error}")
    for name, parameter in source.signature.parameters.items():
        if name not in bound:
            bound[name] = names.fold(ctx, parameter.default, name, node)
    return {name: bound[name] for name in source.signature.parameters}


def _inline(
    ctx: Context, source: SourceFunction, bound: Mapping[str, Value], node: ast.Call
) -> Value:
    span = ctx.span(node)
    state = function_state(source, ctx.instance(source.name))
    state.result_span = span
    assigned = set(assigned_names(source.tree.body))
    for name, value in bound.items():
        state.env[name] = _parameter(ctx, state, name, value, name in assigned, node)
    ctx.functions.append(state)
    found = len(ctx.diagnostics)
    try:
        if _returns_early(source.tree.body):
            _scoped_body(ctx, state, source)
        else:
            ctx.block(source.tree.body)
        if state.direct is not None:
            return state.direct
        if state.result is None:
            return Static(None) if len(ctx.diagnostics) == found else UNKNOWN
        return names.read_binding(ctx, state.result, f"the result of {source.name}", span)
    finally:
        ctx.functions.pop()


def _parameter(
    ctx: Context, state: Function, name: str, value: Value, assigned: bool, node: ast.Call
) -> Binding:
    # What cannot change is bound as it is: a constant stays known inside, an array is itself.
    match value:
        case Scalar() if value.constant is not None and not assigned:
            key = state.prefix + name
            names.bind(ctx, key, value, node, keep_constant=True)
            return VarBinding(key, value)
        case TupleValue() if not assigned:
            fields = getattr(value.cls, "_fields", range(len(value.items)))
            items = [
                _parameter(ctx, state, f"{name}.{field}", item, False, node)
                for field, item in zip(fields, value.items, strict=True)
            ]
            return TupleBinding(tuple(items), value.cls)
        case ArrayRef() | Static():
            return value
        case _:
            return names.bind(ctx, state.prefix + name, value, node)


def _scoped_body(ctx: Context, state: Function, source: SourceFunction) -> None:
    frame = Frame(continuable=False)
    state.scope = frame
    with ctx.framed(frame) as body:
        falls = ctx.block(source.tree.body)
    ctx.close(frame, Scope(source.def_span, source.name, tuple(body)))
    nothing = isinstance(state.result, Static) and state.result.value is None
    if falls and state.result is not None and not nothing:
        ctx.report(
            source.def_span, f"{source.name} returns a value on some ways and falls off its end on "
            "others; add a return at the end",
        )  # fmt: skip


def _returns_early(body: list[ast.stmt]) -> bool:
    last = body[-1] if body else None
    return any(
        isinstance(found, ast.Return) and found is not last
        for statement in body
        for found in ast.walk(statement)
    )
