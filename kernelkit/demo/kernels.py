"""The demo's kernels: a 5x5 correlation, a blur tiled through shared memory, a wavelet transform.

In: two-dimensional float32 images. Out: images of the same size, or the four bands of a transform.
Holds: the public API only; any image of at least one pixel, whatever the block.
"""

from __future__ import annotations

import numpy as np
import pywt

import kernelkit as kk

#: The blocks of the tiled kernels are SIDE x SIDE threads.
SIDE = 16
#: The blur reaches this far; its tile is a block and a halo on all sides.
RADIUS = 6
TILE = SIDE + 2 * RADIUS

#: db4 analysis filters, in the order in which they meet the pixels.
LOW = np.array(pywt.Wavelet("db4").dec_lo[::-1], np.float32)
HIGH = np.array(pywt.Wavelet("db4").dec_hi[::-1], np.float32)
LOW.flags.writeable = HIGH.flags.writeable = False
TAPS = len(LOW)
#: A block of coefficients needs two pixels for each, and the filter's overlap.
SPAN = 2 * SIDE + TAPS - 2


@kk.kernel
def correlate(src, dst, weights):
    """dst = src correlated with small weights; beyond the border the nearest pixel counts."""
    x, y = kk.grid(2)
    height, width = src.shape
    if x >= width or y >= height:
        return
    total = 0.0
    for j in range(weights.shape[0]):
        for i in range(weights.shape[1]):
            row = min(max(y + j - weights.shape[0] // 2, 0), height - 1)
            column = min(max(x + i - weights.shape[1] // 2, 0), width - 1)
            total += weights[j, i] * src[row, column]
    dst[y, x] = total


@kk.kernel
def blur(src, dst, weights):
    """dst = src blurred along both axes with 2 * RADIUS + 1 weights; launch in SIDE x SIDE blocks.

    A block loads its pixels and their halo once, then works in shared memory: first along the
    rows, then along the columns.
    """
    tile = kk.shared.array((TILE, TILE), np.float32)
    rows = kk.shared.array((TILE, SIDE), np.float32)
    tx, ty = kk.threadIdx.x, kk.threadIdx.y
    height, width = src.shape

    for j in range(ty, TILE, SIDE):
        for i in range(tx, TILE, SIDE):
            row = min(max(kk.blockIdx.y * SIDE + j - RADIUS, 0), height - 1)
            column = min(max(kk.blockIdx.x * SIDE + i - RADIUS, 0), width - 1)
            tile[j, i] = src[row, column]
    kk.syncthreads()

    for j in range(ty, TILE, SIDE):
        across = 0.0
        for k in range(2 * RADIUS + 1):
            across += weights[k] * tile[j, tx + k]
        rows[j, tx] = across
    kk.syncthreads()

    x, y = kk.grid(2)
    if x < width and y < height:
        down = 0.0
        for k in range(2 * RADIUS + 1):
            down += weights[k] * rows[ty + k, tx]
        dst[y, x] = down


@kk.device
def wrapped(i, n):
    """The pixel that stands at i when n pixels, made even by repeating the last, repeat forever."""
    return min(i % (n + n % 2), n - 1)


@kk.kernel
def wavelet(src, cA, cH, cV, cD):
    """One level of the two-dimensional db4 transform, mode 'periodization'; SIDE x SIDE blocks.

    A block turns SPAN x SPAN pixels into SIDE x SIDE coefficients of each band, through shared
    memory: low and high pass along the rows, then both of both along the columns.
    """
    tile = kk.shared.array((SPAN, SPAN), np.float32)
    smooth = kk.shared.array((SPAN, SIDE), np.float32)
    detail = kk.shared.array((SPAN, SIDE), np.float32)
    low, high = kk.const.array_like(LOW), kk.const.array_like(HIGH)
    tx, ty = kk.threadIdx.x, kk.threadIdx.y
    height, width = src.shape

    for j in range(ty, SPAN, SIDE):
        row = wrapped(kk.blockIdx.y * (2 * SIDE) + j - TAPS // 2 + 1, height)
        for i in range(tx, SPAN, SIDE):
            column = wrapped(kk.blockIdx.x * (2 * SIDE) + i - TAPS // 2 + 1, width)
            tile[j, i] = src[row, column]
    kk.syncthreads()

    for j in range(ty, SPAN, SIDE):
        a = d = 0.0
        for k in range(TAPS):
            pixel = tile[j, 2 * tx + k]
            a += low[k] * pixel
            d += high[k] * pixel
        smooth[j, tx] = a
        detail[j, tx] = d
    kk.syncthreads()

    x, y = kk.grid(2)
    if x < cA.shape[1] and y < cA.shape[0]:
        aa = ad = da = dd = 0.0
        for k in range(TAPS):
            s, t = smooth[2 * ty + k, tx], detail[2 * ty + k, tx]
            aa += low[k] * s
            da += high[k] * s
            ad += low[k] * t
            dd += high[k] * t
        cA[y, x] = aa
        cH[y, x] = da
        cV[y, x] = ad
        cD[y, x] = dd
