"""The arguments of a launch: their types, the key of the specialisation they ask for, native values.

In: one value for each parameter. Out: a Reading, or the quick key of a call so plain that none is
needed.
Holds: equal keys mean equal argument types; a value that no kernel takes is an ArgumentError that
names it; nothing is copied, so that what a kernel writes the caller sees.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import field
from functools import lru_cache
from typing import Any, Final

import numpy as np

from kernelkit.errors import ArgumentError, KernelError
from kernelkit.frontend.arguments import (
    ArgType,
    ScalarArg,
    StaticArg,
    TupleArg,
    static_identity,
)
from kernelkit.ir.types import (
    BOOL,
    COMPLEX128,
    DTYPES,
    FLOAT64,
    INT64,
    ArrayType,
    Layout,
    from_numpy,
)
from kernelkit.records import record
from kernelkit.runtime import refusals
from kernelkit.runtime.foreign import (
    ForeignArray,
    NotAnArray,
    describe,
    host_view,
    is_foreign,
    settle,
)
from kernelkit.runtime.parameters import Parameters

#: Strides of the last axis up to so many items are part of an array's type.
_SMALL_STRIDE = 4

_INT_MIN: Final = INT64.minimum
_INT_MAX: Final = INT64.maximum

#: Type of a number -> what a kernel takes it for.
_SCALARS: Final[dict[type, ScalarArg]] = {
    bool: ScalarArg(BOOL),
    int: ScalarArg(INT64),
    float: ScalarArg(FLOAT64, weak=True),
    complex: ScalarArg(COMPLEX128, weak=True),
    **{t.numpy.type: ScalarArg(t) for t in DTYPES.values()},
}
#: Numbers whose type alone is their key; an int must fit besides.
_PLAIN: Final = frozenset(_SCALARS) - {int}

#: An extent of so much is in nobody's memory, but in a broadcast array it may be said; the analysis
#: counts on products of an extent and small numbers.
_EXTENT_LIMIT: Final = 1 << 60

_NUMBERS: Final[tuple[type[Any], ...]] = (int, float, complex)

Native = Any
#: An np.ndarray, a ForeignArray or a number.
Leaf = Any


def quick_key(values: Sequence[Any]) -> tuple[Hashable, ...] | None:
    """The key of a call whose arguments are all contiguous, writeable NumPy arrays or numbers.

    None for any other call, which `read` then looks at. The keys of both agree.
    """
    key: list[Any] = []
    for value in values:
        kind = type(value)
        if kind is np.ndarray:
            if not value.flags.carray:
                return None
            key += (value.dtype, value.ndim)
        elif kind in _PLAIN:
            key.append(kind)
        elif kind is int and _INT_MIN <= value <= _INT_MAX:
            key.append(int)
        else:
            return None
    return tuple(key)


@record(frozen=False)
class Reading:
    """The arguments of one launch. `leaves` are those that exist when the kernel runs, in the order
    of the kernel's parameters with tuples laid flat; `labels` say what the caller calls them."""

    kernel: str
    types: dict[str, ArgType] = field(default_factory=dict)
    key: tuple[Hashable, ...] = ()
    leaves: list[Leaf] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    #: Leaves in a device's memory.
    foreign: list[int] = field(default_factory=list)

    def natives(self) -> list[Native]:
        """What a back end gets, once NumPy arrays are staged where they have to be."""
        if not self.foreign:
            return self.leaves
        return [x.native if isinstance(x, ForeignArray) else x for x in self.leaves]

    def settle(self, memory: object) -> None:
        """Take arrays of other libraries for native ones of the memory where all of them lie."""
        for leaf in self.foreign:
            try:
                self.leaves[leaf] = settle(self.leaves[leaf], memory)
            except Exception as error:
                kind = refusals.type_name(self.leaves[leaf].native)
                why = (
                    error if isinstance(error, KernelError) else f"{type(error).__name__}: {error}"
                )
                raise ArgumentError(
                    f"{self.labels[leaf]!r} of {self.kernel} is a {kind}, and its array cannot be "
                    f"had: {why}"
                ) from error
            if not self.leaves[leaf].aligned:
                raise refusals.misaligned_on_device(self.kernel, self.labels[leaf])

    def has_host_arrays(self) -> bool:
        """Whether any array is NumPy's."""
        return any(type(leaf) is np.ndarray for leaf in self.leaves)


def read(parameters: Parameters, values: Sequence[Any]) -> Reading:
    """Read one value for each parameter."""
    reader = _Reader(parameters)
    for position, (name, value) in enumerate(zip(parameters.names, values, strict=True)):
        reader.argument(position, name, value)
    reader.reading.key = tuple(reader.key)
    return reader.reading


