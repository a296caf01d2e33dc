"""Launches: shapes of grids and blocks, the names that say where a thread is, forall, kernel.on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import blockDim, blockIdx, gridDim, threadIdx
from kernelkit.conformance.launching import Runner, cover, poison


@kk.kernel
def places(out):
    """Twelve registers for each thread, in a row found by arithmetic alone."""
    width = blockDim.x * gridDim.x
    height = blockDim.y * gridDim.y
    x = blockIdx.x * blockDim.x + threadIdx.x
    y = blockIdx.y * blockDim.y + threadIdx.y
    z = blockIdx.z * blockDim.z + threadIdx.z
    row = (z * height + y) * width + x
    out[row, 0] = threadIdx.x
    out[row, 1] = threadIdx.y
    out[row, 2] = threadIdx.z
    out[row, 3] = blockIdx.x
    out[row, 4] = blockIdx.y
    out[row, 5] = blockIdx.z
    out[row, 6] = blockDim.x
    out[row, 7] = blockDim.y
    out[row, 8] = blockDim.z
    out[row, 9] = gridDim.x
    out[row, 10] = gridDim.y
    out[row, 11] = gridDim.z


def full(extent: Any) -> tuple[int, int, int]:
    """(x, y, z) of what a launch takes as a shape."""
    axes = (extent,) if isinstance(extent, int) else tuple(extent)
    return axes + (1,) * (3 - len(axes))


def expected_places(grid: Any, block: Any) -> np.ndarray:
    g, b = full(grid), full(block)
    size = [gi * bi for gi, bi in zip(g, b, strict=True)]
    rows = []
    for z in range(size[2]):
        for y in range(size[1]):
            for x in range(size[0]):
                at = (x, y, z)
                thread = [a % n for a, n in zip(at, b, strict=True)]
                place = [a // n for a, n in zip(at, b, strict=True)]
                rows.append([*thread, *place, *b, *g])
    return np.array(rows, np.int64)


SHAPES = [
    (1, 1),
    (1, 32),
    (3, 1),
    (5, 33),
    ((4,), (7,)),
    ((2, 3), 5),
    (3, (2, 3)),
    ((2, 3), (4, 5)),
    ((1, 5), (1, 7)),
    ((2, 1, 3), (3, 1, 2)),
    ((2, 3, 2), (3, 2, 5)),
    ((1, 1, 4), (1, 1, 8)),
    ((7, 1), (31, 2)),
    (np.int64(2), (np.int32(3), 2)),
]


@pytest.mark.parametrize(("grid", "block"), SHAPES)
def test_every_register_in_every_shape(run: Runner, grid: Any, block: Any) -> None:
    axes = [tuple(map(int, np.atleast_1d(e))) for e in (grid, block)]
    expected = expected_places(*axes)
    out = run(places, grid, block, poison(expected.shape, np.int64))
    np.testing.assert_array_equal(out, expected)


@kk.kernel
def places_by_grid(out1, out2, out3, sizes):
    i = kk.grid(1)
    x, y = kk.grid(2)
    u, v, w = kk.grid(3)
    nx, ny, nz = kk.gridsize(3)
    row = (w * ny + v) * nx + u
    out1[row] = i
    out2[row, 0] = x
    out2[row, 1] = y
    out3[row, 0] = u
    out3[row, 1] = v
    out3[row, 2] = w
    if row == 0:
        sizes[0] = kk.gridsize(1)
        mx, my = kk.gridsize(2)
        sizes[1] = mx
        sizes[2] = my
        sizes[3] = nx
        sizes[4] = ny
        sizes[5] = nz


@pytest.mark.parametrize(("grid", "block"), [(3, 7), ((2, 3), (5, 2)), ((2, 3, 2), (3, 1, 2))])
def test_grid_and_gridsize(run: Runner, grid: Any, block: Any) -> None:
    size = [g * b for g, b in zip(full(grid), full(block), strict=True)]
    count = int(np.prod(size))
    z, y, x = np.unravel_index(np.arange(count), size[::-1])
    out1, out2, out3, sizes = run.arrays(
        places_by_grid,
        grid,
        block,
        poison(count, np.int64),
        poison((count, 2), np.int64),
        poison((count, 3), np.int64),
        poison(6, np.int64),
    )
    np.testing.assert_array_equal(out1, x)
    np.testing.assert_array_equal(out2, np.stack([x, y], axis=1))
    np.testing.assert_array_equal(out3, np.stack([x, y, z], axis=1))
    np.testing.assert_array_equal(sizes, [size[0], size[0], size[1], *size])


@kk.kernel
def lanes(out):
    row = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)
    out[row, 0] = kk.laneid
    out[row, 1] = kk.warpsize


@pytest.mark.parametrize("block", [1, 31, 32, 33, 70, (5, 9), (3, 5, 7), (64, 2), (1, 40)])
def test_lanes_are_consecutive_threads_x_fastest(run: Runner, block: Any) -> None:
    count = int(np.prod(full(block)))
    out = run(lanes, 1, block, poison((count, 2), np.int64))
    np.testing.assert_array_equal(out[:, 0], np.arange(count) % 32)
    np.testing.assert_array_equal(out[:, 1], 32)


@kk.kernel
def double(src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = 2 * src[i]


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 64, 97, 257])
@pytest.mark.parametrize("block", [1, 8, 32, 48])
def test_guarded_tails_write_nothing_outside(
    run: Runner, rng: np.random.Generator, count: int, block: int
) -> None:
    src = rng.integers(-1000, 1000, count).astype(np.int32)
    out = run(double, cover(count, block) + 1, block, src, poison(count, np.int32))
    np.testing.assert_array_equal(out, 2 * src)


@pytest.mark.parametrize("count", [64, 256, 1024])
def test_large_blocks(run: Runner, capabilities: Any, count: int) -> None:
    if count > capabilities.threads_per_block:
        pytest.skip(f"the device takes at most {capabilities.threads_per_block} threads in a block")
    src = np.arange(count, dtype=np.int32)
    np.testing.assert_array_equal(run(double, 1, count, src, poison(count, np.int32)), 2 * src)


@kk.kernel
def plane(out):
    x, y = kk.grid(2)
    if y < out.shape[0] and x < out.shape[1]:
        out[y, x] = 1000 * y + x


@kk.kernel
def line(out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = i


@kk.kernel
def volume(out):
    x, y, z = kk.grid(3)
    if z < out.shape[0] and y < out.shape[1] and x < out.shape[2]:
        out[z, y, x] = 10000 * z + 100 * y + x


@pytest.mark.parametrize("count", [0, 1, 5, 32, 131])
def test_forall_a_line(count: int) -> None:
    for shape in (count, (count,)):
        out = kk.asarray(poison(count, np.int32))
        line.forall(shape)(out)
        np.testing.assert_array_equal(kk.to_numpy(out), np.arange(count))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (1, 67), (29, 2), (17, 33)])
def test_forall_a_plane_has_x_along_the_last_axis(shape: tuple[int, int]) -> None:
    out = kk.asarray(poison(shape, np.int32))
    plane.forall(shape)(out)
    y, x = np.indices(shape)
    np.testing.assert_array_equal(kk.to_numpy(out), 1000 * y + x)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (5, 1, 19)])
def test_forall_a_volume(shape: tuple[int, int, int]) -> None:
    out = kk.asarray(poison(shape, np.int32))
    volume.forall(shape)(out)
    z, y, x = np.indices(shape)
    np.testing.assert_array_equal(kk.to_numpy(out), 10000 * z + 100 * y + x)


def test_a_configured_kernel_is_reusable(run: Runner) -> None:
    configured = double[2, 32]
    for count in (40, 64, 3):
        src = kk.asarray(np.arange(count, dtype=np.int32))
        out = kk.asarray(poison(count, np.int32))
        configured(src, out)
        np.testing.assert_array_equal(kk.to_numpy(out), 2 * np.arange(count))


def test_a_kernel_bound_to_a_back_end(backend_name: str) -> None:
    src = kk.asarray(np.arange(9, dtype=np.int32))
    out = kk.asarray(poison(9, np.int32))
    double.on(backend_name)[1, 16](src, out)
    np.testing.assert_array_equal(kk.to_numpy(out), 2 * np.arange(9))


def test_a_launch_in_a_stream() -> None:
    stream = kk.Stream()
    begin, end = kk.Event(), kk.Event()
    src = kk.asarray(np.arange(9, dtype=np.int32))
    out = kk.asarray(poison(9, np.int32))
    begin.record(stream)
    double[1, 16, stream](src, out)
    end.record(stream)
    stream.synchronize()
    end.synchronize()
    np.testing.assert_array_equal(kk.to_numpy(out), 2 * np.arange(9))
    assert 0 <= end.elapsed_ms(begin) < 60_000


def test_launches_follow_one_another() -> None:
    a = kk.asarray(np.ones(33, np.int32))
    for _ in range(5):
        double[2, 32](a, a)
    np.testing.assert_array_equal(kk.to_numpy(a), np.full(33, 32))


@kk.kernel
def grid_stride(src, out):
    for i in range(kk.grid(1), out.size, kk.gridsize(1)):
        out[i] = src[i] + 1


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 200])
def test_grid_stride_loops(run: Runner, rng: np.random.Generator, count: int) -> None:
    src = rng.integers(0, 99, count).astype(np.int64)
    out = run(grid_stride, 2, 32, src, poison(count, np.int64))
    np.testing.assert_array_equal(out, src + 1)


@kk.kernel
def nothing():
    pass


@pytest.mark.parametrize("block", [1, (2, 3), (2, 2, 2)])
def test_a_kernel_without_arguments(block: Any) -> None:
    nothing[2, block]()
    kk.synchronize()
