"""Arrays that are not NumPy's: found by their interfaces, never copied."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.errors import ArgumentError, ReadOnlyError
from kernelkit.runtime.foreign import NotAnArray, describe, host_view, is_foreign


class Tensor:
    """Exports DLPack as torch does: `old` before version 1.0, which is silent about writing."""

    def __init__(self, data: np.ndarray, old: bool = False, device: int = 1) -> None:
        self.data, self.old, self.device = data, old, device

    def __dlpack__(self, **options: Any) -> Any:
        return self.data.__dlpack__() if self.old else self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


class OldTensor(Tensor):
    """As torch's, which have __array__ besides."""

    def __init__(self, data: np.ndarray) -> None:
        super().__init__(data, old=True)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.data


class Stranger(OldTensor):
    """Whose __array__ is a copy."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.data.copy()


@pytest.mark.parametrize("make", [Tensor, OldTensor])
def test_host_tensors_are_shared(make: Any) -> None:
    data = np.zeros((3, 4), np.float32)[:, ::2]
    view = host_view(make(data))
    assert np.shares_memory(view, data)
    assert (view.shape, view.strides, view.dtype) == (data.shape, data.strides, data.dtype)
    assert view.flags.writeable


def test_a_tensor_that_does_not_say_whether_it_may_be_written_may_not() -> None:
    data = np.zeros(3)
    for tensor in (Tensor(data, old=True), Stranger(data)):
        view = host_view(tensor)
        assert np.shares_memory(view, data)
        assert not view.flags.writeable


def test_an_old_tensor_of_read_only_data_stays_read_only() -> None:
    data = np.zeros(3)
    data.flags.writeable = False

    class Locked(OldTensor):
        def __dlpack__(self, **options: Any) -> Any:
            return np.zeros(3).__dlpack__()

    assert not host_view(Locked(data)).flags.writeable


@kk.kernel
def double(src, dst):
    i = kk.grid(1)
    if i < dst.size:
        dst[i] = src[i] * 2


@pytest.mark.parametrize("make", [Tensor, OldTensor])
def test_host_tensors_for_real(make: Any) -> None:
    src, dst = np.arange(5.0), np.zeros(5)
    double.on("python").forall(5)(make(src), make(dst))
    np.testing.assert_array_equal(dst, src * 2)


def test_a_tensor_that_may_not_be_written_is_not() -> None:
    data = np.zeros(5)
    with pytest.raises(ReadOnlyError, match="double writes 'dst'"):
        double.on("python").forall(5)(np.ones(5), Tensor(data, old=True))
    assert (data == 0).all()


class NeedsGrad(Tensor):
    def __dlpack__(self, **options: Any) -> Any:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")


def test_a_tensor_that_cannot_be_had_says_why() -> None:
    out = np.zeros(5)
    with pytest.raises(ArgumentError, match=r"'src', is of type .*NeedsGrad, .*tensor\.detach\(\)"):
        double.on("python").forall(5)(NeedsGrad(out), out)


class Reluctant:
    """As torch's on a GPU that require a gradient: the attribute is there, and fails."""

    @property
    def __cuda_array_interface__(self) -> Any:
        raise RuntimeError("Can't get __cuda_array_interface__ on Variable that requires grad")


class Lost(Tensor):
    def __dlpack_device__(self) -> tuple[int, int]:
        raise ValueError("the device is lost")


@pytest.mark.parametrize(
    ("value", "words"), [(Reluctant(), "requires grad"), (Lost(np.zeros(1)), "device is lost")]
)
def test_an_interface_that_fails_says_why(value: Any, words: str) -> None:
    out = np.zeros(5)
    with pytest.raises(ArgumentError, match=f"cannot be had: .*{words}"):
        double.on("python").forall(5)(value, out)


