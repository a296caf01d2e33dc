"""The kernels that are measured, written as a CUDA programmer would write them.

In: NumPy arrays of any size. Out: what the docstrings say.
Holds: the public API only; nothing here is bent towards a back end; each kernel is right for every
size, and for every block unless its docstring asks for one.
"""

from __future__ import annotations

import math

import numpy as np

import kernelkit as kk

#: The correlation's weights reach this far.
RADIUS = 2
#: The tiled correlation's block, x and y, and what it loads for that: the block and a halo.
TILE_X, TILE_Y = 32, 16
LOADED_X, LOADED_Y = TILE_X + 2 * RADIUS, TILE_Y + 2 * RADIUS
#: The blocks of `matmul` are SIDE x SIDE threads.
SIDE = 16
#: The blocks of `total` and `histogram`.
THREADS = 256
WARPS = THREADS // kk.warpsize
EVERY_LANE = 0xFFFFFFFF
BINS = 256

#: db4 analysis filters, in the order in which they meet the samples; the high-pass one is the
#: mirrored low-pass one, every other sign turned.
LOW = np.array(
    (0.23037781, 0.71484655, 0.6308808, -0.02798377, -0.18703482, 0.030841382, 0.03288301, -0.010597402),
    np.float32,
)  # fmt: skip
HIGH = LOW[::-1] * np.array([1, -1] * 4, np.float32)
LOW.flags.writeable = HIGH.flags.writeable = False
TAPS = len(LOW)


@kk.kernel
def correlate(src, dst, weights):
    """5x5 correlation; beyond the border the nearest pixel counts."""
    x, y = kk.grid(2)
    height, width = src.shape
    if x < width and y < height:
        total = 0.0
        for j in range(-RADIUS, RADIUS + 1):
            for i in range(-RADIUS, RADIUS + 1):
                yy = min(max(y + j, 0), height - 1)
                xx = min(max(x + i, 0), width - 1)
                total += weights[j + RADIUS, i + RADIUS] * src[yy, xx]
        dst[y, x] = total


@kk.kernel
def correlate_mirrored(src, dst, weights):
    """5x5 correlation; the image is mirrored at its border, as `if` says it."""
    x, y = kk.grid(2)
    height, width = src.shape
    if x < width and y < height:
        total = 0.0
        for j in range(-RADIUS, RADIUS + 1):
            yy = y + j
            if yy < 0:
                yy = -yy - 1
            if yy >= height:
                yy = 2 * height - 1 - yy
            for i in range(-RADIUS, RADIUS + 1):
                xx = x + i
                if xx < 0:
                    xx = -xx - 1
                if xx >= width:
                    xx = 2 * width - 1 - xx
                total += weights[j + RADIUS, i + RADIUS] * src[yy, xx]
        dst[y, x] = total


@kk.kernel
def correlate_tiled(src, dst, weights):
    """5x5 correlation through shared memory, borders clamped; blocks of TILE_X x TILE_Y."""
    tile = kk.shared.array((LOADED_Y, LOADED_X), np.float32)
    tx, ty = kk.threadIdx.x, kk.threadIdx.y
    height, width = src.shape
    for j in range(ty, LOADED_Y, TILE_Y):
        for i in range(tx, LOADED_X, TILE_X):
            yy = min(max(kk.blockIdx.y * TILE_Y + j - RADIUS, 0), height - 1)
            xx = min(max(kk.blockIdx.x * TILE_X + i - RADIUS, 0), width - 1)
            tile[j, i] = src[yy, xx]
    kk.syncthreads()

    x, y = kk.grid(2)
    if x < width and y < height:
        total = 0.0
        for j in range(2 * RADIUS + 1):
            for i in range(2 * RADIUS + 1):
                total += weights[j, i] * tile[ty + j, tx + i]
        dst[y, x] = total


@kk.kernel
def sobel(src, dst):
    """The length of the Sobel gradient; the image goes around."""
    x, y = kk.grid(2)
    height, width = src.shape
    if x < width and y < height:
        up, down = (y - 1) % height, (y + 1) % height
        left, right = (x - 1) % width, (x + 1) % width
        gx = src[up, right] + 2 * src[y, right] + src[down, right]
        gx -= src[up, left] + 2 * src[y, left] + src[down, left]
        gy = src[down, left] + 2 * src[down, x] + src[down, right]
        gy -= src[up, left] + 2 * src[up, x] + src[up, right]
        dst[y, x] = math.sqrt(gx * gx + gy * gy)


