"""Instruction sets and lanes: what is forced is what the code is made of, and every size of block and
array is right with it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import registry

#: Instruction sets; and lanes, where they are not the back end's own choice.
PLACES = ("sse2", "avx2", "avx512", "native:4", "native:16", "native:32", "native:64")
REGISTERS = {"sse2": "xmm", "avx2": "ymm", "avx512": "zmm"}


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    backend = registry.place("cpu").backend.variant(request.param)  # type: ignore[attr-defined]
    if backend.why_unavailable():
        pytest.skip(backend.why_unavailable())
    registry.register(backend)
    yield backend.name
    registry.unregister(backend.name)


@kk.kernel
def axpy(a, x, y):
    i = kk.grid(1)
    if i < y.size:
        y[i] = a * x[i] + y[i]


@pytest.mark.parametrize("preset", REGISTERS)
def test_code_uses_the_registers_of_its_instruction_set(preset: str) -> None:
    backend = registry.place("cpu").backend.variant(preset)  # type: ignore[attr-defined]
    if not backend.cpu().is_x86:
        pytest.skip("x86 only")
    registry.register(backend)
    try:
        x = np.zeros(1000, np.float32)
        text = axpy.inspect(
            np.float32(2), x, x.copy(), grid=4, block=256, backend=backend.name, what="asm"
        )
    finally:
        registry.unregister(backend.name)
    used = set(re.findall(r"%([xyz]mm)\d+", text))
    widest = max(used)  # x, y, z
    assert widest == REGISTERS[preset]
    assert ("vfmadd" in text) == (preset != "sse2")


@pytest.mark.parametrize("lanes", [4, 8, 16, 32, 64])
def test_vectors_have_the_lanes_that_are_forced(lanes: int) -> None:
    backend = registry.place("cpu").backend.variant(f"native:{lanes}")  # type: ignore[attr-defined]
    registry.register(backend)
    try:
        x = np.zeros(1000, np.float32)
        text = axpy.inspect(
            np.float32(2), x, x.copy(), grid=4, block=256, backend=backend.name, what="llvm"
        )
    finally:
        registry.unregister(backend.name)
    assert f"<{lanes} x float>" in text


@pytest.mark.parametrize("block", [1, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 129])
def test_blocks_and_arrays_around_whole_vectors(place: str, block: int) -> None:
    rng = np.random.default_rng(block)
    for size in {1, block - 1, block, block + 1, 3 * block + 2, 130} - {0}:
        x, y = rng.random((2, size), np.float32)
        expected = np.float32(2) * x + y
        axpy.on(place)[-(-size // block) + 1, block](np.float32(2), x, y)
        assert np.allclose(y, expected, rtol=1e-6)


@kk.kernel
def reversed_and_summed(src, out, sums):
    tile = kk.shared.array(96, np.int64)
    t = kk.threadIdx.y * kk.blockDim.x + kk.threadIdx.x
    count = kk.blockDim.x * kk.blockDim.y
    i = kk.blockIdx.x * count + t
    tile[t] = src[i]
    kk.syncthreads()
    out[i] = tile[count - 1 - t]
    if t == 0:
        for k in range(count):
            sums[kk.blockIdx.x] += tile[k]


@pytest.mark.parametrize(
    "block", [(96, 1), (1, 96), (3, 32), (32, 3), (5, 7), (17, 2), (64, 1), (4, 16)]
)
def test_shared_memory(place: str, block: tuple[int, int]) -> None:
    count = block[0] * block[1]
    src = np.random.default_rng(count).integers(-99, 99, (3, count))
    out, sums = np.zeros_like(src).ravel(), np.zeros(3, np.int64)
    reversed_and_summed.on(place)[3, block](src.ravel(), out, sums)
    assert (out.reshape(3, -1) == src[:, ::-1]).all()
    assert (sums == src.sum(axis=1)).all()


@kk.kernel
def warp_work(src, out, votes):
    i = kk.grid(1)
    x = src[i]
    for k in (16, 8, 4, 2, 1):
        x += kk.shfl_xor_sync(0xFFFFFFFF, x, k)
    out[i] = x
    votes[i] = kk.ballot_sync(0xFFFFFFFF, src[i] > 0)


def test_a_warp_is_32_lanes_at_every_width(place: str) -> None:
    src = np.random.default_rng(5).integers(-9, 9, 192)
    out, votes = np.zeros(192, np.int64), np.zeros(192, np.uint32)
    warp_work.on(place)[2, 96](src, out, votes)
    rows = src.reshape(-1, 32)
    assert (out.reshape(-1, 32) == rows.sum(axis=1, keepdims=True)).all()
    bits = ((rows > 0) << np.arange(32)).sum(axis=1, keepdims=True)
    assert (votes.reshape(-1, 32) == bits).all()


@kk.kernel
def divergent(src, out):
    i = kk.grid(1)
    if i >= src.size:
        return
    n, steps = src[i], 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
        if steps > 50:
            break
    else:
        steps += 1000
    out[i] = steps


def _steps(n: int) -> int:
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
        if steps > 50:
            return steps
    return steps + 1000


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint32"])
def test_threads_that_part(place: str, dtype: str) -> None:
    src = np.random.default_rng(9).integers(1, 500, 77).astype(dtype)
    out = np.zeros(77, np.int32)
    divergent.on(place)[3, 33](src, out)
    assert out.tolist() == [_steps(int(n)) for n in src]


@kk.kernel
def cast(src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[i]


@pytest.mark.parametrize(
    "source", ["bool", "uint8", "int16", "int64", "float16", "float32", "float64"]
)
@pytest.mark.parametrize("target", ["uint8", "int32", "float16", "float64", "complex64"])
def test_types_of_all_sizes(place: str, source: str, target: str) -> None:
    src = np.random.default_rng(3).integers(0, 100, 41).astype(source)
    out = np.zeros(41, target)
    cast.on(place)[2, 32](src, out)
    assert (out == src.astype(target)).all()
