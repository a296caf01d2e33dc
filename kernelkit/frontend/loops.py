"""Loops: over ranges, over tuples (unrolled), while; their else; break and continue.

Holds: a name that a loop binds to another array or tuple each round cannot be read before that.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from typing import Any

from kernelkit.frontend import names, operators
from kernelkit.frontend.assignments import assign_to
from kernelkit.frontend.calls import refuse_stars
from kernelkit.frontend.context import (
    STATEMENTS,
    Context,
    Frame,
    assigned_names,
    attempt,
    handles,
    merge,
    same_binding,
)
from kernelkit.frontend.lazy import condition_of
from kernelkit.frontend.operands import (
    evaluate,
    refuse_float,
    scalar,
)
from kernelkit.frontend.promotion import ScalarType
from kernelkit.frontend.values import (
    Binding,
    Conflict,
    Static,
    TupleValue,
    Unknown,
    VarBinding,
)
from kernelkit.ir.nodes import (
    Assign,
    Cast,
    Constant,
    Expr,
    For,
    Read,
    Scope,
    While,
)
from kernelkit.ir.types import INT64

Env = dict[str, Binding]


class _Loop:
    """What a loop does to names: those its body binds anew are not what they were before it."""

    def __init__(self, ctx: Context, node: ast.stmt) -> None:
        self.ctx, self.node = ctx, node
        self.key = (ctx.function.prefix, node.lineno)
        self.before = dict(ctx.function.env)
        for name in ctx.rebound.get(self.key, ()):
            ctx.function.env[name] = Conflict(
                f"{name} stands for something else in the next round of the loop; "
                "use another name inside, or choose by an index",
                ctx.span(node),
            )
        assigned = set(assigned_names([node]))
        for name, binding in list(ctx.function.env.items()):
            if name in assigned and isinstance(binding, VarBinding):
                ctx.function.env[name] = VarBinding(binding.key)

    def done(self, ends: list[Env], breaks: list[Env]) -> None:
        """Joins what names stand for before the loop, where its body ends, and at its breaks."""
        ctx = self.ctx
        changed = {
            name
            for after in ends
            for name, binding in self.before.items()
            if not isinstance(binding, (Conflict, Unknown))
            and not isinstance(after.get(name), Unknown)
            and not same_binding(binding, after.get(name, binding))
        }
        known = ctx.rebound.setdefault(self.key, set())
        if not changed <= known:
            known |= changed
            ctx.changed = True
        ctx.function.env = merge([self.before, *ends, *breaks], ctx.span(self.node))


def _breaks_out(body: list[ast.stmt]) -> bool:
    """Whether a break in these statements leaves the loop that they are the body of."""
    for node in body:
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, (ast.For, ast.While)):
            if _breaks_out(node.orelse):
                return True
        elif isinstance(node, ast.If) and (_breaks_out(node.body) or _breaks_out(node.orelse)):
            return True
    return False


def _with_else(
    ctx: Context, node: ast.For | ast.While, loop: Callable[[Frame | None], None]
) -> bool:
    """A loop, and its else: a scope around both that a break in the body leaves. Whether control
    goes on behind them."""
    if not node.orelse or not _breaks_out(node.body):
        loop(None)
        return ctx.block(node.orelse)
    frame = Frame(continuable=False)
    with ctx.framed(frame) as body:
        loop(frame)
        _meet(ctx, ctx.block(node.orelse), frame.breaks, node)
    ctx.close(frame, Scope(ctx.span(node), "", tuple(body)))
    return True


def _body(ctx: Context, node: ast.For | ast.While, leaving: Frame, again: Frame) -> list[Env]:
    """A loop's body; what names stand for where a round ends."""
    ctx.function.loops.append((leaving, again))
    falls = ctx.block(node.body)
    ctx.function.loops.pop()
    return [*([ctx.function.env] if falls else []), *again.continues]


def _meet(ctx: Context, falls: bool, breaks: list[Env], node: ast.AST) -> None:
    """What names stand for behind a scope: its end, if that is reached, and its breaks."""
    ways = [*([ctx.function.env] if falls else []), *breaks]
    if ways:
        ctx.function.env = merge(ways, ctx.span(node))


@handles(STATEMENTS, ast.For)
def _for(ctx: Context, node: ast.For) -> bool:
    if _is_range(ctx, node.iter):
        assert isinstance(node.iter, ast.Call)
        return _with_else(ctx, node, lambda outer: _range_loop(ctx, node, outer))
    value = ctx.expression(node.iter)
    if isinstance(value, Unknown):
        return True
    if not isinstance(value, TupleValue):
        ctx.fail(
            node.iter,
            "for goes over range(...) or a tuple; over an array write `for i in range(len(a))`",
        )
    _tuple_loop(ctx, node, value)
    return True


