"""The report on threads that cannot go on: who waits where, and who has returned."""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.emit.fault_text import Waiting
from kernelkit.emit.fault_text import stalemate as report
from kernelkit.errors import DivergenceError
from kernelkit_python.program import Program
from kernelkit_python.threads import Thread
from kernelkit_python.traps import Trap
from kernelkit_python.warps import Request


def stalemate(
    program: Program, threads: Sequence[Thread], requests: Sequence[Request | None]
) -> tuple[int, Trap]:
    """The thread that stands first in the report, and the report."""
    groups: dict[tuple[int, int | None], list[int]] = {}
    returned = []
    for index, request in enumerate(requests):
        if request is None:
            returned.append(index)
        else:
            warp = program.sites[request[0]].kind == "warp"
            groups.setdefault((request[0], request[1] if warp else None), []).append(index)
    sites = [(program.sites[number], mask, m) for (number, mask), m in groups.items()]
    waiting = [Waiting(site.kind, site.name, mask, site.span, m) for site, mask, m in sites]
    number, _ = next(iter(groups))
    return waiting[0].members[0], Trap(DivergenceError, number, report(waiting, returned, threads))
