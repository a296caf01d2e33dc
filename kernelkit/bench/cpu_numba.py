"""The peers in Numba: the same loops under `njit(parallel=True)`.

In: the inputs of a problem. Out: Runners.
"""

from __future__ import annotations

import os

import numba
import numpy as np
from numba import njit, prange

from kernelkit.bench.cpu_problems import Runner, blank

RADIUS = 2


def use_threads(count: int) -> None:
    numba.set_num_threads(min(count, os.cpu_count() or 1))


@njit(parallel=True)
def _correlate(src, dst, weights):
    height, width = src.shape
    for y in prange(height):
        for x in range(width):
            total = np.float32(0)
            for j in range(-RADIUS, RADIUS + 1):
                for i in range(-RADIUS, RADIUS + 1):
                    yy = min(max(y + j, 0), height - 1)
                    xx = min(max(x + i, 0), width - 1)
                    total += weights[j + RADIUS, i + RADIUS] * src[yy, xx]
            dst[y, x] = total


@njit(parallel=True)
def _saxpy(a, x, y):
    for i in prange(y.size):
        y[i] += a * x[i]


@njit(parallel=True)
def _matmul(a, b, c):
    for i in prange(c.shape[0]):
        for j in range(c.shape[1]):
            c[i, j] = 0
        for k in range(a.shape[1]):
            for j in range(c.shape[1]):
                c[i, j] += a[i, k] * b[k, j]


@njit(parallel=True)
def _mandelbrot(counts, left, top, step, limit):
    two, four = np.float32(2), np.float32(4)
    for py in prange(counts.shape[0]):
        for px in range(counts.shape[1]):
            cx = left + np.float32(px) * step
            cy = top + np.float32(py) * step
            x = y = np.float32(0)
            n = 0
            while n < limit and x * x + y * y <= four:
                x, y = x * x - y * y + cx, two * x * y + cy
                n += 1
            counts[py, px] = n


def correlate(src: np.ndarray, weights: np.ndarray) -> Runner:
    dst = blank(src.shape)
    return Runner(lambda: _correlate(src, dst, weights), lambda: dst)


def saxpy(a: np.float32, x: np.ndarray, y: np.ndarray) -> Runner:
    result = y.copy()
    return Runner(lambda: _saxpy(a, x, result), lambda: result)


def matmul(a: np.ndarray, b: np.ndarray) -> Runner:
    c = blank((a.shape[0], b.shape[1]))
    return Runner(lambda: _matmul(a, b, c), lambda: c)


def mandelbrot(shape: tuple[int, int], left: float, top: float, step: float, limit: int) -> Runner:
    counts = blank(shape, np.int32)
    start = np.float32(left), np.float32(top), np.float32(step)
    return Runner(lambda: _mandelbrot(counts, *start, limit), lambda: counts)
