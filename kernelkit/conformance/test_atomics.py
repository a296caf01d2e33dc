"""Atomics: what each one stores and returns, on every dtype, in global and shared memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import atomic, shared, syncthreads
from kernelkit.conformance.launching import Runner, for_atomics, poison, sample
from kernelkit.testing.comparison import assert_bits_equal

INTEGERS = ("int32", "uint32", "int64", "uint64")
NUMBERS = (*INTEGERS, "float32", "float64")
COUNT = 75


def on_global(operation: Any) -> Any:
    @kk.kernel
    def kernel(values, array, old):
        i = kk.grid(1)
        if i < old.size:
            old[i] = operation(array, i, values[i])

    return kernel


def on_shared(operation: Any) -> Any:
    @kk.kernel
    def kernel(values, array, old):
        tile = shared.array(COUNT, array.dtype)
        i = kk.threadIdx.x
        tile[i] = array[i]
        syncthreads()
        old[i] = operation(tile, i, values[i])
        array[i] = tile[i]

    return kernel


def chosen(old: Any, value: Any, take: bool) -> Any:
    return value if take else old


#: operation -> (kernel on global memory, on shared memory, the value stored for (old, value)).
OPERATIONS: dict[str, tuple[Any, Any, Callable[[Any, Any], Any]]] = {
    name: (on_global(operation), on_shared(operation), meaning)
    for name, operation, meaning in [
        ("add", atomic.add, lambda old, v: old + v),
        ("sub", atomic.sub, lambda old, v: old - v),
        ("min", atomic.min, lambda old, v: chosen(old, v, v < old)),
        ("max", atomic.max, lambda old, v: chosen(old, v, v > old)),
        ("nanmin", atomic.nanmin, lambda old, v: chosen(old, v, v < old or old != old)),
        ("nanmax", atomic.nanmax, lambda old, v: chosen(old, v, v > old or old != old)),
        ("exch", atomic.exch, lambda old, v: v),
        ("and", atomic.and_, lambda old, v: old & v),
        ("or", atomic.or_, lambda old, v: old | v),
        ("xor", atomic.xor, lambda old, v: old ^ v),
        ("inc", atomic.inc, lambda old, v: old * 0 if old >= v else old + old.dtype.type(1)),
        (
            "dec",
            atomic.dec,
            lambda old, v: v if old == 0 or old > v else old - old.dtype.type(1),
        ),
    ]
}
CASES = [
    pytest.param(name, *dtype.values, id=f"{name}-{dtype.id}", marks=dtype.marks)
    for name in OPERATIONS
    for dtype in for_atomics(NUMBERS if name in list(OPERATIONS)[:7] else INTEGERS)
]


def applied(name: str, array: np.ndarray, values: np.ndarray) -> np.ndarray:
    meaning = OPERATIONS[name][2]
    with np.errstate(all="ignore"):
        pairs = zip(array, values, strict=True)
        return np.array([meaning(old, value) for old, value in pairs], array.dtype)


def pairs_of(rng: np.random.Generator, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Elements and operands, a third of them equal and a few of them near each other."""
    array, values = sample(rng, dtype, COUNT), sample(rng, dtype, COUNT)
    same = rng.random(COUNT) < 0.3
    array[same] = values[same]
    near = rng.random(COUNT) < 0.3
    array[near], values[near] = rng.integers(0, 4, (2, np.count_nonzero(near)))
    return array, values


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_stores_and_returns(run: Runner, rng: np.random.Generator, name: str, dtype: str) -> None:
    array, values = pairs_of(rng, dtype)
    _, after, old = run.arrays(OPERATIONS[name][0], 3, 32, values, array, poison(COUNT, dtype))
    assert_bits_equal(old, array, "returned")
    assert_bits_equal(after, applied(name, array, values), "stored")


@pytest.mark.needs(shared_memory=True, barriers=True)
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_in_shared_memory(run: Runner, rng: np.random.Generator, name: str, dtype: str) -> None:
    array, values = pairs_of(rng, dtype)
    _, after, old = run.arrays(OPERATIONS[name][1], 1, COUNT, values, array, poison(COUNT, dtype))
    assert_bits_equal(old, array, "returned")
    assert_bits_equal(after, applied(name, array, values), "stored")


def contended(operation: Any) -> Any:
    @kk.kernel
    def kernel(values, array, old):
        i = kk.grid(1)
        if i < old.size:
            old[i] = operation(array, i % array.size, values[i])

    return kernel


