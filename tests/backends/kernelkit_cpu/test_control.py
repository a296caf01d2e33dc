"""Control flow of vectors and of blocks: beside the reference, on data that parts the lanes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import registry, shared, syncthreads
from kernelkit_cpu import CpuBackend
from kernelkit_cpu.targets import CpuTarget

Agree = Callable[..., list[Any]]
#: Vectors, and a part of one, whatever their width.
BLOCK = 77


@pytest.fixture(scope="module", params=[None, 4, 32, 64])
def width(request: pytest.FixtureRequest) -> Iterator[str]:
    """A back end with vectors of so many lanes; None: its own choice."""
    name = f"cpu-lanes-{request.param}"
    registry.register(CpuBackend(name, CpuTarget.parse("native"), request.param))
    yield name
    registry.unregister(name)


# ---------------------------------------------------------------- loops that lanes leave one by one
@kk.kernel
def counts(src, out):
    """while, with both ways out and a way on."""
    i = kk.threadIdx.x
    n, steps = src[i], 0
    while n > 0:
        n -= 1
        if n % 7 == 3:
            continue
        if n % 11 == 5 and steps > 4:
            break
        steps += n
    out[0, i] = n
    out[1, i] = steps


@kk.kernel
def ranges(src, out):
    """Bounds and steps that differ between lanes."""
    i = kk.threadIdx.x
    total, last = 0, -1
    for k in range(src[i] % 5, src[(i + 1) % 77], src[(i + 2) % 77] % 4 + 1):
        total += k
        last = k
    for k in range(src[i], -5, -(i % 3) - 1):
        if k == 2:
            continue
        total = total * 3 + k
    out[0, i] = total
    out[1, i] = last


@kk.kernel
def nested(src, out):
    i = kk.threadIdx.x
    total = 0
    for a in range(src[i] % 6):
        for b in range(5):
            if (a + b + i) % 4 == 0:
                continue
            if b > src[i] % 5:
                break
            k = a
            while k < 20:
                k += b + 1
                if k % 5 == 0:
                    break
                total += k
            total += 1000
        if total > 20000:
            break
    out[0, i] = total


@kk.kernel
def uniform_ways_out(src, out):
    """Jumps that all lanes take which come there, after some have gone elsewhere."""
    i = kk.threadIdx.x
    total = 0
    for k in range(10):
        if src[i] % (k + 2) == 1:
            total += 100
            continue
        if k == 6:
            break
        total += k
    for k in range(10):
        if src[i] % (k + 2) == 1:
            break
        if k % 3 == 1:
            continue
        total += 10 * k
    k = 0
    while k < 12:
        k += 1
        if src[(i + k) % 77] % 3 == 0:
            continue
        total += 7
        if k == 9:
            break
    out[0, i] = total
    out[1, i] = k


@kk.kernel
def returns(src, out):
    i = kk.threadIdx.x
    for k in range(20):
        if src[i] == k:
            out[0, i] = -k
            return
        for j in range(k):
            if src[i] * 3 == j + 2:
                return
            out[1, i] += j
    while src[i] > 30:
        if i % 2:
            return
        break
    out[2, i] = 5
    if src[i] % 3 == 0:
        return
    out[3, i] = 6


@kk.kernel
def ways_of_ifs(src, out):
    """elif, arms of one side, arms that a select can do, and such in one another."""
    i = kk.threadIdx.x
    x, y = src[i], 1
    if x % 5 == 0:
        y = 2
    elif x % 5 == 1:
        y = x // 3
        out[1, i] = y
    elif x > 20:
        y = 9
    else:
        if x % 2:
            y = x * x
        else:
            out[2, i] = x
        y += 3
    if x > 10:
        pass
    else:
        out[3, i] = y
    if i < 40:
        if x % 2 == 0:
            y = y - 1 if x % 3 else y + 1
    out[0, i] = y


KERNELS = (counts, ranges, nested, uniform_ways_out, returns, ways_of_ifs)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.__name__)
def test_vectors(agree: Agree, width: str, kernel: Any) -> None:
    rng = np.random.default_rng()
    out = np.zeros((4, BLOCK), np.int64)
    agree(kernel, 1, BLOCK, rng.integers(0, 40, BLOCK), out, on=width)
    for value in (0, 1, 33):
        agree(kernel, 1, BLOCK, np.full(BLOCK, value), out, on=width)


# ---------------------------------------------------------------- device functions
@kk.device
def classified(x, y):
    if x < 0:
        return -1
    for k in range(5):
        if x == y + k:
            return k
        if x > 35:
            x -= 1
    return 9


@kk.device
def tree(x):
    if x % 2:
        return classified(x - 20, 3) + 1
    if x > 30:
        return classified(x, classified(x, 35))
    return 0


@kk.kernel
def calls(src, out):
    i = kk.threadIdx.x
    out[0, i] = classified(src[i] - 5, i)
    out[1, i] = tree(src[i])
    if src[i] > 10:
        out[2, i] = tree(src[i] + 1) + classified(src[0], 4)


def test_functions_that_return_early(agree: Agree, width: str) -> None:
    rng = np.random.default_rng()
    agree(calls, 1, BLOCK, rng.integers(0, 40, BLOCK), np.zeros((3, BLOCK), np.int64), on=width)


# ---------------------------------------------------------------- across barriers
@kk.kernel(reproducible=True)
def kept_across_barriers(src, out, n):
    """Names of each kind: the block's, vectors', lanes' own, bools, complex ones."""
    i, j = kk.threadIdx.x, kk.threadIdx.y
    tile = shared.array((3, 40), np.float64)
    row = j * 2 + 1
    twice, first = 2 * i, src[j, 0]
    big = src[j, i] > 0
    z = src[j, i] * 1j + j
    total = 0.0
    for k in range(n):
        tile[j, i] = src[j, i] + k
        step = k * 3
        syncthreads()
        if big:
            total += tile[(j + 1) % 3, 39 - i] * step
            z = z * 2
        elif k % 2:
            twice += 1
        big = big != (i % 3 == k)
        syncthreads()
    out[0, j, i] = total + row + twice + first
    out[1, j, i] = z.real + z.imag + big


