"""Kernels in which nobody leaves while others still wait: OpenCL has no barriers among some.

In: an analysis. Out: a kernel that means the same, in which a thread that returned where others
did not goes on as a dead one: it comes along to every barrier and does nothing else.
Holds: dead threads take the turns that the others take, and keep the names that decide about them;
they count for no barrier. What of that they cannot know they are told, through a barrier. Where no
thread may be left, and the dead ones might not come to an end, they look first.
"""

from __future__ import annotations

from kernelkit.analysis.pipeline import Analysis
from kernelkit.emit.cstyle.warps import LIVE
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, INT64, UINT32, AddressSpace, ArrayType, DType
from kernelkit_opencl.needs import Needs, outward
from kernelkit_opencl.parts import gone, left, read, returns


def stay(analysis: Analysis, by_block: bool = False) -> ir.Kernel:
    """The kernel itself, or one in which all threads come to every barrier; with `by_block` also to
    every warp operation outside of divergent control flow. Others must not be there then."""
    needs = Needs(analysis, by_block)
    statements = list(ir.walk(analysis.kernel.body))
    active = any(needs.is_meeting(s) and _is_active(s) for s in statements)
    meets = any(needs.is_meeting(s) for s in statements)
    if not active and not (meets and any(needs.parting(s) for s in analysis.kernel.body)):
        return analysis.kernel
    made = _Stayer(needs).kernel(analysis.kernel)
    dead = any(var.name == LIVE for stmt in made.body for var in ir.targets(stmt))
    return made if active or dead else analysis.kernel


def _is_active(stmt: ir.Stmt) -> bool:
    return isinstance(stmt, ir.Warp) and stmt.op == "activemask"


