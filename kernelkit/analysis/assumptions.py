"""Which conditions most blocks of a launch meet, so that guards and clamps do nothing there.

In: guards, clamps and indices, as the walk over a kernel meets them. Out: a few comparisons of what
is the same in the whole block, all to be assumed at once.
Holds: this is a matter of taste and never of truth: what is assumed is tested before a block
starts. Taste: a place in the data moves with the block, and most blocks are far from both borders;
a guard around work lets most threads in, one around a return or a correction lets none in.
"""

from __future__ import annotations

from typing import Any, Final

from kernelkit.analysis.affine import Affine, Role, Terms
from kernelkit.analysis.conditions import ORDER, Comparison, Condition, Junction, Negation, holds
from kernelkit.analysis.facts import EVERYTHING, Range, normal
from kernelkit.analysis.flow import Flow
from kernelkit.analysis.shape import Shape
from kernelkit.ir.nodes import (
    Atomic,
    Barrier,
    Binary,
    Body,
    Break,
    Continue,
    Expr,
    Extent,
    For,
    If,
    Kernel,
    Load,
    Read,
    Return,
    Store,
    Unary,
    Var,
    Warp,
    While,
    expressions,
    walk,
    walk_expr,
)
from kernelkit.ir.types import DType

#: More relations than this are not tested for each block.
_MOST: Final = 16
#: A remainder of what strays no further than this from the divisor's range mends a border.
_NEAR: Final = 1 << 20
#: Indices grow by no more from one block to the next.
_STEEP: Final = 1 << 16
#: Factors up to this in size make products that fit int64.
_HALF: Final = (1 << 31) - 1


class Assuming(Flow):
    """Walks a kernel, assumes, and rewrites it for the blocks where the assumptions hold.

    `assumed`: sums that are the same in the whole block, in the normal form of `facts.normal`, and
    the ranges that they must lie in. `promised`: parameters that must keep their promise.
    """

    rewrites = True

    def __init__(self, kernel: Kernel, shape: Shape) -> None:
        super().__init__(kernel, shape)
        self.assumed: dict[Terms, Range] = {}
        self.promised: dict[Var, None] = {}
        self.folds = 0
        self.integers.suppose_within = self.suppose_within
        self._divisors = {
            divisor
            for stmt in walk(kernel.body)
            for top in expressions(stmt)
            for e in walk_expr(top)
            if isinstance(e, Binary) and e.op == "floordiv" and (divisor := _named(e.right))
        }

    # ------------------------------------------------------------ assuming
    def mark(self) -> Any:
        always = self.always.copy()
        return super().mark(), self.assumed.copy(), always, self.promised.copy(), self.folds

    def take_back(self, mark: Any) -> None:
        inner, self.assumed, always, self.promised, self.folds = mark
        self.always.ranges, self.always.relations = always.ranges, always.relations
        super().take_back(inner)

    def folded(self) -> None:
        self.folds += 1

    def relied(self, *values: Affine) -> None:
        for value in values:
            if value.promises:
                self.promised.update(dict.fromkeys(value.promises))

    def suppose(self, form: Affine, limit: int, small: bool = False) -> bool:
        """Assume form <= limit in all threads of the block; False where that makes no sense.
        `small`: it does, too, where no blocks or all of them are so."""
        most = form.extreme(True)
        if most is None or not most.terms:
            return most is not None and most.const <= limit
        likely = self.always.compared(most, limit)
        if likely:
            self.relied(most)
            return True
        if likely is False or not self.integers.is_safe(most):
            return False
        if not small and not most.role & Role.PLACE:  # true of all blocks or of none
            return False
        terms, wanted = normal(most, limit)
        old = self.assumed.get(terms, EVERYTHING)
        new = max(old[0], wanted[0]), min(old[1], wanted[1])
        facts = self.always.copy()
        full = len(self.assumed) >= _MOST and terms not in self.assumed
        if full or new[0] > new[1] or not facts.learn(most, limit):
            return False
        self.always.ranges, self.always.relations = facts.ranges, facts.relations
        self.assumed[terms] = new
        self.relied(most)
        return True

    # ------------------------------------------------------------ clamps and indices
    def suppose_clamp(self, expr: Binary, left: Affine, right: Affine) -> bool:
        if bool(_moves(left)) == bool(_moves(right)):
            return False
        place, bound = (left, right) if _moves(left) else (right, left)
        if expr.op == "max":
            return not bound.role & Role.EXTENT and self.suppose(bound.minus(place), 0)
        return bool(bound.role & Role.SIZE) and self.suppose(place.minus(bound), 0)

    def suppose_remainder(self, expr: Binary, value: Affine, divisor: Affine) -> None:
        if _moves(value) <= 0 or not divisor.role & Role.SIZE or divisor.role & Role.PLACE:
            return
        reduced = value.minus(divisor)
        if len(reduced.terms) >= len(value.terms):
            reduced = value
        below = reduced.minus(divisor)
        near = self.facts.at_least(reduced, -_NEAR) and self.facts.at_most(below, _NEAR)
        strays = reduced.const != 0 or reduced.role & Role.STEP
        # i // w and i % w take an index apart: that is no border.
        if near or (strays and _named(expr.right) not in self._divisors):
            mark = self.mark()
            if not (self.suppose(reduced.times(-1), 0) and self.suppose(below, -1)):
                self.take_back(mark)

    def suppose_positive(self, expr: Unary, value: Affine) -> None:
        if _moves(value) and not value.role & Role.SIZE:
            self.suppose(value.times(-1), 0)

    def suppose_index(self, value: Affine) -> bool:
        wraps = self.kernel.options.wraparound
        return wraps and bool(_moves(value)) and self.suppose(value.times(-1), 0)

    def suppose_fits(self, value: Affine) -> None:
        for sign in (1, -1):
            self.suppose(value.times(sign), _HALF, small=True)

    def suppose_within(self, form: Affine, dtype: DType) -> bool:
        """Suppose that an index does not leave its type; hashes do so on purpose."""
        steep = any(abs(factor) > _STEEP for _, factor in form.terms)
        if dtype.bits < 32 or steep or not form.role & (Role.PLACE | Role.EXTENT):
            return False
        mark = self.mark()
        low = self.suppose(form.times(-1), -dtype.minimum, small=True)
        if low and self.suppose(form, dtype.maximum, small=True):
            return True
        self.take_back(mark)
        return False

    # ------------------------------------------------------------ guards
    def wanted(self, stmt: If) -> bool | None:
        then, orelse = _works(stmt.then), _works(stmt.orelse)
        if stmt.then and isinstance(stmt.then[-1], Return | Break | Continue):
            return None if then else False
        if then != orelse:
            return then
        return None if then or stmt.orelse else False

    def suppose_condition(self, condition: Condition, hint: bool | None) -> bool:
        for weak in (False, True):
            truth = _likely(condition, hint, weak)
            if truth is not None:
                return self._suppose_truth(condition, truth, hint, weak)
        return False

    def _suppose_truth(
        self, condition: Condition, truth: bool, hint: bool | None, weak: bool
    ) -> bool:
        """Assume as much of a condition as is likely."""
        match condition:
            case Comparison(op=op) if op in ORDER:
                sign, limit = ORDER[op]
                form = condition.difference.times(sign)
                return (
                    self.suppose(form, limit) if truth else self.suppose(form.times(-1), -limit - 1)
                )
            case Negation():
                hint = None if hint is None else not hint
                return self._suppose_truth(condition.operand, not truth, hint, weak)
            case Junction():
                return self._suppose_junction(condition, truth, hint, weak)
            case _:
                return False

    def _suppose_junction(
        self, condition: Junction, truth: bool, hint: bool | None, weak: bool
    ) -> bool:
        supposed = False
        for operand in (condition.left, condition.right):
            contrary = _likely(operand, hint, weak) == (not truth)
            if contrary or holds(operand, self.always) is not None:
                continue
            if self._suppose_truth(operand, truth, hint, weak):
                supposed = True
                if truth != (condition.op == "and"):  # one is enough
                    return True
        return supposed


