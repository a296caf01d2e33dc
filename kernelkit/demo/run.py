"""Runs the demo's cases on back ends, times them and their peers, and holds the results together.

In: an image and the names of back ends. Out: one Outcome for each case on each back end.
Holds: ours and the peer's time are for the same pixels, and the least of several runs each, behind
one that warms up; they run in turns, so that what else the machine does meets both. A back end that
fails, or that lacks what a kernel needs and says so, is an outcome with that
text in it, not the end of the demo.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import kernelkit as kk
from kernelkit.demo.cases import CASES, Case, Image
from kernelkit.demo.images import crop

#: The largest side of the image on back ends that are not made for speed; others take all of it.
#: They run when they are asked for, or when there are no others.
CROPS = {"python": 128}
#: A case and its peer are repeated for so many seconds, and the least time of each counts.
PATIENCE = 0.5


@dataclass(frozen=True)
class Outcome:
    """One case on one back end."""

    backend: str
    kernel: str
    peer: str
    shape: tuple[int, int]
    #: Of the first launch, which compiles, or loads what an earlier process compiled.
    first_seconds: float
    seconds: float
    peer_seconds: float
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

    @property
    def speedup(self) -> float:
        """How many times as long as ours the peer takes."""
        return self.peer_seconds / self.seconds


def default_backends(usable: list[str]) -> list[str]:
    """Where the demo runs if nobody says: on what is made for speed, if there is any."""
    return [name for name in usable if name not in CROPS] or usable


def image_for(pixels: Image, backend: str, side: int | None) -> Image:
    """What a back end works on: a crop of `side`, or of what the back end does in seconds."""
    return crop(pixels, CROPS.get(backend) if side is None else side)


def run_case(case: Case, image: Image, backend: str) -> Outcome:
    """Run, time and check one case, and time its peer."""
    nan = float("nan")
    outcome = Outcome(
        backend,
        case.name,
        case.peer,
        image.shape,
        first_seconds=nan,
        seconds=nan,
        peer_seconds=nan,
        difference=nan,
        tolerance=case.bound * float(np.abs(image).max()),
        is_transform=case.is_transform,
    )
    try:
        launch = case.prepare(image, backend)
        first = _once(launch.run)
        seconds, peer_seconds = _in_turns(launch.run, lambda: case.call(image))
        result = launch.result()
    except kk.KernelError as error:
        return replace(outcome, error=str(error), lacking=isinstance(error, kk.CapabilityError))
    return replace(
        outcome,
        first_seconds=first,
        seconds=seconds,
        peer_seconds=peer_seconds,
        difference=float(np.abs(result - case.expected(image)).max()),
        result=result,
    )


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


def _in_turns(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """The least times of both."""
    end = time.perf_counter() + PATIENCE
    best = _once(ours), min(_once(theirs), _once(theirs))  # the peer's first time warms it up
    while time.perf_counter() < end:
        best = min(best[0], _once(ours)), min(best[1], _once(theirs))
    return best


def _once(run: Callable[[], object]) -> float:
    kk.synchronize()
    start = time.perf_counter()
    run()
    kk.synchronize()
    return time.perf_counter() - start
