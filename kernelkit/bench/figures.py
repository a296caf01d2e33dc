"""One measured figure, and how to take it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure: `value` in `unit`, and the `limit` it is held to (at least, or at most), if any."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def measured(self) -> str:
        digits = ",.0f" if self.value >= 1e4 else ",.4g"
        return f"{self.value:{digits}} {self.unit}"

    @property
    def asked(self) -> str:
        if self.limit is None:
            return ""
        bound = "at least" if self.at_least else "at most"
        return f"{bound} {self.limit:,} {self.unit}{'' if self.met else ': missed'}"


def median_seconds(run: Callable[[], object], rounds: int = 25) -> float:
    """The median time of a call, after one that warms up."""
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def printed_by(*arguments: str, **environment: str) -> float:
    """The number that a fresh interpreter prints. It keeps bytecode, as one does that runs what was
    installed, so the first of several finds less than the others."""
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, *arguments], env=inherited | environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr}")
    return float(done.stdout)


def import_milliseconds(rounds: int = 9) -> float:
    """What `import kernelkit` adds to `import numpy`: the median of fresh interpreters."""
    code = (
        "import time, numpy; start = time.perf_counter(); import kernelkit;"
        "print((time.perf_counter() - start) * 1e3)"
    )
    return statistics.median([printed_by("-c", code) for _ in range(rounds + 1)][1:])
