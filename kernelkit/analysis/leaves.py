"""Where integers come from, and how to calculate them before a block starts.

In: registers, extents, parameters. Out: their sums, of one atom each; and for a sum that is the
same in the whole block an expression of int64 arithmetic.
Holds: an expression is made only of what cannot wrap around, as long as parameters keep their
promises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kernelkit.analysis.affine import Affine, Atom, Atoms, Role, constant, of_atom
from kernelkit.analysis.facts import Facts
from kernelkit.analysis.shape import Shape
from kernelkit.errors import Span
from kernelkit.ir.nodes import (
    ArrayVar,
    Binary,
    Cast,
    Constant,
    Expr,
    Extent,
    Read,
    SpecialRegister,
    Var,
)
from kernelkit.ir.types import INT64, DType

#: No array has so many elements.
EXTENT_LIMIT: Final = 1 << 60
#: Where promises are made, parameters of wide types lie within plus or minus this.
PARAMETER_LIMIT: Final = 1 << 40
#: What is calculated before a block starts stays below this, so that nothing there wraps around.
SAFE: Final = INT64.maximum
#: Nor a launch so many threads along an axis. Where blocks are not those of the launch, there may
#: be more of them than gridDim says, but not more than threads.
BLOCK_LIMIT: Final = 1 << 41
_GRID: Final = ((1 << 31) - 1, 65535, 65535)


class Leaves:
    """Makes the values of one kernel. `promising`: wide parameters lie within PARAMETER_LIMIT, and
    what relies on that says so."""

    def __init__(self, shape: Shape, span: Span, promising: bool) -> None:
        self.shape, self.span, self.promising = shape, span, promising
        self.atoms = Atoms()
        #: What holds wherever in the kernel one is.
        self.always = Facts(self.atoms)
        #: Asked whether a value that may leave its type can be supposed to stay within.
        self.suppose_within: Callable[[Affine, DType], bool] | None = None
        self._exprs: dict[Affine, Expr] = {}
        width, height, depth = shape.block
        self.threads = width * height * depth

    # ------------------------------------------------------------ leaves
    def register(self, expr: SpecialRegister) -> Affine:
        if expr.register == "blockDim":
            return constant(self.shape.block[expr.axis])
        key = (expr.register, expr.axis)
        atom = self.atoms.known(key)
        return of_atom(atom or self.atoms.remember(key, self._register(*key)))

    def _register(self, register: str, axis: int) -> Atom:
        if register == "threadIdx" or register == "laneid":
            last = (
                self.shape.block[axis] - 1 if register == "threadIdx" else min(31, self.threads - 1)
            )
            return self.atoms.new(0, last, least=constant(0), most=constant(last), is_function=True)
        expr = SpecialRegister(self.span, INT64, register, axis)
        if register == "gridDim":
            return self.atoms.new(1, _GRID[axis], Role.SIZE, expr=expr, is_function=True)
        return self.atoms.new(0, BLOCK_LIMIT - 1, Role.PLACE, expr=expr, is_function=True)

    def extent(self, array: ArrayVar, axis: int, is_parameter: bool) -> Affine:
        if array.shape and not array.is_dynamic:
            return constant(array.shape[axis])
        key = ("extent", array, axis)
        atom = self.atoms.known(key)
        if atom is None:
            expr = Extent(self.span, INT64, array, axis) if is_parameter else None
            atom = self.atoms.new(
                0, EXTENT_LIMIT - 1, Role.SIZE | Role.EXTENT, expr=expr, is_function=True
            )
        return of_atom(self.atoms.remember(key, atom))

    def parameter(self, var: Var) -> Affine:
        """The value that a scalar parameter has when the kernel starts."""
        low, high = var.type.minimum, var.type.maximum
        promises: frozenset[Var] = frozenset()
        if self.promising and high > PARAMETER_LIMIT:
            low, high = max(low, -PARAMETER_LIMIT), PARAMETER_LIMIT
            promises = frozenset((var,))
        expr: Expr = Read(self.span, var.type, var)
        if var.type != INT64:
            expr = Cast(self.span, INT64, expr)
        return of_atom(
            self.atoms.new(low, high, Role.SIZE, expr=expr, is_function=True, promises=promises)
        )

    def unknown(self, dtype: DType) -> Affine:
        return of_atom(self.atoms.new(dtype.minimum, dtype.maximum))

    def bounded(self, low: int, high: int) -> Affine:
        """Something from low to high, which is as much as is known of it in a block."""
        return of_atom(self.atoms.new(low, high, least=constant(low), most=constant(high)))

    # ------------------------------------------------------------ before the block starts
    def is_safe(self, form: Affine) -> bool:
        """Whether a sum can be added up in int64, in any order."""
        reach = abs(form.const)
        for atom, factor in form.terms:
            reach += abs(factor) * max(abs(atom.low), abs(atom.high))
        return reach < SAFE

    def expr(self, form: Affine) -> Expr:
        """A safe sum, the same in the whole block, as an expression of int64."""
        found = self._exprs.get(form)
        if found is None:
            found = self._exprs[form] = self._sum(form)
        return found

    def _sum(self, form: Affine) -> Expr:
        span, total = self.span, None
        for atom, factor in sorted(form.terms, key=lambda term: term[1] < 0):
            assert atom.expr is not None
            size = abs(factor) if total is not None else factor
            value = atom.expr
            if size != 1:
                value = Binary(span, INT64, "mul", value, Constant(span, INT64, size))
            if total is None:
                total = value
            else:
                total = Binary(span, INT64, "add" if factor > 0 else "sub", total, value)
        if total is None or form.const:
            const = Constant(span, INT64, form.const if total is None else abs(form.const))
            op = "add" if form.const > 0 else "sub"
            total = const if total is None else Binary(span, INT64, op, total, const)
        return total
