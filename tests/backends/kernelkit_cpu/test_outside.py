"""Kernels touch no byte outside their arrays, reading neither: arrays that begin or end where memory
does. A process of its own runs them, which a stray access would kill.

As a script: `python test_outside.py sse2`; it names each case before it runs.
"""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import registry

PLACES = ("sse2", "avx2", "avx512", "native:4", "native:64")
PAGES = 6
#: Odd, and neither whole vectors nor whole blocks.
SIZE = 1007


# ---------------------------------------------------------------- kernels
@kk.kernel
def copy(src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[i]


@kk.kernel
def copy_all(src, out):
    """No guard: the launch has a thread for each element, and no more."""
    i = kk.grid(1)
    out[i] = src[i]


@kk.kernel
def every_second(src, out):
    i = kk.grid(1)
    if 2 * i < src.size:
        out[i] = src[2 * i]


@kk.kernel
def every_third(src, out):
    i = kk.grid(1)
    if 3 * i < src.size:
        out[i] = src[3 * i]


@kk.kernel
def every_fourth_backwards(src, out):
    i = kk.grid(1)
    if 4 * i < src.size:
        out[i] = src[src.size - 1 - 4 * i]


@kk.kernel
def backwards(src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[-1 - i]


@kk.kernel
def pairs(src, out):
    i = kk.grid(1)
    if 2 * i + 1 < src.size:
        out[i] = src[2 * i] + src[2 * i + 1]


@kk.kernel
def looked_up(src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[src.size - 1 if i % 3 == 0 else i]


@kk.kernel
def smoothed(src, out):
    i = kk.grid(1)
    if i >= out.size:
        return
    total = src[i] + src[i]
    if i > 0:
        total += src[i - 1]
    if i + 1 < src.size:
        total += src[i + 1]
    out[i] = total


@kk.kernel
def clamped(src, out):
    i = kk.grid(1)
    if i < out.size:
        total = src[0]
        for k in range(-2, 3):
            total += src[min(max(i + k, 0), src.size - 1)]
        out[i] = total


@kk.kernel
def strides(src, out):
    for i in range(kk.grid(1), out.size, kk.gridsize(1)):
        out[i] = src[i]


@kk.kernel
def some(src, out):
    i = kk.grid(1)
    if i < out.size and (i % 7 == 6 or i > 990):
        out[i] = src[i]


@kk.kernel
def rows(src, out):
    x, y = kk.grid(2)
    if x < out.shape[1] and y < out.shape[0]:
        row = src[y]
        total = row[x]
        for k in range(src.shape[1]):
            total += row[k]
        out[y, x] = total


@kk.kernel
def transposed(src, out):
    x, y = kk.grid(2)
    if x < out.shape[1] and y < out.shape[0]:
        out[y, x] = src[src.shape[0] - 1 - y, src.shape[1] - 1 - x]


LINES = (
    copy, copy_all, every_second, every_third, every_fourth_backwards, backwards, looked_up, smoothed, clamped,
    strides, some, pairs,
)  # fmt: skip
PLANES = (rows, transposed)


# ---------------------------------------------------------------- arrays at the edge of memory
class Edge:
    """Pages between pages that may not be touched."""

    def __init__(self) -> None:
        page = mmap.PAGESIZE
        self.memory = mmap.mmap(-1, (PAGES + 2) * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        libc = ctypes.CDLL(None, use_errno=True)
        for at in (start, start + (PAGES + 1) * page):
            if libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(page), 0):
                raise OSError(ctypes.get_errno(), "mprotect")

    def array(self, shape: tuple[int, ...], dtype: np.dtype, layout: str, end: bool) -> np.ndarray:
        """An array whose first byte is the first one there, or whose last the last; full of ones."""
        span = LAYOUTS[layout](np.empty(tuple(reversed(shape)) if layout == "F" else shape, dtype))
        steps = [(n - 1) * s for n, s in zip(span.shape, span.strides, strict=True)]
        low, high = sum(min(s, 0) for s in steps), sum(max(s, 0) for s in steps)
        first = mmap.PAGESIZE - low
        if end:
            first = (PAGES + 1) * mmap.PAGESIZE - high - dtype.itemsize
        assert first + low >= mmap.PAGESIZE
        assert first + high + dtype.itemsize <= (PAGES + 1) * mmap.PAGESIZE
        made = np.ndarray(span.shape, dtype, self.memory, first, span.strides)
        made[...] = 1
        return made


def _spaced(step: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda a: np.empty((*a.shape[:-1], a.shape[-1] * abs(step)), a.dtype)[..., ::step]


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": lambda a: a,
    "reversed": lambda a: a[tuple([slice(None, None, -1)] * a.ndim)],
    "every second": _spaced(2),
    "every third backwards": _spaced(-3),
    "F": lambda a: a.T,
}


def cases() -> Iterator[tuple[Any, str, str, tuple[int, ...]]]:
    """(kernel, dtype, layout, shape)"""
    for number, kernel in enumerate(LINES):
        layouts = ("C", *list(LAYOUTS)[1:4])
        for which, layout in enumerate(layouts):
            dtype = ("float32", "uint8", "complex64", "float64", "int16")[(number + which) % 5]
            yield kernel, dtype, layout, (SIZE,)
    for kernel in PLANES:
        for which, layout in enumerate(LAYOUTS):
            dtype = ("float32", "int16", "uint8")[which % 3]
            yield kernel, dtype, layout, (19, 37)
    yield copy, "bool", "C", (3,)
    yield copy, "float32", "C", (1,)
    yield backwards, "complex128", "C", (5,)


def run(kernel: Any, dtype: str, layout: str, shape: tuple[int, ...], end: bool) -> None:
    src = Edge().array(shape, np.dtype(dtype), layout, end)
    out = Edge().array(src.shape, np.dtype(dtype), layout, end)
    out[...] = 0
    if len(shape) == 2:
        block = (32, 2) if end else (8, 8)
        kernel[tuple(-(-n // b) for n, b in zip(src.shape[::-1], block, strict=True)), block](
            src, out
        )
    elif kernel is copy_all:
        kernel[shape[0] // 53 or 1, min(shape[0], 53)](src, out)
    else:
        kernel[-(-shape[0] // 128), 128](src, out)
    assert out.any()


def main(place: str) -> None:
    made = registry.place("cpu").backend.variant(place)  # type: ignore[attr-defined]
    registry.register(made)
    with kk.use(made.name):
        for kernel, dtype, layout, shape in cases():
            for end in (False, True):
                print(f"{kernel.__name__}, {dtype}, {layout}, {shape}, {'end' if end else 'start'}")
                sys.stdout.flush()
                run(kernel, dtype, layout, shape, end)
    print("all")


# ---------------------------------------------------------------- tests
@pytest.mark.parametrize("place", PLACES)
def test_nothing_outside_is_touched(place: str) -> None:
    target = registry.place("cpu").backend.variant(place)  # type: ignore[attr-defined]
    if target.why_unavailable():
        pytest.skip(target.why_unavailable())
    command = [sys.executable, str(Path(__file__)), place]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, f"{found.stdout[-200:]}\n{found.stderr[-2000:]}"
    assert found.stdout.endswith("all\n")


def test_a_stray_read_would_show() -> None:
    """What lies around the arrays cannot be read."""
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import ctypes, numpy as np, test_outside\n"
        "edge = test_outside.Edge()\n"
        "a = edge.array((9,), np.dtype('float32'), 'C', True)\n"
        "print('here', flush=True)\n"
        "ctypes.c_float.from_address(a.ctypes.data + 36).value"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (found.returncode, found.stdout) == (-11, "here\n")


if __name__ == "__main__":
    main(sys.argv[1])
