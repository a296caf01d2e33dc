"""What the analyses claim, held against execution, on random kernels.

Each kernel runs twice: thread by thread with a slot per name, which is the meaning, and in lockstep
with a slot per web, the way a vector back end stores them: one scalar for the block, one per
vector, a base and a stride, or a lane each; a write to a web that is not blended ruins idle lanes;
a web that is always assigned before it is read starts with rubbish. Both must see the same values.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy
import pytest

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.pipeline import Analysis, analyse
from kernelkit.analysis.shape import Shape
from kernelkit.analysis.variability import always_returns
from kernelkit.analysis.webs import Web
from kernelkit.errors import Span
from kernelkit.frontend.builtins import threadIdx
from kernelkit.ir.nodes import (
    ArrayVar,
    Assign,
    Binary,
    Body,
    Break,
    Cast,
    Compare,
    Constant,
    Continue,
    Expr,
    For,
    If,
    Kernel,
    Load,
    Logical,
    Options,
    Read,
    Return,
    Scope,
    Select,
    SpecialRegister,
    Stmt,
    Unary,
    Var,
    While,
    expressions,
)
from kernelkit.ir.scalar import cast, evaluate
from kernelkit.ir.types import BOOL, INT8, INT64, ArrayType, DType
from kernelkit.ir.verify import verify

HERE = Span(__file__, 1)
DATA = [3, -1, 4, 1, -5, 9, 2, 6]
RUBBISH = -987654321


# ---------------------------------------------------------------- random kernels
class Generator:
    """A kernel over int64 names, ended by fuel: every loop runs at most three times."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # Every other kernel parts its threads rarely, so that kinds below varying get about.
        self.calm = seed % 2 == 0
        self.names = [Var(f"v{i}", INT64) for i in range(4)]
        self.small = Var("s", INT8)
        self.n = Var("n", INT64)
        self.data = ArrayVar("a", ArrayType(INT64, 1))
        self.counters = 0

    def kernel(self) -> Kernel:
        body = self.body(3, breakable="")
        # A name that is read must be assigned somewhere, be it too late.
        names = (*self.names, self.small)
        last = tuple(Assign(HERE, v, Constant(HERE, v.type, 0)) for v in names)
        return Kernel("random", (self.n, self.data), (*body, *last), HERE, Options())

    def pick(self, **weights: int) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def body(self, depth: int, breakable: str) -> Body:
        stmts = [s for _ in range(self.random.randint(1, 4)) for s in self.stmts(depth, breakable)]
        return tuple(stmts)

    def stmts(self, depth: int, breakable: str) -> list[Stmt]:
        jumps = {"loop": {"break_": 2, "continue_": 2}, "scope": {"break_": 2}}.get(breakable, {})
        nested = {"if_": 5, "for_": 2, "while_": 2, "scope": 2} if depth else {}
        match self.pick(assign=8, return_=depth == 0, **nested, **jumps):
            case "assign":
                return [self.assign()]
            case "if_":
                arms = self.body(depth - 1, breakable), self.body(depth - 1, breakable)
                orelse = arms[1] if self.random.random() < 0.5 else ()
                return [If(HERE, self.condition(), arms[0], orelse)]
            case "for_":
                target = self.random.choice(self.names)
                start: Expr = self.expr(1)
                step: Expr = Constant(HERE, INT64, self.random.choice([1, 2, -1]))
                if self.random.random() < 0.3:  # 1 or 2
                    two = Constant(HERE, INT64, 2)
                    one = Constant(HERE, INT64, 1)
                    parity = Binary(HERE, INT64, "mod", self.expr(1), two)
                    step = Binary(HERE, INT64, "add", one, parity)
                span = Binary(HERE, INT64, "mod", self.expr(1), Constant(HERE, INT64, 4))
                stop = Binary(HERE, INT64, "add", start, Binary(HERE, INT64, "mul", span, step))
                return [For(HERE, target, start, stop, step, self.body(depth - 1, "loop"))]
            case "while_":
                return self.while_(depth)
            case "scope":
                return [Scope(HERE, "", self.body(depth - 1, "scope"))]
            case "break_":
                return [Break(HERE)]
            case "continue_":
                return [Continue(HERE)]
            case _:
                return [Return(HERE)]

    def while_(self, depth: int) -> list[Stmt]:
        self.counters += 1
        count = Var(f"c{self.counters}", INT64)
        one = Constant(HERE, INT64, 1)
        more = Binary(HERE, INT64, "add", Read(HERE, INT64, count), one)
        limit = Binary(HERE, INT64, "mod", self.expr(1), Constant(HERE, INT64, 4))
        condition = Compare(HERE, BOOL, "le", Read(HERE, INT64, count), limit)
        if self.random.random() < 0.3:
            four = Compare(HERE, BOOL, "gt", Read(HERE, INT64, count), Constant(HERE, INT64, 3))
            body: Body = (If(HERE, four, (Break(HERE),), ()), *self.body(depth - 1, "loop"))
            return [
                Assign(HERE, count, Constant(HERE, INT64, 0)),
                While(HERE, (Assign(HERE, count, more),), Constant(HERE, BOOL, True), body),
            ]
        prelude = (Assign(HERE, count, more), *((self.assign(),) if depth > 1 else ()))
        return [
            Assign(HERE, count, Constant(HERE, INT64, 0)),
            While(HERE, prelude, condition, self.body(depth - 1, "loop")),
        ]

    def assign(self) -> Stmt:
        if self.random.random() < 0.1:
            return Assign(HERE, self.small, Cast(HERE, INT8, self.expr(1)))
        return Assign(HERE, self.random.choice((*self.names, self.n)), self.expr(2))

    def condition(self) -> Expr:
        left, right = self.expr(1), self.expr(1)
        if self.random.random() < (0.8 if self.calm else 0.2):
            left = self.uniform()
            right = Constant(HERE, INT64, self.random.choice([1, 2]))
        found = Compare(HERE, BOOL, self.random.choice(["lt", "eq", "ge"]), left, right)
        if self.random.random() < 0.2:
            return Logical(HERE, BOOL, self.random.choice(["and", "or"]), found, self.condition())
        return found

    def uniform(self) -> Expr:
        """1 or 2, and the same in the block or in a vector."""
        register = self.random.choice([("blockIdx", 0), ("threadIdx", 1)])
        return Binary(
            HERE, INT64, "mod", SpecialRegister(HERE, INT64, *register), Constant(HERE, INT64, 3)
        )

    def expr(self, depth: int) -> Expr:
        if depth == 0:
            return self.leaf()
        match self.pick(leaf=4, binary=8, unary=1, select=1, load=not self.calm, narrow=2):
            case "binary":
                op = self.random.choice(
                    ["add", "add", "sub", "mul"]
                    if self.calm
                    else ["add", "sub", "mul", "min", "max", "mod", "and"]
                )
                return Binary(HERE, INT64, op, self.expr(depth - 1), self.expr(depth - 1))
            case "unary":
                op = self.random.choice(["neg", "invert"])
                return Unary(HERE, INT64, op, self.expr(depth - 1))
            case "select":
                arms = self.expr(depth - 1), self.expr(depth - 1)
                return Select(HERE, INT64, self.condition(), *arms)
            case "load":
                size = Constant(HERE, INT64, len(DATA))
                index = Binary(HERE, INT64, "mod", self.expr(depth - 1), size)
                return Load(HERE, INT64, self.data, (index,))
            case "narrow":
                return Cast(HERE, INT64, Cast(HERE, INT8, self.expr(depth - 1)))
            case _:
                return self.leaf()

    def leaf(self) -> Expr:
        match self.pick(read=8, x=3, y=1, block=1, lane=1, constant=3, n=1, small=1):
            case "read":
                return Read(HERE, INT64, self.random.choice(self.names))
            case "x":
                return SpecialRegister(HERE, INT64, "threadIdx", 0)
            case "y":
                return SpecialRegister(HERE, INT64, "threadIdx", 1)
            case "block":
                return SpecialRegister(HERE, INT64, "blockIdx", 0)
            case "lane":
                return SpecialRegister(HERE, INT64, "laneid", 0)
            case "n":
                return Read(HERE, INT64, self.n)
            case "small":
                return Cast(HERE, INT64, Read(HERE, INT8, self.small))
            case _:
                return Constant(HERE, INT64, self.random.choice([0, 1, 2, 3, 7, -1, 126]))


