"""Launch a kernel on the device under test with arrays that are guarded on both sides.

In: NumPy arrays of any strides, scalars, tuples of them. Out: NumPy arrays as the kernel left them.
Holds: the caller's arrays never change; every array argument lies between two stretches of a fill
pattern, and a launch that changes a byte outside its arrays is an AssertionError.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.runtime.selection import current_place

#: A byte that makes no usual value of any dtype, and no invalid one of any but bool.
FILL = 0xC5
#: Elements of fill on each side; odd, so that arrays are aligned to their items and no more.
GUARD = 67

SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
FLOATS = ("float16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
REALS = INTEGERS + FLOATS
DTYPES = ("bool", *REALS, *COMPLEX)


def poison(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array for a kernel to write, full of a pattern that no test expects."""
    kind, count = np.dtype(dtype), int(np.prod(shape))
    if kind == np.bool_:
        return (np.arange(count) % 3 == 1).reshape(shape)
    return np.full(count * kind.itemsize, FILL, np.uint8).view(kind).reshape(shape)


def cover(count: int, block: int) -> int:
    """How many blocks cover `count` threads."""
    return max(1, -(-count // block))


def by_dtype(names: Iterable[str], **needs: Any) -> list[Any]:
    """Parameters for a table of dtypes; each needs a device that has it."""
    return [
        pytest.param(name, marks=pytest.mark.needs(dtypes=name, **needs), id=name) for name in names
    ]


def for_atomics(names: Iterable[str]) -> list[Any]:
    """As by_dtype, where atomics on the dtype are needed too."""
    return [
        pytest.param(name, marks=pytest.mark.needs(dtypes=name, atomics=name), id=name)
        for name in names
    ]


def _random_bits(rng: np.random.Generator, dtype: np.dtype, count: int) -> np.ndarray:
    return np.frombuffer(rng.bytes(count * dtype.itemsize), dtype).copy()


def sample(rng: np.random.Generator, dtype: Any, count: int, special: bool = True) -> np.ndarray:
    """Random values of a dtype: integers over all bits, floats around 1 of both signs, and, if
    `special`, some extreme values (0, -1, least, greatest; infinities, NaN, -0, the smallest)."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return rng.random(count) < 0.5
    if kind.kind == "c":
        part = np.dtype(f"f{kind.itemsize // 2}")
        parts = [sample(rng, part, count, special) for _ in "ri"]
        return np.stack(parts, axis=-1).view(kind).reshape(count)
    if kind.kind == "f":
        values = (rng.standard_normal(count) * 4).astype(kind)
        info = np.finfo(kind)
        extremes = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            np.inf,
            -np.inf,
            np.nan,
            info.max,
            info.smallest_subnormal,
        ]
    else:
        values = _random_bits(rng, kind, count)
        bounds = np.iinfo(kind)
        extremes = [0, 1, bounds.max, bounds.min, bounds.max - 1, bounds.min + 1]
    if special and count:
        at = rng.choice(count, size=min(count // 4, 3 * len(extremes)), replace=False)
        values[at] = np.resize(np.array(extremes, kind), at.size)
    return values


@dataclass
class _Placed:
    """One argument on the device: `base` holds guard, elements, guard; `native` is the argument."""

    source: np.ndarray
    base: Any
    native: Any
    offset: int

    def read(self) -> np.ndarray:
        """The elements now, after a check that nothing around them changed."""
        host = np.array(kk.to_numpy(self.base))
        item = host.dtype.itemsize
        result = _restride(host, self.source.shape, self.source.strides, self.offset).copy()
        # As raw items, for bool has no value of this pattern.
        raw = host.view(f"V{item}")
        elements = _restride(raw, self.source.shape, self.source.strides, self.offset)
        elements[...] = np.void(bytes([FILL]) * item)
        outside = np.flatnonzero(host.view(np.uint8) != FILL)
        if outside.size:
            first = (int(outside[0]) - self.offset) // item
            raise AssertionError(
                f"the launch wrote outside an array of shape {self.source.shape}, strides "
                f"{self.source.strides}: {first} items from its first element"
            )
        return result


def _restride(base: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """A view of a one-dimensional array, `offset` and `strides` in bytes."""
    if isinstance(base, np.ndarray):
        return np.ndarray(shape, base.dtype, base.data, offset, strides)
    view = _device_view()
    if view is not None:
        return view(base, np.dtype(base.dtype), shape, strides, offset)
    if hasattr(base, "__cuda_array_interface__"):
        return _CudaView(base, shape, strides, offset)
    return pytest.skip(f"views of {type(base).__name__} cannot be made here")


def _device_view() -> Any:
    """How the device under test makes views of its arrays, if it does."""
    return getattr(current_place().memory, "view", None)


class _CudaView:
    """What `__cuda_array_interface__` says of a strided view."""

    def __init__(self, base: Any, shape: Any, strides: Any, offset: int) -> None:
        self.base = base
        interface = dict(base.__cuda_array_interface__)
        pointer, readonly = interface["data"]
        interface.update(shape=shape, strides=strides, data=(pointer + offset, readonly))
        self.__cuda_array_interface__ = interface


def _place(array: np.ndarray) -> _Placed:
    """Copies an array to the device, in the middle of a guarded one."""
    item = array.dtype.itemsize
    steps = [(n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)]
    low = sum(min(s, 0) for s in steps) if array.size else 0
    high = sum(max(s, 0) for s in steps) + item if array.size else 0
    guard = GUARD * item
    host = np.full(high - low + 2 * guard, FILL, np.uint8).view(array.dtype)
    offset = guard - low
    _restride(host, array.shape, array.strides, offset)[...] = array
    base = kk.asarray(host)
    if array.flags.c_contiguous and (isinstance(base, np.ndarray) or _device_view() is None):
        native = base[GUARD : GUARD + array.size].reshape(array.shape)
    else:
        native = _restride(base, array.shape, array.strides, offset)
    return _Placed(array, base, native, offset)


class Runner:
    """What the fixture `run` gives: launches on the device under test."""

    def arrays(
        self, kernel: Any, grid: Any, block: Any, *args: Any, shared_bytes: int = 0
    ) -> list[np.ndarray]:
        """Launches; all array arguments afterwards, in order (those inside tuples too)."""
        placed: list[_Placed] = []

        def native(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                placed.append(_place(value))
                return placed[-1].native
            if isinstance(value, tuple) and hasattr(value, "_fields"):
                return type(value)(*map(native, value))
            return tuple(map(native, value)) if isinstance(value, tuple) else value

        launch = (grid, block, None, shared_bytes) if shared_bytes else (grid, block)
        kernel[launch](*map(native, args))
        kk.synchronize()
        return [each.read() for each in placed]

    def __call__(
        self, kernel: Any, grid: Any, block: Any, *args: Any, shared_bytes: int = 0
    ) -> np.ndarray:
        """Launches; the last array argument afterwards, which is where kernels here write."""
        return self.arrays(kernel, grid, block, *args, shared_bytes=shared_bytes)[-1]

    def over(self, kernel: Any, *args: Any, block: int = 32) -> np.ndarray:
        """Launches one thread for each element of the last array; that array afterwards."""
        last = [value for value in args if isinstance(value, np.ndarray)][-1]
        return self(kernel, cover(last.size, block), block, *args)
