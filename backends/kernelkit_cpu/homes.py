"""Where each name of a kernel lives.

In: an analysed kernel and its items. Out: a Home for each web, and what each leaf touches.
Holds: a name that is used in one leaf only lives in registers; one that crosses a barrier is the
block's scalar if all threads agree on it, is made again if that is cheap, else has a context: one
element per vector, in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.webs import Web
from kernelkit.ir.nodes import (
    ArrayVar,
    Assign,
    Atomic,
    Binary,
    Cast,
    Constant,
    Expr,
    Extent,
    For,
    Load,
    Read,
    SpecialRegister,
    Stmt,
    Store,
    Unary,
    View,
    While,
    bodies,
    expressions,
    targets,
    walk_expr,
)
from kernelkit_cpu.items import (
    BlockBarrier,
    BlockIf,
    BlockJump,
    BlockLoop,
    BlockScope,
    Items,
    Leaf,
    Vectors,
)

#: Operations so cheap that a name is rather made again than kept.
CHEAP = ("add", "sub", "mul", "shl", "and", "min", "max", "mod", "floordiv")


class Home(Enum):
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


#: A place in a kernel: the leaf, and the statements and numbers of bodies down to there.
Path = tuple[object, ...]


class Use:
    """Where a web is used: leaves, the block's own control, and paths of regions."""

    def __init__(self) -> None:
        self.leaves: set[Vectors] = set()
        self.block = False
        self.in_loop = False
        self.reads: list[Path] = []
        self.definition: Path | None = None


class Touched:
    """The webs that a leaf reads or assigns, and those that it assigns, in the order in which they
    turn up, which the text of the kernel follows; those that are made again for it."""

    def __init__(self) -> None:
        self.used: dict[Web, None] = {}
        self.assigned: dict[Web, None] = {}
        self.again: list[Web] = []


class Uses:
    """Where the webs and arrays of a kernel are used."""

    def __init__(self, analysis: Analysis, items: Items) -> None:
        self.webs = analysis.webs
        self.of: dict[Web, Use] = {}
        self.touched: dict[Vectors, Touched] = {}
        #: The leaves that use an array.
        self.arrays: dict[ArrayVar, set[Vectors]] = {}
        self.visit(items, False)

    def visit(self, items: Items, in_loop: bool) -> None:
        for item in items:
            match item:
                case Leaf():
                    self.touched[item] = Touched()
                    self.leaf(item, item.body, (item,), in_loop)
                case BlockBarrier():
                    self.touched[item] = Touched()
                    self.reads(item, item.stmt, (item,), in_loop)
                    self.block_assigns(item.stmt)
                case BlockIf():
                    self.block_reads(item.stmt)
                    self.visit(item.then, in_loop)
                    self.visit(item.orelse, in_loop)
                case BlockLoop():
                    self.block_reads(item.stmt)
                    self.block_assigns(item.stmt)
                    self.visit(item.prelude, True)
                    self.visit(item.body, True)
                case BlockScope():
                    self.visit(item.body, in_loop)
                case BlockJump():
                    pass

    def use(self, web: Web) -> Use:
        return self.of.setdefault(web, Use())

    def block_reads(self, stmt: Stmt) -> None:
        for expr in expressions(stmt):
            for inner in walk_expr(expr):
                if isinstance(inner, Read):
                    self.use(self.webs.reads[inner]).block = True

    def block_assigns(self, stmt: Stmt) -> None:
        for var in targets(stmt):
            self.use(self.webs.definitions[stmt, var]).block = True

    def reads(self, leaf: Vectors, stmt: Stmt, path: Path, in_loop: bool) -> None:
        for expr in expressions(stmt):
            for inner in walk_expr(expr):
                if isinstance(inner, Read):
                    web = self.webs.reads[inner]
                    use = self.use(web)
                    use.leaves.add(leaf)
                    use.in_loop |= in_loop
                    use.reads.append(path)
                    self.touched[leaf].used[web] = None
                elif isinstance(inner, Load):
                    self.arrays.setdefault(inner.array, set()).add(leaf)

    def leaf(self, leaf: Leaf, body: Iterable[Stmt], path: Path, in_loop: bool) -> None:
        for stmt in body:
            if isinstance(stmt, Store | Atomic | View):
                array = stmt.base if isinstance(stmt, View) else stmt.array
                self.arrays.setdefault(array, set()).add(leaf)
            # A condition is read after the prelude, with whose names it shares a region.
            looped = isinstance(stmt, While)
            self.reads(leaf, stmt, (*path, stmt) if looped else path, in_loop)
            self.assigns(leaf, stmt, path, in_loop)
            for number, inner in enumerate(bodies(stmt)):
                deeper = (*path, stmt) if looped else (*path, stmt, number)
                self.leaf(leaf, inner, deeper, in_loop)

    def assigns(self, leaf: Leaf, stmt: Stmt, path: Path, in_loop: bool) -> None:
        for var in targets(stmt):
            web = self.webs.definitions[stmt, var]
            use = self.use(web)
            use.leaves.add(leaf)
            use.in_loop |= in_loop
            use.definition = (*path, stmt, 0) if isinstance(stmt, For) else path
            self.touched[leaf].used[web] = None
            self.touched[leaf].assigned[web] = None


