"""What debug kernels raise: from the numbers that a kernel wrote down to an exception.

In: the sites of a kernel; what was recorded; how numbers of threads are places. Out: a KernelFault.
Holds: it has the class, words, block and thread of the reference's, whatever recorded the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from kernelkit import errors
from kernelkit.emit import fault_text
from kernelkit.emit.payload import LOST, text_from, value_from, word_count
from kernelkit.errors import KernelFault, Span
from kernelkit.ir.types import DTYPES, INT64, DType
from kernelkit.records import record

Place = tuple[int, int, int]
#: What the metadata tells of a place in a kernel: "kind", "span", and what its kind needs.
Site = Mapping[str, Any]

WARP_SIZE: Final = 32


# ---------------------------------------------------------------- when emitting
def site_number(sites: list[dict[str, Any]], what: Site, span: Span | None = None) -> int:
    """The number of a place in the kernel, which is put into `sites` if it is not there."""
    found = dict(what)
    if span is not None:
        found["span"] = [span.file, span.line, span.column, span.end_line, span.end_column]
    if found not in sites:
        sites.append(found)
    return sites.index(found)


# ---------------------------------------------------------------- after a launch
@record
class Recorded:
    """A fault as a kernel wrote it down. `place` gives the block and the thread, as the user
    launched them, of a thread of the block at fault, by its number; `threads` is how many threads
    the user's block has."""

    sites: Sequence[Site]
    number: int
    thread: int
    payload: Sequence[int]
    place: Callable[[int], tuple[Place, Place]]
    threads: int

    @property
    def site(self) -> Site:
        return self.sites[self.number]

    def error(
        self, fault: type[KernelFault], message: str,
        site: Site | None = None, thread: int | None = None,
    ) -> KernelFault:  # fmt: skip
        span = Span(*(site or self.site)["span"])
        block, place = self.place(self.thread if thread is None else thread)
        return fault(span, message, block, place)

    def values(self, dtypes: Sequence[DType], first: int = 0) -> list[Any]:
        """Values in the payload; what had no room there is "?"."""
        found = []
        for dtype in dtypes:
            last = first + word_count(dtype)
            fits = last <= len(self.payload)
            found.append(value_from(dtype, self.payload[first:last]) if fits else LOST)
            first = last
        return found


def as_exception(fault: Recorded) -> KernelFault:
    """What a fault raises."""
    return _KINDS[fault.site["kind"]](fault)


def coordinates(number: int, extents: Sequence[int]) -> Place:
    """The place of a thread in a block, or of a block in a grid, by its number."""
    width, height = extents[0], extents[1]
    return number % width, number // width % height, number // (width * height)


# ---------------------------------------------------------------- by kind
def _bounds(fault: Recorded) -> KernelFault:
    types = [DTYPES[name] for name in fault.site["indices"]]
    unknown = sum(extent is None for extent in fault.site["shape"])
    found = fault.values([*types, *[INT64] * unknown])
    extents = iter(found[len(types) :])
    shape = [next(extents) if extent is None else extent for extent in fault.site["shape"]]
    message = fault_text.outside(fault.site["name"], found[: len(types)], shape)
    return fault.error(errors.OutOfBoundsError, message)


def _unassigned(fault: Recorded) -> KernelFault:
    return fault.error(errors.UnassignedError, fault_text.unassigned(fault.site["name"]))


def _assertion(fault: Recorded) -> KernelFault:
    message = fault_text.assertion(text_from(fault.site["text"], fault.payload))
    return fault.error(errors.KernelAssertionError, message)


def _step(fault: Recorded) -> KernelFault:
    return fault.error(errors.ZeroStepError, fault_text.ZERO_STEP)


def _not_uniform(fault: Recorded) -> KernelFault:
    dtype = DTYPES[fault.site["dtype"]]
    expected, value = fault.values([dtype, dtype], 1)
    first, thread = (fault.place(number)[1] for number in (fault.payload[0], fault.thread))
    message = fault_text.not_uniform(first, expected, thread, value)
    return fault.error(errors.DivergenceError, message)


def _unnamed_lane(fault: Recorded) -> KernelFault:
    lane = fault.thread % WARP_SIZE
    message = fault_text.unnamed_lane(lane, fault.site["op"], fault.payload[0])
    return fault.error(errors.DivergenceError, message)


def _inactive_lane(fault: Recorded) -> KernelFault:
    lane, wanted = fault.thread % WARP_SIZE, fault.payload[0]
    exists = fault.thread - lane + wanted < fault.threads
    message = fault_text.inactive_lane(lane, wanted, exists)
    return fault.error(errors.InactiveLaneError, message)


def _stalemate(fault: Recorded) -> KernelFault:
    """Payload: the place where lanes waited, their mask and who they are; mask and lanes here; lanes
    that have returned."""
    number, mask, waiting, own_mask, own, returned = fault.payload[:6]
    start = fault.thread // WARP_SIZE * WARP_SIZE

    def members(bits: int) -> list[int]:
        return [start + lane for lane in range(WARP_SIZE) if bits >> lane & 1]

    groups = [
        (site, fault_text.Waiting("warp", site["op"], m, Span(*site["span"]), members(lanes)))
        for site, m, lanes in (
            (fault.sites[number], mask, waiting),
            (fault.site, own_mask, own),
        )
    ]
    groups.sort(key=lambda group: list(group[1].members))
    threads = [fault.place(thread)[1] for thread in range(start + WARP_SIZE)]
    message = fault_text.stalemate([group for _, group in groups], members(returned), threads)
    site, first = groups[0]
    return fault.error(errors.DivergenceError, message, site, first.members[0])


_KINDS: Final[dict[str, Callable[[Recorded], KernelFault]]] = {
    "bounds": _bounds,
    "unassigned": _unassigned,
    "assert": _assertion,
    "step": _step,
    "uniform": _not_uniform,
    "unnamed lane": _unnamed_lane,
    "inactive lane": _inactive_lane,
    "stalemate": _stalemate,
}
