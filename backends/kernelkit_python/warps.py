"""What lanes give one another: when a warp operation may happen, and what each lane gets.

In: the requests at which the lanes of one warp wait; a request is `(site, mask, *operands)`, None
for a lane that has returned. Out: the result of each lane that goes on.
Holds: lanes that do not exist or have returned never count, whether a mask names them or not; values
are compared by their bits, so a NaN matches itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from kernelkit.emit.fault_text import inactive_lane, unnamed_lane
from kernelkit.errors import DivergenceError, InactiveLaneError
from kernelkit_python.traps import Trap

WARP_SIZE: Final = 32

#: A site's number, then what the operation needs.
Request = tuple[Any, ...]
#: Lane -> what its operation gives; None for one that gives nothing.
Results = dict[int, Any]


class LaneTrap(Exception):
    """A Trap and the lane, or thread, that it concerns."""

    def __init__(self, lane: int, trap: Trap) -> None:
        super().__init__(lane, trap)
        self.lane, self.trap = lane, trap


def release(
    requests: Sequence[Request | None], operations: Mapping[int, str], debug: bool
) -> Results:
    """The lanes of a warp, all of which wait or have returned, that can go on. `operations` says
    which sites are warp operations, and which."""
    live, groups = 0, dict[tuple[int, int | None], int]()
    for lane, request in enumerate(requests):
        if request is not None:
            live |= 1 << lane
            if request[0] in operations:
                key = (request[0], request[1])
                groups[key] = groups.get(key, 0) | 1 << lane
    results: Results = {}
    for (site, mask), waiting in groups.items():
        if mask is None:
            continue
        if waiting & ~mask:
            raise _unnamed(site, mask, waiting, operations[site])
        if mask & live == waiting:
            lanes = _lanes(waiting)
            results.update(_OPERATIONS[operations[site]](lanes, requests, site, debug))
    if not results:
        # Only now is it known that nobody else comes.
        for (_, mask), waiting in groups.items():
            if mask is None:
                results.update(dict.fromkeys(_lanes(waiting), waiting))
    return results


def _lanes(mask: int) -> list[int]:
    return [lane for lane in range(WARP_SIZE) if mask >> lane & 1]


def _unnamed(site: int, mask: int, waiting: int, op: str) -> LaneTrap:
    lane = _lanes(waiting & ~mask)[0]
    return LaneTrap(lane, Trap(DivergenceError, site, unnamed_lane(lane, op, mask)))


# ---------------------------------------------------------------- operations
Operation = Callable[[list[int], Sequence[Any], int, bool], Results]


def _sync(lanes: list[int], requests: Sequence[Any], site: int, debug: bool) -> Results:
    return dict.fromkeys(lanes)


def _shuffle(source: Callable[[int, int], int]) -> Operation:
    """A shuffle whose lane `source` gives, from one's own lane and the operand."""

    def shuffle(lanes: list[int], requests: Sequence[Any], site: int, debug: bool) -> Results:
        values = {lane: requests[lane][2] for lane in lanes}
        results = {}
        for lane in lanes:
            wanted = source(lane, requests[lane][3])
            if debug and 0 <= wanted < WARP_SIZE and wanted not in values:
                _check_active(lane, wanted, requests, site)
            results[lane] = values.get(wanted, values[lane])
        return results

    return shuffle


def _check_active(lane: int, wanted: int, requests: Sequence[Any], site: int) -> None:
    if wanted < len(requests) and requests[wanted] is not None:
        return
    message = inactive_lane(lane, wanted, wanted < len(requests))
    raise LaneTrap(lane, Trap(InactiveLaneError, site, message))


def _vote(decide: Callable[[list[bool]], bool]) -> Operation:
    def vote(lanes: list[int], requests: Sequence[Any], site: int, debug: bool) -> Results:
        return dict.fromkeys(lanes, decide([requests[lane][2] for lane in lanes]))

    return vote


def _ballot(lanes: list[int], requests: Sequence[Any], site: int, debug: bool) -> Results:
    return dict.fromkeys(lanes, sum(1 << lane for lane in lanes if requests[lane][2]))


def _by_value(lanes: list[int], requests: Sequence[Any]) -> dict[object, int]:
    """Bits of a value -> the mask of the lanes that have it."""
    masks: dict[object, int] = {}
    for lane in lanes:
        value = requests[lane][2]
        bits = value.tobytes() if isinstance(value, np.generic) else value
        masks[bits] = masks.get(bits, 0) | 1 << lane
    return masks


def _match_any(lanes: list[int], requests: Sequence[Any], site: int, debug: bool) -> Results:
    return {lane: mask for mask in _by_value(lanes, requests).values() for lane in _lanes(mask)}


def _match_all(lanes: list[int], requests: Sequence[Any], site: int, debug: bool) -> Results:
    masks = list(_by_value(lanes, requests).values())
    return dict.fromkeys(lanes, (masks[0], True) if len(masks) == 1 else (0, False))


_OPERATIONS: Final[dict[str, Operation]] = {
    "sync": _sync,
    "shfl": _shuffle(lambda lane, wanted: wanted % WARP_SIZE),
    "shfl_up": _shuffle(lambda lane, delta: lane - delta),
    "shfl_down": _shuffle(lambda lane, delta: lane + delta),
    "shfl_xor": _shuffle(lambda lane, bits: lane ^ bits),
    "all": _vote(all),
    "any": _vote(any),
    "eq": _vote(lambda votes: len(set(votes)) <= 1),
    "ballot": _ballot,
    "match_any": _match_any,
    "match_all": _match_all,
}
