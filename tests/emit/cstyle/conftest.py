"""Texts in CUDA C and OpenCL C that try many scalar expressions at once, and what runs them."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
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
def host_results(tmp_path: Path) -> Callable[..., list[Array]]:
    """host_results(inputs, tried)"""
    return lambda inputs, tried: on_host(tmp_path, inputs, tried)


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
    count, arrays = _arrays(inputs, tried)
    if options is None:
        options = division(device)
    run(device, text, arrays, count, None, options)
    return _parts(count, tried, *arrays[:2])


def _arrays(
    inputs: dict[str, tuple[DType, Array]], tried: Sequence[Tried]
) -> tuple[int, list[Array]]:
    """(the number of elements, the kernel's arguments)."""
    count = len(next(iter(inputs.values()))[1])
    ends = np.cumsum([0] + [-(-count * t.numpy.itemsize // 64) * 64 for _, t in tried])
    given = [array.view(np.uint8) if t.kind == "b" else array for t, array in inputs.values()]
    return count, [ends[:-1].astype(np.int64), np.zeros(ends[-1], np.uint8), *given]


def _parts(count: int, tried: Sequence[Tried], offsets: Array, out: Array) -> list[Array]:
    return [
        out[start : start + count * t.numpy.itemsize].view(t.numpy)
        for start, (_, t) in zip(offsets, tried, strict=True)
    ]


def on_host(
    folder: Path, inputs: dict[str, tuple[DType, Array]], tried: Sequence[Tried]
) -> list[Array]:
    """What the expressions give in CUDA C, compiled by g++ for this processor."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ to compile CUDA C for the host")
    text = written("cuda", {n: t for n, (t, _) in inputs.items()}, tried)
    count, arrays = _arrays(inputs, tried)
    head = (Path(__file__).parent / "cuda_on_host.h").read_text()
    given = ", ".join(f"(decltype(pointer_{n}))arrays[{n}]" for n in range(len(arrays)))
    start = text.rindex("void k(") + len("void k(")
    parameters = text[start : text.index(")", start)].split(", ")
    declared = "".join(
        f"static {p.rsplit(' ', 1)[0]} pointer_{n};\n" for n, p in enumerate(parameters)
    )
    tail = f"""{declared}
extern "C" void run(long long count, void** arrays) {{
    for (blockIdx.x = 0; blockIdx.x < count; blockIdx.x++) k({given});
}}
"""
    source, library = folder / "k.cpp", folder / "k.so"
    source.write_text(head + text + tail)
    flags = "-w -O1 -std=c++17 -ffp-contract=off -fno-builtin -shared -fPIC".split()
    done = subprocess.run(
        [compiler, *flags, "-o", library, source], capture_output=True, text=True, check=False
    )
    if "_Float16" in done.stderr:
        pytest.skip("this g++ does not know float16")
    assert not done.returncode, done.stderr[:2000]
    pointers = (ctypes.c_void_p * len(arrays))(*(each.ctypes.data for each in arrays))
    ctypes.CDLL(str(library)).run(ctypes.c_longlong(count), pointers)
    return _parts(count, tried, *arrays[:2])


def division(device: Any) -> Sequence[str]:
    if device.single_fp_config & _ROUNDED:
        return ["-cl-fp32-correctly-rounded-divide-sqrt"]
    return kernelkit_opencl.scalars.WIDE_DIVISION
