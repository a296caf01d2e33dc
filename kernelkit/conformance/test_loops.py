"""Loops: ranges of any step, the loop variable, else, break, continue; under divergence too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.conformance.launching import Runner, poison

COUNT = 77


@kk.kernel
def for_range(bounds, out):
    i = kk.grid(1)
    if i < out.shape[0]:
        start = bounds[i, 0]
        stop = bounds[i, 1]
        step = bounds[i, 2]
        total = 0
        rounds = 0
        last = -777
        for k in range(start, stop, step):
            total += k * (rounds + 1)
            rounds += 1
            last = k
        out[i, 0] = total
        out[i, 1] = rounds
        out[i, 2] = last


def summed(start: int, stop: int, step: int) -> list[int]:
    values = list(range(start, stop, step))
    total = sum(k * (n + 1) for n, k in enumerate(values))
    return [total, len(values), values[-1] if values else -777]


def test_ranges_of_any_bounds_and_step(run: Runner, rng: np.random.Generator) -> None:
    bounds = rng.integers(-12, 13, (COUNT, 3))
    bounds[bounds[:, 2] == 0, 2] = -1
    out = run(for_range, 3, 32, bounds, poison((COUNT, 3), np.int64))
    np.testing.assert_array_equal(out, [summed(*row) for row in bounds.tolist()])


@kk.kernel
def constant_ranges(n, out):
    a, b, c, d, e = 0, 0, 0, 0, 0
    for k in range(5):
        a += k
    for k in range(3, n):
        b = 10 * b + k
    for k in range(7, 0, -2):
        c = 10 * c + k
    for k in range(n, n):
        d = 1
    for k in range(0, -5):
        e = 1
    out[0] = a
    out[1] = b
    out[2] = c
    out[3] = d
    out[4] = e


def test_ranges_known_when_compiling(run: Runner) -> None:
    out = run(constant_ranges, 1, 1, 6, poison(5, np.int64))
    np.testing.assert_array_equal(out, [10, 345, 7531, 0, 0])


@kk.kernel
def loop_variable(n, out):
    k = -5
    for k in range(n):
        pass
    out[0] = k
    for j in range(2, 9, 3):
        out[1] = j
        j = 100
        out[2] = j
    out[3] = j
    total = 0
    for m in range(4):
        total += m
        m += 10
        total += m
    out[4] = total
    stop = 3
    rounds = 0
    for q in range(stop):
        stop = 10
        rounds += 1
    out[5] = rounds


@pytest.mark.parametrize("n", [0, 1, 7])
def test_the_loop_variable(run: Runner, n: int) -> None:
    """It keeps its last value; assigning it, or the bounds, does not change the iteration."""
    out = run(loop_variable, 1, 1, n, poison(6, np.int64))
    np.testing.assert_array_equal(out, [n - 1 if n else -5, 8, 100, 100, 6 + 6 + 40, 3])


@kk.kernel
def loop_else(src, wanted, out):
    i = kk.grid(1)
    if i < src.shape[0]:
        for k in range(src.shape[1]):
            if src[i, k] == wanted:
                out[i, 0] = k
                break
        else:
            out[i, 0] = -1
        k = 0
        while k < src.shape[1]:
            if src[i, k] > wanted:
                out[i, 1] = k
                break
            k += 1
        else:
            out[i, 1] = -2


def test_else_of_loops(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(0, 6, (COUNT, 4)).astype(np.int32)
    out = run(loop_else, 3, 32, src, 4, poison((COUNT, 2), np.int64))
    for row, got in zip(src.tolist(), out.tolist(), strict=True):
        found = row.index(4) if 4 in row else -1
        above = next((k for k, x in enumerate(row) if x > 4), -2)
        assert got == [found, above]


@kk.kernel
def else_with_empty_body(n, out):
    out[0] = 0
    for k in range(n):
        out[0] += 1
    else:
        out[0] += 100
    while n < 0:
        n += 1
    else:
        out[0] += 1000


@pytest.mark.parametrize("n", [0, 3, -2])
def test_else_of_loops_that_end_by_themselves(run: Runner, n: int) -> None:
    out = run(else_with_empty_body, 1, 1, n, poison(1, np.int64))
    assert out[0] == 1100 + max(n, 0)


@kk.kernel
def collatz(src, out):
    i = kk.grid(1)
    if i < out.size:
        n = src[i]
        steps = 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        out[i] = steps


def collatz_steps(n: int) -> int:
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_divergent_while_loops(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    src = rng.integers(1, 99, COUNT).astype(dtype)
    out = run.over(collatz, src, poison(COUNT, np.int32))
    np.testing.assert_array_equal(out, [collatz_steps(n) for n in src.tolist()])


def walk(limits: Any, skip: Any, stop: Any) -> tuple[int, int]:
    """What `nested_loops` computes for one thread, in plain Python."""
    total, visits = 0, 0
    for a in range(limits):
        if a % skip == 1:
            continue
        b = 0
        while True:
            b += 1
            visits += 1
            if b > a + 2:
                break
            if (a + b) % skip == 0:
                continue
            for c in range(b):
                if c == stop:
                    break
                total += a * 100 + b * 10 + c
            else:
                total -= 1
        if total > 3000:
            break
    return total, visits


@kk.kernel
def nested_loops(src, out):
    i = kk.grid(1)
    if i >= src.shape[0]:
        return
    total = 0
    visits = 0
    for a in range(src[i, 0]):
        if a % src[i, 1] == 1:
            continue
        b = 0
        while True:
            b += 1
            visits += 1
            if b > a + 2:
                break
            if (a + b) % src[i, 1] == 0:
                continue
            for c in range(b):
                if c == src[i, 2]:
                    break
                total += a * 100 + b * 10 + c
            else:
                total -= 1
        if total > 3000:
            break
    out[i, 0] = total
    out[i, 1] = visits


def test_nested_break_and_continue(run: Runner, rng: np.random.Generator) -> None:
    src = np.stack(
        [rng.integers(0, 8, COUNT), rng.integers(2, 5, COUNT), rng.integers(0, 6, COUNT)], axis=1
    ).astype(np.int32)
    out = run(nested_loops, 3, 32, src, poison((COUNT, 2), np.int64))
    np.testing.assert_array_equal(out, [walk(*row) for row in src.tolist()])


@kk.kernel
def escape_time(points, out):
    """Mandelbrot: a float loop with a divergent break."""
    i = kk.grid(1)
    if i < out.size:
        x = points[i, 0]
        y = points[i, 1]
        u, v = x, y
        for k in range(40):
            if u * u + v * v > 4.0:
                out[i] = k
                break
            u, v = u * u - v * v + x, 2 * u * v + y
        else:
            out[i] = 40


def test_divergent_breaks(run: Runner, rng: np.random.Generator) -> None:
    points = (rng.integers(-16, 17, (400, 2)) / 8).astype(np.float32)
    steps = []
    for x, y in points.astype(np.float64).tolist():
        c = z = complex(x, y)
        k = 0
        while k < 40 and abs(z) <= 2:
            z, k = z * z + c, k + 1
        steps.append(k)
    # Multiples of 1/8 keep the first rounds exact: no rounding decides when those leave. Points
    # near 0 never do.
    sure = (np.array(steps) <= 3) | (np.hypot(points[:, 0], points[:, 1]) < 0.2)
    expected = np.array(steps)[sure][:COUNT]
    out = run.over(escape_time, points[sure][:COUNT], poison(expected.size, np.int32))
    np.testing.assert_array_equal(out, expected)
