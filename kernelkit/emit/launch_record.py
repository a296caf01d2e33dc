"""The launch record of kernels on devices: what they printed, and what went wrong in them.

In: the metadata of a kernel; after a launch, the words that it left. Out: the words that a launch
begins with; lines on sys.stdout, and a KernelFault.
Holds: kernels know the record alone, at the indices below; 32-bit atomics are all that they need; a
kernel that prints more than there is room for loses whole texts, the last to come, and never writes
beyond the record.

    header      what the block that failed first holds, and the state of what is printed
    slots       one for each thread of a block: what went wrong in it, if its block failed first
    printed     entries, one after the other: the number of the site, the words of the values
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from kernelkit.emit.fault_report import Recorded, as_exception, coordinates
from kernelkit.emit.payload import text_from, to_stdout, words_in

# ---------------------------------------------------------------- the header
FAILED: Final = 0  # low 32 bits: 0, or which block failed first: its number % (2**32 - 1) + 1
CURSOR: Final = 1  # low 32 bits: words of all texts so far; those beyond CAPACITY are lost
CAPACITY: Final = 2  # words that there is room for
LOST: Final = 3  # low 32 bits: texts that were lost
PRINTED: Final = 4  # where the printed entries begin
HEADER: Final = 8

# ---------------------------------------------------------------- a slot
SLOT_SITE: Final = 0  # the number of the site, from 1; 0: this thread did nothing wrong
SLOT_BLOCK: Final = 1
SLOT_PAYLOAD: Final = 2
PAYLOAD_WORDS: Final = 16
SLOT: Final = SLOT_PAYLOAD + PAYLOAD_WORDS

#: Room for what a kernel prints in one launch: 1 MiB.
PRINT_WORDS: Final = 1 << 17


class Launch(Protocol):
    """What a configuration of a launch says here."""

    @property
    def grid(self) -> tuple[int, int, int]: ...


def new_record(metadata: Mapping[str, Any], capacity_words: int = PRINT_WORDS) -> np.ndarray:
    """The words that a launch begins with, all of them (int64)."""
    header = new_header(metadata, capacity_words)
    return np.concatenate([header, np.zeros(header[PRINTED] - HEADER + header[CAPACITY], np.int64)])


def new_header(metadata: Mapping[str, Any], capacity_words: int = PRINT_WORDS) -> np.ndarray:
    """How a record begins. To use one again, its slots must be 0 too if its launch failed."""
    slots = math.prod(metadata["block"]) if metadata["debug"] else 0
    header = np.zeros(HEADER, np.int64)
    header[CAPACITY] = capacity_words if metadata["prints"] else 0
    header[PRINTED] = HEADER + SLOT * slots
    return header


def words_used(header: Sequence[int]) -> int:
    """How many words of a record `report` needs, by its first HEADER words."""
    return int(header[PRINTED]) + min(int(header[CURSOR]), int(header[CAPACITY]))


# ---------------------------------------------------------------- after a launch
def report(
    metadata: Mapping[str, Any],
    words: Sequence[int] | np.ndarray,
    config: Launch,
    write: Callable[[str], object] | None = None,
) -> None:
    """Print what a launch printed, in the order in which it came, then raise what went wrong in it.
    `words` are the record, or its first `words_used`; `write` takes whole texts, by default to where
    sys.stdout is now."""
    found = np.asarray(words, np.int64).tolist()
    if found[CURSOR] or found[LOST]:
        _print(metadata["sites"], found, write or to_stdout)
    if found[FAILED]:
        _raise_first(metadata, found, config)


def _print(
    sites: Sequence[Mapping[str, Any]], words: Sequence[int], write: Callable[[str], object]
) -> None:
    counts: dict[int, int] = {}
    place, end = words[PRINTED], words_used(words)
    while place < end:
        number = words[place]
        pieces = sites[number]["text"]
        count = counts.get(number)
        if count is None:
            count = counts[number] = words_in(pieces)
        if place + 1 + count > end:
            break
        write(text_from(pieces, words[place + 1 : place + 1 + count]))
        place += 1 + count
    if words[LOST]:
        warnings.warn(_lost(words[LOST], words[CAPACITY]), RuntimeWarning, stacklevel=2)


def _lost(count: int, capacity: int) -> str:
    texts = "1 print was" if count == 1 else f"{count} prints were"
    return (
        f"{texts} lost: what a kernel prints in one launch has {8 * capacity:_} bytes on this device; "
        "print less, from fewer threads, or in several launches"
    )


def _raise_first(metadata: Mapping[str, Any], words: Sequence[int], config: Launch) -> None:
    """Of the threads at fault in a block the first is named, as the reference does."""
    slots = range(HEADER, words[PRINTED], SLOT)
    thread, start = next((n, at) for n, at in enumerate(slots) if words[at + SLOT_SITE])
    extents = metadata["block"]
    block = coordinates(words[start + SLOT_BLOCK], config.grid)
    raise as_exception(
        Recorded(
            sites=metadata["sites"],
            number=words[start + SLOT_SITE] - 1,
            thread=thread,
            payload=[word % (1 << 64) for word in words[start + SLOT_PAYLOAD : start + SLOT]],
            place=lambda number: (block, coordinates(number, extents)),
            threads=math.prod(extents),
        )
    )
