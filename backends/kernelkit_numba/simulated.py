"""The words of Numba's simulator, in plain Python: libdevice by the reference's functions.

Holds: nothing here is fast; threads of the simulator are threads of Python, so a lock makes a
compare-and-swap one.
"""

from __future__ import annotations

import math
import threading
from typing import Any, Final

import numpy as np

from kernelkit.ir import scalar
from kernelkit.ir.types import FLOAT32, FLOAT64, INT32, INT64, DType
from kernelkit_numba.library import Library
from kernelkit_numba.scalars import FUNCTIONS, ROUNDED
from kernelkit_numba.words import Function, Words

_lock = threading.Lock()


def _swap(array: Any, place: Any, wanted: Any, new: Any) -> tuple[Any, bool]:
    with _lock:
        seen = array[place]
        done = np.asarray(seen).tobytes() == np.asarray(wanted).tobytes()
        if done:
            array[place] = new
    return seen, done


def _of_table(op: str, *operands: DType) -> Function:
    """An operation of the table on NumPy's scalars."""
    result = scalar.result_type(op, *operands)
    assert result is not None

    def call(*args: Any) -> Any:
        return result.numpy.type(scalar.evaluate(op, operands, *args))

    return call


def _cut(x: Any) -> Any:
    """A float64 to float32, towards zero."""
    near = np.float32(x)
    return np.nextafter(near, np.float32(0)) if abs(np.float64(near)) > abs(x) else near


def _frexp(x: Any) -> tuple[Any, Any]:
    mantissa, exponent = math.frexp(x)
    return type(x)(mantissa), np.int32(exponent)


class _Libdevice:
    """The functions of numba.cuda.libdevice that are called, by name."""

    def __init__(self) -> None:
        names: dict[str, Function] = {"double2float_rz": _cut}
        for op, pair in {**FUNCTIONS, **ROUNDED}.items():
            arity = scalar.FUNCTIONS[op].arity if op in scalar.FUNCTIONS else 2
            for name, dtype in zip(pair, (FLOAT64, FLOAT32), strict=True):
                names[name] = _of_table(op, *[dtype] * arity)
        for ending, dtype in (("", FLOAT64), ("f", FLOAT32)):
            names[f"ldexp{ending}"] = self._ldexp(dtype)
            names[f"frexp{ending}"] = _frexp
        for ending, dtype in (("", INT32), ("ll", INT64)):
            for op in ("popc", "clz", "ffs", "brev"):
                names[f"{op}{ending}"] = _of_table(op, dtype)
        for op, dtype in (
            ("float_as_int", FLOAT32), ("int_as_float", INT32),
            ("double_as_longlong", FLOAT64), ("longlong_as_double", INT64),
        ):  # fmt: skip
            names[op] = _of_table(op, dtype)
        vars(self).update(names)

    @staticmethod
    def _ldexp(dtype: DType) -> Function:
        scale = _of_table("ldexp", dtype, INT64)
        return lambda x, n: scale(x, np.int64(n))


def _plain(function: Function) -> Function:
    return function


LIBDEVICE: Final = _Libdevice()
LIBRARY: Final = Library(Words(_plain, LIBDEVICE, _swap, None), frozenset())
