"""What faults of kernels say: one text for all back ends.

In: names, numbers and places. Out: messages, without file, block and thread, which the exception
adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kernelkit.errors import Span
from kernelkit.records import record

Place = tuple[int, int, int]

#: A `range` whose step is 0.
ZERO_STEP: Final = "the step of this range is 0; a range needs a step that moves it"

#: Stretches of threads that a report names before it says how many more there are.
_SHOWN: Final = 4

_CALLS: Final = {
    ("barrier", "sync"): "syncthreads",
    ("barrier", "count"): "syncthreads_count",
    ("barrier", "and"): "syncthreads_and",
    ("barrier", "or"): "syncthreads_or",
    ("warp", "sync"): "syncwarp",
    ("warp", "activemask"): "activemask",
}


def call_name(kind: str, operation: str) -> str:
    """How users write a barrier or warp operation."""
    return _CALLS.get((kind, operation), f"{operation}_sync")


# ---------------------------------------------------------------- one thread
def outside(name: str, indices: Sequence[object], shape: Sequence[object]) -> str:
    index = ", ".join(map(str, indices))
    extents = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
    return (
        f"{name}[{index}] is outside {name}, whose shape is {extents}; guard the access with `if`, "
        "or clamp the index"
    )


def unassigned(name: str) -> str:
    return (
        f"{name} is read before it was assigned in this thread; assign it on every path that leads "
        "here"
    )


def assertion(text: str) -> str:
    return f"assertion failed: {text}" if text else "assertion failed"


# ---------------------------------------------------------------- threads that differ
def not_uniform(first: object, expected: Any, thread: object, value: Any) -> str:
    return (
        f"kk.uniform promises one value for the whole block, but thread {first} has {expected} and "
        f"thread {thread} has {value}; make it the same in all threads"
    )


def unnamed_lane(lane: int, op: str, mask: int) -> str:
    return (
        f"lane {lane} calls {call_name('warp', op)} with the mask {mask:#010x}, which does not name "
        "that lane; a mask must name every lane that calls"
    )


def inactive_lane(lane: int, wanted: int, exists: bool) -> str:
    why = "has returned" if exists else "does not exist"
    return (
        f"lane {lane} shuffles from lane {wanted}, which {why}; in a release build it would get its "
        "own value"
    )


# ---------------------------------------------------------------- threads that wait
@record
class Waiting:
    """Threads, by number, that wait in a barrier or, with a mask, in a warp operation."""

    kind: str
    op: str
    mask: int | None
    span: Span
    members: Sequence[int]


def stalemate(groups: Sequence[Waiting], returned: Sequence[int], threads: Sequence[object]) -> str:
    """Threads that cannot go on: who waits where, and who has returned. `threads` are what to call
    them, by number."""
    lines = [f"{_who(group.members, threads)} in {_where(group)}" for group in groups]
    if returned:
        lines.append(f"{_who(returned, threads, 'has', 'have')} returned")
    return _advice(groups) + "".join(f"\n  {line}" for line in lines)


def _where(group: Waiting) -> str:
    named = "" if group.mask is None else f" with mask {group.mask:#010x}"
    return f"{call_name(group.kind, group.op)}{named} at {group.span}"


def _advice(groups: Sequence[Waiting]) -> str:
    if {group.kind for group in groups} == {"warp"}:
        return (
            "lanes of a warp wait for others that do not come; every lane that a mask names, and that "
            "has not returned, must reach the same operation with the same mask:"
        )
    return (
        "threads of a block wait for one another in different places; every thread that has not "
        "returned must reach the same barrier:"
    )


def _who(
    members: Sequence[int], threads: Sequence[object], one: str = "waits", many: str = "wait"
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
