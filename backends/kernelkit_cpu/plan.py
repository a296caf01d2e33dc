"""What of a kernel is done once per block, what in loops over its vectors, and where names live.

In: an analysed kernel. Out: a Plan. A Leaf is a run of statements without barriers: one loop over
the vectors of the block. All around leaves is the block's own control flow, on scalars.
Holds: a name that is used in one leaf only lives in registers; one that crosses a barrier is the
block's scalar if all threads agree on it, is made again if that is cheap, else has a context: one
element per vector, in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.webs import Web
from kernelkit.ir.nodes import (
    Allocate,
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
    Extent,
    For,
    If,
    Load,
    Read,
    Return,
    Scope,
    SpecialRegister,
    Stmt,
    Store,
    Unary,
    View,
    While,
    bodies,
    expressions,
    targets,
    walk,
    walk_expr,
)
from kernelkit_cpu.control import Jumps, Target


@dataclass(frozen=True, eq=False)
class Leaf:
    body: Body


@dataclass(frozen=True, eq=False)
class BlockIf:
    stmt: If
    then: Items
    orelse: Items


@dataclass(frozen=True, eq=False)
class BlockLoop:
    stmt: For | While
    prelude: Items
    body: Items


@dataclass(frozen=True, eq=False)
class BlockScope:
    stmt: Scope
    body: Items


@dataclass(frozen=True, eq=False)
class BlockBarrier:
    """One that counts or votes."""

    stmt: Barrier


@dataclass(frozen=True, eq=False)
class BlockJump:
    stmt: Break | Continue


Item = Leaf | BlockIf | BlockLoop | BlockScope | BlockBarrier | BlockJump
Items = tuple[Item, ...]


class Home(Enum):
    """Where a web lives."""

    #: In the instruction that makes it.
    VALUE = "value"
    #: In a slot of its leaf.
    SLOT = "slot"
    #: In a scalar of the block.
    BLOCK = "block"
    #: In one element per vector.
    CONTEXT = "context"
    #: Nowhere: made again in each leaf.
    AGAIN = "again"


@dataclass(slots=True)
class Plan:
    """`touched`: the webs that each leaf reads or assigns, and those it assigns. `crossing`: local
    arrays used in more than one leaf. `block_targets`: what jumps at the level of the block lead
    out of. `remembers_returns`: whether a later leaf must know which threads have returned."""

    items: Items
    homes: Mapping[Web, Home]
    touched: Mapping[Leaf | BlockBarrier, tuple[Collection[Web], Collection[Web]]]
    crossing: frozenset[ArrayVar]
    block_targets: tuple[Stmt, ...]
    divergent_targets: tuple[Target, ...]
    has_return: bool
    remembers_returns: bool
    last: Leaf | None


def make_plan(analysis: Analysis, jumps: Jumps) -> Plan:
    return _Planner(analysis, jumps).plan()


# ---------------------------------------------------------------- items
@dataclass(slots=True)
class _Use:
    """Where a web is used: leaves, the block's own control, and paths of regions."""

    leaves: set[object] = field(default_factory=set)
    block: bool = False
    in_loop: bool = False
    reads: list[tuple[object, ...]] = field(default_factory=list)
    definition: tuple[object, ...] | None = None


