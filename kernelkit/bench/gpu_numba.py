"""The same kernels in plain numba.cuda, word for word as far as that goes.

In: device arrays. Out: what the kernel of the same name in `cpu_kernels` and `gpu_kernels` gives,
launched on the same grid and block. Holds: importing this needs numba, compiling a kernel as well.
"""

from __future__ import annotations

import numpy as np
from numba import cuda, float32, int32

from kernelkit.bench.cpu_kernels import (
    BINS,
    LOADED_X,
    LOADED_Y,
    RADIUS,
    SIDE,
    TILE_X,
    TILE_Y,
    WARPS,
)
from kernelkit.bench.gpu_kernels import ROWS, TILE

EVERY_LANE = 0xFFFFFFFF
PADDED = TILE + 1
DIAMETER = 2 * RADIUS + 1


@cuda.jit
def correlate(src, dst, weights):
    x, y = cuda.grid(2)
    height, width = src.shape
    if x < width and y < height:
        total = float32(0)
        for j in range(-RADIUS, RADIUS + 1):
            for i in range(-RADIUS, RADIUS + 1):
                yy = min(max(y + j, 0), height - 1)
                xx = min(max(x + i, 0), width - 1)
                total += weights[j + RADIUS, i + RADIUS] * src[yy, xx]
        dst[y, x] = total


@cuda.jit
def correlate_tiled(src, dst, weights):
    tile = cuda.shared.array((LOADED_Y, LOADED_X), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    height, width = src.shape
    for j in range(ty, LOADED_Y, TILE_Y):
        for i in range(tx, LOADED_X, TILE_X):
            yy = min(max(cuda.blockIdx.y * TILE_Y + j - RADIUS, 0), height - 1)
            xx = min(max(cuda.blockIdx.x * TILE_X + i - RADIUS, 0), width - 1)
            tile[j, i] = src[yy, xx]
    cuda.syncthreads()

    x, y = cuda.grid(2)
    if x < width and y < height:
        total = float32(0)
        for j in range(DIAMETER):
            for i in range(DIAMETER):
                total += weights[j, i] * tile[ty + j, tx + i]
        dst[y, x] = total


@cuda.jit
def saxpy(a, x, y):
    i = cuda.grid(1)
    if i < y.size:
        y[i] += a * x[i]


@cuda.jit
def transpose(src, dst):
    tile = cuda.shared.array((TILE, PADDED), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    left, top = cuda.blockIdx.x * TILE, cuda.blockIdx.y * TILE
    for j in range(0, TILE, ROWS):
        if top + ty + j < src.shape[0] and left + tx < src.shape[1]:
            tile[ty + j, tx] = src[top + ty + j, left + tx]
    cuda.syncthreads()
    for j in range(0, TILE, ROWS):
        if left + ty + j < dst.shape[0] and top + tx < dst.shape[1]:
            dst[left + ty + j, top + tx] = tile[tx, ty + j]


@cuda.jit
def total(values, result):
    partial = cuda.shared.array(WARPS, float32)
    mine = float32(0)
    for i in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        mine += values[i]
    for distance in (16, 8, 4, 2, 1):
        mine += cuda.shfl_down_sync(EVERY_LANE, mine, distance)
    warp, lane = cuda.threadIdx.x // 32, cuda.threadIdx.x % 32
    if lane == 0:
        partial[warp] = mine
    cuda.syncthreads()
    if warp == 0:
        mine = partial[lane] if lane < WARPS else float32(0)
        for distance in (16, 8, 4, 2, 1):
            mine += cuda.shfl_down_sync(EVERY_LANE, mine, distance)
        if lane == 0:
            cuda.atomic.add(result, 0, mine)


@cuda.jit
def matmul(a, b, c):
    tile_a = cuda.shared.array((SIDE, SIDE), float32)
    tile_b = cuda.shared.array((SIDE, SIDE), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = cuda.grid(2)
    total = float32(0)
    for start in range(0, a.shape[1], SIDE):
        inside = row < a.shape[0] and start + tx < a.shape[1]
        tile_a[ty, tx] = a[row, start + tx] if inside else float32(0)
        inside = start + ty < b.shape[0] and column < b.shape[1]
        tile_b[ty, tx] = b[start + ty, column] if inside else float32(0)
        cuda.syncthreads()
        for k in range(SIDE):
            total += tile_a[ty, k] * tile_b[k, tx]
        cuda.syncthreads()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total


@cuda.jit
def histogram(values, counts):
    mine = cuda.shared.array(BINS, int32)
    for bin in range(cuda.threadIdx.x, BINS, cuda.blockDim.x):
        mine[bin] = 0
    cuda.syncthreads()
    for i in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        cuda.atomic.add(mine, values[i], 1)
    cuda.syncthreads()
    for bin in range(cuda.threadIdx.x, BINS, cuda.blockDim.x):
        cuda.atomic.add(counts, bin, mine[bin])


@cuda.jit
def mandelbrot(counts, left, top, step, limit):
    px, py = cuda.grid(2)
    if px < counts.shape[1] and py < counts.shape[0]:
        cx = left + np.float32(px) * step
        cy = top + np.float32(py) * step
        x = y = np.float32(0)
        n = 0
        while n < limit and x * x + y * y <= np.float32(4):
            x, y = x * x - y * y + cx, np.float32(2) * x * y + cy
            n += 1
        counts[py, px] = n
