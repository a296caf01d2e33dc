"""Atomic operations: those of numba.cuda where it has them, else loops of compare-and-swap.

In: `Words`, an operation, a type. Out: functions of (array, place, operands) that give the old value.
Holds: values are compared by their bits, so a NaN ends a loop like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kernelkit.ir.types import DType
from kernelkit_numba.words import Function, Words

#: Operation -> the new value, from a type's constructor: functions of (old, value).
_UPDATES: Final[dict[str, Callable[[Any], Function]]] = {
    "add": lambda kind: lambda old, value: kind(old + value),
    "sub": lambda kind: lambda old, value: kind(old - value),
    "min": lambda kind: lambda old, value: value if value < old else old,
    "max": lambda kind: lambda old, value: value if value > old else old,
    "nanmin": lambda kind: lambda old, value: value if value < old or old != old else old,
    "nanmax": lambda kind: lambda old, value: value if value > old or old != old else old,
    "and": lambda kind: lambda old, value: kind(old & value),
    "or": lambda kind: lambda old, value: kind(old | value),
    "xor": lambda kind: lambda old, value: kind(old ^ value),
    "inc": lambda kind: _inc(kind(0), kind(1), kind),
    "dec": lambda kind: _dec(kind(0), kind(1), kind),
    "exch": lambda kind: lambda old, value: value,
}
_INTEGERS: Final = ("add", "sub", "min", "max", "and", "or", "xor", "exch", "cas")
#: What numba.cuda does as we mean it.
NATIVE: Final = frozenset(
    {(op, dtype) for op in _INTEGERS for dtype in ("int32", "uint32", "int64", "uint64")}
    | {(op, dtype) for op in ("inc", "dec") for dtype in ("uint32", "uint64")}
    | {(op, dtype) for op in ("add", "sub") for dtype in ("float32", "float64")}
)
#: As functions of numba.cuda, which must stand in them by their full names.
_NATIVES: Final[dict[str, Callable[[Any], Function]]] = {
    "add": lambda cuda: lambda array, place, value: cuda.atomic.add(array, place, value),
    "sub": lambda cuda: lambda array, place, value: cuda.atomic.sub(array, place, value),
    "min": lambda cuda: lambda array, place, value: cuda.atomic.min(array, place, value),
    "max": lambda cuda: lambda array, place, value: cuda.atomic.max(array, place, value),
    "and": lambda cuda: lambda array, place, value: cuda.atomic.and_(array, place, value),
    "or": lambda cuda: lambda array, place, value: cuda.atomic.or_(array, place, value),
    "xor": lambda cuda: lambda array, place, value: cuda.atomic.xor(array, place, value),
    "inc": lambda cuda: lambda array, place, value: cuda.atomic.inc(array, place, value),
    "dec": lambda cuda: lambda array, place, value: cuda.atomic.dec(array, place, value),
    "exch": lambda cuda: lambda array, place, value: cuda.atomic.exch(array, place, value),
    "cas": lambda cuda: lambda array, place, old, new: cuda.atomic.cas(array, place, old, new),
}


def _inc(zero: Any, one: Any, kind: Any) -> Function:
    return lambda old, value: zero if old >= value else kind(old + one)


def _dec(zero: Any, one: Any, kind: Any) -> Function:
    return lambda old, value: value if old == zero or old > value else kind(old - one)


def atomic(words: Words, op: str, dtype: DType) -> Function:
    """By compare-and-swap."""
    swap = words.swap
    if op == "cas":
        return words.jit(lambda array, place, wanted, new: swap(array, place, wanted, new)[0])
    update = words.jit(_UPDATES[op](dtype.numpy.type))

    def atomic(array: Any, place: Any, value: Any) -> Any:
        old = array[place]
        seen, done = swap(array, place, old, update(old, value))
        while not done:
            old = seen
            seen, done = swap(array, place, old, update(old, value))
        return seen

    return words.jit(atomic)


def native(words: Words, op: str, rank: int) -> Function:
    """numba.cuda's own, which takes the index of one axis as a number; `rank` is not 0."""
    operation = _NATIVES[op](words.cuda)
    if rank > 1:
        return words.jit(operation)
    inner = words.jit(operation)
    if op == "cas":
        return words.jit(lambda array, place, old, new: inner(array, place[0], old, new))
    return words.jit(lambda array, place, value: inner(array, place[0], value))
