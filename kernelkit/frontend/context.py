"""The state of one pass over a kernel: what is emitted, what names stand for, what was found wrong.

In: handlers call it while they walk the tree. Out: statements, diagnostics, joined types.
Holds: a pass that changes a joined type is thrown away and done again (types only ever widen, so
this ends); diagnostics count only in the last pass.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from typing import Any, Final, NoReturn

from kernelkit.errors import Diagnostic, Span
from kernelkit.frontend.promotion import PromotionError, ScalarType, promote
from kernelkit.frontend.source import SourceFunction
from kernelkit.frontend.values import (
    UNKNOWN,
    ArrayRef,
    Binding,
    Capture,
    Conflict,
    Static,
    TupleBinding,
    Value,
    VarBinding,
)
from kernelkit.ir.nodes import (
    Allocate,
    ArrayVar,
    Assign,
    Break,
    Constant,
    Continue,
    Expr,
    If,
    Options,
    Read,
    Stmt,
    Var,
)
from kernelkit.ir.types import BOOL, DType
from kernelkit.records import record


class Refused(Exception):
    """Raised after a diagnostic was recorded; caught at the enclosing statement."""


@record(frozen=False, eq=False)
class Join:
    """The type of a name over all its assignments, and where it got it."""

    type: ScalarType
    span: Span
    declared: bool = False


@record(frozen=False, eq=False)
class Frame:
    """A loop or scope being parsed. `pending`: exits through it to frames further out, by flag."""

    continuable: bool
    used: bool = False  # something leaves it
    pending: dict[tuple[Frame, bool], Var] = field(default_factory=dict)
    #: What names stand for where a break leaves it, and where a continue goes on with it.
    breaks: list[dict[str, Binding]] = field(default_factory=list)
    continues: list[dict[str, Binding]] = field(default_factory=list)


@record(frozen=False, eq=False)
class Function:
    """The function being parsed: the kernel itself, or an inlined one (its names have a prefix)."""

    source: SourceFunction
    prefix: str
    local_names: frozenset[str]
    assigned_once: frozenset[str]
    env: dict[str, Binding] = field(default_factory=dict)
    loops: list[tuple[Frame, Frame]] = field(default_factory=list)  # (break, continue) targets
    scope: Frame | None = None
    result: Binding | None = None
    direct: Value | None = None  # the result of a function whose one return is its last statement
    result_span: Span | None = None


#: Handlers by node type or by builtin's name; filled by the modules that define them.
EXPRESSIONS: Final[dict[type[ast.AST], Callable[[Context, Any], Value]]] = {}
STATEMENTS: Final[dict[type[ast.AST], Callable[[Context, Any], bool]]] = {}


def handles(
    table: dict[type[ast.AST], Callable[[Context, Any], Any]], *kinds: type[ast.AST]
) -> Callable[[Callable[[Context, Any], Any]], Callable[[Context, Any], Any]]:
    """Registers a handler for node types."""

    def register(handler: Callable[[Context, Any], Any]) -> Callable[[Context, Any], Any]:
        table.update(dict.fromkeys(kinds, handler))
        return handler

    return register


class Context:
    """One pass. `joins` and `rebound` outlive it; all else is new each time."""

    def __init__(
        self, options: Options, joins: dict[str, Join], rebound: dict[tuple[str, int], set[str]]
    ) -> None:
        self.options = options
        self.joins = joins
        #: (prefix, line of a loop) -> names that the loop's body binds to something else.
        self.rebound = rebound
        self.changed = False
        #: Whether a name takes another type than some of what was emitted says.
        self.widened = False
        self.diagnostics: list[Diagnostic] = []
        self.unknown: list[Diagnostic] = []
        self.captures: dict[tuple[int, str], Capture] = {}
        self.out: list[Stmt] = []
        self.prologue: list[Stmt] = []
        self.vars: dict[str, Var] = {}
        self.array_names: set[str] = set()
        self.globals: dict[int, ArrayVar] = {}
        self.frames: list[Frame] = []
        self.functions: list[Function] = []
        #: An expression, and the name that an array which it makes takes.
        self.named: tuple[ast.AST, str] | None = None
        self._temporaries = 0
        self._inlined = 0

    # ------------------------------------------------------------ diagnostics
    @property
    def function(self) -> Function:
        return self.functions[-1]

    def span(self, node: ast.AST | Span) -> Span:
        return node if isinstance(node, Span) else self.function.source.span(node)

    def report(
        self, node: ast.AST | Span, message: str, *notes: tuple[ast.AST | Span, str]
    ) -> None:
        """Records a finding and goes on."""
        where = tuple((self.span(n), text) for n, text in notes)
        calls = tuple(
            (f.result_span, f"inlined from here, into {f.source.name}")
            for f in reversed(self.functions)
            if f.prefix and f.result_span
        )
        self.diagnostics.append(Diagnostic(self.span(node), message, where + calls))

    def fail(
        self, node: ast.AST | Span, message: str, *notes: tuple[ast.AST | Span, str]
    ) -> NoReturn:
        """Records a finding and gives the statement up."""
        self.report(node, message, *notes)
        raise Refused

    # ------------------------------------------------------------ walking
    def expression(self, node: ast.expr) -> Value:
        """The value of an expression; what it does besides is emitted."""
        return EXPRESSIONS.get(type(node), EXPRESSIONS[ast.AST])(self, node)

    def statement(self, node: ast.stmt) -> bool:
        """Emits a statement; whether control goes on behind it."""
        try:
            return STATEMENTS.get(type(node), STATEMENTS[ast.AST])(self, node)
        except Refused:
            for name in (*assigned_names([node]), *defined_names(node)):
                self.function.env.setdefault(name, UNKNOWN)
            return not isinstance(node, ast.Return)

    def block(self, nodes: list[ast.stmt]) -> bool:
        """Emits statements; whether control goes on behind the last. Code that cannot be reached
        is checked by nobody and left out."""
        return all(self.statement(node) for node in nodes)

    @contextmanager
    def capture(self) -> Iterator[list[Stmt]]:
        """Statements emitted inside go to a list of their own."""
        outer, self.out = self.out, []
        try:
            yield self.out
        finally:
            self.out = outer

    # ------------------------------------------------------------ emission
    def emit(self, stmt: Stmt) -> None:
        self.out.append(stmt)

    def temporary(self, dtype: DType) -> Var:
        self._temporaries += 1
        return Var(f".{self._temporaries}", dtype)

    def spill(self, expr: Expr, at: int | None = None) -> Read:
        """A temporary that holds an expression's value, assigned now or at a place further up."""
        var = self.temporary(expr.type)
        self.out.insert(len(self.out) if at is None else at, Assign(expr.span, var, expr))
        return Read(expr.span, var.type, var)

    def instance(self, name: str) -> str:
        """The prefix of a newly inlined function's names."""
        self._inlined += 1
        return f"{self.function.prefix}{name}.{self._inlined}."

    def array_name(self, default: str, where: ast.AST | Span) -> str:
        """A name for the array that an expression makes: that of the name it is assigned to, else
        the default; with a number, which no name of the user's has, where it is taken."""
        own = self.named is not None and self.named[0] is where
        base = self.function.prefix + (self.named[1] if own and self.named else default)
        clash = not own and default in self.function.local_names
        # A number may have the name too, before it or after.
        clash = clash or base in self.joins
        name, count = f"{base}.1" if clash else base, 1
        while name in self.array_names or name in self.joins:
            count += 1
            name = f"{base}.{count}"
        self.array_names.add(name)
        return name

    def allocate(
        self, span: Span, array: ArrayVar, data: Any = None, *, first: bool = False
    ) -> None:
        (self.prologue if first else self.out).append(Allocate(span, array, data))

    # ------------------------------------------------------------ names and their types
    def join(self, key: str, new: ScalarType, span: Span, *, declared: bool = False) -> None:
        """The name also takes values of type `new`."""
        old = self.joins.get(key)
        if old is None:
            self.joins[key] = Join(new, span, declared)
            self.changed = True
            return
        if old.declared:
            if declared and old.type != new:
                self.fail(
                    span, f"{key} is declared {new} here and {old.type} before; declare it once",
                    (old.span, "declared here"),
                )  # fmt: skip
            return
        try:
            joined = new if declared else promote(old.type, new)
        except PromotionError as error:
            self.fail(
                span, f"{key} is {new} here but {old.type} elsewhere, and a name has one type: {error}",
                (old.span, f"{old.type} here"),
            )  # fmt: skip
        if joined != old.type or declared:
            self.joins[key] = Join(joined, span, declared)
            self.changed = self.widened = True

    def var(self, key: str) -> Var:
        """The variable of a name whose type is known."""
        dtype = self.joins[key].type.dtype
        var = self.vars.get(key)
        if var is None or var.type != dtype:
            # A name can be an array here and a number there; the IR has one symbol for each.
            name = f"{key}.number" if key in self.array_names else key
            var = self.vars[key] = Var(name, dtype)
        return var

    # ------------------------------------------------------------ leaving frames
    def leave(self, target: Frame, span: Span, *, again: bool = False) -> None:
        """Break out of a frame (or, `again`, go on with its next iteration) from any depth: inner
        frames are left by a flag that is tested behind each."""
        innermost = self.frames[-1]
        innermost.used = True
        if innermost is target:
            self.emit(Continue(span) if again else Break(span))
            return
        flag = innermost.pending.get((target, again))
        if flag is None:
            flag = innermost.pending[target, again] = self.temporary(BOOL)
        self.emit(Assign(span, flag, Constant(span, BOOL, True)))
        self.emit(Break(span))

    @contextmanager
    def framed(self, frame: Frame) -> Iterator[list[Stmt]]:
        """The body of a frame; the caller emits the statement with `close` afterwards."""
        self.frames.append(frame)
        try:
            with self.capture() as body:
                yield body
        finally:
            self.frames.pop()

    def close(self, frame: Frame, stmt: Stmt) -> None:
        """Emits the statement of a frame, with the flags of exits that pass through it."""
        span = stmt.span
        for flag in frame.pending.values():
            self.emit(Assign(span, flag, Constant(span, BOOL, False)))
        self.emit(stmt)
        for (target, again), flag in frame.pending.items():
            with self.capture() as then:
                self.leave(target, span, again=again)
            self.emit(If(span, Read(span, BOOL, flag), tuple(then), ()))


