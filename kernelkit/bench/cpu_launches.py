"""How each kernel is launched on its problem.

In: the inputs of a problem. Out: Runners, on whatever back end is in use when they run.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kernelkit.bench import cpu_kernels as kernels
from kernelkit.bench.cpu_problems import BINS, Runner, blank
from kernelkit.runtime.kernel import Kernel

#: Blocks of the kernels that walk through their input with a grid's stride.
BLOCKS = 512

Block = tuple[int, int]


def grid_over(shape: tuple[int, ...], block: tuple[int, ...]) -> tuple[int, ...]:
    """As many blocks as cover an array whose last axis is x."""
    return tuple(-(-extent // side) for extent, side in zip(shape[::-1], block, strict=True))


def _correlate(kernel: Kernel, src: np.ndarray, weights: np.ndarray, block: Block) -> Runner:
    dst = blank(src.shape)
    launch = kernel[grid_over(dst.shape, block), block]
    return Runner(lambda: launch(src, dst, weights), lambda: dst)


def correlate(src: np.ndarray, weights: np.ndarray) -> Runner:
    return _correlate(kernels.correlate, src, weights, (64, 4))


def correlate_reversed(src: np.ndarray, weights: np.ndarray) -> Runner:
    return correlate(src, weights)


def correlate_narrow(src: np.ndarray, weights: np.ndarray) -> Runner:
    return _correlate(kernels.correlate, src, weights, (4, 64))


def correlate_mirrored(src: np.ndarray, weights: np.ndarray) -> Runner:
    return _correlate(kernels.correlate_mirrored, src, weights, (64, 4))


def correlate_tiled(src: np.ndarray, weights: np.ndarray) -> Runner:
    block = kernels.TILE_X, kernels.TILE_Y
    return _correlate(kernels.correlate_tiled, src, weights, block)


def sobel(src: np.ndarray) -> Runner:
    dst = blank(src.shape)
    launch = kernels.sobel[grid_over(dst.shape, (64, 4)), (64, 4)]
    return Runner(lambda: launch(src, dst), lambda: dst)


def wavelet(src: np.ndarray) -> Runner:
    height, width = src.shape
    bands = blank((2, height, (width + kernels.TAPS - 1) // 2))
    cA, cD = bands
    launch = kernels.wavelet[grid_over(cA.shape, (64, 4)), (64, 4)]
    return Runner(lambda: launch(src, cA, cD), lambda: bands)


def mandelbrot(shape: tuple[int, int], left: float, top: float, step: float, limit: int) -> Runner:
    counts = blank(shape, np.int32)
    launch = kernels.mandelbrot[grid_over(shape, (32, 8)), (32, 8)]
    return Runner(lambda: launch(counts, left, top, step, limit), lambda: counts)


def saxpy(a: np.float32, x: np.ndarray, y: np.ndarray) -> Runner:
    result = y.copy()
    launch = kernels.saxpy[grid_over(y.shape, (256,)), 256]
    return Runner(lambda: launch(a, x, result), lambda: result)


def sum(values: np.ndarray) -> Runner:
    result = blank(1)
    launch = kernels.total[BLOCKS, kernels.THREADS]

    def run() -> None:
        result[0] = 0
        launch(values, result)

    return Runner(run, lambda: result)


def _elementwise(function: Callable[[float], float], src: np.ndarray) -> Runner:
    dst = blank(src.shape)
    launch = kernels.elementwise[grid_over(src.shape, (256,)), 256]
    return Runner(lambda: launch(function, src, dst), lambda: dst)


def exp(src: np.ndarray) -> Runner:
    return _elementwise(math.exp, src)


def sin(src: np.ndarray) -> Runner:
    return _elementwise(math.sin, src)


def log(src: np.ndarray) -> Runner:
    return _elementwise(math.log, src)


def tanh(src: np.ndarray) -> Runner:
    return _elementwise(math.tanh, src)


def histogram(values: np.ndarray) -> Runner:
    counts = blank(BINS, np.int32)
    launch = kernels.histogram[BLOCKS, kernels.THREADS]

    def run() -> None:
        counts[:] = 0
        launch(values, counts)

    return Runner(run, lambda: counts)


def matmul(a: np.ndarray, b: np.ndarray) -> Runner:
    c = blank((a.shape[0], b.shape[1]))
    block = kernels.SIDE, kernels.SIDE
    launch = kernels.matmul[grid_over(c.shape, block), block]
    return Runner(lambda: launch(a, b, c), lambda: c)
