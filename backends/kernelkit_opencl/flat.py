"""Kernels without barriers in branches: PoCL compiles those wrongly, or ends the process.

In: a kernel, all of whose threads come to every barrier that one comes to. Out: one that means the
same, in which barriers stand in nothing but loops that have one end.
Holds: a branch with barriers inside becomes a row of parts under a flag, and all threads pass its
barriers whether it is taken or not; who leaves a part by a jump clears the flags of what he leaves.

PoCL 3.0 makes a loop over the threads of each part between barriers. Where a barrier is in a branch,
behind a conditional return, or in a loop that can be left in its middle, it copies what may come
behind and gets it wrong: parts run for one thread only, or twice in it, or with another's values.
"""

from __future__ import annotations

from kernelkit.emit.cstyle.warps import LIVE
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.rewrite import with_parts
from kernelkit.ir.types import BOOL, INT64, UINT32, UINT64, DType
from kernelkit_opencl.needs import outward
from kernelkit_opencl.parts import gone, read, returns

_Jump = type[ir.Return | ir.Break | ir.Continue]
_Flags = list[tuple[ir.Var, _Jump | None]]


def flat(kernel: ir.Kernel, by_block: bool) -> ir.Kernel:
    """The kernel; `by_block`: warp operations are barriers of the block."""
    made = _Flattener(kernel, by_block)
    body = made.level(kernel.body, follow=False)
    if made.names == 0:
        return kernel
    yes = ir.Constant(kernel.span, BOOL, value=True)
    head = (ir.Assign(kernel.span, var, yes) for var in made.start)
    return ir.Kernel(kernel.name, kernel.params, (*head, *body), kernel.span, kernel.options)


