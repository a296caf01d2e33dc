"""The peer in Taichi, on its CPU back end.

In: the inputs of a problem. Out: Runners; NumPy's memory is used as it is.
"""

# Annotations are objects here, not text: Taichi reads them.

import contextlib
import io
import os

import numpy as np

os.environ.setdefault("ENABLE_TAICHI_HEADER_PRINT", "0")
import taichi as ti

from kernelkit.bench.cpu_problems import Runner, blank

RADIUS = 2
Image = ti.types.ndarray(dtype=ti.f32, ndim=2)


def use_threads(count: int) -> None:
    with contextlib.redirect_stdout(io.StringIO()):  # it says that it starts
        ti.init(arch=ti.cpu, cpu_max_num_threads=count, log_level=ti.ERROR)


@ti.kernel
def _correlate(src: Image, dst: Image, weights: Image):
    height, width = src.shape[0], src.shape[1]
    for y, x in dst:
        total = 0.0
        for j in ti.static(range(-RADIUS, RADIUS + 1)):
            for i in ti.static(range(-RADIUS, RADIUS + 1)):
                yy = ti.min(ti.max(y + j, 0), height - 1)
                xx = ti.min(ti.max(x + i, 0), width - 1)
                total += weights[j + RADIUS, i + RADIUS] * src[yy, xx]
        dst[y, x] = total


def correlate(src: np.ndarray, weights: np.ndarray) -> Runner:
    dst = blank(src.shape)
    return Runner(lambda: _correlate(src, dst, weights), lambda: dst)
