"""LLVM instructions on values of one element type in so many lanes.

In: an instruction's name, the LLVM name of the element type (i32, float), operands. Out: operands.
Holds: nothing is known here of the scalar table; `contract` marks only what `fadd`, `fsub` and
`fmul` of this module are asked to.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from kernelkit.ir.types import FLOAT16, FLOAT32, FLOAT64
from kernelkit.records import record
from kernelkit_cpu.llvm import function_attributes
from kernelkit_cpu.targets import CpuTarget
from kernelkit_cpu.text import Module, Operand, Text
from kernelkit_cpu.types import literal, suffix, vector

_FLOATS: Final = {"half": FLOAT16, "float": FLOAT32, "double": FLOAT64}
_WIDTHS: Final = {"half": 16, "float": 32, "double": 64}
#: A function that reads and writes nothing but its own memory, kept out of line.
_PURE: Final = "noinline willreturn nosync nofree memory(none)"
_NUMBER: Final = re.compile(r"(?:splat \(i\d+ )?(-?\d+)\)?")
_FLOAT_NUMBER: Final = re.compile(r"(?:splat \((?:float|double) )?0x([0-9A-F]{16})\)?")


def width(kind: str) -> int:
    """How many bits an element has."""
    return _WIDTHS.get(kind) or int(kind[1:])


def same_bits(kind: str) -> str:
    """The integer type as wide as a float type."""
    return f"i{width(kind)}"


def constant(operand: Operand) -> int | None:
    """The value of an integer constant, the same in all lanes; None of anything else."""
    if operand == "zeroinitializer":
        return 0
    found = _NUMBER.fullmatch(operand)
    return int(found[1]) if found else None


def float_constant(operand: Operand) -> float | None:
    """The value of a float32 or float64 constant, the same in all lanes; None of anything else."""
    found = _FLOAT_NUMBER.fullmatch(operand)
    return struct.unpack(">d", bytes.fromhex(found[1]))[0] if found else None


@record
class Code:
    """Where instructions are written, and for how many lanes (0: scalars)."""

    text: Text
    target: CpuTarget
    lanes: int
    contract: bool = False

    def exact(self) -> Code:
        """The same place, where nothing may be contracted."""
        return replace(self, contract=False) if self.contract else self

    def free(self) -> Code:
        """The same place, where products and sums are exact anyway and so may be fused."""
        return replace(self, contract=True)

    def kind(self, name: str) -> str:
        """The LLVM type of so many lanes of an element type."""
        return vector(name, self.lanes)

    def number(self, kind: str, value: float) -> Operand:
        """A constant in every lane."""
        if kind in _FLOATS:
            return literal(_FLOATS[kind], value, self.lanes)[0]
        text = {"i1": ("false", "true")[bool(value)]}.get(kind, str(int(value)))
        return f"splat ({kind} {text})" if self.lanes else text

    # ------------------------------------------------------------ instructions
    def op(self, name: str, kind: str, *operands: Operand) -> Operand:
        return self.text.let(f"{name} {self.kind(kind)} {', '.join(operands)}")

    def _float(self, name: str, kind: str, a: Operand, b: Operand) -> Operand:
        return self.op(f"{name} contract" if self.contract else name, kind, a, b)

    def fadd(self, kind: str, a: Operand, b: Operand) -> Operand:
        return self._float("fadd", kind, a, b)

    def fsub(self, kind: str, a: Operand, b: Operand) -> Operand:
        return self._float("fsub", kind, a, b)

    def fmul(self, kind: str, a: Operand, b: Operand) -> Operand:
        return self._float("fmul", kind, a, b)

    def icmp(self, predicate: str, kind: str, a: Operand, b: Operand) -> Operand:
        return self.op(f"icmp {predicate}", kind, a, b)

    def fcmp(self, predicate: str, kind: str, a: Operand, b: Operand) -> Operand:
        return self.op(f"fcmp {predicate}", kind, a, b)

    def select(self, kind: str, condition: Operand, a: Operand, b: Operand) -> Operand:
        full = self.kind(kind)
        return self.text.let(f"select {self.kind('i1')} {condition}, {full} {a}, {full} {b}")

    def convert(self, name: str, source: str, operand: Operand, target: str) -> Operand:
        """One of sext, fptosi, bitcast ..."""
        return self.text.let(f"{name} {self.kind(source)} {operand} to {self.kind(target)}")

    def resized(self, source: str, operand: Operand, target: str, signed: bool) -> Operand:
        """An integer in another width."""
        if source == target:
            return operand
        name = "trunc" if width(target) < width(source) else "sext" if signed else "zext"
        return self.convert(name, source, operand, target)

    def intrinsic(self, name: str, kind: str, *operands: Operand) -> Operand:
        """`llvm.<name>` where all operands and the result have one type."""
        full = self.kind(kind)
        return self.text.call(
            f"llvm.{name}.{suffix(kind, self.lanes)}", full, [(full, each) for each in operands]
        )

    def flagged(self, name: str, kind: str, operand: Operand, flag: bool) -> Operand:
        """`llvm.<name>` of an operand and an i1, such as ctlz."""
        full = self.kind(kind)
        arguments = [(full, operand), ("i1", "true" if flag else "false")]
        return self.text.call(f"llvm.{name}.{suffix(kind, self.lanes)}", full, arguments)

    def freeze(self, kind: str, operand: Operand) -> Operand:
        return operand if constant(operand) is not None else self.op("freeze", kind, operand)

    def any_bit(self, kind: str, value: Operand) -> Operand:
        """Whether some bit is set in some lane (an i1)."""
        if self.lanes:
            name = f"llvm.vector.reduce.or.{suffix(kind, self.lanes)}"
            value = self.text.call(name, kind, [(self.kind(kind), value)])
        return self.text.let(f"icmp ne {kind} {value}, 0")

    def any_lane(self, condition: Operand) -> Operand:
        """Whether a condition holds in some lane (an i1)."""
        if not self.lanes:
            return condition
        name = f"llvm.vector.reduce.or.{suffix('i1', self.lanes)}"
        return self.text.call(name, "i1", [(self.kind("i1"), condition)])

    def branched(
        self, kind: str, condition: Operand, yes: Callable[[], Operand], no: Callable[[], Operand]
    ) -> Operand:
        """One of two values, of which only that one is computed. The condition is an i1."""
        text, ways = self.text, []
        first, second, end = (text.label(hint) for hint in ("yes", "no", "end"))
        text.branch(condition, first, second)
        for label, value in ((first, yes), (second, no)):
            text.start(label)
            found = value()
            ways.append((found, text.here))
            text.jump(end)
        text.start(end)
        return text.phi(self.kind(kind), *ways)

    # ------------------------------------------------------------ functions of the module
    def internal(
        self,
        name: str,
        kind: str,
        arguments: Sequence[Operand],
        body: Callable[[Code], None],
        cold: bool = False,
    ) -> Operand:
        """Calls a function of the module; arguments and result have one type.

        It is written where the module lacks it: `body` does that, given where; its arguments are
        %a0, %a1 and so on. `cold`: it is seldom called.
        """
        full, name = self.kind(kind), f"{name}.{suffix(kind, self.lanes)}"
        module = self.text.module
        if not _defines(module, name):
            inner = Text(module)
            body(replace(self, text=inner))
            taken = ", ".join(f"{full} %a{i}" for i in range(len(arguments)))
            attributes = f"{function_attributes(self.target)} {_PURE}{' cold' if cold else ''}"
            inner.function(f"internal {full} @{name}({taken})", attributes)
        given = ", ".join(f"{full} {each}" for each in arguments)
        return self.text.let(f"call {full} @{name}({given})")


def _defines(module: Module, name: str) -> bool:
    return any(f" @{name}(" in function.partition("\n")[0] for function in module.functions)