class _Reader:
    def __init__(self, parameters: Parameters) -> None:
        self.reading = Reading(parameters.kernel)
        self.key: list[Any] = []
        self._static = parameters.static
        self._position = 0

    def argument(self, position: int, name: str, value: Any) -> None:
        self._position = position
        if position in self._static:
            self.reading.types[name] = self._compile_time(value, name)
        else:
            self.reading.types[name] = self._value(value, name)

    def _where(self, label: str) -> str:
        return f"argument {self._position + 1} of {self.reading.kernel}, {label!r},"

    # ------------------------------------------------------------ by what it is
    def _value(self, value: Any, label: str) -> ArgType:
        if isinstance(value, np.ndarray):
            return self._host_array(value, label)
        if value is None:
            return self._static_value(None)
        if isinstance(value, tuple):
            return self._tuple(value, label)
        scalar = self._scalar(value, label)
        return self._other(value, label) if scalar is None else scalar

    def _scalar(self, value: Any, label: str) -> ScalarArg | None:
        value = _plain_number(value)
        kind = type(value)
        found = _SCALARS.get(kind)
        if found is None:
            if isinstance(value, np.generic):
                alias = from_numpy(value.dtype)  # np.longlong, where int64 is np.long
                if alias is None:
                    raise refusals.unsupported_dtype(self._where(label), label, value.dtype)
                return self._scalar(alias.numpy.type(value), label)
            return None
        if kind is int and not _INT_MIN <= value <= _INT_MAX:
            raise refusals.too_large(self._where(label), value)
        self.key.append(kind)
        self._leaf(value, label)
        return found

    def _host_array(self, array: np.ndarray, label: str) -> ArrayType:
        if type(array) is not np.ndarray:
            if refusals.is_masked(array):
                raise refusals.masked(self._where(label), label)
            array = array.view(np.ndarray)
        flags = array.flags
        layout: Layout = "C"
        if not flags.c_contiguous:
            layout = _layout(array.strides, array.itemsize)
        found = self._array_type(array.dtype, array.ndim, layout, label)
        if not flags.aligned:
            raise refusals.misaligned(self._where(label), label)
        self._check_extents(array.shape, label)
        self._leaf(array, label)
        return found

    def _check_extents(self, shape: tuple[int, ...], label: str) -> None:
        for n in shape:
            if n >= _EXTENT_LIMIT:
                raise refusals.too_long(self._where(label), n)

    def _array_type(self, dtype: np.dtype, ndim: int, layout: Layout, label: str) -> ArrayType:
        found = _array_type(dtype, ndim, layout)
        if found is None:
            raise refusals.unsupported_dtype(self._where(label), label, dtype)
        self.key += (dtype, ndim) if layout == "C" else (dtype, ndim, ("layout", layout))
        return found

    def _tuple(self, value: tuple[Any, ...], label: str) -> TupleArg:
        kind = type(value)
        fields = getattr(kind, "_fields", None)
        cls = kind if fields is not None else None
        self.key.append(("tuple", cls, len(value)))
        items = []
        for index, item in enumerate(value):
            inner = f"{label}[{index}]" if fields is None else f"{label}.{fields[index]}"
            item = _plain_number(item)
            number = type(item) in _SCALARS
            items.append(self._static_value(item) if number else self._value(item, inner))
        return TupleArg(tuple(items), cls)

    def _compile_time(self, value: Any, label: str) -> StaticArg:
        try:
            return self._static_value(value)
        except TypeError:
            raise refusals.unhashable(self._where(label), label, value) from None

    def _static_value(self, value: Any) -> StaticArg:
        self.key.append(("static", static_identity(value)))
        return StaticArg(value)

    def _other(self, value: Any, label: str) -> ArgType:
        try:
            if not is_foreign(value):
                return self._host_array(host_view(value), label)
            array = describe(value)
        except NotAnArray as error:
            if str(error):
                raise ArgumentError(
                    f"{self._where(label)} is of type {refusals.type_name(value)}, and its array "
                    f"cannot be had: {error}"
                ) from error
            raise refusals.unsupported_argument(self._where(label), label, value) from None
        layout: Layout = "C"
        if not array.contiguous:
            layout = _layout(array.strides or (), array.dtype.itemsize)
        found = self._array_type(array.dtype, len(array.shape), layout, label)
        self._check_extents(array.shape, label)
        self.reading.foreign.append(len(self.reading.leaves))
        self._leaf(array, label)
        return found

    def _leaf(self, value: Leaf, label: str) -> None:
        self.reading.leaves.append(value)
        self.reading.labels.append(label)


def _plain_number(value: Any) -> Any:
    """A number of a class derived from Python's, such as an IntEnum's member, as Python's own."""
    if isinstance(value, np.generic) or type(value) in (bool, int, float, complex):
        return value
    number = next((kind for kind in _NUMBERS if isinstance(value, kind)), None)
    return value if number is None else number(value)


def _layout(strides: tuple[int, ...], itemsize: int) -> Layout:
    steps, rest = divmod(strides[-1], itemsize)
    return strides[-1] if rest == 0 and abs(steps) <= _SMALL_STRIDE else "A"


@lru_cache(maxsize=4096)
def _array_type(dtype: np.dtype, ndim: int, layout: Layout) -> ArrayType | None:
    known = from_numpy(dtype)
    return None if known is None else ArrayType(known, ndim, layout)
