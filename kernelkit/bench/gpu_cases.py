"""The table: which kernel, on which problem, and how much of what is asked of it.

In: nothing. Out: CASES.
Holds: rows are data; a kernel of ours, the one by hand and the one in numba.cuda have one name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kernelkit.bench import cpu_kernels, gpu_kernels, gpu_launches
from kernelkit.bench import cpu_problems as problems
from kernelkit.bench.cpu_cases import Size
from kernelkit.bench.cpu_problems import Problem
from kernelkit.bench.gpu_launches import Launch
from kernelkit.runtime.kernel import Kernel

#: The part of the speed of the same algorithm by hand that is asked for.
SPEED = 0.95
#: The part of the bandwidth of a copy, where memory is all that a kernel has to do with.
BANDWIDTH = 0.85


def transposition(height: int, width: int) -> Problem:
    src = np.random.default_rng(1).random((height, width), np.float32)
    return Problem((src,), src.T, 2 * src.nbytes, relative=0.0)


@dataclass(frozen=True, slots=True)
class Case:
    """A kernel on a problem; `name` is also that of the kernel, whoever wrote it."""

    name: str
    title: str
    problem: Callable[..., Problem]
    size: Size
    #: Awkward sizes, which anything is through with in a moment.
    small: tuple[Size, ...]
    #: The part of a copy's bandwidth that is asked for, if any.
    bandwidth: float | None = None

    @property
    def launch(self) -> Callable[..., Launch]:
        made: Callable[..., Launch] = getattr(gpu_launches, self.name)
        return made

    @property
    def ours(self) -> Kernel:
        here = gpu_kernels if hasattr(gpu_kernels, self.name) else cpu_kernels
        found: Kernel = getattr(here, self.name)
        return found


#: Arrays far larger than the second-level cache of any GPU, and less than 2 GiB each.
PHOTO = (8192, 8192)
PHOTOS = ((37, 71), (8, 9), (65, 66))
LINE = (2**26,)
LINES = ((1000,), (1,), (1031,))

#: Rows are printed in this order.
CASES = (
    Case("correlate", "5x5 correlation, 8192^2", problems.correlation, PHOTO, PHOTOS),
    Case("correlate_tiled", "5x5 correlation, tiled", problems.correlation, PHOTO, PHOTOS),
    Case("saxpy", "saxpy, 2^26", problems.saxpy, LINE, LINES, BANDWIDTH),
    Case("transpose", "transpose, 8192^2", transposition, PHOTO, PHOTOS, BANDWIDTH),
    Case("total", "sum of 2^26, shuffles", problems.summation, LINE, LINES),
    Case("matmul", "matrix product, 2048^3, tiles", problems.product, (2048,) * 3,
         ((20, 33, 37), (1, 5, 2), (16, 16, 32))),
    Case("histogram", "histogram, 2^26 uint8", problems.histogram, LINE, LINES),
    Case("mandelbrot", "Mandelbrot set, 2048^2", problems.mandelbrot, (2048, 2048),
         ((11, 13), (5, 40))),
)  # fmt: skip
