"""What can go wrong, and where: source spans, diagnostics and the tree of exceptions.

In: spans and messages. Out: exceptions whose text reads
`file.py:12:9: what is wrong; what to write instead`, the source line and a caret.
Holds: this module imports of ours only records; every exception of ours is a KernelError.
"""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from typing import Any

from kernelkit.records import record


@record
class Span:
    """A stretch of the user's source. Lines count from 1, columns (in characters) from 0."""

    file: str
    line: int
    column: int = 0
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column + 1}"

    def excerpt(self) -> str:
        """The source line with carets under the span; empty where the source is gone."""
        text = linecache.getline(self.file, self.line).rstrip("\n")
        if not text.strip():
            return ""
        end = self.end_column if self.end_line == self.line else len(text)
        width = max(1, min(end, len(text)) - self.column)
        # Tabs are kept under the line so that the caret lines up in any terminal.
        lead = "".join(c if c == "\t" else " " for c in text[: self.column])
        return f"    {text}\n    {lead}{'^' * width}"


NOWHERE = Span("<kernelkit>", 0)


@record
class Diagnostic:
    """One finding: what is wrong and what to write instead, with other places that explain it."""

    span: Span
    message: str
    notes: tuple[tuple[Span, str], ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.span}: {self.message}", self.span.excerpt()]
        for span, text in self.notes:
            parts += [f"{span}: note: {text}", span.excerpt()]
        return "\n".join(p for p in parts if p)


class KernelError(Exception):
    """The root of every exception that this package raises on purpose."""


class CompileError(KernelError):
    """A kernel is outside the language. `diagnostics` holds every finding, in source order."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        unique = dict.fromkeys(diagnostics)
        self.diagnostics = tuple(
            sorted(unique, key=lambda d: (d.span.file, d.span.line, d.span.column))
        )
        super().__init__("\n".join(map(str, self.diagnostics)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.diagnostics,)


class SourceError(KernelError):
    """The source of a function cannot be read (`exec`, a bare REPL)."""


class LaunchError(KernelError):
    """A launch was refused before anything ran or was written."""


class ArgumentError(LaunchError, TypeError):
    """An argument has a type, dtype or number that no kernel takes."""


class ConfigurationError(LaunchError, ValueError):
    """Grid, block or shared memory are not what a device can run."""


class ReadOnlyError(LaunchError, ValueError):
    """A read-only array would be written by the kernel."""


class CapabilityError(LaunchError):
    """The device lacks something the kernel needs (float64, an atomic, shared memory)."""


class BackendError(KernelError):
    """A back end is unknown or not usable here; the text says which are."""


class OutsideKernelError(KernelError, RuntimeError):
    """A device name (`kk.grid`, `threadIdx.x`) was used outside of any kernel."""


class InternalError(KernelError):
    """Broken IR: a defect of kernelkit, not of the kernel."""


class KernelFault(KernelError):
    """A kernel did something wrong while it ran. Says where: file and line, block, thread."""

    def __init__(
        self,
        span: Span,
        message: str,
        block: tuple[int, int, int] | None = None,
        thread: tuple[int, int, int] | None = None,
    ) -> None:
        self.span, self.message, self.block, self.thread = span, message, block, thread
        who = "" if block is None else f" (block {block}, thread {thread})"
        super().__init__(str(Diagnostic(span, message + who)))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.span, self.message, self.block, self.thread)


class OutOfBoundsError(KernelFault, IndexError):
    """An index outside its array, after a negative one has wrapped once."""


class KernelAssertionError(KernelFault, AssertionError):
    """A failed `assert`."""


class DivergenceError(KernelFault):
    """A barrier or warp operation, or a `kk.uniform`, that threads did not share."""


class UnassignedError(KernelFault, NameError):
    """A name was read before it was assigned."""


class StepBudgetError(KernelFault):
    """A thread ran for longer than the step budget allows: most likely a spin lock."""


class ZeroStepError(KernelFault, ValueError):
    """A `range` whose step was 0 when it ran."""


class InactiveLaneError(KernelFault):
    """A shuffle from a lane that does not exist or has returned (debug builds only)."""
