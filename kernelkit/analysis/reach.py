"""How far the results of integer operations reach, given how far the operands do.

In: the ranges of one or two operands. Out: the range of the result.
Holds: of integers without wrap-around, however large; an empty range (of what cannot be) gives
some range or other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kernelkit.analysis.facts import Range


def product(a: Range, b: Range) -> Range:
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def _abs(a: Range, _: Range) -> Range:
    return max(a[0], -a[1], 0), max(-a[0], a[1])


def _min(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), min(a[1], b[1])


def _max(a: Range, b: Range) -> Range:
    return max(a[0], b[0]), max(a[1], b[1])


def _floordiv(a: Range, b: Range) -> Range:
    if min(b) > 0:
        ends = [x // y for x in a for y in b]
        return min(ends), max(ends)
    most = max(abs(a[0]), abs(a[1]))
    return (0 if a[0] >= 0 and b[0] >= 0 else -most), most


def _mod(a: Range, b: Range) -> Range:
    """The sign is that of the divisor, and so is the bound."""
    low, high = min(b[0] + 1, 0), max(b[1] - 1, 0)
    return (low, min(high, a[1])) if a[0] >= 0 and b[0] >= 0 else (low, high)


def _and(a: Range, b: Range) -> Range:
    ends = [high for low, high in (a, b) if low >= 0]
    return (0, min(ends)) if ends else _bits(a, b)


def _or(a: Range, b: Range) -> Range:
    low, high = _bits(a, b)
    return (max(a[0], b[0]) if low == 0 else low), high


def _bits(a: Range, b: Range) -> Range:
    """As many bits as the operands have."""
    bits = max(end.bit_length() for end in (*a, *b))
    return (0 if a[0] >= 0 and b[0] >= 0 else -(1 << bits)), (1 << bits) - 1


def _shr(a: Range, _: Range) -> Range:
    return (min(a[0], -1) if a[0] < 0 else 0), max(a[1], 0)


#: For abs the second operand is anything.
REACH: Final[dict[str, Callable[[Range, Range], Range]]] = {
    "abs": _abs, "min": _min, "max": _max, "floordiv": _floordiv, "mod": _mod, "and": _and,
    "or": _or, "xor": _bits, "shr": _shr,
}  # fmt: skip
