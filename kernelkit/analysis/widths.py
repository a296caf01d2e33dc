"""Which 64-bit integers fit 32 bits, so that a device with 32-bit registers need not carry two.

In: a kernel, its block, and whether its launch promises small arrays (`Options.small`). Out: the
range of every integer expression and variable.
Holds: a range is sound for every thread of every launch that keeps the promise, wherever the
expression stands: what a guard says is not used, but for the counters of while loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kernelkit.analysis.guarded import Test, guarded
from kernelkit.analysis.shape import Block
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import DType

Range = tuple[int, int]

#: What small launches keep: extents, arguments, threads along an axis of the grid.
SMALL: Final = (1 << 30) - 1
#: And blocks along y and along z.
ROWS: Final = (1 << 16) - 1
#: Blocks along an axis that any device takes.
_BLOCKS: Final = 2**31 - 1
_INT32: Final = (-(1 << 31), (1 << 31) - 1)
#: After so many rounds an end of a range that still moves is taken to go as far as it can.
_ROUNDS: Final = 4


class Widths:
    """`range(expr)` of an integer expression, `variable(var)` of a variable."""

    def __init__(self, kernel: ir.Kernel, block: Block) -> None:
        self._block, self._small = block, kernel.options.small
        self._variables: dict[ir.Var, Range] = {}
        self._known: dict[ir.Expr, Range] = {}
        for symbol in kernel.params:
            if isinstance(symbol, ir.Var) and symbol.type.is_integer:
                self._variables[symbol] = self._argument(symbol.type)
        self._parameters = frozenset(self._variables)
        self._guarded = guarded(kernel.body)
        self._settle(kernel.body)

    # ------------------------------------------------------------ asking
    def range(self, expr: ir.Expr) -> Range:
        """The least and the greatest value."""
        found = self._known.get(expr)
        if found is None:
            found = self._known[expr] = self._range(expr)
        return found

    def variable(self, var: ir.Var) -> Range:
        return self._variables.get(var, (0, 0))

    def fits(self, expr: ir.Expr) -> bool:
        """Whether an integer expression's value is an int32's."""
        return expr.type.is_integer and within(self.range(expr), _INT32)

    def variable_fits(self, var: ir.Var) -> bool:
        return var.type.is_integer and within(self.variable(var), _INT32)

    # ------------------------------------------------------------ variables
    def _argument(self, dtype: DType) -> Range:
        whole = (dtype.minimum, dtype.maximum)
        return (-SMALL, SMALL) if self._small and dtype.name == "int64" else whole

    def _settle(self, body: ir.Body) -> None:
        """Rounds over all assignments until no range grows."""
        assignments = [stmt for stmt in ir.walk(body) if ir.targets(stmt)]
        grown = True
        turn = 0
        while grown:
            grown = False
            for stmt in assignments:
                for var in ir.targets(stmt):
                    if var.type.is_integer:
                        grown |= self._assigned(var, self._given(stmt, var), turn >= _ROUNDS)
            turn += 1
            self._known.clear()
        for _ in range(2):
            self._narrow(assignments)

    def _narrow(self, assignments: list[ir.Stmt]) -> None:
        """Ranges that hold, taken through all assignments once more, hold too, and may be less."""
        new: dict[ir.Var, Range] = {}
        for stmt in assignments:
            for var in ir.targets(stmt):
                if var.type.is_integer and var not in self._parameters:
                    new[var] = _hull(new.get(var, (0, 0)), self._given(stmt, var))
        self._variables |= new
        self._known.clear()

    def _assigned(self, var: ir.Var, given: Range, anything: bool) -> bool:
        # What is never assigned reads zero.
        old = self._variables.get(var, (0, 0))
        new = min(old[0], given[0]), max(old[1], given[1])
        if new == old:
            self._variables[var] = old
            return False
        if anything:  # that end, for it does not come to rest
            low = var.type.minimum if new[0] < old[0] else new[0]
            new = low, var.type.maximum if new[1] > old[1] else new[1]
        self._variables[var] = new
        return True

    def _given(self, stmt: ir.Stmt, var: ir.Var) -> Range:
        match stmt:
            case ir.Assign():
                tests = self._guarded.get(stmt)
                return self._behind(stmt, tests) if tests else self.range(stmt.value)
            case ir.For():
                return self.counter(stmt)
            case _:
                return var.type.minimum, var.type.maximum

    def _behind(self, stmt: ir.Assign, tests: list[Test]) -> Range:
        """The range of what is assigned where these tests hold of the target before."""
        var = stmt.target
        low, high = before = self.variable(var)
        for op, bound in tests:
            least, greatest = self.range(bound)
            if op in ("lt", "le"):
                high = min(high, greatest - (op == "lt"))
            else:
                low = max(low, least + (op == "gt"))
        if low > high:  # never, as far as is known now
            return self.range(stmt.value)
        known, self._known = self._known, {}
        self._variables[var] = low, high
        found = self.range(stmt.value)
        self._variables[var], self._known = before, known
        return found

    def counter(self, loop: ir.For) -> Range:
        """The values that a loop's target takes."""
        start, stop, step = (self.range(e) for e in (loop.start, loop.stop, loop.step))
        low, high = start
        if step[1] > 0:
            high = max(high, stop[1] - 1)
        if step[0] < 0:
            low = min(low, stop[0] + 1)
        return low, high

    def turns_fit(self, loop: ir.For) -> bool:
        """Whether the counter can be an int32, also one step beyond its last value."""
        step, (low, high) = self.range(loop.step), self.counter(loop)
        after = min(low, low + step[0]), max(high, high + step[1])
        return within(after, _INT32) and self.fits(loop.start) and self.fits(loop.stop)

    # ------------------------------------------------------------ expressions
    def _range(self, expr: ir.Expr) -> Range:
        dtype = expr.type
        if not dtype.is_integer:
            return (0, 1) if dtype.kind == "b" else _ANYTHING
        whole = (dtype.minimum, dtype.maximum)
        found = self._exact(expr)
        return found if found is not None and within(found, whole) else whole

    def _exact(self, expr: ir.Expr) -> Range | None:
        """The range of the exact result; None where nothing is known."""
        match expr:
            case ir.Constant():
                value = int(expr.value.real)
                return value, value
            case ir.Read():
                return self._variables.get(expr.var, (0, 0))
            case ir.SpecialRegister():
                return self._register(expr)
            case ir.Extent():
                known = expr.array.shape
                if known and not expr.array.is_dynamic:
                    return known[expr.axis], known[expr.axis]
                return (0, SMALL) if self._small else (0, (1 << 63) - 1)
            case ir.Cast():
                source = expr.operand.type
                return None if source.kind in "fc" else self.range(expr.operand)
            case ir.Select():
                return _hull(self.range(expr.then), self.range(expr.orelse))
            case ir.Unary(op="neg"):
                low, high = self.range(expr.operand)
                return -high, -low
            case ir.Unary(op="abs"):
                low, high = self.range(expr.operand)
                least = 0 if low <= 0 <= high else min(abs(low), abs(high))
                return least, max(abs(low), abs(high))
            case ir.Binary():
                rule = _BINARY.get(expr.op)
                return None if rule is None else rule(self.range(expr.left), self.range(expr.right))
            case ir.Intrinsic(function="uniform"):
                return self.range(expr.args[0])
            case ir.Intrinsic(function="fmin" | "fmax"):
                return _BINARY[expr.function[1:]](*map(self.range, expr.args))
            case ir.Intrinsic(function="selp"):
                return _hull(self.range(expr.args[1]), self.range(expr.args[2]))
            case _:
                return None

    def _register(self, expr: ir.SpecialRegister) -> Range:
        if expr.register == "laneid":
            return 0, 31
        threads = self._block[expr.axis]
        if expr.register == "threadIdx":
            return 0, threads - 1
        if expr.register == "blockDim":
            return threads, threads
        most = ROWS if expr.axis else SMALL
        blocks = max(1, min(most, SMALL // threads)) if self._small else _BLOCKS
        return (1, blocks) if expr.register == "gridDim" else (0, blocks - 1)


_ANYTHING: Final = (-(1 << 63), (1 << 64) - 1)


def within(inner: Range, outer: Range) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _hull(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), max(a[1], b[1])


def _product(a: Range, b: Range) -> Range:
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def _floordiv(a: Range, b: Range) -> Range | None:
    if b[0] <= 0:
        return None
    ends = [x // y for x in a for y in b]
    return min(ends), max(ends)


def _mod(a: Range, b: Range) -> Range | None:
    """It has the sign of b and is nearer to 0; of b = 0 it is 0."""
    if a[0] >= 0 and a[1] < b[0]:
        return a
    return min(0, b[0] + 1), max(0, b[1] - 1)


def _and(a: Range, b: Range) -> Range | None:
    bounds = [high for low, high in (a, b) if low >= 0]
    return (0, min(bounds)) if bounds else None


def _bits(a: Range, b: Range) -> Range | None:
    """or, xor of what is not negative stays below the next power of two."""
    if a[0] < 0 or b[0] < 0:
        return None
    return 0, (1 << max(a[1].bit_length(), b[1].bit_length())) - 1


def _shl(a: Range, b: Range) -> Range | None:
    if b[0] < 0 or b[1] > 63:
        return None
    return _product(a, (1 << b[0], 1 << b[1]))


def _shr(a: Range, b: Range) -> Range | None:
    if b[0] < 0 or b[1] > 63:
        return None
    ends = [x >> y for x in a for y in b]
    return min(ends), max(ends)


_BINARY: Final[dict[str, Callable[[Range, Range], Range | None]]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "mul": _product,
    "floordiv": _floordiv,
    "mod": _mod,
    "min": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "max": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "and": _and,
    "or": _bits,
    "xor": _bits,
    "shl": _shl,
    "shr": _shr,
}
