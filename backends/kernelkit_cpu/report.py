"""The report: what became of each source line, and what would make the costly ones faster.

In: notes that are taken while a kernel is written. Out: plain text: the source lines, in the margin
what their memory accesses and statements became, and below a sentence for each costly one.
Holds: taking a note costs next to nothing; what is noted for code that few vectors run (`cold`)
shows only for lines that nothing else runs.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from kernelkit.analysis.shape import Block, Shape
from kernelkit.emit.python_names import described
from kernelkit.errors import Span
from kernelkit.ir.nodes import Kernel
from kernelkit.records import record

#: What may be noted -> what would make it faster ('' where nothing need be). The costliest first.
#: A `what` is the name of an array or a variable, and perhaps more in parentheses.
KINDS: Final[Mapping[str, str]] = {
    "scalarised": (
        "done by one thread of a vector after the other; do less of it: add up in a variable or in "
        "shared memory first, and let one thread of the block finish"
    ),
    "gather": (
        "each thread of a vector reads at a place of its own; let the last index be threadIdx.x plus "
        "what all threads share, or bring the data into shared memory row by row first"
    ),
    "scatter": (
        "each thread of a vector writes to a place of its own; let the last index be threadIdx.x "
        "plus what all threads share, or turn the data in shared memory before it is written"
    ),
    "spilled": (
        "kept in memory for each thread, because it is needed behind a barrier, or in the next round "
        "of a loop that the block runs as one; compute it again there if that is cheap"
    ),
    "masked": (
        "some threads of a vector wait here for the others; let neighbouring threads decide alike, "
        "or compute both values and choose with `a if condition else b`"
    ),
    "strided": (
        "whole vectors are read for a part of their elements; lay the data out so that neighbouring "
        "threads read neighbouring elements"
    ),
    "run-time tested": (
        "whether threads read side by side is only known when it runs, which a test for each vector "
        "finds out; an index that is threadIdx.x plus what all threads share needs none"
    ),
    "reduced": "",
    "contiguous": "",
    "uniform": "",
}
#: What the margin says where that is not the kind itself.
_SHOWN: Final = {"spilled": "spilled across a barrier"}
_BY_COST: Final = {kind: place for place, kind in enumerate(KINDS)}
#: Accesses that are quick, beside which one that is not shows that a test chooses.
_QUICK: Final = frozenset(("contiguous", "strided"))
_SLOW: Final = frozenset(("gather", "scatter"))


@record
class Note:
    span: Span
    kind: str
    what: str
    cold: bool

    @property
    def name(self) -> str:
        return self.what.partition(" (")[0]


@record(frozen=False)
class Notes:
    """In the order in which the kernel is written. A name in a note is the IR's."""

    found: list[Note] = field(default_factory=list)
    is_cold: bool = False

    def note(self, span: Span, kind: str, what: str = "") -> None:
        self.found.append(Note(span, kind, what, self.is_cold))

    @contextmanager
    def cold(self, cold: bool = True) -> Iterator[None]:
        """While code is written that few vectors run: borders, and vectors of which a part runs."""
        kept, self.is_cold = self.is_cold, self.is_cold or cold
        yield
        self.is_cold = kept


@dataclass(frozen=True, slots=True, order=True)
class _Finding:
    """One entry of a line's margin, sorted by cost."""

    cost: int
    kind: str
    what: str


_Lines = dict[int, list[_Finding]]


# ---------------------------------------------------------------- the text
def report(kernel: Kernel, shape: Shape, user_block: Block, notes: Notes) -> str:
    """The whole report."""
    files: dict[str, _Lines] = {kernel.span.file: {}}
    for (file, line), findings in _by_line(notes.found).items():
        files.setdefault(file, {})[line] = findings
    parts = [_headline(kernel, shape, user_block)]
    for file, lines in files.items():
        numbers = _own_lines(kernel) if file == kernel.span.file else set()
        parts.append("\n".join(_listing(file, lines, sorted(numbers | set(lines)))))
    for file, lines in files.items():
        advice = list(_advice(lines))
        if advice:
            where = "" if file == kernel.span.file else f" in {file}"
            parts.append("\n".join([f"What costs time{where}:", *advice]))
    return "\n\n".join(parts) + "\n"


def _headline(kernel: Kernel, shape: Shape, user_block: Block) -> str:
    text = f"{kernel.name}: {shape.lanes} threads in a vector, blocks of {_product(shape.block)}"
    if shape.block != user_block:
        text += f" in place of {_product(user_block)}, which nothing in the kernel can tell"
    return text


def _product(block: Block) -> str:
    axes = [n for axis, n in enumerate(block) if any(m > 1 for m in block[axis:])] or [1]
    return " x ".join(map(str, axes))


def _own_lines(kernel: Kernel) -> set[int]:
    """The lines of the kernel's own function."""
    first = kernel.span.line
    text = linecache.getlines(kernel.span.file)[first - 1 :]
    return set(range(first, first + len(inspect.getblock(text)))) if text else {first}


def _listing(file: str, lines: _Lines, numbers: Sequence[int]) -> Iterator[str]:
    margins = {n: ", ".join(_labels(lines.get(n, ()))) for n in numbers}
    width = max(map(len, margins.values()), default=0)
    digits = len(str(max(numbers, default=0)))
    yield file
    previous = None
    for number in numbers:
        if previous is not None and number > previous + 1:
            yield "..."
        text = linecache.getline(file, number).rstrip("\n")
        yield f"{margins[number]:{width}}  {number:{digits}}  {text}".rstrip()
        previous = number


def _labels(findings: Iterable[_Finding]) -> Iterable[str]:
    return dict.fromkeys(_SHOWN.get(f.kind, f.kind) for f in findings)


def _advice(lines: _Lines) -> Iterator[str]:
    digits = len(str(max(lines, default=0)))
    for number in sorted(lines):
        for finding in lines[number]:
            if KINDS[finding.kind]:
                label = _SHOWN.get(finding.kind, finding.kind)
                of = f" {finding.what}" if finding.what else ""
                yield f"  {number:{digits}}  {label}{of}: {KINDS[finding.kind]}."


# ---------------------------------------------------------------- notes of a line
def _by_line(notes: Sequence[Note]) -> dict[tuple[str, int], list[_Finding]]:
    warm = {(n.span.file, n.span.line) for n in notes if not n.cold}
    places: dict[tuple[Span, str], list[Note]] = {}
    for note in notes:
        if not note.cold or (note.span.file, note.span.line) not in warm:
            places.setdefault((note.span, note.name), []).append(note)
    found: dict[tuple[str, int], set[_Finding]] = {}
    for (span, _), group in places.items():
        line = found.setdefault((span.file, span.line), set())
        line.update(_Finding(_BY_COST[kind], kind, what) for kind, what in _merged(group))
    return {place: sorted(findings) for place, findings in found.items()}


def _merged(group: Sequence[Note]) -> Iterator[tuple[str, str]]:
    """What one access, or whatever else happens at one place, became: of several ways to do it the
    quick one, if a test chooses between them."""
    kinds = {note.kind for note in group}
    chosen = "run-time tested" in kinds or (kinds & _QUICK and kinds & _SLOW)
    for note in group:
        if not chosen or note.kind not in _QUICK | _SLOW:
            yield note.kind, _readable(note.what)
    if chosen:
        yield "run-time tested", _readable(group[0].name)


def _readable(what: str) -> str:
    name, parenthesis, more = what.partition(" (")
    return described(name) + parenthesis + more if name else what
