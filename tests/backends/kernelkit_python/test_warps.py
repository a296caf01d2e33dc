"""Warp operations: what each lane gets, partial warps, lanes that left, divergence."""

from __future__ import annotations

import numpy as np
import pytest

from kernelkit import errors
from kernelkit.frontend.builtins import (
    activemask,
    all_sync,
    any_sync,
    ballot_sync,
    eq_sync,
    laneid,
    lanemask_lt,
    match_all_sync,
    match_any_sync,
    popc,
    shfl_down_sync,
    shfl_sync,
    shfl_up_sync,
    shfl_xor_sync,
    syncthreads,
    syncwarp,
    threadIdx,
)

FULL = 0xFFFFFFFF


def test_shuffles_in_a_whole_and_a_partial_warp(launch):
    def kernel(out):
        i = threadIdx.x
        x = float(i)
        out[0, i] = shfl_sync(FULL, x, 35)
        out[1, i] = shfl_up_sync(FULL, x, 2)
        out[2, i] = shfl_down_sync(FULL, x, 2)
        out[3, i] = shfl_xor_sync(FULL, x, 1)
        out[4, i] = shfl_sync(FULL, x, -1)

    out = np.zeros((5, 45))
    launch(kernel, 1, 45, out)
    i = np.arange(45)
    lane, base, size = i % 32, i // 32 * 32, np.where(i < 32, 32, 13)
    assert (out[0] == base + 3).all()
    assert (out[1] == np.where(lane >= 2, i - 2, i)).all()
    assert (out[2] == np.where(lane + 2 < size, i + 2, i)).all()
    assert (out[3] == np.where((lane ^ 1) < size, base + (lane ^ 1), i)).all()
    assert (out[4] == np.where(size == 32, base + 31, i)).all()


def test_a_shuffle_carries_any_type(launch):
    def kernel(flags, big, small):
        i = threadIdx.x
        flags[i] = shfl_xor_sync(FULL, flags[i], 1)
        big[i] = shfl_xor_sync(FULL, big[i], 1)
        small[i] = shfl_xor_sync(FULL, small[i], 1)

    flags = np.arange(32) % 2 == 0
    big = np.arange(32, dtype=np.uint64) + np.uint64(2**63)
    small = np.arange(32).astype(np.float16)
    swapped = np.arange(32) ^ 1
    expected = flags[swapped], big[swapped], small[swapped]
    launch(kernel, 1, 32, flags, big, small)
    for got, wanted in zip((flags, big, small), expected, strict=True):
        assert (got == wanted).all()


def test_votes(launch):
    def kernel(data, out):
        i = threadIdx.x
        p = data[i] != 0
        out[0, i] = all_sync(FULL, p)
        out[1, i] = any_sync(FULL, p)
        out[2, i] = eq_sync(FULL, p)
        out[3, i] = ballot_sync(FULL, p)

    data, out = np.ones(96, np.int32), np.zeros((4, 70), np.int64)
    data[5] = 0
    data[64:] = 0
    launch(kernel, 1, 70, data, out)
    assert out[0, ::32].tolist() == [0, 1, 0]
    assert out[1, ::32].tolist() == [1, 1, 0]
    assert out[2, ::32].tolist() == [0, 1, 1]
    assert out[3, ::32].tolist() == [FULL & ~32, FULL, 0]


def test_matches_compare_bits(launch):
    def kernel(data, out):
        i = threadIdx.x
        out[0, i] = match_any_sync(FULL, data[i])
        mask, same = match_all_sync(FULL, data[i])
        out[1, i] = mask
        out[2, i] = same

    data = np.array([1.0, np.nan, 0.0, np.nan, -0.0, 1.0], np.float32)
    out = np.zeros((3, 6), np.int64)
    launch(kernel, 1, 6, data, out)
    assert out[0].tolist() == [33, 10, 4, 10, 16, 33]
    assert not out[1:].any()
    launch(kernel, 1, 6, np.full(6, np.nan, np.float32), out)
    assert (out[0] == 63).all()
    assert (out[1] == 63).all()
    assert (out[2] == 1).all()


