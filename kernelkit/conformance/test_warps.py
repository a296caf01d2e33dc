"""Warp operations: shuffles, votes, matches, masks; in partial warps, branches, after returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import laneid, shfl_down_sync, shfl_sync, shfl_up_sync, shfl_xor_sync, threadIdx
from kernelkit.conformance.launching import REALS, Runner, by_dtype, poison, sample
from kernelkit.testing.comparison import assert_bits_equal

pytestmark = pytest.mark.needs(warp_operations=True, dtypes="uint32")

FULL = 0xFFFFFFFF
#: Threads in a block: less than a warp, a warp, warps with a part of one.
BLOCKS = [1, 13, 32, 45, 96]


def warps(count: int) -> Iterator[slice]:
    """The threads of each warp of a block."""
    for start in range(0, count, 32):
        yield slice(start, min(start + 32, count))


def shuffled(values: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Each thread's value from lane `source` of its warp; its own where there is no such lane."""
    out = values.copy()
    for warp in warps(values.size):
        inside, wanted = values[warp], source[warp]
        there = (wanted >= 0) & (wanted < inside.size)
        out[warp] = np.where(there, inside[np.where(there, wanted, 0)], inside)
    return out


def bits(flags: np.ndarray) -> np.ndarray:
    """For each thread, the uint32 with a bit for each lane of its warp whose flag is set."""
    out = np.empty(flags.size, np.uint32)
    for warp in warps(flags.size):
        out[warp] = sum(1 << int(k) for k in np.flatnonzero(flags[warp]))
    return out


@kk.kernel(debug=False)  # In debug kernels a shuffle from no lane raises.
def shuffles(src, lanes, out):
    i = threadIdx.x
    value = src[i]
    out[0, i] = shfl_sync(FULL, value, lanes[i])
    out[1, i] = shfl_up_sync(FULL, value, 3)
    out[2, i] = shfl_down_sync(FULL, value, 5)
    out[3, i] = shfl_xor_sync(FULL, value, 9)


@pytest.mark.parametrize("dtype", by_dtype(["bool", *REALS]))
@pytest.mark.parametrize("block", [13, 45])
def test_shuffles_of_each_dtype(
    run: Runner, rng: np.random.Generator, dtype: str, block: int
) -> None:
    src = sample(rng, dtype, block)
    wanted = rng.integers(0, 32, block).astype(np.int32)
    lane = np.arange(block) % 32
    out = run(shuffles, 1, block, src, wanted, poison((4, block), dtype))
    assert_bits_equal(out[0], shuffled(src, wanted), "shfl_sync")
    assert_bits_equal(out[1], shuffled(src, lane - 3), "shfl_up_sync")
    assert_bits_equal(
        out[2], shuffled(src, np.where(lane + 5 < 32, lane + 5, -1)), "shfl_down_sync"
    )
    assert_bits_equal(out[3], shuffled(src, lane ^ 9), "shfl_xor_sync")


@kk.kernel(debug=False)
def shuffles_by(src, amount, out):
    i = threadIdx.x
    value = src[i]
    out[0, i] = shfl_sync(FULL, value, amount)
    out[1, i] = shfl_up_sync(FULL, value, amount)
    out[2, i] = shfl_down_sync(FULL, value, amount)
    out[3, i] = shfl_xor_sync(FULL, value, amount)


@pytest.mark.parametrize("amount", [0, 1, 2, 16, 31])
@pytest.mark.parametrize("block", BLOCKS)
def test_shuffles_by_each_amount(
    run: Runner, rng: np.random.Generator, block: int, amount: int
) -> None:
    src = sample(rng, np.int32, block)
    lane = np.arange(block) % 32
    up = np.where(lane + amount < 32, lane + amount, -1)
    out = run(shuffles_by, 1, block, src, amount, poison((4, block), np.int32))
    sources = [np.full(block, amount), lane - amount, up, lane ^ amount]
    np.testing.assert_array_equal(out, [shuffled(src, source) for source in sources])


@kk.kernel
def lane_modulo(src, out):
    i = threadIdx.x
    out[i, 0] = shfl_sync(FULL, src[i], 37)
    out[i, 1] = shfl_sync(FULL, src[i], i + 1)
    out[i, 2] = shfl_sync(FULL, src[i] * 2, np.int8(4)) + shfl_sync(FULL, src[i], 5)


