"""Values on their way from a kernel to Python, once they are 64-bit words.

In: texts of kernels; words that a kernel left. Out: what the metadata says of a text; later values
as the scalar table has them, and the text that they are part of.
Holds: a value is one word, low bytes first, or two if it is complex.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from kernelkit.ir.nodes import Formatted, Text
from kernelkit.ir.types import DTYPES, DType

#: What stands for a value whose words did not fit.
LOST: Final = "?"


# ---------------------------------------------------------------- for the metadata
def pieces_of(text: Text) -> list[list[str]]:
    """The parts of a text: [words], or [dtype, format] of a value."""
    return [[p] if isinstance(p, str) else [p.value.type.name, p.spec] for p in text]


def values_of(text: Text) -> list[Formatted]:
    return [part for part in text if isinstance(part, Formatted)]


def word_count(dtype: DType) -> int:
    return 2 if dtype.is_complex else 1


def words_in(pieces: Sequence[Sequence[str]]) -> int:
    """The words of all values of a text."""
    return sum(word_count(DTYPES[piece[0]]) for piece in pieces if len(piece) > 1)


# ---------------------------------------------------------------- from the words
def value_from(dtype: DType, words: Sequence[int]) -> Any:
    """The value of so many words: bool, int, NumPy's scalars for floats and complex numbers."""
    part = dtype.component
    bits = np.array([word % (1 << 64) for word in words], np.uint64)
    raw = bits.astype(f"u{part.itemsize}").view(part.numpy)
    value = raw.view(dtype.numpy)[0]
    return value.item() if dtype.kind in "biu" else value


def text_from(pieces: Sequence[Sequence[str]], words: Sequence[int]) -> str:
    """The text of some pieces and the words of its values."""
    return "".join(_texts(pieces, words))


def _texts(pieces: Sequence[Sequence[str]], words: Sequence[int]) -> Iterator[str]:
    place = 0
    for piece in pieces:
        if len(piece) == 1:
            yield piece[0]
            continue
        dtype = DTYPES[piece[0]]
        end = place + word_count(dtype)
        fits = end <= len(words)
        yield format(value_from(dtype, words[place:end]), piece[1]) if fits else LOST
        place = end


def to_stdout(text: str) -> None:
    """As Python's print does: to where that is now, and nowhere where a program has none."""
    if sys.stdout is not None:
        sys.stdout.write(text)