def test_to_numpy_of_what_cannot_be_had() -> None:
    for call in (kk.asarray, kk.to_numpy):
        with pytest.raises(ArgumentError, match="cannot be had: .*device is lost"):
            call(Lost(np.zeros(1)))
        with pytest.raises(ArgumentError, match=r"cannot be had: .*tensor\.detach\(\)"):
            call(NeedsGrad(np.zeros(1)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Tensor(np.zeros(1)), False),
        (Tensor(np.zeros(1), device=3), False),
        (Tensor(np.zeros(1), device=2), True),
        (SimpleNamespace(__cuda_array_interface__={}), True),
        (SimpleNamespace(__array_interface__={}), False),
        (SimpleNamespace(shape=(), dtype="f4", strides=()), True),
        (SimpleNamespace(shape=(), dtype="f4", strides=(), __array__=None), False),
        (SimpleNamespace(shape=()), False),
        (np.float32, False),
        ([1], False),
        (None, False),
    ],
)
def test_what_lives_elsewhere(value: Any, expected: bool) -> None:
    assert is_foreign(value) is expected


def cuda_array(**interface: Any) -> Any:
    full = {"typestr": "<f4", "shape": (2, 3), "data": (4096, False), "version": 3, **interface}
    return SimpleNamespace(__cuda_array_interface__=full)


def test_the_cuda_array_interface() -> None:
    found = describe(cuda_array(strides=None))
    assert (found.dtype, found.shape, found.contiguous) == (np.dtype("f4"), (2, 3), True)
    assert found.bounds() == (4096, 4096 + 24)
    assert not found.readonly
    assert describe(cuda_array(data=(4096, True))).readonly


@pytest.mark.parametrize(
    ("shape", "strides", "contiguous", "bounds"),
    [
        ((2, 3), (12, 4), True, (4096, 4120)),
        ((2, 3), (24, 4), False, (4096, 4132)),
        ((2, 3), (12, -4), False, (4088, 4112)),
        ((1, 3), (999, 4), True, (4096, 4108)),
        ((2, 0), (7, 7), True, (4096, 4096)),
        ((2, 3), (0, 0), False, (4096, 4100)),
        ((), (), True, (4096, 4100)),
    ],
)
def test_the_extent_of_a_device_array(
    shape: Any, strides: Any, contiguous: bool, bounds: Any
) -> None:
    found = describe(cuda_array(shape=shape, strides=strides))
    assert (found.contiguous, found.bounds()) == (contiguous, bounds)


def test_an_array_without_an_interface_is_described_by_its_attributes() -> None:
    found = describe(SimpleNamespace(shape=[4], dtype=np.int16, strides=[4]))
    assert (found.dtype, found.shape, found.strides) == (np.dtype("i2"), (4,), (4,))
    assert found.bounds() is None


@pytest.mark.parametrize(
    ("shape", "strides", "words"),
    [
        ((-3,), None, r"its shape is \(-3,\)"),
        ((3, 4), (4,), r"its shape is \(3, 4\) and its strides are \(4,\)"),
        ("ab", None, "TypeError: 'str' object cannot be interpreted as an integer"),
        ((3,), (None,), "TypeError: 'NoneType' object cannot"),
        ((3.0,), None, "TypeError: 'float' object cannot"),
        (3, None, "TypeError: 'int' object is not iterable"),
    ],
)
def test_shapes_that_cannot_be(shape: Any, strides: Any, words: str) -> None:
    plain = SimpleNamespace(dtype="f4", shape=shape, strides=strides)
    said = {"data": (64, False), "typestr": "<f4", "shape": shape, "strides": strides}
    for value in (plain, SimpleNamespace(__cuda_array_interface__=said)):
        with pytest.raises(ArgumentError, match=f"argument 1 of double, 'src',.* had: .*{words}"):
            double[1, 1](value, np.zeros(3))


def test_what_is_no_array_is_none() -> None:
    with pytest.raises(NotAnArray, match="^$"):
        host_view(Ellipsis)
    with pytest.raises(NotAnArray, match="KeyError"):
        describe(SimpleNamespace(__cuda_array_interface__={}))