class _Stayer:
    """`dead`: whether a thread may be dead where the walk is; `late`: whether to look for the living
    once all threads are together again."""

    def __init__(self, needs: Needs) -> None:
        self.needs = needs
        self.live = ir.Var(LIVE, BOOL)
        self.dead = self.late = False
        self.names = 0
        self.told: dict[DType, ir.ArrayVar] = {}

    def kernel(self, kernel: ir.Kernel) -> ir.Kernel:
        body = self.level(kernel.body, follow=False)
        span = kernel.span
        head: list[ir.Stmt] = [ir.Allocate(span, array, None) for array in self.told.values()]
        if any(self.live in ir.targets(s) for s in ir.walk(tuple(body))):
            head.append(ir.Assign(span, self.live, ir.Constant(span, BOOL, value=True)))
        return ir.Kernel(kernel.name, kernel.params, (*head, *body), kernel.span, kernel.options)

    # ------------------------------------------------------------ bodies
    def level(self, body: ir.Body, follow: bool) -> list[ir.Stmt]:
        """A body through which all threads go; `follow`: meetings may come behind it."""
        found: list[ir.Stmt] = []
        part: list[ir.Stmt] = []
        for number, stmt in enumerate(body):
            if not follow and not any(self.needs.meets(s) for s in body[number:]):
                return [*found, *self.part(part), *self.rest(body[number:])]
            if isinstance(stmt, ir.Allocate):
                found.append(stmt)
            elif self.concerns_all(stmt):
                found += self.part(part)
                part = []
                behind = follow or any(self.needs.meets(s) for s in body[number + 1 :])
                found += self.together(stmt, behind)
            else:
                part.append(stmt)
                if any(outward(stmt)):
                    found += self.part(part)
                    part = []
        return [*found, *self.part(part)]

    def rest(self, body: ir.Body) -> list[ir.Stmt]:
        """Where no meeting comes any more, threads may leave."""
        if not self.dead:
            return [*body]
        span = body[0].span
        return [ir.If(span, gone(self.live, span), (ir.Return(span),), ()), *body]

    def part(self, body: list[ir.Stmt]) -> list[ir.Stmt]:
        """What only the living do."""
        kills = any(returns(s) for s in body)
        if not kills and not self.dead:
            return body
        span = body[0].span if body else None
        if span is None:
            return []
        found = left(body, self.live) if kills else body
        if self.dead:
            found = [ir.If(span, read(self.live, span), tuple(found), ())]
        self.dead |= kills
        if kills and self.needs.precarious:
            if any(outward(body[-1])):
                self.late = True
            else:
                found += self.look(span)
        return found

    def look(self, span: Span) -> list[ir.Stmt]:
        """Ends the block where nobody is alive."""
        some = self.name(BOOL)
        none = ir.Unary(span, BOOL, "not", ir.Read(span, BOOL, some))
        return [
            ir.Barrier(span, "or", read(self.live, span), some),
            ir.If(span, none, (ir.Return(span),), ()),
        ]

    # ------------------------------------------------------------ what all threads do
    def concerns_all(self, stmt: ir.Stmt) -> bool:
        if isinstance(stmt, ir.View):
            return True
        if self.needs.causes[stmt]:
            return False
        if isinstance(stmt, ir.Return | ir.Break | ir.Continue) or stmt in self.needs.walked:
            return True
        return bool(self.needs.kept(stmt)) or self.needs.is_meeting(stmt)

    def together(self, stmt: ir.Stmt, follow: bool) -> list[ir.Stmt]:
        match stmt:
            case ir.If():
                return self.branch(stmt, follow)
            case ir.For() | ir.While():
                return self.loop(stmt, follow)
            case ir.Scope():
                body = tuple(self.level(stmt.body, follow))
                return [ir.Scope(stmt.span, stmt.function, body), *self.look_late(stmt.span)]
            case ir.View():
                indices = tuple(self.harmless(i, common=True) for i in stmt.indices)
                return [ir.View(stmt.span, stmt.target, stmt.base, indices)]
            case ir.Barrier():
                return [self.barrier(stmt)]
            case ir.Warp():
                return self.warp(stmt)
            case ir.Assign() if self.needs.is_common(stmt.value):
                return [stmt]
            case _ if self.dead and self.needs.kept(stmt):
                return self.told_by_living(stmt)
            case _:
                return [stmt]

    def branch(self, stmt: ir.If, follow: bool) -> list[ir.Stmt]:
        if self.needs.parts(stmt):
            return self.left_alone(stmt, follow)
        before, condition = self.value(stmt.condition)
        dead = self.dead
        then = tuple(self.level(stmt.then, follow))
        self.dead, dead = dead, self.dead
        orelse = tuple(self.level(stmt.orelse, follow))
        self.dead |= dead
        return [*before, ir.If(stmt.span, condition, then, orelse)]

    def left_alone(self, stmt: ir.If, follow: bool) -> list[ir.Stmt]:
        """All in one arm return: nobody but the dead and those in the other arm is left."""
        found = self.needs.alone(stmt)
        assert found is not None
        arm, returned = found
        other = stmt.orelse if arm is stmt.then else stmt.then
        condition = stmt.condition
        if not returned:
            condition = ir.Unary(stmt.span, BOOL, "not", condition)
        return [*self.part([ir.If(stmt.span, condition, other, ())]), *self.level(arm, follow)]

    def loop(self, stmt: ir.For | ir.While, follow: bool) -> list[ir.Stmt]:
        before: list[ir.Stmt] = []
        bounds: list[ir.Expr] = []
        for bound in ir.expressions(stmt) if isinstance(stmt, ir.For) else ():
            told, value = self.value(bound)
            before += told
            bounds.append(value)
        self.dead |= any(self.needs.parting(s) for s in ir.walk((stmt,)))
        inside = follow or self.needs.meets(stmt)
        if isinstance(stmt, ir.For):
            body = self.level(stmt.body, inside)
            late = self.look_late(stmt.span)
            # Who came by a jump was not looked for before.
            whole = (*self.again(late), *body)
            start, stop, step = bounds
            return [*before, ir.For(stmt.span, stmt.target, start, stop, step, whole), *late]
        prelude = self.level(stmt.prelude, inside)
        told, condition = self.value(stmt.condition)
        body = self.level(stmt.body, inside)
        late = self.look_late(stmt.span)
        prelude = [*self.again(late), *prelude, *told]
        return [ir.While(stmt.span, tuple(prelude), condition, tuple(body)), *late]

    def look_late(self, span: Span) -> list[ir.Stmt]:
        late, self.late = self.late, False
        return self.look(span) if late else []

    def again(self, late: list[ir.Stmt]) -> list[ir.Stmt]:
        return self.look(late[0].span) if late else []

    # ------------------------------------------------------------ meetings
    def barrier(self, stmt: ir.Barrier) -> ir.Barrier:
        """The dead count as what makes no difference."""
        predicate, span = stmt.predicate, stmt.span
        if predicate is None or not self.dead:
            return stmt
        if stmt.op == "and":
            predicate = ir.Logical(span, BOOL, "or", gone(self.live, span), predicate)
        else:
            predicate = ir.Logical(span, BOOL, "and", read(self.live, span), predicate)
        return ir.Barrier(span, stmt.op, predicate, stmt.result)

    def warp(self, stmt: ir.Warp) -> list[ir.Stmt]:
        """The dead come with a mask of 0."""
        span, op, operands = stmt.span, stmt.op, stmt.operands
        mask = stmt.mask or ir.Constant(span, UINT32, 0xFFFFFFFF)
        if op == "activemask":
            op, operands = "ballot", (ir.Constant(span, BOOL, value=True),)
        operands = tuple(self.harmless(operand) for operand in operands)
        made = ir.Warp(span, op, self.harmless(mask), operands, stmt.results)
        kept = self.needs.kept(stmt) if self.dead else ()
        return [made, *(s for var in kept for s in self.tell(var, var, span))]

    # ------------------------------------------------------------ values
    def harmless(self, expr: ir.Expr, common: bool = False) -> ir.Expr:
        """The value; 0 in dead threads, unless it is a common one and `common` allows it."""
        if not self.dead or (common and self.needs.is_common(expr)):
            return expr
        zero = {"b": False, "f": 0.0, "c": 0j}.get(expr.type.kind, 0)
        nothing = ir.Constant(expr.span, expr.type, zero)
        return ir.Select(expr.span, expr.type, read(self.live, expr.span), expr, nothing)

    def value(self, expr: ir.Expr) -> tuple[list[ir.Stmt], ir.Expr]:
        """A value that decides for all: what to do before, and how to read it."""
        if not self.dead or self.needs.is_common(expr):
            return [], expr
        span, own, said = expr.span, self.name(expr.type), self.name(expr.type)
        alive = ir.If(span, read(self.live, span), (ir.Assign(span, own, expr),), ())
        return [alive, *self.tell(own, said, span)], ir.Read(span, expr.type, said)

    def told_by_living(self, stmt: ir.Stmt) -> list[ir.Stmt]:
        """What the living do, and what it gives to a name that all keep."""
        span = stmt.span
        own = {var: self.name(var.type) for var in self.needs.kept(stmt)}
        copies = (ir.Assign(span, own[v], ir.Read(span, v.type, v)) for v in own)
        found: list[ir.Stmt] = [ir.If(span, read(self.live, span), (stmt, *copies), ())]
        for var, name in own.items():
            found += self.tell(name, var, span)
        return found

    def tell(self, own: ir.Var, var: ir.Var, span: Span) -> list[ir.Stmt]:
        """Gives all threads, as `var`, the value that `own` has in every living one."""
        value = ir.Read(span, own.type, own)
        if var.type == BOOL:
            said = ir.Logical(span, BOOL, "and", read(self.live, span), value)
            return [ir.Barrier(span, "or", said, var)]
        array = self.told.get(var.type)
        if array is None:
            kind = ArrayType(var.type, 1, "C", AddressSpace.SHARED)
            array = self.told[var.type] = ir.ArrayVar(f".told.{var.type}", kind, (1,))
        zero = ir.Constant(span, INT64, 0)
        write = ir.Store(span, array, (zero,), value)
        return [
            ir.If(span, read(self.live, span), (write,), ()),
            ir.Barrier(span, "sync", None, None),
            ir.Assign(span, var, ir.Load(span, var.type, array, (zero,))),
            ir.Barrier(span, "sync", None, None),
        ]

    def name(self, dtype: DType) -> ir.Var:
        self.names += 1
        return ir.Var(f".all.{self.names}", dtype)
