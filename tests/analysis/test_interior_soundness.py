"""What ranges and interior blocks claim, held against execution, on random kernels.

The kernels do index arithmetic in all integer types, with guards, clamps and loops, on sizes and
values that wrap around. Each thread runs by itself: what it stores, in which order, is its trace.
An index that is claimed never to be negative must not be; where a block meets the conditions, the
interior version must leave the same trace.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from kernelkit.analysis.interior import find_interior
from kernelkit.analysis.ranges import never_negative
from kernelkit.analysis.shape import Block, Shape
from kernelkit.errors import Span
from kernelkit.frontend.builtins import grid
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
    Extent,
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
    Store,
    Unary,
    Var,
    While,
)
from kernelkit.ir.scalar import cast, evaluate
from kernelkit.ir.types import (
    BOOL,
    INT8,
    INT16,
    INT32,
    INT64,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    ArrayType,
    DType,
)  # fmt: skip
from kernelkit.ir.verify import verify

HERE = Span(__file__, 1)
TYPES = (INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64)
ARRAY = ArrayVar("a", ArrayType(INT64, 2))
BYTES = ArrayVar("bytes", ArrayType(UINT8, 1))
#: Values of scalar parameters: sizes that make sense, and those that wrap around soon.
SIZES: dict[DType, Sequence[int]] = {
    INT64: (0, 1, 5, 9, 12, 30, -1, -3, 2**31, 2**40, 2**40 + 1, -(2**40), 2**62, 2**63 - 1, -(2**63)),
    INT32: (0, 1, 5, 9, 20, -1, 2**31 - 1, -(2**31)),
    UINT64: (0, 1, 5, 9, 2**40, 2**63, 2**64 - 1),
}  # fmt: skip
BLOCKS: tuple[Block, ...] = ((4, 2, 1), (3, 1, 1), (8, 1, 1), (1, 4, 1))
GRIDS: tuple[Block, ...] = ((3, 2, 1), (4, 1, 1), (2, 3, 1))
#: Iterations of all loops of a thread.
FUEL = 50


# ---------------------------------------------------------------- random kernels
class Generator:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.places = [Var("x", INT64), Var("y", INT64), Var("z", INT64)]
        self.names = [*self.places, *(Var(f"v_{t}", t) for t in TYPES if t != INT64)]
        self.truths = [Var("p", BOOL), Var("q", BOOL)]
        self.sizes = [Var("n", INT64), Var("r", INT64), Var("m", INT32), Var("k", UINT64)]

    def kernel(self) -> Kernel:
        body: list[Stmt] = []
        for axis, var in enumerate(self.places[:2]):
            start = self.binary(
                "mul", self.register("blockIdx", axis), self.register("blockDim", axis)
            )
            body.append(
                Assign(HERE, var, self.binary("add", start, self.register("threadIdx", axis)))
            )
        body += self.body(3, "")
        # A name that is read must be assigned somewhere, be it too late.
        body += [Assign(HERE, v, Constant(HERE, v.type, 0)) for v in self.names]
        body += [Assign(HERE, v, Constant(HERE, BOOL, False)) for v in self.truths]
        params = (*self.sizes, ARRAY, BYTES)
        return verify(Kernel("random", params, tuple(body), HERE, Options()))

    def pick(self, **weights: int) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def chance(self, percent: int) -> bool:
        return self.random.random() * 100 < percent

    # ------------------------------------------------------------ statements
    def body(self, depth: int, around: str) -> Body:
        return tuple(self.stmt(depth, around) for _ in range(self.random.randint(1, 4)))

    def stmt(self, depth: int, around: str) -> Stmt:
        nested = {"if_": 6, "mend": 3, "for_": 3, "while_": 2, "scope": 1} if depth else {}
        jumps = {"break_": bool(around), "continue_": around == "loop", "return_": depth < 3}
        match self.pick(assign=5, step=2, truth=1, store=5, **nested, **jumps):
            case "assign":
                target = self.random.choice(self.names)
                return Assign(HERE, target, self.expr(target.type, 2))
            case "step":
                target = self.random.choice(self.names)
                op = self.random.choice(["add", "sub"])
                more = self.expr(target.type, 0)
                return Assign(HERE, target, Binary(HERE, target.type, op, self.read(target), more))
            case "truth":
                return Assign(HERE, self.random.choice(self.truths), self.condition(2))
            case "store":
                return Store(HERE, ARRAY, (self.index(), self.index()), self.expr(INT64, 2))
            case "if_":
                orelse = self.body(depth - 1, around) if self.chance(40) else ()
                return If(HERE, self.condition(2), self.body(depth - 1, around), orelse)
            case "mend":
                target = self.random.choice(self.names[:5])
                beyond = self.compare(self.read(target), self.expr(target.type, 0))
                return If(HERE, beyond, (Assign(HERE, target, self.expr(target.type, 1)),), ())
            case "for_":
                target = self.random.choice(self.places)
                return For(HERE, target, *self.bounds(), self.body(depth - 1, "loop"))
            case "while_":
                return self.while_(depth)
            case "scope":
                return Scope(HERE, "", self.body(depth - 1, "scope"))
            case "break_":
                return If(HERE, self.condition(1), (Break(HERE),), ())
            case "continue_":
                return If(HERE, self.condition(1), (Continue(HERE),), ())
            case _:
                return If(HERE, self.condition(1), (Return(HERE),), ())

    def bounds(self) -> tuple[Expr, Expr, Expr]:
        if self.chance(40):
            numbers = self.random.randint(-3, 3), self.random.randint(-3, 9)
            start, stop, step = *numbers, self.random.choice([1, 2, 3, -1, -2])
            return self.number(start), self.number(stop), self.number(step)
        if self.chance(70):
            start = self.random.choice([self.number(0), self.leaf(INT64)])
            steps = self.number(1), self.number(4), self.number(-1), self.register("blockDim", 0)
            return start, self.leaf(INT64), self.random.choice(steps)
        return self.expr(INT64, 1), self.expr(INT64, 1), self.expr(INT64, 1)

    def while_(self, depth: int) -> Stmt:
        var = self.random.choice(self.names[:5])
        op = self.random.choice(["add", "sub", "floordiv", "shr"])
        by = self.random.choice([self.number(1, var.type), self.expr(var.type, 0)])
        step = Assign(HERE, var, Binary(HERE, var.type, op, self.read(var), by))
        going_on = self.compare(self.read(var), self.expr(var.type, 1))
        prelude = self.body(0, "") if self.chance(30) else ()
        return While(HERE, prelude, going_on, (*self.body(depth - 1, "loop"), step))

    # ------------------------------------------------------------ expressions
    def number(self, value: int, dtype: DType = INT64) -> Expr:
        return Constant(HERE, dtype, value)

    def read(self, var: Var) -> Expr:
        return Read(HERE, var.type, var)

    def register(self, name: str, axis: int) -> Expr:
        return SpecialRegister(HERE, INT64, name, axis)

    def binary(self, op: str, left: Expr, right: Expr) -> Expr:
        return Binary(HERE, left.type, op, left, right)

    def compare(self, left: Expr, right: Expr) -> Expr:
        op = self.random.choice(["lt", "le", "gt", "ge", "lt", "ge", "eq", "ne"])
        return Compare(HERE, BOOL, op, left, right)

    def index(self) -> Expr:
        dtype = self.random.choice([INT64, INT64, INT64, INT32, INT8, UINT32])
        return self.expr(dtype, self.random.randint(0, 2))

    def leaf(self, dtype: DType) -> Expr:
        known = [v for v in (*self.names, *self.sizes) if v.type == dtype]
        match self.pick(read=5 if known else 0, register=2, extent=2, small=3, edge=1):
            case "read":
                return self.read(self.random.choice(known))
            case "small":
                values = [v for v in (0, 1, 2, 3, 4, 7, -1, -2) if v >= dtype.minimum]
                return self.number(self.random.choice(values), dtype)
            case "edge":
                edges = (dtype.minimum, dtype.maximum, dtype.maximum - 1, dtype.maximum // 2 + 1)
                return self.number(self.random.choice(edges), dtype)
            case "extent":
                found: Expr = Extent(HERE, INT64, ARRAY, self.random.randint(0, 1))
            case _:
                name = self.random.choice(
                    ["threadIdx", "blockIdx", "gridDim", "blockDim", "laneid"]
                )
                found = self.register(name, 0 if name == "laneid" else self.random.randint(0, 1))
        return found if dtype == INT64 else Cast(HERE, dtype, found)

    def expr(self, dtype: DType, depth: int) -> Expr:
        if depth == 0:
            return self.leaf(dtype)
        match self.pick(leaf=3, cast=3, unary=1, select=1, load=dtype == UINT8, binary=12):
            case "leaf":
                return self.leaf(dtype)
            case "cast":
                source = self.random.choice([t for t in (*TYPES, BOOL) if t != dtype])
                inner = self.condition(1) if source == BOOL else self.expr(source, depth - 1)
                return Cast(HERE, dtype, inner)
            case "unary":
                op = self.random.choice(["neg", "invert", "abs"])
                return Unary(HERE, dtype, op, self.expr(dtype, depth - 1))
            case "select":
                arms = self.expr(dtype, depth - 1), self.expr(dtype, depth - 1)
                return Select(HERE, dtype, self.condition(1), *arms)
            case "load":
                return Load(HERE, UINT8, BYTES, (self.index(),))
        op = self.pick(
            add=6, sub=4, mul=4, min=4, max=4, mod=4, floordiv=2, shl=1, shr=1, xor=1, pow=1,
            **{"and": 2, "or": 1},
        )  # fmt: skip
        right = self.number(2, dtype) if op == "pow" else self.expr(dtype, depth - 1)
        return self.binary(op, self.expr(dtype, depth - 1), right)

    def condition(self, depth: int) -> Expr:
        match self.pick(logical=2 * depth, invert=depth, truth=1, place=4, compare=3):
            case "logical":
                both = self.condition(depth - 1), self.condition(depth - 1)
                return Logical(HERE, BOOL, self.random.choice(["and", "or"]), *both)
            case "invert":
                return Unary(HERE, BOOL, "not", self.condition(depth - 1))
            case "truth":
                return self.read(self.random.choice(self.truths))
            case "place":
                bound = self.random.choice([self.leaf(INT64), self.number(0), self.expr(INT64, 1)])
                return self.compare(self.read(self.random.choice(self.places[:2])), bound)
        dtype = self.random.choice(TYPES)
        return self.compare(self.expr(dtype, min(depth, 1)), self.expr(dtype, min(depth, 1)))


# ---------------------------------------------------------------- threads
class Jump(Exception):
    """A Break, Continue or Return, or the end of the fuel (None)."""

    def __init__(self, stmt: Stmt | None) -> None:
        self.stmt = stmt


@dataclass
class Thread:
    """One thread. `registers` hold the values on all axes."""

    registers: Mapping[str, Sequence[int]]
    extents: Mapping[ArrayVar, Sequence[int]]
    names: dict[Var, Any]
    claimed: Collection[Expr] = ()
    trace: list[Any] = field(default_factory=list)

    def run(self, body: Body) -> list[Any]:
        try:
            self.body(body)
        except Jump as jump:
            self.trace.append(type(jump.stmt))
        return self.trace

    def indices(self, indices: Sequence[Expr]) -> tuple[int, ...]:
        values = tuple(map(self.value, indices))
        for index, value in zip(indices, values, strict=True):
            assert value >= 0 or index not in self.claimed, (index, value)
        return values

    def value(self, expr: Expr) -> Any:
        match expr:
            case Constant():
                return expr.value
            case Read():
                return self.names.get(expr.var, 0)
            case SpecialRegister():
                return self.registers[expr.register][expr.axis]
            case Extent():
                return self.extents[expr.array][expr.axis]
            case Load():
                return hash(self.indices(expr.indices)) % 256
            case Logical():
                left = self.value(expr.left)
                return self.value(expr.right) if left == (expr.op == "and") else left
            case Select():
                return self.value(expr.then if self.value(expr.condition) else expr.orelse)
            case Cast():
                return cast(expr.operand.type, expr.type, self.value(expr.operand))
            case Unary():
                return evaluate(expr.op, (expr.operand.type,), self.value(expr.operand))
            case Binary() | Compare():
                operands = self.value(expr.left), self.value(expr.right)
                return evaluate(expr.op, (expr.left.type, expr.right.type), *operands)
        raise AssertionError(expr)

    def body(self, body: Body) -> None:
        for stmt in body:
            self.stmt(stmt)

    def stmt(self, stmt: Stmt) -> None:
        match stmt:
            case Assign():
                self.names[stmt.target] = self.value(stmt.value)
            case Store():
                self.trace.append((self.indices(stmt.indices), self.value(stmt.value)))
            case If():
                self.body(stmt.then if self.value(stmt.condition) else stmt.orelse)
            case For():
                bounds = [self.value(e) for e in (stmt.start, stmt.stop, stmt.step)]
                for number in range(*bounds) if bounds[2] else ():
                    self.names[stmt.target] = number
                    if not self.goes_on(stmt.body):
                        break
            case While():
                self.body(stmt.prelude)
                while self.value(stmt.condition) and self.goes_on(stmt.body):
                    self.body(stmt.prelude)
            case Scope():
                try:
                    self.body(stmt.body)
                except Jump as jump:
                    if not isinstance(jump.stmt, Break):
                        raise
            case Break() | Continue() | Return():
                raise Jump(stmt)
            case _:
                raise AssertionError(stmt)

    def goes_on(self, body: Body) -> bool:
        """One iteration; whether another may follow."""
        self.trace.append("iteration")
        if self.trace.count("iteration") > FUEL:
            raise Jump(None)
        try:
            self.body(body)
        except Jump as jump:
            if not isinstance(jump.stmt, Break | Continue):
                raise
            return isinstance(jump.stmt, Continue)
        return True


# ---------------------------------------------------------------- launches
Sizes = Mapping[Var, int]
Extents = Mapping[ArrayVar, Sequence[int]]


def launch(kernel: Kernel, block: Block, grid: Block, sizes: Sizes, extents: Extents) -> int:
    """Runs the kernel on these arguments; the number of blocks that met the conditions."""
    claimed, interior = never_negative(kernel, Shape(block)), find_interior(kernel, Shape(block))
    if interior is not None:
        verify(interior.kernel)
    met = 0
    for place in itertools.product(*map(range, grid)):
        registers = {"blockIdx": place, "gridDim": grid, "blockDim": block}
        asked = Thread(registers, extents, dict(sizes))
        inside = interior is not None and all(map(asked.value, interior.conditions))
        met += inside
        for x, y in itertools.product(range(block[0]), range(block[1])):
            own = {**registers, "threadIdx": (x, y, 0), "laneid": ((y * block[0] + x) % 32,)}
            trace = Thread(own, extents, dict(sizes), claimed).run(kernel.body)
            if inside and interior is not None:
                thread = Thread(own, extents, dict(sizes), interior.never_negative)
                assert thread.run(interior.kernel.body) == trace
    return met


@pytest.fixture(autouse=True)
def no_giving_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel nested too deeply is given up, which would hide a recursion without end."""
    for module in ("ranges", "interior"):
        monkeypatch.setattr(f"kernelkit.analysis.{module}.RecursionError", KeyError, raising=False)


