"""Branches, returns, and what stands on a line of its own.

Holds: each handler emits its statements and says whether control goes on behind them.
"""

from __future__ import annotations

import ast
import builtins

from kernelkit.frontend import names
from kernelkit.frontend.context import (
    STATEMENTS,
    Context,
    attempt,
    handles,
    merge,
    same_binding,
)
from kernelkit.frontend.lazy import condition_of
from kernelkit.frontend.operators import negate
from kernelkit.frontend.printing import print_text
from kernelkit.frontend.values import (
    UNKNOWN,
    Static,
    Unknown,
    Value,
)
from kernelkit.ir.nodes import (
    Atomic,
    Body,
    Breakpoint,
    Constant,
    Expr,
    If,
    Return,
    View,
    Warp,
)


@handles(STATEMENTS, ast.If)
def _if(ctx: Context, node: ast.If) -> bool:
    condition = attempt(lambda: condition_of(ctx, node.test))
    if isinstance(condition, Constant):
        return ctx.block(node.body if condition.value else node.orelse)
    function, span = ctx.function, ctx.span(node)
    before = dict(function.env)
    ways, bodies, falls_through = [], [], []
    for nodes in (node.body, node.orelse):
        function.env = dict(before)
        with ctx.capture() as body:
            falls_through.append(ctx.block(nodes))
        bodies.append(tuple(body))
        if falls_through[-1]:
            ways.append(function.env)
    function.env = merge(ways, span) if ways else before
    if not isinstance(condition, Unknown):
        _branch(ctx, node, condition, bodies, falls_through)
    return bool(ways)


def _branch(
    ctx: Context, node: ast.If, condition: Expr, bodies: list[Body], falls_through: list[bool]
) -> None:
    """Where one arm is left for good, the other is simply what comes behind: names bound there last
    on, and barriers there are those of all threads that are left."""
    header = ctx.span(node.test)
    then, orelse = bodies
    behind: Body = ()
    if falls_through == [False, True]:
        orelse, behind = (), orelse
    elif falls_through == [True, False] and orelse:
        condition = negate(ctx, condition, node.test)
        then, orelse, behind = orelse, (), then
    ctx.emit(If(header, condition, then, orelse))
    for stmt in behind:
        ctx.emit(stmt)


# ---------------------------------------------------------------- returns
@handles(STATEMENTS, ast.Return)
def _return(ctx: Context, node: ast.Return) -> bool:
    function, span = ctx.function, ctx.span(node)
    nothing = node.value is None or (
        isinstance(node.value, ast.Constant) and node.value.value is None
    )
    if not function.prefix:
        if not nothing:
            ctx.report(node, "a kernel returns nothing; write results to an array argument")
        ctx.emit(Return(span))
        return False
    if nothing:
        value: Value = Static(None)
    else:
        assert node.value is not None
        value = ctx.expression(node.value)
    _give(ctx, value, node)
    if function.scope is not None:
        ctx.leave(function.scope, span)
    return False


def _give(ctx: Context, value: Value, node: ast.Return) -> None:
    """Makes `value` the result of the function being inlined."""
    function = ctx.function
    if function.scope is None:
        # The only return, and the last statement: its value needs no variable.
        function.direct = value
        return
    bound = names.bind(ctx, f"{function.prefix}return", value, node)
    if (
        function.result is not None
        and not same_binding(function.result, bound)
        and UNKNOWN not in (bound, function.result)
    ):
        function.result = UNKNOWN
        ctx.fail(node, f"the returns of {function.source.name} give different things; all must give "
                       "numbers, or tuples of one length")  # fmt: skip
    function.result = bound


# ---------------------------------------------------------------- lines of their own
@handles(STATEMENTS, ast.Pass)
def _pass(ctx: Context, node: ast.Pass) -> bool:
    return True


@handles(STATEMENTS, ast.Expr)
def _expr(ctx: Context, node: ast.Expr) -> bool:
    if isinstance(node.value, ast.Constant):  # a docstring, or ...
        return True
    if isinstance(node.value, ast.Call):
        function = node.value.func
        target = (
            ctx.expression(function) if isinstance(function, (ast.Name, ast.Attribute)) else None
        )
        if isinstance(target, Static) and target.value is builtins.print:
            return print_text(ctx, node.value)
        if isinstance(target, Static) and target.value is builtins.breakpoint:
            ctx.emit(Breakpoint(ctx.span(node)))
            return True
    elif not any(isinstance(n, (ast.Call, ast.NamedExpr)) for n in ast.walk(node.value)):
        _refuse_idle(ctx, node.value)
    start = len(ctx.out)
    ctx.expression(node.value)
    if isinstance(node.value, ast.Call):
        _drop_unused_result(ctx, start)
    return True


def _refuse_idle(ctx: Context, node: ast.expr) -> None:
    """A line that does nothing is a slip: a call without its parentheses, == for =."""
    value, text = ctx.expression(node), ast.unparse(node)
    if isinstance(value, Static) and callable(value.value):
        ctx.fail(node, f"{text} on a line of its own does nothing; call it: {text}()")
    instead = "write = to assign" if isinstance(node, ast.Compare) else "assign it, or leave it out"
    ctx.fail(node, f"this line does nothing with its value; {instead}")


def _drop_unused_result(ctx: Context, start: int) -> None:
    # atomic.add(...) on a line of its own needs no old value.
    if len(ctx.out) > start:
        last = ctx.out[-1]
        if isinstance(last, Atomic):
            ctx.out[-1] = Atomic(last.span, last.op, last.array, last.indices, last.operands, None)
        elif isinstance(last, Warp) and last.op not in ("sync",):
            ctx.out[-1] = Warp(last.span, last.op, last.mask, last.operands, ())
        elif isinstance(last, View):
            del ctx.out[-1]
