"""The problems: what goes in, what must come out, and what a machine has to do for it at least.

In: a size. Out: a Problem, which every contender (ours, and each peer) solves from its `inputs`.
Holds: inputs are random, from a fixed seed; what is expected comes from NumPy, SciPy or
PyWavelets, in float64 wherever that is a question of rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

#: Where the picture of the Mandelbrot set lies: left, top, and the length of its sides.
LEFT, TOP, EXTENT = -2.0, -1.25, 2.5
STEPS = 200
BINS = 256
#: Instructions that a step of the Mandelbrot set needs: 2 multiplications, 4 additions or fused
#: ones, a comparison.
STEP_OPERATIONS = 7
EPSILON = float(np.finfo(np.float32).eps)


class Runner(NamedTuple):
    """A contender on one problem: `run` solves it, into memory of its own that `result` shows."""

    run: Callable[[], object]
    result: Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Problem:
    """What contenders get, and what becomes of it."""

    inputs: tuple[Any, ...]
    expected: np.ndarray
    #: Bytes that must come from memory and go there.
    moved: int
    #: Floating-point instructions for each element; a fused multiply-add is one. 0: not counted.
    operations: int = 0
    #: A result may be off by so much, relative to what is expected, and to 1.
    relative: float = 8 * EPSILON
    absolute: float = 0.0
    #: The part of the elements for which that must hold.
    share: float = 1.0

    def check(self, result: np.ndarray) -> None:
        """Raise AssertionError where the result is wrong."""
        assert result.shape == self.expected.shape, f"{result.shape}, not {self.expected.shape}"
        close = np.isclose(result, self.expected, self.relative, self.absolute)
        right = float(np.mean(close)) if close.size else 1.0
        if right < self.share:
            where = tuple(map(int, np.argwhere(~close)[0]))
            raise AssertionError(
                f"{1 - right:.3%} of the elements are wrong, the first at {where}: "
                f"{result[where]}, not {self.expected[where]}"
            )


def blank(shape: int | tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """Memory for a result; what a contender forgets to write is not mistaken for an answer."""
    return np.full(shape, np.nan if issubclass(dtype, np.floating) else -1, dtype)


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).random(shape, np.float32)


# ---------------------------------------------------------------- images
def correlation(height: int, width: int) -> Problem:
    """A 5x5 correlation; beyond the border the nearest pixel counts."""
    return _correlation(_random(height, width), "nearest")


def mirrored_correlation(height: int, width: int) -> Problem:
    """A 5x5 correlation; the image is mirrored at its border."""
    return _correlation(_random(height, width), "reflect")


def reversed_correlation(height: int, width: int) -> Problem:
    """A 5x5 correlation of an image that is seen from right to left."""
    return _correlation(_random(height, width)[:, ::-1], "nearest")


def _correlation(src: np.ndarray, mode: str) -> Problem:
    from scipy import ndimage

    weights = _random(5, 5) / 25
    expected = ndimage.correlate(src.astype(np.float64), weights.astype(np.float64), mode=mode)
    return Problem((src, weights), expected, 2 * src.nbytes, 25 * src.size)


def sobel(height: int, width: int) -> Problem:
    """The length of the gradient of an image that goes around."""
    from scipy import ndimage

    src = _random(height, width)
    exact = src.astype(np.float64)
    expected = np.hypot(*(ndimage.sobel(exact, axis, mode="wrap") for axis in (0, 1)))
    return Problem((src,), expected, 2 * src.nbytes, 13 * src.size, absolute=16 * EPSILON)


def wavelet(height: int, width: int) -> Problem:
    """One level of the db4 transform along the rows: cA above cD."""
    import pywt

    src = _random(height, width)
    expected = np.stack(pywt.dwt(src.astype(np.float64), "db4", axis=-1))
    moved = src.nbytes + 4 * expected.size
    return Problem((src,), expected, moved, 8 * expected.size, absolute=4 * EPSILON)


def mandelbrot(height: int, width: int) -> Problem:
    """Steps until a point escapes; points at the very edge of the set depend on rounding."""
    step = EXTENT / max(height, width)
    x = np.float32(LEFT) + np.arange(width, dtype=np.float32) * np.float32(step)
    y = np.float32(TOP) + np.arange(height, dtype=np.float32) * np.float32(step)
    counts = np.zeros((height, width), np.int32)
    c = (x + 1j * y[:, None]).ravel()
    z, alive = np.zeros_like(c), np.arange(c.size)
    for _ in range(STEPS):
        inside = z.real**2 + z.imag**2 <= 4
        alive, z, c = alive[inside], z[inside], c[inside]
        counts.ravel()[alive] += 1
        z = z * z + c
    steps = int(counts.sum())
    inputs = (counts.shape, LEFT, TOP, step, STEPS)
    return Problem(inputs, counts, counts.nbytes, STEP_OPERATIONS * steps, share=0.98)


# ---------------------------------------------------------------- rows of numbers
def saxpy(size: int) -> Problem:
    a, x, y = np.float32(0.37), _random(size), _random(size)[::-1].copy()
    return Problem((a, x, y), a * x.astype(np.float64) + y, 12 * size, size)


def summation(size: int) -> Problem:
    values = _random(size)
    exact = values.sum(dtype=np.float64, keepdims=True)
    return Problem((values,), exact, values.nbytes, size, relative=1e-5)


def exp(size: int) -> Problem:
    return _elementwise(np.exp, 20 * _random(size) - 10)


def sin(size: int) -> Problem:
    return _elementwise(np.sin, 20 * _random(size) - 10)


def log(size: int) -> Problem:
    return _elementwise(np.log, 10 * _random(size) + np.float32(1e-3))


def tanh(size: int) -> Problem:
    return _elementwise(np.tanh, 10 * _random(size) - 5)


def _elementwise(function: np.ufunc, src: np.ndarray) -> Problem:
    expected = function(src.astype(np.float64))
    return Problem((src,), expected, 2 * src.nbytes, absolute=EPSILON)


def histogram(size: int) -> Problem:
    values = np.random.default_rng(1).integers(0, BINS, size, np.uint8)
    exact = np.histogram(values, np.arange(BINS + 1))[0]
    return Problem((values,), exact, values.nbytes, relative=0.0)


# ---------------------------------------------------------------- matrices
def product(rows: int, inner: int, columns: int) -> Problem:
    a, b = _random(rows, inner), _random(columns, inner).T.copy()
    exact = a.astype(np.float64) @ b.astype(np.float64)
    moved = a.nbytes + b.nbytes + 4 * exact.size
    return Problem((a, b), exact, moved, rows * inner * columns, relative=2e-5)
