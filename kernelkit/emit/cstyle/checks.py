"""What kernels say in C: checks of debug kernels, and print.

In: nodes, and the values of their operands as C. Out: C texts that look and, where something is
wrong, write it into the launch record; the table of sites for `kernelkit.emit.launch_record`.
Holds: a thread writes down what is wrong in it first, and only where no other block was first. A
fault sets the kernel's `kk_fault`; what runs behind it is harmless. The texts use the kernel's
`kk_record`, `kk_block` and `kk_thread`, in debug kernels `kk_fault` and `kk_stop`, ints that are 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from kernelkit.emit import launch_record as record
from kernelkit.emit.cstyle.atomics import atomic
from kernelkit.emit.cstyle.warps import SOURCES
from kernelkit.emit.fault_report import site_number
from kernelkit.emit.payload import pieces_of, values_of
from kernelkit.emit.python_names import described
from kernelkit.errors import InternalError, Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import UINT32, AddressSpace, DType

if TYPE_CHECKING:
    from kernelkit.emit.cstyle.dialect import CDialect
    from kernelkit.emit.cstyle.library import Library
    from kernelkit.emit.cstyle.scalars import Scalars

Access = ir.Load | ir.Store | ir.Atomic | ir.View

#: What every function that may find a fault is given, and how it names it.
_GIVEN: Final = "kk_record, kk_block, kk_thread, &kk_fault"
_TAKEN: Final = "{pointer}record, i64 block, u32 thread, int* fault"
_PASSED: Final = "record, block, thread, fault"

#: Where the payload of a new fault goes, in the record; 0 if it is not to be written down.
_CLAIM: Final = f"""
{{function}} u32 kk_claim({_TAKEN}, u32 site) {{{{
    u32 own = (u32)((u64)block % 4294967295u) + 1u, first, slot;
    if (*fault) return 0u;
    *fault = 1;
    first = {{swap}};
    if (first != 0u && first != own) return 0u;
    slot = {record.HEADER}u + thread * {record.SLOT}u;
    record[slot + {record.SLOT_SITE}u] = site + 1u;
    record[slot + {record.SLOT_BLOCK}u] = (u64)block;
    return slot + {record.SLOT_PAYLOAD}u;
}}}}
"""
#: Whether some thread of the block was at fault.
_FAILED: Final = """
{function} bool kk_failed({pointer}record, i64 block) {{
    return {swap} == (u32)((u64)block % 4294967295u) + 1u;
}}
"""
#: Where so many words of a text go; 0 if there is no room. The cursor stays near the capacity, so
#: that it never begins anew.
_RESERVE: Final = f"""
{{function}} u32 kk_reserve({{pointer}}record, u32 words) {{{{
    u32 room = (u32)record[{record.CAPACITY}], at = {{seen}};
    if (at < room) {{{{
        at = {{add}};
        if (at < room && words <= room - at) return (u32)record[{record.PRINTED}] + at;
    }}}}
    {{lose}};
    return 0u;
}}}}
"""


class Checks:
    """The checks and prints of one translation unit. `sites` is what the metadata has of them."""

    def __init__(
        self, scalars: Scalars, library: Library, dialect: CDialect, kernel: ir.Kernel
    ) -> None:
        self._scalars, self._library, self._dialect = scalars, library, dialect
        self._wraps = kernel.options.wraparound
        self._debug = kernel.options.debug and dialect.atomics is not None
        self.sites: list[dict[str, Any]] = []

    # ------------------------------------------------------------ one thread, in expressions
    def inside(
        self, node: Access, name: str, indices: Sequence[tuple[DType, str]],
        extents: Sequence[int | str],
    ) -> str:  # fmt: skip
        """A bool: whether all indices are inside. Indices are i64, or u64 for uint64, extents i64 or
        known; each is evaluated once. There are as many extents as axes, also for a view."""
        what = {
            "kind": "bounds",
            "name": name,
            "indices": [dtype.name for dtype, _ in indices],
            "shape": [n if isinstance(n, int) else None for n in extents],
        }
        site = self._site(what, node.span)
        unknown = {k: text for k, text in enumerate(extents) if not isinstance(text, int)}
        kinds = ["u64" if dtype.name == "uint64" else "i64" for dtype, _ in indices]
        taken = [f"{kind} i{k}" for k, kind in enumerate(kinds)] + [f"i64 n{k}" for k in unknown]
        bounds = [f"n{k}" if k in unknown else str(extents[k]) for k in range(len(indices))]
        tests = [
            self._within(f"i{k}", bounds[k], dtype.is_signed)
            for k, (dtype, _) in enumerate(indices)
        ]
        words = [f"(u64)i{k}" for k in range(len(indices))] + [f"(u64)n{k}" for k in unknown]
        check = self._check("inside", site, " && ".join(tests), taken, words)
        given = [*(text for _, text in indices), *unknown.values()]
        return f"{check}({', '.join((_GIVEN, *given))})"

    def _within(self, index: str, extent: str, signed: bool) -> str:
        """Without a sign, what is below 0 is above every extent, so one comparison is enough."""
        wide, end = f"(u64){index}", f"(u64){extent}"
        return f"{wide} + {end} < {end} + {end}" if signed and self._wraps else f"{wide} < {end}"

    def assigned(self, read: ir.Read, flag: str) -> str:
        """A bool: whether a name was assigned, by its flag."""
        what = {"kind": "unassigned", "name": described(read.var.name)}
        site = self._site(what, read.span)
        return f"{self._check('assigned', site, 'flag != 0', ['int flag'], [])}({_GIVEN}, {flag})"

    def _check(
        self, stem: str, site: int, test: str, taken: Sequence[str], words: Sequence[str]
    ) -> str:
        """A function that gives whether a test holds, and writes words down where it does not."""
        name = f"kk_{stem}_{site}"
        claim = f"{self._claim()}({_PASSED}, {site}u)"
        lines = [f"u32 at = {claim};", *self._written("record", words)] if words else [f"{claim};"]
        text = [
            f"{self._function} bool {name}({', '.join((self._taken, *taken))}) {{",
            f"    if ({test}) return true;",
            *(f"    {line}" for line in lines),
            "    return false;",
            "}",
        ]
        return self._library.define(name, "\n".join(text))

    # ------------------------------------------------------------ one thread, as statements
    def step(self, stmt: ir.For, step: str) -> list[str]:
        """The step of a range moves it."""
        site = self._site({"kind": "step"}, stmt.span)
        return [f"if ({step} == 0) {self._claim()}({_GIVEN}, {site}u);"]

    def assertion(self, stmt: ir.Assert, condition: str, values: Sequence[str]) -> list[str]:
        """The condition holds, else what is said of it is written down."""
        site = self._site({"kind": "assert", "text": pieces_of(stmt.text)}, stmt.span)
        return [
            f"if (!({condition})) {{",
            *_indented(
                [*self._values(stmt.text, values), *self._fault(site, self._bits(stmt.text))]
            ),
            "}",
        ]

    def print_lines(self, stmt: ir.Print, values: Sequence[str]) -> list[str]:
        """One text, if there is room for it; nothing behind a fault."""
        site = self._site({"kind": "print", "text": pieces_of(stmt.text)})
        words = [f"{site}u", *self._bits(stmt.text)]
        reserve = f"{self._reserve()}(kk_record, {len(words)}u)"
        inner = self._values(stmt.text, values)
        if self._debug and self._dialect.leaves:
            inner.append("if (kk_fault) return;")
        elif self._debug:
            reserve = f"kk_fault ? 0u : {reserve}"
        inner += [f"const u32 at = {reserve};", *self._written("kk_record", words, len(words))]
        return ["{", *_indented(inner), "}"]

    def _values(self, text: ir.Text, values: Sequence[str]) -> list[str]:
        """The values of a text, each evaluated once, before anything is written."""
        types = [self._scalars.register_type(part.value.type) for part in values_of(text)]
        return [
            f"const {kind} kk_said{n} = {value};"
            for n, (kind, value) in enumerate(zip(types, values, strict=True))
        ]

    def _bits(self, text: ir.Text) -> list[str]:
        return [
            word
            for n, part in enumerate(values_of(text))
            for word in self._scalars.bits(part.value.type, f"kk_said{n}")
        ]

    # ------------------------------------------------------------ lanes of a warp
    def lane_named(self, stmt: ir.Warp, mask: str, live: str = "") -> list[str]:
        """Each lane is in its own mask, but for those that have returned and go on: `live` names
        what is false in them."""
        site = self._site({"kind": "unnamed lane", "op": stmt.op}, stmt.span)
        inner = [
            f"const u32 kk_named = {mask};",
            f"if ({live and f'{live} && '}!(kk_named >> kk_lane & 1u)) {{",
            *_indented(self._fault(site, ["(u64)kk_named"])),
            "}",
        ]
        return ["{", *_indented(inner), "}"]

    def lane_active(
        self, stmt: ir.Warp, mask: str, operand: str, present: str, threads: int, live: str = ""
    ) -> list[str]:
        """A shuffle names a lane of this block's `threads` that has not returned, or none at all.
        `present` are the lanes of the mask that come along, and waits for them. A lane that has left
        by a fault is no new fault, so whether there was one is asked while all of them wait."""
        site = self._site({"kind": "inactive lane", "op": stmt.op}, stmt.span)
        inner = [
            f"const u32 kk_named = {mask}, kk_from = {SOURCES[stmt.op].format(f'({operand})')};",
            f"u32 kk_come = {present};",
            f"const bool kk_earlier = {self._failed()}(kk_record, kk_block);",
            f"kk_come = {present};",
            "const u32 kk_gone = kk_earlier ? 0u : kk_named & ~kk_come;",
            f"if ({live and f'{live} && '}kk_from < 32u && ((kk_thread & ~31u) + kk_from >= {threads}u",
            "        || (kk_gone >> kk_from & 1u))) {",
            *_indented(self._fault(site, ["(u64)kk_from"])),
            "}",
        ]
        return ["{", *_indented(inner), "}"]

    # ------------------------------------------------------------ threads of a block
    def stop(self, barrier: Sequence[str]) -> list[str]:
        """Behind a barrier: a block in which a thread was at fault does no more, as what it would
        find now may come of that alone. `barrier` are the statements of another one, so that no
        thread goes on, and is at fault, before all have asked. Then the kernel's `kk_stop` is the same
        in all of them."""
        return [
            f"kk_stop = {self._failed()}(kk_record, kk_block);",
            *barrier,
            "if (kk_stop) kk_fault = 1;",
        ]

    # ------------------------------------------------------------ the record
    def _site(self, what: Mapping[str, Any], span: Span | None = None) -> int:
        return site_number(self.sites, what, span)

    def _fault(self, site: int, words: Sequence[str]) -> list[str]:
        """What a thread at fault does."""
        claim = f"{self._claim()}({_GIVEN}, {site}u)"
        if not words:
            return [f"{claim};"]
        return [f"const u32 at = {claim};", *self._written("kk_record", words)]

    def _written(
        self, name: str, words: Sequence[str], room: int = record.PAYLOAD_WORDS
    ) -> Iterator[str]:
        """The words go where `at` says."""
        yield "if (at) {"
        for place, word in enumerate(words[:room]):
            yield f"    {name}[at + {place}u] = {word};"
        yield "}"

    @property
    def _function(self) -> str:
        return self._dialect.scalars.function

    @property
    def _pointer(self) -> str:
        return self._dialect.pointer(AddressSpace.GLOBAL, "u64")

    @property
    def _taken(self) -> str:
        return _TAKEN.format(pointer=self._pointer)

    def _claim(self) -> str:
        return self._define("kk_claim", _CLAIM, swap=("cas", record.FAILED, ["0u", "own"]))

    def _failed(self) -> str:
        return self._define("kk_failed", _FAILED, swap=("cas", record.FAILED, ["0u", "0u"]))

    def _reserve(self) -> str:
        return self._define(
            "kk_reserve", _RESERVE,
            seen=("cas", record.CURSOR, ["0u", "0u"]),
            add=("add", record.CURSOR, ["words"]),
            lose=("add", record.LOST, ["1u"]),
        )  # fmt: skip

    def _define(self, name: str, template: str, **atomics: tuple[str, int, list[str]]) -> str:
        def text() -> str:
            calls = {key: self._atomic(*each) for key, each in atomics.items()}
            return template.format(function=self._function, pointer=self._pointer, **calls)

        return self._library.define(name, text)

    def _atomic(self, op: str, place: int, operands: Sequence[str]) -> str:
        """On the low half of a word of the record."""
        table = self._dialect.atomics
        if table is None:
            raise InternalError(
                f"{self._dialect.name} has no atomics, without which kernels can neither print nor "
                "report faults; its capabilities must say so"
            )
        half = self._dialect.pointer(AddressSpace.GLOBAL, "u32").strip()
        address = f"({half})(record + {place})"
        return atomic(
            self._library, self._scalars, table, op, UINT32, AddressSpace.GLOBAL, address, operands,
            True,
        )  # fmt: skip


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]
