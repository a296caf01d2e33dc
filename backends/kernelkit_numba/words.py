"""What device functions are made of: numba.cuda's own words, or the simulator's.

In: nothing. Out: `Words`. Holds: a factory of a device function takes `Words` and gives a function
that is written in Python once, for both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kernelkit.records import record

Function = Callable[..., Any]


@record
class Words:
    """`jit` makes a device function of a Python function; `libdevice` has numba.cuda.libdevice's
    functions; `swap(array, place, wanted, new)` compares bits, swaps if they are equal, and gives
    what it saw and whether it swapped; `cuda` has the operations of warps."""

    jit: Callable[[Function], Function]
    libdevice: Any
    swap: Function
    cuda: Any
