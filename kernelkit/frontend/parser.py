"""A Python function and the types of its arguments -> a typed ir.Kernel.

In: a SourceFunction, argument types by name, options. Out: Parsed. Holds: types of names are the
join over all assignments, found by passing over the tree until nothing changes; every finding of
the last pass is raised in one CompileError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kernelkit.errors import CompileError, InternalError
from kernelkit.frontend import (
    assignments,
    calls,
    device,
    elements,
    expressions,
    lazy,
    loops,
    outside,
    printing,
    statements,
)
from kernelkit.frontend import names as _names
from kernelkit.frontend.arguments import ArgType, ScalarArg, StaticArg, TupleArg
from kernelkit.frontend.context import Context, Join, Refused, assigned_names
from kernelkit.frontend.promotion import ScalarType
from kernelkit.frontend.scope import function_state
from kernelkit.frontend.source import SourceFunction
from kernelkit.frontend.values import (
    UNKNOWN,
    ArrayRef,
    Binding,
    Capture,
    Scalar,
    Static,
    TupleBinding,
    TupleValue,
    VarBinding,
)
from kernelkit.ir.nodes import ArrayVar, Assign, Cast, Kernel, Options, Read, Symbol, Var
from kernelkit.ir.types import ArrayType
from kernelkit.records import record

#: Importing these fills the tables of handlers.
HANDLERS: Final = (
    assignments,
    calls,
    device,
    elements,
    expressions,
    lazy,
    loops,
    outside,
    printing,
    statements,
)
_PASSES: Final = 50


@record
class Parsed:
    """A kernel, and what was folded into it from outside."""

    kernel: Kernel
    captures: tuple[Capture, ...]


def parse(source: SourceFunction, arguments: Mapping[str, ArgType], options: Options) -> Parsed:
    """The typed kernel of a function for arguments of these types, by parameter name.

    Raises CompileError with everything that is outside the language.
    """
    joins: dict[str, Join] = {}
    rebound: dict[tuple[str, int], set[str]] = {}
    for _ in range(_PASSES):
        ctx = Context(options, joins, rebound)
        kernel = _pass(ctx, source, arguments)
        if not ctx.changed and not _settle_counters(joins):
            found = ctx.diagnostics or ctx.unknown
            if found:
                raise CompileError(found)
            return Parsed(kernel, tuple(ctx.captures.values()))
    raise InternalError(f"the types of {source.name} do not settle")


def _settle_counters(joins: dict[str, Join]) -> bool:
    """Names that only ever took integer literals are int64, and strong: while their type was open
    they could become what they meet, but a counter must not wrap because a uint8 stands beside it.
    Whether there were any."""
    counters = [j for j in joins.values() if j.type.weak and j.type.dtype.is_integer]
    for join in counters:
        join.type = ScalarType(join.type.dtype)
    return bool(counters)


def _pass(ctx: Context, source: SourceFunction, arguments: Mapping[str, ArgType]) -> Kernel:
    state = function_state(source, "")
    ctx.functions.append(state)
    _check_parameters(ctx, source)
    assigned = set(assigned_names(source.tree.body))
    params: list[Symbol] = []
    for name, kind in arguments.items():
        try:
            state.env[name] = _parameter(ctx, params, name, kind, name in assigned)
        except Refused:
            state.env[name] = UNKNOWN
    ctx.block(source.tree.body)
    _widen(ctx, params)
    body = (*ctx.prologue, *ctx.out)
    return Kernel(source.name, tuple(params), body, source.def_span, ctx.options)


def _check_parameters(ctx: Context, source: SourceFunction) -> None:
    args = source.tree.args
    for parameter in (args.vararg, args.kwarg):
        if parameter is not None:
            ctx.report(
                parameter, f"*{parameter.arg} is not part of the language; name the parameters"
            )


def _parameter(
    ctx: Context, params: list[Symbol], name: str, kind: ArgType, assigned: bool
) -> Binding:
    """What a parameter stands for; its symbols are added to those of the kernel."""
    span = ctx.function.source.def_span
    match kind:
        case ArrayType():
            array = ArrayVar(name, kind)
            ctx.array_names.add(name)
            params.append(array)
            return ArrayRef(array)
        case ScalarArg():
            ctx.join(name, ScalarType(kind.dtype, kind.weak), span)
            var = ctx.var(name)
            # The parameter itself keeps its type, should the name take a wider one.
            params.append(var if var.type == kind.dtype else Var(f"{name}.arg", kind.dtype))
            return VarBinding(name)
        case StaticArg():
            return _static(ctx, name, _names.fold(ctx, kind.value, name, span), assigned)
        case TupleArg():
            fields = getattr(kind.cls, "_fields", range(len(kind.items)))
            items = [
                _parameter(ctx, params, f"{name}.{field}", item, assigned)
                for field, item in zip(fields, kind.items, strict=True)
            ]
            return TupleBinding(tuple(items), kind.cls)


def _static(ctx: Context, name: str, value: object, assigned: bool) -> Binding:
    match value:
        case Scalar():
            # Held by a variable too, so that a debugger shows it and an assignment can change it.
            _names.bind(ctx, name, value, ctx.function.source.def_span, keep_constant=not assigned)
            return VarBinding(name, None if assigned else value)
        case TupleValue():
            items = [_static(ctx, f"{name}.{i}", v, assigned) for i, v in enumerate(value.items)]
            return TupleBinding(tuple(items), value.cls)
        case ArrayRef() | Static():
            return value
        case _:
            raise InternalError(f"the compile-time argument {name} has no value")


def _widen(ctx: Context, params: list[Symbol]) -> None:
    """Copies parameters whose names take a wider type into variables of that type."""
    for i, param in enumerate(params):
        if isinstance(param, ArrayVar):
            continue
        name = param.name.removesuffix(".arg")
        dtype = ctx.joins[name].type.dtype
        if param.type == dtype:
            continue
        span = ctx.function.source.def_span
        params[i] = given = param if param.name != name else Var(f"{name}.arg", param.type)
        cast = Cast(span, dtype, Read(span, given.type, given))
        ctx.prologue.append(Assign(span, ctx.var(name), cast))
