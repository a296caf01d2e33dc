"""The device names that users write: `kk.grid(2)`, `threadIdx.x`, `atomic.add(a, i, 1)`.

In: nothing. Out: objects with true signatures, for editors and type checkers, that the parser
recognises by identity (aliases work) and that refuse to run outside a kernel.
Holds: what a name means in a kernel is the parser's business; here is only how it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import numpy.typing as npt

from kernelkit.errors import OutsideKernelError

Array = npt.NDArray[Any]
#: Any real or complex number: Python's or NumPy's.
Number = Any
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

#: name as the parser knows it -> the object; filled by `_device`.
BUILTINS: Final[dict[str, object]] = {}


def _device(name: str | None = None) -> Callable[[F], F]:
    """Registers a device function under its dotted name."""

    def register(function: F) -> F:
        BUILTINS[name or function.__name__] = function
        return function

    return register


def _outside(name: str) -> NoReturn:
    raise OutsideKernelError(
        f"kernelkit.{name} means something only inside a kernel; decorate the function with "
        "@kk.kernel (or @kk.device) and launch it"
    )


class Dim3:
    """Three int64 registers of the launch, along x (fastest), y and z."""

    def __init__(self, name: str) -> None:
        self._name = name
        BUILTINS[name] = self

    def __repr__(self) -> str:
        return f"kernelkit.{self._name}"

    @property
    def x(self) -> int:
        _outside(f"{self._name}.x")

    @property
    def y(self) -> int:
        _outside(f"{self._name}.y")

    @property
    def z(self) -> int:
        _outside(f"{self._name}.z")


#: The thread's place in its block.
threadIdx: Final = Dim3("threadIdx")
#: The block's place in the grid.
blockIdx: Final = Dim3("blockIdx")
#: Threads per block.
blockDim: Final = Dim3("blockDim")
#: Blocks per grid.
gridDim: Final = Dim3("gridDim")


class _LaneId(int):
    """The thread's place in its warp, 0 to 31; an int to type checkers."""

    def __repr__(self) -> str:
        return "kernelkit.laneid"


laneid: Final = _LaneId()
BUILTINS["laneid"] = laneid
#: Threads in a warp, on every back end.
warpsize: Final = 32


@_device()
def grid(ndim: int, /) -> Any:
    """The thread's place in the whole grid: an int for 1, a tuple (x, y[, z]) for 2 and 3."""
    _outside("grid")


@_device()
def gridsize(ndim: int, /) -> Any:
    """The threads of the whole grid along each axis: an int for 1, a tuple for 2 and 3."""
    _outside("gridsize")


