"""A walk over a kernel's statements, with what is known at each of them.

In: a kernel. Out: a body that does the same where the assumptions made on the way hold, if the walk
rewrites, and what `Symbolic` collects.
Holds: of a name that a loop changes, its head knows only what every iteration keeps: a guess is
tried, and widened until it stands. What a failed try supposed or found is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from kernelkit.analysis.affine import Affine, constant, of_atom
from kernelkit.analysis.counters import (
    Guess,
    Span,
    anything,
    counter_of,
    first_guess,
    last_value,
)
from kernelkit.analysis.facts import Range
from kernelkit.analysis.loops import Changes, changes_of
from kernelkit.analysis.shape import Shape
from kernelkit.analysis.state import State, joined
from kernelkit.analysis.symbolic import Symbolic
from kernelkit.ir.nodes import (
    Allocate,
    Assert,
    Assign,
    Atomic,
    Barrier,
    Body,
    Break,
    Breakpoint,
    Continue,
    Expr,
    Fence,
    For,
    Formatted,
    If,
    Kernel,
    Print,
    Return,
    Scope,
    Stmt,
    Store,
    Text,
    Var,
    View,
    Warp,
    While,
    bodies,
)
from kernelkit.ir.types import BOOL

#: Statements in place of one, and the state behind them; None: nothing comes behind.
Walked = tuple[Sequence[Stmt], State | None]
#: After so many tries a loop's names are taken to hold anything.
_TRIES: Final = 3


class _Exits:
    """The states at the jumps of a breakable statement."""

    __slots__ = ("breaks", "continues")

    def __init__(self) -> None:
        self.breaks: list[State] = []
        self.continues: list[State] = []


class Flow(Symbolic):
    """Walks statements. `state` is that of the statement being walked."""

    def __init__(self, kernel: Kernel, shape: Shape) -> None:
        super().__init__(kernel, shape)
        self.exits: list[_Exits] = []
        self._changes: dict[Stmt, Changes] = {}
        #: Names of a loop whose least or greatest value a try could not keep.
        self._widened: dict[tuple[Stmt, Var], Guess] = {}

    def walked(self) -> Body:
        """The kernel's body."""
        return self.body(self.kernel.body, self.state)[0]

    # ------------------------------------------------------------ hooks
    def mark(self) -> Any:
        """What a failed try has to be taken back to."""
        return len(self.fine), len(self.maybe_negative)

    def take_back(self, mark: Any) -> None:
        del self.fine[mark[0] :], self.maybe_negative[mark[1] :]

    def wanted(self, stmt: If) -> bool | None:
        """Which arm of an If is what most blocks do, by the look of it."""
        return None

    # ------------------------------------------------------------ bodies
    def body(self, body: Body, state: State | None) -> tuple[Body, State | None]:
        new: list[Stmt] = []
        for stmt in body:
            if state is None:  # what comes behind a jump never runs
                break
            self.enter(state)
            stmts, state = _WALKERS[type(stmt)](self, stmt)
            new += stmts
        same = len(new) == len(body) and all(a is b for a, b in zip(new, body, strict=True))
        return (body if same or not self.rewrites else tuple(new)), state

    def join(self, born: int, *states: State | None) -> State | None:
        return joined(states, self.integers, born)

    # ------------------------------------------------------------ simple statements
    def _assign(self, stmt: Assign) -> Walked:
        if stmt.target.type == BOOL:
            value, new = self.decided(stmt.value, None)
            self.state.names[stmt.target] = value
        else:
            seen, new = self.see(stmt.value)
            if stmt.target.type.is_integer:
                self.state.names[stmt.target] = (
                    seen if isinstance(seen, Affine) else self.integers.unknown(stmt.target.type)
                )
        if new is not stmt.value:
            stmt = Assign(stmt.span, stmt.target, new)
        return (stmt,), self.state

    def _store(self, stmt: Store) -> Walked:
        indices = self.indices(stmt.indices)
        value = self.see(stmt.value)[1]
        if value is not stmt.value or _differ(indices, stmt.indices):
            stmt = Store(stmt.span, stmt.array, indices, value)
        return (stmt,), self.state

    def _atomic(self, stmt: Atomic) -> Walked:
        indices = self.indices(stmt.indices)
        operands, changed = self.all_of(stmt.operands)
        if stmt.result is not None:
            self.forget(stmt.result)
        if changed or _differ(indices, stmt.indices):
            stmt = Atomic(stmt.span, stmt.op, stmt.array, indices, operands, stmt.result)
        return (stmt,), self.state

    def _view(self, stmt: View) -> Walked:
        indices = self.indices(stmt.indices)
        self.views[stmt.target] = (stmt.base, len(indices))
        if _differ(indices, stmt.indices):
            stmt = View(stmt.span, stmt.target, stmt.base, indices)
        return (stmt,), self.state

    def _warp(self, stmt: Warp) -> Walked:
        mask = None if stmt.mask is None else self.see(stmt.mask)[1]
        operands, changed = self.all_of(stmt.operands)
        for result in stmt.results:
            self.forget(result)
        if stmt.op.startswith("shfl") and stmt.results and stmt.results[0].type.is_integer:
            # Another thread's value of the same operand, at the same place.
            value = self.integer(stmt.operands[0])[0]
            low, high = self.facts.interval(value)
            atom = self.integers.atoms.new(low, high, promises=value.promises)
            self.state.names[stmt.results[0]] = of_atom(atom)
        if changed or mask is not stmt.mask:
            stmt = Warp(stmt.span, stmt.op, mask, operands, stmt.results)
        return (stmt,), self.state

    def _barrier(self, stmt: Barrier) -> Walked:
        predicate = None if stmt.predicate is None else self.see(stmt.predicate)[1]
        if stmt.result is not None:
            self.forget(stmt.result)
            if stmt.result.type.is_integer:
                self.state.names[stmt.result] = self.integers.bounded(0, self.integers.threads)
        if predicate is not stmt.predicate:
            stmt = Barrier(stmt.span, stmt.op, predicate, stmt.result)
        return (stmt,), self.state

    def forget(self, var: Var) -> None:
        self.state.names[var] = self.opaque(var.type)

    def _nothing(self, stmt: Fence | Allocate | Breakpoint) -> Walked:
        return (stmt,), self.state

    def _print(self, stmt: Print) -> Walked:
        text = self._text(stmt.text)
        return (stmt if text is stmt.text else Print(stmt.span, text),), self.state

    def _assert(self, stmt: Assert) -> Walked:
        condition, text = self.see(stmt.condition)[1], self._text(stmt.text)
        if condition is not stmt.condition or text is not stmt.text:
            stmt = Assert(stmt.span, condition, text)
        return (stmt,), self.state

    def _text(self, text: Text) -> Text:
        values = [p.value for p in text if isinstance(p, Formatted)]
        new, changed = self.all_of(values)
        if not changed:
            return text
        left = iter(new)
        return tuple(p if isinstance(p, str) else Formatted(next(left), p.spec) for p in text)

    # ------------------------------------------------------------ jumps
    def _return(self, stmt: Return) -> Walked:
        return (stmt,), None

    def _break(self, stmt: Break) -> Walked:
        self.exits[-1].breaks.append(self.state)
        return (stmt,), None

    def _continue(self, stmt: Continue) -> Walked:
        self.exits[-1].continues.append(self.state)
        return (stmt,), None

    # ------------------------------------------------------------ branches
    def _if(self, stmt: If) -> Walked:
        condition, new = self.decided(stmt.condition, self.wanted(stmt))
        born = self.integers.atoms.count
        states = self.where(condition, True), self.where(condition, False)
        if None in states:
            self.folded()
            self.rely_on(condition)
        then, after_then = self.body(stmt.then, states[0])
        orelse, after_else = self.body(stmt.orelse, states[1])
        after = self.join(born, after_then, after_else)
        if not self.rewrites:
            return (stmt,), after
        if states[0] is None:
            return (() if states[1] is None else orelse), after
        if states[1] is None:
            return then, after
        if not then and not orelse:
            return (), after
        if new is not stmt.condition or then is not stmt.then or orelse is not stmt.orelse:
            stmt = If(stmt.span, new, then, orelse)
        return (stmt,), after

    def _scope(self, stmt: Scope) -> Walked:
        born = self.integers.atoms.count
        self.exits.append(_Exits())
        body, end = self.body(stmt.body, self.state)
        after = self.join(born, end, *self.exits.pop().breaks)
        if not self.rewrites or body is stmt.body:
            return (stmt,), after
        if body and isinstance(body[-1], Break):
            body = body[:-1]
        if _has_break(body):
            return (Scope(stmt.span, stmt.function, body),), after
        return body, after

    # ------------------------------------------------------------ loops
    def _for(self, loop: For) -> Walked:
        bounds = [self.integer(e) for e in (loop.start, loop.stop, loop.step)]
        span = Span(*(form for form, _ in bounds))
        exprs = [new for _, new in bounds]
        self.relied(span.start, span.stop, span.step)

        def turn(head: State) -> tuple[Stmt, State | None]:
            inside = head.copy()
            counter = counter_of(span, inside.facts, self.integers)
            inside.names[loop.target] = counter or constant(0)
            body, end = self.body(loop.body, None if counter is None else inside)
            self._back(end)
            if body is loop.body and not _differ(exprs, (loop.start, loop.stop, loop.step)):
                return loop, head
            return For(loop.span, loop.target, exprs[0], exprs[1], exprs[2], body), head

        return self._loop(loop, span, turn)

    def _while(self, loop: While) -> Walked:
        def turn(head: State) -> tuple[Stmt, State | None]:
            prelude, test = self.body(loop.prelude, head)
            condition, inside, after = loop.condition, test, None
            if test is not None:
                self.enter(test)
                seen, new = self.see(loop.condition)
                verdict = None if isinstance(seen, Affine) else seen
                inside, after = self.where(verdict, True), self.where(verdict, False)
                # That a loop does not end by itself is for the author to say.
                condition = loop.condition if isinstance(verdict, bool) else new
            body, end = self.body(loop.body, inside)
            self._back(end)
            if condition is loop.condition and prelude is loop.prelude and body is loop.body:
                return loop, after
            return While(loop.span, prelude, condition, body), after

        return self._loop(loop, None, turn)

    def _back(self, end: State | None) -> None:
        if end is not None:
            self.exits[-1].continues.append(end)

    def _loop(
        self,
        loop: For | While,
        span: Span | None,
        turn: Callable[[State], tuple[Stmt, State | None]],
    ) -> Walked:
        """Tries guesses of what the changed names hold at the loop's head, until all stand."""
        entry = self.state
        changes = self._changes.get(loop)
        if changes is None:
            changes = self._changes[loop] = changes_of(loop)
        guesses = self._guesses(loop, changes, span)
        tries = 0
        while True:
            mark = self.mark()
            head = entry.copy()
            for var in changes.names:
                guess = guesses.get(var)
                head.names[var] = None if guess is None else guess.value(self.integers)
            born = self.integers.atoms.count
            self.exits.append(_Exits())
            stmt, after = turn(head)
            exits = self.exits.pop()
            broken = self._broken(guesses, exits.continues)
            if not broken:
                return (stmt,), self.join(born, after, *exits.breaks)
            self.take_back(mark)
            tries += 1
            for var in guesses if tries == _TRIES else broken:
                found = None if tries == _TRIES else broken[var]
                guesses[var] = guesses[var].widened(var.type, found)
                self._widened[loop, var] = guesses[var]

    def _guesses(self, loop: For | While, changes: Changes, span: Span | None) -> dict[Var, Guess]:
        """What integers hold at the head of every iteration, and behind the last one."""
        entry, found = self.state, {}
        mark = self.mark()
        for var in changes.names:
            if not var.type.is_integer:
                continue
            held = entry[var]
            before = held if isinstance(held, Affine) else self.integers.unknown(var.type)
            if span is not None and isinstance(loop, For) and var is loop.target:
                own = var in changes.once
                guess = last_value(before, span, self.facts) if own else anything(var.type)
            elif var not in changes.carried:
                guess = anything(var.type)
            else:
                steps = [(s, self.integer(s.amount)[0]) for s in changes.steps.get(var, ())]
                guess = first_guess(var.type, before, steps, span, self.facts)
            wider = self._widened.get((loop, var))
            found[var] = guess if wider is None else guess.wide_as(wider, var.type)
        self.take_back(mark)
        return found

    def _broken(self, guesses: dict[Var, Guess], backs: Sequence[State]) -> dict[Var, Range]:
        """The names that an iteration takes out of the range that was guessed, and to where."""
        broken: dict[Var, Range] = {}
        for var, guess in guesses.items():
            if guess.is_certain:
                continue
            for state in backs:
                value = state[var]
                low, high = guess.low, guess.high
                if isinstance(value, Affine):
                    low, high = state.facts.interval(value)
                    self.relied(value)
                if low < guess.low or high > guess.high:
                    old = broken.get(var, (low, high))
                    broken[var] = min(old[0], low), max(old[1], high)
        return broken


def _differ(new: Sequence[Expr], old: Sequence[Expr]) -> bool:
    return any(a is not b for a, b in zip(new, old, strict=True))


def _has_break(body: Body) -> bool:
    """Whether a break in a body leaves the statement around it."""
    return any(
        isinstance(s, Break) or (isinstance(s, If) and any(map(_has_break, bodies(s))))
        for s in body
    )


_WALKERS: Final[dict[type, Callable[[Any, Any], Walked]]] = {
    Assign: Flow._assign, Store: Flow._store, Atomic: Flow._atomic, View: Flow._view,
    Warp: Flow._warp, Barrier: Flow._barrier, Fence: Flow._nothing, Allocate: Flow._nothing,
    Breakpoint: Flow._nothing, Print: Flow._print, Assert: Flow._assert, If: Flow._if,
    For: Flow._for, While: Flow._while, Scope: Flow._scope, Break: Flow._break,
    Continue: Flow._continue, Return: Flow._return,
}  # fmt: skip
