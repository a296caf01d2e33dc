"""Indices that are never negative. A kernel's lines say in a comment what is to be found of the
index of their first load or store: `fine`, or `perhaps negative`."""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kernelkit import device
from kernelkit.analysis.ranges import never_negative
from kernelkit.analysis.shape import Shape
from kernelkit.frontend.builtins import (
    atomic,
    blockDim,
    blockIdx,
    grid,
    gridDim,
    gridsize,
    laneid,
    popc,
    shared,
    shfl_sync,
    syncthreads_count,
    threadIdx,
)
from kernelkit.ir.nodes import (
    Atomic,
    Expr,
    Kernel,
    Load,
    Store,
    Unary,
    View,
    expressions,
    walk,
    walk_expr,
)

BLOCK = Shape((64, 4, 1))


# ---------------------------------------------------------------- straight lines
def leaves(a, n):
    a[threadIdx.x] = 0  # fine
    a[blockIdx.y] = 0  # fine
    a[laneid] = 0  # fine
    a[a.size - 1] = 0  # perhaps negative
    a[n] = 0  # perhaps negative
    a[-1] = 0  # perhaps negative
    a[7] = 0  # fine
    a[blockDim.x - 64] = 0  # fine
    a[gridDim.x - 1] = 0  # fine
    a[blockDim.x - 65] = 0  # perhaps negative


