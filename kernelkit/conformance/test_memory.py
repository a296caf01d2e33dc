"""Shared memory (static, dynamic), local and constant arrays, fences."""

from __future__ import annotations

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import const, local, shared, syncthreads, threadIdx
from kernelkit.conformance.launching import DTYPES, Runner, by_dtype, cover, poison, sample

pytestmark = pytest.mark.needs(shared_memory=True, barriers=True)

SIZE = 24


@kk.kernel
def reverse(src, out, dtype: kk.constexpr):
    tile = shared.array(SIZE, dtype)
    i = threadIdx.x
    base = kk.blockIdx.x * SIZE
    tile[i] = src[base + i]
    syncthreads()
    out[base + i] = tile[SIZE - 1 - i]


@pytest.mark.parametrize("dtype", by_dtype(DTYPES))
def test_shared_array_of_each_dtype(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    src = sample(rng, dtype, 3 * SIZE)
    out = run(reverse, 3, SIZE, src, poison(src.size, dtype), np.dtype(dtype).type)
    np.testing.assert_array_equal(out, src.reshape(3, SIZE)[:, ::-1].ravel())


@kk.kernel
def three_tiles(src, out):
    small = shared.array(SIZE, np.int8)
    wide = shared.array(shape=(SIZE, 2), dtype=np.float32)
    flags = shared.array(SIZE, np.bool_)
    i = threadIdx.x
    other = SIZE - 1 - i
    small[i] = src[i]
    wide[i, 0] = src[i] * 10
    wide[i, 1] = src[i] * 100
    flags[i] = src[i] > 0
    kk.syncthreads()
    out[i, 0] = small[other]
    out[i, 1] = int(wide[other, 0])
    out[i, 2] = int(wide[other, 1])
    out[i, 3] = flags[other]


def test_several_shared_arrays_of_any_dtype(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-99, 99, SIZE).astype(np.int32)
    out = run(three_tiles, 1, SIZE, src, poison((SIZE, 4), np.int32))
    back = src[::-1]
    np.testing.assert_array_equal(out, np.stack([back, 10 * back, 100 * back, back > 0], axis=1))


@kk.kernel
def transpose(src, out):
    tile = kk.shared.array((8, 9), src.dtype)
    x, y = kk.grid(2)
    if y < src.shape[0] and x < src.shape[1]:
        tile[threadIdx.y, threadIdx.x] = src[y, x]
    syncthreads()
    column = kk.blockIdx.y * 8 + threadIdx.x
    row = kk.blockIdx.x * 8 + threadIdx.y
    if row < out.shape[0] and column < out.shape[1]:
        out[row, column] = tile[threadIdx.x, threadIdx.y]


@pytest.mark.parametrize("shape", [(8, 8), (5, 13), (1, 17), (16, 3)])
@pytest.mark.parametrize("dtype", ["int32", "float32", "uint8"])
def test_a_tile_of_two_axes(
    run: Runner, rng: np.random.Generator, shape: tuple[int, int], dtype: str
) -> None:
    src = sample(rng, dtype, shape[0] * shape[1]).reshape(shape)
    grid = (cover(shape[1], 8), cover(shape[0], 8))
    out = run(transpose, grid, (8, 8), src, poison(shape[::-1], dtype))
    np.testing.assert_array_equal(out, src.T)


@kk.kernel
def cube(out):
    tile = shared.array((2, 3, 4), np.int32)
    x, y, z = threadIdx.x, threadIdx.y, threadIdx.z
    tile[z, y, x] = 100 * z + 10 * y + x
    syncthreads()
    out[z, y, x] = tile[1 - z, 2 - y, 3 - x]


def test_a_tile_of_three_axes(run: Runner) -> None:
    z, y, x = np.indices((2, 3, 4))
    out = run(cube, 2, (4, 3, 2), poison((2, 3, 4), np.int32))
    np.testing.assert_array_equal(out, (100 * z + 10 * y + x)[::-1, ::-1, ::-1])


@kk.kernel
def dynamic_reverse(src, out):
    tile = shared.array(0, src.dtype)
    i = threadIdx.x
    n = kk.blockDim.x
    base = kk.blockIdx.x * n
    tile[i] = src[base + i]
    syncthreads()
    out[base + i] = tile[n - 1 - i]


@pytest.mark.parametrize("dtype", by_dtype(["int8", "float16", "int32", "float64", "complex64"]))
@pytest.mark.parametrize("block", [1, 7, 33])
def test_dynamic_shared_memory(
    run: Runner, rng: np.random.Generator, dtype: str, block: int
) -> None:
    src = sample(rng, dtype, 2 * block)
    size = block * np.dtype(dtype).itemsize
    out = run(dynamic_reverse, 2, block, src, poison(src.size, dtype), shared_bytes=size)
    np.testing.assert_array_equal(out, src.reshape(2, block)[:, ::-1].ravel())


@kk.kernel
def dynamic_and_static(src, out):
    fixed = shared.array(16, np.int32)
    words = shared.array(0, np.int32)
    halves = shared.array(0, np.uint16)
    i = threadIdx.x
    fixed[i] = src[i]
    words[i] = ~src[i]
    syncthreads()
    low = np.int64(halves[2 * i])
    high = np.int64(halves[2 * i + 1])
    out[i, 0] = fixed[15 - i]
    out[i, 1] = words[15 - i]
    out[i, 2] = low | (high << 16)
    out[i, 3] = len(words)


@pytest.mark.needs(dtypes=["uint16"])
def test_dynamic_arrays_start_at_one_place(run: Runner, rng: np.random.Generator) -> None:
    src = sample(rng, np.int32, 16)
    out = run(dynamic_and_static, 1, 16, src, poison((16, 4), np.int64), shared_bytes=64)
    np.testing.assert_array_equal(out[:, 0], src[::-1])
    np.testing.assert_array_equal(out[:, 1], ~src[::-1])
    np.testing.assert_array_equal(out[:, 2], (~src).view(np.uint32))
    np.testing.assert_array_equal(out[:, 3], 16)


@kk.kernel
def block_private(out):
    tile = shared.array(1, np.int64)
    if threadIdx.x == 0:
        tile[0] = kk.blockIdx.x * 7
    syncthreads()
    out[kk.grid(1)] = tile[0] + threadIdx.x


def test_shared_memory_belongs_to_the_block(run: Runner) -> None:
    out = run(block_private, 5, 3, poison(15, np.int64))
    np.testing.assert_array_equal(out, np.repeat(np.arange(5) * 7, 3) + np.tile(np.arange(3), 5))


@kk.kernel
def local_history(src, out):
    history = local.array(5, src.dtype)
    table = kk.local.array((2, 3), np.int32)
    i = kk.grid(1)
    for k in range(5):
        history[k] = src[(i + k) % len(src)]
    for r in range(2):
        for c in range(3):
            table[r, c] = 10 * r + c + threadIdx.x
    for k in range(5):
        out[i, k] = history[4 - k]
    out[i, 5] = table[1, 2] + table[0, 1]


@pytest.mark.parametrize("dtype", by_dtype(["int16", "int32", "float32", "float64"]))
def test_local_arrays_belong_to_the_thread(
    run: Runner, rng: np.random.Generator, dtype: str
) -> None:
    src = rng.integers(-50, 50, 35).astype(dtype)
    out = run(local_history, 5, 7, src, poison((35, 6), dtype))
    i = np.arange(35)
    for k in range(5):
        np.testing.assert_array_equal(out[:, k], src[(i + 4 - k) % 35])
    np.testing.assert_array_equal(out[:, 5], 13 + 2 * (i % 7))


@kk.kernel
def dynamic_local_index(out):
    digits = local.array(10, np.int32)
    for k in range(10):
        digits[k] = 0
    i = kk.grid(1)
    rest = i * i + 11 * i
    while rest > 0:
        digits[rest % 10] += 1
        rest //= 10
    for k in range(10):
        out[i, k] = digits[k]


def test_local_arrays_indexed_by_data(run: Runner) -> None:
    out = run(dynamic_local_index, 3, 13, poison((39, 10), np.int32))
    expected = [[str(i * i + 11 * i).count(str(d)) for d in range(10)] for i in range(39)]
    expected[0] = [0] * 10
    np.testing.assert_array_equal(out, expected)


WEIGHTS = np.array([1, -2, 3, -4, 5], np.float32)
WEIGHTS.flags.writeable = False
GRID = np.array([[1, 2, 3], [4, 5, 6]], np.int16)
GRID.flags.writeable = False


@kk.kernel
def constant(src, out):
    weights = const.array_like(WEIGHTS)
    table = kk.const.array_like(GRID)
    i = kk.grid(1)
    total = np.float32(0)
    for k in range(len(weights)):
        total += weights[k] * src[i + k]
    out[i] = total + table[i % 2, i % 3]


def test_constant_arrays(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-9, 9, 24).astype(np.float32)
    out = run(constant, 4, 5, src, poison(20, np.float32))
    i = np.arange(20)
    sums = sum(WEIGHTS[k] * src[i + k] for k in range(5))
    np.testing.assert_array_equal(out, (sums + GRID[i % 2, i % 3]).astype(np.float32))


@kk.kernel
def global_array(src, out):
    i = kk.grid(1)
    out[i] = src[i] * WEIGHTS[i % 5] + GRID[1, i % 3]


def test_read_only_global_arrays_are_constant(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-9, 9, 20).astype(np.float32)
    i = np.arange(20)
    out = run(global_array, 4, 5, src, poison(20, np.float32))
    np.testing.assert_array_equal(out, src * WEIGHTS[i % 5] + GRID[1, i % 3])


@kk.kernel
def fences(src, out):
    i = kk.grid(1)
    out[i] = src[i]
    kk.threadfence()
    out[i] += 1
    kk.threadfence_block()
    out[i] *= 2
    kk.threadfence_system()


def test_fences_change_no_value(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-9, 9, 33).astype(np.int32)
    np.testing.assert_array_equal(run(fences, 1, 33, src, poison(33, np.int32)), 2 * (src + 1))


@kk.kernel
def wide_shared(out):
    tile = shared.array((5, 7), np.int32)
    i = threadIdx.x
    for r in range(i, 5, kk.blockDim.x):
        row = tile[r]
        for c in range(7):
            row[c] = 10 * r + c
    syncthreads()
    total = 0
    for r in range(5):
        total += tile[r, i % 7] + tile[-1, -1]
    out[i] = total + len(tile) + tile.size + tile.ndim + tile.shape[1]


def test_views_and_extents_of_shared_arrays(run: Runner) -> None:
    i = np.arange(11)
    expected = 100 + 5 * (i % 7) + 5 * 46 + 5 + 35 + 2 + 7
    np.testing.assert_array_equal(run(wide_shared, 1, 11, poison(11, np.int64)), expected)
