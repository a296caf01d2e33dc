"""The peer in NVIDIA Warp, on its CPU device.

In: the inputs of a problem. Out: Runners; NumPy's memory is used as it is.
"""

# Annotations are objects here, not text: Warp reads them.

import numpy as np
import warp as wp

from kernelkit.bench.cpu_problems import Runner, blank

RADIUS = wp.constant(2)

wp.config.log_level = wp.LOG_ERROR


def use_threads(count: int) -> None:
    """Warp runs on one thread of a CPU, whatever it is told."""


@wp.kernel(enable_backward=False)
def _correlate(
    src: wp.array2d(dtype=float), dst: wp.array2d(dtype=float), weights: wp.array2d(dtype=float)
) -> None:
    y, x = wp.tid()
    height = src.shape[0]
    width = src.shape[1]
    total = wp.float32(0.0)
    for j in range(-RADIUS, RADIUS + 1):
        for i in range(-RADIUS, RADIUS + 1):
            yy = wp.min(wp.max(y + j, 0), height - 1)
            xx = wp.min(wp.max(x + i, 0), width - 1)
            total += weights[j + RADIUS, i + RADIUS] * src[yy, xx]
    dst[y, x] = total


def correlate(src: np.ndarray, weights: np.ndarray) -> Runner:
    arrays = [
        wp.from_numpy(array, dtype=wp.float32, device="cpu")
        for array in (src, blank(src.shape), weights)
    ]
    return Runner(
        lambda: wp.launch(_correlate, src.shape, arrays, device="cpu"), lambda: arrays[1].numpy()
    )
