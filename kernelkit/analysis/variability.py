"""The kind of every web and expression, and where the threads of a block part ways.

In: a kernel, its shape, webs and barrier phases. Out: Variability.
Holds: kinds only rise until nothing changes, so the last round saw final kinds everywhere. A
`return` parts nobody: threads that have returned no longer count, nor do those that do nothing but
return in the other arm of an If. An expression node in several places has one kind, good for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from kernelkit.analysis import kinds as of
from kernelkit.analysis.kinds import BLOCK_UNIFORM, VARYING, VECTOR_UNIFORM, Kind, Level
from kernelkit.analysis.operands import operands_first
from kernelkit.analysis.phases import Phases
from kernelkit.analysis.shape import Shape
from kernelkit.analysis.webs import Place, Web, Webs
from kernelkit.ir.nodes import (
    ArrayVar,
    Assign,
    Atomic,
    Barrier,
    Binary,
    Body,
    Break,
    Cast,
    Constant,
    Continue,
    Expr,
    For,
    If,
    Intrinsic,
    Kernel,
    Load,
    Read,
    Return,
    Scope,
    Select,
    SpecialRegister,
    Stmt,
    Unary,
    Var,
    View,
    Warp,
    While,
    children,
    expressions,
    walk,
)
from kernelkit.ir.types import AddressSpace
from kernelkit.records import record

FULL_MASK = 0xFFFFFFFF


@record
class Cause:
    """Why not all threads of the block run a statement together: an If or a loop around it, or a
    Break or Continue before it. `behind`: why only some threads come to that jump."""

    stmt: Stmt
    level: Level
    behind: tuple[Cause, ...] = ()


Causes = tuple[Cause, ...]


@record
class Variability:
    """`views`: the kind of where a view starts. `divergence`: how threads part at an If (its condition), a For or While (in number of
    iterations) and a Scope (in where they leave it). `continues`: how they part within an
    iteration of a loop. `jumps`: at END the jumps by which only some threads leave a loop or Scope, at
    NEXT those by which only some go on with the next iteration. `causes`: per statement, outermost first; empty: all threads of the block run it together.
    `blended`: the webs to which some threads assign while others still need the old value, so that
    an assignment must not touch idle lanes."""

    kinds: Mapping[Expr, Kind]
    webs: Mapping[Web, Kind]
    views: Mapping[ArrayVar, Kind]
    divergence: Mapping[Stmt, Level]
    continues: Mapping[Stmt, Level]
    jumps: Mapping[tuple[Stmt, Place], Causes]
    causes: Mapping[Stmt, Causes]
    blended: frozenset[Web]

    def control(self, stmt: Stmt) -> Level:
        """How the threads that run a statement are apart: BLOCK_UNIFORM, all run it together."""
        return _level(self.causes[stmt])


def find_variability(kernel: Kernel, shape: Shape, webs: Webs, phases: Phases) -> Variability:
    solver = _Solver(kernel, shape, webs, phases)
    solver.solve()
    return Variability(
        kinds={e: kind or VARYING for e, kind in solver.kinds.items()},
        webs={w: kind or BLOCK_UNIFORM for w, kind in solver.webs.items()},
        views={array: kind or VARYING for array, kind in solver.starts.items()},
        divergence=solver.divergence,
        continues=solver.continues,
        jumps=solver.jumps,
        causes=solver.causes,
        blended=frozenset(web for web in webs.webs if solver.merging(web) is Level.VARYING),
    )


def _level(causes: Causes) -> Level:
    return max((c.level for c in causes), default=Level.BLOCK_UNIFORM)


def always_returns(body: Body) -> bool:
    """Whether every thread that enters returns, without a barrier or another way out."""
    if any(isinstance(s, Barrier | Break | Continue) for s in walk(body)) or not body:
        return False
    last = body[-1]
    if isinstance(last, If):
        return always_returns(last.then) and always_returns(last.orelse)
    return isinstance(last, Return)


def left_alone(stmt: If) -> tuple[bool, bool]:
    """For each arm whether those in the other one do nothing but return, and it does not."""
    then, orelse = always_returns(stmt.then), always_returns(stmt.orelse)
    return orelse and not then, then and not orelse


@record(frozen=False)
class _Frame:
    """A breakable statement while its body is walked: `outside` is how many causes were there
    before it, so those after it say which of its threads come to a jump."""

    stmt: For | While | Scope
    outside: int
    jumps: dict[Place, list[Cause]] = field(default_factory=lambda: {p: [] for p in Place})


class _Solver:
    """Rounds over the kernel in program order; None is a kind not known yet."""

    def __init__(self, kernel: Kernel, shape: Shape, webs: Webs, phases: Phases) -> None:
        self.kernel, self.shape, self.phases = kernel, shape, phases
        self.names = webs
        self.registers = of.registers(shape)
        self.in_warp = of.stays_in_warp(shape)
        self.returns = any(isinstance(s, Return) for s in walk(kernel.body))
        self.left_alone = {s: left_alone(s) for s in walk(kernel.body) if isinstance(s, If)}
        self.order = {s: operands_first(expressions(s)) for s in walk(kernel.body)}
        self.kinds: dict[Expr, Kind | None] = {}
        # Arguments are the same in all threads, and so is the zero of a name without a value.
        self.webs: dict[Web, Kind | None] = {
            w: BLOCK_UNIFORM if w.is_parameter or w.may_be_unassigned else None for w in webs.webs
        }
        #: Where views start.
        self.starts: dict[ArrayVar, Kind | None] = {}
        self.divergence: dict[Stmt, Level] = {}
        self.continues: dict[Stmt, Level] = {}
        self.tables = dict.fromkeys(Place, self.divergence) | {Place.NEXT: self.continues}
        self.jumps: dict[tuple[Stmt, Place], Causes] = {}
        self.causes: dict[Stmt, Causes] = {}
        self.frames: list[_Frame] = []
        self.changed = True

    def solve(self) -> None:
        while self.changed:
            self.changed = False
            self.body(self.kernel.body, ())
            for web, kind in self.webs.items():
                if kind is not None:
                    self.raise_web(web, of.merged(kind, self.merging(web)))

    # ------------------------------------------------------------ what rises
    def raise_web(self, web: Web, kind: Kind | None) -> None:
        if kind is None:
            return
        old = self.webs[web]
        new = kind if old is None else of.join(old, kind)
        if new != old:
            self.webs[web] = new
            self.changed = True

    def raise_level(self, table: dict[Stmt, Level], stmt: Stmt, level: Level) -> None:
        if level > table.get(stmt, Level.BLOCK_UNIFORM):
            self.changed = True
        table[stmt] = max(level, table.get(stmt, Level.BLOCK_UNIFORM))

    def merging(self, web: Web) -> Level:
        """How apart the threads are whose values of a web come together somewhere."""
        levels = (self.tables[m.place].get(m.stmt, Level.BLOCK_UNIFORM) for m in web.merges)
        return max(levels, default=Level.BLOCK_UNIFORM)

    # ------------------------------------------------------------ statements
    def body(self, body: Body, causes: Causes) -> Causes:
        """Walks a body that starts under `causes`; gives those that jumps in it add behind them."""
        added: Causes = ()
        for stmt in body:
            added = _union(added, self.stmt(stmt, _union(causes, added)))
        return added

    def stmt(self, stmt: Stmt, causes: Causes) -> Causes:
        self.causes[stmt] = causes
        match stmt:
            case If():
                return self.branch(stmt, causes)
            case For() | While():
                self.loop(stmt, causes)
            case Scope():
                self.raise_level(self.divergence, stmt, Level.BLOCK_UNIFORM)
                self.enter(stmt, causes)
                self.body(stmt.body, causes)
                self.leave()
            case Break() | Continue():
                return self.jump(stmt, causes)
            case _:
                self.evaluate(stmt)
                self.effects(stmt)
        return ()

    def branch(self, stmt: If, causes: Causes) -> Causes:
        self.evaluate(stmt)
        self.raise_level(self.divergence, stmt, self.control(stmt.condition))
        level = self.divergence[stmt]
        inside = causes if level is Level.BLOCK_UNIFORM else (*causes, Cause(stmt, level))
        # Where the others return, those that are left are all there are.
        then, orelse = (causes if alone else inside for alone in self.left_alone[stmt])
        return _union(self.body(stmt.then, then), self.body(stmt.orelse, orelse))

    def loop(self, loop: For | While, causes: Causes) -> None:
        level = self.divergence.get(loop, Level.BLOCK_UNIFORM)
        inside = causes
        if level is not Level.BLOCK_UNIFORM:
            inside = (*causes, Cause(loop, level))
        self.enter(loop, inside)
        added: Causes = ()
        if isinstance(loop, While):
            added = self.body(loop.prelude, inside)
        self.evaluate(loop)
        count = max(self.control(e) for e in expressions(loop))
        self.raise_level(self.divergence, loop, max(count, _level(added)))
        self.raise_level(self.continues, loop, Level.BLOCK_UNIFORM)
        if isinstance(loop, For):
            self.define(loop, loop.target, self.counter(loop))
        self.body(loop.body, _union(inside, added))
        self.leave()

    def enter(self, stmt: For | While | Scope, causes: Causes) -> None:
        self.frames.append(_Frame(stmt, len(causes)))

    def leave(self) -> None:
        frame = self.frames.pop()
        for place, jumps in frame.jumps.items():
            self.jumps[frame.stmt, place] = tuple(jumps)

    def jump(self, jump: Break | Continue, causes: Causes) -> Causes:
        frame = self.frames[-1]
        behind = causes[frame.outside :]
        level = _level(behind)
        if level is Level.BLOCK_UNIFORM:
            return ()
        cause = Cause(jump, level, behind)
        place = Place.END if isinstance(jump, Break) else Place.NEXT
        frame.jumps[place].append(cause)
        self.raise_level(self.tables[place], frame.stmt, level)
        # A divergent break makes its whole loop divergent.
        loop_left = place is Place.END and not isinstance(frame.stmt, Scope)
        return () if loop_left else (cause,)

    def effects(self, stmt: Stmt) -> None:
        match stmt:
            case Assign():
                self.define(stmt, stmt.target, self.kinds[stmt.value])
            case Barrier() if stmt.result is not None:
                self.define(stmt, stmt.result, BLOCK_UNIFORM)
            case Atomic() if stmt.result is not None:
                self.define(stmt, stmt.result, VARYING)
            case Warp():
                for result in stmt.results:
                    self.define(stmt, result, self.exchanged(stmt))
            case View():
                self.starts[stmt.target] = self.place(stmt)
            case _:
                pass

    def define(self, stmt: Stmt, var: Var, kind: Kind | None) -> None:
        self.raise_web(self.names.definitions[stmt, var], kind)

    def counter(self, loop: For) -> Kind | None:
        start, step = self.kinds[loop.start], self.kinds[loop.step]
        if start is None or step is None:
            return None
        if start.is_uniform or not step.is_uniform:
            return of.all_uniform((start, step))
        return start if start.level is Level.LINEAR else VARYING

    def exchanged(self, warp: Warp) -> Kind | None:
        """The kind of what a warp operation gives."""
        mask = None if warp.mask is None else self.kinds[warp.mask]
        shared = VECTOR_UNIFORM if self.in_warp else VARYING
        if warp.op == "activemask":
            return shared
        if warp.op in ("all", "any", "eq", "ballot", "match_all"):
            return shared if mask is not None and mask.is_uniform else VARYING
        if not warp.op.startswith("shfl"):
            return VARYING
        value = self.kinds[warp.operands[0]]
        if value is None or value.level is Level.BLOCK_UNIFORM:
            return value
        whole_warp = self.in_warp and self.shape.lanes == 32
        if value.is_uniform and whole_warp:
            return value
        return shared if warp.op == "shfl" and self.from_one_lane(warp) else VARYING

    def from_one_lane(self, warp: Warp) -> bool:
        """Whether every lane surely gets the value of the same lane: one that is there."""
        mask, lane = warp.mask, warp.operands[1]
        if not isinstance(mask, Constant) or mask.value != FULL_MASK or self.returns:
            return False
        if _level(self.causes[warp]) > Level.VECTOR_UNIFORM:
            return False  # those that do not come this way may be at the kernel's end already
        width, height, depth = self.shape.block
        tail = width * height * depth % 32
        if isinstance(lane, Constant) and isinstance(lane.value, int):
            return tail == 0 or lane.value % 32 < tail
        kind = self.kinds[lane]
        return tail == 0 and kind is not None and kind.is_uniform

    # ------------------------------------------------------------ expressions
    def evaluate(self, stmt: Stmt) -> None:
        for expr in self.order[stmt]:
            self.kinds[expr] = self.kind(expr)

    def control(self, expr: Expr) -> Level:
        kind = self.kinds[expr]
        return Level.BLOCK_UNIFORM if kind is None else kind.control

    def kind(self, expr: Expr) -> Kind | None:
        """The kind of an expression whose operands' kinds are known."""
        match expr:
            case Read():
                return self.webs[self.names.reads[expr]]
            case SpecialRegister():
                return self.registers.get((expr.register, expr.axis), BLOCK_UNIFORM)
            case Intrinsic(function="uniform"):
                return BLOCK_UNIFORM
            case Load():
                return self.loaded(expr)
        operands = [kind for e in children(expr) if (kind := self.kinds[e]) is not None]
        if len(operands) < len(children(expr)):
            return None
        match expr:
            case Unary():
                return of.unary(expr, *operands)
            case Cast():
                return of.cast(expr, *operands)
            case Binary():
                return of.binary(expr, *operands)
            case Select():
                return of.select(expr, *operands)
            case _:
                return of.all_uniform(operands)

    def loaded(self, load: Load) -> Kind | None:
        """In one vector a load at one place is one load; in a block memory may have changed."""
        if load.array.type.space is AddressSpace.LOCAL:
            return VARYING
        at = self.place(load)
        if at == BLOCK_UNIFORM and load not in self.phases.stable:
            return VECTOR_UNIFORM
        return at

    def place(self, use: Load | View) -> Kind | None:
        """Whether threads look at the same place in an array."""
        array = use.array if isinstance(use, Load) else use.base
        parts = [self.kinds[i] for i in use.indices]
        if array in self.starts:
            parts.append(self.starts[array])
        known = [kind for kind in parts if kind is not None]
        return of.all_uniform(known) if len(known) == len(parts) else None


def _union(a: Causes, b: Causes) -> Causes:
    """Causes of both, each statement once."""
    have = {c.stmt for c in a}
    return a + tuple(c for c in b if c.stmt not in have)
