"""A kernel in fewer words: what numba.cuda would do otherwise than the language, or not as well.

In: a kernel. Out: one that does the same, without extents that are known, whose names are all
assigned before they are read, and whose indices wrap as numba.cuda's do.
Holds: a `For` becomes a `While` whose counter moves on at the head of its turn, so that `continue`
needs no care; the counter never passes the end of int64. A `For` whose step is positive but not
constant, as in grid-stride loops, stays one: LLVM unrolls what Numba makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

from kernelkit.analysis.shape import Block
from kernelkit.analysis.widths import Widths
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, INT64, UINT64, DType


def lowered(kernel: ir.Kernel, block: Block | None = None) -> ir.Kernel:
    """The kernel as the printer gets it, for a block if that is known."""
    body = _Lowering(kernel, block).body(kernel.body)
    return replace(kernel, body=(*_zeros(kernel, body), *body))


class _Lowering:
    def __init__(self, kernel: ir.Kernel, block: Block | None) -> None:
        self._widths = None if block is None else Widths(kernel, block)
        self._wraps = kernel.options.wraparound
        self._numbers = count(1)

    # ------------------------------------------------------------ statements
    def body(self, body: ir.Body) -> ir.Body:
        return tuple(new for stmt in body for new in self._stmt(stmt))

    def _stmt(self, stmt: ir.Stmt) -> Iterator[ir.Stmt]:
        match stmt:
            case ir.Assign():
                yield replace(stmt, value=self._expr(stmt.value))
            case ir.Store():
                yield replace(
                    stmt, indices=self._indices(stmt.indices), value=self._expr(stmt.value)
                )
            case ir.Atomic():
                indices = tuple(map(_whole, self._exprs(stmt.indices)))
                yield replace(stmt, indices=indices, operands=self._exprs(stmt.operands))
            case ir.View():
                yield replace(stmt, indices=self._indices(stmt.indices))
            case ir.Warp():
                mask = None if stmt.mask is None else self._expr(stmt.mask)
                yield replace(stmt, mask=mask, operands=self._exprs(stmt.operands))
            case ir.Barrier() if stmt.predicate is not None:
                yield replace(stmt, predicate=self._expr(stmt.predicate))
            case ir.If():
                then, orelse = self.body(stmt.then), self.body(stmt.orelse)
                yield replace(stmt, condition=self._expr(stmt.condition), then=then, orelse=orelse)
            case ir.For():
                yield from self._for(stmt)
            case ir.While():
                prelude, body = self.body(stmt.prelude), self.body(stmt.body)
                condition = self._expr(stmt.condition)
                yield replace(stmt, prelude=prelude, condition=condition, body=body)
            case ir.Scope():
                yield replace(stmt, body=self.body(stmt.body))
            case ir.Assert():
                return  # in debug kernels `reports.py` has made something of it
            case _:
                yield stmt

    def _strides(self, stmt: ir.For) -> bool:
        """Whether a range has a step that is no constant and that Numba's `range` counts with."""
        if self._widths is None or isinstance(stmt.step, ir.Constant):
            return False
        return self._widths.range(stmt.step)[0] > 0 and self._widths.range(stmt.start)[0] >= 0

    def _for(self, stmt: ir.For) -> Iterator[ir.Stmt]:
        if self._strides(stmt):
            # Numba takes the start from the stop, which must not fall below int64.
            end = ir.Binary(stmt.span, INT64, "max", self._expr(stmt.stop), _constant(stmt.span, 0))
            start, by = self._expr(stmt.start), self._expr(stmt.step)
            yield replace(stmt, start=start, stop=end, step=by, body=self.body(stmt.body))
            return
        span, names = stmt.span, next(self._numbers)

        def named(what: str, value: ir.Expr) -> Iterator[ir.Stmt]:
            """The value under a name, unless it is a constant."""
            if isinstance(value, ir.Constant):
                bounds[what] = value
                return
            var = ir.Var(f".{what}{names}", INT64)
            bounds[what] = ir.Read(span, INT64, var)
            yield ir.Assign(span, var, self._expr(value))

        bounds: dict[str, ir.Expr] = {}
        counter = ir.Var(f".next{names}", INT64)
        now = ir.Read(span, INT64, counter)
        yield ir.Assign(span, counter, self._expr(stmt.start))
        yield from named("stop", stmt.stop)
        yield from named("step", stmt.step)
        stop, step = bounds["stop"], bounds["step"]
        if isinstance(step, ir.Constant) and step.value == 0:
            return
        advance = ir.Assign(span, counter, _advanced(now, step, stop, _is_safe(stmt)))
        body = (ir.Assign(span, stmt.target, now), advance, *self.body(stmt.body))
        yield ir.While(span, (), _goes_on(now, step, stop), body)

    # ------------------------------------------------------------ expressions
    def _exprs(self, exprs: tuple[ir.Expr, ...]) -> tuple[ir.Expr, ...]:
        return tuple(map(self._expr, exprs))

    def _indices(self, indices: tuple[ir.Expr, ...]) -> tuple[ir.Expr, ...]:
        """numba.cuda wraps negative indices of signed types; there is no other way to say no."""
        found = self._exprs(indices)
        return found if self._wraps else tuple(_cast(index, UINT64) for index in found)

    def _expr(self, expr: ir.Expr) -> ir.Expr:
        match expr:
            case ir.Unary() | ir.Cast():
                return replace(expr, operand=self._expr(expr.operand))
            case ir.Binary() | ir.Compare() | ir.Logical():
                return replace(expr, left=self._expr(expr.left), right=self._expr(expr.right))
            case ir.Select():
                condition, then = self._expr(expr.condition), self._expr(expr.then)
                return replace(expr, condition=condition, then=then, orelse=self._expr(expr.orelse))
            case ir.Intrinsic():
                return replace(expr, args=self._exprs(expr.args))
            case ir.Load():
                return replace(expr, indices=self._indices(expr.indices))
            case ir.Extent() if expr.array.shape and not expr.array.is_dynamic:
                return ir.Constant(expr.span, INT64, expr.array.shape[expr.axis])
            case _:
                return expr


