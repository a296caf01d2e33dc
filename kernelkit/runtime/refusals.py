"""What is said of a value that cannot be an argument.

In: the value, and how its place in the call is called. Out: an ArgumentError that says what to pass
instead. Tables, first match wins.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from kernelkit.errors import ArgumentError
from kernelkit.ir.types import DTYPES

_CONSTEXPR = "annotate its parameter kk.constexpr if it is a compile-time value"


def type_name(value: object) -> str:
    """A type as people write it."""
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def unsupported_argument(where: str, name: str, value: object) -> ArgumentError:
    """For a value of a type that no kernel takes."""
    advice = next(text for test, text in _TYPES if test(value)).format(name=name)
    return ArgumentError(f"{where} is of type {type_name(value)}, which no kernel takes; {advice}")


def _is(*kinds: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, kinds)


def _exports_buffer(value: object) -> bool:
    try:
        memoryview(value).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


_TYPES: tuple[tuple[Callable[[object], bool], str], ...] = (
    (_is(list), "pass np.asarray({name}), or tuple({name}) for numbers known when compiling"),
    (_is(range), "pass its start, stop and step as ints, or np.arange(...)"),
    (_is(str), f"{_CONSTEXPR}, or pass a number that stands for it"),
    (_is(dict), "pass its values as arguments of their own, or as a NamedTuple"),
    (_is(type, np.dtype), f"{_CONSTEXPR}, as a dtype is"),
    (_is(set, frozenset), "pass an array: np.fromiter({name}, dtype)"),
    (_is(np.generic), "pass a bool, an int, a float, a complex, or a NumPy scalar of those"),
    (_exports_buffer, "pass np.frombuffer({name}, dtype), which shares its memory"),
    (lambda value: hasattr(value, "__array__"), "pass np.asarray({name})"),
    (callable, f"call it from the kernel by its name, or {_CONSTEXPR}"),
    (
        lambda value: True,
        f"pass arrays, numbers, None or a tuple of those, or {_CONSTEXPR}",
    ),
)


def unsupported_dtype(where: str, name: str, dtype: np.dtype) -> ArgumentError:
    """For an array or a scalar of a dtype that the language does not have."""
    advice = next(text for test, text in _DTYPES if test(dtype)).format(
        name=name, native=dtype.newbyteorder("=").name
    )
    shown = repr(dtype.str) if dtype.isnative is False and dtype.kind in "iufc" else dtype.name
    if dtype.kind in "VSU":  # the name of these tells only a size
        shown = str(dtype)
    return ArgumentError(f"{where} has dtype {shown}, which no kernel takes; {advice}")


_DTYPES: tuple[tuple[Callable[[np.dtype], bool], str], ...] = (
    (
        lambda d: not d.isnative and d.kind in "iufc",
        "its bytes are in the other order: pass {name}.astype(np.{native}), or change it in place "
        "with {name}.byteswap(inplace=True).view(np.{native})",
    ),
    (lambda d: d.kind == "O", "pass {name}.astype(np.float64), or the dtype that its items have"),
    (lambda d: d.kind in "mM", "pass {name}.view(np.int64), which shares its memory"),
    (lambda d: d.names is not None, "pass each field as an array of its own: {name}['field']"),
    (lambda d: d.kind in "USaT", "encode its text as numbers first"),
    (lambda d: d.kind == "f", "pass {name}.astype(np.float64)"),
    (lambda d: d.kind == "c", "pass {name}.astype(np.complex128)"),
    (lambda d: True, f"the dtypes of kernels are {', '.join(DTYPES)}"),
)


def too_large(where: str, value: int) -> ArgumentError:
    """For a Python int that int64 does not hold."""
    instead = (
        f"pass np.uint64({value})"
        if 0 <= value < 1 << 64
        else "no integer dtype holds it: pass a float, or split it"
    )
    return ArgumentError(f"{where} is {value}, which does not fit int64; {instead}")


def too_long(where: str, extent: int) -> ArgumentError:
    """For an array that was broadcast beyond any memory."""
    return ArgumentError(
        f"{where} has {extent} elements along one axis, and kernels take less than 2**60; broadcast "
        "it to the shape that the launch needs"
    )


def unhashable(where: str, name: str, value: object) -> ArgumentError:
    """For a compile-time argument that cannot be part of a cache key."""
    instead = (
        f"drop the annotation and pass {name} as an array"
        if hasattr(value, "__array__") or isinstance(value, bytearray)
        else f"pass tuple({name})"
        if isinstance(value, list)
        else "pass a hashable value, such as a number, a string or a tuple of those"
    )
    return ArgumentError(
        f"{where} is a compile-time value (kk.constexpr) and must be hashable, which a "
        f"{type_name(value)} is not; {instead}"
    )


def misaligned(where: str, name: str) -> ArgumentError:
    """For an array whose elements do not lie at multiples of their size."""
    return ArgumentError(
        f"{where} is not aligned to its dtype; pass np.require({name}, requirements='A'), which "
        "copies it"
    )


def misaligned_on_device(kernel: str, name: str) -> ArgumentError:
    """The same for an array of a device, which may be lost to all of the process by such a kernel."""
    return ArgumentError(
        f"{name!r} of {kernel} is not aligned to its dtype: its elements do not lie at multiples of "
        f"their size; pass a copy, such as {name}.copy()"
    )


def masked(where: str, name: str) -> ArgumentError:
    """For an array of numpy.ma."""
    return ArgumentError(
        f"{where} is a masked array, whose mask a kernel would not see; pass {name}.filled(...), "
        f"or {name}.data and np.ma.getmaskarray({name}) as two arguments"
    )


def is_masked(value: Any) -> bool:
    # numpy.ma is imported only where someone uses it.
    ma = sys.modules.get("numpy.ma")
    return ma is not None and isinstance(value, ma.MaskedArray)