def test_the_lane_is_taken_modulo_32(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-99, 99, 64).astype(np.int32)
    out = run(lane_modulo, 1, 64, src, poison((64, 3), np.int32))
    rows = src.reshape(2, 32)
    np.testing.assert_array_equal(out[:, 0], np.repeat(rows[:, 5], 32))
    np.testing.assert_array_equal(out[:, 1], np.roll(rows, -1, axis=1).ravel())
    np.testing.assert_array_equal(out[:, 2], np.repeat(2 * rows[:, 4] + rows[:, 5], 32))


@kk.kernel
def votes(src, limit, out):
    i = kk.grid(1)
    above = src[i] > limit
    out[i, 0] = kk.all_sync(FULL, above)
    out[i, 1] = kk.any_sync(FULL, above)
    out[i, 2] = kk.eq_sync(FULL, above)
    out[i, 3] = kk.ballot_sync(FULL, above)
    out[i, 4] = kk.activemask()
    out[i, 5] = kk.lanemask_lt()


def expected_votes(above: np.ndarray) -> np.ndarray:
    out = np.empty((above.size, 6), np.int64)
    out[:, 3] = bits(above)
    out[:, 4] = bits(np.ones_like(above))
    out[:, 5] = (1 << (np.arange(above.size) % 32)) - 1
    for warp in warps(above.size):
        every, some = above[warp].all(), above[warp].any()
        out[warp, :3] = every, some, every or not some
    return out


@pytest.mark.parametrize("limit", [-100, -98, 0, 97, 100])
@pytest.mark.parametrize("block", BLOCKS)
def test_votes(run: Runner, rng: np.random.Generator, block: int, limit: int) -> None:
    src = rng.choice(np.array([-99, -98, 0, 98, 99]), 2 * block)
    out = run(votes, 2, block, src, limit, poison((2 * block, 6), np.int64))
    above = src > limit
    expected = np.concatenate([expected_votes(above[:block]), expected_votes(above[block:])])
    np.testing.assert_array_equal(out, expected)


@kk.kernel
def matches(src, out):
    i = threadIdx.x
    out[i, 0] = kk.match_any_sync(FULL, src[i])
    mask, same = kk.match_all_sync(FULL, src[i])
    out[i, 1] = mask
    out[i, 2] = same


@pytest.mark.parametrize(
    "dtype", by_dtype(["int32", "uint32", "int64", "uint64", "float32", "float64"])
)
@pytest.mark.parametrize("choices", [1, 3])
@pytest.mark.parametrize("block", [13, 45, 64])
def test_matches(
    run: Runner, rng: np.random.Generator, dtype: str, choices: int, block: int
) -> None:
    values = sample(rng, dtype, choices, special=False)
    src = rng.choice(values, block)
    out = run(matches, 1, block, src, poison((block, 3), np.int64))
    for warp in warps(block):
        inside = src[warp]
        same = bool(np.all(inside == inside[0]))
        everyone = (1 << inside.size) - 1
        for lane, value in enumerate(inside):
            mask = int(bits(inside == value)[0])
            expected = [mask, everyone if same else 0, same]
            np.testing.assert_array_equal(out[warp.start + lane], expected)


@pytest.mark.parametrize("dtype", by_dtype(["float32", "float64"]))
def test_matches_compare_bits(run: Runner, dtype: str) -> None:
    src = np.array([0, -0.0, np.nan, 1, 0, -0.0, np.nan, np.inf], dtype)
    out = run(matches, 1, 8, src, poison((8, 3), np.int64))
    kind = np.array([0, 1, 2, 3, 0, 1, 2, 4])
    expected = [[bits(kind == k)[0], 0, 0] for k in kind]
    np.testing.assert_array_equal(out, expected)