@pytest.mark.parametrize("first", range(0, 80, 10))
def test_claims_hold_on_random_kernels(first: int) -> None:
    met = 0
    for seed in range(first, first + 10):
        kernel, chosen = Generator(seed).kernel(), random.Random(seed)
        block = chosen.choice(BLOCKS)
        for wild in (False, True):
            sizes = {
                p: chosen.choice([v for v in SIZES[p.type] if wild or abs(v) < 1 << 41])
                for p in kernel.params
                if isinstance(p, Var)
            }
            rows, columns = chosen.choice((0, 1, 2, 5, 9, 17, 40)), chosen.choice((0, 1, 3, 8, 33))
            extents = {ARRAY: (rows, columns), BYTES: (chosen.choice((0, 4, 256)),)}
            met += launch(kernel, block, chosen.choice(GRIDS), sizes, extents)
    assert met > 5


# ---------------------------------------------------------------- parameters that break promises
def added(a, n):
    i = grid(1)
    if i + n < a.size:
        a[0] = 1
    if i - n < a.size:
        a[1] = 1


def chosen_by_data(a, n):
    if (n if a[0] > 3 else 5) <= 1 << 41:
        a[grid(1)] = 1


def clamped(a, n):
    a[min(n, 1 << 41)] = 1
    a[max(3 * n, -(1 << 60))] = 1
    a[(n & 7) + 1] = 1
    a[n % (1 << 50)] = 1


