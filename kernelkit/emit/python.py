"""The Python printer: a typed kernel as the text of one Python function, by a target's table.

In: a kernel and a `PythonDialect`. Out: `PythonSource`: lines of text, each with the span of the
user's source that it stands for, and a table of sites (accesses, barriers, ...) that the text names
by number.
Holds: one statement is one line; nothing of a statement is on another's line; operands of `and`,
`or` and conditional expressions stay lazy; scalar work is what the dialect's templates say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, assert_never

from kernelkit.emit.python_dialect import PythonDialect
from kernelkit.emit.python_lines import header, in_source_order, is_short, shape
from kernelkit.emit.python_names import RESERVED, Names, described, symbols
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import DType
from kernelkit.records import record

#: At multiples of this height a variable cuts an expression: Python's parser takes no more than 200
#: parentheses inside one another.
TALLEST: Final = 30
#: Steps that a turn of a loop costs in which threads wait for one another: it takes longer.
WAITING_TURN: Final = 32


@record
class Site:
    """A place that the text names by number. `name` is the operation's, or what messages call the
    array."""

    kind: str
    span: Span
    name: str = ""


@record
class Line:
    """One line of text and the user's source that it stands for."""

    text: str
    span: Span


@record
class PythonSource:
    """A printed kernel. `function` is its name in the text; `reads` says where each identifier is
    read; `described` what messages call it; `arrays` are the allocations, by number."""

    function: str
    lines: tuple[Line, ...]
    sites: tuple[Site, ...]
    arrays: tuple[ir.Allocate, ...]
    reads: Mapping[str, tuple[Span, ...]]
    described: Mapping[str, str]
    suspends: bool

    @property
    def text(self) -> str:
        return "".join(f"{line.text}\n" for line in self.lines)


def print_kernel(kernel: ir.Kernel, dialect: PythonDialect) -> PythonSource:
    """The kernel in the words of a dialect."""
    return _Printer(kernel, dialect).source()


def _waits(body: ir.Body) -> bool:
    """Whether threads wait for one another here."""
    return any(isinstance(stmt, (ir.Barrier, ir.Warp)) for stmt in ir.walk(body))