class shared:
    """Memory that the threads of a block share."""

    @staticmethod
    @_device("shared.array")
    def array(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """A new array, one for each block; the shape is known when compiling. Shape 0 gives the
        launch's dynamic shared memory, in which all such arrays start at the same place."""
        _outside("shared.array")


class local:
    """Memory of one thread."""

    @staticmethod
    @_device("local.array")
    def array(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """A new array, one for each thread; the shape is known when compiling."""
        _outside("local.array")


class const:
    """Memory that no kernel writes."""

    @staticmethod
    @_device("const.array_like")
    def array_like(array: npt.ArrayLike, /) -> Array:
        """A constant array with the elements of a global array, read when compiling."""
        _outside("const.array_like")


# ---------------------------------------------------------------- barriers and fences
@_device()
def syncthreads() -> None:
    """Wait for all threads of the block that have not returned."""
    _outside("syncthreads")


@_device()
def syncthreads_count(predicate: Any, /) -> int:
    """Wait as syncthreads; the number (int32) of threads whose predicate holds."""
    _outside("syncthreads_count")


@_device()
def syncthreads_and(predicate: Any, /) -> bool:
    """Wait as syncthreads; whether the predicate of every thread holds."""
    _outside("syncthreads_and")


@_device()
def syncthreads_or(predicate: Any, /) -> bool:
    """Wait as syncthreads; whether the predicate of any thread holds."""
    _outside("syncthreads_or")


@_device()
def syncwarp(mask: int = 0xFFFFFFFF, /) -> None:
    """Wait for the lanes of the warp that `mask` names."""
    _outside("syncwarp")


@_device()
def threadfence() -> None:
    """Order this thread's writes for all threads of the device."""
    _outside("threadfence")


@_device()
def threadfence_block() -> None:
    """Order this thread's writes for the threads of its block."""
    _outside("threadfence_block")


@_device()
def threadfence_system() -> None:
    """Order this thread's writes for all devices and the host."""
    _outside("threadfence_system")


# ---------------------------------------------------------------- atomics
class atomic:
    """Indivisible updates of one element; each returns the old value. `index` is an int or, for
    an n-dimensional array, a tuple."""

    @staticmethod
    @_device("atomic.add")
    def add(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] += value"""
        _outside("atomic.add")

    @staticmethod
    @_device("atomic.sub")
    def sub(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] -= value"""
        _outside("atomic.sub")

    @staticmethod
    @_device("atomic.min")
    def min(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] = value if value < old else old (so a NaN value changes nothing)"""
        _outside("atomic.min")

    @staticmethod
    @_device("atomic.max")
    def max(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] = value if value > old else old (so a NaN value changes nothing)"""
        _outside("atomic.max")

    @staticmethod
    @_device("atomic.nanmin")
    def nanmin(array: Array, index: Any, value: Number, /) -> Any:
        """As min, and a NaN in the array gives way to the value."""
        _outside("atomic.nanmin")

    @staticmethod
    @_device("atomic.nanmax")
    def nanmax(array: Array, index: Any, value: Number, /) -> Any:
        """As max, and a NaN in the array gives way to the value."""
        _outside("atomic.nanmax")

    @staticmethod
    @_device("atomic.and_")
    def and_(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] &= value, for integers"""
        _outside("atomic.and_")

    @staticmethod
    @_device("atomic.or_")
    def or_(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] |= value, for integers"""
        _outside("atomic.or_")

    @staticmethod
    @_device("atomic.xor")
    def xor(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] ^= value, for integers"""
        _outside("atomic.xor")

    @staticmethod
    @_device("atomic.inc")
    def inc(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] = 0 if old >= value else old + 1, for integers"""
        _outside("atomic.inc")

    @staticmethod
    @_device("atomic.dec")
    def dec(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] = value if old == 0 or old > value else old - 1, for integers"""
        _outside("atomic.dec")

    @staticmethod
    @_device("atomic.exch")
    def exch(array: Array, index: Any, value: Number, /) -> Any:
        """array[index] = value"""
        _outside("atomic.exch")

    @staticmethod
    @_device("atomic.cas")
    def cas(array: Array, index: Any, old: Number, value: Number, /) -> Any:
        """array[index] = value, if it equals `old`"""
        _outside("atomic.cas")

    @staticmethod
    @_device("atomic.compare_and_swap")
    def compare_and_swap(array: Array, old: Number, value: Number, /) -> Any:
        """cas on the first element"""
        _outside("atomic.compare_and_swap")


# ---------------------------------------------------------------- warps
@_device()
def shfl_sync(mask: int, value: T, lane: int, /) -> T:
    """The value of lane `lane` (modulo 32)."""
    _outside("shfl_sync")


@_device()
def shfl_up_sync(mask: int, value: T, delta: int, /) -> T:
    """The value of the lane `delta` below; one's own where there is none."""
    _outside("shfl_up_sync")


@_device()
def shfl_down_sync(mask: int, value: T, delta: int, /) -> T:
    """The value of the lane `delta` above; one's own where there is none."""
    _outside("shfl_down_sync")


@_device()
def shfl_xor_sync(mask: int, value: T, lanemask: int, /) -> T:
    """The value of lane `laneid ^ lanemask`; one's own where there is none."""
    _outside("shfl_xor_sync")


@_device()
def all_sync(mask: int, predicate: Any, /) -> bool:
    """Whether the predicate of every lane holds."""
    _outside("all_sync")


@_device()
def any_sync(mask: int, predicate: Any, /) -> bool:
    """Whether the predicate of any lane holds."""
    _outside("any_sync")


@_device()
def eq_sync(mask: int, predicate: Any, /) -> bool:
    """Whether the predicates of all lanes are equal."""
    _outside("eq_sync")


@_device()
def ballot_sync(mask: int, predicate: Any, /) -> int:
    """uint32: a bit for each lane whose predicate holds."""
    _outside("ballot_sync")


@_device()
def match_any_sync(mask: int, value: Number, /) -> int:
    """uint32: a bit for each lane that has the same value."""
    _outside("match_any_sync")


@_device()
def match_all_sync(mask: int, value: Number, /) -> tuple[int, bool]:
    """(mask of the lanes taking part if all have the same value else 0, whether they have)."""
    _outside("match_all_sync")


@_device()
def activemask() -> int:
    """uint32: a set of lanes that run this now. Under divergence: any that contains the caller."""
    _outside("activemask")


@_device()
def lanemask_lt() -> int:
    """uint32: a bit for each lane below one's own."""
    _outside("lanemask_lt")


# ---------------------------------------------------------------- scalar functions
@_device()
def popc(x: int, /) -> int:
    """int32: the bits set."""
    _outside("popc")


@_device()
def clz(x: int, /) -> int:
    """int32: the leading zero bits; the width for 0."""
    _outside("clz")


@_device()
def ffs(x: int, /) -> int:
    """int32: the place of the lowest bit set, counted from 1; 0 for 0."""
    _outside("ffs")


@_device()
def brev(x: T, /) -> T:
    """The bits in reverse order, in x's type."""
    _outside("brev")


@_device()
def float_as_int(x: Any, /) -> int:
    """int32: the bits of a float32."""
    _outside("float_as_int")


@_device()
def int_as_float(x: Any, /) -> Any:
    """The float32 that has the bits of an int32."""
    _outside("int_as_float")


@_device()
def double_as_longlong(x: Any, /) -> int:
    """int64: the bits of a float64."""
    _outside("double_as_longlong")


@_device()
def longlong_as_double(x: Any, /) -> Any:
    """The float64 that has the bits of an int64."""
    _outside("longlong_as_double")


@_device()
def fma(a: Any, b: Any, c: Any, /) -> Any:
    """a * b + c, rounded once."""
    _outside("fma")


@_device()
def cbrt(x: Any, /) -> Any:
    """The cube root."""
    _outside("cbrt")


@_device()
def rsqrt(x: Any, /) -> Any:
    """1 / sqrt(x)."""
    _outside("rsqrt")


@_device()
def fmin(a: Any, b: Any, /) -> Any:
    """The lesser; where one is NaN, the other."""
    _outside("fmin")


@_device()
def fmax(a: Any, b: Any, /) -> Any:
    """The greater; where one is NaN, the other."""
    _outside("fmax")


@_device()
def selp(condition: Any, a: Any, b: Any, /) -> Any:
    """a if condition else b, with both evaluated."""
    _outside("selp")


@_device()
def uniform(x: T, /) -> T:
    """x, with the promise that it is the same in all threads of the block."""
    _outside("uniform")


if TYPE_CHECKING:
    constexpr = Any
else:

    class constexpr:
        """An annotation: the argument is a compile-time constant, part of the specialisation key.

        `def blur(src, dst, radius: kk.constexpr): ...`; it must be hashable.
        """


#: The names that kernelkit re-exports.
__all__ = [
    "activemask", "all_sync", "any_sync", "atomic", "ballot_sync", "blockDim", "blockIdx", "brev",
    "cbrt", "clz", "const", "constexpr", "double_as_longlong", "eq_sync", "ffs", "float_as_int",
    "fma", "fmax", "fmin", "grid", "gridDim", "gridsize", "int_as_float", "laneid", "lanemask_lt",
    "local", "longlong_as_double", "match_all_sync", "match_any_sync", "popc", "rsqrt", "selp", "shared", "shfl_down_sync", "shfl_sync", "shfl_up_sync", "shfl_xor_sync",
    "syncthreads", "syncthreads_and", "syncthreads_count", "syncthreads_or", "syncwarp",
    "threadIdx", "threadfence", "threadfence_block", "threadfence_system", "uniform", "warpsize",
]  # fmt: skip
