"""What a kernel says: `print`, and `assert` in debug kernels.

In: Print and Assert statements; at run time, sites and words. Out: code; lines on sys.stdout.
Holds: the lanes of a vector print one after the other, in order, each its whole text at once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kernelkit.emit.payload import pieces_of, text_from, to_stdout, values_of, word_count, words_in
from kernelkit.ir import nodes as ir
from kernelkit_cpu import faults, record
from kernelkit_cpu.expressions import evaluate
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.payload import words_of
from kernelkit_cpu.text import Operand

#: The type of what a kernel calls to print.
PRINTER: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)


def write(frame: Frame, stmt: ir.Print) -> None:
    text = frame.text
    values = [evaluate(frame, part.value) for part in values_of(stmt.text)]
    readers = [(value.type, frame.spill(value)) for value in values]
    site = faults.site(frame, {"kind": "print", "text": pieces_of(stmt.text)})
    count = sum(word_count(value.type) for value in values)
    words = text.alloca("i64", max(count, 1), hint="words")

    def one(lane: Operand) -> None:
        found = [w for dtype, read in readers for w in words_of(frame, dtype, read(lane))]
        for number, word in enumerate(found):
            text.store("i64", word, text.at("i64", words, number))
        printer = text.load("ptr", text.at("i64", frame.record, record.PRINT))
        text.call(printer, "void", [("ptr", frame.record), ("i64", str(site)), ("ptr", words)])

    frame.each_lane(one)


def write_assert(frame: Frame, stmt: ir.Assert) -> None:
    """Nothing in release builds."""
    if not frame.debug:
        return
    condition = evaluate(frame, stmt.condition)
    if condition.constant:
        return

    def words(lane: Operand) -> list[Operand]:
        values = [evaluate(frame, part.value) for part in values_of(stmt.text)]
        return [w for v in values for w in words_of(frame, v.type, frame.lane(v, lane))]

    failed = frame.arithmetic.unary("not", condition)
    what = {"kind": "assert", "text": pieces_of(stmt.text)}
    faults.fault_where(frame, failed, stmt.span, what, words)


# ---------------------------------------------------------------- at run time
def callback(metadata: Mapping[str, Any], write: Callable[[str], object] | None = None) -> Any:
    """What the kernels of a launch call to print: keep it as long as one may. `write` takes whole
    texts, by default to where sys.stdout is at that time. What it raises ends the launch and comes
    out of it."""
    sites = [_Site(each) for each in metadata["sites"]]

    def print_(address: int, site: int, words: int) -> None:
        try:
            text = sites[site].text(words)
            (write or to_stdout)(text)
        except BaseException as error:
            record.cancel(address, error)

    return PRINTER(print_)


class _Site:
    """The text of one Print."""

    def __init__(self, site: Mapping[str, Any]) -> None:
        self._pieces: Sequence[Sequence[str]] = site.get("text", ())
        self._words = ctypes.c_uint64 * words_in(self._pieces)

    def text(self, words: int) -> str:
        return text_from(self._pieces, list(self._words.from_address(words)))
