"""The reference back end: threads a second, and what a kernel costs before it runs."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

import numpy as np

import kernelkit as kk
from kernelkit.bench.figures import Figure, import_milliseconds, median_seconds

BLOCK = 256


@kk.kernel
def reverse(src, dst):  # type: ignore[no-untyped-def]
    """Each block's elements in reverse order: one barrier, two loads, two stores a thread."""
    tile = kk.shared.array(BLOCK, np.float32)
    i, t = kk.grid(1), kk.threadIdx.x
    tile[t] = src[i]
    kk.syncthreads()
    dst[i] = tile[BLOCK - 1 - t]


@kk.kernel
def warp_sums(src, dst):  # type: ignore[no-untyped-def]
    """Sums of 32 elements by shuffles: five warp operations a thread."""
    i = kk.grid(1)
    v = src[i]
    for delta in (16, 8, 4, 2, 1):
        v += kk.shfl_down_sync(0xFFFFFFFF, v, delta)
    if kk.laneid == 0:
        dst[i // 32] = v


@kk.kernel
def stencil(src, dst):  # type: ignore[no-untyped-def]
    """The mean of 3 x 3 neighbours, borders clamped: nine loads a thread, no barrier."""
    x, y = kk.grid(2)
    height, width = src.shape
    if x < width and y < height:
        total = 0.0
        for j in range(-1, 2):
            for i in range(-1, 2):
                total += src[min(max(y + j, 0), height - 1), min(max(x + i, 0), width - 1)]
        dst[y, x] = total / 9


@kk.kernel
def nothing(src):  # type: ignore[no-untyped-def]
    """A thread with nothing to do: what is left is the launch."""


def _fresh_compile() -> None:
    # A new Kernel has no specialisation yet: this is the way through all the rooms.
    kernel = kk.kernel(stencil.__wrapped__)
    kernel.inspect(np.zeros((3, 3), np.float32), np.zeros((3, 3), np.float32), what="source")


def figures() -> Iterator[Figure]:
    """Run it all on `python`."""
    threads = 64 * BLOCK
    src = np.random.default_rng(1).random(threads, np.float32)
    dst = np.full_like(src, np.nan)
    with kk.use("python"):
        run = reverse[threads // BLOCK, BLOCK]
        run(src, dst)
        assert np.array_equal(dst.reshape(-1, BLOCK), src.reshape(-1, BLOCK)[:, ::-1])
        seconds = median_seconds(functools.partial(run, src, dst))
        yield Figure("one barrier, blocks of 256", threads / seconds, "threads/s", 30_000, True)

        sums = np.full(threads // 32, np.nan, np.float32)
        run = warp_sums[threads // BLOCK, BLOCK]
        run(src, sums)
        np.testing.assert_allclose(sums, src.reshape(-1, 32).sum(1), rtol=1e-5)
        seconds = median_seconds(functools.partial(run, src, sums))
        yield Figure("five shuffles, blocks of 256", threads / seconds, "threads/s", 30_000, True)

        image, out = src.reshape(128, 128), np.full((128, 128), np.nan, np.float32)
        run = stencil[(4, 16), (32, 8)]
        run(image, out)
        around = np.pad(image, 1, mode="edge")
        moved = [around[j : j + 128, i : i + 128] for j, i in itertools.product(range(3), repeat=2)]
        np.testing.assert_allclose(out, sum(moved) / np.float32(9), rtol=1e-5)
        seconds = median_seconds(functools.partial(run, image, out))
        yield Figure("naive 3 x 3 stencil", threads / seconds, "threads/s", 30_000, True)

        launch = median_seconds(functools.partial(nothing[1, 1], src), 300)
        yield Figure("launch of one thread", launch * 1e6, "us")
        compile_ = median_seconds(_fresh_compile)
        yield Figure("naive 3 x 3 stencil, from source to text", compile_ * 1e3, "ms")
    yield Figure("import beyond numpy", import_milliseconds(), "ms", 60)