def _is_range(ctx: Context, node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    target = ctx.expression(node.func)
    return isinstance(target, Static) and target.value is builtins.range


def _range_bounds(ctx: Context, call: ast.Call) -> list[Expr] | None:
    refuse_stars(ctx, call)
    if call.keywords or not 1 <= len(call.args) <= 3:
        ctx.fail(
            call,
            "range takes 1 to 3 integers: range(stop), range(start, stop), range(start, stop, step)",
        )
    bounds: list[Expr] = []
    for value, node in zip(evaluate(ctx, call.args), call.args, strict=True):
        found = scalar(ctx, value, node, "an integer")
        if isinstance(found, Unknown):
            return None
        if not found.expr.type.is_integer:
            refuse_float(ctx, found, node, "range takes integers")
        bounds.append(operators.cast(ctx, found, INT64, node))
    span = ctx.span(call)
    if len(bounds) == 1:
        bounds.insert(0, Constant(span, INT64, 0))
    if len(bounds) == 2:
        bounds.append(Constant(span, INT64, 1))
    step = bounds[2]
    if isinstance(step, Constant) and step.value == 0:
        ctx.fail(call.args[2], "the step of a range must not be 0")
    return bounds


def _range_loop(ctx: Context, node: ast.For, outer: Frame | None) -> None:
    assert isinstance(node.iter, ast.Call)
    call = node.iter
    bounds = attempt(lambda: _range_bounds(ctx, call))
    state, frame, span = _Loop(ctx, node), Frame(continuable=True), ctx.span(node.target)
    with ctx.framed(frame) as body:
        counter = _loop_target(ctx, node, span)
        ends = _body(ctx, node, outer or frame, frame)
    state.done(ends, [] if outer else frame.breaks)
    if isinstance(bounds, list):
        header = _header(ctx, node)
        ctx.close(frame, For(header, counter, bounds[0], bounds[1], bounds[2], tuple(body)))


def _header(ctx: Context, node: ast.For) -> Any:
    start, end = ctx.span(node), ctx.span(node.iter)
    return type(start)(start.file, start.line, start.column, end.end_line, end.end_column)


def _loop_target(ctx: Context, node: ast.For, span: Any) -> Any:
    """The variable that the loop counts in; a name of another type is assigned from it."""
    if not isinstance(node.target, ast.Name):
        ctx.fail(node.target, "the loop variable of a range must be a name")
    key = ctx.function.prefix + node.target.id
    ctx.join(key, ScalarType(INT64), span)
    ctx.function.env[node.target.id] = VarBinding(key)
    var = ctx.var(key)
    if var.type == INT64:
        return var
    counter = ctx.temporary(INT64)
    ctx.emit(Assign(span, var, Cast(span, var.type, Read(span, INT64, counter))))
    return counter


@handles(STATEMENTS, ast.While)
def _while(ctx: Context, node: ast.While) -> bool:
    falls = _with_else(ctx, node, lambda outer: _while_loop(ctx, node, outer))
    always = isinstance(node.test, ast.Constant) and bool(node.test.value)
    return _breaks_out(node.body) if always else falls


def _while_loop(ctx: Context, node: ast.While, outer: Frame | None) -> None:
    state, frame = _Loop(ctx, node), Frame(continuable=True)
    with ctx.capture() as prelude:
        condition = attempt(lambda: condition_of(ctx, node.test))
    with ctx.framed(frame) as body:
        ends = _body(ctx, node, outer or frame, frame)
    state.done(ends, [] if outer else frame.breaks)
    if not isinstance(condition, Unknown):
        span = ctx.span(node.test)
        ctx.close(frame, While(span, tuple(prelude), condition, tuple(body)))


def _tuple_loop(ctx: Context, node: ast.For, value: TupleValue) -> None:
    """Over a tuple: unrolled, each round a scope that `continue` leaves, all in one that `break`
    leaves."""
    whole, span = Frame(continuable=False), ctx.span(node)
    # The tuple is there before the loop: what a round assigns does not change it.
    falls = True
    items = names.protect(ctx, list(value.items), alone=True)
    with ctx.framed(whole) as rounds:
        for item in items:
            one = Frame(continuable=False)
            with ctx.framed(one) as body:
                assign_to(ctx, node.target, item, node.target)
                ends = _body(ctx, node, whole, one)
            if one.used:
                ctx.close(one, Scope(span, "", tuple(body)))
            else:
                ctx.out.extend(body)
            falls = bool(ends)
            if not falls:
                break
            ctx.function.env = merge(ends, span)
        falls = falls and ctx.block(node.orelse)
        _meet(ctx, falls, whole.breaks, node)
    if whole.used:
        ctx.close(whole, Scope(span, "", tuple(rounds)))
    else:
        ctx.out.extend(rounds)


@handles(STATEMENTS, ast.Break, ast.Continue)
def _break_continue(ctx: Context, node: ast.Break | ast.Continue) -> bool:
    leaving, again = ctx.function.loops[-1]
    here = dict(ctx.function.env)
    if isinstance(node, ast.Break):
        leaving.breaks.append(here)
        ctx.leave(leaving, ctx.span(node))
    else:
        again.continues.append(here)
        ctx.leave(again, ctx.span(node), again=again.continuable)
    return False
