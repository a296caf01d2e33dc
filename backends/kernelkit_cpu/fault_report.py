"""What debug kernels raise: from the record of a launch to an exception.

In: a kernel's metadata, the words of the record, the configuration of the launch. Out: a KernelFault.
Holds: it has the class, words, block and thread of the reference's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from kernelkit import errors
from kernelkit.backend import LaunchConfig
from kernelkit.emit import fault_text
from kernelkit.errors import KernelFault, Span
from kernelkit.ir.types import DTYPES, INT64, DType
from kernelkit_cpu import record
from kernelkit_cpu.payload import LOST, text_from, value_from, word_count

Place = tuple[int, int, int]

WARP_SIZE: Final = 32


def raise_fault(
    metadata: Mapping[str, Any], words: Sequence[int], config: LaunchConfig
) -> NoReturn:
    """The exception for the fault in a record."""
    found = _Fault(metadata, words, config)
    raise _KINDS[found.site["kind"]](found)


class _Fault:
    """A fault that was recorded."""

    def __init__(
        self, metadata: Mapping[str, Any], words: Sequence[int], config: LaunchConfig
    ) -> None:
        self.metadata, self.config = metadata, config
        self.sites: Sequence[Mapping[str, Any]] = metadata["sites"]
        self.site = self.sites[words[record.FAULT_SITE]]
        self.block, self.thread = words[record.FAULT_BLOCK], words[record.FAULT_THREAD]
        self.payload = [w % (1 << 64) for w in words[record.PAYLOAD : record.PARAMETERS]]

    def error(
        self, fault: type[KernelFault], message: str,
        site: Mapping[str, Any] | None = None, thread: int | None = None,
    ) -> KernelFault:  # fmt: skip
        span = Span(*(site or self.site)["span"])
        block, place = self.place(self.thread if thread is None else thread)
        return fault(span, message, block, place)

    def place(self, thread: int) -> tuple[Place, Place]:
        """The block and the thread, as the user launched them, of a thread of this block."""
        run = tuple(self.metadata["block"])
        block = _coordinates(self.block, record.run_blocks(self.metadata, self.config.grid))
        at = _coordinates(thread, run)
        if not self.metadata.get("reblocked"):
            return block, at
        user = self.metadata["user_block"]
        along = [b * n + t for b, n, t in zip(block, run, at, strict=True)]
        x, y, z = (divmod(number, n) for number, n in zip(along, user, strict=True))
        return (x[0], y[0], z[0]), (x[1], y[1], z[1])

    def values(self, dtypes: Sequence[DType], first: int = 0) -> list[Any]:
        """Values in the payload; what had no room there is "?"."""
        found = []
        for dtype in dtypes:
            last = first + word_count(dtype)
            fits = last <= len(self.payload)
            found.append(value_from(dtype, self.payload[first:last]) if fits else LOST)
            first = last
        return found


def _coordinates(number: int, extents: Sequence[int]) -> Place:
    width, height = extents[0], extents[1]
    return number % width, number // width % height, number // (width * height)


def _bounds(fault: _Fault) -> KernelFault:
    types = [DTYPES[name] for name in fault.site["indices"]]
    unknown = sum(extent is None for extent in fault.site["shape"])
    found = fault.values([*types, *[INT64] * unknown])
    extents = iter(found[len(types) :])
    shape = [next(extents) if extent is None else extent for extent in fault.site["shape"]]
    message = fault_text.outside(fault.site["name"], found[: len(types)], shape)
    return fault.error(errors.OutOfBoundsError, message)


def _unassigned(fault: _Fault) -> KernelFault:
    return fault.error(errors.UnassignedError, fault_text.unassigned(fault.site["name"]))


def _assertion(fault: _Fault) -> KernelFault:
    message = fault_text.assertion(text_from(fault.site["text"], fault.payload))
    return fault.error(errors.KernelAssertionError, message)


def _step(fault: _Fault) -> KernelFault:
    return fault.error(errors.ZeroStepError, fault_text.ZERO_STEP)


def _not_uniform(fault: _Fault) -> KernelFault:
    dtype = DTYPES[fault.site["dtype"]]
    expected, value = fault.values([dtype, dtype], 1)
    first, thread = (fault.place(number)[1] for number in (fault.payload[0], fault.thread))
    message = fault_text.not_uniform(first, expected, thread, value)
    return fault.error(errors.DivergenceError, message)


def _unnamed_lane(fault: _Fault) -> KernelFault:
    lane = fault.thread % WARP_SIZE
    message = fault_text.unnamed_lane(lane, fault.site["op"], fault.payload[0])
    return fault.error(errors.DivergenceError, message)


def _inactive_lane(fault: _Fault) -> KernelFault:
    lane, wanted = fault.thread % WARP_SIZE, fault.payload[0]
    exists = fault.thread - lane + wanted < math.prod(fault.config.block)
    message = fault_text.inactive_lane(lane, wanted, exists)
    return fault.error(errors.InactiveLaneError, message)


def _stalemate(fault: _Fault) -> KernelFault:
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


_KINDS: Final[dict[str, Callable[[_Fault], KernelFault]]] = {
    "bounds": _bounds,
    "unassigned": _unassigned,
    "assert": _assertion,
    "step": _step,
    "uniform": _not_uniform,
    "unnamed lane": _unnamed_lane,
    "inactive lane": _inactive_lane,
    "stalemate": _stalemate,
}