# ---------------------------------------------------------------- names in trees and environments
def assigned_names(nodes: list[ast.stmt]) -> list[str]:
    """The names that statements assign, once for each time they do."""
    found = []
    for root in nodes:
        for node in ast.walk(root):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.append(node.id)
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                found.append(node.target.id)  # twice: it reads what it assigns
    return found


def defined_names(node: ast.stmt) -> list[str]:
    """The names that a class, a function or an import would define."""
    match node:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            return [node.name]
        case ast.Import() | ast.ImportFrom():
            return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
        case _:
            return []


def merge(envs: list[dict[str, Binding]], span: Span) -> dict[str, Binding]:
    """What names stand for where several ways meet."""
    if len(envs) == 1:
        return dict(envs[0])
    names = dict.fromkeys(name for env in envs for name in env)
    return {name: _merge([env.get(name) for env in envs], name, span) for name in names}


def _merge(bindings: list[Binding | None], name: str, span: Span) -> Binding:
    present = [b for b in bindings if b is not None]
    if len(present) == len(bindings) and all(b is present[0] for b in present):
        return present[0]
    for binding in present:
        if isinstance(binding, Conflict) or binding is UNKNOWN:
            return binding
    if all(isinstance(b, VarBinding) for b in present):
        return _without_constants(present[0])
    if len(present) < len(bindings):
        what = "assigned on only some of the ways that lead here; assign it before, on all of them"
        return Conflict(f"{name} is {_kind(present[0])} and {what}", span)
    if all(same_binding(present[0], b) for b in present[1:]):
        return _without_constants(present[0])
    return Conflict(
        f"{name} stands for different things on the ways that lead here "
        f"({' or '.join(dict.fromkeys(map(_kind, present)))}); "
        "use one name for each, or choose by an index: row = a[k]",
        span,
    )


