"""Warp operations by those of numba.cuda.

In: `Words`, an operation, a type. Out: functions of (mask, operands).
Holds: hardware works on words of 32 and 64 bits, so a value goes as its bits. Lanes that have
returned or never were do not vote; a shuffle from one of them is undefined there, so who is there is
asked first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from kernelkit.ir.types import DType
from kernelkit_numba.words import Function, Words

_LAST: Final = np.int32(31)
#: Shuffle -> the lane from which a value comes, from one's own and the operand; beyond 0 to 31 it is
#: one's own value.
_SOURCES: Final[dict[str, Function]] = {
    "shfl": lambda lane, wanted: np.int64(wanted & _LAST),
    "shfl_up": lambda lane, delta: np.int64(lane) - np.int64(delta),
    "shfl_down": lambda lane, delta: np.int64(lane) + np.int64(delta),
    "shfl_xor": lambda lane, bits: np.int64(lane ^ bits),
}


def warp(words: Words, op: str, dtype: DType) -> Function:
    if op in _SOURCES:
        return _shuffle(words, op, dtype)
    return _OPERATIONS[op](words, dtype)


# ---------------------------------------------------------------- values as words
def _bits(words: Words, dtype: DType) -> Function:
    """A value as the int32 or int64 that has its bits."""
    libdevice = words.libdevice
    if dtype.is_float:
        wide = dtype.name == "float64"
        return libdevice.double_as_longlong if wide else libdevice.float_as_int
    kind = np.int64 if dtype.bits == 64 else np.int32
    return words.jit(lambda value: kind(value))


def _value(words: Words, dtype: DType) -> Function:
    """The way back."""
    libdevice = words.libdevice
    if dtype.is_float:
        wide = dtype.name == "float64"
        return libdevice.longlong_as_double if wide else libdevice.int_as_float
    if dtype.kind == "b":
        zero = np.int32(0)
        return words.jit(lambda bits: bits != zero)
    kind = dtype.numpy.type
    return words.jit(lambda bits: kind(bits))


# ---------------------------------------------------------------- shuffles
def _shuffle(words: Words, op: str, dtype: DType) -> Function:
    cuda, source = words.cuda, words.jit(_SOURCES[op])
    bits, back = _bits(words, dtype), _value(words, dtype)
    none, first, beyond, one = np.int64(0), np.int32(0), np.int64(32), np.int64(1)

    def shuffle(mask: Any, value: Any, operand: Any) -> Any:
        wanted = source(np.int32(cuda.laneid), operand)
        there = np.int64(np.uint32(cuda.ballot_sync(np.int32(mask), True)))
        inside = wanted >= none and wanted < beyond
        lane = np.int32(wanted) if inside else first
        given = back(cuda.shfl_sync(np.int32(mask), bits(value), lane))
        if inside and ((there >> np.int64(lane)) & one) != none:
            return given
        return value

    return words.jit(shuffle)


# ---------------------------------------------------------------- votes
def _sync(words: Words, dtype: DType) -> Function:
    cuda = words.cuda
    return words.jit(lambda mask: cuda.syncwarp(np.int32(mask)))


def _all(words: Words, dtype: DType) -> Function:
    cuda = words.cuda
    return words.jit(lambda mask, p: cuda.all_sync(np.int32(mask), p))


def _any(words: Words, dtype: DType) -> Function:
    cuda = words.cuda
    return words.jit(lambda mask, p: cuda.any_sync(np.int32(mask), p))


def _same(words: Words, dtype: DType) -> Function:
    every, some = _all(words, dtype), _any(words, dtype)

    def same(mask: Any, p: Any) -> Any:
        yes, some_do = every(mask, p), some(mask, p)
        return yes or not some_do

    return words.jit(same)


def _ballot(words: Words, dtype: DType) -> Function:
    cuda = words.cuda
    return words.jit(lambda mask, p: np.uint32(cuda.ballot_sync(np.int32(mask), p)))


def _active(words: Words, dtype: DType) -> Function:
    cuda = words.cuda
    return words.jit(lambda mask: np.uint32(cuda.activemask()))


# ---------------------------------------------------------------- matches
def _match_any(words: Words, dtype: DType) -> Function:
    cuda, bits = words.cuda, _bits(words, dtype)
    return words.jit(
        lambda mask, value: np.uint32(cuda.match_any_sync(np.int32(mask), bits(value)))
    )


def _match_all(words: Words, dtype: DType) -> Function:
    cuda, bits = words.cuda, _bits(words, dtype)

    def match_all(mask: Any, value: Any) -> Any:
        lanes, same = cuda.match_all_sync(np.int32(mask), bits(value))
        return np.uint32(lanes), same

    return words.jit(match_all)


_OPERATIONS: Final[dict[str, Callable[[Words, DType], Function]]] = {
    "sync": _sync,
    "all": _all,
    "any": _any,
    "eq": _same,
    "ballot": _ballot,
    "match_any": _match_any,
    "match_all": _match_all,
    "activemask": _active,
}
