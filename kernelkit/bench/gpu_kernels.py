"""The kernels that are measured on GPUs and nowhere else, as a CUDA programmer would write them.

In: arrays of any size. Out: what the docstrings say.
Holds: the public API only; the others are those of `cpu_kernels`, as they stand.
"""

from __future__ import annotations

import numpy as np

import kernelkit as kk

#: Tiles of `transpose`, and the rows of threads that move one.
TILE, ROWS = 32, 8


@kk.kernel
def transpose(src, dst):
    """dst = src.T through a tile in shared memory; blocks of TILE x ROWS threads."""
    tile = kk.shared.array((TILE, TILE + 1), np.float32)
    tx, ty = kk.threadIdx.x, kk.threadIdx.y
    left, top = kk.blockIdx.x * TILE, kk.blockIdx.y * TILE
    for j in range(0, TILE, ROWS):
        if top + ty + j < src.shape[0] and left + tx < src.shape[1]:
            tile[ty + j, tx] = src[top + ty + j, left + tx]
    kk.syncthreads()
    for j in range(0, TILE, ROWS):
        if left + ty + j < dst.shape[0] and top + tx < dst.shape[1]:
            dst[left + ty + j, top + tx] = tile[tx, ty + j]
