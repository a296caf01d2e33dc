"""Interior blocks: what a kernel is where guards, clamps and wraps change nothing.

In: a kernel and its shape. Out: Interior: conditions, to be tested once per block, and the kernel
for the blocks that meet them all.
Holds: there it does what the original does, thread by thread and bit by bit. Conditions read only
constants, scalar parameters as they were passed, extents of parameter arrays, blockIdx and gridDim;
they are int64 arithmetic that may wrap around where a condition among them is false, and only there.
"""

from __future__ import annotations

from collections.abc import Iterator

from kernelkit.analysis.affine import BEYOND, Affine, Terms, of_atom
from kernelkit.analysis.assumptions import Assuming
from kernelkit.analysis.facts import Range
from kernelkit.analysis.operands import operands_first
from kernelkit.analysis.shape import Shape
from kernelkit.errors import Span
from kernelkit.ir.nodes import (
    Assign,
    Body,
    Compare,
    Constant,
    Expr,
    Kernel,
    Read,
    Var,
    expressions,
    targets,
    walk,
)
from kernelkit.ir.types import BOOL
from kernelkit.records import record


@record
class Interior:
    """`conditions`: bool expressions. `never_negative`: index expressions of the new kernel that
    are at least 0, given the conditions."""

    kernel: Kernel
    conditions: tuple[Expr, ...]
    never_negative: frozenset[Expr]


def find_interior(kernel: Kernel, shape: Shape) -> Interior | None:
    """None where no blocks are simpler than the others, or none can be told apart."""
    walk = Assuming(kernel, shape)
    try:
        body = walk.walked()
    except RecursionError:  # a kernel nested that deeply stays as it is
        return None
    if not walk.folds:
        return None
    body = (*_zeros(kernel, body), *body)
    inner = Kernel(kernel.name, kernel.params, body, kernel.span, kernel.options)
    return Interior(inner, tuple(_conditions(walk)), walk.never_negative())


def _zeros(kernel: Kernel, body: Body) -> Iterator[Assign]:
    """Names that are still read, but whose assignments are all gone, are read as zero."""
    assigned = {p for p in kernel.params if isinstance(p, Var)}
    assigned.update(var for stmt in walk(body) for var in targets(stmt))
    missing: dict[Var, Span] = {}
    for stmt in walk(body):
        for expr in operands_first(expressions(stmt)):
            if isinstance(expr, Read) and expr.var not in assigned:
                missing.setdefault(expr.var, expr.span)
    for var, span in missing.items():
        zero = {"b": False, "f": 0.0, "c": 0j}.get(var.type.kind, 0)
        yield Assign(span, var, Constant(span, var.type, zero))


# ---------------------------------------------------------------- conditions
def _conditions(walk: Assuming) -> Iterator[Expr]:
    """The promises of parameters, then the assumptions."""
    for var in walk.promised:
        form = walk.parameters[var]
        atom = form.terms[0][0]
        low, high = walk.assumed.get(form.terms, (-BEYOND, BEYOND))
        yield from _within(walk, form.terms, (
            -BEYOND if low >= atom.low else atom.low, BEYOND if high <= atom.high else atom.high
        ))  # fmt: skip
    for terms, known in walk.assumed.items():
        yield from _within(walk, terms, known)


def _within(walk: Assuming, terms: Terms, known: Range) -> Iterator[Expr]:
    """That a sum lies in a range, with what is subtracted on the other side."""
    low, high = known
    if low > -BEYOND:
        yield _at_most(walk, Affine(low, tuple((a, -c) for a, c in terms)))
    if high < BEYOND:
        yield _at_most(walk, Affine(-high, terms))


def _at_most(walk: Assuming, form: Affine) -> Expr:
    """form <= 0."""
    left, right = Affine(max(form.const, 0)), Affine(max(-form.const, 0))
    for atom, factor in form.terms:
        if factor > 0:
            left = left.plus(of_atom(atom), factor)
        else:
            right = right.plus(of_atom(atom), -factor)
    span = walk.kernel.span
    return Compare(span, BOOL, "le", walk.integers.expr(left), walk.integers.expr(right))
