"""Seconds on a GPU: by events, in turns, behind a flush of its cache; and seconds on the host.

In: functions that launch something. Out: pairs of seconds.
Holds: the two of a pair run one behind the other, so that the GPU's clock and temperature meet
both, and change places from pair to pair. The flush also keeps the GPU busy until event, launch
and event are queued, so what a launch costs on the host is not in what a kernel takes.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernelkit.bench.cpu_rows import Effort

#: Written before each run: several times any second-level cache, and some 0.1 ms of work.
FLUSHED = 512 << 20
#: Launches between two looks at the clock; fewer than a GPU queues before the host must wait.
BATCH = 200
TRIES = 15

Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Work:
    """A launch, and what comes before it and is not measured."""

    run: Run
    prepare: Run = lambda: None


class Clock:
    """Measures on CuPy's current device and the default stream, which Numba shares."""

    def __init__(self, cupy: Any) -> None:
        self._cuda = cupy.cuda
        self._trash = cupy.empty(FLUSHED, "u1")
        self._copies: dict[int, float] = {}

    @functools.cached_property
    def name(self) -> str:
        properties = self._cuda.runtime.getDeviceProperties(self._cuda.Device().id)
        version = self._cuda.runtime.driverGetVersion()
        return f"{properties['name'].decode()}, driver for CUDA {version // 1000}.{version // 10 % 100}"

    def synchronize(self) -> None:
        self._cuda.Device().synchronize()

    def seconds(self, work: Work) -> float:
        work.prepare()
        self._trash.data.memset_async(0, FLUSHED)
        start, end = self._cuda.Event(), self._cuda.Event()
        start.record()
        work.run()
        end.record()
        end.synchronize()
        return float(self._cuda.get_elapsed_time(start, end)) * 1e-3

    def in_turns(self, ours: Work, theirs: Work, effort: Effort) -> list[tuple[float, float]]:
        """Seconds of pairs of runs, behind some that warm up."""
        for _ in range(3):
            self.seconds(ours), self.seconds(theirs)
        times: list[tuple[float, float]] = []
        until = time.perf_counter() + effort.seconds
        while len(times) < effort.pairs or (
            time.perf_counter() < until and len(times) < effort.most
        ):
            if len(times) % 2:
                second = self.seconds(theirs)
                times.append((self.seconds(ours), second))
            else:
                times.append((self.seconds(ours), self.seconds(theirs)))
        return times

    def copy_seconds(self, moved: int) -> float:
        """How long the device takes to copy half of so many bytes: they are read, and written."""
        if moved not in self._copies:
            src, dst = (self._allocate(moved // 2) for _ in range(2))
            copy = Work(lambda: dst.copy_from_device_async(src, moved // 2))
            times = sorted(self.seconds(copy) for _ in range(TRIES))
            self._copies[moved] = times[len(times) // 2]
        return self._copies[moved]

    def _allocate(self, size: int) -> Any:
        memory = self._cuda.alloc(size)
        memory.memset_async(1, size)
        return memory


def host_seconds(
    ours: Run, theirs: Run, synchronize: Run, tries: int = 4 * TRIES
) -> list[tuple[float, float]]:
    """What a launch takes until it returns: pairs, each the mean of a batch."""
    times = []
    for turn in range(tries + 1):
        pair = [0.0, 0.0]
        for side in (0, 1) if turn % 2 else (1, 0):
            launch = (ours, theirs)[side]
            start = time.perf_counter()
            for _ in range(BATCH):
                launch()
            pair[side] = (time.perf_counter() - start) / BATCH
            synchronize()
        times.append((pair[0], pair[1]))
    return times[1:]