class _Printer:
    def __init__(self, kernel: ir.Kernel, dialect: PythonDialect) -> None:
        self._kernel, self._dialect = kernel, dialect
        self._names = Names((symbol.name for symbol in symbols(kernel)), dialect.taken)
        self._parameters = {p: self._names.new(p) if not p.startswith(RESERVED) else p
                            for p in dialect.parameters}  # fmt: skip
        self._sites: dict[Site, int] = {}
        self._arrays: list[ir.Allocate] = []
        self._reads: dict[str, dict[Span, None]] = {}
        self._constants: dict[str, str] = {}
        self._updates: dict[tuple[str, DType], str] = {}
        self._data: dict[str, str] = {}
        self._heights: dict[ir.Expr, int] = {}
        self._lines: list[Line] = []
        self._indent = 0
        self._lazy = 0
        self._span = kernel.span

    def source(self) -> PythonSource:
        names = [self._names[p.name] for p in self._kernel.params]
        name = self._kernel.name
        function = f"_{name}" if name.startswith(RESERVED) or name in self._dialect.taken else name
        self._line(f"def {function}({', '.join([*names, *self._parameters.values()])}):")
        with self._indented():
            self._statements(in_source_order(self._kernel))
        constants = {name: text for text, name in self._constants.items()}
        defined = {**constants, **self._data, **self._definitions()}
        lead = [Line(f"{name} = {text}", self._kernel.span) for name, text in defined.items()]
        return PythonSource(
            function,
            (*lead, *self._lines),
            tuple(self._sites),
            tuple(self._arrays),
            {name: tuple(spans) for name, spans in self._reads.items()},
            self._names.descriptions(),
            self._dialect.suspends and _waits(self._kernel.body),
        )

    def _definitions(self) -> dict[str, str]:
        update = self._dialect.update
        if update is None:
            return {}
        return {name: update(op, dtype) for (op, dtype), name in self._updates.items()}

    # ------------------------------------------------------------ lines
    def _line(self, text: str, span: Span | None = None) -> None:
        self._lines.append(Line("    " * self._indent + text, span or self._span))

    @contextmanager
    def _indented(self) -> Iterator[None]:
        before = len(self._lines)
        self._indent += 1
        yield
        if len(self._lines) == before:
            self._line("pass")
        self._indent -= 1

    def _body(self, body: ir.Body) -> None:
        with self._indented():
            self._statements(body)

    def _statements(self, body: ir.Body) -> None:
        for stmt in body:
            self._span = stmt.span
            self._stmt(stmt)

    def _site(self, kind: str, span: Span, name: str = "") -> int:
        return self._sites.setdefault(Site(kind, span, name), len(self._sites))

    # ------------------------------------------------------------ statements
    def _stmt(self, stmt: ir.Stmt) -> None:
        dialect = self._dialect
        match stmt:
            case ir.Assign():
                self._line(f"{self._names[stmt.target.name]} = {self._expr(stmt.value)}")
            case ir.Store():
                fields = self._access("store", stmt, stmt.array, stmt.indices)
                value = dialect.stored(stmt.array.type.dtype, self._expr(stmt.value))
                self._line(dialect.store.format(**fields, value=value))
            case ir.Atomic():
                self._atomic(stmt)
            case ir.View():
                fields = self._access("view", stmt, stmt.base, stmt.indices)
                self._line(f"{self._names[stmt.target.name]} = {dialect.view.format(**fields)}")
            case ir.Warp():
                self._warp(stmt)
            case ir.Barrier():
                site = self._site("barrier", stmt.span, stmt.op)
                predicate = "" if stmt.predicate is None else self._expr(stmt.predicate)
                results = () if stmt.result is None else (stmt.result,)
                fields = {"site": site, "request": f"{site}, {predicate}".rstrip(" "),
                          "args": predicate}  # fmt: skip
                self._request(dialect.barrier[stmt.op].format(**fields), results)
            case ir.Fence():
                self._line(dialect.fence[stmt.scope])
            case ir.Allocate():
                self._allocate(stmt)
            case ir.If():
                self._if(stmt, "if")
            case ir.For():
                self._for(stmt)
            case ir.While():
                self._while(stmt)
            case ir.Scope():
                self._scope(stmt)
            case ir.Break():
                self._line("break")
            case ir.Continue():
                self._line("continue")
            case ir.Return():
                self._line("return")
            case ir.Print():
                self._line(dialect.print.format(parts=self._text(stmt.text)))
            case ir.Assert():
                site, condition = self._site("assert", stmt.span), self._expr(stmt.condition)
                failure = dialect.fail.format(site=site, parts=self._text(stmt.text))
                self._line(f"if not {condition}: {failure}")
            case ir.Breakpoint():
                self._line(dialect.breakpoint)
            case _:
                assert_never(stmt)

    def _scope(self, stmt: ir.Scope) -> None:
        head, last = self._dialect.scope
        self._line(head)
        with self._indented():
            self._statements(stmt.body)
            if last:
                self._line(last)

    def _warp(self, stmt: ir.Warp) -> None:
        site = self._site("warp", stmt.span, stmt.op)
        mask = "None" if stmt.mask is None else self._expr(stmt.mask)
        args = ", ".join([mask, *map(self._expr, stmt.operands)])
        dtype = stmt.operands[0].type if stmt.operands else ""
        fields = {"site": site, "op": stmt.op, "dtype": dtype, "args": args,
                  "request": f"{site}, {args}"}  # fmt: skip
        self._request(self._dialect.warp.format(**fields), stmt.results)

    def _access(
        self, kind: str, node: ir.Load | ir.Store | ir.Atomic | ir.View, array: ir.ArrayVar,
        indices: tuple[ir.Expr, ...],
    ) -> dict[str, object]:  # fmt: skip
        """The fields of the templates of accesses."""
        name = self._read(array.name, node.span)
        site = self._site(kind, node.span, described(array.name))
        texts = [self._expr(index) for index in indices]
        return {
            "array": name,
            "site": site,
            "rank": len(indices),
            "kind": array.type.dtype.kind,
            "dtype": array.type.dtype,
            "wrap": "" if self._kernel.options.wraparound else "n",
            "index": ", ".join(texts) or "()",
            "args": ", ".join([name, str(site), *texts]),
            "place": f"({', '.join([*texts, '']).rstrip()})",
        }

    def _atomic(self, stmt: ir.Atomic) -> None:
        fields = self._access("atomic", stmt, stmt.array, stmt.indices)
        key = (stmt.op, stmt.array.type.dtype)
        update = self._updates.setdefault(key, f"{RESERVED}update_{stmt.op}_{key[1]}")
        operands = ", ".join(map(self._expr, stmt.operands))
        fields = {**fields, "op": stmt.op, "update": update, "operands": operands}
        text = self._dialect.atomic.format(**fields)
        self._line(text if stmt.result is None else f"{self._names[stmt.result.name]} = {text}")

    def _request(self, text: str, results: Sequence[ir.Var]) -> None:
        targets = ", ".join(self._names[var.name] for var in results)
        self._line(f"{targets} = {text}" if targets else text)

    def _allocate(self, stmt: ir.Allocate) -> None:
        number, array = len(self._arrays), stmt.array
        self._arrays.append(stmt)
        fields = {"number": number, "shape": shape(array), "dtype": array.type.dtype}
        if stmt.data is not None and self._dialect.data is not None:
            name = f"{RESERVED}data{number}"
            self._data[name] = self._dialect.data(stmt.data, array)
        template = self._dialect.allocate[array.type.space]
        text = template.format(**fields, **self._parameters)
        self._line(f"{self._names[stmt.array.name]} = {text}")

    def _if(self, stmt: ir.If, keyword: str) -> None:
        self._line(f"{keyword} {self._expr(stmt.condition)}:", header(stmt.span, stmt.condition))
        self._body(stmt.then)
        match stmt.orelse:
            case ():
                pass
            case (ir.If() as inner,) if self._height(inner.condition) < TALLEST:
                # A chain of elif stays as flat as the user wrote it.
                self._span = inner.span
                self._if(inner, "elif")
            case orelse:
                self._line("else:", orelse[0].span)
                self._body(orelse)

    def _for(self, stmt: ir.For) -> None:
        bounds = (stmt.start, stmt.stop, stmt.step)
        args = ", ".join(map(self._expr, bounds))
        if all(isinstance(bound, ir.Constant) for bound in bounds) and is_short(*bounds):
            iterator = self._dialect.range.format(args=args)
        else:
            site = self._site("for", stmt.span)
            iterator = self._dialect.checked_range.format(site=site, args=args, **self._parameters)
        target = self._names[stmt.target.name]
        self._line(f"for {target} in {iterator}:", header(stmt.span, stmt.step))
        self._body(stmt.body)

    def _while(self, stmt: ir.While) -> None:
        cost = WAITING_TURN if _waits((*stmt.prelude, *stmt.body)) else 1
        site = self._site("while", stmt.span)
        tick = self._dialect.tick.format(site=site, cost=cost, **self._parameters)
        head = header(stmt.span, stmt.condition)
        if not stmt.prelude and self._height(stmt.condition) < TALLEST:
            test = self._expr(stmt.condition)
            self._line(f"while {tick} and {test}:" if tick else f"while {test}:", head)
            self._body(stmt.body)
            return
        self._line(f"while {tick or True}:", head)
        with self._indented():
            self._statements(stmt.prelude)
            self._span = head
            self._line(f"if not {self._expr(stmt.condition)}: break")
            self._statements(stmt.body)

    def _text(self, text: ir.Text) -> str:
        parts = []
        for part in text:
            if isinstance(part, str):
                parts.append(repr(part))
            else:
                value = self._expr(part.value)
                parts.append(self._dialect.text.format(value=value, spec=repr(part.spec)))
        return ", ".join(parts)

    # ------------------------------------------------------------ expressions
    def _height(self, expr: ir.Expr) -> int:
        """How many operations lie above the deepest leaf."""
        found = self._heights.get(expr)
        if found is None:
            tallest = max((self._height(child) for child in ir.children(expr)), default=-1)
            found = self._heights[expr] = tallest + 1
        return found

    def _expr(self, expr: ir.Expr) -> str:
        text = self._operation(expr)
        height = self._height(expr)
        if height == 0 or height % TALLEST or self._lazy:
            return text
        name = self._names.new("_cut")
        self._line(f"{name} = {text}")
        return name

    def _operation(self, expr: ir.Expr) -> str:
        match expr:
            case ir.Constant():
                return self._constant(expr)
            case ir.Read():
                return self._read(expr.var.name, expr.span)
            case ir.SpecialRegister():
                template = self._dialect.registers[expr.register]
                return template.format(axis="xyz"[expr.axis], **self._parameters)
            case ir.Unary():
                return self._scalar(expr.op, (expr.operand,))
            case ir.Binary() | ir.Compare():
                return self._scalar(expr.op, (expr.left, expr.right))
            case ir.Logical():
                return f"({self._logical(expr)})"
            case ir.Select():
                condition = self._expr(expr.condition)
                with self._unevaluated():
                    then, orelse = self._expr(expr.then), self._expr(expr.orelse)
                return f"({then} if {condition} else {orelse})"
            case ir.Cast():
                return self._dialect.cast(expr.operand.type, expr.type, self._expr(expr.operand))
            case ir.Intrinsic():
                return self._intrinsic(expr)
            case ir.Load():
                fields = self._access("load", expr, expr.array, expr.indices)
                return self._dialect.loaded(expr.type, self._dialect.load.format(**fields))
            case ir.Extent():
                array = self._read(expr.array.name, expr.span)
                return self._dialect.extent.format(array=array, axis=expr.axis)
            case _:
                assert_never(expr)

    def _scalar(self, op: str, operands: tuple[ir.Expr, ...]) -> str:
        texts = [self._expr(operand) for operand in operands]
        return self._dialect.expression(op, tuple(operand.type for operand in operands), texts)

    def _intrinsic(self, expr: ir.Intrinsic) -> str:
        template = self._dialect.functions.get(expr.function)
        if template is None:
            return self._scalar(expr.function, expr.args)
        site = self._site(expr.function, expr.span)
        args = ", ".join(map(self._expr, expr.args))
        return template.format(site=site, args=args, **self._parameters)

    def _logical(self, expr: ir.Logical) -> str:
        """Without parentheses, so that a chain of one operation stays flat."""
        left = expr.left
        chained = isinstance(left, ir.Logical) and left.op == expr.op
        text = self._logical(left) if chained else self._expr(left)  # type: ignore[arg-type]
        with self._unevaluated():
            return f"{text} {expr.op} {self._expr(expr.right)}"

    @contextmanager
    def _unevaluated(self) -> Iterator[None]:
        """Inside, an operand may not be evaluated at all: it must stay where it is."""
        self._lazy += 1
        yield
        self._lazy -= 1

    def _read(self, name: str, span: Span) -> str:
        identifier = self._names[name]
        self._reads.setdefault(identifier, {})[span] = None
        return identifier

    def _constant(self, expr: ir.Constant) -> str:
        text = self._dialect.literal(expr.type, expr.value)
        if expr.type.kind not in "fc":
            return text
        # NumPy's scalars are made once, not each time.
        return self._constants.setdefault(text, f"{RESERVED}constant{len(self._constants)}")
