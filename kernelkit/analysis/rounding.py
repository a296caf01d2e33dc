"""Wide floats of which a kernel reads no more than they are rounded to.

In: a kernel. Out: one that does the same, in which they have the narrower type: parameters, which a
launch then rounds once, other variables, and expressions made of these and constants.
Holds: a value is rounded as the kernel's own casts round it, once, from what the caller passed;
whatever is read in two types, or computed with before it is rounded, stays wide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from kernelkit.errors import InternalError
from kernelkit.ir import nodes as ir
from kernelkit.ir.rewrite import Rewriter
from kernelkit.ir.scalar import cast, to_constant
from kernelkit.ir.types import COMPLEX64, COMPLEX128, FLOAT32, FLOAT64, DType

#: The type of what is never read.
_UNREAD: Final = {FLOAT64: FLOAT32, COMPLEX128: COMPLEX64}
#: What rounding may come before as well as after.
_SIGNS: Final = ("neg", "abs")


def rounded(kernel: ir.Kernel) -> ir.Kernel:
    """The kernel with floats as narrow as it reads them."""
    narrow = _Uses(kernel).narrow()
    rewriter = _Rounding({v: ir.Var(v.name, dtype) for v, dtype in narrow.items()})
    body = rewriter.body(kernel.body)
    if not narrow and all(a is b for a, b in zip(body, kernel.body, strict=True)):
        return kernel
    params = tuple(map(rewriter.symbol, kernel.params))
    return replace(kernel, params=params, body=body)


def _rounds_to(expr: ir.Expr) -> DType | None:
    """The narrower type in which a cast reads a wide float. A real number is rounded as one also
    where it becomes complex."""
    if not isinstance(expr, ir.Cast) or expr.operand.type not in _UNREAD:
        return None
    if expr.type.kind not in "fc" or expr.type.component.bits >= FLOAT64.bits:
        return None
    return expr.type if expr.operand.type.is_complex else expr.type.component


def _sources(expr: ir.Expr) -> Sequence[ir.Var] | None:
    """The variables that a value is one of, but for signs and constants; None if it is computed."""
    found: list[ir.Var] = []
    for each in _parts(expr):
        if isinstance(each, ir.Read):
            found.append(each.var)
        elif not _is_choice(each):
            return None
    return found


def _is_choice(expr: ir.Expr) -> bool:
    if isinstance(expr, ir.Unary):
        return expr.op in _SIGNS and expr.type == expr.operand.type
    return isinstance(expr, ir.Constant | ir.Select)


def _parts(expr: ir.Expr) -> Iterator[ir.Expr]:
    """A value, and what it may be a choice of or have the sign changed of."""
    stack, seen = [expr], {expr}
    while stack:
        each = stack.pop()
        yield each
        inner: tuple[ir.Expr, ...] = ()
        if isinstance(each, ir.Select):
            inner = (each.then, each.orelse)
        elif _is_choice(each):
            inner = ir.children(each)
        stack += (new for new in inner if new not in seen)
        seen.update(inner)


class _Uses:
    """In which types the wide variables of a kernel are read, and which have values in common."""

    def __init__(self, kernel: ir.Kernel) -> None:
        self._types: dict[ir.Var, set[DType]] = {}
        self._equals: list[tuple[ir.Var, ir.Var]] = []
        self._seen: set[ir.Expr] = set()
        for symbol in kernel.params:
            if isinstance(symbol, ir.Var):
                self._note(symbol)
        for stmt in ir.walk(kernel.body):
            self._stmt(stmt)

    def narrow(self) -> dict[ir.Var, DType]:
        """The variables that may be narrower, with the type that they then have."""
        changed = True
        while changed:
            changed = False
            for a, b in self._equals:
                if self._types[a] != self._types[b]:
                    self._types[a] = self._types[b] = self._types[a] | self._types[b]
                    changed = True
        return {
            var: next(iter(types), _UNREAD[var.type])
            for var, types in self._types.items()
            if len(types) <= 1 and var.type not in types
        }

    def _note(self, var: ir.Var, *types: DType) -> None:
        if var.type in _UNREAD:
            self._types.setdefault(var, set()).update(types)

    def _stmt(self, stmt: ir.Stmt) -> None:
        if isinstance(stmt, ir.Assign) and stmt.target.type in _UNREAD:
            sources = _sources(stmt.value)
            if sources is not None:
                self._note(stmt.target)
                for var in sources:
                    self._note(var)
                    self._equals.append((stmt.target, var))
                self._conditions(stmt.value)
                return
        for var in ir.targets(stmt):
            self._note(var, var.type)
        for expr in ir.expressions(stmt):
            self._expr(expr)

    def _expr(self, expr: ir.Expr) -> None:
        if expr in self._seen:
            return
        self._seen.add(expr)
        dtype = _rounds_to(expr)
        if isinstance(expr, ir.Cast) and dtype is not None:
            sources = _sources(expr.operand)
            if sources is not None:
                for var in sources:
                    self._note(var, dtype)
                    self._equals.append((sources[0], var))
                self._conditions(expr.operand)
                return
        if isinstance(expr, ir.Read):
            self._note(expr.var, expr.type)
        for child in ir.children(expr):
            self._expr(child)

    def _conditions(self, value: ir.Expr) -> None:
        for each in _parts(value):
            if isinstance(each, ir.Select):
                self._expr(each.condition)


class _Rounding(Rewriter):
    """Gives variables their narrower types, and rounds constants that are read with them."""

    def __init__(self, narrow: Mapping[ir.Var, ir.Var]) -> None:
        super().__init__()
        self._narrow = narrow
        self._rounded: dict[tuple[ir.Expr, DType], ir.Expr] = {}

    def symbol(self, symbol: ir.Symbol) -> ir.Symbol:
        return self._narrow.get(symbol, symbol) if isinstance(symbol, ir.Var) else symbol

    def stmt(self, stmt: ir.Stmt) -> ir.Stmt | None:
        if isinstance(stmt, ir.Assign) and stmt.target in self._narrow:
            target = self._narrow[stmt.target]
            return replace(stmt, target=target, value=self._in(target.type, stmt.value))
        return super().stmt(stmt)

    def replaced(self, expr: ir.Expr) -> ir.Expr | None:
        dtype = _rounds_to(expr)
        if not isinstance(expr, ir.Cast) or dtype is None:
            return None
        sources = _sources(expr.operand)
        if sources is None or not all(var in self._narrow for var in sources):
            return None
        found = self._in(dtype, expr.operand)
        return found if expr.type == dtype else replace(expr, operand=found)

    def _in(self, dtype: DType, expr: ir.Expr) -> ir.Expr:
        """A choice among narrow variables and constants, rounded."""
        found = self._rounded.get((expr, dtype))
        if found is None:
            found = self._rounded[expr, dtype] = self._made(dtype, expr)
        return found

    def _made(self, dtype: DType, expr: ir.Expr) -> ir.Expr:
        match expr:
            case ir.Read():
                return replace(expr, type=dtype, var=self._narrow[expr.var])
            case ir.Constant():
                value = to_constant(cast(expr.type, dtype, expr.value))
                return replace(expr, type=dtype, value=value)
            case ir.Unary():
                return replace(expr, type=dtype, operand=self._in(dtype, expr.operand))
            case ir.Select():
                return replace(
                    expr, type=dtype, condition=self.expr(expr.condition),
                    then=self._in(dtype, expr.then), orelse=self._in(dtype, expr.orelse),
                )  # fmt: skip
            case _:
                raise InternalError(f"{expr} is computed before it is rounded")
