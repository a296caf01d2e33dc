"""How a back end lays a block of threads out: what the later passes are told about it."""

from __future__ import annotations

from kernelkit.records import record

#: Threads along x, y, z.
Block = tuple[int, int, int]


@record
class Shape:
    """Block dimensions, the lanes of a vector (1: one thread at a time), and whether a vector stays
    within a row of threads."""

    block: Block
    lanes: int = 1
    rowwise: bool = True
