"""Rows of the table: contenders are checked, then measured in turns.

In: cases, what to spend on each, the machine's limits. Out: Rows.
Holds: nothing is timed before its result is right; the two of a row run in turns in one process,
so that what else the machine does meets both; a row's ratio is the median of the ratios of its
pairs; a contender that is missing or wrong costs its own row only.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kernelkit.bench.cpu_cases import Case, Size, load
from kernelkit.bench.cpu_machine import Machine
from kernelkit.bench.cpu_problems import Problem, Runner


@dataclass(frozen=True, slots=True)
class Effort:
    """What a row may cost: at least so many pairs, and about so many seconds."""

    pairs: int = 7
    seconds: float = 0.5
    most: int = 2000


@dataclass(frozen=True, slots=True)
class Row:
    """A kernel against one rival; seconds are medians. `trouble` says why there are none."""

    name: str
    title: str
    rival: str
    at_most: float | None
    stretch: float | None
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    #: The shortest times: what is left of noise on a busy machine.
    ours_best: float | None = None
    theirs_best: float | None = None
    pairs: int = 0
    #: Seconds that this machine needs at least, and what for.
    limit: float | None = None
    limited_by: str = ""
    trouble: str = ""
    #: Whether it is a contender's result or run that failed, not that a peer is not installed.
    failed: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the ratio is as asked; None where nothing is asked or nothing was measured."""
        if self.ratio is None or self.at_most is None:
            return None
        return self.ratio <= self.at_most

    @property
    def nearness(self) -> float | None:
        """How near ours comes to the limit: 1 is there."""
        return self.limit / self.ours if self.limit and self.ours else None


class Missing(Exception):
    """A peer that is not installed."""


class Wrong(Exception):
    """A contender that fails, or whose result is not what is expected."""


def rows(case: Case, size: Size, machine: Machine, effort: Effort) -> Iterator[Row]:
    """A row for each rival of a case."""
    problem = case.problem(*size)
    for rival in case.rivals:
        row = (case.name, case.title, rival.label, rival.at_most, rival.stretch)
        try:
            ours = checked(case.contender, problem, machine.threads)
            other = rival.problem(*size) if rival.problem else problem
            theirs = checked(rival.contender, other, machine.threads)
        except Missing as reason:
            yield Row(*row, trouble=str(reason))
        except Wrong as reason:
            yield Row(*row, trouble=str(reason), failed=True)
        else:
            times = in_turns(ours.run, theirs.run, effort)
            yield Row(*row, *_statistics(times), len(times), *machine.limit(problem))


def checked(contender: str, problem: Problem, threads: int) -> Runner:
    """A contender that has solved the problem once."""
    try:
        function, module = load(contender)
    except ImportError as reason:
        raise Missing(f"not installed: {reason.name or reason}") from reason
    try:
        if hasattr(module, "use_threads"):
            module.use_threads(threads)
        runner = function(*problem.inputs)
        runner.run()
        problem.check(runner.result())
    except Exception as reason:
        raise Wrong(f"{contender}: {type(reason).__name__}: {reason}") from reason
    return runner


def in_turns(
    ours: Callable[[], object], theirs: Callable[[], object], effort: Effort
) -> list[tuple[float, float]]:
    """The seconds of pairs of runs, behind a pair that warms up."""
    ours(), theirs()
    times: list[tuple[float, float]] = []
    end = time.perf_counter() + effort.seconds
    while len(times) < effort.pairs or (time.perf_counter() < end and len(times) < effort.most):
        times.append((_seconds(ours), _seconds(theirs)))
    return times


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _statistics(times: list[tuple[float, float]]) -> tuple[float, float, float, float, float]:
    columns = list(zip(*times, strict=True))
    ours, theirs = map(statistics.median, columns)
    return ours, theirs, statistics.median(a / b for a, b in times), *map(min, columns)
