"""The way of a kernel through the rooms: source, parse, verify, analyse, emit, compile, load.

In: a Python function, the types of its arguments, settings and a place. Out: an Analysed kernel,
and from that an artifact or an executable.
Holds: what the place cannot do is refused before anything is emitted; nothing is remembered here
but by the disk cache.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kernelkit.analysis.pipeline import Analysis, analyse
from kernelkit.analysis.rounding import rounded
from kernelkit.errors import CompileError, Diagnostic, Span
from kernelkit.frontend.arguments import ArgType
from kernelkit.frontend.captures import Capture
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir.nodes import Kernel, Options
from kernelkit.ir.verify import verify
from kernelkit.records import record
from kernelkit.registry import Place
from kernelkit.runtime.capabilities import check_requirements
from kernelkit.runtime.disk_cache import compiled
from kernelkit.runtime.settings import Settings

if TYPE_CHECKING:
    from kernelkit.backend import Artifact, Binary, Executable
    from kernelkit.runtime.configuration import Dim3


@record(eq=False)
class Analysed:
    """A kernel for some argument types, block and place, not yet code."""

    kernel: Kernel
    captures: tuple[Capture, ...]
    analysis: Analysis
    place: Place
    block: Dim3

    def artifact(self) -> Artifact:
        return self.place.backend.emit(self.analysis, self.place.device.target)

    def binary(self) -> Binary:
        """Compiled, or from the disk cache."""
        with _shallow(self.kernel.span):
            return compiled(self.place.backend, self.artifact(), self.place.device.target)

    def load(self, binary: Binary) -> Executable:
        return self.place.backend.load(binary, self.place.device)

    def executable(self) -> Executable:
        return self.load(self.binary())

    def promised(self, noalias: bool, small: bool) -> Analysed:
        """The same, for launches that promise this."""
        options = dataclasses.replace(self.kernel.options, noalias=noalias, small=small)
        if options == self.kernel.options:
            return self
        kernel = dataclasses.replace(self.kernel, options=options)
        analysis = _analyse(kernel, self.place, self.block)
        return dataclasses.replace(self, kernel=kernel, analysis=analysis)


def build(
    fn: Callable[..., Any],
    types: Mapping[str, ArgType],
    settings: Settings,
    place: Place,
    block: Dim3,
) -> Analysed:
    """Take a function as far as its analysis, for arrays that do not overlap and, where that makes
    a difference, are small."""
    options = Options(
        debug=settings.debug,
        reproducible=settings.reproducible,
        wraparound=settings.wraparound,
        noalias=True,
        small=bool(getattr(place.backend, "narrow", False)),
    )
    source = read_source(fn)
    with _shallow(source.def_span):
        parsed = parse(source, types, options)
        kernel = verify(parsed.kernel)
        if getattr(place.backend, "rounds", False):
            kernel = rounded(kernel)
        analysis = _analyse(kernel, place, block)
    check_requirements(analysis, place.device)
    return Analysed(kernel, parsed.captures, analysis, place, block)


@contextmanager
def _shallow(span: Span) -> Iterator[None]:
    """A kernel nested deeper than Python's own stack is refused, not a crash in some pass."""
    try:
        yield
    except RecursionError:
        message = (
            "an expression or a chain of branches nests too deeply; give parts of it names of their "
            "own, or write a loop"
        )
        raise CompileError([Diagnostic(span, message)]) from None


def _analyse(kernel: Kernel, place: Place, block: Dim3) -> Analysis:
    return analyse(kernel, place.backend.shape(kernel, block, place.device.target))
