"""Atomics beside the reference, which takes threads in the same order; some on each instruction set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import atomic, shared, syncthreads
from kernelkit.analysis.pipeline import analyse
from kernelkit.ir.nodes import Kernel
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit_cpu.emit import emit
from kernelkit_cpu.llvm import assembly
from kernelkit_cpu.shape import choose_shape
from kernelkit_cpu.targets import CpuTarget

INTEGERS = ["int32", "uint32", "int64", "uint64"]
FLOATS = ["float32", "float64"]
OPERATIONS: dict[str, Any] = {
    "add": atomic.add, "sub": atomic.sub, "min": atomic.min, "max": atomic.max,
    "nanmin": atomic.nanmin, "nanmax": atomic.nanmax, "exch": atomic.exch,
    "and": atomic.and_, "or": atomic.or_, "xor": atomic.xor, "inc": atomic.inc,
    "dec": atomic.dec,
}  # fmt: skip
CASES = [
    (name, dtype)
    for number, name in enumerate(OPERATIONS)
    for dtype in (INTEGERS + FLOATS if number < 7 else INTEGERS)
]
BLOCK = 77


def both(kernel: Any, cpu: str, *args: Any) -> None:
    """One block on the reference and on the CPU; all arrays end up the same."""
    ends = []
    for backend in ("python", cpu):
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        with kk.use(backend), np.errstate(all="ignore"):
            kernel[1, BLOCK](*copies)
        ends.append(copies)
    for number, (expected, found) in enumerate(zip(*ends, strict=True)):
        if isinstance(expected, np.ndarray):
            assert_bits_equal(found, expected, f"argument {number}")


def operands(rng: np.random.Generator, dtype: str, shape: Any) -> np.ndarray:
    """Integers, also as floats, so that sums do not depend on their order; and what floats add."""
    low = 0 if dtype.startswith("u") else -50
    found = rng.integers(low, 60, shape).astype(dtype)
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        found[rng.random(shape) < 0.1] = rng.choice(np.array([info.min, info.max], dtype))
    return found


def special(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        array[rng.random(array.shape) < 0.2] = np.nan
        array[rng.random(array.shape) < 0.2] = -0.0
    return array


def everywhere(operation: Any) -> Any:
    """One element for all, one for each few, in global and in shared memory, with and without the
    old value, for all threads and for some; each statement in a row of its own."""

    @kk.kernel
    def kernel(values, places, array, tile, old):
        shares = shared.array((7, 8), array.dtype)
        i = kk.threadIdx.x
        x = values[i]
        if i < 8:
            for row in range(7):
                shares[row, i] = tile[row, i]
        syncthreads()
        operation(array, (0, 0), x)
        operation(array, (1, 0), values[0])
        old[0, i] = operation(array, (2, 0), x)
        operation(array, (3, places[i]), x)
        old[1, i] = operation(array, (4, places[i]), x)
        operation(shares, (0, places[i]), x)
        operation(shares, (1, 7), x)
        old[2, i] = operation(shares, (2, 0), x)
        old[3, i] = operation(shares, (3, i % 8), values[3])
        if places[i] < 4:
            operation(array, (5, 3), x)
            operation(array, (6, 4), values[1])
            operation(shares, (4, 4), values[1])
            old[4, i] = operation(array, (7, 5), x)
            old[5, i] = operation(shares, (5, places[i]), x)
            operation(shares, (6, places[i] + 1), x)
        operation(array, (8, i + 8), x)
        syncthreads()
        if i < 8:
            for row in range(7):
                tile[row, i] = shares[row, i]

    return kernel


KERNELS = {name: everywhere(operation) for name, operation in OPERATIONS.items()}


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_stores_and_returns_what_the_reference_does(name: str, dtype: str) -> None:
    rng = np.random.default_rng()
    made = [operands(rng, dtype, shape) for shape in (BLOCK, (9, BLOCK + 8), (7, 8))]
    if name not in ("add", "sub"):
        made = [special(rng, each) for each in made]
    values, array, tile = made
    places = rng.integers(0, 8, BLOCK)
    both(KERNELS[name], "cpu", values, places, array, tile, np.zeros((6, BLOCK), dtype))


@kk.kernel
def swaps(expected, values, places, array, tile, old):
    shares = shared.array(8, array.dtype)
    i = kk.threadIdx.x
    if i < 8:
        shares[i] = tile[i]
    syncthreads()
    old[0, i] = atomic.cas(array, (0, places[i]), expected[i], values[i])
    old[1, i] = atomic.cas(shares, places[i], expected[i], values[i])
    atomic.cas(array, (1, 0), expected[i], values[i])
    syncthreads()
    if i < 8:
        tile[i] = shares[i]


@pytest.mark.parametrize("dtype", INTEGERS + FLOATS)
def test_cas(cpu: str, dtype: str) -> None:
    rng = np.random.default_rng()
    drawn = [rng.integers(0, 3, shape).astype(dtype) for shape in (BLOCK, BLOCK, (2, 8), 8)]
    expected, values, array, tile = (special(rng, each) for each in drawn)
    places = rng.integers(0, 8, BLOCK)
    both(swaps, cpu, expected, values, places, array, tile, np.zeros((2, BLOCK), dtype))


@kk.kernel
def kept(src, out, count):
    """Those that are greater than 0, in any order."""
    i = kk.grid(1)
    if i < src.size and src[i] > 0:
        out[atomic.add(count, 0, 1)] = src[i]


def test_places_given_out_by_one_counter(cpu: str) -> None:
    src = np.random.default_rng().integers(-5, 100, 10_007)
    out, count = np.zeros_like(src), np.zeros(1, np.int32)
    with kk.use(cpu):
        kept[200, 64](src, out, count)
    expected = np.sort(src[src > 0])
    assert count[0] == expected.size
    np.testing.assert_array_equal(np.sort(out[: count[0]]), expected)
    assert not out[count[0] :].any()


@kk.kernel
def of_many_blocks(values, sums, least, greatest, rounds):
    i = kk.grid(1)
    if i < values.size:
        x = values[i]
        atomic.add(sums, i % sums.size, x)
        atomic.add(sums, 0, x)
        atomic.min(least, 0, x)
        atomic.max(greatest, i % 3, x)
        atomic.inc(rounds, 0, np.uint32(6))


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_blocks_on_several_threads_lose_nothing(cpu: str, dtype: str) -> None:
    count = 50_021
    values = np.random.default_rng().integers(-40, 40, count).astype(dtype)
    sums, least, greatest = (np.zeros(n, dtype) for n in (5, 1, 3))
    rounds = np.zeros(1, np.uint32)
    with kk.use(cpu):
        of_many_blocks[400, 128](values, sums, least, greatest, rounds)
    expected = np.array([values[k::5].sum() for k in range(5)])
    expected[0] += values.sum()
    np.testing.assert_array_equal(sums, expected)
    assert least[0] == values.min()
    np.testing.assert_array_equal(greatest, [values[k::3].max() for k in range(3)])
    assert rounds[0] == count % 7


@kk.kernel
def histogram(src, counts):
    mine = shared.array(64, np.int32)
    for k in range(kk.threadIdx.x, 64, kk.blockDim.x):
        mine[k] = 0
    syncthreads()
    for i in range(kk.grid(1), src.size, kk.gridsize(1)):
        atomic.add(mine, src[i], 1)
    syncthreads()
    for k in range(kk.threadIdx.x, 64, kk.blockDim.x):
        atomic.add(counts, k, mine[k])


@pytest.mark.parametrize("block", [32, 50, 128])
def test_a_histogram(cpu: str, block: int) -> None:
    src = np.random.default_rng().integers(0, 64, 20_003).astype(np.uint8)
    counts = np.zeros(64, np.int32)
    with kk.use(cpu):
        histogram[7, block](src, counts)
    np.testing.assert_array_equal(counts, np.bincount(src, minlength=64))


def test_code_for_arm(typed: Callable[..., tuple[Kernel, Sequence[Any]]]) -> None:
    """It is made, and has the machine's own atomics."""
    rows = [np.zeros(shape, np.int32) for shape in ((9, BLOCK + 8), (7, 8), (6, BLOCK))]
    target = CpuTarget.parse("neon")
    for name, instruction in (("add", "ldadd"), ("min", "cas")):
        values, places = np.zeros(BLOCK, np.int32), np.zeros(BLOCK, np.int64)
        kernel, _ = typed(KERNELS[name], BLOCK, values, places, *rows)
        shape = choose_shape(kernel, (BLOCK, 1, 1), target)
        assert instruction in assembly(emit(analyse(kernel, shape), target).text, target)
