"""The lanes of one vector that have jumped away.

In: a frame, and the jumps of its kernel. Out: masks; branches.
Holds: a target that lanes may jump to one by one has a mask in memory (`stay`) of the lanes that have
not done so; what runs next is cut to these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kernelkit.analysis.kinds import Level
from kernelkit.ir.nodes import Return, Stmt
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.jumps import Jump, Jumps, Target
from kernelkit_cpu.text import Operand


class Exit(NamedTuple):
    """A target of jumps while its statement is written: a label for jumps that the whole vector
    takes, and the mask (in memory) of the lanes that have not jumped there."""

    label: str | None
    stay: Operand | None


class Exits:
    """`open`: the targets of the statements around the present place. Jumps to one that is not
    the vector's own only clear its mask."""

    def __init__(self, frame: Frame, jumps: Jumps, outer: Mapping[Target, Exit]) -> None:
        self.frame, self.jumps, self.open = frame, jumps, dict(outer)

    def slot(self, hint: str) -> Operand:
        """Memory for a mask."""
        return self.frame.text.alloca(self.frame.masks, hint=hint)

    def load(self, address: Operand) -> Operand:
        return self.frame.text.load(self.frame.masks, address)

    def stays_of(self, stmt: Stmt) -> list[Operand]:
        """The masks of the targets that a statement may be left for."""
        found = (self.open.get(target) for target in self.jumps.escapes[stmt])
        return [each.stay for each in found if each is not None and each.stay is not None]

    def remaining(self, stmt: Stmt, mask: Operand | None) -> Operand | None:
        """The lanes of a mask that did not jump out of a statement."""
        for stay in self.stays_of(stmt):
            mask = self.frame.masked_and(mask, self.load(stay))
        return mask

    def narrow(self, stmt: Stmt) -> bool:
        """Take the lanes that jumped out of a statement out of the frame's mask."""
        self.frame.mask = self.remaining(stmt, self.frame.mask)
        return bool(self.stays_of(stmt))

    def leave(self, target: Target, leaving: Operand) -> None:
        """Lanes of the frame's mask go to a target, if it keeps a mask."""
        stay, frame = self.open[target].stay, self.frame
        if stay is None:
            return
        gone = frame.masked_and(frame.active(), leaving)
        assert gone is not None
        left = frame.text.let(f"and {frame.masks} {self.load(stay)}, {frame.inverted(gone)}")
        frame.text.store(frame.masks, left, stay)

    def jump(self, stmt: Jump) -> None:
        target, frame = self.jumps.targets[stmt], self.frame
        label = self.open[target].label
        if isinstance(stmt, Return):
            together = frame.mask is None
        else:
            together = self.jumps.level(stmt) is not Level.VARYING
        together = together and label is not None
        if isinstance(stmt, Return) or not together:
            self.leave(target, frame.all_on())
        if together and label is not None:
            frame.text.jump(label)
