"""A Gaussian blur tiled through shared memory, with a halo and two barriers.

The kernel is the demo's, `kernelkit.demo.kernels.blur`. It is launched over a photograph,
and NumPy does the same with a padded image and sliding windows.
"""

import numpy as np
import pywt

from kernelkit.demo.kernels import RADIUS, SIDE, blur


def gaussian(sigma: float) -> np.ndarray:
    offsets = np.arange(-RADIUS, RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def numpy_blur(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    padded = np.pad(image.astype(np.float64), RADIUS, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view
    rows = windows(padded, weights.size, axis=1) @ weights
    return windows(rows, weights.size, axis=0) @ weights


def main() -> None:
    image = pywt.data.camera().astype(np.float32)
    weights = gaussian(sigma=2.0)
    result = np.empty_like(image)

    height, width = image.shape
    grid = (-(-width // SIDE), -(-height // SIDE))
    blur[grid, (SIDE, SIDE)](image, result, weights)

    expected = numpy_blur(image, weights)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    print(f"tiled blur: largest difference from NumPy {np.abs(result - expected).max():.1e} of 255")


if __name__ == "__main__":
    main()
