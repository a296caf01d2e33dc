"""Blocks of the CPU back end's choosing: what may have one, and that nobody can tell."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.demo.kernels import correlate
from kernelkit.ir import nodes as ir
from kernelkit.ir.printer import format_kernel
from kernelkit.ir.rewrite import Rewriter
from kernelkit.ir.types import INT64
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.generator import Profile, generate
from kernelkit_cpu import reblock as module
from kernelkit_cpu.reblock import Reblocked, reblock

Dims = tuple[int, int, int]
Typed = Callable[..., tuple[ir.Kernel, Sequence[Any]]]
Interpret = Callable[..., None]


class Gridded(Rewriter):
    """gridDim as constants: the reference launches the virtual grid, kernels see the user's."""

    def __init__(self, grid: Dims) -> None:
        super().__init__()
        self.grid = grid

    def replaced(self, expr: ir.Expr) -> ir.Expr | None:
        if isinstance(expr, ir.SpecialRegister) and expr.register == "gridDim":
            return ir.Constant(expr.span, INT64, self.grid[expr.axis])
        return None


def text(found: Reblocked | None) -> str:
    assert found is not None
    return format_kernel(found.kernel)


def copies(values: Sequence[Any]) -> list[Any]:
    return [v.copy() if isinstance(v, np.ndarray) else v for v in values]


