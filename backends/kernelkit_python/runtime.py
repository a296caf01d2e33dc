"""What printed kernels call besides the scalar table and the access to arrays."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

from kernelkit.emit.fault_text import ZERO_STEP, assertion
from kernelkit.emit.payload import to_stdout
from kernelkit.errors import KernelAssertionError, StepBudgetError, ZeroStepError
from kernelkit_python.traps import Trap

#: A `for` ends by itself, so it may take this many times the steps of all `while` loops.
FOR_FACTOR: Final = 8

_SPINNING: Final = (
    "this loop ran for longer than the step budget allows; most likely it waits for another thread, "
    "but nothing promises that other threads make progress; if it is only long, set "
    "KERNELKIT_STEP_BUDGET to a greater number of steps"
)


def _print(*parts: str) -> None:
    to_stdout("".join(parts))


def _failure(site: int, *parts: str) -> Trap:
    return Trap(KernelAssertionError, site, assertion("".join(parts)))


def _spinning(site: int) -> NoReturn:
    raise Trap(StepBudgetError, site, _SPINNING)


def _steps_of(site: int, steps: int, start: int, stop: int, step: int) -> Iterable[int]:
    """The steps of a `for`; one that is too long for the budget is cut off when it has used it up."""
    if step == 0:
        raise Trap(ZeroStepError, site, ZERO_STEP)
    limit = steps * FOR_FACTOR
    if -limit <= stop - start <= limit:
        return range(start, stop, step)
    return _watched(site, limit, range(start, stop, step))


def _watched(site: int, limit: int, steps: range) -> Iterator[int]:
    for count, value in enumerate(steps):
        if count >= limit:
            _spinning(site)
        yield value


RUNTIME: Final[dict[str, Any]] = {
    "_k_print": _print,
    "_k_text": format,
    "_k_failure": _failure,
    "_k_spinning": _spinning,
    "_k_steps_of": _steps_of,
    "_k_range": range,
    # It stops in the frame that calls it, and honours sys.breakpointhook.
    "_k_breakpoint": builtins.breakpoint,
}
