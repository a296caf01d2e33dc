"""Runs the demo's cases on back ends, times them and holds them against the peers.

In: an image and the names of back ends. Out: one Outcome for each case on each back end.
Holds: a back end that fails, or that lacks what a kernel needs and says so, is an outcome with that
text in it, not the end of the demo.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import kernelkit as kk
from kernelkit.demo.cases import CASES, Case, Image, Launch
from kernelkit.demo.images import crop

#: The largest side of the image on back ends that are not made for speed; others take all of it.
CROPS = {"python": 256}
#: A case is repeated until it has run this long, and the least time counts.
PATIENCE = 0.2


@dataclass(frozen=True)
class Outcome:
    """One case on one back end."""

    backend: str
    kernel: str
    peer: str
    shape: tuple[int, int]
    seconds: float
    difference: float
    tolerance: float
    is_transform: bool = False
    result: Image | None = None
    error: str = ""

    #: Whether the error is that the device lacks something, which is no fault.
    lacking: bool = False

    @property
    def agrees(self) -> bool:
        """Whether the result is the peer's, but for rounding; NaN agrees with nothing."""
        return not self.error and self.difference <= self.tolerance

    @property
    def wrong(self) -> bool:
        """Whether something is not as it should be."""
        return not (self.agrees or self.lacking)

    @property
    def pixels_per_second(self) -> float:
        return self.shape[0] * self.shape[1] / self.seconds


def image_for(pixels: Image, backend: str, side: int | None) -> Image:
    """What a back end works on: a crop of `side`, or of what the back end does in seconds."""
    return crop(pixels, CROPS.get(backend) if side is None else side)


def run_case(case: Case, image: Image, backend: str) -> Outcome:
    """Run, time and check one case."""
    height, width = image.shape
    bound = case.bound * float(np.abs(image).max())
    outcome = Outcome(
        backend,
        case.name,
        case.peer,
        (height, width),
        seconds=float("nan"),
        difference=float("nan"),
        tolerance=case.bound * float(np.abs(image).max()),
        is_transform=case.is_transform,
    )
    try:
        launch = case.prepare(image, backend)
        seconds = _time(launch)
        result = launch.result()
    except kk.KernelError as error:
        return replace(outcome, error=str(error), lacking=isinstance(error, kk.CapabilityError))
    difference = float(np.abs(result - case.expected(image)).max())
    return replace(outcome, seconds=seconds, difference=difference, result=result)


def run_all(
    pixels: Image,
    backends: list[str],
    side: int | None,
    step: Callable[[str, str], None] = lambda backend, kernel: None,
) -> list[Outcome]:
    """Every case on every back end; `step` hears what comes next."""
    outcomes = []
    for backend in backends:
        image = image_for(pixels, backend, side)
        for case in CASES:
            step(backend, case.name)
            outcomes.append(run_case(case, image, backend))
    return outcomes


def _time(launch: Launch) -> float:
    """The least time of a run. The first one may compile, so it counts only if it is the last."""
    first = _once(launch)
    if first > PATIENCE * 5:
        return first
    times = [_once(launch)]
    while sum(times) < PATIENCE:
        times.append(_once(launch))
    return min(times)


def _once(launch: Launch) -> float:
    kk.synchronize()
    start = time.perf_counter()
    launch.run()
    kk.synchronize()
    return time.perf_counter() - start
