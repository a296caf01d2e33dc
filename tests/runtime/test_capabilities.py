"""What a device lacks is refused in the same words everywhere, at the place of its first use."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.backend import Capabilities
from kernelkit.errors import CapabilityError, LaunchError
from kernelkit.ir.types import DTYPES


@kk.kernel
def doubles(x):
    y = x[0] * np.float64(2)
    x[0] = y


@kk.kernel
def halves(x):
    x[0] = 1


@kk.kernel
def grows(a, b, x):
    a += 1
    x[0] = a + b * 2


@kk.kernel
def counts(x):
    kk.atomic.add(x, 0, 1)


@kk.kernel
def everything(x):
    tile = kk.shared.array(32, np.float32)
    tile[kk.threadIdx.x] = x[0]
    kk.syncthreads()
    v = kk.shfl_sync(0xFFFFFFFF, tile[0], 0)
    print(v)
    assert v > 0
    x[0] = v


@kk.kernel(reproducible=True)
def exact(x):
    x[0] = x[0] * x[0] + x[0]


def without(*dtypes: str) -> frozenset[str]:
    return frozenset(DTYPES) - set(dtypes)


@pytest.mark.parametrize(
    ("kernel", "dtype", "lacks", "words"),
    [
        (
            doubles,
            "float32",
            {"dtypes": without("float64")},
            r":\d+:\d+: doubles needs float64, which weak device lacks; use float32\n *y = x\[0\] \*",
        ),
        (
            halves,
            "float16",
            {"dtypes": without("float16")},
            r"halves needs float16, which weak device lacks; use float32\n *x\[0\] = 1",
        ),
        (
            halves,
            "float16",
            {"dtypes": without("float16", "float32")},
            r"halves needs float16, .*; use another dtype",
        ),
        (
            counts,
            "float32",
            {"atomics": frozenset({"int64", "int32"})},
            r"counts needs atomic\.add on float32, .*; it has atomics on: int32, int64\n.*atomic\.add",
        ),
        (counts, "int32", {"atomics": frozenset()}, r"it has atomics on: none"),
        (everything, "float32", {"barriers": False}, r"needs barriers, .*; split the kernel"),
        (everything, "float32", {"warp_operations": False}, r"needs warp operations, .*; exchange"),
        (everything, "float32", {"shared_memory": False}, r"needs shared memory, .*; use a global"),
        (everything, "float32", {"printing": False}, r"needs printing, .*; write to an array"),
        (everything, "float32", {"assertions": False}, r"needs assertions, .*; write a flag"),
        (
            exact,
            "float32",
            {"reproducible": False},
            r"exact needs reproducible floating point, .*; drop reproducible=True",
        ),
    ],
)
def test_what_is_lacking(
    fake_backend: Callable[..., Any], kernel: Any, dtype: str, lacks: dict[str, Any], words: str
) -> None:
    backend = fake_backend("weak", capabilities=dataclasses.replace(Capabilities(), **lacks))
    x = np.zeros(4, dtype)
    for _ in range(2):
        with pytest.raises(CapabilityError, match=words):
            kernel.on("weak")[1, 32](x)
        with pytest.raises(LaunchError):
            kernel.on("weak").inspect(x, block=32)
    assert (backend.emitted, backend.launches) == ([], [])


def test_arguments_that_are_too_wide_are_named(fake_backend: Callable[..., Any]) -> None:
    fake_backend("weak", capabilities=Capabilities(dtypes=without("float64", "complex128")))
    x = np.zeros(1, np.complex64)
    words = "needs float64, which weak device lacks; use float32, and pass "
    for args, names in (
        ((0.5, np.float32(2), x), "np.float32(a)"),
        ((0.5, np.float64(2), x), "np.float32(a), np.float32(b)"),
    ):
        with pytest.raises(CapabilityError, match=re.escape(f"{words}{names}\n")):
            grows.on("weak")[1, 1](*args)
    with pytest.raises(CapabilityError, match=r"use complex64, and pass np\.complex64\(b\)\n"):
        grows.on("weak")[1, 1](np.float32(1), 2j, x)


def test_all_that_is_lacking_is_said_at_once(fake_backend: Callable[..., Any]) -> None:
    capabilities = Capabilities(barriers=False, warp_operations=False, printing=False)
    fake_backend("weak", capabilities=capabilities)
    with pytest.raises(CapabilityError) as caught:
        everything.on("weak")[1, 32](np.zeros(1, np.float32))
    for what in ("barriers", "warp operations", "printing"):
        assert f"everything needs {what}, which weak device lacks" in str(caught.value)


def test_a_device_that_has_all_is_content(fake: Any) -> None:
    for kernel, dtype in ((doubles, "float64"), (everything, "float32"), (exact, "float32")):
        kernel.on("fake")[1, 32](np.zeros(1, dtype))
    assert len(fake.launches) == 3


def test_limits_are_those_of_the_device(fake_backend: Callable[..., Any]) -> None:
    capabilities = Capabilities(threads_per_block=16, shared_bytes=64)
    backend = fake_backend("small", capabilities=capabilities)
    x = np.zeros(1, np.float32)
    with pytest.raises(kk.ConfigurationError, match="and small device takes at most 16"):
        halves.on("small")[1, 17](x)
    with pytest.raises(kk.ConfigurationError, match=r"128 bytes .*and small device has 64"):
        everything.on("small")[1, 16](x)
    assert backend.emitted == []
