"""Statements: assignments, branches, loops, and what stands on a line of its own.

Holds: each handler emits its statements and says whether control goes on behind them.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable
from typing import Any, Final

from kernelkit.frontend import names, operators
from kernelkit.frontend.calls import refuse_stars
from kernelkit.frontend.context import (
    STATEMENTS,
    Context,
    Frame,
    Refused,
    assigned_names,
    handles,
    merge,
    same_binding,
)
from kernelkit.frontend.expressions import (
    BINARY,
    Element,
    condition_of,
    evaluate,
    in_order,
    scalar,
    subscripted,
)
from kernelkit.frontend.promotion import ScalarType
from kernelkit.frontend.values import (
    UNKNOWN,
    Binding,
    Conflict,
    Scalar,
    Static,
    TupleValue,
    Unknown,
    Value,
    VarBinding,
)
from kernelkit.ir.nodes import (
    Assert,
    Assign,
    Atomic,
    Breakpoint,
    Cast,
    Constant,
    Expr,
    For,
    Formatted,
    If,
    Load,
    Print,
    Read,
    Return,
    Scope,
    Store,
    Text,
    View,
    Warp,
    While,
    walk_expr,
)
from kernelkit.ir.types import INT64, AddressSpace


# ---------------------------------------------------------------- assignment
@handles(STATEMENTS, ast.Assign)
def _assign(ctx: Context, node: ast.Assign) -> bool:
    first = node.targets[0]
    value = _hinted(ctx, first, node.value)
    if len(node.targets) > 1 and isinstance(value, Scalar) and value.constant is None:
        value = Scalar(ctx.spill(value.expr), value.weak)
    for target in node.targets:
        assign_to(ctx, target, value, node)
    return True


def _hinted(ctx: Context, target: ast.expr, node: ast.expr) -> Value:
    """An expression's value; an array that it makes takes the target's name."""
    ctx.hint = target.id if isinstance(target, ast.Name) else None
    try:
        return ctx.expression(node)
    finally:
        ctx.hint = None


def assign_to(ctx: Context, target: ast.expr, value: Value, node: ast.AST) -> None:
    """target = value, for a name, an element, or a tuple of these."""
    match target:
        case ast.Name():
            names.assign(ctx, target.id, value, node)
        case ast.Subscript():
            _store(ctx, target, value, node)
        case ast.Tuple() | ast.List():
            _unpack(ctx, target, value, node)
        case ast.Starred():
            ctx.fail(
                target, "star expressions are not part of the language; write the elements out"
            )
        case ast.Attribute():
            ctx.fail(
                target,
                f"{ast.unparse(target)} cannot be assigned in a kernel; assign an element: a[i] = ...",
            )
        case _:
            ctx.fail(target, "this cannot be assigned")


def _unpack(ctx: Context, target: ast.Tuple | ast.List, value: Value, node: ast.AST) -> None:
    if isinstance(value, Unknown):
        for part in target.elts:
            assign_to(ctx, part, UNKNOWN, node)
        return
    if not isinstance(value, TupleValue):
        ctx.fail(node, "only tuples are unpacked; assign the elements one by one")
    if len(value.items) != len(target.elts):
        ctx.fail(node, f"{len(value.items)} values are unpacked into {len(target.elts)} names")
    for part, item in zip(target.elts, names.protect(ctx, list(value.items)), strict=True):
        assign_to(ctx, part, item, node)


def _store(ctx: Context, target: ast.Subscript, value: Value, node: ast.AST) -> None:
    # The value was evaluated first; what the indices do cannot change it.
    stored, place = in_order(ctx, [lambda: value, lambda: subscripted(ctx, target)])  # type: ignore[list-item, return-value]
    where = place_of(ctx, target, place)
    number = scalar(ctx, stored, getattr(node, "value", node))
    if where is None or isinstance(number, Unknown):
        return
    typed = operators.cast(ctx, number, where.array.type.dtype, node)
    ctx.emit(Store(ctx.span(node), where.array, where.indices, typed))


def place_of(ctx: Context, target: ast.Subscript, place: Any) -> Element | None:
    """The single element that a subscript names, writable; None where it is not known yet."""
    if isinstance(place, Unknown):
        return None
    if not isinstance(place, Element):
        ctx.fail(target, "a tuple's elements cannot be assigned; use local.array, or a new tuple")
    kind = place.array.type
    if len(place.indices) < kind.ndim:
        text = ast.unparse(target.value)
        ctx.fail(
            target, f"{text} has {kind.ndim} axes but is indexed with {len(place.indices)}; "
            "one element is assigned at a time",
        )  # fmt: skip
    if kind.space is AddressSpace.CONSTANT:
        ctx.fail(target, f"{ast.unparse(target.value)} is constant and cannot be written")
    return place


@handles(STATEMENTS, ast.AugAssign)
def _augassign(ctx: Context, node: ast.AugAssign) -> bool:
    op = BINARY.get(type(node.op))
    if op is None:
        ctx.fail(node, "`@=` is not part of the language; write the loop over the products")
    if isinstance(node.target, ast.Name):
        name = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
        old, value = evaluate(ctx, [name, node.value])
        names.assign(ctx, node.target.id, _combine(ctx, op, old, value, node), node)
        return True
    if not isinstance(node.target, ast.Subscript):
        ctx.fail(node.target, f"{ast.unparse(node.target)} cannot be assigned in a kernel")
    target = node.target
    place = place_of(ctx, target, subscripted(ctx, target))
    if place is None:
        ctx.expression(node.value)
        return True
    kept = [ctx.spill(i) if _costly(i) else i for i in place.indices]
    load = Scalar(Load(ctx.span(target), place.array.type.dtype, place.array, tuple(kept)))
    parts = in_order(
        ctx,
        [*(lambda i=i: Scalar(i) for i in kept), lambda: load, lambda: ctx.expression(node.value)],
    )  # type: ignore[misc, list-item]
    result = _combine(ctx, op, parts[-2], parts[-1], node)
    if isinstance(result, Scalar):
        idx = tuple(p.expr for p in parts[:-2] if isinstance(p, Scalar))
        typed = operators.cast(ctx, result, place.array.type.dtype, node)
        ctx.emit(Store(ctx.span(node), place.array, idx, typed))
    return True


def _costly(index: Expr) -> bool:
    return any(isinstance(e, Load) for e in walk_expr(index))


def _combine(ctx: Context, op: str, old: Value, value: Value, node: ast.AugAssign) -> Value:
    a, b = scalar(ctx, old, node.target), scalar(ctx, value, node.value)
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        return UNKNOWN
    return operators.binary(ctx, op, a, b, node)


@handles(STATEMENTS, ast.AnnAssign)
def _annassign(ctx: Context, node: ast.AnnAssign) -> bool:
    if isinstance(node.target, ast.Name):
        try:
            annotation = ctx.expression(node.annotation)
        except Refused:
            return True
        # int, float and bool are what type checkers want to hear; they fix no width.
        if isinstance(annotation, Static) and annotation.value not in (int, float, bool, complex):
            names.declare(ctx, node.target.id, annotation.value, node)
    if node.value is not None:
        assign_to(ctx, node.target, _hinted(ctx, node.target, node.value), node)
    return True


# ---------------------------------------------------------------- branches
def attempt(ctx: Context, evaluate_: Callable[[], Any]) -> Any:
    """The value of a condition; Unknown where it was refused, so that its bodies are still read."""
    try:
        return evaluate_()
    except Refused:
        return UNKNOWN


@handles(STATEMENTS, ast.If)
def _if(ctx: Context, node: ast.If) -> bool:
    condition = attempt(ctx, lambda: condition_of(ctx, node.test))
    if isinstance(condition, Constant):
        return ctx.block(node.body if condition.value else node.orelse)
    function, span = ctx.function, ctx.span(node)
    before = dict(function.env)
    ways, bodies = [], []
    for nodes in (node.body, node.orelse):
        function.env = dict(before)
        with ctx.capture() as body:
            falls = ctx.block(nodes)
        bodies.append(tuple(body))
        if falls:
            ways.append(function.env)
    function.env = merge(ways, span) if ways else before
    if not isinstance(condition, Unknown):
        header = ctx.span(node.test)
        ctx.emit(If(header, condition, bodies[0], bodies[1]))
    return bool(ways)


# ---------------------------------------------------------------- loops
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

    def done(self, extra: list[dict[str, Binding]] | None = None) -> None:
        """Joins what names stood for before the loop and behind its body."""
        ctx = self.ctx
        after = ctx.function.env
        changed = {
            name
            for name, binding in self.before.items()
            if not isinstance(binding, (Conflict, Unknown))
            and not isinstance(after.get(name), (Conflict, Unknown))
            and not same_binding(binding, after.get(name, binding))
        }
        known = ctx.rebound.setdefault(self.key, set())
        if not changed <= known:
            known |= changed
            ctx.changed = True
        ctx.function.env = merge([self.before, after], ctx.span(self.node))


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
) -> None:
    """A loop, and its else: a scope around both that a break in the body leaves."""
    if not node.orelse or not _breaks_out(node.body):
        loop(None)
        ctx.block(node.orelse)
        return
    frame = Frame(continuable=False)
    with ctx.framed(frame) as body:
        loop(frame)
        ctx.block(node.orelse)
    ctx.close(frame, Scope(ctx.span(node), "", tuple(body)))


@handles(STATEMENTS, ast.For)
def _for(ctx: Context, node: ast.For) -> bool:
    if _is_range(ctx, node.iter):
        assert isinstance(node.iter, ast.Call)
        _with_else(ctx, node, lambda outer: _range_loop(ctx, node, outer))
        return True
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
            ctx.fail(node, f"range takes integers, not {found.expr.type}; write int(x)")
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
    bounds = attempt(ctx, lambda: _range_bounds(ctx, call))
    state, frame, span = _Loop(ctx, node), Frame(continuable=True), ctx.span(node.target)
    with ctx.framed(frame) as body:
        counter = _loop_target(ctx, node, span)
        ctx.function.loops.append((outer or frame, frame))
        ctx.block(node.body)
        ctx.function.loops.pop()
    state.done()
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
    _with_else(ctx, node, lambda outer: _while_loop(ctx, node, outer))
    always = isinstance(node.test, ast.Constant) and bool(node.test.value)
    return not always or _breaks_out(node.body)


def _while_loop(ctx: Context, node: ast.While, outer: Frame | None) -> None:
    state, frame = _Loop(ctx, node), Frame(continuable=True)
    with ctx.capture() as prelude:
        condition = attempt(ctx, lambda: condition_of(ctx, node.test))
    with ctx.framed(frame) as body:
        ctx.function.loops.append((outer or frame, frame))
        ctx.block(node.body)
        ctx.function.loops.pop()
    state.done()
    if not isinstance(condition, Unknown):
        span = ctx.span(node.test)
        ctx.close(frame, While(span, tuple(prelude), condition, tuple(body)))


def _tuple_loop(ctx: Context, node: ast.For, value: TupleValue) -> None:
    """Over a tuple: unrolled, each round a scope that `continue` leaves, all in one that `break`
    leaves."""
    whole, span = Frame(continuable=False), ctx.span(node)
    with ctx.framed(whole) as rounds:
        for item in value.items:
            one = Frame(continuable=False)
            with ctx.framed(one) as body:
                assign_to(ctx, node.target, item, node.target)
                ctx.function.loops.append((whole, one))
                ctx.block(node.body)
                ctx.function.loops.pop()
            if _leaves(node.body):
                ctx.close(one, Scope(span, "", tuple(body)))
            else:
                ctx.out.extend(body)
        ctx.block(node.orelse)
    if _leaves(node.body):
        ctx.close(whole, Scope(span, "", tuple(rounds)))
    else:
        ctx.out.extend(rounds)


def _leaves(body: list[ast.stmt]) -> bool:
    return any(isinstance(n, (ast.Break, ast.Continue)) for s in body for n in ast.walk(s))


@handles(STATEMENTS, ast.Break, ast.Continue)
def _break_continue(ctx: Context, node: ast.Break | ast.Continue) -> bool:
    leaving, again = ctx.function.loops[-1]
    if isinstance(node, ast.Break):
        ctx.leave(leaving, ctx.span(node))
    else:
        ctx.leave(again, ctx.span(node), again=again.continuable)
    return False


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
        and bound is not UNKNOWN
    ):
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
            return _print(ctx, node.value)
        if isinstance(target, Static) and target.value is builtins.breakpoint:
            ctx.emit(Breakpoint(ctx.span(node)))
            return True
    start = len(ctx.out)
    ctx.expression(node.value)
    _drop_unused_result(ctx, start)
    return True


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


_SPEC: Final = re.compile(r"\d*(\.\d+)?[dxXfeg]?")


def _print(ctx: Context, node: ast.Call) -> bool:
    refuse_stars(ctx, node)
    options = {"sep": " ", "end": "\n"}
    for keyword in node.keywords:
        if (
            keyword.arg not in options
            or not isinstance(keyword.value, ast.Constant)
            or not isinstance(keyword.value.value, str)
        ):
            ctx.fail(keyword.value, "print takes only sep= and end=, as string literals")
        options[keyword.arg] = keyword.value.value
    parts: list[str | Formatted] = []
    for i, arg in enumerate(node.args):
        if i:
            parts.append(options["sep"])
        parts += text_of(ctx, arg)
    ctx.emit(Print(ctx.span(node), _joined([*parts, options["end"]])))
    return True


def _joined(parts: list[str | Formatted]) -> Text:
    out: list[str | Formatted] = []
    for part in parts:
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        elif part != "":
            out.append(part)
    return tuple(out)


def text_of(ctx: Context, node: ast.expr) -> list[str | Formatted]:
    """Printed text: a string, an f-string, a number, a tuple of these."""
    if isinstance(node, ast.JoinedStr):
        return [p for part in node.values for p in _fstring_part(ctx, part)]
    return _text(ctx, ctx.expression(node), node, "")


def _fstring_part(ctx: Context, node: ast.expr) -> list[str | Formatted]:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    assert isinstance(node, ast.FormattedValue)
    spec = ""
    if isinstance(node.format_spec, ast.JoinedStr):
        if not all(isinstance(v, ast.Constant) for v in node.format_spec.values):
            ctx.fail(node, "a format in a kernel must be literal, such as {x:8.3f}")
        spec = "".join(str(v.value) for v in node.format_spec.values if isinstance(v, ast.Constant))
    if node.conversion != -1 or not _SPEC.fullmatch(spec):
        ctx.fail(
            node,
            "formats in a kernel are [width][.precision] and one of d x X f e g, such as {x:8.3f}",
        )
    return _text(ctx, ctx.expression(node.value), node.value, spec)


def _text(ctx: Context, value: Value, node: ast.expr, spec: str) -> list[str | Formatted]:
    match value:
        case Static():
            return [str(value.value)]
        case TupleValue():
            inner = [_text(ctx, item, node, spec) for item in value.items]
            spread = [p for i, part in enumerate(inner) for p in ([", "] if i else []) + part]
            return ["(", *spread, ")"]
    found = scalar(ctx, value, node)
    if isinstance(found, Unknown):
        return []
    expr = operators.settle(ctx, found, node)
    letter = spec[-1:] if spec[-1:].isalpha() else ""
    if letter and letter in "dxX" and not expr.type.is_integer:
        ctx.fail(node, f"the format {spec} needs an integer, not {expr.type}")
    if ((letter and letter in "feg") or "." in spec) and not expr.type.is_float:
        ctx.fail(node, f"the format {spec} needs a float, not {expr.type}")
    return [Formatted(expr, spec)]


@handles(STATEMENTS, ast.Assert)
def _assert(ctx: Context, node: ast.Assert) -> bool:
    condition = condition_of(ctx, node.test)
    with ctx.capture() as emitted:
        text = text_of(ctx, node.msg) if node.msg is not None else []
    if emitted:
        ctx.fail(node.msg or node, "the message of an assert must do nothing besides")
    if not isinstance(condition, Unknown):
        ctx.emit(Assert(ctx.span(node), condition, _joined(text)))
    return True