# ---------------------------------------------------------------- meaning
@dataclass
class Thread:
    """One thread of the block and what it has seen: (statement, values of its expressions)."""

    x: int
    y: int
    width: int
    seen: list[tuple[Stmt, tuple[Any, ...]]] = field(default_factory=list)

    def value(self, expr: Expr, read: Any) -> Any:
        match expr:
            case Constant():
                return expr.value
            case Read():
                return read(expr)
            case SpecialRegister(register="threadIdx"):
                return (self.x, self.y)[expr.axis]
            case SpecialRegister(register="laneid"):
                return (self.y * self.width + self.x) % 32
            case SpecialRegister():
                return 5
            case Logical():
                left = self.value(expr.left, read)
                return self.value(expr.right, read) if left == (expr.op == "and") else left
            case Select():
                chosen = expr.then if self.value(expr.condition, read) else expr.orelse
                return self.value(chosen, read)
            case Cast():
                return cast(expr.operand.type, expr.type, self.value(expr.operand, read))
            case Load():
                return DATA[self.value(expr.indices[0], read)]
            case Unary():
                return evaluate(expr.op, (expr.type,), self.value(expr.operand, read))
            case Binary() | Compare():
                types: tuple[DType, ...] = (expr.left.type, expr.right.type)
                operands = self.value(expr.left, read), self.value(expr.right, read)
                return evaluate(expr.op, types, *operands)
        raise AssertionError(expr)


