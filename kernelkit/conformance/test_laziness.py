"""`and`, `or`, conditional expressions and chains evaluate what Python would, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import atomic
from kernelkit.conformance.launching import Runner, poison

COUNT = 50


@kk.kernel
def guards(src, indices, out):
    """Most indices lie far outside: an access that Python would not make must not be made."""
    i = kk.grid(1)
    if i < indices.size:
        k = indices[i]
        n = src.size
        out[i, 0] = 0 <= k and k < n and src[k] > 0
        out[i, 1] = k < 0 or k >= n or src[k] > 0
        out[i, 2] = src[k] if 0 <= k < n else -7
        out[i, 3] = -8 if not 0 <= k < n else src[k] * 2
        out[i, 4] = (0 <= k < n and src[k] > 0) or k == 10**9
        out[i, 5] = 0 <= k < n < src[k] + 1000
        if 0 <= k < n and (src[k] > 0 or (k + 1 < n and src[k + 1] > 0)):
            out[i, 6] = src[k]
        else:
            out[i, 6] = -9
        steps = 0
        while 0 <= k < n and src[k] != 0:
            k += 1
            steps += 1
        out[i, 7] = steps


def test_no_access_that_python_would_not_make(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-2, 3, 40)
    indices = rng.integers(-5, 45, COUNT)
    indices[::4] = rng.choice(np.array([10**9, -(10**9), 2**62, -(2**62)]), indices[::4].size)
    rows = []
    for k in indices.tolist():
        inside = 0 <= k < 40
        x = int(src[k]) if inside else 0
        following = int(src[k + 1]) if inside and k < 39 else 0
        steps = 0
        while inside and k + steps < 40 and src[k + steps] != 0:
            steps += 1
        row = [inside and x > 0, not inside or x > 0, x if inside else -7]
        row += [2 * x if inside else -8, (inside and x > 0) or k == 10**9, inside]
        row += [x if inside and (x > 0 or following > 0) else -9, steps]
        rows.append(row)
    out = run(guards, 2, 32, src, indices, poison((COUNT, 8), np.int64))
    np.testing.assert_array_equal(out, np.array(rows, np.int64))


@kk.device
def visit(counter, k, answer):
    atomic.add(counter, k, 1)
    return answer


@kk.kernel
def effects(src, counter, out):
    i = kk.grid(1)
    if i < src.size:
        x = src[i]
        out[i, 0] = x > 0 and visit(counter, 0, x > 1)
        out[i, 1] = x > 0 or visit(counter, 1, x < -1)
        out[i, 2] = visit(counter, 2, 5) if x == 0 else visit(counter, 3, 6)
        out[i, 3] = x > 0 and visit(counter, 4, True) and x > 1 and visit(counter, 5, x > 2)
        out[i, 4] = -1 < x < visit(counter, 6, 2)
        out[i, 5] = x == 0 or (x > 0 and visit(counter, 7, False)) or visit(counter, 8, True)
        n = 0
        while n < x and visit(counter, 9, True):
            n += 1
        out[i, 6] = n


@pytest.mark.needs(atomics="int32")
def test_effects_happen_where_python_would_reach_them(
    run: Runner, rng: np.random.Generator
) -> None:
    src = rng.integers(-3, 4, COUNT).astype(np.int32)
    counter = [0] * 10

    def seen(k: int, answer: Any) -> Any:
        counter[k] += 1
        return answer

    rows = []
    for x in src.tolist():
        row = [
            x > 0 and seen(0, x > 1),
            x > 0 or seen(1, x < -1),
            seen(2, 5) if x == 0 else seen(3, 6),
            x > 0 and seen(4, True) and x > 1 and seen(5, x > 2),
            -1 < x < seen(6, 2),
            x == 0 or (x > 0 and seen(7, False)) or seen(8, True),
        ]
        n = 0
        while n < x and seen(9, True):
            n += 1
        rows.append([int(value) for value in [*row, n]])
    _, after, out = run.arrays(
        effects, 2, 32, src, np.zeros(10, np.int32), poison((COUNT, 7), np.int32)
    )
    np.testing.assert_array_equal(out, rows)
    np.testing.assert_array_equal(after, counter)


@kk.kernel
def values_of_logic(src, out):
    """Of numbers, `and` and `or` give the operand that decides."""
    i = kk.grid(1)
    if i < src.size:
        x = src[i]
        out[i, 0] = x and 5
        out[i, 1] = x or 7
        out[i, 2] = x - 1 and x + 1 and x * 10
        out[i, 3] = (x > 0 and x) or -x


def test_logic_of_numbers(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-3, 4, COUNT)
    rows = [
        [x and 5, x or 7, x - 1 and x + 1 and x * 10, (x > 0 and x) or -x] for x in src.tolist()
    ]
    out = run(values_of_logic, 2, 32, src, poison((COUNT, 4), np.int64))
    np.testing.assert_array_equal(out, rows)


@kk.kernel
def order_of_evaluation(counter, out):
    """Left to right, as in Python: each visit sees the number of those before it."""
    i = kk.grid(1)
    if i == 0:
        out[0] = ticket(counter) * 100 + ticket(counter) * 10 + ticket(counter)
        out[ticket(counter)] = ticket(counter)
        a, b = ticket(counter), ticket(counter)
        out[1] = 10 * a + b
        out[2] = minus(b=ticket(counter), a=ticket(counter))


def ticket(counter):
    counter[0] += 1
    return counter[0]


def minus(a, b):
    return 10 * a + b


def test_effects_are_in_order(run: Runner) -> None:
    out = run(order_of_evaluation, 1, 1, np.zeros(1, np.int64), poison(6, np.int64))
    # A store's value comes before its index.
    expected = poison(6, np.int64)
    expected[0] = 123
    expected[5] = 4
    expected[1] = 67
    expected[2] = 98
    np.testing.assert_array_equal(out, expected)


@kk.kernel
def reads_before_writes(a, out):
    i = kk.grid(1)
    if i < out.size:
        x = a[i]
        x = x + (x := x + 1) * 10
        y = a[i] + bump(a, i)
        z = x < a[i] + 1000 < bump(a, i) + 1000  # The middle is read once, before the bump.
        total = 0
        for value in (x, x + 1):  # The tuple is there before the loop.
            x = 0
            total += value
        out[i] = 1000 * total + 10 * y + z


def bump(a, i):
    a[i] += 5
    return a[i]


def test_an_operand_keeps_the_value_it_had(run: Runner, rng: np.random.Generator) -> None:
    a = rng.integers(0, 9, 20)
    out = run.over(reads_before_writes, a, poison(20, np.int64))
    x = a + 10 * (a + 1)
    np.testing.assert_array_equal(out, 1000 * (2 * x + 1) + 10 * (a + a + 5) + 1)


@kk.kernel
def element_of_an_element(indices, out):
    i = kk.grid(1)
    if i < out.shape[0]:
        mine = indices[i]
        out[i, mine[0]] += bump(mine, 0)


def test_an_augmented_element_is_found_once(run: Runner, rng: np.random.Generator) -> None:
    """Its index is evaluated before the operand, which changes what the index was made of."""
    indices = rng.integers(0, 4, (20, 1))
    start = rng.integers(-9, 9, (20, 12))
    out = run(element_of_an_element, 1, 32, indices, start)
    expected = start.copy()
    expected[np.arange(20), indices[:, 0]] += indices[:, 0] + 5
    np.testing.assert_array_equal(out, expected)
