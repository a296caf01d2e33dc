"""Barriers, fences and what the lanes of a warp give one another, in C.

In: a statement's operation and operands, as C. Out: C statements that assign its results.
Holds: an operand is evaluated once, and before any result is assigned. Lanes that do not exist or
have returned, and those that the mask does not name, give nothing: what would come from one of them
is one's own value. Where the dialect works by local memory, all threads of the block come along, and
those take part whom their own mask names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from kernelkit.emit.cstyle.library import Library
from kernelkit.ir.types import BOOL, DType
from kernelkit.records import record

if TYPE_CHECKING:
    from kernelkit.emit.cstyle.scalars import Scalars

#: The variable by which a back end marks threads that go on though they have returned: where it is
#: assigned, lanes may be missing.
LIVE: Final = ".live"

#: Shuffle -> the lane from which a value comes; beyond 0 to 31 it is one's own.
SOURCES: Final = {
    "shfl": "(u32){0} & 31u",
    "shfl_up": "kk_lane - (u32){0}",
    "shfl_down": "kk_lane + (u32){0}",
    "shfl_xor": "kk_lane ^ (u32){0}",
}
#: Votes without a name of their own in a dialect.
_VOTES: Final = {
    "all": "({ballot_not} == 0u)",
    "any": "({ballot} != 0u)",
    "eq": "(({ballot} == 0u) | ({ballot_not} == 0u))",
    "ballot": "{ballot}",
}
_FULL: Final = re.compile(r"[(\s]*(?:4294967295|0xffffffff)[uUlL]*[)\s]*", re.IGNORECASE)
_SMALL: Final = re.compile(r"[(\s]*(?:\(i32\)|\(int\))?[(\s]*(\d|[12]\d|3[01])[uUlL]*[)\s]*")


@record
class WarpTable:
    """How a dialect does it. Types are those of the prelude: u32, u64, i32, ..."""

    #: What a kernel with warp operations has in its head, and lines at the head of its text.
    attributes: str
    enable: str
    #: The functions that the templates call: name -> text; a text may use those before it.
    functions: Mapping[str, str]
    #: Lines at the top of the kernel, behind that of kk_thread: name -> template; fields: threads (in a
    #: block), whole (the same, up to whole warps). A text with such a name needs its lines.
    scratch: Mapping[str, str]
    #: The lanes that take part and whose p holds, as u32. Fields: mask, p (a bool).
    ballot: str
    #: Bits of a word -> what the word of a lane is; anything where that lane gives nothing. Fields:
    #: mask, value (u32 or u64), source (u32, only the lowest 5 bits count).
    given: Mapping[int, str]
    #: The lanes that take part and have the same word. Fields: mask, value (u32 or u64).
    match: str
    #: Statements. Fields: mask.
    sync: str
    #: The lanes that run this now.
    active: str
    #: Warp operation -> expression, where the dialect has it. Votes: mask, p. Shuffles with a small
    #: literal where all lanes are there: mask, value (u32 or u64), delta. match_all, a statement:
    #: mask, value, lanes (u32 to be assigned), same (int to be assigned).
    native: Mapping[str, str]
    #: Barrier operation -> template (of a statement for sync, else of an expression); field: p.
    barriers: Mapping[str, str]
    #: Scope -> statement.
    fences: Mapping[str, str]
    #: dtype in registers -> its bits and back, where a cast does not do it; field: value.
    to_bits: Mapping[str, str]
    from_bits: Mapping[str, str]
    #: Whether all threads of the block must come to a warp operation.
    by_block: bool = False


class Warps:
    """Writes them; remembers what the head of the kernel needs for them."""

    def __init__(self, library: Library, scalars: Scalars, table: WarpTable) -> None:
        self.library, self.scalars, self.table = library, scalars, table
        self._text = ""
        self._used = False

    # ------------------------------------------------------------ the kernel's head
    @property
    def attributes(self) -> str:
        """What the kernel's head needs for the warp operations written so far."""
        return self.table.attributes if self._used else ""

    def scratch(self, threads: int) -> list[str]:
        """Lines that the kernel starts with, for what was written so far; they use kk_thread."""
        whole = (threads + 31) // 32 * 32
        return [
            line
            for name, template in self.table.scratch.items()
            if _names(name, self._text)
            for line in template.strip().format(threads=threads, whole=whole).splitlines()
        ]

    # ------------------------------------------------------------ barriers and fences
    def barrier(self, op: str, predicate: str | None, result: str | None) -> list[str]:
        """`predicate` is of type bool, `result` the name of an i32 or bool."""
        call = self.table.barriers[op].format(p=f"({predicate})")
        line = f"{call};" if result is None else f"{result} = {call};"
        return self._written([line])

    def fence(self, scope: str) -> list[str]:
        return self._written([self.table.fences[scope]])

    # ------------------------------------------------------------ warps
    def present(self, mask: str) -> str:
        """The lanes of a mask that come along, as a u32; those that do wait for one another."""
        self._used = True
        return self._written([self.table.ballot.format(mask=f"({mask})", p="true")])[0]

    def lines(
        self, op: str, dtype: DType, mask: str | None, operands: Sequence[str],
        results: Sequence[str], complete: bool,
    ) -> list[str]:  # fmt: skip
        """Statements of one warp operation; `dtype` is that of its value or predicate. `mask` and
        `operands` are of register types, `complete`: no lane is missing or has returned."""
        self._used = True
        if self.table.enable:
            self.library.define("warps", self.table.enable)
        if op == "activemask":
            return self._written([f"{name} = {self.table.active};" for name in results])
        assert mask is not None
        if op == "sync" or not results:
            return self._written([self.table.sync.format(mask=mask)])
        kind = "bool" if dtype == BOOL else self.scalars.register_type(dtype)
        inner = [f"const u32 kk_mask = {mask};", f"const {kind} kk_value = {operands[0]};"]
        named = "0xffffffffu" if _FULL.fullmatch(mask) else "kk_mask"
        if op in SOURCES:
            inner += self._shuffle(op, dtype, named, operands[1], results[0], complete)
        elif op == "match_any":
            inner.append(f"{results[0]} = {self._match(dtype, named)};")
        elif op == "match_all":
            inner += self._match_all(dtype, named, results)
        else:
            inner.append(f"{results[0]} = {self._vote(op, named)};")
        text = "\n".join(inner)
        kept = [line for n, line in enumerate(inner) if n != 0 or text.count("kk_mask") > 1]
        return self._written(["{", *(f"    {line}" for line in kept), "}"])

    def _written(self, lines: list[str]) -> list[str]:
        """The same lines; what they call is in the library then."""
        self._text += "\n".join(lines)
        wanted: list[str] = []
        text = self._text
        for name, body in reversed(tuple(self.table.functions.items())):
            if _names(name, text):
                wanted.append(name)
                text += body
        for name in reversed(wanted):
            self.library.define(name, self.table.functions[name])
        return lines

    def _vote(self, op: str, mask: str) -> str:
        if op in self.table.native:
            return self.table.native[op].format(mask=mask, p="kk_value")
        return _VOTES[op].format(
            ballot=self.table.ballot.format(mask=mask, p="kk_value"),
            ballot_not=self.table.ballot.format(mask=mask, p="!kk_value"),
        )

    # ------------------------------------------------------------ shuffles
    def _shuffle(
        self, op: str, dtype: DType, mask: str, operand: str, result: str, complete: bool
    ) -> list[str]:
        whole = complete and mask != "kk_mask"
        literal = _SMALL.fullmatch(operand)
        pieces = self._pieces(dtype)
        if whole and literal and op in self.table.native:
            template = self.table.native[op]
            return [
                f"{result}{part} = {self._back(piece, template.format(mask=mask, value=bits, delta=literal[1]))};"
                for part, piece, bits in pieces
            ]
        lines = [f"const u32 kk_source = {SOURCES[op].format(f'({operand})')};"]
        if whole and op == "shfl":
            there = ""
        elif whole:
            there = "kk_source < 32u"
        else:
            present = mask if complete else self.table.ballot.format(mask=mask, p="true")
            lines.append(f"const u32 kk_there = {present};")
            there = "kk_source < 32u && (kk_there >> (kk_source & 31u) & 1u)"
        for part, piece, bits in pieces:
            given = self.table.given[_word(piece)].format(mask=mask, value=bits, source="kk_source")
            name = f"kk_given{part.replace('.', '_')}"
            lines.append(f"const u{_word(piece)} {name} = {given};")
            chosen = self._back(piece, name)
            if there:
                chosen = f"{there} ? {chosen} : kk_value{part}"
            lines.append(f"{result}{part} = {chosen};")
        return lines

    # ------------------------------------------------------------ matches
    def _match(self, dtype: DType, mask: str) -> str:
        words = self._words(dtype)
        return " & ".join(self.table.match.format(mask=mask, value=word) for word in words)

    def _match_all(self, dtype: DType, mask: str, results: Sequence[str]) -> list[str]:
        lanes, same = results
        template = self.table.native.get("match_all")
        words = self._words(dtype)
        if template is not None and len(words) == 1:
            call = template.format(mask=mask, value=words[0], lanes="kk_lanes", same="kk_same")
            lines = ["u32 kk_lanes;", "int kk_same;", call]
            return [*lines, f"{lanes} = kk_lanes;", f"{same} = kk_same != 0;"]
        return [
            f"const u32 kk_there = {self.table.ballot.format(mask=mask, p='true')};",
            f"const bool kk_same = ({self._match(dtype, mask)}) == kk_there;",
            f"{lanes} = kk_same ? kk_there : 0u;",
            f"{same} = kk_same;",
        ]

    def _words(self, dtype: DType) -> list[str]:
        """The bits of kk_value as u32 where they fit, else as u64s."""
        bits = self.scalars.bits(dtype, "kk_value")
        return [f"(u32)({word})" if dtype.bits <= 32 else f"({word})" for word in bits]

    # ------------------------------------------------------------ values as words
    def _pieces(self, dtype: DType) -> list[tuple[str, DType, str]]:
        """Of kk_value: what to write behind its name for a part, that part's type, its bits."""
        parts = (".re", ".im") if dtype.is_complex else ("",)
        piece = dtype.component
        form = self.table.to_bits.get(self._register(piece), f"(u{_word(piece)}){{value}}")
        return [(part, piece, form.format(value=f"kk_value{part}")) for part in parts]

    def _back(self, piece: DType, bits: str) -> str:
        kind = self._register(piece)
        if kind == "bool":
            return f"({bits} != 0u)"
        return self.table.from_bits.get(kind, f"({kind})({{value}})").format(value=bits)

    def _register(self, dtype: DType) -> str:
        return self.scalars.register_type(dtype)


def _word(piece: DType) -> int:
    return 64 if piece.bits == 64 else 32


def _names(name: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