class Alone:
    """One thread after the other, a slot per name."""

    def __init__(self, kernel: Kernel, thread: Thread) -> None:
        self.thread, self.slots = thread, {v: 7 for v in kernel.params if isinstance(v, Var)}
        self.body(kernel.body)

    def see(self, stmt: Stmt) -> tuple[Any, ...]:
        values = tuple(
            self.thread.value(e, lambda r: self.slots.get(r.var, 0)) for e in expressions(stmt)
        )
        self.thread.seen.append((stmt, values))
        return values

    def body(self, body: Body) -> str:
        """How it ended: '', 'break', 'continue' or 'return'."""
        for stmt in body:
            end = self.stmt(stmt)
            if end:
                return end
        return ""

    def stmt(self, stmt: Stmt) -> str:
        match stmt:
            case Assign():
                self.slots[stmt.target] = self.see(stmt)[0]
            case If():
                return self.body(stmt.then if self.see(stmt)[0] else stmt.orelse)
            case Scope():
                end = self.body(stmt.body)
                return end if end == "return" else ""
            case For():
                for i in range(*self.see(stmt)):
                    self.slots[stmt.target] = i
                    end = self.body(stmt.body)
                    if end in ("break", "return"):
                        return end if end == "return" else ""
            case While():
                while not (end := self.body(stmt.prelude)) and self.see(stmt)[0]:
                    end = self.body(stmt.body)
                    if end in ("break", "return"):
                        return end if end == "return" else ""
                return end
            case Break():
                return "break"
            case Continue():
                return "continue"
            case Return():
                return "return"
        return ""


# ---------------------------------------------------------------- lockstep
Mask = frozenset[int]


@dataclass
class Frame:
    breaks: Mask = frozenset()
    continues: Mask = frozenset()