def looped(a, n):
    last = 0
    for c in range(n - 60, n):
        last = c
        if c < 1 << 41:
            a[c] = 1
    if last <= 1 << 41:
        a[1] = last
    k = 0
    for _ in range(n):
        k += 1
        if k <= 1 << 41:
            a[k] = 1
    while k < 50:
        k = min(k + 1, n)
        a[k] = 1
    if k <= 1 << 41:
        a[2] = k


def multiplied(a, n, m):
    i = grid(1)
    if n * m + i < a.size:
        a[n * m] = 1
    if i * n < m:
        a[i * n - m] = 1


def taken_apart(a, n, m):
    i = grid(1)
    if n > m:
        a[(i + n) % m] = 1
        a[abs(i + n) // 2] = 1
    inside = 0 <= i + n < m
    if inside:
        a[i + n] = 1
    x = n + 1 if n > i else m - 1
    if x > i:
        a[x] = 1


PROMISING = (added, chosen_by_data, clamped, looped, multiplied, taken_apart)


@pytest.mark.parametrize("function", PROMISING, ids=lambda f: f.__name__)
def test_parameters_may_break_promises(parsed: Any, function: Any) -> None:
    kernel = parsed(function)
    names = [p for p in kernel.params if isinstance(p, Var)]
    (array,) = (p for p in kernel.params if isinstance(p, ArrayVar))
    met = 0
    for values in itertools.product(SIZES[INT64], repeat=len(names)):
        sizes = dict(zip(names, values, strict=True))
        met += launch(kernel, (3, 1, 1), (2, 1, 1), sizes, {array: (12,)})
    assert met