CONTENDED = {
    "add": contended(atomic.add),
    "max": contended(atomic.max),
    "min": contended(atomic.min),
    "exch": contended(atomic.exch),
    "xor": contended(atomic.xor),
    "inc": contended(atomic.inc),
    "dec": contended(atomic.dec),
}


@pytest.mark.parametrize("dtype", for_atomics(NUMBERS))
@pytest.mark.parametrize("slots", [1, 5])
def test_add_by_many_threads(run: Runner, rng: np.random.Generator, dtype: str, slots: int) -> None:
    values = rng.integers(1, 9, 150).astype(dtype)
    start = rng.integers(0, 99, slots).astype(dtype)
    _, after, old = run.arrays(CONTENDED["add"], 5, 32, values, start, poison(150, dtype))
    for slot in range(slots):
        mine, before = values[slot::slots], old[slot::slots]
        order = np.argsort(before)
        # In the order in which they came, each one saw the sum of those before.
        np.testing.assert_array_equal(
            before[order], start[slot] + np.cumsum(mine[order]) - mine[order]
        )
        assert after[slot] == start[slot] + mine.sum()


@pytest.mark.parametrize("dtype", for_atomics(NUMBERS))
@pytest.mark.parametrize("name", ["min", "max"])
def test_min_and_max_by_many_threads(
    run: Runner, rng: np.random.Generator, name: str, dtype: str
) -> None:
    values = rng.integers(1, 2**20, 150).astype(dtype)
    start = np.full(3, 2**19, dtype)
    _, after, old = run.arrays(CONTENDED[name], 5, 32, values, start, poison(150, dtype))
    best = np.minimum if name == "min" else np.maximum
    for slot in range(3):
        assert after[slot] == best(start[slot], best.reduce(values[slot::3]))
        seen = np.append(values[slot::3], start[slot])
        assert np.isin(old[slot::3], seen).all()
        assert start[slot] in old[slot::3]