class Lockstep:
    """All threads of the block together, under masks, a slot per web."""

    def __init__(self, analysis: Analysis, threads: list[Thread], order: int) -> None:
        self.analysis, self.threads, self.random = analysis, threads, random.Random(order)
        width, lanes = analysis.shape.block[0], analysis.shape.lanes
        rows = [range(i, i + width) for i in range(0, len(threads), width)]
        if not analysis.shape.rowwise:
            rows = [range(len(threads))]
        self.vectors = [row[i : i + lanes] for row in rows for i in range(0, len(row), lanes)]
        self.slots: dict[Web, list[Any]] = {}
        for web in analysis.webs.webs:
            first = 7 if web.is_parameter else 0 if web.may_be_unassigned else RUBBISH
            self.slots[web] = [first] * len(threads)
        self.returned: Mask = frozenset()
        self.frames: list[Frame] = []
        self.body(analysis.kernel.body, frozenset(range(len(threads))))

    def write(self, web: Web, values: dict[int, Any]) -> None:
        kind = self.analysis.variability.webs[web]
        slot = self.slots[web]
        groups = [range(len(slot))] if kind.level is Level.BLOCK_UNIFORM else self.vectors
        for group in groups:
            active = [t for t in group if t in values]
            if not active:
                continue
            if kind.is_uniform or kind.level is Level.LINEAR:
                base = values[active[0]] - active[0] * kind.stride
                for t in group:
                    slot[t] = cast(INT64, web.var.type, base + t * kind.stride)
            else:
                for t in group:
                    if t in values:
                        slot[t] = values[t]
                    elif web not in self.analysis.variability.blended:
                        slot[t] = RUBBISH

    def see(self, stmt: Stmt, mask: Mask) -> dict[int, tuple[Any, ...]]:
        reads = self.analysis.webs.reads
        found = {}
        for t in sorted(mask):
            thread = self.threads[t]
            found[t] = tuple(
                thread.value(e, lambda r, t=t: self.slots[reads[r]][t]) for e in expressions(stmt)
            )
            thread.seen.append((stmt, found[t]))
        return found

    def together(self, stmt: Stmt, mask: Mask) -> None:
        """Those that run a statement are as close as it was said."""
        control = self.analysis.variability.control(stmt)
        left = frozenset(range(len(self.threads))) - self.returned
        groups = {Level.BLOCK_UNIFORM: [range(len(self.threads))]}.get(control, self.vectors)
        if control is not Level.VARYING and mask:
            for group in groups:
                assert left & set(group) & mask in (frozenset(), left & set(group))

    def body(self, body: Body, mask: Mask) -> Mask:
        for stmt in body:
            if mask:
                self.together(stmt, mask)
                mask = self.stmt(stmt, mask)
        return mask

    def stmt(self, stmt: Stmt, mask: Mask) -> Mask:
        definitions = self.analysis.webs.definitions
        match stmt:
            case Assign():
                seen = self.see(stmt, mask)
                self.write(definitions[stmt, stmt.target], {t: v[0] for t, v in seen.items()})
            case If():
                seen = self.see(stmt, mask)
                then = frozenset(t for t in mask if seen[t][0])
                arms = [(stmt.then, then), (stmt.orelse, mask - then)]
                returning = [always_returns(arm) for arm, _ in arms]
                # Who returns in the other arm counts no more; else any order must do.
                if returning[1] or (not returning[0] and self.random.random() < 0.5):
                    arms.reverse()
                return frozenset().union(*(self.body(arm, m) for arm, m in arms))
            case Scope():
                self.frames.append(Frame())
                end = self.body(stmt.body, mask)
                return end | self.frames.pop().breaks
            case For():
                return self.for_(stmt, mask)
            case While():
                return self.while_(stmt, mask)
            case Break():
                self.frames[-1].breaks |= mask
                return frozenset()
            case Continue():
                self.frames[-1].continues |= mask
                return frozenset()
            case Return():
                self.returned |= mask
                return frozenset()
        return mask

    def for_(self, stmt: For, mask: Mask) -> Mask:
        ranges = {t: range(*bounds) for t, bounds in self.see(stmt, mask).items()}
        web = self.analysis.webs.definitions[stmt, stmt.target]
        self.frames.append(Frame())
        done: Mask = frozenset()
        for step in range(max(map(len, ranges.values()))):
            done |= frozenset(t for t in mask if step >= len(ranges[t]))
            mask -= done
            self.write(web, {t: ranges[t][step] for t in mask})
            self.frames[-1].continues = frozenset()
            mask = self.body(stmt.body, mask) | self.frames[-1].continues
        return done | mask | self.frames.pop().breaks

    def while_(self, stmt: While, mask: Mask) -> Mask:
        self.frames.append(Frame())
        done: Mask = frozenset()
        rounds = 0
        while mask:
            rounds += 1
            assert rounds < 10
            mask = self.body(stmt.prelude, mask)
            seen = self.see(stmt, mask)
            done |= frozenset(t for t in mask if not seen[t][0])
            self.frames[-1].continues = frozenset()
            mask = self.body(stmt.body, mask - done) | self.frames[-1].continues
        return done | self.frames.pop().breaks