class _Flattener:
    """`flags`: those that hold where the walk is, the innermost last, each with the jump that clears
    it and those behind it: Return, Break, Continue, or None for a branch."""

    def __init__(self, kernel: ir.Kernel, by_block: bool) -> None:
        self.by_block = by_block
        self.names = 0
        self.flags: _Flags = []
        self.start: list[ir.Var] = []
        statements = list(ir.walk(kernel.body))
        found = (var for stmt in statements for var in ir.targets(stmt) if var.name == LIVE)
        self.live = next(found, None)
        self.debug = kernel.options.debug
        if self._returns_early(kernel.body):
            self.start.append(self._flag(ir.Return))

    # ------------------------------------------------------------ questions
    def is_meeting(self, stmt: ir.Stmt) -> bool:
        if isinstance(stmt, ir.Warp):
            # Where all come together, leaving.py has put a ballot for it.
            return self.by_block and stmt.op != "activemask"
        return isinstance(stmt, ir.Barrier)

    def meets(self, *body: ir.Stmt) -> bool:
        return any(self.is_meeting(s) for s in ir.walk(body))

    def _returns_early(self, body: ir.Body, follow: bool = False) -> bool:
        """Whether a meeting stands behind a Return, or in a loop around it."""
        for stmt in reversed(body):
            around = follow or (isinstance(stmt, ir.For | ir.While) and self.meets(stmt))
            if returns(stmt) and (around or self.meets(stmt)):
                return True
            follow = follow or self.meets(stmt)
        return False

    # ------------------------------------------------------------ bodies
    def level(self, body: ir.Body, follow: bool) -> list[ir.Stmt]:
        """`follow`: meetings may come behind it."""
        found: list[ir.Stmt] = []
        part: list[ir.Stmt] = []
        for number, stmt in enumerate(body):
            if not follow and not self.meets(*body[number:]):
                return [*found, *self.part([*part, *body[number:]], jumps=False)]
            if isinstance(stmt, ir.Allocate):
                found.append(stmt)
            elif self.meets(stmt):
                behind = follow or self.meets(*body[number + 1 :])
                found += [*self.part(part), *self.together(stmt, behind)]
                part = []
            else:
                part.append(stmt)
        return [*found, *self.part(part)]

    def part(self, body: list[ir.Stmt], jumps: bool = True) -> list[ir.Stmt]:
        """Statements without meetings, under the flag; `jumps`: meetings may come behind them."""
        places: list[ir.Stmt] = [stmt for stmt in body if isinstance(stmt, ir.Allocate)]
        body = [stmt for stmt in body if not isinstance(stmt, ir.Allocate)]
        if not body:
            return places
        if jumps or any(any(outward(s)) for s in body):
            leaving = _Part(self.flags)
            body = leaving.body(tuple(body), last=True)
            if leaving.jumped:
                body = [ir.Scope(body[0].span, "", tuple(body))]
        return [*places, *self.under(body)]

    def under(self, body: list[ir.Stmt]) -> list[ir.Stmt]:
        """What is done only where the walk is."""
        if not self.flags:
            return body
        span = body[0].span
        return [ir.If(span, read(self.flags[-1][0], span), tuple(body), ())]

    # ------------------------------------------------------------ what holds meetings
    def together(self, stmt: ir.Stmt, follow: bool) -> list[ir.Stmt]:
        match stmt:
            case ir.If():
                return self.branch(stmt, follow)
            case ir.For():
                return self.counted(stmt)
            case ir.While():
                return self.loop(stmt)
            case ir.Scope():
                if not _jumps(stmt.body):
                    return self.level(stmt.body, follow)
                inside = self._set(ir.Break, stmt.span)
                body = self.level(stmt.body, follow)
                self.flags.pop()
                return [inside, *body]
            case ir.Barrier():
                return self.barrier(stmt)
            case _:
                assert isinstance(stmt, ir.Warp)
                return self.warp(stmt)

    def branch(self, stmt: ir.If, follow: bool) -> list[ir.Stmt]:
        span = stmt.span
        behind = follow or self.meets(*stmt.orelse)
        around = list(self.flags)
        then = self._flag(None)
        found: list[ir.Stmt] = [ir.Assign(span, then, self._all(around, stmt.condition, span))]
        body = self.level(stmt.then, behind)
        self.flags[:] = around
        if stmt.orelse:
            orelse = self._flag(None)
            # The flag of the first arm is cleared by jumps in it.
            other = self._all(around, gone(then, span), span)
            found.append(ir.Assign(span, orelse, other))
            body += self.level(stmt.orelse, follow)
            self.flags[:] = around
        return [*found, *body]

    def loop(self, stmt: ir.While) -> list[ir.Stmt]:
        span = stmt.span
        if not (self.flags or _jumps(stmt.body) or returns(stmt)):
            prelude, body = (self.level(inner, follow=True) for inner in ir.bodies(stmt))
            return [ir.While(span, tuple(prelude), stmt.condition, tuple(body))]
        before = [self._set(ir.Break, span)]
        prelude = self.level(stmt.prelude, follow=True)
        on = self.flags[-1][0]
        turn = self._flag(ir.Continue)
        prelude.append(ir.Assign(span, turn, self._all([(on, None)], stmt.condition, span)))
        body = self.level(stmt.body, follow=True)
        del self.flags[-2:]
        return [*before, ir.While(span, tuple(prelude), read(turn, span), tuple(body))]

    def counted(self, stmt: ir.For) -> list[ir.Stmt]:
        """Where nothing leaves the loop, it has no turns for those that do not come to it."""
        if any(isinstance(s, ir.Break) for s in _jumps(stmt.body)) or returns(stmt):
            return self.left(stmt)
        span = stmt.span
        bounds = self._none(stmt)
        depth = len(self.flags)
        before = [self._set(ir.Continue, span)] if _jumps(stmt.body) else []
        body = [*before, *self.level(stmt.body, follow=True)]
        del self.flags[depth:]
        return [ir.For(span, stmt.target, *bounds, tuple(body))]

    def _none(self, stmt: ir.For) -> tuple[ir.Expr, ir.Expr, ir.Expr]:
        """The bounds; such as give no turn where the walk is not."""
        first = int(stmt.start.value.real) if isinstance(stmt.start, ir.Constant) else 0
        start = self.harmless(stmt.start, first)
        step = stmt.step
        if not isinstance(step, ir.Constant) or not step.value:
            step = self.harmless(step, 1)
        return start, self.harmless(stmt.stop, first), step

    def left(self, stmt: ir.For) -> list[ir.Stmt]:
        """A loop that can be left in its middle counts by itself, and ends where it begins."""
        span = stmt.span
        counter, stop, step = (self._name("count", INT64) for _ in range(3))
        bounds = ((counter, stmt.start), (stop, stmt.stop), (step, stmt.step))
        at, end, by = (ir.Read(span, INT64, var) for var in (counter, stop, step))
        zero = ir.Constant(span, INT64, 0)
        first: list[ir.Stmt] = [ir.Assign(span, var, expr) for var, expr in bounds]
        if self.debug:  # where a step of 0 is a fault
            first.append(ir.For(span, self._name("step", INT64), zero, zero, by, ()))
        before = self.under(first)
        up = ir.Compare(span, BOOL, "gt", by, zero)
        down = ir.Compare(span, BOOL, "lt", by, zero)
        more = ir.Select(
            span, BOOL, up, ir.Compare(span, BOOL, "lt", at, end),
            ir.Logical(span, BOOL, "and", down, ir.Compare(span, BOOL, "gt", at, end)),
        )  # fmt: skip
        far = ir.Select(
            span, BOOL, up,
            ir.Compare(span, BOOL, "gt", _distance(end, at), _unsigned(by)),
            ir.Compare(span, BOOL, "gt", _distance(at, end), _distance(zero, by)),
        )  # fmt: skip
        after = ir.Select(span, INT64, far, ir.Binary(span, INT64, "add", at, by), end)
        ahead = (ir.Assign(span, stmt.target, at), ir.Assign(span, counter, after))
        turns = ir.While(span, (), more, (*ahead, *stmt.body))
        return [*before, *self.loop(turns)]

    # ------------------------------------------------------------ meetings
    def barrier(self, stmt: ir.Barrier) -> list[ir.Stmt]:
        if stmt.predicate is None or not self.flags:
            return [stmt]
        span = stmt.span
        result = None if stmt.result is None else self._name("met", stmt.result.type)
        asked = self._all(self.flags, stmt.predicate, span)
        made = ir.Barrier(span, stmt.op, asked, result)
        return [made, *self._taken(((stmt.result, result),), span)]

    def warp(self, stmt: ir.Warp) -> list[ir.Stmt]:
        """Where it is not taken no lane is asked for."""
        if not self.flags:
            return [stmt]
        span = stmt.span
        mask = stmt.mask or ir.Constant(span, UINT32, 0xFFFFFFFF)
        operands = tuple(self.harmless(operand) for operand in stmt.operands)
        results = tuple(self._name("met", var.type) for var in stmt.results)
        made: list[ir.Stmt] = [ir.Warp(span, stmt.op, self.harmless(mask), operands, results)]
        if self.debug:
            made = self._unchecked(made[0], span)
        return [*made, *self._taken(tuple(zip(stmt.results, results, strict=True)), span)]

    def _unchecked(self, stmt: ir.Stmt, span: Span) -> list[ir.Stmt]:
        """As if by dead threads, where it is not taken: of them nothing is demanded."""
        here = self.flags[-1][0]
        if self.live is None:
            self.live = ir.Var(LIVE, BOOL)
            self.start.append(self.live)
        kept = self._name("live", BOOL)
        alive = ir.Logical(span, BOOL, "and", read(here, span), read(self.live, span))
        return [
            ir.Assign(span, kept, read(self.live, span)),
            ir.Assign(span, self.live, alive),
            stmt,
            ir.Assign(span, self.live, read(kept, span)),
        ]

    def _taken(
        self, results: tuple[tuple[ir.Var | None, ir.Var | None], ...], span: Span
    ) -> list[ir.Stmt]:
        copies: list[ir.Stmt] = [
            ir.Assign(span, var, ir.Read(span, made.type, made))
            for var, made in results
            if var is not None and made is not None
        ]
        return self.under(copies) if copies else []

    # ------------------------------------------------------------ values
    def harmless(self, expr: ir.Expr, nothing: int = 0) -> ir.Expr:
        """The value; something else where the walk is not."""
        if not self.flags or (isinstance(expr, ir.Constant) and expr.value == nothing):
            return expr
        zero = {"b": bool, "f": float, "c": complex}.get(expr.type.kind, int)(nothing)
        other = ir.Constant(expr.span, expr.type, zero)
        here = read(self.flags[-1][0], expr.span)
        return ir.Select(expr.span, expr.type, here, expr, other)

    def _all(self, flags: _Flags, expr: ir.Expr, span: Span) -> ir.Expr:
        return ir.Logical(span, BOOL, "and", read(flags[-1][0], span), expr) if flags else expr

    # ------------------------------------------------------------ names
    def _flag(self, jump: _Jump | None) -> ir.Var:
        """A flag that holds from here on."""
        made = self._name("here", BOOL)
        self.flags.append((made, jump))
        return made

    def _set(self, jump: _Jump, span: Span) -> ir.Assign:
        yes = ir.Constant(span, BOOL, value=True)
        value = read(self.flags[-1][0], span) if self.flags else yes
        return ir.Assign(span, self._flag(jump), value)

    def _name(self, stem: str, dtype: DType) -> ir.Var:
        self.names += 1
        return ir.Var(f".{stem}.{self.names}", dtype)


