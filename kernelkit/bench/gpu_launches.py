"""How each kernel is launched on its problem, whoever wrote it.

In: `put`, which turns a NumPy array into one of the device, and the inputs of a problem. Out: a Launch.
Holds: what the contenders of a row share is said once: grid, block, arguments, extents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelkit.bench import cpu_kernels, gpu_kernels
from kernelkit.bench.cpu_launches import grid_over
from kernelkit.bench.cpu_problems import BINS, blank

#: Blocks of the kernels that walk through their input with a grid's stride: several for each
#: multiprocessor of the largest GPUs.
BLOCKS = 2048
#: A block over an image: rows of a warp.
IMAGE = (32, 8)

Array = Any
Put = Callable[[np.ndarray], Array]


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch: `arguments` as kernels of Python take them; C takes the extents after these.
    `prepare` makes the result what it must be before each launch."""

    grid: tuple[int, ...]
    block: tuple[int, ...]
    arguments: tuple[Any, ...]
    extents: tuple[int, ...]
    result: Array
    prepare: Callable[[], None] = _nothing

    @property
    def for_c(self) -> tuple[Any, ...]:
        return *self.arguments, *map(np.int32, self.extents)


def correlate(put: Put, src: np.ndarray, weights: np.ndarray) -> Launch:
    return _correlate(put, src, weights, IMAGE)


def correlate_tiled(put: Put, src: np.ndarray, weights: np.ndarray) -> Launch:
    return _correlate(put, src, weights, (cpu_kernels.TILE_X, cpu_kernels.TILE_Y))


def _correlate(put: Put, src: np.ndarray, weights: np.ndarray, block: tuple[int, int]) -> Launch:
    dst = put(blank(src.shape))
    arguments = put(src), dst, put(weights)
    return Launch(grid_over(src.shape, block), block, arguments, src.shape, dst)


def saxpy(put: Put, a: np.float32, x: np.ndarray, y: np.ndarray) -> Launch:
    result = put(y.copy())
    return Launch(grid_over(y.shape, (256,)), (256,), (a, put(x), result), y.shape, result)


def transpose(put: Put, src: np.ndarray) -> Launch:
    dst = put(blank(src.shape[::-1]))
    tile = gpu_kernels.TILE, gpu_kernels.TILE
    block = gpu_kernels.TILE, gpu_kernels.ROWS
    return Launch(grid_over(src.shape, tile), block, (put(src), dst), src.shape, dst)


def total(put: Put, values: np.ndarray) -> Launch:
    return _into_zeros(put, values, np.zeros(1, np.float32))


def histogram(put: Put, values: np.ndarray) -> Launch:
    return _into_zeros(put, values, np.zeros(BINS, np.int32))


def _into_zeros(put: Put, values: np.ndarray, zeros: np.ndarray) -> Launch:
    result = put(zeros)

    def clear() -> None:
        result[:] = 0

    arguments = put(values), result
    return Launch((BLOCKS,), (cpu_kernels.THREADS,), arguments, values.shape, result, clear)


def matmul(put: Put, a: np.ndarray, b: np.ndarray) -> Launch:
    block = cpu_kernels.SIDE, cpu_kernels.SIDE
    rows, inner, columns = *a.shape, b.shape[1]
    c = put(blank((rows, columns)))
    grid = grid_over((rows, columns), block)
    return Launch(grid, block, (put(a), put(b), c), (rows, inner, columns), c)


def mandelbrot(
    put: Put, shape: tuple[int, int], left: float, top: float, step: float, limit: int
) -> Launch:
    counts = put(blank(shape, np.int32))
    place = map(np.float32, (left, top, step))
    arguments = counts, *place, np.int32(limit)
    return Launch(grid_over(shape, IMAGE), IMAGE, arguments, shape, counts)
