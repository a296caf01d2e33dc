"""Grid, block and shared memory: what is taken, and what is said of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.backend import Capabilities, LaunchConfig
from kernelkit.errors import ConfigurationError
from kernelkit.runtime.configuration import (
    check_device,
    cover,
    read_brackets,
    read_extent,
    read_shape,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, (1, 1, 1)),
        (2**40, (2**40, 1, 1)),
        ((5,), (5, 1, 1)),
        ((5, 6), (5, 6, 1)),
        ([5, 6, 7], (5, 6, 7)),
        (np.int32(3), (3, 1, 1)),
        ((np.uint64(3), 4), (3, 4, 1)),
    ],
)
def test_extents(value: Any, expected: tuple[int, int, int]) -> None:
    found = read_extent("k", "grid", value)
    assert found == expected
    assert all(type(n) is int for n in found)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, r"every axis of the block of k must be at least 1, and 0 is not; to launch nothing"),
        ((4, 0), r"at least 1, and \(4, 0\) is not; to launch nothing"),
        (-3, r"at least 1, and -3 is not$"),
        (np.int64(-1), r"at least 1"),
        (1.0, r"an int or a tuple of 1 to 3 ints, not 1\.0 \(float\); write int\(\.\.\.\)"),
        ((2, 2.5), r"not \(2, 2\.5\) \(float\)"),
        (np.float32(2), r"\(float32\); write int"),
        (True, r"not True \(bool\)$"),
        (np.True_, r"\(bool\)"),
        ("4", r"not '4' \(str\)$"),
        (None, r"not None \(NoneType\)"),
        ((), r"\(\) has 0 axes"),
        ((1, 2, 3, 4), r"\(1, 2, 3, 4\) has 4 axes"),
        (((1, 2), 3), r"\(tuple\)"),
        (np.array([4, 4]), r"\(ndarray\)"),
        (np.array(4), r"\(ndarray\)"),
        ({4}, r"\(set\)"),
    ],
)
def test_bad_extents(value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_extent("k", "block", value)


@pytest.mark.parametrize("brackets", [4, (4,), (), (1, 2, None, 0, 5), [1, 2], "ab"])
def test_bad_brackets(brackets: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"takes grid and block.*write k\[grid, block\]"):
        read_brackets("k", brackets)


def test_brackets() -> None:
    assert read_brackets("k", (1, (2, 3))) == ((1, 1, 1), (2, 3, 1), None, 0)
    assert read_brackets("k", ([4], 2, "s", np.int64(64))) == ((4, 1, 1), (2, 1, 1), "s", 64)


@pytest.mark.parametrize("value", [-1, 1.0, True, "16", None, np.float64(8)])
def test_bad_dynamic_bytes(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="number of bytes, an int of at least 0, not"):
        read_brackets("k", (1, 1, None, value))


@pytest.mark.parametrize(
    ("shape", "grid", "block"),
    [
        (0, (0, 1, 1), (256, 1, 1)),
        (1, (1, 1, 1), (256, 1, 1)),
        (np.int64(257), (2, 1, 1), (256, 1, 1)),
        ((256,), (1, 1, 1), (256, 1, 1)),
        ((9, 33), (2, 2, 1), (32, 8, 1)),
        ((5, 0), (0, 1, 1), (32, 8, 1)),
        ([3, 5, 33], (2, 2, 2), (32, 4, 2)),
        (2**33, (2**25, 1, 1), (256, 1, 1)),
    ],
)
def test_forall_covers_a_shape_with_x_along_the_last_axis(
    shape: Any, grid: tuple[int, ...], block: tuple[int, ...]
) -> None:
    assert cover(read_shape("k", shape)) == (grid, block)


@pytest.mark.parametrize(
    "shape", [-1, 2.0, (), (1, 2, 3, 4), (2, -1), True, "4", None, np.zeros(3), (2, 2.0)]
)
def test_bad_shapes_of_forall(shape: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"k\.forall takes an int or a tuple of 1 to 3"):
        read_shape("k", shape)


SMALL = Capabilities(threads_per_block=64, block=(64, 16, 4), grid=(100, 50, 20), shared_bytes=1000)


@pytest.mark.parametrize(
    ("grid", "block", "shared", "words"),
    [
        ((1, 1, 1), (13, 5, 1), 0, r"13 x 5 x 1 = 65 threads, and dev takes at most 64; use a sm"),
        ((1, 1, 1), (1, 17, 1), 0, r"block of k has 17 along y, and dev takes at most 16 there"),
        ((1, 1, 1), (1, 1, 5), 0, r"block of k has 5 along z"),
        ((101, 1, 1), (1, 1, 1), 0, r"grid of k has 101 along x, and dev takes at most 100"),
        ((1, 51, 1), (1, 1, 1), 0, r"grid of k has 51 along y.*put the longest axis on x"),
        ((1, 1, 21), (1, 1, 1), 0, r"grid of k has 21 along z"),
        ((1, 1, 1), (1, 1, 1), 1001, r"1001 bytes of shared memory \(0 static \+ 1001 dynamic\)"),
    ],
)
def test_what_a_device_cannot_do(
    grid: tuple[int, int, int], block: tuple[int, int, int], shared: int, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_device("k", LaunchConfig(grid, block, shared), SMALL, "dev")


def test_what_a_device_can_just_do() -> None:
    check_device("k", LaunchConfig((100, 50, 20), (4, 4, 4), 1000), SMALL, "dev")
    check_device("k", LaunchConfig((100, 50, 20), (64, 1, 1), 0), SMALL, "dev")


# ---------------------------------------------------------------- for real: nothing is written
@kk.kernel
def fill(out):
    out[0] = 1


@kk.kernel
def tile(out):
    a = kk.shared.array(4000, np.float64)
    b = kk.shared.array(0, np.float64)
    a[0] = 2
    b[0] = 1
    out[0] = a[0] + b[0]


@kk.kernel
def huge(out):
    a = kk.shared.array((100, 100), np.float64)
    a[0, 0] = 1
    out[0] = a[0, 0]


@pytest.mark.parametrize(
    ("kernel", "brackets", "words"),
    [
        (fill, (0, 1), "must be at least 1"),
        (fill, (1, -1), "must be at least 1"),
        (fill, (1.0, 1), "must be an int"),
        (fill, (1, 1025), r"1025 x 1 x 1 = 1025 threads, and .* takes at most 1024"),
        (fill, (1, (32, 33)), r"32 x 33 x 1 = 1056 threads"),
        (fill, (1, (1, 1, 65)), "65 along z"),
        (fill, ((1, 65536), 1), "65536 along y"),
        (fill, (2**31, 1), "2147483648 along x"),
        (fill, (1, 1, None, 10**6), "1000000 bytes of shared memory"),
        (fill, (1, 1, "stream"), "'stream' is no stream of it"),
        (tile, (1, 1, None, 17160), r"49160 bytes .*32000 static \+ 17160 dynamic\), and .* 49152"),
        (huge, (1, 1), r"80000 bytes of shared memory \(80000 static \+ 0 dynamic\)"),
    ],
)
def test_a_refused_launch_writes_nothing(kernel: Any, brackets: Any, words: str) -> None:
    out = np.full(3, -5.0)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=words):
            kernel.on("python")[brackets](out)
    assert (out == -5).all()


def test_dynamic_memory_up_to_the_limit() -> None:
    out = np.zeros(1)
    tile.on("python")[1, 1, None, 49152 - 32000](out)
    assert out[0] == 3
    with pytest.raises(ConfigurationError, match="32000 static"):
        tile.on("python")[1, 1, None, 49152 - 32000 + 1](out)