def test_lanes_that_returned_do_not_take_part(launch):
    def kernel(out):
        i = threadIdx.x
        if i % 3 == 0:
            return
        out[0, i] = ballot_sync(FULL, True)
        out[1, i] = shfl_down_sync(FULL, i, 1)
        out[2, i] = laneid + popc(lanemask_lt())

    out = np.zeros((3, 32), np.int64)
    launch(kernel, 1, 32, out)
    left = np.arange(32) % 3 == 0
    mask = sum(1 << i for i in range(32) if i % 3)
    assert (out[0] == np.where(left, 0, mask)).all()
    expected = [0 if i % 3 == 0 else (i + 1 if i % 3 == 1 and i < 31 else i) for i in range(32)]
    assert out[1].tolist() == expected
    assert (out[2] == np.where(left, 0, 2 * np.arange(32))).all()
    with pytest.raises(
        errors.InactiveLaneError, match="lane 2 shuffles from lane 3, which has ret"
    ):
        launch(kernel, 1, 32, out, debug=True)


def test_a_shuffle_from_a_lane_that_does_not_exist(launch):
    def kernel(out):
        out[threadIdx.x] = shfl_xor_sync(FULL, threadIdx.x, 4)

    out = np.zeros(5, np.int64)
    launch(kernel, 1, 5, out)
    assert out.tolist() == [4, 1, 2, 3, 0]
    with pytest.raises(errors.InactiveLaneError, match="lane 5, which does not exist") as raised:
        launch(kernel, 1, 5, out, debug=True)
    assert raised.value.thread == (1, 0, 0)


def test_halves_of_a_warp_work_apart(launch):
    def kernel(out):
        i = threadIdx.x
        if i < 16:
            out[i] = ballot_sync(0xFFFF, i % 2 == 0)
            syncwarp(0xFFFF)
        else:
            out[i] = shfl_xor_sync(0xFFFF0000, i, 1)
        syncwarp()

    out = np.zeros(32, np.int64)
    launch(kernel, 1, 32, out)
    assert (out[:16] == 0x5555).all()
    assert (out[16:] == np.arange(16, 32) ^ 1).all()


def test_warp_operations_in_branches_of_whole_warps_before_a_barrier(launch):
    def kernel(out):
        i = threadIdx.x
        value = i
        for _ in range(i // 32):
            value = shfl_up_sync(FULL, value, 1)
        syncthreads()
        out[i] = value

    out = np.zeros(96, np.int64)
    launch(kernel, 1, 96, out)
    lane = np.arange(32)
    assert (out[:32] == lane).all()
    assert (out[32:64] == 32 + np.maximum(lane - 1, 0)).all()
    assert (out[64:] == 64 + np.where(lane < 2, 0, lane - 2)).all()


def test_activemask_is_the_lanes_of_a_branch(launch):
    def kernel(out):
        i = threadIdx.x
        if i % 2 == 0:
            mask = activemask()
            out[i] = ballot_sync(mask, True)
        elif i != 7:
            out[i] = activemask()

    out = np.zeros(34, np.int64)
    launch(kernel, 1, 34, out)
    assert (out[0:32:2] == 0x55555555).all()
    assert (out[[1, 3, 5, 9, 31]] == 0xAAAAAAAA & ~128).all()
    assert out[[7, 32, 33]].tolist() == [0, 1, 2]


def missing(out):
    i = threadIdx.x
    if i != 3:
        out[i] = ballot_sync(FULL, True)
    else:
        syncthreads()


def test_a_lane_that_does_not_come(launch):
    with pytest.raises(errors.DivergenceError) as raised:
        launch(missing, 1, 40, np.zeros(40, np.int64))
    message = raised.value.message
    assert (
        "31 threads, (0, 0, 0) to (2, 0, 0), (4, 0, 0) to (31, 0, 0), wait in ballot_sync with mask 0xffffffff"
        in message
    )
    assert "thread (3, 0, 0) waits in syncthreads at" in message
    assert "8 threads, (32, 0, 0) to (39, 0, 0), have returned" in message


def test_masks_that_differ_or_do_not_name_the_caller(launch):
    def differ(out):
        out[threadIdx.x] = ballot_sync(0xF if threadIdx.x else 0x7, True)

    def unnamed(out):
        out[threadIdx.x] = ballot_sync(0x3, True)

    with pytest.raises(errors.DivergenceError, match="lanes of a warp wait for others"):
        launch(differ, 1, 4, np.zeros(4, np.int64))
    with pytest.raises(
        errors.DivergenceError, match="lane 2 calls ballot_sync with the mask 0x0000"
    ):
        launch(unnamed, 1, 4, np.zeros(4, np.int64))
