"""What debug kernels raise: from the record of a launch to an exception.

In: a kernel's metadata, the words of the record, the configuration of the launch. Out: a KernelFault.
Holds: block and thread are the user's, also where the kernel ran in other blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from kernelkit.backend import LaunchConfig
from kernelkit.emit.fault_report import Place, Recorded, as_exception, coordinates
from kernelkit_cpu import record


def raise_fault(
    metadata: Mapping[str, Any], words: Sequence[int], config: LaunchConfig
) -> NoReturn:
    """The exception for the fault in a record."""
    raise as_exception(
        Recorded(
            sites=metadata["sites"],
            number=words[record.FAULT_SITE],
            thread=words[record.FAULT_THREAD],
            payload=[w % (1 << 64) for w in words[record.PAYLOAD : record.PARAMETERS]],
            place=_places(metadata, words[record.FAULT_BLOCK], config),
            threads=math.prod(config.block),
        )
    )


def _places(
    metadata: Mapping[str, Any], number: int, config: LaunchConfig
) -> Callable[[int], tuple[Place, Place]]:
    """The block and the thread, as the user launched them, of the threads of a block."""
    run = tuple(metadata["block"])
    block = coordinates(number, record.run_blocks(metadata, config.grid))

    def place(thread: int) -> tuple[Place, Place]:
        at = coordinates(thread, run)
        if not metadata.get("reblocked"):
            return block, at
        user = metadata["user_block"]
        along = [b * n + t for b, n, t in zip(block, run, at, strict=True)]
        x, y, z = (divmod(number, n) for number, n in zip(along, user, strict=True))
        return (x[0], y[0], z[0]), (x[1], y[1], z[1])

    return place
