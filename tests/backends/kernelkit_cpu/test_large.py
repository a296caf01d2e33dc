"""The ends of what a launch may be: large blocks, much shared memory, many threads, long arrays; and
arrays of nothing."""

from __future__ import annotations

import os

import numpy as np
import pytest

import kernelkit as kk

CPU = "cpu"
KIB = 1024
MOST_SHARED = 227 * KIB
#: More than an index of 32 bits can tell apart.
BEYOND = 2**31 + 12345


@kk.kernel
def turned(src, out):
    """Each block backwards, through shared memory."""
    tile = kk.shared.array(1024, np.int32)
    block = kk.blockDim.x * kk.blockDim.y * kk.blockDim.z
    t = (kk.threadIdx.z * kk.blockDim.y + kk.threadIdx.y) * kk.blockDim.x + kk.threadIdx.x
    i = kk.blockIdx.x * block + t
    tile[t] = src[i]
    kk.syncthreads()
    out[i] = tile[block - 1 - t] + kk.threadIdx.y


SHAPES = [
    (1024, 1, 1), (1, 1024, 1), (32, 32, 1), (8, 8, 16), (2, 512, 1), (16, 1, 64), (1, 16, 64), (4, 4, 64), (512, 2, 1),
    (31, 33, 1), (3, 341, 1), (341, 3, 1),
]  # fmt: skip


@pytest.mark.parametrize("block", SHAPES)
def test_blocks_of_as_many_threads_as_can_be(block: tuple[int, int, int]) -> None:
    threads = int(np.prod(block))
    src, out = np.arange(3 * threads, dtype=np.int32), np.zeros(3 * threads, np.int32)
    turned.on(CPU)[3, block](src, out)
    rows = np.arange(threads) // block[0] % block[1]
    assert (out.reshape(3, -1) == src.reshape(3, -1)[:, ::-1] + rows).all()


def test_more_threads_than_a_block_may_have_are_refused() -> None:
    with pytest.raises(kk.LaunchError, match="1024"):
        turned.on(CPU)[1, 1025](np.zeros(1, np.int32), np.zeros(1, np.int32))


@kk.kernel
def through_bytes(src, out, size: kk.constexpr):
    """Every byte of a shared array is written by one thread and read by another."""
    whole = kk.shared.array(size, np.uint8)
    for k in range(kk.threadIdx.x, size, kk.blockDim.x):
        whole[size - 1 - k] = src[k] + kk.blockIdx.x
    kk.syncthreads()
    for k in range(kk.threadIdx.x, size, kk.blockDim.x):
        out[kk.blockIdx.x, k] = whole[k]


@pytest.mark.parametrize("size", [48 * KIB, 48 * KIB + 1, 100_003, MOST_SHARED])
def test_static_shared_memory(size: int) -> None:
    src = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    out = np.zeros((5, size), np.uint8)
    through_bytes.on(CPU)[5, 100](src, out, size)
    assert (out == src[::-1] + np.arange(5, dtype=np.uint8)[:, None]).all()


@kk.kernel
def through_dynamic(src, out):
    whole = kk.shared.array(0, np.float64)
    for k in range(kk.threadIdx.x, len(whole), kk.blockDim.x):
        whole[len(whole) - 1 - k] = src[k]
    kk.syncthreads()
    for k in range(kk.threadIdx.x, len(whole), kk.blockDim.x):
        out[kk.blockIdx.x, k] = whole[k]


