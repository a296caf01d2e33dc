"""exp, exp2, log, log2, sin, cos, tan, tanh and pow, written once for every back end.

In: nothing. Out: FUNCTIONS: of each a device function in the kernel language for float32 and one for
float64, which the parser writes out where a kernel calls it.
Holds: they use + - * / fma, comparisons, casts, integer work and selp only, so they give the same
bits everywhere; what is added or subtracted is no product, so that contraction finds nothing to
fuse; they neither trap nor loop, and branch only around what is rare. How exact they are is listed
in docs/math.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Final

from kernelkit.ir.types import FLOAT32, FLOAT64, DType
from kernelkit.mathlib import exponential, hyperbolic, logarithm, power, trigonometric
from kernelkit.records import record


@record
class MathFunction:
    """A function. `ulp` bounds the error of a float32 or float64 result, in units in the last place;
    of a float16 the float32 result is rounded."""

    name: str
    arity: int
    ulp: float
    bodies: Mapping[DType, FunctionType]


def _function(home: ModuleType, name: str, arity: int = 1, ulp: float = 1) -> MathFunction:
    bodies = {dtype: getattr(home, f"{name}_{dtype}") for dtype in (FLOAT32, FLOAT64)}
    return MathFunction(name, arity, ulp, bodies)


#: Every function by name.
FUNCTIONS: Final[dict[str, MathFunction]] = {
    "exp": _function(exponential, "exp"),
    "exp2": _function(exponential, "exp2"),
    "log": _function(logarithm, "log"),
    "log2": _function(logarithm, "log2"),
    "sin": _function(trigonometric, "sin"),
    "cos": _function(trigonometric, "cos"),
    "tan": _function(trigonometric, "tan"),
    "tanh": _function(hyperbolic, "tanh"),
    "pow": _function(power, "pow", arity=2),
}
