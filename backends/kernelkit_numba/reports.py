"""What kernels say: prints, assertions and the checks of debug kernels, as plain statements.

In: a kernel. Out: one that writes what it says into a launch record, an array that is its last
parameter, and the sites that the record names by number; the same kernel without assertions where it
says nothing.
Holds: what the record means is `kernelkit.emit.launch_record`; a thread at fault returns, and those
of its block do not wait for it. An operand that may not be evaluated is checked only if it is: it
becomes an `If` that assigns a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from kernelkit.emit import launch_record as record
from kernelkit.emit.fault_report import site_number
from kernelkit.emit.payload import pieces_of, values_of
from kernelkit.emit.python_names import described
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, INT64, UINT32, UINT64, ArrayType
from kernelkit_numba.build import Build
from kernelkit_numba.lowering import unsure

Stmts = list[ir.Stmt]


def reporting(kernel: ir.Kernel) -> tuple[ir.Kernel, list[dict[str, Any]], bool]:
    """The kernel, its sites, and whether it takes a record."""
    prints = any(isinstance(stmt, ir.Print) for stmt in ir.walk(kernel.body))
    if not (prints or kernel.options.debug):
        return kernel, [], False
    words = ir.ArrayVar(".record", ArrayType(INT64, 1))
    reports = _Reports(kernel, words)
    body = reports.body(kernel.body)
    changed = replace(kernel, params=(*kernel.params, words), body=(*reports.head(), *body))
    return changed, reports.sites, True


class _Reports:
    def __init__(self, kernel: ir.Kernel, words: ir.ArrayVar) -> None:
        self.sites: list[dict[str, Any]] = []
        self._debug, self._wraps = kernel.options.debug, kernel.options.wraparound
        self._words, self._numbers = words, count(1)
        self._at_home = Build(kernel.span)
        #: The block's number, what it fails as, where the thread's slot begins.
        self._own = tuple(ir.Var(f".{what}", INT64) for what in ("block", "mine", "slot"))
        checked = unsure(kernel.params, kernel.body) if self._debug else ()
        self._flags = {var: ir.Var(f".set.{var.name}", BOOL) for var in checked}

    def head(self) -> Iterator[ir.Stmt]:
        """What a kernel begins with: who the thread is, and that nothing is assigned."""
        build = self._at_home
        if self._debug:
            block, mine, slot = self._own
            yield build.assign(block, build.place("blockIdx", "gridDim"))
            number = ir.Read(build.span, INT64, block)
            rest = build.binary("mod", number, build.number(2**32 - 1))
            yield build.assign(mine, build.add(rest, build.number(1)))
            thread = build.place("threadIdx", "blockDim")
            start = build.binary("mul", thread, build.number(record.SLOT))
            yield build.assign(slot, build.add(start, build.number(record.HEADER)))
        for flag in self._flags.values():
            yield build.assign(flag, build.truth(False))

    # ------------------------------------------------------------ statements
    def body(self, body: ir.Body) -> ir.Body:
        out: Stmts = []
        for stmt in body:
            self._stmt(stmt, out)
        return tuple(out)

    def _stmt(self, stmt: ir.Stmt, out: Stmts) -> None:
        match stmt:
            case ir.Print():
                self._print(stmt, out)
            case ir.Assert():
                if self._debug:
                    self._assert(stmt, out)
            case ir.For():
                self._for(stmt, out)
            case ir.While():
                prelude = list(self.body(stmt.prelude))
                condition = self._expr(stmt.condition, prelude)
                body = self.body(stmt.body)
                out.append(replace(stmt, prelude=tuple(prelude), condition=condition, body=body))
            case ir.If():
                condition = self._expr(stmt.condition, out)
                then, orelse = self.body(stmt.then), self.body(stmt.orelse)
                out.append(replace(stmt, condition=condition, then=then, orelse=orelse))
            case ir.Scope():
                out.append(replace(stmt, body=self.body(stmt.body)))
            case _:
                self._simple(stmt, out)

    def _simple(self, stmt: ir.Stmt, out: Stmts) -> None:
        """A statement without bodies: what it reads, what it touches, what it assigns."""
        match stmt:
            case ir.Assign():
                stmt = replace(stmt, value=self._expr(stmt.value, out))
            case ir.Store():
                indices = self._inside(stmt, stmt.array, stmt.indices, out)
                stmt = replace(stmt, indices=indices, value=self._expr(stmt.value, out))
            case ir.Atomic():
                indices = self._inside(stmt, stmt.array, stmt.indices, out)
                stmt = replace(stmt, indices=indices, operands=self._exprs(stmt.operands, out))
            case ir.View():
                stmt = replace(stmt, indices=self._inside(stmt, stmt.base, stmt.indices, out))
            case ir.Warp():
                mask = None if stmt.mask is None else self._expr(stmt.mask, out)
                stmt = replace(stmt, mask=mask, operands=self._exprs(stmt.operands, out))
                self._lane(stmt, out)
            case ir.Barrier() if stmt.predicate is not None:
                stmt = replace(stmt, predicate=self._expr(stmt.predicate, out))
            case _:
                pass
        out.append(stmt)
        self._assigned(ir.targets(stmt), stmt.span, out)

    def _assigned(self, targets: Sequence[ir.Var], span: Span, out: Stmts) -> None:
        for var in targets:
            if var in self._flags:
                out.append(Build(span).assign(self._flags[var], Build(span).truth(True)))

    def _for(self, stmt: ir.For, out: Stmts) -> None:
        build = Build(stmt.span)
        start, stop = self._expr(stmt.start, out), self._expr(stmt.stop, out)
        step = self._expr(stmt.step, out)
        if self._debug:
            if not isinstance(step, ir.Constant):
                step = self._kept(step, out)
            moves = build.compare("ne", step, build.number(0))
            self._check(moves, {"kind": "step"}, (), stmt.span, out)
        inner: Stmts = []
        self._assigned((stmt.target,), stmt.span, inner)
        body = (*inner, *self.body(stmt.body))
        out.append(replace(stmt, start=start, stop=stop, step=step, body=body))

    # ------------------------------------------------------------ expressions
    def _exprs(self, exprs: tuple[ir.Expr, ...], out: Stmts) -> tuple[ir.Expr, ...]:
        return tuple(self._expr(expr, out) for expr in exprs)

    def _expr(self, expr: ir.Expr, out: Stmts) -> ir.Expr:
        """The expression, its checks before it."""
        if not self._debug:
            return expr
        match expr:
            case ir.Read():
                flag = self._flags.get(expr.var)
                if flag is not None:
                    what = {"kind": "unassigned", "name": described(expr.var.name)}
                    self._check(ir.Read(expr.span, BOOL, flag), what, (), expr.span, out)
                return expr
            case ir.Unary() | ir.Cast():
                return replace(expr, operand=self._expr(expr.operand, out))
            case ir.Binary() | ir.Compare():
                left = self._expr(expr.left, out)
                return replace(expr, left=left, right=self._expr(expr.right, out))
            case ir.Logical():
                return self._logical(expr, out)
            case ir.Select():
                return self._select(expr, out)
            case ir.Intrinsic():
                return replace(expr, args=self._exprs(expr.args, out))
            case ir.Load():
                indices = self._inside(expr, expr.array, expr.indices, out)
                return replace(expr, indices=indices)
            case _:
                return expr

    def _logical(self, expr: ir.Logical, out: Stmts) -> ir.Expr:
        left, inner = self._expr(expr.left, out), list[ir.Stmt]()
        right = self._expr(expr.right, inner)
        if not inner:
            return replace(expr, left=left, right=right)
        build = Build(expr.span)
        result = ir.Var(f".lazy{next(self._numbers)}", BOOL)
        read = ir.Read(expr.span, BOOL, result)
        decides = ir.Unary(expr.span, BOOL, "not", read) if expr.op == "or" else read
        out.append(build.assign(result, left))
        out.append(ir.If(expr.span, decides, (*inner, build.assign(result, right)), ()))
        return read

    def _select(self, expr: ir.Select, out: Stmts) -> ir.Expr:
        condition = self._expr(expr.condition, out)
        first, second = list[ir.Stmt](), list[ir.Stmt]()
        then, orelse = self._expr(expr.then, first), self._expr(expr.orelse, second)
        if not (first or second):
            return replace(expr, condition=condition, then=then, orelse=orelse)
        build = Build(expr.span)
        result = ir.Var(f".lazy{next(self._numbers)}", expr.type)
        first.append(build.assign(result, then))
        second.append(build.assign(result, orelse))
        out.append(ir.If(expr.span, condition, tuple(first), tuple(second)))
        return ir.Read(expr.span, expr.type, result)

    def _kept(self, value: ir.Expr, out: Stmts) -> ir.Expr:
        """The value under a name, so that it is made once."""
        if isinstance(value, (ir.Read, ir.Constant)):
            return value
        var = ir.Var(f".kept{next(self._numbers)}", value.type)
        out.append(Build(value.span).assign(var, value))
        return ir.Read(value.span, value.type, var)

    # ------------------------------------------------------------ checks
    def _inside(
        self, node: Any, array: ir.ArrayVar, indices: tuple[ir.Expr, ...], out: Stmts
    ) -> tuple[ir.Expr, ...]:
        if not self._debug:
            return indices
        build = Build(node.span)
        kept = tuple(self._kept(self._expr(index, out), out) for index in indices)
        known = array.shape if array.shape and not array.is_dynamic else None
        axes = range(array.type.ndim)
        extents = [
            build.number(known[axis]) if known else ir.Extent(node.span, INT64, array, axis)
            for axis in axes
        ]
        tests = [
            self._within(build, index, extent) for index, extent in zip(kept, extents, strict=False)
        ]
        what = {
            "kind": "bounds",
            "name": described(array.name),
            "indices": [index.type.name for index in kept],
            "shape": [known[axis] if known else None for axis in axes],
        }
        words = (*kept, *(() if known else extents))
        if tests:
            self._check(build.every(tests), what, words, node.span, out)
        return kept

    def _within(self, build: Build, index: ir.Expr, extent: ir.Expr) -> ir.Expr:
        """Without a sign, what is below 0 is above every extent, so one comparison is enough."""
        wide, end = build.cast(UINT64, index), build.cast(UINT64, extent)
        if not (index.type.is_signed and self._wraps):
            return build.compare("lt", wide, end)
        return build.compare("lt", build.add(wide, end), build.add(end, end))

    def _assert(self, stmt: ir.Assert, out: Stmts) -> None:
        condition, inner = self._expr(stmt.condition, out), list[ir.Stmt]()
        values = [self._expr(part.value, inner) for part in values_of(stmt.text)]
        what = {"kind": "assert", "text": pieces_of(stmt.text)}
        self._fail(what, values, stmt.span, inner)
        out.append(ir.If(stmt.span, _not(condition), tuple(inner), ()))

    def _check(
        self, condition: ir.Expr, what: dict[str, Any], values: Sequence[ir.Expr], span: Span,
        out: Stmts,
    ) -> None:  # fmt: skip
        inner: Stmts = []
        self._fail(what, values, span, inner)
        out.append(ir.If(span, _not(condition), tuple(inner), ()))

    def _lane(self, stmt: ir.Warp, out: Stmts) -> None:
        """A shuffle must not ask a lane that its mask names and that is not there."""
        if not self._debug or not stmt.op.startswith("shfl") or stmt.mask is None:
            return
        build = Build(stmt.span)
        live = ir.Var(f".live{next(self._numbers)}", UINT32)
        mask = self._kept(stmt.mask, out)
        out.append(ir.Warp(stmt.span, "ballot", mask, (build.truth(True),), (live,)))
        here = build.register("laneid")
        given = build.cast(INT64, stmt.operands[1])
        wanted = self._kept(
            {
                "shfl": lambda: build.binary("and", given, build.number(31)),
                "shfl_up": lambda: build.binary("sub", here, given),
                "shfl_down": lambda: build.add(here, given),
                "shfl_xor": lambda: build.binary("xor", here, given),
            }[stmt.op](),
            out,
        )
        gone = build.binary("xor", mask, ir.Read(stmt.span, UINT32, live))
        gone = build.binary("and", gone, mask)
        bit = build.binary("and", build.cast(INT64, gone), self._bit(build, wanted))
        outside = build.compare("gt", build.cast(UINT64, wanted), build.number(31, UINT64))
        there = ir.Logical(
            stmt.span, BOOL, "or", outside, build.compare("eq", bit, build.number(0))
        )
        self._check(there, {"kind": "inactive lane"}, (wanted,), stmt.span, out)

    @staticmethod
    def _bit(build: Build, lane: ir.Expr) -> ir.Expr:
        return build.binary("shl", build.number(1), lane)

    # ------------------------------------------------------------ the record
    def _site(self, what: dict[str, Any], span: Span | None) -> int:
        return site_number(self.sites, what, span)

    def _fail(
        self, what: dict[str, Any], values: Sequence[ir.Expr], span: Span, out: Stmts
    ) -> None:
        """The block that fails first writes down what went wrong in its threads; the thread ends."""
        build, number = Build(span), self._site(what, span)
        words = [word for value in values for word in build.words(self._kept(value, out))]
        block, mine, slot = (ir.Read(span, INT64, var) for var in self._own)
        seen = ir.Var(f".seen{next(self._numbers)}", INT64)
        first, place = (build.number(record.FAILED),), ir.Read(span, INT64, seen)
        out.append(ir.Atomic(span, "cas", self._words, first, (build.number(0), mine), seen))
        stored = [
            *((record.SLOT_PAYLOAD + k, w) for k, w in enumerate(words[: record.PAYLOAD_WORDS])),
            (record.SLOT_BLOCK, block),
            (record.SLOT_SITE, build.number(number + 1)),
        ]
        ours = build.binary(
            "or", build.compare("eq", place, build.number(0)), build.compare("eq", place, mine)
        )
        out.append(ir.If(span, ours, tuple(self._stored(build, slot, stored)), ()))
        out.append(ir.Return(span))

    def _print(self, stmt: ir.Print, out: Stmts) -> None:
        """One text, if there is room for it."""
        build = Build(stmt.span)
        number = self._site({"kind": "print", "text": pieces_of(stmt.text)}, None)
        values = [self._expr(part.value, out) for part in values_of(stmt.text)]
        words = [word for value in values for word in build.words(self._kept(value, out))]
        size = build.number(1 + len(words))
        start = ir.Var(f".start{next(self._numbers)}", INT64)
        cursor, lost = (build.number(record.CURSOR),), (build.number(record.LOST),)
        out.append(ir.Atomic(stmt.span, "add", self._words, cursor, (size,), start))
        end = build.add(ir.Read(stmt.span, INT64, start), size)
        fits = build.compare("le", end, self._header(build, record.CAPACITY))
        at = ir.Var(f".at{next(self._numbers)}", INT64)
        begin = build.add(ir.Read(stmt.span, INT64, start), self._header(build, record.PRINTED))
        stored = [(0, build.number(number)), *((1 + k, w) for k, w in enumerate(words))]
        inner = (
            build.assign(at, begin),
            *self._stored(build, ir.Read(stmt.span, INT64, at), stored),
        )
        lose = ir.Atomic(stmt.span, "add", self._words, lost, (build.number(1),), None)
        out.append(ir.If(stmt.span, fits, inner, (lose,)))

    def _header(self, build: Build, place: int) -> ir.Expr:
        return ir.Load(build.span, INT64, self._words, (build.number(place),))

    def _stored(
        self, build: Build, base: ir.Expr, values: Sequence[tuple[int, ir.Expr]]
    ) -> Iterator[ir.Stmt]:
        for offset, value in values:
            place = build.add(base, build.number(offset))
            yield ir.Store(build.span, self._words, (place,), value)


def _not(condition: ir.Expr) -> ir.Expr:
    return ir.Unary(condition.span, BOOL, "not", condition)
