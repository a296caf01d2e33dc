"""Runs a launch: block after block, each thread to its next barrier or warp operation.

In: a Program, a checked launch, arguments in their representation. Out: nothing; the arrays are
written.
Holds: a thread runs alone until it waits or returns; a fault of the kernel comes out as a
KernelFault, any other exception (a debugger's, Ctrl-C) untouched; nothing is kept between launches.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

import numpy as np

from kernelkit.backend import LaunchConfig
from kernelkit.errors import ConfigurationError
from kernelkit_python import warps
from kernelkit_python.divergence import stalemate
from kernelkit_python.faults import as_fault
from kernelkit_python.memory import SharedMemory
from kernelkit_python.order import Order, current_order
from kernelkit_python.program import Program
from kernelkit_python.threads import BlockState, Dim3, Place, Thread, threads_of
from kernelkit_python.traps import Trap

#: Turns of `while` loops that one thread may take.
STEP_BUDGET: Final = 2_000_000

#: What threads get from a barrier that they give a truth.
_DECISIONS: Final[dict[str, Callable[[list[bool]], int]]] = {"count": sum, "and": all, "or": any}

_Suspended = Generator[warps.Request, Any, None]


def step_budget() -> int:
    """The environment's, or the default."""
    text = os.environ.get("KERNELKIT_STEP_BUDGET", "").strip()
    if not text:
        return STEP_BUDGET
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(
            f"KERNELKIT_STEP_BUDGET is {text!r}; set it to a whole number of steps, 1 or more, or unset it"
        )
    return int(text)


#: One launch at a time: an atomic of one must not fall between the two halves of another's. The
#: same thread may launch again, from a debugger for instance.
_running = threading.RLock()


def _forget_other_threads() -> None:
    # In a forked child nobody is left to give back a lock that another thread held.
    global _running
    _running = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)


def launch(program: Program, config: LaunchConfig, args: Sequence[Any]) -> None:
    """Runs all blocks."""
    order, steps = current_order(), step_budget()
    memory = SharedMemory(program.shared, config.shared_bytes)
    dims = Dim3(config.block), Dim3(config.grid)
    run = _run_suspending if program.suspends else _run_straight
    with _running, np.errstate(all="ignore"):
        for place in order.blocks(config.grid):
            memory.renew()
            state = BlockState(memory.arrays)
            rest = (Dim3(place), *dims, state, steps)
            run(_Block(program, args, rest, threads_of(config.block), place, state), order)


class _Block:
    """One block on its way: what its functions are called with, and who runs."""

    __slots__ = ("args", "current", "place", "program", "rest", "state", "threads")

    def __init__(
        self, program: Program, args: Sequence[Any], rest: tuple[Any, ...],
        threads: tuple[Thread, ...], place: Place, state: BlockState,
    ) -> None:  # fmt: skip
        self.program, self.args, self.rest = program, args, rest
        self.threads, self.place, self.state = threads, place, state
        self.current = threads[0]

    def fault(self, error: Trap | UnboundLocalError) -> Exception:
        """What to raise in place of an error of the thread that runs."""
        return as_fault(error, self.program, self.place, self.current.place) or error


# ---------------------------------------------------------------- threads that never wait
def _run_straight(block: _Block, order: Order) -> None:
    function, args, rest = block.program.function, block.args, block.rest
    try:
        for thread in order.threads(block.threads):
            block.current = thread
            function(*args, thread, *rest)
    except (Trap, UnboundLocalError) as error:
        raise block.fault(error) from None


# ---------------------------------------------------------------- threads that wait for one another
def _run_suspending(block: _Block, order: Order) -> None:
    """Runs the threads that can go on until each waits or has returned, then lets go those that
    wait for nobody any more."""
    function, threads = block.program.function, block.threads
    suspended = [function(*block.args, thread, *block.rest) for thread in threads]
    requests: list[warps.Request | None] = [None] * len(threads)
    release = _Release(block.program, threads)
    ready: Sequence[int] = range(len(threads))
    results: list[Any] | None = None
    try:
        while ready:
            _advance(block, suspended, requests, order.threads(ready), results)
            try:
                ready, results = release(requests, block.state)
            except warps.LaneTrap as found:
                _throw(block, suspended, found.lane, found.trap)
    except (Trap, UnboundLocalError) as error:
        raise block.fault(error) from None


def _advance(
    block: _Block, suspended: list[_Suspended], requests: list[warps.Request | None],
    ready: Sequence[int], results: list[Any] | None,
) -> None:  # fmt: skip
    """Each of these threads to its next request, or to its end."""
    threads = block.threads
    if results is None:
        for index in ready:
            block.current = threads[index]
            requests[index] = next(suspended[index], None)
        return
    for index in ready:
        block.current = threads[index]
        try:
            requests[index] = suspended[index].send(results[index])
        except StopIteration:
            requests[index] = None


def _throw(block: _Block, suspended: list[_Suspended], index: int, trap: Trap) -> None:
    """Raises where that thread waits, so that the traceback shows its line."""
    block.current = block.threads[index]
    suspended[index].throw(trap)


class _Release:
    """Decides who goes on, once every thread waits or has returned."""

    def __init__(self, program: Program, threads: tuple[Thread, ...]) -> None:
        self._program, self._threads = program, threads
        named = list(enumerate(program.sites))
        self._barriers = {number: site.name for number, site in named if site.kind == "barrier"}
        self._warps = {number: site.name for number, site in named if site.kind == "warp"}

    def __call__(
        self, requests: list[warps.Request | None], state: BlockState
    ) -> tuple[Sequence[int], list[Any] | None]:
        """The threads that go on, and what each thread's request gives it (None: nothing)."""
        live = [index for index, request in enumerate(requests) if request is not None]
        if not live:
            return (), None
        sites = {request[0] for request in requests if request is not None}
        if len(sites) == 1 and (op := self._barriers.get(next(iter(sites)))):
            state.next_phase()
            return live, self._barrier(op, live, requests)
        if self._warps:
            ready, results = self._warp_operations(requests)
            if ready:
                return ready, results
        index, trap = stalemate(self._program, self._threads, requests)
        raise warps.LaneTrap(index, trap)

    def _barrier(self, op: str, live: list[int], requests: Sequence[Any]) -> list[Any] | None:
        if op == "sync":
            return None
        votes = [requests[index][1] for index in live]
        return [_DECISIONS[op](votes)] * len(requests)

    def _warp_operations(self, requests: list[warps.Request | None]) -> tuple[list[int], list[Any]]:
        ready, results = [], [None] * len(requests)
        for first in range(0, len(requests), warps.WARP_SIZE):
            lanes = requests[first : first + warps.WARP_SIZE]
            try:
                released = warps.release(lanes, self._warps, self._program.debug)
            except warps.LaneTrap as found:
                raise warps.LaneTrap(first + found.lane, found.trap) from None
            for lane, result in released.items():
                results[first + lane] = result
            ready += [first + lane for lane in sorted(released)]
        return ready, results
