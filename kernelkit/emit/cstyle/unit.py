"""What all parts of the printer share while one kernel is printed.

Holds: lines go into the kernel's body in the order in which statements run; what is declared goes
to its head.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.ranges import never_negative
from kernelkit.analysis.widths import Widths
from kernelkit.emit.cstyle.checks import Checks
from kernelkit.emit.cstyle.dialect import CDialect
from kernelkit.emit.cstyle.library import Library
from kernelkit.emit.cstyle.names import Names
from kernelkit.emit.cstyle.scalars import Scalars
from kernelkit.emit.cstyle.signature import Signature
from kernelkit.emit.cstyle.warps import LIVE, Warps
from kernelkit.errors import InternalError
from kernelkit.ir import nodes as ir


class Unit:
    """One translation unit in the making."""

    def __init__(self, analysis: Analysis, dialect: CDialect) -> None:
        kernel = analysis.kernel
        self.analysis, self.kernel, self.dialect = analysis, kernel, dialect
        self.block = analysis.shape.block
        #: Checks need atomics to report what they find.
        self.debug = kernel.options.debug and dialect.atomics is not None
        #: The type of extents, strides and offsets of elements.
        self.index = "i32" if kernel.options.small else "i64"
        self.library = Library()
        self.scalars = Scalars(dialect.scalars, self.library, kernel.options.reproducible)
        self.checks = Checks(self.scalars, self.library, dialect, kernel)
        self._warps = (
            None if dialect.warps is None else Warps(self.library, self.scalars, dialect.warps)
        )
        self.names = Names()
        self.signature = Signature()
        self.widths = Widths(kernel, self.block)
        self.never_negative = never_negative(kernel, analysis.shape)
        #: Declarations at the head of the kernel, and outside of it.
        self.head: list[str] = []
        self.outside: list[str] = []
        self.lines: list[str] = []
        self._indent = 1

    def line(self, text: str) -> None:
        self.lines.append("    " * self._indent + text)

    @contextmanager
    def indented(self) -> Iterator[None]:
        self._indent += 1
        yield
        self._indent -= 1

    def declare(self, ctype: str, stem: str, value: str = "") -> str:
        """A new variable of the kernel."""
        name = self.names.new(stem)
        self.head.append(f"{ctype} {name}{f' = {value}' if value else ''};")
        return name

    @property
    def row(self) -> bool:
        """Whether the block is launched as one row of threads."""
        uses_warps = any(isinstance(stmt, ir.Warp) for stmt in ir.walk(self.kernel.body))
        return self.dialect.rows and uses_warps and self.block != (self.threads, 1, 1)

    def register(self, name: str, axis: int) -> str:
        """threadIdx, blockIdx or gridDim, as the dialect has them."""
        template = self.dialect.registers[name]
        if name != "threadIdx" or not self.row:
            return template.format(axis="xyz"[axis], number=axis)
        x, y, _ = self.block
        thread = f"(u32){template.format(axis='x', number=0)}"
        parts = (f"{thread} % {x}u", f"{thread} / {x}u % {y}u", f"{thread} / {x * y}u")
        return f"({parts[axis]})"

    @property
    def warps(self) -> Warps:
        """How barriers and warp operations are written."""
        if self._warps is None:
            raise InternalError(f"{self.dialect.name} has no barriers and no warps")
        return self._warps

    def complete(self, stmt: ir.Warp) -> bool:
        """Whether every lane of a warp comes to an operation, if one does: none of them is missing,
        has returned, or may be at the kernel's end already."""
        returns = any(isinstance(each, ir.Return) for each in ir.walk(self.kernel.body))
        together = self.analysis.variability.control(stmt) <= Level.VECTOR_UNIFORM
        whole = self.threads % 32 == 0 and together
        return whole and not (returns or self.live or self.debug)

    @cached_property
    def live(self) -> str:
        """Where threads that have returned go on: the name that says whether this one has not."""
        targets = (var for stmt in ir.walk(self.kernel.body) for var in ir.targets(stmt))
        return next((self.names.of(var) for var in targets if var.name == LIVE), "")

    @property
    def threads(self) -> int:
        x, y, z = self.block
        return x * y * z
