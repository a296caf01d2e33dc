"""Live ranges of names: definitions united where they reach a common read.

In: a kernel. Out: Webs.
Holds: every read and every definition belongs to exactly one web, code that cannot be reached
included. In one thread the values of a web are never needed at the same time, so one slot holds
them; in a vector of threads they may be: a web names the places where its threads may be apart.

One pass: names carry versions, as in static single assignment. A version is a definition or a
merge of versions; merges stand, up front, at a loop's head for every name that its body assigns,
and at each waiting place for every name that others assign meanwhile. Merges that no read depends
on are forgotten, the others unite what they merge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import Enum

from kernelkit.analysis.operands import operands_first
from kernelkit.ir.nodes import (
    Body,
    Break,
    Constant,
    Continue,
    Expr,
    For,
    If,
    Kernel,
    Read,
    Return,
    Scope,
    Stmt,
    Var,
    While,
    bodies,
    expressions,
    targets,
    walk,
)
from kernelkit.records import record


class Place(Enum):
    """Where threads that part in a statement wait for each other."""

    #: Behind an If, a loop or a Scope.
    END = "end"
    #: Before the next iteration of a loop: those that went on by `continue`.
    NEXT = "next"
    #: Before an arm of an If, while others run the other one.
    THEN = "then"
    ELSE = "else"


@record
class Merge:
    """A place where threads that parted come together with different values of a web, or wait with
    one while others assign to the web."""

    stmt: Stmt
    place: Place


@record(eq=False)
class Web:
    """One live range of a name. `may_be_unassigned`: some read may come before any assignment."""

    number: int
    var: Var
    definitions: tuple[Stmt, ...]
    merges: tuple[Merge, ...]
    is_parameter: bool
    may_be_unassigned: bool


@record
class Webs:
    """`unassigned`: the reads that may come before any assignment."""

    webs: tuple[Web, ...]
    reads: Mapping[Read, Web]
    definitions: Mapping[tuple[Stmt, Var], Web]
    parameters: Mapping[Var, Web]
    unassigned: frozenset[Read]


def find_webs(kernel: Kernel) -> Webs:
    flow = _Flow(kernel)
    live = _live(flow)
    unassigned = _may_be_unassigned(flow, live)
    for version in live:
        for operand in version.operands:
            if not flow.is_undefined(operand):
                _unite(version, operand)
    for versions in flow.uses.values():  # a node in several places is one read of them all
        for other in versions[1:]:
            _unite(versions[0], other)
    return _collect(flow, live, unassigned)


def meanwhile(merge: Merge) -> Sequence[Stmt]:
    """The statements that others may run while threads wait at a place."""
    stmt = merge.stmt
    inside = [s for body in bodies(stmt) for s in walk(body)]
    match merge.place, stmt:
        case Place.THEN, If():
            return [*walk(stmt.orelse)]
        case Place.ELSE, If():
            return [*walk(stmt.then)]
        case Place.END, If() | For() | While():  # in a loop the others go round once more
            return [stmt, *inside]
        case _:
            kind = Continue if merge.place is Place.NEXT else Break
            jumps = (s for body in bodies(stmt) for s in _jumps(body, kind))
            first = next(jumps, None)
            return [] if first is None else inside[inside.index(first) :]


def _jumps(body: Body, kind: type) -> Iterator[Stmt]:
    """The jumps of a kind that belong to the statement around a body."""
    for stmt in body:
        if isinstance(stmt, kind):
            yield stmt
        elif isinstance(stmt, If):
            yield from _jumps(stmt.then, kind)
            yield from _jumps(stmt.orelse, kind)


def surely_runs(loop: For) -> bool:
    """Whether a range of constants has a first element."""
    bounds = (loop.start, loop.stop, loop.step)
    values = [int(e.value.real) for e in bounds if isinstance(e, Constant)]
    return len(values) == 3 and values[2] != 0 and bool(range(*values))


# ---------------------------------------------------------------- versions
@record(frozen=False, eq=False)
class _Version:
    """A definition, a merge of versions, or (neither) what a name holds before its first."""

    var: Var
    definition: Stmt | None = None
    is_parameter: bool = False
    merge: Merge | None = None
    operands: list[_Version] = field(default_factory=list)
    parent: _Version | None = None


_Env = dict[Var, _Version]


def _find(version: _Version) -> _Version:
    root = version
    while root.parent is not None:
        root = root.parent
    while version is not root:
        version.parent, version = root, version.parent or root
    return root


def _unite(a: _Version, b: _Version) -> None:
    a, b = _find(a), _find(b)
    if a is not b:
        b.parent = a


class _Flow:
    """The versions that reach each read; one walk over the kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.versions: list[_Version] = []
        self.uses: dict[Read, list[_Version]] = {}
        self.undefined: _Env = {}
        self.exits: list[tuple[list[_Env], list[_Env]]] = []
        self.regions: dict[Merge, Mapping[Stmt, tuple[Var, ...]]] = {}
        scalars = [p for p in kernel.params if isinstance(p, Var)]
        self.body(kernel.body, {p: self.version(_Version(p, is_parameter=True)) for p in scalars})

    def version(self, version: _Version) -> _Version:
        self.versions.append(version)
        return version

    def is_undefined(self, version: _Version) -> bool:
        return self.undefined.get(version.var) is version

    def lookup(self, var: Var, env: _Env) -> _Version:
        if var in env:
            return env[var]
        if var not in self.undefined:
            self.undefined[var] = self.version(_Version(var))
        return self.undefined[var]

    def body(self, body: Body, env: _Env | None) -> _Env | None:
        for place, stmt in enumerate(body):
            if env is None:  # not reached: its names are its own, and it jumps nowhere
                self.exits.append(([], []))
                self.body(body[place:], {})
                self.exits.pop()
                return None
            env = self.stmt(stmt, env)
        return env

    def stmt(self, stmt: Stmt, env: _Env) -> _Env | None:
        match stmt:
            case While():
                return self.loop(stmt, env)
            case For():
                self.use(stmt, env)
                return self.loop(stmt, env)
            case If():
                self.use(stmt, env)
                known = _constant(stmt.condition)
                before = self.merged([None if known is False else env], Merge(stmt, Place.THEN))
                then = self.body(stmt.then, before)
                before = self.merged([None if known is True else env], Merge(stmt, Place.ELSE))
                orelse = self.body(stmt.orelse, before)
                return self.merged([then, orelse], Merge(stmt, Place.END))
            case Scope():
                self.exits.append(([], []))
                end = self.body(stmt.body, env)
                breaks, _ = self.exits.pop()
                return self.merged([end, *breaks], Merge(stmt, Place.END))
            case Break():
                self.exits[-1][0].append(env)
                return None
            case Continue():
                self.exits[-1][1].append(env)
                return None
            case Return():
                return None
            case _:
                self.use(stmt, env)
                self.define(stmt, env)
                return env

    def loop(self, loop: For | While, env: _Env) -> _Env | None:
        head = dict(env)
        assigned = self.assigned(Merge(loop, Place.END))
        for var in assigned:
            before = self.lookup(var, env)
            head[var] = self.version(_Version(var, operands=[before]))
        self.exits.append(([], []))
        test: _Env | None = dict(head)
        if isinstance(loop, While):
            test = self.body(loop.prelude, test)
            self.use(loop, test or {})
        start = None if test is None else dict(test)
        if isinstance(loop, For) and start is not None:
            self.define(loop, start)
        end = self.body(loop.body, start)
        breaks, continues = self.exits.pop()
        again = self.merged([end, *continues], Merge(loop, Place.NEXT))
        if again is not None:
            for var in assigned:
                head[var].operands.append(again[var])
        return self.merged([_usual_exit(loop, test, again), *breaks], Merge(loop, Place.END))

    def region(self, merge: Merge) -> Mapping[Stmt, tuple[Var, ...]]:
        """What is assigned while threads wait at a place, by statement."""
        if merge not in self.regions:
            found = {s: targets(s) for s in meanwhile(merge)}
            self.regions[merge] = {s: names for s, names in found.items() if names}
        return self.regions[merge]

    def assigned(self, merge: Merge) -> Collection[Var]:
        return dict.fromkeys(v for names in self.region(merge).values() for v in names)

    def merged(self, envs: Iterable[_Env | None], merge: Merge) -> _Env | None:
        reached = [e for e in envs if e is not None]
        if not reached:
            return None
        changed = self.assigned(merge)
        result: _Env = {}
        for var in dict.fromkeys(v for env in reached for v in env):
            versions = list(dict.fromkeys(self.lookup(var, env) for env in reached))
            if len(versions) > 1 or var in changed:
                versions = [self.version(_Version(var, merge=merge, operands=versions))]
            result[var] = versions[0]
        return result

    def define(self, stmt: Stmt, env: _Env) -> None:
        for var in targets(stmt):
            env[var] = self.version(_Version(var, definition=stmt))

    def use(self, stmt: Stmt, env: _Env) -> None:
        for expr in operands_first(expressions(stmt)):
            if isinstance(expr, Read):
                versions = self.uses.setdefault(expr, [])
                version = self.lookup(expr.var, env)
                if version not in versions:
                    versions.append(version)


