"""The first kernel: y += a * x, one thread for each element.

Run it with `python examples/hello.py`. To step through it put `breakpoint()` into the kernel and set
KERNELKIT_BACKEND=python.
"""

import numpy as np

import kernelkit as kk


@kk.kernel
def saxpy(a, x, y):
    """y += a * x"""
    i = kk.grid(1)
    if i < y.shape[0]:
        y[i] += a * x[i]


def main() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(1_000_000).astype(np.float32)
    y = rng.standard_normal(1_000_000).astype(np.float32)
    expected = y + np.float32(2.5) * x

    threads = 256
    blocks = -(-y.size // threads)
    saxpy[blocks, threads](2.5, x, y)

    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    print(f"saxpy: largest difference from NumPy {np.abs(y - expected).max():.1e}")


if __name__ == "__main__":
    main()
