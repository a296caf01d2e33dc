"""The scalar table in LLVM text, on scalars and vectors.

In: operations as `ir/scalar.py` names them, operand types, registers. Out: the result's registers,
of the types that `types.register` gives.
Holds: bit for bit what `ir.scalar.evaluate` gives, but for functions with a bound in ulp and, where
`contract` says so, for what one fused operation makes of a product and a sum. Nothing traps and
nothing is undefined, whatever a lane holds, poison too: then only that lane's result is.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.ir.types import DType
from kernelkit_cpu import complexes, conversions, floats, functions, integers
from kernelkit_cpu.hypotenuse import hypot
from kernelkit_cpu.instructions import Code
from kernelkit_cpu.targets import CpuTarget
from kernelkit_cpu.text import Operand, Text
from kernelkit_cpu.types import Parts, register, vector


class Operations:
    """The table, written into one function. `lanes` 0 is a scalar, else a vector of so many.

    `contract`: whether a product and a sum may be fused.
    """

    def __init__(self, text: Text, target: CpuTarget, contract: bool) -> None:
        self._text = text
        self._target = target
        self._contract = contract

    def _code(self, lanes: int) -> Code:
        return Code(self._text, self._target, lanes, self._contract)

    def unary(self, op: str, dtype: DType, a: Parts, lanes: int) -> Parts:
        code, kind = self._code(lanes), register(dtype)
        if dtype.is_complex and op == "abs":
            return (hypot(code, kind, *a),)
        if dtype.kind in "fc":
            change = floats.negated if op == "neg" else floats.absolute
            return tuple(change(code, kind, part) for part in a)
        return (integers.unary(code, op, dtype, a[0]),)

    def binary(self, op: str, dtype: DType, a: Parts, b: Parts, lanes: int) -> Parts:
        code = self._code(lanes)
        if dtype.is_complex:
            if op == "mul":
                return complexes.multiply(code, register(dtype), a, b)
            if op == "truediv":
                return complexes.divide(code, register(dtype), a, b)
            dtype = dtype.component
        table = floats if dtype.is_float else integers
        return tuple(table.binary(code, op, dtype, x, y) for x, y in zip(a, b, strict=True))

    def compare(self, op: str, dtype: DType, a: Parts, b: Parts, lanes: int) -> Parts:
        code, kind = self._code(lanes), register(dtype)
        if dtype.is_complex:
            return (complexes.equal(code, kind, a, b, negated=op == "ne"),)
        if dtype.is_float:
            return (floats.compare(code, op, kind, a[0], b[0]),)
        return (integers.compare(code, op, dtype, a[0], b[0]),)

    def cast(self, source: DType, target: DType, a: Parts, lanes: int) -> Parts:
        return conversions.cast(self._code(lanes), source, target, a)

    def intrinsic(
        self, function: str, operands: Sequence[DType], args: Sequence[Parts], lanes: int
    ) -> Parts:
        return functions.intrinsic(self._code(lanes), function, operands, args)

    def select(
        self, dtype: DType, condition: Operand, a: Parts, b: Parts, lanes: int,
        uniform_condition: bool = False,
    ) -> Parts:  # fmt: skip
        """a where the condition holds, else b. The condition has a bit per lane, or is one bit."""
        full = register(dtype, lanes)
        test = "i1" if uniform_condition else vector("i1", lanes)
        return tuple(
            self._text.let(f"select {test} {condition}, {full} {x}, {full} {y}")
            for x, y in zip(a, b, strict=True)
        )
