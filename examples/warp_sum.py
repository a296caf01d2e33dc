"""The sum of an array: lanes of a warp add up with shuffles, warps through shared memory.

No thread waits for another within a warp; one barrier brings the warps of a block together, and
one atomic for each block brings the blocks together.
"""

import numpy as np

import kernelkit as kk

THREADS = 256
WARPS = THREADS // kk.warpsize
EVERY_LANE = 0xFFFFFFFF


@kk.device
def warp_sum(value):
    """The sum of `value` over the warp, in its first lane."""
    for distance in (16, 8, 4, 2, 1):
        value += kk.shfl_down_sync(EVERY_LANE, value, distance)
    return value


@kk.kernel
def total(values, result):
    """result[0] += the sum of values; launch in blocks of THREADS threads."""
    partial = kk.shared.array(WARPS, np.float32)
    mine = np.float32(0)
    for i in range(kk.grid(1), values.shape[0], kk.gridsize(1)):
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


def main() -> None:
    values = np.random.default_rng(1).random(5_000_000, np.float32)
    result = np.zeros(1, np.float32)
    total[256, THREADS](values, result)

    expected = values.sum(dtype=np.float64)
    np.testing.assert_allclose(result[0], expected, rtol=1e-5)
    print(f"warp sum: {result[0]:.3f}, NumPy {expected:.3f}")


if __name__ == "__main__":
    main()
