"""Barriers: in straight code, in loops and branches that are uniform, after threads returned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import shared, syncthreads, syncthreads_and, syncthreads_count, syncthreads_or
from kernelkit.conformance.launching import Runner, poison

pytestmark = pytest.mark.needs(shared_memory=True, barriers=True)

#: Blocks of one thread, of a part of a warp, of warps and a part.
BLOCKS = [1, 5, 32, 43, 96]
MOST = 96


@kk.kernel
def rotate_twice(src, out):
    tile = shared.array(MOST, np.int32)
    i = kk.threadIdx.x
    n = kk.blockDim.x
    at = kk.grid(1)
    tile[i] = src[at]
    syncthreads()
    value = tile[(i + 1) % n]
    syncthreads()
    tile[i] = value * 2
    kk.syncthreads()
    out[at] = tile[(i + 2) % n]


@pytest.mark.parametrize("block", BLOCKS)
def test_in_straight_code(run: Runner, rng: np.random.Generator, block: int) -> None:
    src = rng.integers(-999, 999, 2 * block).astype(np.int32)
    out = run(rotate_twice, 2, block, src, poison(2 * block, np.int32))
    np.testing.assert_array_equal(out, 2 * np.roll(src.reshape(2, block), -3, axis=1).ravel())


@kk.kernel
def block_sum(src, out):
    """The halving reduction of every textbook."""
    tile = shared.array(64, np.int64)
    i = kk.threadIdx.x
    tile[i] = src[kk.grid(1)]
    step = 32
    syncthreads()
    while step > 0:
        if i < step:
            tile[i] += tile[i + step]
        syncthreads()
        step //= 2
    if i == 0:
        out[kk.blockIdx.x] = tile[0]


def test_in_a_while_loop(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-(2**40), 2**40, 3 * 64)
    out = run(block_sum, 3, 64, src, poison(3, np.int64))
    np.testing.assert_array_equal(out, src.reshape(3, 64).sum(axis=1))


@kk.kernel
def scan(src, out):
    """An inclusive scan with two barriers in each round of a for loop."""
    tile = shared.array(MOST, np.int32)
    i = kk.threadIdx.x
    n = kk.blockDim.x
    tile[i] = src[i]
    syncthreads()
    for k in range(7):
        step = 1 << k
        add = tile[i - step] if i >= step else 0
        syncthreads()
        tile[i] += add
        syncthreads()
    out[i] = tile[i]


@pytest.mark.parametrize("block", BLOCKS)
def test_in_a_for_loop(run: Runner, rng: np.random.Generator, block: int) -> None:
    src = rng.integers(-999, 999, block).astype(np.int32)
    out = run(scan, 1, block, src, poison(block, np.int32))
    np.testing.assert_array_equal(out, np.cumsum(src))


@kk.kernel
def nested(src, out, rounds, skip):
    tile = shared.array(MOST, np.int32)
    i = kk.threadIdx.x
    n = kk.blockDim.x
    tile[i] = src[i]
    syncthreads()
    for a in range(rounds):
        for b in range(a + 1):
            if b == skip:
                continue
            if a + b > 5:
                break
            value = tile[(i + a) % n]
            syncthreads()
            if (a + b) % 2 == 0:
                tile[i] = value + b
                syncthreads()
            else:
                tile[i] = value - a
            syncthreads()
    out[i] = tile[i]


@pytest.mark.parametrize("rounds", [0, 1, 5])
@pytest.mark.parametrize("skip", [-1, 1])
@pytest.mark.parametrize("block", [5, 43])
def test_nested_with_break_and_continue(
    run: Runner, rng: np.random.Generator, block: int, rounds: int, skip: int
) -> None:
    src = rng.integers(-999, 999, block).astype(np.int32)
    expected = src.copy()
    for a in range(rounds):
        for b in range(a + 1):
            if b == skip:
                continue
            if a + b > 5:
                break
            expected = np.roll(expected, -a) + (b if (a + b) % 2 == 0 else -a)
    out = run(nested, 1, block, src, poison(block, np.int32), rounds, skip)
    np.testing.assert_array_equal(out, expected)


@kk.kernel
def branches(src, out, choice):
    tile = shared.array(MOST, np.int32)
    i = kk.threadIdx.x
    n = kk.blockDim.x
    tile[i] = src[kk.grid(1)]
    value = 0
    if choice > 0:
        syncthreads()
        value = tile[(i + 1) % n]
    elif choice < 0 or kk.gridDim.x > 2:
        syncthreads()
        value = -tile[n - 1 - i]
    else:
        value = tile[i]
    if kk.blockIdx.x % 2 == 1:
        syncthreads()
        tile[i] = value
        syncthreads()
        value += tile[0]
    out[kk.grid(1)] = value


@pytest.mark.parametrize("choice", [1, -1, 0])
@pytest.mark.parametrize("block", [1, 33])
def test_in_uniform_branches(
    run: Runner, rng: np.random.Generator, block: int, choice: int
) -> None:
    src = rng.integers(-999, 999, 2 * block).astype(np.int32)
    rows = src.reshape(2, block)
    value = {1: np.roll(rows, -1, axis=1), -1: -rows[:, ::-1], 0: rows}[choice].copy()
    value[1] += value[1, 0]
    out = run(branches, 2, block, src, poison(2 * block, np.int32), choice)
    np.testing.assert_array_equal(out, value.ravel())


@kk.kernel
def after_return(src, out, alive):
    tile = shared.array(MOST, np.int32)
    i = kk.threadIdx.x
    if i >= alive:
        return
    tile[i] = src[i]
    syncthreads()
    out[i] = tile[alive - 1 - i] + syncthreads_count(src[i] > 0)


@pytest.mark.parametrize(
    ("block", "alive"), [(43, 40), (43, 32), (43, 7), (96, 33), (5, 1), (64, 0)]
)
def test_after_some_threads_returned(
    run: Runner, rng: np.random.Generator, block: int, alive: int
) -> None:
    src = rng.integers(-999, 999, block).astype(np.int32)
    out = run(after_return, 1, block, src, poison(block, np.int32), alive)
    expected = poison(block, np.int32)
    expected[:alive] = src[:alive][::-1] + np.count_nonzero(src[:alive] > 0)
    np.testing.assert_array_equal(out, expected)


@kk.kernel
def returns_between(out):
    """Threads leave one after the other, between barriers; the others go on."""
    i = kk.threadIdx.x
    for k in range(4):
        left = syncthreads_count(True)
        out[i] = left
        if i % 4 == k:
            return
    out[i] = -1


@pytest.mark.parametrize("block", [4, 37, 70])
def test_returns_inside_a_loop_of_barriers(run: Runner, block: int) -> None:
    i = np.arange(block)
    expected = [np.count_nonzero(i % 4 >= k) for k in i % 4]
    np.testing.assert_array_equal(run(returns_between, 1, block, poison(block, np.int32)), expected)


@kk.kernel
def votes(src, out, limit):
    i = kk.grid(1)
    out[i, 0] = syncthreads_count(src[i] > limit)
    out[i, 1] = syncthreads_and(src[i] > limit)
    out[i, 2] = syncthreads_or(src[i] > limit)
    out[i, 3] = kk.syncthreads_count(src[i])


@pytest.mark.parametrize("limit", [-1000, -1, 0, 998, 1000])
@pytest.mark.parametrize("block", BLOCKS)
def test_count_and_or(run: Runner, rng: np.random.Generator, block: int, limit: int) -> None:
    src = rng.integers(-1, 2, 2 * block) * rng.integers(990, 1000, 2 * block)
    out = run(votes, 2, block, src, poison((2 * block, 4), np.int64), limit)
    hits = src.reshape(2, block) > limit
    truths = np.count_nonzero(src.reshape(2, block), axis=1)
    per_block = np.stack([hits.sum(axis=1), hits.all(axis=1), hits.any(axis=1), truths], axis=1)
    np.testing.assert_array_equal(out, np.repeat(per_block, block, axis=0))


@kk.kernel
def until_calm(src, out):
    """Odd-even sort: the loop ends when no thread swapped, which a barrier tells to all."""
    tile = shared.array(64, src.dtype)
    i = kk.threadIdx.x
    n = src.size
    tile[i] = src[i]
    swapped = True
    rounds = 0
    while syncthreads_or(swapped):
        swapped = False
        for phase in range(2):
            j = i - i % 2 + phase
            if i % 2 == 0 and j + 1 < n and tile[j] > tile[j + 1]:
                tile[j], tile[j + 1] = tile[j + 1], tile[j]
                swapped = True
            syncthreads()
        rounds += 1
    out[i] = tile[i]


@pytest.mark.parametrize("count", [1, 2, 13, 33])
def test_a_loop_that_ends_by_a_vote(run: Runner, rng: np.random.Generator, count: int) -> None:
    src = rng.integers(-99, 99, count).astype(np.int32)
    out = run(until_calm, 1, count, src, poison(count, np.int32))
    np.testing.assert_array_equal(out, np.sort(src))


@kk.kernel
def users_word(src, flags, out):
    tile = shared.array(MOST, np.int32)
    i = kk.threadIdx.x
    tile[i] = src[i]
    if kk.uniform(flags[i] > 0):
        syncthreads()
        out[i] = tile[kk.blockDim.x - 1 - i]
    else:
        out[i] = kk.uniform(0)


@pytest.mark.parametrize("flag", [0, 1])
def test_uniform_is_the_users_word(run: Runner, rng: np.random.Generator, flag: int) -> None:
    src = rng.integers(-99, 99, 40).astype(np.int32)
    out = run(users_word, 1, 40, src, np.full(40, flag, np.int8), poison(40, np.int32))
    np.testing.assert_array_equal(out, src[::-1] * flag)


@kk.kernel
def barrier_in_function(src, out):
    tile = shared.array(MOST, np.int32)
    i = kk.threadIdx.x
    tile[i] = src[i]
    out[i] = neighbour(tile, i, 1) + neighbour(tile, i, 2)


def neighbour(tile, i, distance):
    syncthreads()
    value = tile[(i + distance) % kk.blockDim.x]
    syncthreads()
    return value


@pytest.mark.parametrize("block", [1, 45])
def test_in_a_device_function(run: Runner, rng: np.random.Generator, block: int) -> None:
    src = rng.integers(-99, 99, block).astype(np.int32)
    out = run(barrier_in_function, 1, block, src, poison(block, np.int32))
    np.testing.assert_array_equal(out, np.roll(src, -1) + np.roll(src, -2))


@kk.kernel
def loaded_bound(sizes, src, out):
    """The loop's bound is read from memory that nobody writes, at a uniform index."""
    tile = shared.array(32, np.int32)
    i = kk.threadIdx.x
    tile[i] = src[i]
    for k in range(sizes[kk.blockIdx.x]):
        syncthreads()
        value = tile[(i + 1) % 32]
        syncthreads()
        tile[i] = value
    out[kk.blockIdx.x, i] = tile[i]


