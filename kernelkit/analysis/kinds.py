"""The five kinds of value, and how operations combine them.

In: nodes and the kinds of their operands. Out: kinds.
Holds: a kind speaks of the threads that run a statement together. Linear values are linear modulo
2^bits of their type, nothing more: a cast that widens one, and a comparison, need a test.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from kernelkit.analysis.shape import Shape
from kernelkit.ir.nodes import Binary, Cast, Constant, Select, Unary
from kernelkit.ir.types import DType
from kernelkit.records import record


class Level(IntEnum):
    """From the most to the least that is known."""

    #: The same in all threads of the block.
    BLOCK_UNIFORM = 0
    #: The same in all lanes of a vector.
    VECTOR_UNIFORM = 1
    #: A scalar plus lane x stride.
    LINEAR = 2
    #: Linear where a scalar test holds.
    GUARDED_LINEAR = 3
    VARYING = 4


@record
class Kind:
    """A level and, for linear values, the stride: in the signed range of the type, never 0."""

    level: Level
    stride: int = 0

    def __str__(self) -> str:
        name = self.level.name.lower().replace("_", "-")
        return f"{name}({self.stride})" if self.is_linear else name

    @property
    def is_uniform(self) -> bool:
        return self.level <= Level.VECTOR_UNIFORM

    @property
    def is_linear(self) -> bool:
        return self.level in (Level.LINEAR, Level.GUARDED_LINEAR)

    @property
    def control(self) -> Level:
        """How threads part on a condition of this kind."""
        return self.level if self.is_uniform else Level.VARYING


BLOCK_UNIFORM: Final = Kind(Level.BLOCK_UNIFORM)
VECTOR_UNIFORM: Final = Kind(Level.VECTOR_UNIFORM)
VARYING: Final = Kind(Level.VARYING)


def linear(stride: int, dtype: DType, level: Level = Level.LINEAR) -> Kind:
    """The kind of base + lane x stride in a type."""
    half = 1 << (dtype.bits - 1)
    wrapped = (stride + half) % (2 * half) - half
    if wrapped == 0:
        return VECTOR_UNIFORM if level is Level.LINEAR else VARYING
    return Kind(level, wrapped)


def join(a: Kind, b: Kind) -> Kind:
    """The least kind that covers values of both."""
    if a == b:
        return a
    if (a.is_uniform and b.is_uniform) or (a.is_linear and b.is_linear and a.stride == b.stride):
        return max(a, b, key=lambda kind: kind.level)
    return VARYING


def merged(kind: Kind, control: Level) -> Kind:
    """The kind of a name whose values of `kind` come together after threads parted."""
    if control is Level.VARYING:
        return VARYING
    return VECTOR_UNIFORM if kind.level < control else kind


def all_uniform(kinds: Iterable[Kind]) -> Kind:
    """The kind of a function of values: uniform if they all are."""
    levels = [k.level for k in kinds]
    level = max(levels, default=Level.BLOCK_UNIFORM)
    return Kind(level) if level <= Level.VECTOR_UNIFORM else VARYING


# ---------------------------------------------------------------- operations
def unary(expr: Unary, operand: Kind) -> Kind:
    if operand.is_linear and expr.op in ("neg", "invert") and expr.type.is_integer:
        return linear(-operand.stride, expr.type, operand.level)
    return all_uniform((operand,))


def cast(expr: Cast, operand: Kind) -> Kind:
    source, target = expr.operand.type, expr.type
    if not operand.is_linear or not (source.is_integer and target.is_integer):
        return all_uniform((operand,))
    if target.bits <= source.bits:
        return linear(operand.stride, target, operand.level)
    return linear(operand.stride, target, Level.GUARDED_LINEAR)


def select(expr: Select, condition: Kind, then: Kind, orelse: Kind) -> Kind:
    if condition.is_uniform and then == orelse and then.level is Level.LINEAR:
        return then
    return all_uniform((condition, then, orelse))


def binary(expr: Binary, left: Kind, right: Kind) -> Kind:
    kinds = (left, right)
    if all(k.is_uniform for k in kinds) or not expr.type.is_integer:
        return all_uniform(kinds)
    if any(k.level is Level.VARYING for k in kinds):
        return VARYING
    level = max(k.level for k in kinds)
    match expr.op:
        case "add":
            return linear(left.stride + right.stride, expr.type, level)
        case "sub":
            return linear(left.stride - right.stride, expr.type, level)
        case "mul":
            return _scaled(expr, left, right, level)
        case "shl" if left.is_linear and (count := _integer(expr.right)) is not None:
            in_range = 0 <= count < expr.type.bits
            return linear(left.stride << count, expr.type, level) if in_range else VARYING
        case "min" | "max" if left.is_linear != right.is_linear:
            return linear(left.stride + right.stride, expr.type, Level.GUARDED_LINEAR)
        case "mod" if right.is_uniform:
            return linear(left.stride, expr.type, Level.GUARDED_LINEAR)
        case _:
            return VARYING


def _scaled(expr: Binary, left: Kind, right: Kind, level: Level) -> Kind:
    for operand, factor in ((left, expr.right), (right, expr.left)):
        constant = _integer(factor)
        if operand.is_linear and constant is not None:
            return linear(operand.stride * constant, expr.type, level)
    return VARYING


def _integer(expr: object) -> int | None:
    value = expr.value if isinstance(expr, Constant) else None
    return value if isinstance(value, int) else None


# ---------------------------------------------------------------- registers
def registers(shape: Shape) -> dict[tuple[str, int], Kind]:
    """The kinds of the registers that are not the same in the whole block.

    An axis of one thread is not made block-uniform: whether a kernel is legal must not hang on the
    block that it is launched with.
    """
    width, height, depth = shape.block
    in_row = stays_in_row(shape)
    in_plane = in_row or depth == 1 or width * height % shape.lanes == 0
    along_x = Kind(Level.LINEAR, 1)
    return {
        ("threadIdx", 0): along_x if in_row else VARYING,
        ("threadIdx", 1): VECTOR_UNIFORM if in_row else VARYING,
        ("threadIdx", 2): VECTOR_UNIFORM if in_plane else VARYING,
        ("laneid", 0): along_x if stays_in_warp(shape) else VARYING,
    }


def stays_in_row(shape: Shape) -> bool:
    """Whether all lanes of every vector have the same threadIdx.y and z."""
    width, height, depth = shape.block
    return shape.rowwise or height * depth == 1 or width % shape.lanes == 0


def stays_in_warp(shape: Shape) -> bool:
    """Whether every vector is an aligned part of one warp."""
    width, height, depth = shape.block
    aligned = not shape.rowwise or height * depth == 1 or width % shape.lanes == 0
    return 32 % shape.lanes == 0 and aligned
