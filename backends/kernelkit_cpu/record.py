"""The launch record, word by word, and the plan from which the native launch fills it.

In: a kernel's metadata and the configuration of a launch. Out: a plan, an array of 64-bit words.
Holds: kernels know the record alone, at the indices below; a plan does not depend on the arguments,
so it serves every launch of its configuration, from any thread, at any time.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from kernelkit.backend import LaunchConfig
from kernelkit.errors import ConfigurationError
from kernelkit.ir.types import DTYPES

# ---------------------------------------------------------------- the record
STOP: Final = 0  # RUNNING, FAULTED or CANCELLED
SCRATCH: Final = 1  # address of the scratch memory of all workers
SCRATCH_BYTES: Final = 2  # of one worker: worker w has them at SCRATCH + w * SCRATCH_BYTES
BLOCKS: Final = 3  # blocks that are run, along x, y, z
GRID: Final = 6  # gridDim as the user gave it
DYNAMIC_BYTES: Final = 9  # dynamic shared memory
PRINT: Final = 10  # address of void (ptr record, i64 site, ptr words)
POLL: Final = 11  # address of void (ptr record, i64 worker)
FAULT_LOCK: Final = 12
FAULT_SITE: Final = 13
FAULT_BLOCK: Final = 14
FAULT_THREAD: Final = 15
PAYLOAD: Final = 16
PARAMETERS: Final = 32  # an array: address, extents, byte strides; a scalar: one word a component

#: What the stop word says: run on; a fault is recorded; hand out no more blocks.
RUNNING, FAULTED, CANCELLED = 0, 1, 2

# ---------------------------------------------------------------- the plan
PLAN_KERNEL: Final = 0  # address of the kernel
PLAN_BLOCKS: Final = 1  # how many in all
PLAN_ARGUMENTS: Final = 2  # how many values the native launch takes
PLAN_WORDS: Final = 3  # words of the record
PLAN_RATE: Final = 4  # nanoseconds per block (a double) in the last launch; 0: none yet
PLAN_NDARRAY: Final = 5  # address of the type np.ndarray
PLAN_RECORD: Final = 8  # the record up to PARAMETERS, as every launch begins with it
PLAN_KINDS: Final = PLAN_RECORD + PARAMETERS  # an array's number of axes, or one of these:
KIND_BOOL, KIND_INTEGER, KIND_FLOAT32, KIND_FLOAT64 = -1, -2, -3, -4

#: So many blocks can be counted without overflow, with every thread asking for some more.
MOST_BLOCKS: Final = 1 << 62
#: Scratch memory of two workers shares no cache line.
LINE: Final = 64


def make_plan(
    kernel: int, metadata: Mapping[str, Any], config: LaunchConfig, printer: int = 0
) -> np.ndarray:
    """The plan of a launch. `kernel` and `printer` are the addresses of the compiled kernel and of
    the function that prints."""
    parameters = list(flat(metadata["parameters"]))
    words = PARAMETERS + sum(1 + 2 * kind if kind > 0 else 1 for kind in parameters)
    plan = np.zeros(PLAN_KINDS + len(parameters), np.int64)
    blocks = run_blocks(metadata, config.grid)
    scratch = _round_up(metadata.get("scratch", 0))
    if metadata.get("dynamic_in_scratch"):
        scratch += _round_up(config.shared_bytes)
    plan[PLAN_KERNEL] = kernel
    plan[PLAN_BLOCKS] = blocks[0] * blocks[1] * blocks[2]
    plan[PLAN_ARGUMENTS] = len(parameters)
    plan[PLAN_WORDS] = words
    plan[PLAN_NDARRAY] = id(np.ndarray)
    plan[PLAN_KINDS:] = parameters
    record = plan[PLAN_RECORD:PLAN_KINDS]
    record[SCRATCH_BYTES] = scratch
    record[BLOCKS : BLOCKS + 3] = blocks
    record[GRID : GRID + 3] = config.grid
    record[DYNAMIC_BYTES] = config.shared_bytes
    record[PRINT] = printer
    return plan


def run_blocks(metadata: Mapping[str, Any], grid: Sequence[int]) -> tuple[int, int, int]:
    """How many blocks are run along each axis: the grid's, or as many as cover its threads where
    the kernel was compiled for another block than the user's. `axes`: which axis of the user's lies
    along each axis of that block."""
    counts = tuple(grid)
    if metadata.get("reblocked"):
        user, axes = metadata["user_block"], metadata.get("axes", (0, 1, 2))
        counts = tuple(
            -(-grid[axis] * user[axis] // block)
            for axis, block in zip(axes, metadata["block"], strict=True)
        )
    x, y, z = counts
    if x * y * z > MOST_BLOCKS:
        raise ConfigurationError(
            f"a grid of {' x '.join(map(str, grid))} blocks is more than the 2**62 that the CPU back "
            "end counts; use a larger block, or loop in the kernel"
        )
    return x, y, z


def _round_up(size: int) -> int:
    return -(-size // LINE) * LINE


# ---------------------------------------------------------------- arguments
_KINDS: Final = {"b": KIND_BOOL, "i": KIND_INTEGER, "u": KIND_INTEGER}
_FLOATS: Final = {"float16": KIND_INTEGER, "float32": KIND_FLOAT32, "float64": KIND_FLOAT64}


def flat(parameters: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """The kinds of the values that the native launch takes, after `unfold`."""
    for each in parameters:
        if each["kind"] == "array":
            yield each["ndim"]
            continue
        dtype = DTYPES[each["dtype"]]
        part = dtype.component
        kind = _KINDS.get(part.kind) or _FLOATS[part.name]
        yield from (kind,) * (2 if dtype.is_complex else 1)


def needs_unfolding(parameters: Sequence[Mapping[str, Any]]) -> bool:
    """Whether arguments go through `unfold` before a launch."""
    return any(each.get("dtype") in _UNFOLDED for each in parameters if each["kind"] == "scalar")


def unfold(parameters: Sequence[Mapping[str, Any]], args: Sequence[Any]) -> list[Any]:
    """The arguments with float16 as its bits and complex numbers as two values each."""
    values: list[Any] = []
    for each, value in zip(parameters, args, strict=True):
        dtype = each.get("dtype") if each["kind"] == "scalar" else None
        if dtype == "float16":
            with np.errstate(over="ignore"):
                values.append(int(np.float16(value).view(np.uint16)))
        elif dtype in _UNFOLDED:
            values += (value.real, value.imag)
        else:
            values.append(value)
    return values


_UNFOLDED: Final = ("float16", "complex64", "complex128")


# ---------------------------------------------------------------- from callbacks
#: What a callback could not raise through compiled code, by the address of its record.
_remembered: dict[int, BaseException] = {}


def cancel(record: int, error: BaseException) -> None:
    """End a launch from a callback of its kernel: no more blocks are begun, and when those that run
    have ended, `error` is raised where the kernel was launched. What ends it already goes first."""
    stop = ctypes.c_int64.from_address(record + 8 * STOP)
    if stop.value == RUNNING:
        _remembered[record] = error
        stop.value = CANCELLED


def remembered(record: int) -> BaseException | None:
    """What `cancel` was given for a launch that has ended, which is forgotten then."""
    return _remembered.pop(record, None)