def find_homes(analysis: Analysis, uses: Uses) -> dict[Web, Home]:
    finder = _Finder(analysis)
    homes = {web: finder.home(web, use) for web, use in uses.of.items()}
    for touched in uses.touched.values():
        again: dict[Web, None] = {}
        for web in touched.used:
            if homes[web] is Home.AGAIN:
                finder.make_again(web, again)
        touched.again = list(again)
    return homes


class _Finder:
    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.cheap: dict[Web, bool] = {}

    def home(self, web: Web, use: Use) -> Home:
        if _never_changes(web):
            return Home.VALUE
        crossing = len(use.leaves) > 1 or use.block or (use.in_loop and web.may_be_unassigned)
        level = self.analysis.variability.webs[web].level
        if not crossing:
            return Home.VALUE if self.is_value(web, use) else Home.SLOT
        if use.block or level is Level.BLOCK_UNIFORM:
            return Home.BLOCK
        return Home.AGAIN if self.is_cheap(web) else Home.CONTEXT

    def is_value(self, web: Web, use: Use) -> bool:
        """Whether the one definition is above all reads, in regions that hold each other."""
        if len(web.definitions) != 1 or web.may_be_unassigned or use.definition is None:
            return False
        if web.is_parameter or self.analysis.kernel.options.debug:
            return False
        depth = len(use.definition)
        return all(path[:depth] == use.definition for path in use.reads)

    def is_cheap(self, web: Web) -> bool:
        """Whether a web can be made again from what never changes."""
        if web not in self.cheap:
            self.cheap[web] = False  # if it is made of itself
            self.cheap[web] = self.find_cheap(web)
        return self.cheap[web]

    def find_cheap(self, web: Web) -> bool:
        if len(web.definitions) != 1 or web.may_be_unassigned or web.is_parameter:
            return False
        stmt = web.definitions[0]
        if not isinstance(stmt, Assign) or not stmt.value.type.is_integer:
            return False
        return all(self.is_constant(e) for e in walk_expr(stmt.value))

    def is_constant(self, expr: Expr) -> bool:
        match expr:
            case Constant() | SpecialRegister() | Extent() | Unary() | Cast():
                return True
            case Binary():
                return expr.op in CHEAP
            case Read():
                web = self.analysis.webs.reads[expr]
                return _never_changes(web) or self.is_cheap(web)
            case _:
                return False

    def make_again(self, web: Web, found: dict[Web, None]) -> None:
        """Puts a cheap web behind those that it is made of."""
        for expr in expressions(web.definitions[0]):
            for inner in walk_expr(expr):
                if isinstance(inner, Read):
                    other = self.analysis.webs.reads[inner]
                    if other not in found and not _never_changes(other):
                        self.make_again(other, found)
        found[web] = None


def _never_changes(web: Web) -> bool:
    """Whether it is a parameter that nobody assigns to."""
    return web.is_parameter and not web.definitions
