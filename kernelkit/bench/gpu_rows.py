"""Rows of the table: contenders are checked, then measured in turns.

In: cases, names of back ends, a Clock. Out: Rows, and Figures of what a launch costs.
Holds: nothing is timed before its result is right; each contender has arrays of its own, filled
alike, of the kind that its side of the row works with; one that fails costs its own row only.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kernelkit.bench.cpu_problems import Problem
from kernelkit.bench.cpu_rows import Effort, Wrong
from kernelkit.bench.figures import Figure
from kernelkit.bench.gpu_cases import CASES, SPEED, Case
from kernelkit.bench.gpu_clock import Clock, Work, host_seconds
from kernelkit.bench.gpu_launches import Launch, Put
from kernelkit.bench.gpu_rawkernels import SOURCES

Run = Callable[[], object]
#: What a launch of ours may take longer on the host than one of CuPy's RawKernel, in us.
LAUNCH = 3.0


@dataclass(frozen=True, slots=True)
class Row:
    """A kernel on one back end against the same by hand; seconds are medians. `speed` is theirs
    over ours, the median over pairs. `trouble` says why there is none."""

    name: str
    title: str
    backend: str
    rival: str
    at_least: float = SPEED
    ours: float | None = None
    theirs: float | None = None
    speed: float | None = None
    pairs: int = 0
    #: Our part of the bandwidth of a copy on the device, and what is asked of it.
    copied: float | None = None
    copied_at_least: float | None = None
    trouble: str = ""

    @property
    def met(self) -> bool | None:
        """Whether all is as asked; None where nothing was measured."""
        if self.speed is None:
            return None
        enough = self.copied is None or self.copied >= (self.copied_at_least or 0)
        return self.speed >= self.at_least and enough


# ---------------------------------------------------------------- contenders
@dataclass(frozen=True, slots=True)
class Side:
    """What a back end is measured against, and the arrays of both."""

    rival: str
    put: Put
    fetch: Callable[[Any], np.ndarray]
    #: (the kernel's name, a Launch) -> what launches it.
    theirs: Callable[[str, Launch], Run]


def _raw_kernels() -> Side:
    import cupy

    def theirs(name: str, launch: Launch) -> Run:
        kernel = cupy.RawKernel(SOURCES[name], name)
        grid, block, arguments = launch.grid, launch.block, launch.for_c
        return lambda: kernel(grid, block, arguments)

    return Side("CuPy RawKernel", cupy.asarray, cupy.asnumpy, theirs)


def _plain_numba() -> Side:
    from numba import cuda

    from kernelkit.bench import gpu_numba

    def theirs(name: str, launch: Launch) -> Run:
        kernel = getattr(gpu_numba, name)[launch.grid, launch.block]
        return lambda: kernel(*launch.arguments)

    return Side("plain numba.cuda", cuda.to_device, lambda array: array.copy_to_host(), theirs)


#: By the name of the back end.
SIDES: dict[str, Callable[[], Side]] = {"cuda": _raw_kernels, "numba": _plain_numba}


def ours(case: Case, backend: str, launch: Launch) -> Run:
    configured = case.ours.on(backend)[launch.grid, launch.block]
    arguments = launch.arguments
    return lambda: configured(*arguments)


def checked(
    who: str, case: Case, problem: Problem, side: Side, make: Callable[[Launch], Run]
) -> Work:
    """A contender that has solved the problem once."""
    try:
        launch = case.launch(side.put, *problem.inputs)
        work = Work(make(launch), launch.prepare)
        work.prepare()
        work.run()
        problem.check(side.fetch(launch.result))
    except Exception as reason:
        raise Wrong(f"{who}: {type(reason).__name__}: {reason}") from reason
    return work


# ---------------------------------------------------------------- rows
def rows(
    case: Case, small: bool, backends: list[str], clock: Clock, effort: Effort
) -> Iterator[Row]:
    """A row for each back end."""
    problem = case.problem(*(case.small[0] if small else case.size))
    for backend in backends:
        side = SIDES[backend]()
        row = Row(case.name, case.title, backend, side.rival, copied_at_least=case.bandwidth)
        yield measured(row, case, problem, side, clock, effort)


def measured(
    row: Row, case: Case, problem: Problem, side: Side, clock: Clock, effort: Effort
) -> Row:
    """The row with its figures, or with the trouble there was."""
    backend = row.backend
    try:
        mine = checked(backend, case, problem, side, lambda launch: ours(case, backend, launch))
        theirs = checked(
            row.rival, case, problem, side, lambda launch: side.theirs(case.name, launch)
        )
        times = clock.in_turns(mine, theirs, effort)
    except Exception as reason:  # the other rows are still worth having
        said = str(reason) if isinstance(reason, Wrong) else f"{type(reason).__name__}: {reason}"
        return replace(row, trouble=said)
    a, b = (statistics.median(column) for column in zip(*times, strict=True))
    speed = statistics.median(y / x for x, y in times)
    copied = clock.copy_seconds(problem.moved) / a if case.bandwidth else None
    return replace(row, ours=a, theirs=b, speed=speed, pairs=len(times), copied=copied)


def launch_figures(backend: str, clock: Clock) -> list[Figure]:
    """What a warm launch of one small block takes on the host."""
    side = SIDES[backend]()
    case = next(case for case in CASES if case.name == "saxpy")
    problem = case.problem(256)
    mine = checked(backend, case, problem, side, lambda launch: ours(case, backend, launch))
    theirs = checked(side.rival, case, problem, side, lambda launch: side.theirs(case.name, launch))
    times = host_seconds(mine.run, theirs.run, clock.synchronize)
    a, b = (statistics.median(column) * 1e6 for column in zip(*times, strict=True))
    beyond = statistics.median((x - y) * 1e6 for x, y in times)
    limit = LAUNCH if backend == "cuda" else None
    return [
        Figure(f"{backend}: warm launch on the host", a, "us"),
        Figure(f"{side.rival}: warm launch on the host", b, "us"),
        Figure(f"{backend}: beyond {side.rival}", beyond, "us", limit),
    ]
