"""The C printer: a typed kernel as one translation unit of a language of the C family.

In: an analysis and a `CDialect`. Out: `CSource`: text, and what a launch must know.
Holds: equal kernels give equal text; the text alone says what the kernel does, the signature how it
is called.
"""

from __future__ import annotations

from typing import Any

from kernelkit.analysis.pipeline import Analysis
from kernelkit.emit.cstyle.accesses import Accesses
from kernelkit.emit.cstyle.dialect import CDialect
from kernelkit.emit.cstyle.expressions import Expressions
from kernelkit.emit.cstyle.names import plain
from kernelkit.emit.cstyle.statements import Statements
from kernelkit.emit.cstyle.unit import Unit
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import AddressSpace
from kernelkit.records import record


@record
class CSource:
    """A printed kernel. `metadata` is JSON-like: `name` of the function, `signature`
    (signature.py), `sites` for faults and prints, `record`, `prints`, `block`, `row` (it is launched
    as one row of threads), `static_shared` bytes, `carved` bytes of it that the launch adds to the dynamic ones, `dynamic_shared`,
    `reproducible`, `debug`, `source`: what the user calls it."""

    text: str
    metadata: dict[str, Any]


def print_kernel(analysis: Analysis, dialect: CDialect) -> CSource:
    """The kernel in the words of a dialect."""
    return _Printer(analysis, dialect).source()


class _Printer:
    def __init__(self, analysis: Analysis, dialect: CDialect) -> None:
        self._unit = Unit(analysis, dialect)
        self._accesses = Accesses(self._unit)
        self._expressions = Expressions(self._unit, self._accesses)
        self._statements = Statements(self._unit, self._accesses, self._expressions)

    def source(self) -> CSource:
        unit = self._unit
        kernel = unit.kernel
        self._parameters()
        self._variables()
        self._statements.body(kernel.body)
        if unit.debug or self._prints:
            pointer = unit.dialect.pointer(AddressSpace.GLOBAL, "u64")
            unit.signature.use("record", pointer, "kk_record")
        name = f"k_{plain(kernel.name)}"
        return CSource(self._text(name), self._metadata(name))

    @property
    def _prints(self) -> bool:
        return any(isinstance(stmt, ir.Print) for stmt in ir.walk(self._unit.kernel.body))

    # ------------------------------------------------------------ the head
    def _parameters(self) -> None:
        unit = self._unit
        for leaf, symbol in enumerate(unit.kernel.params):
            if isinstance(symbol, ir.ArrayVar):
                self._accesses.parameter(symbol, leaf)
                continue
            name = unit.names.of(symbol)
            if self._expressions.is_short(symbol):
                unit.signature.use("value", "i32", name, leaf)
            elif unit.scalars.memory_type(symbol.type) == unit.scalars.register_type(symbol.type):
                unit.signature.use("value", unit.scalars.memory_type(symbol.type), name, leaf)
            else:
                memory = unit.scalars.memory_type(symbol.type)
                given = unit.signature.use("value", memory, f"{name}_given", leaf)
                loaded = unit.scalars.load(symbol.type, given)
                unit.head.append(f"{unit.scalars.register_type(symbol.type)} {name} = {loaded};")

    def _variables(self) -> None:
        """Every name of the body; what was never assigned reads zero."""
        unit = self._unit
        parameters = set(unit.kernel.params)
        found = [var for stmt in ir.walk(unit.kernel.body) for var in ir.targets(stmt)]
        reads = unit.analysis.webs.unassigned if unit.debug else ()
        unsure = {read.var for read in reads}
        for var in dict.fromkeys((*found, *sorted(unsure, key=lambda v: v.name))):
            if var in parameters:
                continue
            kind = self._expressions.register_type(var)
            zero = "0" if kind == "i32" else unit.scalars.literal(var.type, 0)
            unit.head.append(f"{kind} {unit.names.of(var)} = {zero};")
            if var in unsure:
                self._expressions.flags[var] = unit.declare("int", "assigned", "0")

    # ------------------------------------------------------------ the text
    def _text(self, name: str) -> str:
        unit = self._unit
        x, y, z = unit.block
        head = unit.dialect.kernel.format(
            name=name, parameters=", ".join(unit.signature.declarations) or "void",
            threads=unit.threads, x=unit.threads if unit.row else x, y=1 if unit.row else y,
            z=1 if unit.row else z,
            attributes=unit.warps.attributes if unit.dialect.warps is not None else "",
        )  # fmt: skip
        lines = [*(f"    {line}" for line in (*self._places(), *unit.head)), *unit.lines]
        body = "\n".join(lines)
        parts = [unit.scalars.prelude, unit.library.text(), "\n".join(unit.outside)]
        before = "\n".join(part.rstrip("\n") for part in parts if part.strip())
        return f"{before}\n\n{head} {{\n{body}\n}}\n"

    def _places(self) -> list[str]:
        """Where the thread is, as far as the body asks for it."""
        unit = self._unit
        (x, y, _), register = unit.block, unit.register
        scratch = [] if unit.dialect.warps is None else unit.warps.scratch(unit.threads)
        text = "\n".join((*unit.head, *unit.lines, *scratch))
        found = []
        if unit.debug:
            found.append("int kk_fault = 0;")
        if "kk_stop" in text:
            found.append("int kk_stop = 0;")
        if "kk_thread" in text or "kk_lane" in text:
            tx, ty, tz = (f"(u32){register('threadIdx', axis)}" for axis in range(3))
            found.append(f"const u32 kk_thread = ({tz} * {y}u + {ty}) * {x}u + {tx};")
        if "kk_lane" in text:
            found.append("const u32 kk_lane = kk_thread & 31u;")
        if "kk_block" in text:
            bx, by, bz = (f"(i64){register('blockIdx', axis)}" for axis in range(3))
            gx, gy = (f"(i64){register('gridDim', axis)}" for axis in range(2))
            found.append(f"const i64 kk_block = ({bz} * {gy} + {by}) * {gx} + {bx};")
        return [*self._bounds("\n".join((text, *found))), *found, *scratch]

    def _bounds(self, text: str) -> list[str]:
        """What compilers do not know of threadIdx, although they know the block; it tells them how
        many turns a loop has that begins there."""
        unit = self._unit
        loops = (stmt for stmt in ir.walk(unit.kernel.body) if isinstance(stmt, ir.For))
        if not unit.dialect.assume or all(isinstance(loop.start, ir.Constant) for loop in loops):
            return []
        sides = (unit.threads, 1, 1) if unit.row else unit.block
        names = [
            unit.dialect.registers["threadIdx"].format(axis=axis, number=number)
            for number, axis in enumerate("xyz")
        ]
        return [
            unit.dialect.assume.format(condition=f"{name} < {side}u")
            for name, side in zip(names, sides, strict=True)
            if name in text
        ]

    def _metadata(self, name: str) -> dict[str, Any]:
        unit = self._unit
        memory, options = unit.analysis.memory, unit.kernel.options
        carved = memory.static_shared_bytes > unit.dialect.static_shared
        return {
            "name": name,
            "source": unit.kernel.name,
            "signature": unit.signature.entries,
            "sites": unit.checks.sites,
            "record": unit.signature.has("record"),
            "prints": self._prints,
            "block": list(unit.block),
            "row": unit.row,
            "static_shared": 0 if carved else memory.static_shared_bytes,
            "carved": memory.static_shared_bytes if carved else 0,
            "dynamic_shared": memory.dynamic_shared or carved,
            "reproducible": options.reproducible,
            "debug": options.debug,
        }
