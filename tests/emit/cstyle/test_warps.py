"""Warp operations and barriers in C: on OpenCL devices, as subgroups and by local memory, against
the reference's; for CUDA by its compiler."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from opencl_devices import each_device, run

import kernelkit_cuda.scalars
import kernelkit_opencl.scalars
from kernelkit.emit.cstyle.library import Library
from kernelkit.emit.cstyle.scalars import Scalars
from kernelkit.emit.cstyle.warps import Warps, WarpTable
from kernelkit.ir.types import BOOL, DTYPES, FLOAT16, FLOAT32, INT8, INT32, INT64, UINT32, DType
from kernelkit.ir.verify import WARP
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit_cuda import nvrtc
from kernelkit_cuda.warps import WARPS as CUDA
from kernelkit_opencl.capabilities import subgroup_sizes
from kernelkit_opencl.warps import has_subgroups, warps
from kernelkit_python.warps import release

Array = npt.NDArray[Any]
FULL = 0xFFFFFFFF
#: Two warps and eight more.
THREADS = 72
OPERATIONS = [op for op in WARP if op not in ("sync", "activemask")]
by_local_memory = pytest.mark.parametrize("subgroups", [False, True], ids=["local", "subgroups"])


def table_for(device: Any, subgroups: bool) -> WarpTable:
    known = device.extensions.split()
    if subgroups and not has_subgroups(known, subgroup_sizes(device)):
        pytest.skip("the device has no subgroups of 32")
    return warps(subgroups)


def result_types(op: str, dtype: DType) -> list[DType]:
    return [found or dtype for found in WARP[op][2]]


def dtypes_of(op: str) -> list[DType]:
    if None in WARP[op][1]:
        return [t for t in DTYPES.values() if not t.is_complex]
    return [BOOL]


# ---------------------------------------------------------------- a kernel that does one
def text_of(op: str, dtype: DType, table: WarpTable, mask: str, complete: bool, gone: bool) -> str:
    """k(values, lanes, masks, out, out...): `gone` threads have returned, or come with a mask of 0."""
    scalars = Scalars(kernelkit_opencl.scalars.SPELLING, Library())
    made = Warps(scalars.code.library, scalars, table)
    types = result_types(op, dtype)
    operands = ["value", "lanes[i]"][: len(WARP[op][1])]
    lines = [f"{scalars.register_type(dtype)} value = {scalars.load(dtype, 'values[i]')};"]
    lines += [f"{scalars.register_type(t)} r{n};" for n, t in enumerate(types)]
    if gone and not table.by_block:
        lines.append("if (masks[i] == 0u) return;")
    lines += made.lines(op, dtype, mask, operands, [f"r{n}" for n in range(len(types))], complete)
    lines += [f"out{n}[i] = {scalars.store(t, f'r{n}')};" for n, t in enumerate(types)]
    memory = [scalars.memory_type(t) for t in (dtype, INT32, UINT32, *types)]
    names = ("values", "lanes", "masks", *(f"out{n}" for n in range(len(types))))
    arguments = ", ".join(f"__global {m}* {n}" for m, n in zip(memory, names, strict=True))
    head = "const u32 i = get_local_id(0), kk_thread = i, kk_lane = i & 31u;"
    return "\n".join((
        scalars.prelude, scalars.code.library.text(),
        f"__kernel __attribute__((reqd_work_group_size({THREADS}, 1, 1))) {made.attributes}",
        f"void k({arguments}) {{ {head}", *made.scratch(THREADS), *lines, "}",
    ))  # fmt: skip


def expected(op: str, values: Array, lanes: Sequence[int], masks: Sequence[int]) -> list[list[Any]]:
    """What the reference gives each thread; None where the mask is 0."""
    found: list[list[Any]] = []
    for start in range(0, THREADS, 32):
        here = range(start, min(start + 32, THREADS))
        requests = [None if masks[i] == 0 else (1, masks[i], values[i], lanes[i]) for i in here]
        results = release(requests, {1: op}, debug=False)
        for lane in range(len(here)):
            given = results.get(lane)
            found.append(list(given) if isinstance(given, tuple) else [given])
    return found


def values_of(dtype: DType) -> Array:
    few = np.random.default_rng(7).integers(0, 3, THREADS)
    found = np.where(np.arange(THREADS) < 32, few, 1).astype(dtype.numpy)
    if dtype.is_float:
        found[3:6] = np.array([np.nan, -0.0, 1e4])
    return found


def check(
    device: Any, op: str, dtype: DType, table: WarpTable, lanes: Array, masks: Array, mask: str
) -> None:
    values = values_of(dtype)
    gone = bool((masks == 0).any())
    outs = [np.zeros(THREADS, t.numpy) for t in result_types(op, dtype)]
    text = text_of(op, dtype, table, mask, complete=False, gone=gone)
    run(device, text, [values, lanes, masks, *outs], THREADS, THREADS)
    wanted = expected(op, values, lanes.tolist(), masks.tolist())
    there = masks != 0
    for number, out in enumerate(outs):
        column = [row[number] for row, here in zip(wanted, there, strict=True) if here]
        assert_bits_equal(out[there], np.array(column, out.dtype), f"{op} {dtype}")


@each_device
@by_local_memory
@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_of_all_lanes(device: Any, subgroups: bool, op: str) -> None:
    """In every type; the lanes of shuffles go beyond the warp, and to lanes that are not there."""
    lanes = np.random.default_rng(3).integers(-40, 70, THREADS).astype(np.int32)
    masks = np.full(THREADS, FULL, np.uint32)
    for dtype in dtypes_of(op):
        if dtype.name == "float64" and "cl_khr_fp64" not in device.extensions:
            continue
        check(device, op, dtype, table_for(device, subgroups), lanes, masks, "0xffffffffu")


@each_device
@by_local_memory
@pytest.mark.parametrize("op", OPERATIONS)
def test_lanes_that_are_gone_do_not_count(device: Any, subgroups: bool, op: str) -> None:
    lanes = np.random.default_rng(4).integers(0, 32, THREADS).astype(np.int32)
    masks = np.where(np.arange(THREADS) % 5 == 2, 0, FULL).astype(np.uint32)
    dtype = FLOAT32 if None in WARP[op][1] else BOOL
    check(device, op, dtype, table_for(device, subgroups), lanes, masks, "masks[i]")


@each_device
@by_local_memory
@pytest.mark.parametrize("op", OPERATIONS)
def test_two_masks_at_one_call(device: Any, subgroups: bool, op: str) -> None:
    lanes = np.random.default_rng(5).integers(0, 32, THREADS).astype(np.int32)
    even = np.arange(THREADS) % 2 == 0
    masks = np.where(even, 0x55555555, 0xAAAAAAAA).astype(np.uint32)
    dtype = INT64 if None in WARP[op][1] else BOOL
    check(device, op, dtype, table_for(device, subgroups), lanes, masks, "masks[i]")


# ---------------------------------------------------------------- barriers
@each_device
@pytest.mark.parametrize("rounds", [1, 7])
def test_barriers_count(device: Any, rounds: int) -> None:
    """One after the other, so that a late reader meets the next count."""
    scalars = Scalars(kernelkit_opencl.scalars.SPELLING, Library())
    made = Warps(scalars.code.library, scalars, warps(False))
    lines = ["i32 count; bool every, some;", f"for (int turn = 0; turn < {rounds}; ++turn) {{"]
    lines += made.barrier("count", "(values[i] + turn) % 3 == 0", "count")
    lines += made.barrier("and", "values[i] + turn > 2", "every")
    lines += made.barrier("or", "values[i] == 71 - turn", "some")
    lines += made.barrier("sync", None, None)
    lines += [
        "out[i] = out[i] * 3 + count + every * 1000 + some * 100;",
        "}",
        *made.fence("device"),
    ]
    text = "\n".join((
        scalars.prelude, scalars.code.library.text(),
        "__kernel void k(__global i32* values, __global i32* out) {",
        "const u32 i = get_local_id(0), kk_thread = i;", *made.scratch(THREADS), *lines, "}",
    ))  # fmt: skip
    values, out = np.arange(THREADS, dtype=np.int32), np.zeros(THREADS, np.int32)
    run(device, text, [values, out], THREADS, THREADS)
    wanted = 0
    for turn in range(rounds):
        every = bool((values + turn > 2).all())
        some = bool((values == 71 - turn).any())
        wanted = wanted * 3 + int(((values + turn) % 3 == 0).sum()) + every * 1000 + some * 100
    assert out.tolist() == [wanted] * THREADS


# ---------------------------------------------------------------- CUDA
@functools.cache
def cuda_lines(op: str, dtype: DType, mask: str, operand: str, complete: bool) -> tuple[str, ...]:
    scalars = Scalars(kernelkit_cuda.scalars.SPELLING, Library())
    made = Warps(scalars.code.library, scalars, CUDA)
    masked, operands, _ = WARP[op]
    names = [f"r{n}" for n in range(len(result_types(op, dtype)))]
    given = ["value", operand][: len(operands)]
    return tuple(made.lines(op, dtype, mask if masked else None, given, names, complete))


def cuda_text() -> str:
    scalars = Scalars(kernelkit_cuda.scalars.SPELLING, Library())
    made = Warps(scalars.code.library, scalars, CUDA)
    body = []
    for op, (masked, operands, _) in WARP.items():
        for dtype in [*dtypes_of(op), *([DTYPES["complex64"]] if op == "shfl" else [])]:
            for mask, lane, complete in (("m", "d", False), ("0xffffffffu", "((i32)5)", True)):
                types = [scalars.register_type(t) for t in result_types(op, dtype)]
                kind = scalars.register_type(dtype)
                body.append(f"{{ {kind} value = *({kind}*)x;")
                body += [f"{t} r{n};" for n, t in enumerate(types)]
                body += made.lines(
                    op, dtype, mask if masked else None, ["value", lane][: len(operands)],
                    [f"r{n}" for n in range(len(types))], complete,
                )  # fmt: skip
                body += [f"*({t}*)x = r{n};" for n, t in enumerate(types)] + ["}"]
    body += ["i32 count; bool every, some;"]
    body += made.barrier("count", "d > 1", "count") + made.barrier("and", "d > 1", "every")
    body += made.barrier("or", "d > 1", "some") + made.barrier("sync", None, None)
    body += [line for scope in ("block", "device", "system") for line in made.fence(scope)]
    body += ["*(i32*)x = count + every + some;"]
    head = 'extern "C" __global__ void k(void* x, u32 m, i32 d) {\n'
    lane = "const u32 kk_lane = threadIdx.x & 31u;\n"
    text = head + lane + "\n".join(body) + "\n}\n"
    return f"{scalars.prelude}{scalars.code.library.text()}{text}"


@pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing())
@pytest.mark.parametrize("arch", ["sm_75", "sm_90"])
def test_cuda_compiles_every_operation(arch: str) -> None:
    cubin, _ = nvrtc.compile(cuda_text(), "warps.cu", arch)
    assert cubin


@pytest.mark.parametrize(
    ("op", "delta"), [("shfl_up", "5"), ("shfl_down", "((i32)31)"), ("shfl_xor", "16")]
)
def test_a_shuffle_of_whole_warps_is_one_instruction(op: str, delta: str) -> None:
    lines = " ".join(cuda_lines(op, FLOAT32, "4294967295u", delta, complete=True))
    assert f"__{op}_sync(0xffffffffu" in lines
    assert "ballot" not in lines
    assert "?" not in lines


def test_a_shuffle_asks_who_is_there() -> None:
    assert "__ballot_sync" in " ".join(cuda_lines("shfl", INT8, "0xffffffffu", "d", False))
    assert "__ballot_sync" not in " ".join(cuda_lines("shfl", INT8, "0xffffffffu", "d", True))
    beyond = " ".join(cuda_lines("shfl_up", INT8, "0xffffffffu", "32", True))
    assert "kk_source < 32u" in beyond


def test_float16_is_matched_by_its_own_bits() -> None:
    lines = " ".join(cuda_lines("match_any", FLOAT16, "m", "", False))
    assert "(u32)" in lines
    assert "half" in lines.lower()
