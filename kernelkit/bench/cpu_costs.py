"""What a launch costs, and what comes before the first one: figures without a rival.

In: the back end in use. Out: Figures.
Holds: a first launch is measured inside fresh interpreters, with a disk cache of their own.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kernelkit.bench import cpu_kernels as kernels
from kernelkit.bench.figures import Figure, import_milliseconds, median_seconds, printed_by

LAUNCHES = 2001
#: Fresh interpreters for each figure.
PROCESSES = 7
PROGRAM = "kernelkit.bench.cpu_first_launch"


def warm_launch(backend: str) -> float:
    """Microseconds that a launch of one block takes."""
    x, y = np.ones((2, 256), np.float32)
    launch = kernels.saxpy[1, 256]
    seconds = median_seconds(lambda: launch(2.0, x, y), LAUNCHES)
    assert (y == 1 + 2 * (LAUNCHES + 1)).all()
    return seconds * 1e6


def first_launch(backend: str, cache: str) -> float:
    """Milliseconds that the first launch takes in a fresh interpreter, with this disk cache."""
    return printed_by("-m", PROGRAM, KERNELKIT_BACKEND=backend, KERNELKIT_CACHE_DIR=cache)


def cold_launch(backend: str) -> float:
    """The first launch with an empty disk cache."""
    times = []
    for _ in range(PROCESSES + 1):
        with tempfile.TemporaryDirectory() as cache:
            times.append(first_launch(backend, cache))
    return statistics.median(times[1:])


def cached_launch(backend: str) -> float:
    """The first launch of a process, where another one has launched the kernel before."""
    with tempfile.TemporaryDirectory() as cache:
        times = [first_launch(backend, cache) for _ in range(PROCESSES + 1)]
    return statistics.median(times[1:])


def import_time(backend: str) -> float:
    return import_milliseconds()


@dataclass(frozen=True, slots=True)
class Cost:
    """A figure that is held to an absolute limit."""

    name: str
    title: str
    measure: Callable[[str], float]
    unit: str
    at_most: float

    def figure(self, backend: str) -> Figure:
        return Figure(self.title, self.measure(backend), self.unit, self.at_most)


COSTS = (
    Cost("launch", "warm launch of one block", warm_launch, "us", 8),
    Cost("cold", "first launch, nothing in the disk cache", cold_launch, "ms", 150),
    Cost("cached", "first launch, from the disk cache", cached_launch, "ms", 30),
    Cost("import", "import kernelkit beyond numpy", import_time, "ms", 60),
)