@pytest.mark.parametrize("size", [8, 48 * KIB + 8, MOST_SHARED])
def test_dynamic_shared_memory(size: int) -> None:
    src = np.random.default_rng(size).random(size // 8)
    out = np.zeros((3, size // 8))
    through_dynamic.on(CPU)[3, 64, None, size](src, out)
    assert (out == src[::-1]).all()


def test_more_shared_memory_than_there_is_is_refused() -> None:
    src, out = np.zeros(MOST_SHARED + 1, np.uint8), np.zeros((1, MOST_SHARED + 1), np.uint8)
    with pytest.raises(kk.KernelError, match="shared memory"):
        through_bytes.on(CPU)[1, 32](src, out, MOST_SHARED + 1)
    with pytest.raises(kk.KernelError, match="shared memory"):
        through_dynamic.on(CPU)[1, 32, None, MOST_SHARED + 1](np.zeros(9), np.zeros((1, 9)))


@kk.kernel
def last_ones(out, first):
    i = kk.grid(1)
    if i < first:
        return
    out[i - first] = i


def test_more_threads_than_32_bits_count() -> None:
    blocks = 2**21 + 7
    out = np.zeros(1024, np.int64)
    last_ones.on(CPU)[blocks, 1024](out, blocks * 1024 - 1024)
    assert (out == np.arange((blocks - 1) * 1024, blocks * 1024)).all()


@kk.kernel
def count_blocks(out):
    """Blocks that know their place: nothing about them can be regrouped."""
    if kk.blockIdx.x == kk.gridDim.x - 1 and kk.blockIdx.y == 65534 and kk.blockIdx.z == 2:
        out[0] = kk.blockIdx.x
        out[1] = kk.gridDim.y
        out[2] = kk.gridsize(1)


def test_grids_as_tall_as_can_be() -> None:
    out = np.zeros(3, np.int64)
    count_blocks.on(CPU)[(11, 65535, 3), (2, 1, 1)](out)
    assert out.tolist() == [10, 65535, 22]


def test_a_grid_that_no_device_has_is_refused() -> None:
    """What is proved of indices relies on it."""
    with pytest.raises(kk.LaunchError, match="along x"):
        last_ones.on(CPU)[2**31, 1](np.zeros(1, np.int64), 0)


@kk.kernel
def spread(a, step):
    i = kk.grid(1)
    if i * step < a.size:
        a[i * step] += 1 + i % 5


def test_arrays_longer_than_32_bits_can_index() -> None:
    a = np.zeros(BEYOND, np.uint8)  # Only the pages that are written need memory.
    step = 40_000_037
    count = -(-BEYOND // step)
    spread.on(CPU)[-(-count // 32), 32](a, step)
    assert (a[::step] == 1 + np.arange(count) % 5).all()
    assert not a[1::step].any()


@kk.kernel
def at_the_end(a, out):
    i = kk.grid(1)
    out[i] = a[a.size - 1 - i] + a[-1 - i]
    a[len(a) - 1 - i] = i


def test_the_end_of_a_long_array() -> None:
    a, out = np.zeros(BEYOND, np.uint8), np.zeros(300, np.int64)
    a[-300:] = np.arange(300)
    expected = 2 * a[-300:][::-1].astype(np.int64) % 256
    at_the_end.on(CPU)[3, 100](a, out)
    assert (out == expected).all()
    assert (a[-300:][::-1] == np.arange(300).astype(np.uint8)).all()


@kk.kernel
def rows_of(a, out):
    x, y = kk.grid(2)
    if x < out.shape[1] and y < out.shape[0]:
        out[y, x] = a[y, a.shape[1] - 1 - x] + 1


def test_rows_further_apart_than_32_bits() -> None:
    whole = np.zeros((3, 2**30 + 5), np.uint8)
    whole[:, -40:] = np.arange(120).reshape(3, 40)
    out = np.zeros((3, 40), np.uint8)
    rows_of.on(CPU)[(2, 1), (32, 4)](whole, out)
    assert (out == whole[:, :-41:-1] + 1).all()


def _free_bytes() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@kk.kernel
def everywhere(a):
    for i in range(kk.grid(1), a.size, kk.gridsize(1)):
        a[i] += i


@pytest.mark.skipif(_free_bytes() < 8 << 30, reason="takes 3 GiB of memory")
def test_every_element_of_a_long_array() -> None:
    a = np.zeros(BEYOND, np.uint8)
    everywhere.on(CPU)[4096, 256](a)
    part = 1 << 24
    numbers = np.arange(part).astype(np.uint8)
    for first in range(0, BEYOND, part):
        assert (a[first : first + part] == numbers[: BEYOND - first]).all()


@kk.kernel
def sizes(a, b, c, out):
    i = kk.grid(1)
    if i < a.size:
        a[i] = 1
    if i < b.shape[1]:
        b[0, i] = 1
    if i == 0:
        out[0] = a.size + 10 * b.size + 100 * len(b)
        out[1] = c[()]
        c[()] += 5


def test_arrays_of_nothing_and_without_axes() -> None:
    a, b, c = np.zeros(0, np.float32), np.zeros((3, 0), np.int16), np.array(7, np.int64)
    out = np.zeros(2, np.int64)
    sizes.on(CPU)[3, 33](a, b, c, out)
    assert out.tolist() == [300, 7]
    assert c == 12


def test_an_array_of_nothing_where_every_thread_has_an_element() -> None:
    nothing = np.zeros((0, 5), np.float32)
    rows_of.on(CPU)[(4, 4), (32, 8)](nothing, nothing.copy())
    everywhere.on(CPU)[4, 64](np.zeros(0, np.uint8))