def arithmetic(a, n):
    i = grid(1)
    a[2 * i + 3] = 0  # fine
    a[i - 1] = 0  # perhaps negative
    a[max(i - 1, 0)] = 0  # fine
    a[min(i, n)] = 0  # perhaps negative
    a[min(i, a.size)] = 0  # fine
    a[abs(i - 5)] = 0  # fine
    a[(i - 5) // 64 + 1] = 0  # fine
    a[(i - 5) >> 3] = 0  # perhaps negative
    a[i >> 3] = 0  # fine
    a[i << 3] = 0  # fine
    a[(n & 7) + i] = 0  # fine
    a[n & -8] = 0  # perhaps negative
    a[i ^ threadIdx.x] = 0  # fine
    a[i | 5] = 0  # fine
    a[~i] = 0  # perhaps negative
    a[~(-1 - i)] = 0  # fine
    a[i - threadIdx.x] = 0  # fine
    a[i * i] = 0  # perhaps negative
    a[threadIdx.x * threadIdx.x] = 0  # fine
    a[threadIdx.x**2] = 0  # fine


def remainders(a, n):
    i = grid(1)
    a[n % 5] = 0  # fine
    a[n % -5] = 0  # perhaps negative
    a[(i - 5) % a.size] = 0  # fine
    a[i % n] = 0  # perhaps negative
    a[n % max(n, 1)] = 0  # fine
    a[(n // 3) % 2] = 0  # fine
    a[i // (n % 4)] = 0  # fine


def narrow(a, b, n):
    i = np.int32(threadIdx.x)
    a[i] = 0  # fine
    a[i * np.int32(1 << 20)] = 0  # fine
    a[i * np.int32(1 << 26)] = 0  # perhaps negative
    a[np.int8(i + 64)] = 0  # fine
    a[np.int8(i + 65)] = 0  # perhaps negative
    a[np.uint32(n)] = 0  # fine
    a[np.int64(np.uint32(n))] = 0  # fine
    a[np.int32(np.uint32(n))] = 0  # perhaps negative
    a[np.uint32(threadIdx.x) - np.uint32(1)] = 0  # fine
    a[np.int64(np.uint16(n)) - 1] = 0  # perhaps negative
    a[np.int64(np.uint16(n)) * 4 + i] = 0  # fine


def data(a, b, n):
    b[0] = 0
    i = grid(1)
    k = b[i]
    a[k] = 0  # fine
    a[np.int64(k) - 1] = 0  # perhaps negative
    a[popc(n)] = 0  # fine
    a[np.int64(a[i])] = 0  # perhaps negative
    a[int(n > 3)] = 0  # fine


# ---------------------------------------------------------------- conditions
def guarded(a, n):
    i = threadIdx.x + blockIdx.x * blockDim.x - 3
    a[i] = 0  # perhaps negative
    if i > 0:
        a[i - 1] = 0  # fine
        a[i - 2] = 0  # perhaps negative
    if i >= 1 and a[i - 1] > 0:  # fine
        a[i] = 0  # fine
    if not (i < 2 or i > n):
        a[i - 2] = 0  # fine
        a[n - i] = 0  # fine
        a[n - 1] = 0  # fine
    if n == 3:
        a[n] = 0  # fine
    if i < 0 or n < i:
        a[i] = 0  # perhaps negative
    else:
        a[n] = 0  # fine


def left_early(a, n):
    x = n - 5
    if x < 0 or x >= a.size:
        return
    a[x] = 0  # fine
    a[a.size - 1] = 0  # fine
    a[a.size - 1 - x] = 0  # fine
    a[min(x + 3, a.size - 1)] = 0  # fine
    a[min(n, a.size - 2)] = 0  # perhaps negative


def chosen(a, n):
    i = n - 5
    a[i if i >= 0 else 0] = 0  # fine
    a[i if i > -2 else 0] = 0  # perhaps negative
    a[0 if i < 0 else (a.size if i >= a.size else i)] = 0  # fine
    a[0 if i < 0 else (a.size - 1 if i >= a.size else i)] = 0  # perhaps negative
    value = a[i] if 0 <= i < a.size else 0.0  # fine
    a[0] = value
    inside = i >= 4
    if inside:
        a[i - 4] = 0  # fine


def mended(a, n):
    x = n
    if x < 0:
        x = 0
    a[x] = 0  # fine
    y = grid(1) - 7
    if y < 0:
        y = -y - 1
    a[y] = 0  # fine
    z = n
    if z < 0:
        z = -z  # the least integer stays what it is
    a[z] = 0  # perhaps negative


@device
def nearest(i, n):
    if i < 0:
        return 0
    if i >= n:
        return n - 1
    return i


def inlined(a, n):
    i = grid(1)
    if i < a.size:
        a[nearest(i + n, a.size)] = 0  # fine
        a[nearest(i + n, n)] = 0  # perhaps negative


# ---------------------------------------------------------------- loops
def counted(a, n):
    for i in range(5):
        a[i] = 0  # fine
        a[i - 1] = 0  # perhaps negative
    for i in range(4, -1, -1):
        a[i] = 0  # fine
    for i in range(n):
        a[i] = 0  # fine
        a[n - 1] = 0  # fine
        a[n - 1 - i] = 0  # fine
    for i in range(n, 0, -2):
        a[i] = 0  # fine
        a[i - 1] = 0  # fine
        a[i - 2] = 0  # perhaps negative
    for i in range(threadIdx.x, n, blockDim.x):
        a[i] = 0  # fine
        a[n - 1 - i] = 0  # fine
    for i in range(grid(1), a.size, gridsize(1)):
        a[i] = 0  # fine
        if i > 0:
            a[i - 1] = 0  # fine
    for i in range(0, 100, n):
        a[i] = 0  # fine
    for i in range(n, 7):
        a[i] = 0  # perhaps negative
    for i in range(3, n):
        for j in range(i - 3, i):
            a[j] = 0  # fine
            a[i - j] = 0  # fine
            a[j - i] = 0  # perhaps negative


def carried(a, n):
    i = threadIdx.x
    while i < a.size:
        a[i] = 0  # fine
        i += gridsize(1)
    a[i] = 0  # fine
    j = 9
    while j > 0:
        j -= 1
        a[j] = 0  # fine
    k = 9
    while a[k] > 0:  # perhaps negative
        k -= 1
    m = blockDim.x // 2
    while m > 0:
        if threadIdx.x < m:
            a[threadIdx.x + m] = 0  # fine
        m //= 2
    place = threadIdx.x
    for _ in range(16):
        a[place] = 0  # fine
        place += 64
    a[63 + 16 * 64 - place] = 0  # fine
    a[62 + 16 * 64 - place] = 0  # perhaps negative
    count = 0
    for _ in range(n):
        if a[0] > 0:
            a[count] = 0  # fine
            count += 1
    step = 1
    while step < 64:
        if threadIdx.x >= step:
            a[threadIdx.x - step] = 0  # fine
        step *= 2


def searched(a, n):
    low, high = 0, a.size
    while low < high:
        middle = (low + high) // 2
        if a[middle] < n:  # fine
            low = middle + 1
        else:
            high = middle
    a[low] = 0  # fine


def forgotten(a, n):
    i = 0
    while a[i] > 0:  # perhaps negative
        i += 1  # it may wrap around
    if n > 3:
        k = 1
    a[k] = 0  # fine
    for j in range(n):
        if a[j] > 0:
            break
    a[j] = 0  # fine


def left_loops(a, n):
    i = n
    while True:
        if i < 0:
            break
        a[i] = 0  # fine
        i -= 1
        if i < 0:
            continue
        a[i] = 0  # fine
    a[i] = 0  # perhaps negative


def not_run(a, n):
    for z in range(0, n, -1):
        if a[0] > 3:
            break
        a[-(n + 1)] = 0  # fine
    a[-1 - n] = 0  # perhaps negative
    for i in range(n):
        if i == 3:
            a[n - 4] = 0  # fine
            break
    a[n] = 0  # perhaps negative
    if n > 3:
        m = a.size % n
        a[n - 1 - m] = 0  # fine
    a[n - 1] = 0  # perhaps negative


# ---------------------------------------------------------------- other statements
def exchanged(a, counts, n):
    i = threadIdx.x
    lane = shfl_sync(0xFFFFFFFF, i - 3, 0)
    a[lane + 3] = 0  # fine
    a[lane] = 0  # perhaps negative
    votes = syncthreads_count(i > 3)
    a[votes] = 0  # fine
    a[256 - votes] = 0  # fine
    old = atomic.add(counts, i, 1)  # fine
    a[old] = 0  # perhaps negative


def viewed(image, n):
    tile = shared.array((4, 8), np.float32)
    row = image[threadIdx.y]  # fine
    if n < row.size and n >= 0:
        row[row.size - 1] = 0  # fine
        row[image.shape[1] - 1] = 0  # fine
        row[image.shape[0] - 1] = 0  # perhaps negative
    tile[tile.shape[0] - 1, 0] = 0  # fine
    tile[tile.shape[0] - 5, 0] = 0  # perhaps negative


KERNELS: dict[Callable[..., Any], dict[str, str]] = {
    leaves: {}, arithmetic: {}, remainders: {}, narrow: {}, data: {"b": "uint8[1]"}, guarded: {},
    left_early: {}, chosen: {}, mended: {}, inlined: {}, counted: {}, carried: {}, searched: {},
    forgotten: {}, left_loops: {}, not_run: {}, exchanged: {"counts": "int32[1]"}, viewed: {"image": "float32[2]"},
}  # fmt: skip


def indices(kernel: Kernel) -> Iterator[tuple[int, Expr]]:
    """The line and the first index of each access, inner ones after the outer one."""
    for stmt in walk(kernel.body):
        if isinstance(stmt, Store | Atomic | View):
            yield stmt.span.line, stmt.indices[0]
        for top in expressions(stmt):
            for expr in walk_expr(top):
                if isinstance(expr, Load):
                    yield expr.span.line, expr.indices[0]


@pytest.mark.parametrize("function", KERNELS, ids=lambda f: f.__name__)
def test_what_the_comments_say(parsed: Any, function: Callable[..., Any]) -> None:
    kernel = parsed(function, **KERNELS[function])
    found = never_negative(kernel, BLOCK)
    wrong, seen = [], set()
    for line, index in indices(kernel):
        text = linecache.getline(__file__, line)
        if line not in seen and "#" in text:
            seen.add(line)
            if (index in found) != ("# fine" in text):
                wrong.append(f"{line}: {text.strip()}")
    assert not wrong
    source = inspect.getsource(function)
    assert len(seen) == source.count("# fine") + source.count("# perhaps negative")


def test_a_node_in_two_places_must_be_fine_in_both(parsed: Any) -> None:
    def kernel(a, n):
        a[n] = 0
        if n > 0:
            a[n] = 1

    apart = parsed(kernel)
    store, branch = apart.body
    (inner,) = branch.then
    assert never_negative(apart, BLOCK) == {inner.indices[0]}
    same = replace(branch, then=(replace(inner, indices=store.indices),))
    assert never_negative(replace(apart, body=(store, same)), BLOCK) == frozenset()


def test_nothing_is_known_of_a_kernel_nested_too_deeply(parsed: Any) -> None:
    def kernel(a):
        a[3] = 0

    found = parsed(kernel)
    (store,) = found.body
    assert never_negative(found, BLOCK) == {store.indices[0]}
    deep = store.indices[0]
    for _ in range(5000):
        deep = Unary(store.span, deep.type, "abs", deep)
    nested = replace(found, body=(replace(store, indices=(deep,)),))
    assert never_negative(nested, BLOCK) == frozenset()