@pytest.fixture
def same(typed: Typed, interpret: Interpret) -> Callable[..., Reblocked]:
    """same(kernel, grid, block, lanes, *args): the kernel in blocks of our own, after a check that
    it does what the user's blocks do."""

    def run(
        kernel: Any, grid: Dims, block: Dims, lanes: int, *args: Any, turn: bool = False
    ) -> Reblocked:
        original, values = typed(kernel, block, *args)
        found = reblock(original, block, lanes, turn)
        assert found is not None
        ours, theirs = copies(values), copies(values)
        interpret(original, grid, block, theirs)
        virtual: Any = tuple(
            -(-grid[a] * block[a] // v) for a, v in zip(found.axes, found.block, strict=True)
        )
        constant = replace(found.kernel, body=Gridded(grid).body(found.kernel.body))
        interpret(constant, virtual, found.block, ours)
        for position, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if isinstance(a, np.ndarray):
                assert_bits_equal(a, b, f"argument {position}")
        return found

    return run


# ---------------------------------------------------------------- kernels that do not care
@kk.kernel
def by_grid(src, dst):
    x, y = kk.grid(2)
    if x < dst.shape[1] and y < dst.shape[0]:
        dst[y, x] = src[y, x] * 2 + x


@kk.kernel
def by_names(src, dst):
    tx = kk.threadIdx.x
    ty = kk.threadIdx.y
    bx, by = kk.blockIdx.x, kk.blockIdx.y
    width = kk.blockDim.x
    left = bx * width
    x = tx + left
    y = kk.blockDim.y * by + ty - 1
    if x < dst.shape[1] and -1 <= y < dst.shape[0] - 1:
        dst[y + 1, x] = src[y + 1, x] - y


@kk.kernel
def strided(src, dst):
    i = 3 + kk.grid(1)
    n = kk.gridsize(1)
    while i - 3 < dst.size:
        dst[i - 3] = src[i - 3] * n + kk.blockDim.x
        i += n


@kk.kernel
def counted(src, dst):
    if kk.grid(1) < src.size:
        kk.atomic.add(dst, src[kk.grid(1)] % 5, 1)
    else:
        kk.atomic.add(dst, 5, kk.gridDim.x * 100 + kk.blockDim.x)


@kk.kernel
def volume(dst):
    x, y, z = kk.grid(3)
    if kk.uniform(dst.shape[0] > 2) and z < dst.shape[0]:
        if y < dst.shape[1]:
            if x < dst.shape[2]:
                dst[z, y, x] = x + 100 * y + 10000 * z


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kernel", [by_grid, by_names], ids=["by_grid", "by_names"])
def test_any_block_of_two_axes_does_the_same(
    same: Callable[..., Reblocked], kernel: Any, seed: int
) -> None:
    rng = random.Random()
    block = rng.choice([(4, 64, 1), (1, 256, 1), (3, 7, 1), (100, 1, 1), (1, 1, 1), (5, 3, 2)])
    grid = (rng.randint(1, 3), rng.randint(1, 3), 1)
    size = tuple(max(1, g * b - rng.randint(0, b)) for g, b in zip(grid, block, strict=True))
    src = np.random.default_rng(seed).integers(-99, 99, (size[1], size[0]))
    found = same(kernel, grid, block, rng.choice([8, 16]), src, np.zeros_like(src))
    assert found.block[2] == block[2]


@pytest.mark.parametrize("block", [(1, 1, 1), (17, 1, 1), (100, 1, 1), (33, 1, 1), (24, 1, 1)])
def test_any_block_of_one_axis_does_the_same(same: Callable[..., Reblocked], block: Dims) -> None:
    rng = np.random.default_rng()
    src = rng.integers(0, 99, rng.integers(1, 400))
    grid = (-(-src.size // block[0]), 1, 1)
    for kernel, size in ((strided, src.size), (counted, 6)):
        found = same(kernel, grid, block, 16, src, np.zeros(size, np.int64))
        assert found.block[0] % 16 == 0
        assert found.block[1:] == (1, 1)
    same(strided, (2, 1, 1), block, 16, src, np.zeros(src.size, np.int64))


def test_three_axes_and_uniform(same: Callable[..., Reblocked]) -> None:
    found = same(volume, (2, 2, 2), (5, 3, 2), 8, np.zeros((3, 6, 9), np.int64))
    assert found.block == (64, 4, 2)
    assert "uniform" not in text(found)


def test_the_demo_in_other_blocks(same: Callable[..., Reblocked]) -> None:
    rng = np.random.default_rng()
    src = rng.random((9, 13), np.float32)
    weights = rng.random((5, 5), np.float32)
    same(correlate, (4, 1, 1), (4, 64, 1), 16, src, np.zeros_like(src), weights)


@pytest.mark.parametrize("start", range(0, 160, 40))
def test_generated_kernels_do_the_same(
    typed: Typed, same: Callable[..., Reblocked], start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENOUGH_VECTORS", 10**6)
    monkeypatch.setattr(module, "TILE", (16, 3, 2))
    monkeypatch.setattr(module, "TILE_THREADS", 96)
    done = 0
    for seed in range(start, start + 40):
        made = generate(seed, Profile(barriers=False, warps=False))
        found: Any = made.module()
        args = found.arguments()
        kernel, _ = typed(found.kernel, made.block, *args)
        if reblock(kernel, made.block, 8) is not None:
            same(found.kernel, made.grid, made.block, 8, *args, turn=seed % 2 == 0)
            done += 1
    assert done > 0


# ---------------------------------------------------------------- what the new kernel is
def test_the_text_of_a_reblocked_kernel(typed: Typed) -> None:
    image = np.zeros((4, 4), np.float32)
    kernel, _ = typed(by_grid, (4, 64), image, image.copy())
    found = reblock(kernel, (4, 64, 1), 16)
    assert found is not None
    assert found.block == (64, 4, 1)
    assert text(found).splitlines()[2:] == [
        "    if blockIdx.x * 64 + threadIdx.x >= gridDim.x * 4:",
        "        return",
        "    x: int64 = blockIdx.x * 64 + threadIdx.x",
        "    y: int64 = blockIdx.y * 4 + threadIdx.y",
        "    if x < dst.shape[1] and y < dst.shape[0]:",
        "        dst[y, x] = src[y, x] * 2.0f32 + float32(x)",
    ]


def test_names_of_registers_go(typed: Typed) -> None:
    image = np.zeros((4, 4))
    kernel, _ = typed(by_names, (4, 64), image, image.copy())
    lines = text(reblock(kernel, (4, 64, 1), 8))
    assert "x: int64 = blockIdx.x * 64 + threadIdx.x\n" in lines
    assert "y: int64 = blockIdx.y * 4 + threadIdx.y - 1" in lines
    assert "tx" not in lines
    assert "left" not in lines


def test_a_block_that_fills_vectors_is_left_alone(typed: Typed) -> None:
    image = np.zeros((4, 4))
    for block in ((64, 4, 1), (256, 1, 1), (16, 16, 1), (32, 8, 1), (64, 1, 1)):
        kernel, _ = typed(by_grid, block, image, image.copy())
        assert reblock(kernel, block, 16) is None


@pytest.mark.parametrize("block", [(8, 8, 1), (4, 64, 1), (1, 1, 1), (1, 256, 1), (40, 1, 1)])
@pytest.mark.parametrize("lanes", [2, 4, 8, 16, 32, 64])
def test_virtual_blocks_fill_vectors(typed: Typed, block: Dims, lanes: int) -> None:
    image = np.zeros((4, 4))
    kernel, _ = typed(by_grid, block, image, image.copy())
    found = reblock(kernel, block, lanes)
    if found is None:
        assert block[0] % lanes == 0
    else:
        assert found.block[0] % lanes == 0
        assert math.prod(found.block) <= 1024


@kk.kernel
def kept_axis(src, dst):
    """y is known within the block, so only x can be regrouped."""
    x = kk.grid(1)
    if x < dst.shape[1]:
        dst[kk.threadIdx.y, x] = src[kk.threadIdx.y, x] + kk.blockIdx.y


@kk.kernel
def repeated(src, dst):
    """Threads along y do the same; how many there are counts."""
    i = kk.grid(1)
    if i < src.shape[1]:
        kk.atomic.add(dst, (0, i), src[0, i])


def test_an_axis_that_is_known_within_the_block_stays(same: Callable[..., Reblocked]) -> None:
    src = np.random.default_rng().integers(0, 9, (6, 21))
    found = same(kept_axis, (4, 1, 1), (6, 6, 1), 8, src, np.zeros_like(src))
    assert found.block[0] % 8 == 0
    assert found.block[1] == 6


def test_an_axis_that_is_not_named_stays(same: Callable[..., Reblocked]) -> None:
    src = np.random.default_rng().integers(0, 9, (6, 21))
    found = same(repeated, (4, 2, 3), (6, 3, 2), 8, src, np.zeros_like(src))
    assert found.block[1:] == (3, 2)


# ---------------------------------------------------------------- kernels that do care
@kk.kernel
def bare_thread(dst):
    x = kk.grid(1)
    if x < dst.size:
        dst[x] = kk.threadIdx.x


@kk.kernel
def bare_block(dst):
    x = kk.grid(1)
    if x < dst.size:
        dst[x] = kk.blockIdx.x


@kk.kernel
def bare_name(dst):
    tx = kk.threadIdx.x
    x = kk.blockIdx.x * kk.blockDim.x + tx
    if x < dst.size and tx > 0:
        dst[x] = 1


@kk.kernel
def other_size(dst):
    x = kk.blockIdx.x * 8 + kk.threadIdx.x
    if x < dst.size:
        dst[x] = 1


@kk.kernel
def twice(dst):
    x = kk.blockIdx.x * kk.blockDim.x + kk.threadIdx.x + kk.threadIdx.x
    if x < dst.size:
        dst[x] = 1


@kk.kernel
def difference(dst):
    x = kk.blockIdx.x * kk.blockDim.x - kk.threadIdx.x
    if 0 <= x < dst.size:
        dst[x] = 1


@kk.kernel
def reassigned(dst):
    tx = kk.threadIdx.x
    if dst[0] > 0:
        tx = 0
    x = kk.blockIdx.x * kk.blockDim.x + tx
    if x < dst.size:
        dst[x] = 1


@kk.kernel
def with_barrier(dst):
    x = kk.grid(1)
    kk.syncthreads()
    if x < dst.size:
        dst[x] = 1


@kk.kernel
def with_shared(dst):
    own = kk.shared.array(1, np.int64)
    x = kk.grid(1)
    if x < dst.size:
        own[0] = 1
        dst[x] = own[0]


@kk.kernel
def with_warps(dst):
    x = kk.grid(1)
    if x < dst.size:
        dst[x] = kk.popc(kk.activemask())


@kk.kernel
def with_lanes(dst):
    x = kk.grid(1)
    if x < dst.size:
        dst[x] = kk.laneid


@kk.kernel
def with_print(dst):
    x = kk.grid(1)
    if x < dst.size:
        print(x)


@kk.kernel(debug=True)
def with_debug(dst):
    x = kk.grid(1)
    if x < dst.size:
        dst[x] = 1


@kk.kernel
def without_x(dst):
    for i in range(dst.size):
        kk.atomic.add(dst, i, 1)


@pytest.mark.parametrize(
    "kernel",
    [
        bare_thread,
        bare_block,
        bare_name,
        other_size,
        twice,
        difference,
        reassigned,
        with_barrier,
        with_shared,
        with_warps,
        with_lanes,
        with_print,
        with_debug,
        without_x,
    ],
    ids=lambda kernel: kernel.__name__,
)
def test_kernels_that_know_their_block_are_left_alone(typed: Typed, kernel: Any) -> None:
    found, _ = typed(kernel, 7, np.zeros(9, np.int64))
    assert reblock(found, (7, 1, 1), 8) is None


@kk.kernel
def one_thread(dst):
    b = kk.blockIdx.x
    if b < dst.size and kk.threadIdx.x == 0:
        dst[b] = b * kk.blockDim.x + 1


def test_a_block_of_one_thread_is_its_thread(same: Callable[..., Reblocked]) -> None:
    found = same(one_thread, (50, 1, 1), (1, 1, 1), 16, np.zeros(41, np.int64))
    assert found.block == (64, 1, 1)


# ---------------------------------------------------------------- vectors along other axes
@kk.kernel
def column_row(src, dst):
    """The axes in the order of the array's, as if x were the slowest."""
    x, y = kk.grid(2)
    if x < dst.shape[0] and y < dst.shape[1]:
        dst[x, y] = src[x, y] + x * 100 + kk.gridDim.y + kk.blockDim.x * 1000


@kk.kernel
def product(a, b, c):
    i, j = kk.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        total = 0
        for k in range(a.shape[1]):
            total += a[i, k] * b[k, j]
        c[i, j] = total


@kk.kernel
def inside_out(dst):
    x, y, z = kk.grid(3)
    if x < dst.shape[0]:
        if y < dst.shape[1]:
            if z < dst.shape[2]:
                dst[x, y, z] = x + 100 * y + 10000 * z


@kk.kernel
def known_row(src, dst):
    """x is known within the block; y is what walks."""
    y = kk.blockIdx.y * kk.blockDim.y + kk.threadIdx.y
    if y < dst.shape[1]:
        dst[kk.threadIdx.x, y] = src[kk.threadIdx.x, y] + kk.blockIdx.x


@pytest.mark.parametrize("block", [(16, 16, 1), (3, 7, 1), (64, 4, 1), (1, 1, 1), (1, 40, 2)])
def test_vectors_lie_along_the_axis_that_walks(same: Callable[..., Reblocked], block: Dims) -> None:
    rng = np.random.default_rng()
    src = rng.integers(0, 99, (random.randint(1, 40), random.randint(1, 40)))
    grid = (-(-src.shape[0] // block[0]), -(-src.shape[1] // block[1]), 1)
    found = same(column_row, grid, block, 16, src, np.zeros_like(src), turn=True)
    assert found.axes == (1, 0, 2)
    assert found.block[0] % 16 == 0
    other = rng.integers(0, 99, (src.shape[1], 9))
    grid = (grid[0], -(-9 // block[1]), 1)
    out = np.zeros((src.shape[0], 9), np.int64)
    assert same(product, grid, block, 8, src, other, out, turn=True).axes == (1, 0, 2)


def test_vectors_along_the_third_axis(same: Callable[..., Reblocked]) -> None:
    found = same(inside_out, (2, 2, 3), (4, 3, 2), 8, np.zeros((7, 5, 6), np.int64), turn=True)
    assert found.axes == (2, 1, 0)
    assert found.block == (64, 4, 2)


def test_an_axis_that_stays_may_change_places(same: Callable[..., Reblocked]) -> None:
    src = np.random.default_rng().integers(0, 9, (6, 21))
    found = same(known_row, (1, 4, 1), (6, 6, 1), 8, src, np.zeros_like(src), turn=True)
    assert found.axes == (1, 0, 2)
    assert found.block[1] == 6


def test_the_text_of_a_turned_kernel(typed: Typed) -> None:
    image = np.zeros((4, 4), np.int64)
    kernel, _ = typed(column_row, (16, 16), image, image.copy())
    found = reblock(kernel, (16, 16, 1), 16, turn=True)
    assert text(found).splitlines()[2:] == [
        "    if blockIdx.x * 64 + threadIdx.x >= gridDim.y * 16:",
        "        return",
        "    x: int64 = blockIdx.y * 4 + threadIdx.y",
        "    y: int64 = blockIdx.x * 64 + threadIdx.x",
        "    if x < dst.shape[0] and y < dst.shape[1]:",
        "        dst[x, y] = src[x, y] + x * 100 + gridDim.y + 16 * 1000",
    ]


@kk.kernel
def transposed(src, dst):
    x, y = kk.grid(2)
    if x < dst.shape[1] and y < dst.shape[0]:
        dst[y, x] = src[x, y]


@kk.kernel
def flat(src, dst):
    x, y = kk.grid(2)
    if x < src.shape[1] and y < src.shape[0]:
        dst[y * src.shape[1] + x] = src[y, min(x + 1, src.shape[1] - 1)]


@pytest.mark.parametrize("kernel", [by_grid, by_names, transposed, flat])
def test_kernels_that_know_that_x_walks_keep_it(typed: Typed, kernel: Any) -> None:
    image = np.zeros((4, 4), np.int64)
    out = np.zeros(16, np.int64) if kernel is flat else image.copy()
    found, _ = typed(kernel, (16, 16), image, out)
    assert reblock(found, (16, 16, 1), 16, turn=True) is None
    narrow, _ = typed(kernel, (4, 16), image, out)
    turned = reblock(narrow, (4, 16, 1), 16, turn=True)
    assert turned is not None
    assert turned.axes == (0, 1, 2)


def test_nobody_turns_unasked(typed: Typed) -> None:
    image = np.zeros((4, 4), np.int64)
    kernel, _ = typed(column_row, (16, 16), image, image.copy())
    assert reblock(kernel, (16, 16, 1), 16) is None
    kernel, _ = typed(column_row, (4, 16), image, image.copy())
    found = reblock(kernel, (4, 16, 1), 16)
    assert found is not None
    assert found.axes == (0, 1, 2)