@kk.kernel
def warp_sum(src, out):
    i = threadIdx.x
    value = src[i]
    offset = 16
    while offset > 0:
        value += shfl_down_sync(FULL, value, offset)
        offset //= 2
    if laneid == 0:
        out[i // 32] = value


@pytest.mark.parametrize("dtype", by_dtype(["int32", "float32", "int64"]))
def test_a_reduction_over_a_warp(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    src = rng.integers(-999, 999, 96).astype(dtype)
    out = run(warp_sum, 1, 96, src, poison(3, dtype))
    np.testing.assert_array_equal(out, src.reshape(3, 32).sum(axis=1))


@kk.kernel
def warp_scan(src, out):
    i = threadIdx.x
    value = src[i]
    for k in range(5):
        below = shfl_up_sync(FULL, value, 1 << k)
        if laneid >= 1 << k:
            value += below
    out[i] = value


@pytest.mark.parametrize("block", BLOCKS)
def test_a_scan_over_a_partial_warp(run: Runner, rng: np.random.Generator, block: int) -> None:
    src = rng.integers(-999, 999, block).astype(np.int32)
    out = run(warp_scan, 1, block, src, poison(block, np.int32))
    for warp in warps(block):
        np.testing.assert_array_equal(out[warp], np.cumsum(src[warp]))


@kk.kernel
def per_warp_branches(src, out):
    """Branches and trip counts that differ between warps, not within one."""
    i = threadIdx.x
    warp = i // 32
    value = src[i]
    if warp == 1:
        value = shfl_xor_sync(FULL, value, 1)
    elif warp % 2 == 0:
        value = value + kk.popc(kk.ballot_sync(FULL, value > 0))
    for k in range(warp):
        value = shfl_sync(FULL, value, laneid + 1)
    while kk.any_sync(FULL, value > 40):
        value -= 7
    out[i] = value


@pytest.mark.needs(divergent_warps=True)
@pytest.mark.parametrize("block", [32, 64, 128])
def test_branches_uniform_for_the_warp(run: Runner, rng: np.random.Generator, block: int) -> None:
    src = rng.integers(-99, 99, block).astype(np.int32)
    out = run(per_warp_branches, 1, block, src, poison(block, np.int32))
    for number, warp in enumerate(warps(block)):
        value = src[warp].copy()
        if number == 1:
            value = value[np.arange(32) ^ 1]
        elif number % 2 == 0:
            value = value + np.count_nonzero(value > 0)
        value = np.roll(value, -number)
        while np.any(value > 40):
            value -= 7
        np.testing.assert_array_equal(out[warp], value)


@kk.kernel(debug=False)
def after_return(src, alive, out):
    i = threadIdx.x
    if laneid >= alive:
        return
    out[i, 0] = kk.ballot_sync(FULL, src[i] > 0)
    out[i, 1] = kk.all_sync(FULL, src[i] > 0)
    out[i, 2] = kk.any_sync(FULL, src[i] > 0)
    out[i, 3] = shfl_sync(FULL, src[i], 0)
    out[i, 4] = shfl_down_sync(FULL, src[i], 4)
    out[i, 5] = kk.activemask()
    out[i, 6] = kk.match_any_sync(FULL, np.int32(src[i] > 0))


@pytest.mark.parametrize("alive", [1, 7, 20, 32])
@pytest.mark.parametrize("block", [32, 45])
def test_after_lanes_returned(
    run: Runner, rng: np.random.Generator, block: int, alive: int
) -> None:
    src = rng.integers(-3, 9, block).astype(np.int64)
    out = run(after_return, 1, block, src, alive, poison((block, 7), np.int64))
    expected = poison((block, 7), np.int64)
    for warp in warps(block):
        left = slice(warp.start, min(warp.start + alive, warp.stop))
        inside = src[left]
        above = inside > 0
        lane = np.arange(inside.size)
        lane_down = np.where(lane + 4 < inside.size, lane + 4, lane)
        everyone = (1 << inside.size) - 1
        positive = int(bits(above)[0])
        expected[left, 0] = positive
        expected[left, 1] = above.all()
        expected[left, 2] = above.any()
        expected[left, 3] = inside[0]
        expected[left, 4] = inside[lane_down]
        expected[left, 5] = everyone
        expected[left, 6] = np.where(above, positive, everyone ^ positive)
    np.testing.assert_array_equal(out, expected)


@kk.kernel
def halves(src, out):
    """Each half of a warp works under a mask of its own lanes."""
    i = threadIdx.x
    if laneid < 16:
        out[i, 0] = kk.ballot_sync(0x0000FFFF, src[i] > 0)
        out[i, 1] = shfl_sync(0x0000FFFF, src[i], 3)
    else:
        out[i, 0] = kk.ballot_sync(0xFFFF0000, src[i] > 0)
        out[i, 1] = shfl_xor_sync(0xFFFF0000, src[i], 2)


@pytest.mark.needs(divergent_warps=True)
def test_masks_that_name_the_lanes_of_a_branch(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-9, 9, 64)
    out = run(halves, 1, 64, src, poison((64, 2), np.int64))
    lane, start = np.arange(64) % 32, np.arange(64) // 32 * 32
    ballot = bits(src > 0).astype(np.int64)
    np.testing.assert_array_equal(out[:, 0], np.where(lane < 16, ballot & 0xFFFF, ballot & ~0xFFFF))
    source = np.where(lane < 16, start + 3, start + (lane ^ 2))
    np.testing.assert_array_equal(out[:, 1], src[source])


@kk.kernel
def rank_among_peers(src, out):
    i = threadIdx.x
    peers = kk.match_any_sync(FULL, src[i])
    out[i, 0] = kk.popc(peers & kk.lanemask_lt())
    out[i, 1] = kk.ffs(peers) - 1
    out[i, 2] = 31 - kk.clz(peers)


def test_masks_are_numbers(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(0, 4, 45).astype(np.int32)
    out = run(rank_among_peers, 1, 45, src, poison((45, 3), np.int32))
    for warp in warps(45):
        for lane, value in enumerate(src[warp]):
            peers = np.flatnonzero(src[warp] == value)
            expected = [np.count_nonzero(peers < lane), peers[0], peers[-1]]
            np.testing.assert_array_equal(out[warp.start + lane], expected)


@pytest.mark.needs(shared_memory=True)
@pytest.mark.parametrize("block", [13, 45])
def test_syncwarp_orders_shared_memory(run: Runner, rng: np.random.Generator, block: int) -> None:
    src = rng.integers(-99, 99, block).astype(np.int32)
    out = run(exchange, 1, block, src, poison(block, np.int32))
    for warp in warps(block):
        np.testing.assert_array_equal(out[warp], np.roll(src[warp], -1) + src[warp][::-1])


@kk.kernel
def exchange(src, out):
    tile = kk.shared.array(64, np.int32)
    i = threadIdx.x
    start = i - laneid
    lanes = min(32, kk.blockDim.x - start)
    tile[i] = src[i]
    kk.syncwarp()
    value = tile[start + (laneid + 1) % lanes]
    kk.syncwarp(FULL)
    tile[i] = value
    kk.syncwarp()
    out[i] = value + tile[start + (2 * lanes - 2 - laneid) % lanes]


@pytest.mark.parametrize("shape", [(8, 4), (5, 9), (3, 5, 7), (40, 2)])
def test_warps_of_blocks_of_several_axes(run: Runner, rng: np.random.Generator, shape: Any) -> None:
    count = int(np.prod(shape))
    src = rng.integers(-99, 99, count).astype(np.int32)
    out = run(in_many_axes, 1, shape, src, poison((count, 2), np.int64))
    lane = np.arange(count) % 32
    np.testing.assert_array_equal(out[:, 0], shuffled(src, lane ^ 1))
    np.testing.assert_array_equal(out[:, 1], bits(src > 0))


# ---------------------------------------------------------------- lanes at the kernel's end
@kk.kernel(debug=False)
def odd_lanes(a):
    i = threadIdx.x
    if i % 2:
        a[i] = shfl_sync(FULL, a[i], 0)


@kk.kernel(debug=False)
def lower_lanes(a):
    i = threadIdx.x
    if i < 16:
        a[i] += shfl_down_sync(FULL, a[i], 8)


@pytest.mark.needs(divergent_warps=True)
@pytest.mark.parametrize("block", [32, 64])
def test_lanes_at_the_end_give_nothing(run: Runner, block: int) -> None:
    a = np.arange(5, 5 + block, dtype=np.int32)
    np.testing.assert_array_equal(run(odd_lanes, 1, block, a), a)
    found = run(lower_lanes, 1, block, a)
    lane = np.arange(block)
    other = np.where(lane + 8 < 16, a[(lane + 8) % block], a)
    np.testing.assert_array_equal(found, np.where(lane < 16, a + other, a))


@kk.kernel(debug=True)
def from_a_lane_at_the_end(a):
    i = threadIdx.x
    if i < 16:
        a[i] += shfl_xor_sync(0xFFFF, a[i], 1)
    if i % 2:
        a[i] = shfl_sync(FULL, a[i], 0)


@pytest.mark.needs(divergent_warps=True)
def test_debug_kernels_miss_lanes_at_the_end() -> None:
    a = kk.asarray(np.arange(32, dtype=np.int32))
    with pytest.raises(kk.InactiveLaneError, match="from lane 0"):
        from_a_lane_at_the_end[1, 32](a)


@kk.kernel(debug=False)
def in_many_axes(src, out):
    x, y, z = threadIdx.x, threadIdx.y, threadIdx.z
    row = (z * kk.blockDim.y + y) * kk.blockDim.x + x
    out[row, 0] = shfl_xor_sync(FULL, src[row], 1)
    out[row, 1] = kk.ballot_sync(FULL, src[row] > 0)
