"""A histogram: each block counts in shared memory, then adds its counts to everyone's.

Counting is atomic, because many threads meet in one bin; the barriers keep the phases apart.
"""

import numpy as np
import pywt

import kernelkit as kk

BINS = 256


@kk.kernel
def histogram(pixels, counts):
    """counts[v] += how often v is among pixels"""
    mine = kk.shared.array(BINS, np.int32)
    for bin in range(kk.threadIdx.x, BINS, kk.blockDim.x):
        mine[bin] = 0
    kk.syncthreads()

    for i in range(kk.grid(1), pixels.shape[0], kk.gridsize(1)):
        kk.atomic.add(mine, pixels[i], 1)
    kk.syncthreads()

    for bin in range(kk.threadIdx.x, BINS, kk.blockDim.x):
        if mine[bin] > 0:
            kk.atomic.add(counts, bin, mine[bin])


def main() -> None:
    pixels = np.ascontiguousarray(pywt.data.camera()).reshape(-1)
    counts = np.zeros(BINS, np.int32)
    histogram[64, 128](pixels, counts)

    expected = np.bincount(pixels, minlength=BINS)
    np.testing.assert_array_equal(counts, expected)
    print(f"histogram: {pixels.size} pixels in {BINS} bins, all counts equal to NumPy's")


if __name__ == "__main__":
    main()
