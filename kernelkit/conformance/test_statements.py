"""Branches, returns, assignments of every form, chained comparisons."""

from __future__ import annotations

import numpy as np

import kernelkit as kk
from kernelkit.conformance.launching import Runner, poison

COUNT = 77


@kk.kernel
def early_returns(src, out):
    i = kk.grid(1)
    if i >= out.size:
        return
    x = src[i]
    out[i] = 1
    if x < 0:
        return
    out[i] = 2
    for k in range(5):
        if x == k:
            out[i] = 10 + k
            return
        if x == 9:
            break
    else:
        out[i] = 3
        if x > 20:
            return
        out[i] = 4
    out[i] += 100


def test_returns_anywhere(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-3, 25, COUNT).astype(np.int32)

    def expected(x: int) -> int:
        if x < 0:
            return 1
        if x < 5:
            return 10 + x
        if x == 9:
            return 102
        return 3 if x > 20 else 104

    out = run.over(early_returns, src, poison(COUNT, np.int32))
    np.testing.assert_array_equal(out, [expected(x) for x in src.tolist()])


@kk.kernel
def branches(src, out):
    i = kk.grid(1)
    if i < out.size:
        x = src[i]
        if x < -5:
            y = 1
        elif x < 0:
            y = 2
            if x == -1:
                y = 20
        elif x == 0:
            pass
            y = 3
        else:
            if x % 2:
                y = 4
            else:
                y = 5
            y *= 2
        if x and not x > 3:
            y += 100
        if not x:
            y += 1000
        out[i] = y


def test_branches(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-9, 10, COUNT).astype(np.int32)

    def expected(x: int) -> int:
        y = (
            1
            if x < -5
            else 20
            if x == -1
            else 2
            if x < 0
            else 3
            if x == 0
            else 8 + 2 * (x % 2 == 0)
        )
        return y + 100 * (x != 0 and x <= 3) + 1000 * (x == 0)

    out = run.over(branches, src, poison(COUNT, np.int32))
    np.testing.assert_array_equal(out, [expected(x) for x in src.tolist()])


@kk.kernel
def assignments(src, out):
    i = kk.grid(1)
    if i < src.size:
        a = b = src[i]
        a += 1
        c, d = b * 2, a
        c, d = d, c
        (e, f), g = (c - 1, d - 1), c + d
        if (h := e + f) > 10:
            h -= 10
        k: int = h
        m: np.int32
        m = k * 2
        out[i, 0] = a
        out[i, 1] = c
        out[i, 2] = d
        out[i, 3] = g
        out[i, 4] = h
        out[i, 5] = m + (n := i) + n


def test_assignments(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-20, 20, COUNT)
    rows = []
    for i, b in enumerate(src.tolist()):
        a, c, d = b + 1, b + 1, b * 2
        h = c - 1 + d - 1
        h = h - 10 if h > 10 else h
        rows.append([a, c, d, c + d, h, 2 * h + 2 * i])
    np.testing.assert_array_equal(run(assignments, 3, 32, src, poison((COUNT, 6), np.int64)), rows)


@kk.kernel
def augmented_elements(src, out):
    i = kk.grid(1)
    if i < src.size:
        row = out[i]
        row[0] += src[i]
        row[1] -= 2 * src[i]
        row[2] *= 3
        row[3] //= 4
        row[4] %= 5
        row[5] **= 2
        row[6] <<= 2
        row[7] >>= 1
        out[i, 8] &= 12
        out[i, 9] |= 3
        out[i, 10] ^= src[i]


def test_augmented_assignment_of_elements(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-50, 50, COUNT)
    x = rng.integers(-50, 50, (COUNT, 11))
    c = x.T
    expected = [
        c[0] + src, c[1] - 2 * src, c[2] * 3, c[3] // 4, c[4] % 5, c[5] ** 2, c[6] << 2, c[7] >> 1,
        c[8] & 12, c[9] | 3, c[10] ^ src,
    ]  # fmt: skip
    np.testing.assert_array_equal(
        run(augmented_elements, 3, 32, src, x), np.stack(expected, axis=1)
    )


@kk.kernel
def chained(src, out):
    i = kk.grid(1)
    if i < src.size:
        x = src[i]
        out[i, 0] = -3 < x <= 3
        out[i, 1] = 0 < x < 10 > i
        out[i, 2] = x == x == 2
        out[i, 3] = not -5 <= x != 4
        out[i, 4] = x in (1, 3, 5)
        out[i, 5] = x not in (2, -2)


def test_chained_comparisons_and_membership(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-6, 7, COUNT)
    rows = [
        [-3 < x <= 3, 0 < x < 10 > i, x == 2, not -5 <= x != 4, x in (1, 3, 5), x not in (2, -2)]
        for i, x in enumerate(src.tolist())
    ]
    np.testing.assert_array_equal(run(chained, 3, 32, src, poison((COUNT, 6), np.bool_)), rows)


@kk.kernel
def maybe_unassigned(src, out):
    i = kk.grid(1)
    if i < out.size:
        if src[i] > 0:
            found = src[i] * 2
        if src[i] > 0:
            out[i] = found
        else:
            out[i] = -1


def test_a_name_assigned_on_the_paths_that_read_it(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-9, 9, COUNT).astype(np.int32)
    out = run.over(maybe_unassigned, src, poison(COUNT, np.int32))
    np.testing.assert_array_equal(out, np.where(src > 0, 2 * src, -1))