@kk.kernel
def saxpy(a, x, y):
    """y += a * x"""
    i = kk.grid(1)
    if i < y.size:
        y[i] += a * x[i]


@kk.device
def warp_sum(value):
    """The sum of `value` over the warp, in its first lane."""
    for distance in (16, 8, 4, 2, 1):
        value += kk.shfl_down_sync(EVERY_LANE, value, distance)
    return value


@kk.kernel
def total(values, result):
    """result[0] += the sum of values; blocks of THREADS threads, any number of them."""
    partial = kk.shared.array(WARPS, np.float32)
    mine = np.float32(0)
    for i in range(kk.grid(1), values.size, kk.gridsize(1)):
        mine += values[i]
    mine = warp_sum(mine)
    warp = kk.threadIdx.x // kk.warpsize
    if kk.laneid == 0:
        partial[warp] = mine
    kk.syncthreads()
    if warp == 0:
        mine = partial[kk.laneid] if kk.laneid < WARPS else np.float32(0)
        mine = warp_sum(mine)
        if kk.laneid == 0:
            kk.atomic.add(result, 0, mine)


@kk.kernel
def matmul(a, b, c):
    """c = a @ b through two tiles in shared memory; blocks of SIDE x SIDE threads."""
    tile_a = kk.shared.array((SIDE, SIDE), np.float32)
    tile_b = kk.shared.array((SIDE, SIDE), np.float32)
    tx, ty = kk.threadIdx.x, kk.threadIdx.y
    column, row = kk.grid(2)
    total = 0.0
    for start in range(0, a.shape[1], SIDE):
        inside = row < a.shape[0] and start + tx < a.shape[1]
        tile_a[ty, tx] = a[row, start + tx] if inside else 0.0
        inside = start + ty < b.shape[0] and column < b.shape[1]
        tile_b[ty, tx] = b[start + ty, column] if inside else 0.0
        kk.syncthreads()
        for k in range(SIDE):
            total += tile_a[ty, k] * tile_b[k, tx]
        kk.syncthreads()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total


@kk.kernel
def mandelbrot(counts, left, top, step, limit):
    """How many steps of z = z * z + c it takes to leave the circle of radius 2, up to limit."""
    px, py = kk.grid(2)
    if px < counts.shape[1] and py < counts.shape[0]:
        cx = left + np.float32(px) * step
        cy = top + np.float32(py) * step
        x = y = np.float32(0)
        n = 0
        while n < limit and x * x + y * y <= 4:
            x, y = x * x - y * y + cx, 2 * x * y + cy
            n += 1
        counts[py, px] = n


@kk.kernel
def elementwise(function: kk.constexpr, src, dst):
    """dst = function(src)"""
    i = kk.grid(1)
    if i < dst.size:
        dst[i] = function(src[i])


@kk.kernel
def wavelet(src, cA, cD):
    """One level of the db4 transform along the rows; rows go on mirrored, as `if` says it."""
    low, high = kk.const.array_like(LOW), kk.const.array_like(HIGH)
    x, y = kk.grid(2)
    width = src.shape[1]
    if x < cA.shape[1] and y < cA.shape[0]:
        a = d = 0.0
        for k in range(TAPS):
            i = 2 * x + k - (TAPS - 2)
            if i < 0:
                i = -i - 1
            if i >= width:
                i = 2 * width - 1 - i
            a += low[k] * src[y, i]
            d += high[k] * src[y, i]
        cA[y, x] = a
        cD[y, x] = d


@kk.kernel
def histogram(values, counts):
    """counts[v] += how often v is among values; each block counts for itself first."""
    mine = kk.shared.array(BINS, np.int32)
    for bin in range(kk.threadIdx.x, BINS, kk.blockDim.x):
        mine[bin] = 0
    kk.syncthreads()
    for i in range(kk.grid(1), values.size, kk.gridsize(1)):
        kk.atomic.add(mine, values[i], 1)
    kk.syncthreads()
    for bin in range(kk.threadIdx.x, BINS, kk.blockDim.x):
        kk.atomic.add(counts, bin, mine[bin])
