"""A kernel with its grid and block: what reaches the back end, and what is refused before."""

from __future__ import annotations

import pickle
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.backend import HostStream, LaunchConfig
from kernelkit.errors import ConfigurationError

A, B = np.ones(8), np.zeros(8)


@kk.kernel
def copy(src, dst):
    i = kk.grid(1)
    if i < dst.size:
        dst[i] = src[i]


@kk.kernel
def marks(n, out):
    out[0] = n


def test_what_reaches_the_back_end(fake: Any) -> None:
    copy.on("fake")[(2, 3), (4, 5), None, 96](A, B)
    ((config, args, stream),) = fake.launches
    assert config == LaunchConfig((2, 3, 1), (4, 5, 1), 96)
    assert args[0] is A
    assert args[1] is B
    assert stream is None


def test_scalars_reach_it_as_they_are(fake: Any) -> None:
    for value in (3, True, 2.5, 1j, np.float32(1.5), np.uint64(2**64 - 1)):
        if not isinstance(value, complex):
            marks.on("fake")[1, 1](value, B)
            assert fake.launches[-1][1][0] is value


def test_it_is_reusable_and_says_what_it_is(fake: Any) -> None:
    launch = copy.on("fake")[2, 4]
    for _ in range(3):
        launch(A, B)
    launch(A[::-1], B)
    assert len(fake.launches) == 4
    assert (launch.grid, launch.block) == ((2, 1, 1), (4, 1, 1))
    assert repr(launch).endswith("copy on fake with grid (2, 1, 1) and block (4, 1, 1)>")


def test_one_configured_serves_several_places(fake: Any, fake_backend: Callable[..., Any]) -> None:
    other = fake_backend("other")
    launch = copy[1, 8]
    for _ in range(2):
        with kk.use("fake"):
            launch(A, B)
        with kk.use("other"):
            launch(A, B)
    assert (fake.compiled, len(fake.launches)) == (1, 2)
    assert (other.compiled, len(other.launches)) == (1, 2)


def test_it_pickles() -> None:
    launch = pickle.loads(pickle.dumps(copy.on("python")[2, 4]))
    out = np.zeros(8)
    launch(A, out)
    np.testing.assert_array_equal(out, A)


# ---------------------------------------------------------------- streams
def test_streams_of_the_host(fake: Any) -> None:
    stream = kk.Stream("fake")
    for given, passed in ((None, None), (0, None), (stream, stream)):
        copy.on("fake")[1, 8, given](A, B)
        assert fake.launches[-1][2] is passed
    assert isinstance(stream, HostStream)


@pytest.mark.parametrize("stream", [1, False, "s", object(), 0.0])
def test_what_is_no_stream_of_the_host(fake: Any, stream: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r'is no stream of it; leave it out, or pass .*Stream\("fake:0"\)'
    ):
        copy.on("fake")[1, 8, stream](A, B)
    assert fake.launches == []


# ---------------------------------------------------------------- forall
def test_forall_launches_what_covers_the_shape(fake: Any) -> None:
    bound = copy.on("fake")
    for shape, grid, block in (
        (257, (2, 1, 1), (256, 1, 1)),
        ((9, 33), (2, 2, 1), (32, 8, 1)),
        ((3, 5, 33), (2, 2, 2), (32, 4, 2)),
    ):
        bound.forall(shape)(A, B)
        config = fake.launches[-1][0]
        assert (config.grid, config.block) == (grid, block)


@pytest.mark.parametrize("shape", [0, (0,), (5, 0), (0, 5), (2, 0, 3)])
def test_forall_over_nothing_launches_nothing_but_checks(fake: Any, shape: Any) -> None:
    launch = copy.on("fake").forall(shape)
    launch(A, B)
    assert (fake.emitted, fake.launches) == ([], [])
    with pytest.raises(kk.ArgumentError, match="lacks 'dst'"):
        launch(A)
    with pytest.raises(kk.ArgumentError, match="is of type list"):
        launch(A, [1.0])


def test_empty_arrays_launch(fake: Any) -> None:
    empty = np.empty((0,))
    copy.on("fake")[1, 8](empty, empty)
    copy.on("fake")[1, 8](A, empty)
    assert len(fake.launches) == 2
    copy.on("python")[2, 8](empty, empty)


def test_grids_beyond_the_range_of_int32(fake: Any) -> None:
    copy.on("fake")[(2**31 - 1, 65535, 65535), 1024](A, B)
    assert fake.launches[-1][0].grid == (2**31 - 1, 65535, 65535)
    copy.on("fake").forall(2**38)(A, B)
    assert fake.launches[-1][0].grid == (2**30, 1, 1)


# ---------------------------------------------------------------- overhead
def test_a_repeated_launch_costs_little(fake: Any) -> None:
    launch = copy.on("fake")[1, 8]
    launch(A, B)

    def again() -> None:
        launch(A, B)
        fake.launches.clear()

    seconds = min(timeit.repeat(again, number=2000, repeat=5)) / 2000
    # Some 2 us; the bound is for a busy machine.
    assert seconds < 50e-6