@pytest.mark.parametrize("turns", [0, 1, 4])
def test_names_across_barriers(agree: Agree, width: str, turns: int) -> None:
    src = np.random.default_rng().normal(size=(3, 40))
    agree(kept_across_barriers, 2, (40, 3), src, np.zeros((2, 3, 40)), turns, on=width)


@kk.kernel
def some_return(src, out):
    """Threads that return between barriers; the others go on, and decide."""
    i = kk.threadIdx.x
    total = shared.array(1, np.int64)
    mine = src[i]
    for k in range(6):
        if mine % 7 == k:
            out[0, i] = k + 1
            return
        syncthreads()
        if i == 0 or mine % 5 == 4:
            total[0] = k
        syncthreads()
        out[1, i] += total[0] + mine
    out[2, i] = 1
    if mine > 25:
        return
    syncthreads()
    out[3, i] = total[0]


@kk.kernel
def all_return(src, out, n):
    """A loop whose condition nobody is left to change."""
    i = kk.threadIdx.x
    flag = shared.array(1, np.int64)
    flag[0] = 0
    syncthreads()
    while flag[0] < n:
        if src[i] >= 0:
            out[0, i] = 3
            return
        syncthreads()
        if i == 0:
            flag[0] += 1
        syncthreads()
    out[1, i] = 1


@kk.kernel
def block_jumps(src, out, n):
    """Jumps that the whole block takes, out of loops with barriers."""
    i = kk.threadIdx.x
    tile = shared.array(77, np.int64)
    done = 0
    for a in range(5):
        tile[i] = src[i] + a
        syncthreads()
        if a == n:
            continue
        k = 0
        while True:
            syncthreads()
            done += tile[(i + k) % 77]
            k += 1
            if k > a:
                break
            syncthreads()
            if tile[0] > 20 and k == 2:
                break
        syncthreads()
        if a > n + 2:
            break
        done += 1000
        syncthreads()
    out[0, i] = done
    out[1, i] = k


@kk.kernel
def votes(src, out):
    i = kk.threadIdx.x
    if src[i] == 7:
        return
    out[0, i] = kk.syncthreads_count(src[i] > 20)
    out[1, i] = kk.syncthreads_or(src[i] == 39)
    out[2, i] = kk.syncthreads_and(src[i] != 7)
    rounds = 0
    while kk.syncthreads_or(rounds < src[i] % 6):
        rounds += 1
        if kk.syncthreads_count(rounds == 4):
            out[3, i] += 10
    out[3, i] += rounds


BLOCKS = (some_return, all_return, votes)


@pytest.mark.parametrize("kernel", BLOCKS, ids=lambda k: k.__name__)
def test_blocks(agree: Agree, width: str, kernel: Any) -> None:
    rng = np.random.default_rng()
    more = (3,) if kernel is all_return else ()
    out = np.zeros((4, BLOCK), np.int64)
    agree(kernel, 2, BLOCK, rng.integers(0, 40, BLOCK), out, *more, on=width)
    for value in (7, 20):
        agree(kernel, 1, BLOCK, np.full(BLOCK, value), out, *more, on=width)


@pytest.mark.parametrize("turn", [0, 2, 9])
def test_jumps_of_the_whole_block(agree: Agree, width: str, turn: int) -> None:
    src = np.random.default_rng().integers(0, 40, BLOCK)
    agree(block_jumps, 2, BLOCK, src, np.zeros((2, BLOCK), np.int64), turn, on=width)


@kk.device
def met(tile, i, x):
    """Threads that leave a function after a barrier, one by one, and those that go on."""
    tile[i] = x
    syncthreads()
    if x % 3 == 0:
        return tile[76 - i]
    y = tile[0]
    if x % 3 == 1:
        return y + 5
    y += tile[1]
    return y * x


@kk.kernel
def meets(src, out):
    i = kk.threadIdx.x
    tile = shared.array(77, np.int64)
    a = met(tile, i, src[i])
    syncthreads()
    out[0, i] = met(tile, i, a) + a
    syncthreads()
    out[1, i] = tile[(i + 1) % 77]


def test_functions_with_barriers(agree: Agree, width: str) -> None:
    src = np.random.default_rng().integers(0, 40, BLOCK)
    agree(meets, 1, BLOCK, src, np.zeros((2, BLOCK), np.int64), on=width)


# ---------------------------------------------------------------- debug builds
@kk.kernel(debug=True)
def named_late(src, out, n):
    """Names that the block assigns, which only some launches or threads have."""
    i = kk.threadIdx.x
    for k in range(n):
        syncthreads()
    if n > 2:
        votes = kk.syncthreads_count(src[i] > 20)
    if src[i] % 2:
        mine = i
    syncthreads()
    out[0, i] = k
    if n > 1:
        out[1, i] = votes
    if src[i] % 2:
        out[2, i] = mine


@pytest.mark.parametrize("turns", [0, 1, 2, 4])
def test_names_that_debug_builds_find_unassigned(agree: Agree, width: str, turns: int) -> None:
    src = np.random.default_rng().integers(0, 40, BLOCK)
    found = agree(named_late, 1, BLOCK, src, np.zeros((3, BLOCK), np.int64), turns, on=width)
    assert isinstance(found[0], type) == (turns in (0, 2))