class _Planner:
    def __init__(self, analysis: Analysis, jumps: Jumps) -> None:
        self.analysis, self.jumps = analysis, jumps
        self.holding = analysis.phases.holding
        self.uses: dict[Web, _Use] = {}
        #: In the order in which they turn up, which the text follows.
        self.touched: dict[Leaf | BlockBarrier, tuple[dict[Web, None], dict[Web, None]]] = {}
        self.arrays: dict[ArrayVar, set[object]] = {}
        self.leaves: list[Leaf | BlockBarrier] = []

    def plan(self) -> Plan:
        kernel = self.analysis.kernel
        items = self.split(kernel.body)
        self.visit(items, False)
        homes = self.homes()
        block = tuple(s for s in walk(kernel.body) if s in self.holding)
        returns = [s for s in walk(kernel.body) if isinstance(s, Return)]
        last = items[-1] if items and isinstance(items[-1], Leaf) else None
        early = any(not last or not _within(s, last.body) for s in returns)
        outer = {
            t: None
            for leaf in self.leaves
            if isinstance(leaf, Leaf)
            for s in leaf.body
            for t in self.jumps.escapes[s]
            if t is not None
        }
        return Plan(
            items=items,
            homes=homes,
            touched=self.touched,
            crossing=frozenset(a for a, where in self.arrays.items() if len(where) > 1),
            block_targets=block,
            divergent_targets=tuple(outer),
            has_return=bool(returns),
            remembers_returns=early,
            last=last,
        )

    def split(self, body: Body) -> Items:
        items: list[Item] = []
        run: list[Stmt] = []

        def flush() -> None:
            if any(not isinstance(s, Allocate) for s in run):
                items.append(Leaf(tuple(run)))
            run.clear()

        for stmt in body:
            item = self.item(stmt)
            if item is None and not isinstance(stmt, Barrier):
                run.append(stmt)
                continue
            flush()
            if item is not None:
                items.append(item)
        flush()
        return tuple(items)

    def item(self, stmt: Stmt) -> Item | None:
        """What is done at the level of the block; None for threads' own work and plain barriers."""
        match stmt:
            case Barrier():
                return BlockBarrier(stmt) if stmt.op != "sync" else None
            case Break() | Continue() if self.leaves_together(stmt):
                return BlockJump(stmt)
            case If() if stmt in self.holding or self.holds_exit(stmt):
                return BlockIf(stmt, self.split(stmt.then), self.split(stmt.orelse))
            case For() if stmt in self.holding:
                return BlockLoop(stmt, (), self.split(stmt.body))
            case While() if stmt in self.holding:
                return BlockLoop(stmt, self.split(stmt.prelude), self.split(stmt.body))
            case Scope() if stmt in self.holding:
                return BlockScope(stmt, self.split(stmt.body))
            case _:
                return None

    def leaves_together(self, jump: Break | Continue) -> bool:
        """Whether all threads of the block take a jump out of something with a barrier in it."""
        target = self.jumps.targets[jump]
        level = self.jumps.levels.get(jump, Level.BLOCK_UNIFORM)
        return target is not None and target[0] in self.holding and level is Level.BLOCK_UNIFORM

    def holds_exit(self, stmt: If) -> bool:
        inside = (s for arm in (stmt.then, stmt.orelse) for s in walk(arm))
        return any(isinstance(s, Break | Continue) and self.leaves_together(s) for s in inside)

    # ------------------------------------------------------------ uses
    def visit(self, items: Items, in_loop: bool) -> None:
        for item in items:
            match item:
                case Leaf():
                    self.enter(item)
                    self.leaf(item, item.body, (item,), in_loop)
                case BlockBarrier():
                    self.enter(item)
                    for expr in expressions(item.stmt):
                        self.reads(item, expr, (item,), in_loop)
                    for var in targets(item.stmt):
                        web = self.analysis.webs.definitions[item.stmt, var]
                        self.use(web).block = True
                case BlockIf():
                    self.block_reads(item.stmt)
                    self.visit(item.then, in_loop)
                    self.visit(item.orelse, in_loop)
                case BlockLoop():
                    self.block_reads(item.stmt)
                    if isinstance(item.stmt, For):
                        web = self.analysis.webs.definitions[item.stmt, item.stmt.target]
                        self.use(web).block = True
                    self.visit(item.prelude, True)
                    self.visit(item.body, True)
                case BlockScope():
                    self.visit(item.body, in_loop)
                case BlockJump():
                    pass

    def use(self, web: Web) -> _Use:
        return self.uses.setdefault(web, _Use())

    def enter(self, leaf: Leaf | BlockBarrier) -> None:
        self.touched[leaf] = ({}, {})
        self.leaves.append(leaf)

    def block_reads(self, stmt: Stmt) -> None:
        for expr in expressions(stmt):
            for inner in walk_expr(expr):
                if isinstance(inner, Read):
                    self.use(self.analysis.webs.reads[inner]).block = True

    def reads(
        self, leaf: Leaf | BlockBarrier, expr: Expr, path: tuple[object, ...], in_loop: bool
    ) -> None:
        for inner in walk_expr(expr):
            if isinstance(inner, Read):
                web = self.analysis.webs.reads[inner]
                use = self.use(web)
                use.leaves.add(leaf)
                use.in_loop |= in_loop
                use.reads.append(path)
                self.touched[leaf][0][web] = None
            elif isinstance(inner, Load):
                self.arrays.setdefault(inner.array, set()).add(leaf)

    def leaf(
        self, leaf: Leaf, body: Iterable[Stmt], path: tuple[object, ...], in_loop: bool
    ) -> None:
        definitions = self.analysis.webs.definitions
        for stmt in body:
            if isinstance(stmt, Store | Atomic | View):
                array = stmt.base if isinstance(stmt, View) else stmt.array
                self.arrays.setdefault(array, set()).add(leaf)
            looped = isinstance(stmt, While)
            for expr in expressions(stmt):
                self.reads(leaf, expr, (*path, stmt) if looped else path, in_loop)
            for var in targets(stmt):
                web = definitions[stmt, var]
                use = self.use(web)
                use.leaves.add(leaf)
                use.in_loop |= in_loop
                use.definition = (*path, stmt, 0) if isinstance(stmt, For) else path
                self.touched[leaf][0][web] = None
                self.touched[leaf][1][web] = None
            for number, inner in enumerate(bodies(stmt)):
                deeper = (*path, stmt) if looped else (*path, stmt, number)
                self.leaf(leaf, inner, deeper, in_loop)

    # ------------------------------------------------------------ homes
    def homes(self) -> dict[Web, Home]:
        homes: dict[Web, Home] = {}
        for web, use in self.uses.items():
            homes[web] = self.home(web, use, homes)
        return homes

    def home(self, web: Web, use: _Use, homes: dict[Web, Home]) -> Home:
        if web.is_parameter and not web.definitions:
            return Home.VALUE
        crossing = len(use.leaves) > 1 or use.block or (use.in_loop and web.may_be_unassigned)
        level = self.analysis.variability.webs[web].level
        if not crossing:
            return Home.VALUE if self.is_value(web, use) else Home.SLOT
        if use.block or level is Level.BLOCK_UNIFORM:
            return Home.BLOCK
        if self.is_cheap(web, homes):
            return Home.AGAIN
        return Home.CONTEXT

    def is_value(self, web: Web, use: _Use) -> bool:
        """Whether the one definition is above all reads, in regions that hold each other."""
        if len(web.definitions) != 1 or web.may_be_unassigned or use.definition is None:
            return False
        if web.is_parameter or self.analysis.kernel.options.debug:
            return False
        depth = len(use.definition)
        return all(path[:depth] == use.definition for path in use.reads)

    def is_cheap(self, web: Web, homes: dict[Web, Home]) -> bool:
        """Whether a web can be made again from what never changes."""
        if len(web.definitions) != 1 or web.may_be_unassigned or web.is_parameter:
            return False
        stmt = web.definitions[0]
        if not isinstance(stmt, Assign) or not stmt.value.type.is_integer:
            return False
        return all(self.is_constant(e, homes) for e in walk_expr(stmt.value))

    def is_constant(self, expr: Expr, homes: dict[Web, Home]) -> bool:
        match expr:
            case Constant() | SpecialRegister() | Extent():
                return True
            case Binary():
                return expr.op in (
                    "add",
                    "sub",
                    "mul",
                    "shl",
                    "and",
                    "min",
                    "max",
                    "mod",
                    "floordiv",
                )
            case Unary() | Cast():
                return True
            case Read():
                web = self.analysis.webs.reads[expr]
                if web.is_parameter and not web.definitions:
                    return True
                return homes.get(web) is Home.AGAIN
            case _:
                return False


def _within(stmt: Stmt, body: Body) -> bool:
    return any(s is stmt for s in walk(body))
