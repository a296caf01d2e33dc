"""NumPy arrays as arguments, whatever memory the device works on: it is as if it worked on them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import kernelkit as kk

View = Callable[[np.ndarray], np.ndarray]


@kk.kernel
def copy(src, dst):
    i = kk.grid(1)
    if i < dst.shape[0]:
        dst[i] = src[i]


@kk.kernel
def copy2(src, dst):
    x, y = kk.grid(2)
    if y < dst.shape[0] and x < dst.shape[1]:
        dst[y, x] = src[y, x]


@kk.kernel
def successors(a, b):
    """One thread, step by step: where both are one memory, it sees what it wrote."""
    for i in range(b.shape[0]):
        b[i] = a[i] + 1


@kk.kernel
def sum_of_both(a, b, out):
    i = kk.grid(1)
    if i < out.shape[0]:
        out[i] = a[i] + b[i]


VIEWS: dict[str, View] = {
    "whole": lambda a: a,
    "part": lambda a: a[3:9],
    "every second": lambda a: a[::2],
    "backwards": lambda a: a[::-1],
    "every third, backwards": lambda a: a[-2::-3],
    "far apart": lambda a: a[1::17],
    "one": lambda a: a[5:6],
    "none": lambda a: a[:0],
}


@pytest.mark.needs(dtypes=("int16", "int64"))
@pytest.mark.parametrize("dtype", ["int16", "int64"])
@pytest.mark.parametrize("how", VIEWS)
def test_only_the_elements_of_a_view_change(how: str, dtype: str) -> None:
    whole, source = np.full(120, -1, dtype), np.arange(120, dtype=dtype)
    expected = whole.copy()
    VIEWS[how](expected)[...] = VIEWS[how](source)
    copy.forall(120)(VIEWS[how](source), VIEWS[how](whole))
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(source, np.arange(120))


PICTURES: dict[str, View] = {
    "transposed": lambda a: a.T,
    "column": lambda a: a[:, 5:6],
    "corner": lambda a: a[:3, :4],
    "sparse": lambda a: a[::5, ::7],
    "both backwards": lambda a: a[::-3, ::-2],
    "channel": lambda a: a.reshape(20, 8, 3)[:, :, 1],
}


@pytest.mark.needs(dtypes="float32")
@pytest.mark.parametrize("how", PICTURES)
def test_views_of_pictures(how: str) -> None:
    whole = np.full((20, 24), -1, np.float32)
    source = np.arange(480, dtype=np.float32).reshape(20, 24)
    expected = whole.copy()
    PICTURES[how](expected)[...] = PICTURES[how](source)
    target = PICTURES[how](whole)
    copy2.forall(target.shape)(PICTURES[how](source), target)
    np.testing.assert_array_equal(whole, expected)


OVERLAPS: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "the same": lambda a: (a, a),
    "a step apart": lambda a: (a[:-1], a[1:]),
    "backwards": lambda a: (a, a[::-1]),
    "interleaved": lambda a: (a[::2], a[1::2]),
    "meeting": lambda a: (a[::2], a[::3]),
    "another dtype": lambda a: (a.view(np.uint32), a),
    "halves": lambda a: (a.view(np.int16)[3:], a[1:]),
}


@pytest.mark.needs(dtypes=("int16", "int32", "uint32"))
@pytest.mark.parametrize("how", OVERLAPS)
def test_arrays_that_overlap_are_one_memory(how: str) -> None:
    there, here = np.arange(30, dtype=np.int32), np.arange(30, dtype=np.int32)
    successors[1, 1](*OVERLAPS[how](there))
    src, dst = OVERLAPS[how](here)
    for i in range(dst.shape[0]):
        dst[i] = src[i] + 1
    np.testing.assert_array_equal(there, here)


@pytest.mark.needs(dtypes="int32")
def test_what_is_only_read() -> None:
    locked = np.arange(12, dtype=np.int32)
    locked.flags.writeable = False
    out = np.zeros(12, np.int32)
    sum_of_both.forall(12)(locked, locked[::-1], out)
    np.testing.assert_array_equal(out, 11)
    sum_of_both.forall(12)(np.broadcast_to(np.int32(3), 12), locked, out)
    np.testing.assert_array_equal(out, np.arange(12) + 3)
    with pytest.raises(kk.ReadOnlyError):
        sum_of_both.forall(12)(out, out, locked)


@pytest.mark.needs(dtypes="int32")
def test_windows_that_overlap_themselves() -> None:
    windows, out = sliding_window_view(np.arange(9, dtype=np.int32), 4), np.zeros((6, 4), np.int32)
    copy2.forall(out.shape)(windows, out)
    np.testing.assert_array_equal(out, windows)


@pytest.mark.needs(dtypes="int32")
def test_beside_arrays_of_the_device() -> None:
    src, out = np.arange(8, dtype=np.int32), np.zeros(8, np.int32)
    sum_of_both.forall(8)(kk.asarray(src), src[::-1], out)
    np.testing.assert_array_equal(out, 7)
