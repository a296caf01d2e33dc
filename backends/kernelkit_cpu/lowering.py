"""A kernel in fewer kinds of statement: views as names for their indices, promises as assignments.

In: a verified kernel. Out: one that means the same. Loads, stores and atomics through a view become
such of its root, with the view's indices in names of their own, so that these live like any name.
`kk.uniform` in the condition of a branch or loop becomes an assignment before it: a condition that
decides about barriers is read by the block as a whole, the value is made by its threads.
Holds: in debug builds a View stays where it was, for its bounds to be checked there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kernelkit.ir import nodes as ir
from kernelkit.ir.rewrite import Rewriter

#: An access of the new kernel -> the view it was made through, and how many indices the view has.
Views = Mapping[object, tuple[ir.ArrayVar, int]]


def lower(kernel: ir.Kernel) -> tuple[ir.Kernel, Views]:
    statements = list(ir.walk(kernel.body))
    promised = any(_promises(e) for s in statements for e in _conditions(s))
    if promised and any(isinstance(s, ir.Barrier) for s in statements):
        kernel = replace(kernel, body=_Promises().body(kernel.body))
    if not any(isinstance(s, ir.View) for s in statements):
        return kernel, {}
    views = _Views(kernel.options.debug)
    return replace(kernel, body=views.body(kernel.body)), views.through


class _Views(Rewriter):
    def __init__(self, debug: bool) -> None:
        super().__init__()
        self.debug = debug
        #: A view -> its root and the names of the indices it was made with.
        self.views: dict[ir.ArrayVar, tuple[ir.ArrayVar, tuple[ir.Var, ...]]] = {}
        self.through: dict[object, tuple[ir.ArrayVar, int]] = {}

    def body(self, body: ir.Body) -> ir.Body:
        out: list[ir.Stmt] = []
        for stmt in body:
            if isinstance(stmt, ir.View):
                out += self.view(stmt)
            else:
                new = self.stmt(stmt)
                if new is not None:
                    out.append(new)
        return tuple(out)

    def view(self, stmt: ir.View) -> list[ir.Stmt]:
        root, names = self.views.get(stmt.base, (stmt.base, ()))
        made = []
        for axis, index in enumerate(stmt.indices):
            var = ir.Var(f".{stmt.target.name}.{len(names) + axis}", index.type)
            made.append(ir.Assign(stmt.span, var, self.expr(index)))
        self.views[stmt.target] = root, (*names, *(each.target for each in made))
        if not self.debug:
            return list(made)
        prefix = tuple(ir.Read(stmt.span, name.type, name) for name in names)
        indices = tuple(ir.Read(a.span, a.target.type, a.target) for a in made)
        check = replace(stmt, base=root, indices=(*prefix, *indices))
        self.through[check] = stmt.base, len(names)
        return [*made, check]

    def replaced(self, expr: ir.Expr) -> ir.Expr | None:
        match expr:
            case ir.Load() if expr.array in self.views:
                root, prefix = self.prefix(expr.array, expr)
                indices = (*prefix, *(self.expr(i) for i in expr.indices))
                made = replace(expr, array=root, indices=indices)
                self.through[made] = expr.array, len(prefix)
                return made
            case ir.Extent() if expr.array in self.views:
                root, names = self.views[expr.array]
                return replace(expr, array=root, axis=expr.axis + len(names))
        return None

    def prefix(
        self, array: ir.ArrayVar, at: ir.Expr | ir.Stmt
    ) -> tuple[ir.ArrayVar, tuple[ir.Expr, ...]]:
        root, names = self.views[array]
        return root, tuple(ir.Read(at.span, name.type, name) for name in names)

    def stmt(self, stmt: ir.Stmt) -> ir.Stmt | None:
        new = super().stmt(stmt)
        if isinstance(new, ir.Store | ir.Atomic) and new.array in self.views:
            root, prefix = self.prefix(new.array, stmt)
            made = replace(new, array=root, indices=(*prefix, *new.indices))
            self.through[made] = new.array, len(prefix)
            return made
        return new


class _Promises(Rewriter):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def body(self, body: ir.Body) -> ir.Body:
        out: list[ir.Stmt] = []
        for stmt in body:
            before: list[ir.Stmt] = []
            new = self.stmt(stmt)
            match new:
                case ir.If() if _promises(new.condition):
                    new = replace(new, condition=self.named(new.condition, before))
                case ir.For():
                    new = self.loop(new, before)
                case ir.While() if _promises(new.condition):
                    prelude = list(new.prelude)
                    condition = self.named(new.condition, prelude)
                    new = replace(new, prelude=tuple(prelude), condition=condition)
            assert new is not None
            out += [*before, new]
        return tuple(out)

    def loop(self, stmt: ir.For, before: list[ir.Stmt]) -> ir.For:
        bounds = [
            self.named(e, before) if _promises(e) else e for e in (stmt.start, stmt.stop, stmt.step)
        ]
        if not before:
            return stmt
        return replace(stmt, start=bounds[0], stop=bounds[1], step=bounds[2])

    def named(self, expr: ir.Expr, before: list[ir.Stmt]) -> ir.Expr:
        """A name for an expression, assigned in `before`."""
        self.count += 1
        var = ir.Var(f".uniform.{self.count}", expr.type)
        before.append(ir.Assign(expr.span, var, expr))
        return ir.Read(expr.span, expr.type, var)


def _conditions(stmt: ir.Stmt) -> tuple[ir.Expr, ...]:
    """What decides who runs the bodies of a statement."""
    if isinstance(stmt, ir.For):
        return stmt.start, stmt.stop, stmt.step
    return (stmt.condition,) if isinstance(stmt, ir.If | ir.While) else ()


def _promises(expr: ir.Expr) -> bool:
    return any(isinstance(e, ir.Intrinsic) and e.function == "uniform" for e in ir.walk_expr(expr))
