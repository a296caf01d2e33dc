"""The functions of mathlib, written out where they are called.

In: a function of mathlib and operands of its types. Out: the value; what leads to it is emitted.
Holds: every node has the span of the call; every temporary is assigned once, but for those that a
rare case replaces; of constants nothing is emitted and the value is a Constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from types import FunctionType
from typing import Any, assert_never

from kernelkit.errors import InternalError, Span
from kernelkit.frontend.context import Context, Join
from kernelkit.frontend.folding import folded, folded_cast
from kernelkit.frontend.promotion import ScalarType
from kernelkit.frontend.scope import function_state
from kernelkit.frontend.source import read_source
from kernelkit.frontend.values import Scalar, VarBinding
from kernelkit.ir.nodes import (
    Allocate,
    ArrayVar,
    Assign,
    Binary,
    Body,
    Cast,
    Compare,
    Constant,
    Expr,
    Extent,
    If,
    Intrinsic,
    Load,
    Logical,
    Options,
    Read,
    Select,
    SpecialRegister,
    Unary,
    Var,
    targets,
    walk,
)
from kernelkit.ir.types import DType
from kernelkit.records import record


@record(eq=False)
class Template:
    """A function of mathlib as typed IR: `result` over `params`, once `body` has run."""

    params: tuple[Var, ...]
    tables: tuple[Allocate, ...]
    body: Body
    result: Expr


@cache
def template(function: FunctionType, dtype: DType) -> Template:
    """The typed body of a function whose operands are of one type; parsed once."""
    joins: dict[str, Join] = {}
    while True:
        ctx = Context(Options(), joins, {})
        found = _pass(ctx, function, dtype)
        if ctx.diagnostics:
            raise InternalError("\n".join(map(str, ctx.diagnostics)))
        # A name is assigned before it is read, so that a type which is new changes nothing.
        if not ctx.widened:
            return found


def _pass(ctx: Context, function: FunctionType, dtype: DType) -> Template:
    source = read_source(function)
    state = function_state(source, f"{source.name}.")
    ctx.functions.append(state)
    params = []
    for name in source.signature.parameters:
        key = state.prefix + name
        ctx.join(key, ScalarType(dtype), source.def_span)
        params.append(ctx.var(key))
        state.env[name] = VarBinding(key)
    ctx.block(source.tree.body)
    if not isinstance(state.direct, Scalar):
        raise InternalError(f"{source.name} does not end with its one return")
    tables = tuple(stmt for stmt in ctx.prologue if isinstance(stmt, Allocate))
    return Template(tuple(params), tables, tuple(ctx.out), state.direct.expr)


def expand(ctx: Context, function: FunctionType, args: Sequence[Expr], span: Span) -> Expr:
    """function(*args), the operands being all of one type."""
    constants = [arg for arg in args if isinstance(arg, Constant)]
    if len(constants) == len(args):
        values = (arg.value.real for arg in constants)
        return Constant(span, args[0].type, evaluate(function, args[0].type, *values))
    return _written_out(ctx, function, args, span)


def evaluate(function: FunctionType, dtype: DType, *values: float) -> float:
    """The value of a function for constants: that of every back end, to the last bit."""
    # As text, which tells 0.0 from -0.0.
    return _evaluate(function, dtype, tuple(float(value).hex() for value in values))


@lru_cache(maxsize=4096)
def _evaluate(function: FunctionType, dtype: DType, values: tuple[str, ...]) -> float:
    span = read_source(function).def_span
    args = [Constant(span, dtype, float.fromhex(value)) for value in values]
    result = _written_out(Context(Options(), {}, {}), function, args, span)
    if not isinstance(result, Constant):
        raise InternalError(f"{function.__name__} of constants is no constant")
    return float(result.value.real)


def _written_out(ctx: Context, function: FunctionType, args: Sequence[Expr], span: Span) -> Expr:
    found = template(function, args[0].type)
    expansion = _Expansion(ctx, span, found)
    for param, arg in zip(found.params, args, strict=True):
        expansion.assign(param, arg)
    expansion.body(found.body)
    return expansion.expr(found.result)


class _Expansion:
    """One call. `_values` tells what each variable of the template is now: a constant, or a read of
    something that will not change."""

    def __init__(self, ctx: Context, span: Span, found: Template) -> None:
        self._ctx, self._span = ctx, span
        self._values: dict[Var, Expr] = {}
        self._tables = {stmt.array: stmt for stmt in found.tables}

    def _table(self, stmt: Allocate) -> ArrayVar:
        """A constant array, which all calls in a kernel share."""
        array = self._ctx.globals.get(id(stmt.data))
        if array is None:
            name = self._ctx.array_name(stmt.array.name.rpartition(".")[2], self._span)
            array = ArrayVar(name, stmt.array.type, stmt.array.shape)
            self._ctx.allocate(self._span, array, stmt.data, first=True)
            self._ctx.globals[id(stmt.data)] = array
        return array

    # ------------------------------------------------------------ statements
    def body(self, body: Body) -> None:
        for stmt in body:
            match stmt:
                case Assign():
                    self.assign(stmt.target, self.expr(stmt.value))
                case If():
                    self._if(stmt)
                case _:
                    raise InternalError(f"mathlib does not use {type(stmt).__name__}")

    def assign(self, target: Var, value: Expr) -> None:
        plain = isinstance(value, (Constant, Read))
        self._values[target] = value if plain else self._ctx.spill(value)

    def _if(self, stmt: If) -> None:
        """Variables that a branch assigns live on in temporaries that it overwrites."""
        condition = self.expr(stmt.condition)
        if isinstance(condition, Constant):
            self.body(stmt.then if condition.value else stmt.orelse)
            return
        assigned = {var: None for s in walk((stmt,)) for var in targets(s)}
        before = dict(self._values)
        kept = {v: self._ctx.spill(self._copy(before[v])) for v in assigned if v in before}
        branches = []
        for branch in (stmt.then, stmt.orelse):
            self._values = {**before, **kept}
            with self._ctx.capture() as out:
                self.body(branch)
                for var, read in kept.items():
                    if self._values[var] is not read:
                        value = self._copy(self._values[var])
                        self._ctx.emit(Assign(self._span, read.var, value))
            branches.append(tuple(out))
        self._values = {**before, **kept}
        self._ctx.emit(If(self._span, condition, branches[0], branches[1]))

    # ------------------------------------------------------------ expressions
    def _copy(self, value: Expr) -> Expr:
        """A constant or a read, once more: a node stands in one place."""
        if isinstance(value, Constant):
            return Constant(self._span, value.type, value.value)
        assert isinstance(value, Read)
        return Read(self._span, value.type, value.var)

    def expr(self, expr: Expr) -> Expr:
        span = self._span
        match expr:
            case Constant():
                return self._copy(expr)
            case Read():
                return self._copy(self._values[expr.var])
            case Unary():
                (a,) = self._all(expr.operand)
                return self._fold(expr, expr.op, a) or Unary(span, expr.type, expr.op, a)
            case Binary() | Compare():
                a, b = self._all(expr.left, expr.right)
                made = type(expr)
                return self._fold(expr, expr.op, a, b) or made(span, expr.type, expr.op, a, b)
            case Cast():
                (a,) = self._all(expr.operand)
                constant = isinstance(a, Constant)
                return folded_cast(a, expr.type, span) if constant else Cast(span, expr.type, a)
            case Intrinsic():
                return self._intrinsic(expr)
            case Load():
                return self._load(expr)
            case Logical() | Select() | SpecialRegister() | Extent():
                raise InternalError(f"mathlib does not use {type(expr).__name__}")
            case _:
                assert_never(expr)

    def _all(self, *exprs: Expr) -> tuple[Any, ...]:
        return tuple(map(self.expr, exprs))

    def _fold(self, expr: Expr, op: str, *operands: Expr) -> Constant | None:
        return folded(op, expr.type, operands, self._span)

    def _intrinsic(self, expr: Intrinsic) -> Expr:
        args = self._all(*expr.args)
        if expr.function == "selp" and isinstance(args[0], Constant):
            return args[1 if args[0].value else 2]
        return self._fold(expr, expr.function, *args) or Intrinsic(
            self._span, expr.type, expr.function, args
        )

    def _load(self, expr: Load) -> Expr:
        table = self._tables[expr.array]
        indices = self._all(*expr.indices)
        if all(isinstance(index, Constant) for index in indices) and table.data is not None:
            value = table.data[tuple(index.value for index in indices)]
            return Constant(self._span, expr.type, value.item())
        return Load(self._span, expr.type, self._table(table), indices)
