"""Which threads of a block are still there: masks that live across leaves, one per vector.

In: a plan, and where jumps lead. Out: the mask of a vector when a leaf begins on it; memory.
Holds: a mask is a 64-bit word, lane 0 lowest. While a vector is written its masks are in slots of
their own, and go back to memory behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kernelkit.analysis.webs import Web
from kernelkit_cpu.exits import Exit
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.jumps import Target
from kernelkit_cpu.layout import Layout, counted
from kernelkit_cpu.plan import Plan
from kernelkit_cpu.storage import Storage
from kernelkit_cpu.text import Operand


class Kept(NamedTuple):
    """A mask of a vector in its slot, and where it stays; None: this leaf is the last to ask."""

    slot: Operand
    address: Operand | None


class Masks:
    def __init__(self, frame: Frame, plan: Plan, layout: Layout, storage: Storage) -> None:
        self.frame, self.plan, self.layout, self.storage = frame, plan, layout, storage
        #: Threads that have not returned.
        self.alive: Operand | None = None
        #: Whether there are any in the block (i1, in memory).
        self.living: Operand | None = None
        #: Threads that have not jumped to a target at the level of the block.
        self.stays: dict[Target, Operand] = {}
        #: Of webs that may be unassigned, in debug builds: threads that assigned them.
        self.assigned: dict[Web, Operand] = {}
        #: The targets around the present place.
        self.open: list[Target] = []

    # ------------------------------------------------------------ of the block
    def begin(self) -> None:
        """All threads of a block are there."""
        text = self.frame.text
        if self.plan.remembers_returns:
            self.alive = self._take("alive")
            self.living = text.alloca("i1", hint="living")
            text.store("i1", "true", self.living)
        for target in self.plan.divergent_targets:
            self.stays[target] = self._take("stays")
        if self.frame.debug:
            for web in self.frame.facts.analysis.webs.webs:
                if web.may_be_unassigned and web in self.plan.homes:
                    self.assigned[web] = self._take("assigned", fill=0)

    def _take(self, hint: str, fill: int = -1) -> Operand:
        address = self.storage.take(8 * self.layout.vectors, hint)
        self._fill(address, fill)
        return address

    def _fill(self, address: Operand, fill: int) -> None:
        """All on or all off."""
        count = 8 * self.layout.vectors
        self.frame.text.call(
            "llvm.memset.p0.i64",
            "void",
            [("ptr", address), ("i8", str(fill)), ("i64", str(count)), ("i1", "false")],
        )

    def enter(self, *targets: Target) -> int:
        """Begin something that threads may jump out of; gives what `leave` takes."""
        self.open += targets
        for target in targets:
            self.reset(target)
        return len(targets)

    def leave(self, count: int) -> None:
        del self.open[len(self.open) - count :]

    def reset(self, target: Target) -> None:
        """Nobody has jumped there."""
        if target in self.stays:
            self._fill(self.stays[target], -1)

    @property
    def left(self) -> list[Operand]:
        """The masks of the targets around the present place that threads may have jumped to."""
        return [self.stays[target] for target in self.open if target in self.stays]

    def assign(self, web: Web) -> None:
        """The block assigned a name, for all its threads that are here."""
        text, address = self.frame.text, self.assigned.get(web)
        if address is None:
            return
        masks = [each for each in (self.alive, *self.left) if each is not None]

        def one(number: Operand) -> None:
            here = "-1"
            for each in masks:
                word = text.load("i64", text.at("i64", each, number))
                here = text.let(f"and i64 {here}, {word}")
            place = text.at("i64", address, number)
            text.store("i64", text.let(f"or i64 {text.load('i64', place)}, {here}"), place)

        counted(text, self.layout.vectors, one, text.module.loop("unroll.disable"))

    def goes_on(self, on: str, end: str) -> None:
        """Leave a loop for good when no thread is left."""
        text = self.frame.text
        if self.living is None:
            return text.jump(on)
        text.branch(text.load("i1", self.living), on, end)

    # ------------------------------------------------------------ of a vector
    def begin_vector(self, frame: Frame, number: Operand) -> dict[Target, Kept]:
        """Narrows the frame's mask to the threads that are still here."""
        text = frame.text
        kept: dict[Target, Kept] = {}
        if self.plan.has_return:
            kept[None] = Kept(text.alloca(frame.masks, hint="alive"), self.alive)
        for target in self.open:
            if target in self.stays:
                slot = text.alloca(frame.masks, hint="stay")
                kept[target] = Kept(slot, self.stays[target])
        for each in kept.values():
            if each.address is None:
                text.store(frame.masks, frame.all_on(), each.slot)
                continue
            mask = _loaded(frame, each.address, number)
            text.store(frame.masks, mask, each.slot)
            frame.mask = frame.masked_and(frame.mask, mask)
        frame.alive = _who_is_alive(frame, kept.get(None))
        frame.assigned = {}
        for web, address in self.assigned.items():
            frame.assigned[web] = text.alloca(frame.masks, hint="assigned")
            text.store(frame.masks, _loaded(frame, address, number), frame.assigned[web])
        return kept

    def is_partial(self, kept: dict[Target, Kept]) -> bool:
        """Whether a vector may have lost threads before this leaf."""
        return bool(kept) and (self.alive is not None or any(t is not None for t in kept))

    def end_vector(self, frame: Frame, kept: dict[Target, Kept], number: Operand) -> None:
        for each in kept.values():
            if each.address is not None:
                _save(frame, each.slot, each.address, number)
        for web, slot in frame.assigned.items():
            _save(frame, slot, self.assigned[web], number)


def exits_of(kept: dict[Target, Kept], end: str) -> dict[Target, Exit]:
    """Where jumps of a vector lead: a return to its end, others only out of the masks."""
    return {
        target: Exit(end if target is None else None, each.slot) for target, each in kept.items()
    }


def still_here(frame: Frame, kept: dict[Target, Kept]) -> Operand | None:
    """The lanes that have a thread which has not jumped away."""
    mask = frame.tail
    for each in kept.values():
        mask = frame.masked_and(mask, frame.text.load(frame.masks, each.slot))
    return mask


def _who_is_alive(frame: Frame, kept: Kept | None) -> Callable[[], Operand]:
    """Lanes that exist and have not returned."""
    tail = frame.tail

    def alive() -> Operand:
        here = None if kept is None else frame.text.load(frame.masks, kept.slot)
        return frame.masked_and(tail, here) or frame.all_on()

    return alive


def _loaded(frame: Frame, address: Operand, number: Operand) -> Operand:
    text, lanes = frame.text, frame.lanes
    bits = text.load("i64", text.at("i64", address, number))
    narrow = bits if lanes == 64 else text.let(f"trunc i64 {bits} to i{lanes}")
    return text.let(f"bitcast i{lanes} {narrow} to {frame.masks}")


def _save(frame: Frame, slot: Operand, address: Operand, number: Operand) -> None:
    mask = frame.text.load(frame.masks, slot)
    frame.text.store("i64", frame.bits(mask), frame.text.at("i64", address, number))