def test_a_bound_loaded_at_a_uniform_index(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-99, 99, 32).astype(np.int32)
    sizes = np.array([0, 3, 1], np.int32)
    out = run(loaded_bound, 3, 32, sizes, src, poison((3, 32), np.int32))
    np.testing.assert_array_equal(out, [np.roll(src, -k) for k in sizes])


@kk.kernel
def plane_barrier(src, out):
    tile = shared.array((5, 7), np.int32)
    x = kk.threadIdx.x
    y = kk.threadIdx.y
    tile[y, x] = src[y, x]
    syncthreads()
    out[y, x] = tile[4 - y, 6 - x] * syncthreads_count(x > y)


def test_in_a_block_of_two_axes(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-99, 99, (5, 7)).astype(np.int32)
    y, x = np.indices((5, 7))
    out = run(plane_barrier, 1, (7, 5), src, poison((5, 7), np.int32))
    np.testing.assert_array_equal(out, src[::-1, ::-1] * np.count_nonzero(x > y))


# ---------------------------------------------------------------- beside those that return
@kk.kernel
def works_or_returns(src, out, n):
    i = kk.grid(1)
    if i < n:
        row = src[i % 3]
        out[i] = 1
        kk.syncthreads()
        out[i] += 2
    else:
        return
    out[i] += row[1]


@kk.kernel
def returns_or_works(src, out, n):
    i = kk.grid(1)
    if i >= n:
        return
    else:
        row = src[i % 3]
        out[i] = 1
        kk.syncthreads()
        out[i] += 2
    out[i] += row[1]


@pytest.mark.needs(barriers=True)
@pytest.mark.parametrize("kernel", [works_or_returns, returns_or_works], ids=lambda k: k.__name__)
@pytest.mark.parametrize("n", [0, 1, 32, 40, 63, 64, 96])
def test_a_barrier_in_the_arm_beside_one_that_returns(run: Runner, kernel: Any, n: int) -> None:
    src = np.arange(12, dtype=np.int32).reshape(3, 4)
    out = run(kernel, 3, 32, src, np.full(96, -7, np.int32), n)
    expected = [3 + src[i % 3, 1] if i < n else -7 for i in range(96)]
    np.testing.assert_array_equal(out, expected)
