"""Faults while a kernel runs: from the number of a site to an error with names and places.

In: a Trap or an UnboundLocalError that came out of a kernel's function. Out: a KernelFault that
names file, line, block and thread, and whose traceback ends at the user's line.
"""

from __future__ import annotations

import re
from types import CodeType, TracebackType

from kernelkit.emit.fault_text import unassigned
from kernelkit.errors import KernelFault, Span, UnassignedError
from kernelkit_python.program import Program
from kernelkit_python.traps import Trap

Place = tuple[int, int, int]


def as_fault(
    error: Trap | UnboundLocalError, program: Program, block: Place, thread: Place
) -> KernelFault | None:
    """The fault; None for an error that the kernel did not make itself."""
    frames = _frames(error.__traceback__, program.code)
    if isinstance(error, Trap):
        site = program.sites[error.site]
        message = error.message.replace("{name}", site.name)
        fault = error.fault(site.span, message, block, thread)
    else:
        if not frames or frames[-1].tb_next is not None:
            return None
        fault = _unassigned(error, program, frames[-1], block, thread)
    return fault.with_traceback(_chain(frames))


def _frames(traceback: TracebackType | None, code: CodeType) -> list[TracebackType]:
    """The entries of a traceback that are in the kernel."""
    found = []
    while traceback is not None:
        if traceback.tb_frame.f_code is code:
            found.append(traceback)
        traceback = traceback.tb_next
    return found


def _chain(frames: list[TracebackType]) -> TracebackType | None:
    following: TracebackType | None = None
    for entry in reversed(frames):
        following = TracebackType(following, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return following


def _unassigned(
    error: UnboundLocalError, program: Program, frame: TracebackType, block: Place, thread: Place
) -> UnassignedError:
    named = re.search(r"'([^']+)'", str(error))
    identifier = named.group(1) if named else ""
    name = program.described.get(identifier, identifier)
    span = _read(program.reads.get(identifier, ()), _position(program, frame))
    return UnassignedError(span, unassigned(name), block, thread)


def _position(program: Program, frame: TracebackType) -> Span:
    """The source of the instruction at which a frame stands."""
    positions = list(frame.tb_frame.f_code.co_positions())
    line, end_line, column, end_column = positions[frame.tb_lasti // 2]
    return Span(
        program.span.file, line or frame.tb_lineno, column or 0, end_line or 0, end_column or 0
    )


def _read(reads: tuple[Span, ...], statement: Span) -> Span:
    """Which of the reads of a variable it was: the first within the statement that failed."""
    within = (
        read
        for read in reads
        if read.file == statement.file and statement.line <= read.line <= statement.end_line
    )
    return next(within, reads[0] if len(reads) == 1 else statement)