def _without_constants(binding: Binding) -> Binding:
    match binding:
        case TupleBinding():
            return TupleBinding(tuple(map(_without_constants, binding.items)), binding.cls)
        case VarBinding():
            return VarBinding(binding.key)
        case _:
            return binding


def same_binding(a: Binding, b: Binding) -> bool:
    """Whether two bindings stand for the same thing (a variable is itself, whatever its value)."""
    match a, b:
        case VarBinding(), VarBinding():
            return a.key == b.key
        case TupleBinding(), TupleBinding():
            return (
                a.cls is b.cls
                and len(a.items) == len(b.items)
                and all(map(same_binding, a.items, b.items))
            )
        case ArrayRef(), ArrayRef():
            return a.array is b.array
        case Static(), Static():
            return a.value is b.value
        case _:
            return a is b


def _kind(binding: Binding) -> str:
    match binding:
        case VarBinding():
            return "a number"
        case TupleBinding():
            return f"a tuple of {len(binding.items)}"
        case ArrayRef():
            return "an array"
        case Static():
            return f"the compile-time value {binding.value!r}"
        case _:
            return "unknown"


@contextmanager
def perhaps(ctx: Context, where: ast.AST) -> Iterator[None]:
    """What is bound inside may be bound or not afterwards: a lazy operand."""
    before = dict(ctx.function.env)
    yield
    if ctx.function.env != before:
        ctx.function.env = merge([before, ctx.function.env], ctx.span(where))


def attempt(evaluate: Callable[[], Any]) -> Any:
    """The value of a condition; Unknown where it was refused, so that its bodies are still read."""
    try:
        return evaluate()
    except Refused:
        return UNKNOWN
