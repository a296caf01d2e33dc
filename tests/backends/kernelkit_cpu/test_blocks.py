"""Blocks of all shapes, in vectors of all widths: threads and their names are where they belong."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import local, registry, shared, syncthreads
from kernelkit.analysis.shape import Shape
from kernelkit_cpu import CpuBackend
from kernelkit_cpu.layout import Layout
from kernelkit_cpu.storage import STACK, Storage
from kernelkit_cpu.targets import CpuTarget
from kernelkit_cpu.text import Module, Text

Agree = Callable[..., list[Any]]
SHAPES = (
    (1,), (7,), (64,), (77,), (1024,), (5, 7), (33, 2), (16, 3), (8, 8), (1, 9), (40, 4), (64, 2),
    (2, 3, 4), (5, 2, 3), (16, 2, 2), (1, 1, 5), (33, 3, 2),
)  # fmt: skip


@pytest.fixture(scope="module", params=[None, 4, 32, 64])
def width(request: pytest.FixtureRequest) -> Iterator[str]:
    """A back end with vectors of so many lanes; None: its own choice."""
    name = f"cpu-lanes-{request.param}"
    registry.register(CpuBackend(name, CpuTarget.parse("native"), request.param))
    yield name
    registry.unregister(name)


@kk.kernel
def places(out):
    """The registers of a thread, before and behind a barrier."""
    x, y, z = kk.threadIdx.x, kk.threadIdx.y, kk.threadIdx.z
    thread = (z * kk.blockDim.y + y) * kk.blockDim.x + x
    block = (kk.blockIdx.z * kk.gridDim.y + kk.blockIdx.y) * kk.gridDim.x + kk.blockIdx.x
    out[block, 0, thread] = x + 100 * y + 10000 * z
    out[block, 1, thread] = kk.laneid
    syncthreads()
    out[block, 2, thread] = x * y - z + block
    out[block, 3, thread] = thread * 2


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_registers(agree: Agree, width: str, shape: tuple[int, ...]) -> None:
    threads = math.prod(shape)
    (out,) = agree(places, (2, 2, 2), shape, np.zeros((8, 4, threads), np.int64), on=width)
    np.testing.assert_array_equal(out[5, 1], np.arange(threads) % 32)


@kk.kernel
def everything(src, out, n):
    """What lives across barriers: names, local and shared arrays, threads that have returned."""
    x, y, z = kk.threadIdx.x, kk.threadIdx.y, kk.threadIdx.z
    thread = (z * kk.blockDim.y + y) * kk.blockDim.x + x
    size = kk.blockDim.x * kk.blockDim.y * kk.blockDim.z
    tile = shared.array(1024, np.float32)
    mine = local.array(3, np.float32)
    value = src[thread]
    mine[0] = value
    mine[1] = y
    odd = thread % 3 == 1
    tile[thread] = value
    syncthreads()
    if value > 1.5:
        return
    for k in range(n):
        other = tile[(thread + k) % size]
        syncthreads()
        if odd:
            mine[k % 3] = other
        tile[thread] = other + k
        syncthreads()
    out[thread] = mine[0] + mine[1] * 2 + tile[size - 1 - thread] + x


@pytest.mark.parametrize("shape", [(7,), (77,), (5, 7), (33, 2), (16, 3), (5, 2, 3)], ids=str)
def test_what_lives_across_barriers(agree: Agree, width: str, shape: tuple[int, ...]) -> None:
    threads = math.prod(shape)
    src = np.random.default_rng().normal(size=threads).astype(np.float32)
    agree(everything, 2, shape, src, np.zeros(threads, np.float32), 3, on=width)


@kk.kernel
def dynamic(src, out):
    i = kk.threadIdx.x
    tile = shared.array(0, np.int16)
    tile[i] = src[i]
    syncthreads()
    out[i] = tile[tile.size - 1 - i] + tile.size


def test_shared_memory_of_the_launch(width: str) -> None:
    src = np.random.default_rng().integers(-100, 100, 70).astype(np.int16)
    out = np.zeros(70, np.int64)
    with kk.use(width):
        dynamic[2, 70, None, 140](src, out)
    np.testing.assert_array_equal(out, src[::-1] + 70)


@kk.kernel
def much(src, out):
    """More memory than the stack of a thread has."""
    i = kk.threadIdx.x
    tile = shared.array(12000, np.float32)
    mine = local.array(300, np.float32)
    for k in range(300):
        mine[k] = src[i] + k
    for k in range(i, 12000, 256):
        tile[k] = src[i] * k
    syncthreads()
    out[i] = tile[11999 - i] + mine[i] + mine[299]


def test_more_memory_than_a_stack_has(agree: Agree) -> None:
    src = np.random.default_rng().normal(size=256).astype(np.float32)
    agree(much, 3, 256, src, np.zeros(256, np.float32))


# ---------------------------------------------------------------- layout and storage
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("lanes", [4, 16, 64])
@pytest.mark.parametrize("rowwise", [False, True])
def test_every_thread_has_a_lane(shape: tuple[int, ...], lanes: int, rowwise: bool) -> None:
    width, height, depth = (*shape, 1, 1)[:3]
    layout = Layout.of(Shape((width, height, depth), lanes, rowwise))
    assert layout.rows * layout.threads == width * height * depth
    assert 0 <= layout.per_row * lanes - layout.threads < lanes
    assert layout.vectors == layout.rows * layout.per_row
    assert layout.is_even == (layout.per_row * lanes == layout.threads)
    if rowwise:
        assert layout.threads == width or height * depth == 1


def test_memory_beyond_the_stack_is_scratch() -> None:
    text = Text(Module())
    storage = Storage(text)
    first = storage.take(100, "a")
    assert storage.in_scratch == 0
    second = storage.take(STACK, "b")
    third = storage.take(1, "c")
    fourth = storage.take(STACK, "d")
    assert storage.in_scratch == 2 * STACK
    assert storage.on_stack == 128 + 64
    entry = "\n".join(text.entry)
    assert f"{first} = alloca [128 x i8]" in entry
    assert f"{third} = alloca [64 x i8]" in entry
    assert f"{second} = getelementptr i8, ptr %scratch, i64 0" in entry
    assert f"{fourth} = getelementptr i8, ptr %scratch, i64 {STACK}" in entry


# ---------------------------------------------------------------- the same text every time
_TEXT = """
import hashlib
import kernelkit as kk
from kernelkit.testing.generator import generate
found = hashlib.sha256()
for seed in range(8):
    kernel = generate(seed)
    module = kernel.module()
    text = module.kernel.inspect(
        *module.arguments(), grid=kernel.grid, block=kernel.block, backend="cpu", what="source"
    )
    found.update(text.encode())
print(found.hexdigest())
"""


def test_a_kernel_is_the_same_text_in_every_process(tmp_path: Path) -> None:
    """Whatever the order in which sets give what they hold."""
    found = [
        subprocess.run(
            [sys.executable, "-c", _TEXT],
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(found[0]) > 60
