"""Atomic operations in C: on OpenCL devices against their meaning, for CUDA by its compiler."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from opencl_devices import each_device, run

import kernelkit_cuda.atomics
import kernelkit_cuda.scalars
import kernelkit_opencl.scalars
from kernelkit.emit.cstyle.atomics import AtomicTable, atomic
from kernelkit.emit.cstyle.library import Library
from kernelkit.emit.cstyle.scalars import Scalars
from kernelkit.ir import scalar
from kernelkit.ir.types import DTYPES, AddressSpace, DType
from kernelkit.ir.verify import ATOMICS
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit_cuda import nvrtc
from kernelkit_opencl.atomics import BASE, EXTENDED, atomics, dtypes
from kernelkit_python.dialect import update

Array = npt.NDArray[Any]
CASES = [(op, dtype) for op, (_, found) in ATOMICS.items() for dtype in found]
SPACES = (AddressSpace.GLOBAL, AddressSpace.SHARED)
in_numbers = pytest.mark.parametrize("dtype", ATOMICS["cas"][1], ids=str)


def operations(dtype: DType) -> list[str]:
    return [op for op, found in CASES if found == dtype]


def written(table: AtomicTable, scalars: Scalars, dtype: DType, space: AddressSpace) -> list[str]:
    """One after the other on the element of x[i] (or tile[i]), each with its old value in old[i]."""
    base = "x" if space is AddressSpace.GLOBAL else "tile"
    lines = []
    for number, op in enumerate(operations(dtype)):
        operands = [f"values[{number} * n + i]", f"news[{number} * n + i]"][: ATOMICS[op][0]]
        place = f"&{base}[{number} * n + i]" if space is AddressSpace.GLOBAL else "&tile[i]"
        old = atomic(scalars.code.library, scalars, table, op, dtype, space, place, operands, True)
        lines.append(f"old[{number} * n + i] = {old};")
        if space is AddressSpace.SHARED:
            lines[-1] = f"tile[i] = x[{number} * n + i]; {lines[-1]} x[{number} * n + i] = tile[i];"
    return lines


def values(dtype: DType) -> Array:
    if dtype.is_float:
        found = [0.0, -0.0, 1.5, -3.25, np.inf, -np.inf, np.nan, 1e30]
        return np.array(found, dtype.numpy)
    found = [0, 1, 5, 6, dtype.maximum, dtype.maximum - 1, dtype.minimum, dtype.minimum + 3]
    return np.array(found, dtype.numpy)


def expected(op: str, dtype: DType, old: object, operands: Sequence[object]) -> object:
    meaning = eval(update(op, dtype), dict(scalar.NAMESPACE))
    known = [scalar.from_constant(dtype, v.item()) for v in (old, *operands)]  # type: ignore[attr-defined]
    with np.errstate(all="ignore"):
        return meaning(*known)


# ---------------------------------------------------------------- meaning
@each_device
@in_numbers
@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.value)
@pytest.mark.parametrize("extended", [True, False])
def test_every_operation_means_what_the_reference_does(
    device: Any, dtype: DType, space: AddressSpace, extended: bool
) -> None:
    known = [e for e in device.extensions.split() if extended or e != EXTENDED]
    if dtype.name not in dtypes(known, "cl_khr_fp64" in known):
        pytest.skip(f"the device has no atomics of {dtype}")
    scalars = Scalars(kernelkit_opencl.scalars.SPELLING, Library())
    lines = written(atomics(known), scalars, dtype, space)
    grid = [*itertools.product(values(dtype), repeat=2)]
    n, kind, ops = len(grid), scalars.memory_type(dtype), operations(dtype)
    arguments = ", ".join(f"__global {kind}* {a}" for a in ("x", "old", "values", "news"))
    tile = f"__local {kind} tile[{n}];"
    head = f"{scalars.code.library.text()}\n__kernel void k({arguments})"
    text = f"{scalars.prelude}{head} {{ {tile} int n = {n}, i = get_local_id(0);\n"
    text += "\n".join(lines) + "\n}\n"
    x = np.array([old for _ in ops for old, _ in grid], dtype.numpy)
    given = np.array([value for _ in ops for _, value in grid], dtype.numpy)
    news = np.roll(given, 3)
    before, old = x.copy(), np.zeros_like(x)
    run(device, text, [x, old, given, news], threads=n, block=n)
    assert_bits_equal(old, before, "the old values")
    for number, op in enumerate(ops):
        part = slice(number * n, number * n + n)
        rows = zip(before[part], given[part], news[part], strict=True)
        if op == "cas":  # by bits, where the meaning leaves it open
            bits = f"u{dtype.itemsize}"
            same = before[part].view(bits) == given[part].view(bits)
            wanted = np.where(same, news[part], before[part])
        else:
            found = [expected(op, dtype, old, (value,)) for old, value, _ in rows]
            wanted = np.array(found, dtype.numpy)
        assert_bits_equal(x[part], wanted, op)


@each_device
@in_numbers
@pytest.mark.parametrize("space", SPACES, ids=lambda s: s.value)
def test_none_is_lost_among_many_threads(device: Any, dtype: DType, space: AddressSpace) -> None:
    known = device.extensions.split()
    if dtype.name not in dtypes(known, "cl_khr_fp64" in known):
        pytest.skip(f"the device has no atomics of {dtype}")
    scalars = Scalars(kernelkit_opencl.scalars.SPELLING, Library())
    kind, table = scalars.memory_type(dtype), atomics(known)
    shared = space is AddressSpace.SHARED
    base = "tile" if shared else "x"
    ops = ("add", "nanmax", "nanmin") + (("inc",) if dtype.is_integer else ())
    one = {"add": "1", "inc": "1000000", "nanmax": "i", "nanmin": "5 - i"}
    lines = [
        atomic(scalars.code.library, scalars, table, op, dtype, space, f"&{base}[{n}]",
               [f"(({kind})({one[op]}))"], False) + ";"
        for n, op in enumerate(ops)
    ]  # fmt: skip
    text = (
        f"__kernel void k(__global {kind}* x) {{ int i = get_global_id(0);\n"
        f"__local {kind} tile[4]; if (get_local_id(0) < 4) tile[get_local_id(0)] = 0;\n"
        "barrier(CLK_LOCAL_MEM_FENCE);\n" + "\n".join(lines) + "\nbarrier(CLK_LOCAL_MEM_FENCE);\n"
    )
    text += "if (get_global_id(0) < 4) x[i] = tile[i];\n}\n" if shared else "}\n"
    threads, block = (256, 256) if shared else (4096, 64)
    x = np.zeros(4, dtype.numpy)
    run(device, f"{scalars.prelude}{scalars.code.library.text()}{text}", [x], threads, block)
    least = 0 if dtype.kind == "u" else 5 - (threads - 1)
    assert x.tolist()[: len(ops)] == [threads, threads - 1, least, threads][: len(ops)]


# ---------------------------------------------------------------- CUDA
def cuda_text() -> str:
    scalars = Scalars(kernelkit_cuda.scalars.SPELLING, Library())
    bodies = []
    for number, (dtype, space) in enumerate(itertools.product(ATOMICS["cas"][1], SPACES)):
        kind = scalars.memory_type(dtype)
        lines = written(kernelkit_cuda.atomics.ATOMICS, scalars, dtype, space)
        arguments = ", ".join(f"{kind}* {a}" for a in ("x", "old", "values", "news"))
        head = f'extern "C" __global__ void k{number}({arguments})'
        bodies.append(
            f"{head} {{ __shared__ {kind} tile[64]; int n = 64, i = threadIdx.x;\n"
            + "\n".join(lines) + "\n}\n"
        )  # fmt: skip
    return f"{scalars.prelude}{scalars.code.library.text()}{''.join(bodies)}"


@pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing())
@pytest.mark.parametrize("arch", ["sm_75", "sm_90"])
def test_cuda_compiles_every_operation(arch: str) -> None:
    cubin, log = nvrtc.compile(cuda_text(), "atomics.cu", arch)
    assert cubin
    assert "error" not in log


def cuda_only(op: str, dtype: str, wants_result: bool = False) -> tuple[str, str]:
    """The expression, and the functions that it calls."""
    scalars = Scalars(kernelkit_cuda.scalars.SPELLING, Library())
    text = atomic(
        scalars.code.library, scalars, kernelkit_cuda.atomics.ATOMICS, op, DTYPES[dtype],
        AddressSpace.GLOBAL, "p", ["v", "w"][: ATOMICS[op][0]], wants_result,
    )  # fmt: skip
    return text, scalars.code.library.text()


def native() -> Iterator[tuple[str, str]]:
    words = ("int32", "uint32", "int64", "uint64")
    for op in ("add", "sub", "min", "max", "nanmin", "nanmax", "and", "or", "xor", "exch", "cas"):
        yield from ((op, word) for word in words)
    yield from ((op, f) for op in ("add", "sub") for f in ("float32", "float64"))
    yield from (("inc", "uint32"), ("dec", "uint32"), ("exch", "float32"))


def test_what_the_hardware_has_is_no_loop() -> None:
    assert {case for case in native() if cuda_only(*case)[1]} == set()


def test_what_it_means_otherwise_is_a_loop() -> None:
    """CUDA's own count without a sign; a float's order is not that of its bits."""
    for op, dtype in (("inc", "int32"), ("dec", "int32"), ("inc", "uint64"), ("min", "float32")):
        assert "for (;;)" in cuda_only(op, dtype)[1]


# ---------------------------------------------------------------- OpenCL
def test_what_opencl_devices_promise_decides() -> None:
    assert dtypes((), float64=True) == {"int32", "uint32", "float32"}
    assert dtypes((BASE,), float64=False) == {"int32", "uint32", "float32", "int64", "uint64"}
    assert "float64" in dtypes((BASE,), float64=True)
    assert ("min", "int64") not in atomics((BASE,)).native
    assert ("min", "int64") in atomics((BASE, EXTENDED)).native