# ---------------------------------------------------------------- what is likely
def _moves(form: Affine) -> int:
    """1 where a sum grows with the place of the block or of a loop's iteration, -1 where it
    shrinks; 0: neither, or both."""
    signs = {factor > 0 for atom, factor in form.terms if atom.role & Role.PLACE}
    return 0 if len(signs) != 1 else 1 if signs.pop() else -1


def _sized(form: Affine) -> int:
    """How a sum speaks of sizes that stand still."""
    found = Role.NONE
    for atom, _ in form.terms:
        if not atom.role & Role.PLACE:
            found |= atom.role & (Role.SIZE | Role.EXTENT)
    return found


def _likely(condition: Condition, hint: bool | None, weak: bool) -> bool | None:
    """What a condition is in most blocks; `hint`: what the look of the statement says."""
    match condition:
        case Comparison():
            return _likely_comparison(condition, hint, weak)
        case Negation():
            found = _likely(condition.operand, None if hint is None else not hint, weak)
            return None if found is None else not found
        case Junction():
            decides = condition.op == "or"
            both = [_likely(c, hint, weak) for c in (condition.left, condition.right)]
            return decides if decides in both else (not decides) if (not decides) in both else None
        case _:
            return None


def _likely_comparison(condition: Comparison, hint: bool | None, weak: bool) -> bool | None:
    difference = condition.difference
    moves, left = _moves(difference), _moves(condition.left)
    if condition.op not in ORDER or not moves:
        return None
    rises = condition.op in ("gt", "ge")  # is it true of a large difference?
    if not _sized(difference):
        return rises == (moves > 0)
    if hint is not None:
        return hint
    if left and _moves(condition.right):
        return None
    place, bound = (condition.left, condition.right) if left else (condition.right, condition.left)
    beyond = rises == bool(left)  # is it true of a place far behind the bound?
    sized = _sized(bound)
    if sized:
        return (not beyond) if sized & Role.EXTENT or weak else None
    if _sized(place) & Role.EXTENT and _moves(place) > 0:
        return not beyond  # x - width < 0
    return beyond


def _works(body: Body) -> bool:
    """Whether statements do more than to correct a number."""
    for stmt in walk(body):
        if isinstance(stmt, Store | Atomic | Warp | Barrier | For | While):
            return True
        if any(isinstance(e, Load) for top in expressions(stmt) for e in walk_expr(top)):
            return True
    return False


def _named(expr: Expr) -> object:
    """A name or an extent, comparable."""
    match expr:
        case Read():
            return expr.var
        case Extent():
            return expr.array, expr.axis
        case _:
            return None