# ---------------------------------------------------------------- pieces
def _cast(expr: ir.Expr, dtype: DType) -> ir.Expr:
    return expr if expr.type == dtype else ir.Cast(expr.span, dtype, expr)


def _whole(index: ir.Expr) -> ir.Expr:
    """As an int64: cuda.atomic takes indices of no other type."""
    return _cast(index, INT64)


def _compare(op: str, left: ir.Expr, right: ir.Expr) -> ir.Expr:
    return ir.Compare(left.span, BOOL, op, left, right)


def _constant(span: Span, value: int) -> ir.Expr:
    return ir.Constant(span, INT64, value)


def _goes_on(now: ir.Expr, step: ir.Expr, stop: ir.Expr) -> ir.Expr:
    """Whether a range has another number."""
    zero, up, down = _constant(now.span, 0), _compare("lt", now, stop), _compare("gt", now, stop)
    if isinstance(step, ir.Constant):
        return up if step.value > 0 else down  # type: ignore[operator]
    falls = ir.Logical(now.span, BOOL, "and", _compare("lt", step, zero), down)
    return ir.Select(now.span, BOOL, _compare("gt", step, zero), up, falls)


def _advanced(now: ir.Expr, step: ir.Expr, stop: ir.Expr, safe: bool) -> ir.Expr:
    """The next number, or the end where that is beyond int64."""
    span = now.span
    after = ir.Binary(span, INT64, "add", now, step)
    if safe:
        return after
    fell, falls = _compare("lt", after, now), _compare("lt", step, _constant(span, 0))
    return ir.Select(span, INT64, _compare("eq", fell, falls), after, stop)


def _is_safe(stmt: ir.For) -> bool:
    """Whether the counter cannot pass the end of int64: a step of one stops before it."""
    step, stop = stmt.step, stmt.stop
    if not isinstance(step, ir.Constant):
        return False
    if step.value in (1, -1):
        return True
    if not isinstance(stop, ir.Constant):
        return False
    reached = int(stop.value.real) + int(step.value.real)
    return INT64.minimum <= reached <= INT64.maximum


# ---------------------------------------------------------------- names
def unsure(params: Sequence[ir.Symbol], body: ir.Body) -> tuple[ir.Var, ...]:
    """Names that may be read before they are assigned: all but those whose first assignment every
    thread passes before it does anything else with them."""
    sure: set[ir.Var] = {p for p in params if isinstance(p, ir.Var)}
    found: dict[ir.Var, None] = {}
    for stmt in body:
        for inner in ir.walk((stmt,)):
            direct = inner is stmt and not isinstance(inner, ir.For)
            for expr in ir.expressions(inner):
                for each in ir.walk_expr(expr):
                    if isinstance(each, ir.Read) and each.var not in sure:
                        found[each.var] = None
            for var in ir.targets(inner):
                if var in sure:
                    continue
                if direct and var not in found:
                    sure.add(var)
                else:
                    found[var] = None
    return tuple(found)


def _zeros(kernel: ir.Kernel, body: ir.Body) -> Iterator[ir.Stmt]:
    for var in unsure(kernel.params, body):
        yield ir.Assign(kernel.span, var, ir.Constant(kernel.span, var.type, _zero(var.type)))


def _zero(dtype: DType) -> bool | int | float | complex:
    return {"b": False, "f": 0.0, "c": 0j}.get(dtype.kind, 0)