@pytest.mark.parametrize("dtype", for_atomics(NUMBERS))
def test_exch_hands_every_value_on_once(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    values = np.arange(1, 151).astype(dtype)
    _, after, old = run.arrays(
        CONTENDED["exch"], 5, 32, values, np.zeros(1, dtype), poison(150, dtype)
    )
    np.testing.assert_array_equal(np.sort(np.append(old, after)), np.arange(151))


@pytest.mark.parametrize("dtype", for_atomics(INTEGERS))
def test_inc_and_dec_go_round(run: Runner, dtype: str) -> None:
    limit = np.full(100, 6, dtype)
    _, after, old = run.arrays(
        CONTENDED["inc"], 4, 32, limit, np.zeros(1, dtype), poison(100, dtype)
    )
    np.testing.assert_array_equal(np.sort(old), np.sort(np.arange(100) % 7))
    assert after[0] == 100 % 7
    _, after, old = run.arrays(
        CONTENDED["dec"], 4, 32, limit, np.zeros(1, dtype), poison(100, dtype)
    )
    np.testing.assert_array_equal(np.sort(old), np.sort(-np.arange(100) % 7))
    assert after[0] == -100 % 7


@pytest.mark.parametrize("dtype", for_atomics(INTEGERS))
def test_xor_by_many_threads(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    values = sample(rng, dtype, 70)
    _, after, _ = run.arrays(CONTENDED["xor"], 3, 32, values, np.zeros(2, dtype), poison(70, dtype))
    assert_bits_equal(after, np.array([np.bitwise_xor.reduce(values[k::2]) for k in (0, 1)], dtype))


@kk.kernel
def compare_and_store(expected, values, array, old):
    i = kk.grid(1)
    if i < old.size:
        old[i] = atomic.cas(array, i, expected[i], values[i])


@pytest.mark.parametrize("dtype", for_atomics(NUMBERS))
def test_cas(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    array = rng.integers(1, 4, COUNT).astype(dtype)
    expected = rng.integers(1, 4, COUNT).astype(dtype)
    values = rng.integers(10, 99, COUNT).astype(dtype)
    *_, after, old = run.arrays(
        compare_and_store, 3, 32, expected, values, array, poison(COUNT, dtype)
    )
    assert_bits_equal(old, array, "returned")
    assert_bits_equal(after, np.where(array == expected, values, array), "stored")


@kk.kernel
def product_by_cas(values, array):
    """The loop that makes any update indivisible."""
    i = kk.grid(1)
    if i < values.size:
        seen = array[0]
        while True:
            before = seen
            seen = atomic.cas(array, 0, before, before * values[i])
            if seen == before:
                break


@pytest.mark.parametrize("dtype", for_atomics(INTEGERS))
def test_a_loop_of_cas(run: Runner, rng: np.random.Generator, dtype: str) -> None:
    values = rng.choice(np.array([3, 5, 7], dtype), 40)
    after = run(product_by_cas, 2, 32, values, np.ones(1, dtype))
    with np.errstate(over="ignore"):
        assert after[0] == np.multiply.reduce(values, dtype=dtype)


@kk.kernel
def first_comer(array, old):
    i = kk.grid(1)
    old[i] = atomic.compare_and_swap(array, -1, i)


@pytest.mark.needs(atomics="int32")
def test_compare_and_swap_takes_the_first_element(run: Runner) -> None:
    after, old = run.arrays(first_comer, 2, 20, np.array([-1, -1], np.int32), poison(40, np.int32))
    winner = int(after[0])
    assert 0 <= winner < 40
    assert after[1] == -1
    expected = np.full(40, winner)
    expected[winner] = -1
    np.testing.assert_array_equal(old, expected)


@kk.kernel
def histogram(src, counts):
    """N-dimensional and negative indices, a result that nobody reads, a value that is cast."""
    tile = shared.array((3, 4), np.int32)
    i = kk.threadIdx.x
    if i < 12:
        tile[i // 4, i % 4] = 0
    syncthreads()
    value = src[kk.grid(1)]
    atomic.add(tile, (value // 4, value % 4), 1)
    atomic.add(counts, (1, value // 4 - 3, value % 4), np.int64(2))
    syncthreads()
    if i < 12:
        atomic.add(counts, (0, i // 4, i % 4), tile[i // 4, i % 4])


@pytest.mark.needs(atomics="int32", shared_memory=True, barriers=True)
def test_indices_of_several_axes(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(0, 12, 5 * 32)
    counts = run(histogram, 5, 32, src, np.zeros((2, 3, 4), np.int32))
    expected = np.bincount(src, minlength=12).reshape(3, 4)
    np.testing.assert_array_equal(counts, [expected, 2 * expected])


@kk.kernel
def through_a_view(src, sums):
    i = kk.grid(1)
    if i < src.shape[0]:
        row = sums[i % 2]
        for k in range(src.shape[1]):
            tally(row, k, src[i, k])


def tally(row, k, value):
    if value % 2 == 0:
        atomic.add(row, k, value)
    elif atomic.max(row, -1, value) < value:
        atomic.add(row, len(row) - 2, 1)


@pytest.mark.needs(atomics="int32")
def test_on_views_in_device_functions_under_divergence(
    run: Runner, rng: np.random.Generator
) -> None:
    src = 2 * rng.integers(0, 99, (21, 4)).astype(np.int32)
    src[7, 2] = 9
    sums = run(through_a_view, 1, 32, src, np.zeros((2, 6), np.int32))
    src[7, 2] = 0
    expected = np.zeros((2, 6), np.int32)
    expected[:, :4] = src[::2].sum(axis=0), src[1::2].sum(axis=0)
    expected[1, 4:] = 1, 9
    np.testing.assert_array_equal(sums, expected)


@kk.kernel
def last_block(src, partial, ticket, out):
    """The block that takes the last ticket sums up; a fence goes before the ticket."""
    is_last = shared.array(1, np.bool_)
    i = kk.threadIdx.x
    if i == 0:
        total = 0
        for k in range(8):
            total += src[8 * kk.blockIdx.x + k]
        partial[kk.blockIdx.x] = total
        kk.threadfence()
        is_last[0] = atomic.add(ticket, 0, 1) == kk.gridDim.x - 1
    syncthreads()
    if is_last[0] and i == 0:
        total = 0
        for k in range(kk.gridDim.x):
            total += partial[k]
        out[0] = total


@pytest.mark.needs(atomics="int32", shared_memory=True, barriers=True)
def test_the_last_block_finishes(run: Runner, rng: np.random.Generator) -> None:
    src = rng.integers(-99, 99, 56)
    out = run(
        last_block, 7, 8, src, poison(7, np.int64), np.zeros(1, np.int32), poison(1, np.int64)
    )
    assert out[0] == src.sum()
