"""What the tests of mathlib share: a function over whole arrays, on a back end of choice."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kernelkit as kk

Array = npt.NDArray[Any]


def one(function: Any, **options: Any) -> Any:
    @kk.kernel(**options)
    def kernel(x, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(x[i])

    return kernel


def two(function: Any, **options: Any) -> Any:
    @kk.kernel(**options)
    def kernel(x, y, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(x[i], y[i])

    return kernel


@functools.cache
def kernel_of(name: str, reproducible: bool) -> Any:
    make = two if name == "pow" else one
    return make(getattr(math, name), reproducible=reproducible)


@pytest.fixture
def over() -> Callable[..., Array]:
    """over(name, *arrays, backend=..., reproducible=...) -> the function of their elements."""

    def call(name: str, *arrays: Array, backend: str = "cpu", reproducible: bool = False) -> Array:
        out = np.full_like(arrays[0], 7)
        kernel = kernel_of(name, reproducible).on(backend)
        kernel.forall(out.shape)(*arrays, out)
        return out

    return call
