"""The Mandelbrot set: a loop that each thread leaves when it is done, and its time beside NumPy's.

The kernel is reproducible, so its counts are NumPy's to the last one. `KERNELKIT_NUM_THREADS=1` shows
what one core does, `KERNELKIT_CPU=sse2` what narrow vectors do.
"""

import time

import numpy as np

import kernelkit as kk

WIDTH, HEIGHT, MOST = 600, 400, 100


@kk.kernel(reproducible=True)
def mandelbrot(xs, ys, counts):
    """counts[j, i] = after how many steps of z = z * z + c, c = xs[i] + i ys[j], |z| exceeds 2"""
    i, j = kk.grid(2)
    if i >= counts.shape[1] or j >= counts.shape[0]:
        return
    a = b = np.float32(0)
    n = 0
    while n < MOST and a * a + b * b <= 4:
        a, b = a * a - b * b + xs[i], 2 * (a * b) + ys[j]
        n += 1
    counts[j, i] = n


def numpy_mandelbrot(xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    x, y = np.broadcast_to(xs, (HEIGHT, WIDTH)), np.broadcast_to(ys[:, None], (HEIGHT, WIDTH))
    a, b = np.zeros((2, HEIGHT, WIDTH), np.float32)
    counts = np.zeros((HEIGHT, WIDTH), np.int32)
    for _ in range(MOST):
        inside = a * a + b * b <= 4
        a, b = np.where(inside, a * a - b * b + x, a), np.where(inside, 2 * (a * b) + y, b)
        counts += inside
    return counts


def main() -> None:
    xs = np.linspace(-2, 1, WIDTH, dtype=np.float32)
    ys = np.linspace(-1, 1, HEIGHT, dtype=np.float32)
    counts = np.zeros((HEIGHT, WIDTH), np.int32)
    launch = mandelbrot.forall(counts.shape)
    launch(xs, ys, counts)  # compiles

    times = [time.perf_counter()]
    launch(xs, ys, counts)
    times.append(time.perf_counter())
    expected = numpy_mandelbrot(xs, ys)
    times.append(time.perf_counter())

    np.testing.assert_array_equal(counts, expected)
    ours, numpys = np.diff(times) * 1e3
    print(f"mandelbrot: {ours:.2f} ms, NumPy {numpys:.0f} ms, all counts equal")


if __name__ == "__main__":
    main()
