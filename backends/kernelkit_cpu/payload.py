"""Values on their way from a kernel to Python: their bits, in 64-bit words.

In: values in a kernel. Out: words, as `kernelkit.emit.payload` reads them.
Holds: a value is one word, low bytes first, or two if it is complex.
"""

from __future__ import annotations

from kernelkit.ir.types import DType
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import Parts, register


def words_of(frame: Frame, dtype: DType, parts: Parts) -> list[Operand]:
    """A scalar's bits, as i64s."""
    return [_word(frame, dtype.component, part) for part in parts]


def _word(frame: Frame, dtype: DType, part: Operand) -> Operand:
    text, kind = frame.text, register(dtype)
    if dtype.is_float:
        whole = f"i{dtype.bits}"
        part, kind = text.let(f"bitcast {kind} {part} to {whole}"), whole
    return part if kind == "i64" else text.let(f"zext {kind} {part} to i64")
