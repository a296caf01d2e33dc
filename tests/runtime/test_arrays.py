"""Native arrays, streams and events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.backend import HostEvent, HostStream
from kernelkit.errors import ArgumentError, BackendError


@pytest.fixture
def gpu(fake_backend: Callable[..., Any]) -> Any:
    return fake_backend("gpu", host=False, count=2)


def test_on_the_host_arrays_stay_what_they_are() -> None:
    x = np.arange(6.0)[::2]
    assert kk.asarray(x) is x
    assert kk.asarray(x, "python") is x
    assert kk.to_numpy(x) is x
    np.testing.assert_array_equal(kk.asarray([1, 2]), [1, 2])


def test_empty() -> None:
    for shape, expected in ((3, (3,)), ((2, 3), (2, 3)), ([2], (2,)), ((), ()), (np.int8(2), (2,))):
        found = kk.empty(shape, np.int16)
        assert (found.shape, found.dtype) == (expected, np.int16)


def test_host_tensors_are_shared() -> None:
    class Tensor:
        data = np.arange(3)
        __dlpack__ = data.__dlpack__
        __dlpack_device__ = data.__dlpack_device__

    assert np.shares_memory(kk.asarray(Tensor()), Tensor.data)
    assert np.shares_memory(kk.to_numpy(Tensor()), Tensor.data)


def test_to_a_device_and_back(gpu: Any, device_array: Any) -> None:
    x = np.arange(4.0)
    there = kk.asarray(x, "gpu:1")
    assert isinstance(there, device_array)
    assert there.home == "gpu:1"
    assert kk.asarray(there) is there
    assert kk.asarray(there, "gpu:1") is there
    np.testing.assert_array_equal(kk.to_numpy(there), x)
    moved = kk.asarray(there, "gpu:0")
    assert moved.home == "gpu:0"
    np.testing.assert_array_equal(kk.to_numpy(moved), x)
    np.testing.assert_array_equal(kk.asarray(moved, "python"), x)
    assert kk.empty((2, 2), np.int8, "gpu").shape == (2, 2)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        ("O", r"an array for gpu:0 has dtype object, which .* x\.astype\(np\.float64\)"),
        ("U3", "an array for gpu:0 has dtype <U3, .* as numbers"),
        (">f8", "an array for gpu:0 has dtype '>f8', .* the other order"),
        (np.longdouble, r"x\.astype\(np\.float64\)"),
    ],
)
def test_devices_have_arrays_of_dtypes_that_kernels_know(gpu: Any, dtype: Any, words: str) -> None:
    for make in (lambda: kk.asarray(np.zeros(3, dtype), "gpu"), lambda: kk.empty(3, dtype, "gpu")):
        with pytest.raises(ArgumentError, match=words):
            make()
    assert kk.asarray(np.zeros(3, dtype), "python").dtype == dtype


def test_the_current_device_is_the_default(gpu: Any) -> None:
    with kk.use("gpu:1"):
        assert kk.asarray([1.0]).home == "gpu:1"
        assert kk.empty(3, np.float32).home == "gpu:1"
        assert kk.Stream() == "stream of gpu:1"
        assert isinstance(kk.asarray([1.0], "python"), np.ndarray)
    assert isinstance(kk.asarray([1.0]), np.ndarray)


def test_a_device_is_named_or_given(gpu: Any) -> None:
    with kk.use("gpu:1"):
        device = kk.current_device()
    assert kk.empty(1, np.int8, device).home == "gpu:1"
    assert kk.Stream(device) == "stream of gpu:1"
    for call in (kk.Stream, kk.Event, kk.synchronize):
        with pytest.raises(BackendError, match="no back end 'gpx'; did you mean 'gpu'"):
            call("gpx")


def test_synchronize_waits_for_one_or_all(gpu: Any) -> None:
    kk.synchronize("gpu:1")
    assert [m.waited for m in gpu.memories] == [0, 1]
    kk.synchronize()
    assert [m.waited for m in gpu.memories] == [
        0,
        2,
    ]  # where nothing was done, nothing is waited for
    kk.asarray(np.zeros(1), "gpu:0")
    kk.synchronize()
    assert [m.waited for m in gpu.memories] == [1, 3]


def test_synchronize_wakes_no_back_end(fake_backend: Callable[..., Any]) -> None:
    asleep = fake_backend("asleep", host=False)
    kk.synchronize()
    assert asleep.memories[0].waited == 0


def test_streams_and_events_of_the_host() -> None:
    assert isinstance(kk.Stream("python"), HostStream)
    begin, end = kk.Event("python"), kk.Event("python")
    assert isinstance(begin, HostEvent)
    begin.record()
    end.record()
    end.synchronize()
    assert 0 <= end.elapsed_ms(begin) < 1000


def test_an_array_that_nobody_owns(device_array: Any) -> None:
    lost = device_array(np.zeros(1), "nowhere")
    for call in (kk.asarray, kk.to_numpy):
        with pytest.raises(ArgumentError, match="no back end that is usable here works on a"):
            call(lost)
