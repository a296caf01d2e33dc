"""The report on threads that cannot go on: who waits where, and who has returned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kernelkit.emit.python import Site
from kernelkit.errors import DivergenceError
from kernelkit_python.calls import call_name
from kernelkit_python.program import Program
from kernelkit_python.threads import Thread
from kernelkit_python.traps import Trap
from kernelkit_python.warps import Request

#: Stretches of threads that a report names before it says how many more there are.
_SHOWN: Final = 4


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
    lines = [
        f"{_who(members, threads)} in {_where(program.sites[site], mask)}"
        for (site, mask), members in groups.items()
    ]
    if returned:
        lines.append(f"{_who(returned, threads, 'has', 'have')} returned")
    (site, _), members = next(iter(groups.items()))
    message = f"{_advice(program, [s for s, _ in groups])}" + "".join(f"\n  {x}" for x in lines)
    return members[0], Trap(DivergenceError, site, message)


def _where(site: Site, mask: int | None) -> str:
    named = "" if mask is None else f" with mask {mask:#010x}"
    return f"{call_name(site.kind, site.name)}{named} at {site.span}"


def _advice(program: Program, sites: list[int]) -> str:
    kinds = {program.sites[site].kind for site in sites}
    if kinds == {"warp"}:
        return (
            "lanes of a warp wait for others that do not come; every lane that a mask names, and that "
            "has not returned, must reach the same operation with the same mask:"
        )
    return (
        "threads of a block wait for one another in different places; every thread that has not "
        "returned must reach the same barrier:"
    )


def _who(
    members: Sequence[int], threads: Sequence[Thread], one: str = "waits", many: str = "wait"
) -> str:
    """`16 threads, (0, 0, 0) to (15, 0, 0), wait`"""
    stretches: list[list[int]] = []
    for index in members:
        if stretches and stretches[-1][1] == index - 1:
            stretches[-1][1] = index
        else:
            stretches.append([index, index])
    shown = [
        str(threads[first]) if first == last else f"{threads[first]} to {threads[last]}"
        for first, last in stretches[:_SHOWN]
    ]
    if len(stretches) > _SHOWN:
        shown.append(f"{len(stretches) - _SHOWN} more stretches")
    if len(members) == 1:
        return f"thread {shown[0]} {one}"
    return f"{len(members)} threads, {', '.join(shown)}, {many}"
