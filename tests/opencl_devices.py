"""The OpenCL devices that tests run on: PoCL and Intel's CPU runtime, where pip installed them.

In: nothing. Out: `each_device`, which runs a test once for each device, and `build` and `run` for
texts in OpenCL C.
Holds: where there is no device, such a test is skipped with the reason; what PoCL compiles is kept
for the time of the tests only.

    from opencl_devices import each_device, run

    @each_device
    def test_doubling(device):
        values = np.arange(8, dtype=np.float32)
        run(device, "__kernel void k(__global float* a) { a[get_global_id(0)] *= 2; }", [values])
"""

from __future__ import annotations

import functools
import os
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("PYOPENCL_NO_CACHE", "1")
if "POCL_CACHE_DIR" not in os.environ and "KERNELKIT_CACHE_DIR" in os.environ:
    os.environ["POCL_CACHE_DIR"] = os.path.join(os.environ["KERNELKIT_CACHE_DIR"], "pocl")
    os.makedirs(os.environ["POCL_CACHE_DIR"], exist_ok=True)

from kernelkit_opencl.devices import find

FOUND = find()
#: `@each_device`: the test's parameter `device` is a device of pyopencl.
each_device = pytest.mark.parametrize(
    "device",
    [pytest.param(d, id=f"opencl-{i}") for i, d in enumerate(FOUND.devices)]
    or [pytest.param(None, id="opencl", marks=pytest.mark.skip(FOUND.why()))],
)


@functools.cache
def context(device: Any) -> Any:
    """A context for a device alone."""
    import pyopencl as cl

    return cl.Context([device])


@functools.cache
def queue(device: Any) -> Any:
    """A queue in that context, which Intel's runtime does not keep for it."""
    import pyopencl as cl

    return cl.CommandQueue(context(device))


def build(device: Any, text: str, options: Sequence[str] = ()) -> Any:
    """A program of pyopencl, built once; an error has the compiler's log and the text."""
    return _built(device, text, tuple(options))


@functools.cache
def _built(device: Any, text: str, options: tuple[str, ...]) -> Any:
    import pyopencl as cl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return cl.Program(context(device), text).build(list(options))


def run(
    device: Any,
    text: str,
    args: Sequence[Any],
    threads: int | tuple[int, ...] | None = None,
    block: int | tuple[int, ...] | None = None,
    options: Sequence[str] = (),
) -> None:
    """Build a text and launch its last kernel on NumPy arrays, which are copied in and out, and on
    scalars of NumPy. As many threads as the first array has elements, if not said otherwise; None
    for `block` lets the device choose."""
    import pyopencl as cl

    if threads is None:
        threads = next(a.size for a in args if isinstance(a, np.ndarray))
    program, on = build(device, text, options), queue(device)
    names = re.findall(r"(?:__)?kernel\s+(?:__attribute__\s*\(\(.*?\)\)\s*)*void\s+(\w+)", text)
    kernel = cl.Kernel(program, names[-1])
    flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
    buffers = [
        cl.Buffer(context(device), flags, hostbuf=np.ascontiguousarray(a))
        if isinstance(a, np.ndarray)
        else a
        for a in args
    ]
    tuples = [
        None if n is None else (n if isinstance(n, tuple) else (n,)) for n in (threads, block)
    ]
    kernel(on, *tuples, *buffers)
    for array, buffer in zip(args, buffers, strict=True):
        if isinstance(array, np.ndarray):
            back = np.empty(array.shape, array.dtype)
            cl.enqueue_copy(on, back, buffer)
            array[...] = back
    on.finish()