def _constant(condition: Expr) -> bool | None:
    return bool(condition.value) if isinstance(condition, Constant) else None


def _usual_exit(loop: For | While, test: _Env | None, again: _Env | None) -> _Env | None:
    """What holds after a loop that nobody broke out of; None where that cannot be."""
    if isinstance(loop, While):
        return None if _constant(loop.condition) is True else test
    return again if surely_runs(loop) else test


# ---------------------------------------------------------------- from versions to webs
def _live(flow: _Flow) -> dict[_Version, None]:
    """The versions that some read depends on."""
    live: dict[_Version, None] = {}
    stack = [v for versions in flow.uses.values() for v in versions]
    while stack:
        version = stack.pop()
        if version not in live:
            live[version] = None
            stack.extend(version.operands)
    return live


def _may_be_unassigned(flow: _Flow, live: Iterable[_Version]) -> set[_Version]:
    users: dict[_Version, list[_Version]] = {}
    for version in live:
        for operand in version.operands:
            users.setdefault(operand, []).append(version)
    found: set[_Version] = set()
    stack = list(flow.undefined.values())
    while stack:
        version = stack.pop()
        if version not in found:
            found.add(version)
            stack.extend(users.get(version, ()))
    return found


def _collect(flow: _Flow, live: Collection[_Version], unassigned: set[_Version]) -> Webs:
    groups: dict[_Version, list[_Version]] = {}
    read = {v for versions in flow.uses.values() for v in versions}
    for version in flow.versions:
        nothing = flow.is_undefined(version) and version not in read
        defines = version.definition is not None or version.is_parameter
        if defines or (version in live and not nothing):
            groups.setdefault(_find(version), []).append(version)
    web_of: dict[_Version, Web] = {}
    definitions: dict[tuple[Stmt, Var], Web] = {}
    parameters: dict[Var, Web] = {}
    for number, group in enumerate(groups.values()):
        web = Web(
            number=number,
            var=group[0].var,
            definitions=tuple(v.definition for v in group if v.definition is not None),
            merges=tuple(dict.fromkeys(_apart(flow, group))),
            is_parameter=any(v.is_parameter for v in group),
            may_be_unassigned=any(v in unassigned for v in group if v in live),
        )
        web_of.update(dict.fromkeys(group, web))
        definitions.update({(stmt, web.var): web for stmt in web.definitions})
        if web.is_parameter:
            parameters[web.var] = web
    return Webs(
        webs=tuple(dict.fromkeys(web_of.values())),
        reads={use: web_of[versions[0]] for use, versions in flow.uses.items()},
        definitions=definitions,
        parameters=parameters,
        unassigned=frozenset(
            u for u, versions in flow.uses.items() if any(v in unassigned for v in versions)
        ),
    )


def _apart(flow: _Flow, group: Iterable[_Version]) -> Iterator[Merge]:
    """The places where a web's value depends on the way taken, or where it is needed while others
    assign to the same web."""
    definitions = {v.definition for v in group if v.definition is not None}
    for version in group:
        merge = version.merge
        if merge is not None and (
            len(version.operands) > 1 or not definitions.isdisjoint(flow.region(merge))
        ):
            yield merge
