"""Operations on constants, done while parsing.

In: constant operands. Out: a Constant with the value that the scalar table gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kernelkit.errors import Span
from kernelkit.ir import scalar
from kernelkit.ir.nodes import Constant, Expr
from kernelkit.ir.types import DType


def represent(constant: Constant) -> Any:
    """A constant's value as the scalar table has it."""
    if constant.type.kind in "fc":
        with np.errstate(all="ignore"):
            return constant.type.numpy.type(constant.value)
    return constant.value


def folded(op: str, dtype: DType, operands: Sequence[Expr], span: Span) -> Constant | None:
    """The value of an operation, if all its operands are constants."""
    constants = [e for e in operands if isinstance(e, Constant)]
    if len(constants) < len(operands):
        return None
    result = scalar.evaluate(op, tuple(e.type for e in constants), *map(represent, constants))
    return Constant(span, dtype, scalar.to_constant(result))


def folded_cast(constant: Constant, dtype: DType, span: Span) -> Constant:
    """A constant in another type."""
    result = scalar.cast(constant.type, dtype, represent(constant))
    return Constant(span, dtype, scalar.to_constant(result))
