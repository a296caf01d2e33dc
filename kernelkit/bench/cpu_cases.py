"""The table: which kernel, on which problem, against whom, in which part of their time.

In: nothing. Out: CASES.
Holds: rows are data. A contender is "module.function" of this package and is imported when it is
wanted, so that a peer that is not installed costs its own rows only.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from kernelkit.bench import cpu_problems as problems
from kernelkit.bench.cpu_problems import Problem, Runner

Size = tuple[int, ...]
Contender = Callable[..., Runner]


@dataclass(frozen=True, slots=True)
class Rival:
    """Whom a kernel is measured against, and in which part of their time it is to be done."""

    label: str
    contender: str
    at_most: float | None = None
    #: What would be better still.
    stretch: float | None = None
    #: What they solve, where that is not what we solve.
    problem: Callable[..., Problem] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A kernel of ours on a problem."""

    name: str
    title: str
    problem: Callable[..., Problem]
    size: Size
    #: Awkward sizes, which any back end is through with in a moment.
    small: tuple[Size, ...]
    rivals: tuple[Rival, ...]

    @property
    def contender(self) -> str:
        return f"cpu_launches.{self.name.replace('-', '_')}"


def load(contender: str) -> tuple[Contender, ModuleType]:
    """A contender's function and its module; ImportError where the peer is not installed."""
    name, _, function = contender.partition(".")
    module = importlib.import_module(f"{__package__}.{name}")
    return getattr(module, function), module


PHOTO = (2048, 2048)
PHOTOS = ((37, 71), (8, 9), (65, 66))
LINE = (2**25,)
LINES = ((1000,), (1,), (1031,))

#: Rows are printed in this order.
CASES = (
    Case(
        "correlate", "5x5 correlation, borders clamped, block (64, 4)",
        problems.correlation, PHOTO, PHOTOS,
        (
            Rival("OpenCV filter2D", "cpu_opencv.correlate", 0.75),
            Rival("Numba, the same loops, parallel", "cpu_numba.correlate", 0.3),
            Rival("NVIDIA Warp, CPU", "cpu_warp.correlate", 0.05),
            Rival("Taichi, CPU", "cpu_taichi.correlate", 0.05),
        ),
    ),
    Case(
        "correlate-mirrored", "the same, mirrored borders by `if`",
        problems.mirrored_correlation, PHOTO, PHOTOS,
        (Rival("ours, clamped", "cpu_launches.correlate", 2, problem=problems.correlation),),
    ),
    Case(
        "correlate-reversed", "the same, source seen through `[:, ::-1]`",
        problems.reversed_correlation, PHOTO, PHOTOS,
        (Rival("ours, clamped", "cpu_launches.correlate", 1.7, problem=problems.correlation),),
    ),
    Case(
        "correlate-narrow", "the same, block (4, 64)",
        problems.correlation, PHOTO, PHOTOS,
        (Rival("ours, clamped", "cpu_launches.correlate", 2),),
    ),
    Case(
        "correlate-tiled", "the same, tiled through shared memory, a barrier",
        problems.correlation, PHOTO, PHOTOS,
        (Rival("OpenCV filter2D", "cpu_opencv.correlate", 1),),
    ),
    Case(
        "sobel", "Sobel, wrapped borders by `%`",
        problems.sobel, PHOTO, PHOTOS,
        (Rival("our 5x5", "cpu_launches.correlate", 1, problem=problems.correlation),),
    ),
    Case(
        "saxpy", "saxpy, 2^25",
        problems.saxpy, LINE, LINES,
        (Rival("Numba, parallel", "cpu_numba.saxpy", 1.2),),
    ),
    Case(
        "sum", "sum of 2^25, warp shuffles and shared memory",
        problems.summation, LINE, LINES,
        (Rival("numpy.sum", "cpu_numpy.summation", 0.75),),
    ),
    Case(
        "matmul", "matrix product, 1024^3, 16x16 tiles in shared memory",
        problems.product, (1024, 1024, 1024), ((20, 33, 37), (1, 5, 2), (16, 16, 32)),
        (Rival("Numba, loops in i, k, j order, parallel", "cpu_numba.matmul", 0.4, 0.25),),
    ),
    Case(
        "mandelbrot", "Mandelbrot set, 1024^2, 200 iterations",
        problems.mandelbrot, (1024, 1024), ((11, 13), (5, 40)),
        (Rival("Numba, parallel", "cpu_numba.mandelbrot", 0.2, 0.15),),
    ),
    *(
        Case(
            name, f"{name} of 2^20", getattr(problems, name), (2**20,), LINES,
            (Rival(f"numpy.{name}", f"cpu_numpy.{name}", 1),),
        )
        for name in ("exp", "sin", "log", "tanh")
    ),
    Case(
        "wavelet", "db4 along the rows, one level",
        problems.wavelet, PHOTO, ((5, 21), (3, 8), (2, 64)),
        (Rival("PyWavelets dwt", "cpu_numpy.wavelet", 0.12),),
    ),
    Case(
        "histogram", "histogram, 2^24 uint8, shared and global atomics",
        problems.histogram, (2**24,), LINES,
        (
            Rival("numpy.bincount", "cpu_numpy.histogram", 0.25),
            Rival("numpy.bincount, of int64", "cpu_numpy.histogram_of_integers"),
        ),
    ),
)  # fmt: skip
