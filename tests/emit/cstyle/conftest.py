"""Texts in CUDA C and OpenCL C that try many scalar expressions at once, and what runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from opencl_devices import run

import kernelkit_cuda.scalars
import kernelkit_opencl.scalars
from kernelkit.emit.cstyle.library import Library
from kernelkit.emit.cstyle.scalars import Scalars
from kernelkit.ir.types import DType

Array = npt.NDArray[Any]
#: An expression of named inputs: (its maker, the type of its result).
Tried = tuple[Callable[[Scalars], str], DType]

_DIALECTS: Final = {
    "cuda": (
        kernelkit_cuda.scalars.SPELLING,
        "",
        'extern "C" __global__ void k({}) {{\n    i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x;',
    ),
    "opencl": (
        kernelkit_opencl.scalars.SPELLING,
        "__global ",
        "__kernel void k({}) {{\n    i64 i = get_global_id(0);",
    ),
}
#: What makes float32 division and square root IEEE's on the device, as the back end would ask.
_ROUNDED: Final = 1 << 7


@pytest.fixture
def scalars() -> Callable[..., Scalars]:
    """scalars(dialect): the table for a text that is not written."""

    def make(dialect: str, reproducible: bool = False) -> Scalars:
        return Scalars(_DIALECTS[dialect][0], Library(), reproducible)

    return make


@pytest.fixture
def text_of() -> Callable[..., str]:
    return written


@pytest.fixture
def results() -> Callable[..., list[Array]]:
    return computed


def written(
    dialect: str, inputs: dict[str, DType], tried: Sequence[Tried], reproducible: bool = False
) -> str:
    """One kernel `k` of `offsets`, `out` and an array a_x for each input x, which writes result n of
    element i at out + offsets[n]."""
    spelling, space, head = _DIALECTS[dialect]
    scalars = Scalars(spelling, Library(), reproducible)
    lines = []
    for name, dtype in inputs.items():
        kind, value = scalars.register_type(dtype), scalars.load(dtype, f"a_{name}[i]")
        lines.append(f"    {kind} {name} = {value};")
    for n, (maker, dtype) in enumerate(tried):
        place = f"(({space}{scalars.memory_type(dtype)}*)(out + offsets[{n}]))[i]"
        result = f"{scalars.register_type(dtype)} result = {maker(scalars)};"
        lines.append(f"    {{ {result} {place} = {scalars.store(dtype, 'result')}; }}")
    parameters = [f"{space}const i64* offsets", f"{space}u8* out"]
    parameters += [
        f"{space}const {scalars.memory_type(dtype)}* a_{name}" for name, dtype in inputs.items()
    ]
    start = head.format(", ".join(parameters))
    body = "\n".join([start, *lines, "}"])
    return f"{scalars.prelude}{scalars.code.library.text()}{body}\n"


def computed(
    device: Any,
    inputs: dict[str, tuple[DType, Array]],
    tried: Sequence[Tried],
    reproducible: bool = False,
    options: Sequence[str] | None = None,
) -> list[Array]:
    """What the expressions give for each element, on a device of OpenCL."""
    text = written("opencl", {n: t for n, (t, _) in inputs.items()}, tried, reproducible)
    count = len(next(iter(inputs.values()))[1])
    sizes = [-(-count * t.numpy.itemsize // 64) * 64 for _, t in tried]
    ends = np.cumsum([0, *sizes])
    out = np.zeros(ends[-1], np.uint8)
    arrays = [array.view(np.uint8) if t.kind == "b" else array for t, array in inputs.values()]
    if options is None:
        options = division(device)
    run(device, text, [ends[:-1].astype(np.int64), out, *arrays], count, None, options)
    return [
        out[start : start + count * t.numpy.itemsize].view(t.numpy)
        for start, (_, t) in zip(ends, tried, strict=False)
    ]


def division(device: Any) -> Sequence[str]:
    if device.single_fp_config & _ROUNDED:
        return ["-cl-fp32-correctly-rounded-divide-sqrt"]
    return kernelkit_opencl.scalars.WIDE_DIVISION
