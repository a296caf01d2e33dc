"""The counter of a `for ... in range(...)`: never wraps, whatever its bounds.

In: start, stop and step as int64 values. Out: whether the loop runs, goes on, and the counter.
Holds: the number is stepped only where the next one lies before `stop`: the distance that is left
is compared, without a sign, with the step.
"""

from __future__ import annotations

from kernelkit.ir.types import BOOL, INT64
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.sizes import length
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import register
from kernelkit_cpu.values import Form, Value, constant, uniform, varying

#: Bounds within this are far from wrapping.
_NEAR = 1 << 62


class Counter:
    def __init__(self, frame: Frame, start: Value, stop: Value, step: Value) -> None:
        self.frame, self.start, self.stop, self.step = frame, start, stop, step
        if start.form is Form.GUARDED or not step.is_uniform:
            self.start = varying(INT64, frame.arithmetic.vector(start))
        #: Whether the number itself is a vector in memory; else that of lane 0 is.
        self.is_vector = self.start.form is Form.VARYING
        kind = register(INT64, frame.lanes if self.is_vector else 0)
        self.kind = kind
        self.slot = frame.text.alloca(kind, hint="counter")
        first = frame.arithmetic.one(self.start) if self.is_vector else self.start.operand
        frame.text.store(kind, first, self.slot)

    @property
    def trips(self) -> int | None:
        """How often the loop runs, where the bounds are constants."""
        bounds = [v.constant for v in (self.start, self.stop, self.step)]
        if not all(isinstance(b, int) for b in bounds) or bounds[2] == 0:
            return None
        return length(range(*(int(b) for b in bounds if isinstance(b, int))))

    def value(self) -> Value:
        found = self.frame.text.load(self.kind, self.slot)
        if self.is_vector:
            return varying(INT64, (found,))
        return Value(INT64, self.start.form, (found,), self.start.stride)

    def runs(self) -> Value:
        """Whether there is a first number."""
        return self._before(self.start)

    def _before(self, number: Value) -> Value:
        """Whether a number lies before the stop, seen in the direction of the step."""
        arithmetic, zero = self.frame.arithmetic, constant(INT64, 0)
        step = self.step.constant
        if isinstance(step, int):
            if step == 0:
                return constant(BOOL, False)
            return arithmetic.compare("lt" if step > 0 else "gt", number, self.stop)
        up = arithmetic.compare("gt", self.step, zero)
        down = arithmetic.compare("lt", self.step, zero)
        below = arithmetic.compare("lt", number, self.stop)
        above = arithmetic.compare("gt", number, self.stop)
        return arithmetic.binary(
            "or", arithmetic.binary("and", up, below), arithmetic.binary("and", down, above)
        )

    def more(self) -> Value:
        """Whether there is a next number, given that the present one lies before the stop."""
        arithmetic, step = self.frame.arithmetic, self.step.constant
        number = self.value()
        if isinstance(step, int) and (step in (1, -1) or self._is_near()):
            # No wrap-around: the next number is at most the stop, or far from the ends.
            return self._before(self._next(number))
        left = arithmetic.plain("sub", self.stop, number)
        stride = self.step
        if not isinstance(step, int) or step < 0:
            up = arithmetic.compare("gt", self.step, constant(INT64, 0))
            left = arithmetic.select(up, left, arithmetic.plain("sub", number, self.stop))
            stride = arithmetic.select(up, stride, arithmetic.unary("neg", self.step))
        return self._above(left, stride)

    def _is_near(self) -> bool:
        bounds = [self.stop.constant, self.step.constant]
        return all(isinstance(b, int) and abs(b) < _NEAR for b in bounds)

    def _above(self, a: Value, b: Value) -> Value:
        """a > b, both without a sign."""
        text, arithmetic = self.frame.text, self.frame.arithmetic
        if a.is_uniform and b.is_uniform:
            return uniform(BOOL, (text.let(f"icmp ugt i64 {a.operand}, {b.operand}"),))
        kind = register(INT64, self.frame.lanes)
        x, y = arithmetic.one(a), arithmetic.one(b)
        return varying(BOOL, (text.let(f"icmp ugt {kind} {x}, {y}"),))

    def _next(self, number: Value) -> Value:
        if number.is_uniform and isinstance(self.step.constant, int):
            kept = self.frame.text.let(f"add nsw i64 {number.operand}, {self.step.constant}")
            return uniform(INT64, (kept,))
        return self.frame.arithmetic.binary("add", number, self.step)

    def advance(self) -> None:
        text = self.frame.text
        number = self.value()
        if self.is_vector:
            following: Operand = self.frame.arithmetic.one(
                self.frame.arithmetic.plain("add", number, self.step)
            )
        else:
            step = self.step.operand
            following = text.let(f"add i64 {number.operand}, {step}")
        text.store(self.kind, following, self.slot)