class _Part:
    """A part whose jumps clear flags and go behind it. `jumped`: whether it must be a Scope."""

    def __init__(self, flags: _Flags) -> None:
        self.flags, self.jumped = flags, False
        #: Whether a Return clears flags too; else it may stay.
        self.returning = bool(flags) and flags[0][1] is ir.Return

    def body(self, body: ir.Body, last: bool, inner: bool = False) -> list[ir.Stmt]:
        """`last`: nothing comes behind it; `inner`: it is in a loop or Scope of the part."""
        found: list[ir.Stmt] = []
        for number, stmt in enumerate(body):
            at_end = last and number == len(body) - 1
            if not self._jumps(stmt, inner):
                found.append(stmt)
            elif isinstance(stmt, ir.Return | ir.Break | ir.Continue):
                found += self._cleared(stmt)
                return found if at_end else [*found, self._leave(stmt.span, inner)]
            elif isinstance(stmt, ir.If):
                arms = (tuple(self.body(arm, at_end, inner)) for arm in ir.bodies(stmt))
                found.append(ir.If(stmt.span, stmt.condition, *arms))
            else:
                found.append(self._around(stmt))
                if not at_end:
                    leave = (self._leave(stmt.span, inner),)
                    found.append(ir.If(stmt.span, gone(self.flags[0][0], stmt.span), leave, ()))
        return found

    def _jumps(self, stmt: ir.Stmt, inner: bool) -> bool:
        """Whether it may leave the part."""
        return (self.returning and returns(stmt)) or (not inner and any(outward(stmt)))

    def _cleared(self, stmt: ir.Stmt) -> list[ir.Stmt]:
        """The flags of what a jump leaves."""
        first = max(n for n, (_, jump) in enumerate(self.flags) if jump is type(stmt))
        no = ir.Constant(stmt.span, BOOL, value=False)
        return [ir.Assign(stmt.span, flag, no) for flag, _ in self.flags[first:]]

    def _around(self, stmt: ir.Stmt) -> ir.Stmt:
        """A loop or Scope that is left by Break where a thread returns."""
        inside = [tuple(self.body(body, last=False, inner=True)) for body in ir.bodies(stmt)]
        return with_parts(stmt, ir.expressions(stmt), inside)

    def _leave(self, span: Span, inner: bool) -> ir.Stmt:
        self.jumped |= not inner
        return ir.Break(span)


def _jumps(body: ir.Body) -> list[ir.Stmt]:
    """The Breaks and Continues that leave a body."""
    return [jump for stmt in body for jump in outward(stmt)]


def _unsigned(expr: ir.Expr) -> ir.Expr:
    return ir.Cast(expr.span, UINT64, expr)


def _distance(a: ir.Expr, b: ir.Expr) -> ir.Expr:
    """a - b of numbers of which a is not the less."""
    return ir.Binary(a.span, UINT64, "sub", _unsigned(a), _unsigned(b))