SHAPES = [
    Shape((8, 2, 1), 4),
    Shape((6, 2, 1), 4),
    Shape((3, 4, 1), 4, rowwise=False),
    Shape((5, 1, 1), 8, rowwise=False),
    Shape((3, 2, 1)),
]
TALLY: Counter[str] = Counter()


def run(kernel: Kernel, shape: Shape, order: int = 0) -> None:
    analysis = analyse(verify(kernel), shape)
    width, height, _ = shape.block
    alone, together = (
        [Thread(x, y, width) for y in range(height) for x in range(width)] for _ in "ab"
    )
    for thread in alone:
        Alone(kernel, thread)
    Lockstep(analysis, together, order)
    for a, b in zip(alone, together, strict=True):
        assert a.seen == b.seen
    TALLY.update(kind.level.name for kind in analysis.variability.webs.values())
    TALLY["blended"] += len(analysis.variability.blended)
    TALLY["split"] += len(analysis.webs.webs) > len({w.var for w in analysis.webs.webs})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_kernels_keep_their_meaning_in_lockstep(shape: Shape) -> None:
    for seed in range(200):
        kernel = Generator(seed).kernel()
        try:
            run(kernel, shape)
        except AssertionError as error:
            error.add_note(f"seed {seed}, {shape}")
            raise


# ---------------------------------------------------------------- what random kernels seldom do
def the_first_arm_assigns_what_the_second_needs(a, n):
    x = n
    if threadIdx.x < 2:
        for _ in range(2):
            x += 1
    else:
        y = x
        z = y


def the_second_arm_assigns_what_the_first_needs(a, n):
    x = n
    if threadIdx.x < 2:
        y = x
        z = y
    else:
        for _ in range(2):
            x += 1


def who_returns_assigns_what_the_others_need(a, n):
    x = n
    if threadIdx.x < 2:
        for _ in range(2):
            x += 1
        return
    y = x
    z = y


def who_breaks_assigns_what_those_need_who_continue(a, n):
    x = n
    for k in range(3):
        y = x
        x = k
        if threadIdx.x < 2:
            continue
        for _ in range(2):
            x += 5
        break
    z = y


def who_returns_assigns_what_those_need_who_break(a, n):
    x = n
    for k in range(3):
        if threadIdx.x < 2:
            break
    else:
        for _ in range(2):
            x += 1
        return
    y = x
    z = y


def a_narrow_value_wraps_between_lanes(a, n):
    x = numpy.int8(threadIdx.x + 126)
    y = numpy.int64(x)
    z = y


def a_step_that_varies(a, n):
    for k in range(threadIdx.x, 20, 1 + threadIdx.x):
        x = k
    for k in range(n, 20, 1 + threadIdx.x):
        x = k


def a_name_is_linear_on_one_way_only(a, n):
    x = n
    y = x
    if n > 3:
        x = threadIdx.x
    y = x
    if n > 9:
        x = 2 * threadIdx.x
    z = x


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    "function",
    [
        the_first_arm_assigns_what_the_second_needs,
        the_second_arm_assigns_what_the_first_needs,
        who_returns_assigns_what_the_others_need,
        who_breaks_assigns_what_those_need_who_continue,
        who_returns_assigns_what_those_need_who_break,
        a_narrow_value_wraps_between_lanes,
        a_step_that_varies,
        a_name_is_linear_on_one_way_only,
    ],
    ids=lambda f: f.__name__,
)
def test_kernels_keep_their_meaning_in_lockstep(parsed, function: Any, shape: Shape) -> None:
    for order in range(4):
        run(parsed(function), shape, order)


def test_the_random_kernels_show_every_kind() -> None:
    for seed in range(60):
        run(Generator(seed).kernel(), SHAPES[0])
    assert all(TALLY[level.name] > 5 for level in Level), TALLY
    assert TALLY["blended"] > 50
    assert TALLY["split"] > 20
