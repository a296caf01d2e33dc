"""Nodes of the IR, made briefly.

In: a span. Out: nodes that bear it.
"""

from __future__ import annotations

from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir import scalar
from kernelkit.ir.types import BOOL, FLOAT16, FLOAT32, FLOAT64, INT64, DType


class Build:
    def __init__(self, span: Span) -> None:
        self.span = span

    def number(self, value: int, dtype: DType = INT64) -> ir.Expr:
        return ir.Constant(self.span, dtype, value)

    def truth(self, value: bool) -> ir.Expr:
        return ir.Constant(self.span, BOOL, value)

    def assign(self, var: ir.Var, value: ir.Expr) -> ir.Stmt:
        return ir.Assign(self.span, var, value)

    def cast(self, dtype: DType, value: ir.Expr) -> ir.Expr:
        return value if value.type == dtype else ir.Cast(self.span, dtype, value)

    def binary(self, op: str, left: ir.Expr, right: ir.Expr) -> ir.Expr:
        return ir.Binary(self.span, left.type, op, left, right)

    def add(self, left: ir.Expr, right: ir.Expr) -> ir.Expr:
        return self.binary("add", left, right)

    def compare(self, op: str, left: ir.Expr, right: ir.Expr) -> ir.Expr:
        return ir.Compare(self.span, BOOL, op, left, right)

    def call(self, function: str, *args: ir.Expr) -> ir.Expr:
        dtype = scalar.result_type(function, *(arg.type for arg in args))
        assert dtype is not None
        return ir.Intrinsic(self.span, dtype, function, args)

    def register(self, name: str, axis: int = 0) -> ir.Expr:
        return ir.SpecialRegister(self.span, INT64, name, axis)

    def every(self, tests: list[ir.Expr]) -> ir.Expr:
        """All of these hold."""
        found = tests[0]
        for test in tests[1:]:
            found = self.binary("and", found, test)
        return found

    def select(self, condition: ir.Expr, then: ir.Expr, orelse: ir.Expr) -> ir.Expr:
        return ir.Select(self.span, then.type, condition, then, orelse)

    def place(self, index: str, extent: str) -> ir.Expr:
        """The number of a thread in its block, of a block in its grid; x fastest."""
        rows = self.add(
            self.register(index, 1),
            self.binary("mul", self.register(extent, 1), self.register(index, 2)),
        )
        return self.add(self.register(index), self.binary("mul", self.register(extent), rows))

    # ------------------------------------------------------------ values as words
    def words(self, value: ir.Expr) -> list[ir.Expr]:
        """The bits of a value, low bytes first, as int64s: one, or two of a complex number."""
        dtype = value.type
        if dtype.is_complex:
            parts = self.call("real", value), self.call("imag", value)
            return [word for part in parts for word in self.words(part)]
        if dtype == FLOAT64:
            return [self.call("double_as_longlong", value)]
        if dtype == FLOAT32:
            return [self.cast(INT64, self.call("float_as_int", value))]
        if dtype == FLOAT16:
            return [self._half(value)]
        return [self.cast(INT64, value)]

    def _half(self, value: ir.Expr) -> ir.Expr:
        """Of the float32 that a float16 is: normal ones have their exponent moved, those below are
        counted in the smallest one."""
        wide = ir.Cast(self.span, FLOAT32, value)
        bits = self.cast(INT64, self.call("float_as_int", wide))
        size = self.binary("and", bits, self.number(0x7FFFFFFF))
        sign = self.binary("and", self._down(bits, 16), self.number(0x8000))
        fraction = self.binary("and", self._down(size, 13), self.number(0x3FF))
        special = self.binary("or", fraction, self.number(0x7C00))
        normal = self._down(self.binary("sub", size, self.number(0x38000000)), 13)
        scale = ir.Constant(self.span, FLOAT32, 2.0**24)
        tiny = self.cast(INT64, self.binary("mul", self.call("fabs", wide), scale))
        is_special = self.compare("ge", size, self.number(0x7F800000))
        is_normal = self.compare("ge", size, self.number(0x38800000))
        small = self.select(is_normal, normal, tiny)
        return self.binary("or", sign, self.select(is_special, special, small))

    def _down(self, value: ir.Expr, places: int) -> ir.Expr:
        return self.binary("shr", value, self.number(places))
