"""The plan of a launch, and the arguments in it."""

from __future__ import annotations

import ctypes
import random
from typing import Any

import numpy as np
import pytest

from kernelkit.backend import LaunchConfig
from kernelkit.errors import ConfigurationError
from kernelkit_cpu import record

ARRAY = {"kind": "array", "ndim": 2}
PLAIN: dict[str, Any] = {"parameters": [], "block": [1, 1, 1], "user_block": [1, 1, 1]}


def scalar(dtype: str) -> dict[str, Any]:
    return {"kind": "scalar", "dtype": dtype}


def test_a_plan_holds_the_record_of_every_launch() -> None:
    config = LaunchConfig((7, 5, 3), (32, 4, 1), 100)
    metadata = PLAIN | {"parameters": [ARRAY, scalar("float32"), scalar("complex64")]}
    plan = record.make_plan(1234, metadata, config, 99)
    assert plan[record.PLAN_KERNEL] == 1234
    assert plan[record.PLAN_BLOCKS] == 105
    # An array of two axes, a float, and a complex number in two.
    assert plan[record.PLAN_ARGUMENTS] == 4
    assert plan[record.PLAN_WORDS] == 32 + 5 + 1 + 2
    words = plan[record.PLAN_RECORD : record.PLAN_KINDS]
    assert list(words[record.BLOCKS : record.BLOCKS + 3]) == [7, 5, 3]
    assert list(words[record.GRID : record.GRID + 3]) == [7, 5, 3]
    assert words[record.DYNAMIC_BYTES] == 100
    assert words[record.PRINT] == 99
    assert words[record.SCRATCH_BYTES] == 0
    named = (record.SCRATCH_BYTES, record.BLOCKS, record.GRID, record.DYNAMIC_BYTES, record.PRINT)
    rest = set(range(record.PARAMETERS)) - {*named, *(named[1] + i for i in (1, 2)), 7, 8}
    assert not words[sorted(rest)].any()


@pytest.mark.parametrize(
    ("scratch", "dynamic_in_scratch", "dynamic", "wanted"),
    [(0, False, 100, 0), (1, False, 100, 64), (64, True, 0, 64), (65, True, 1, 192), (0, True, 129, 192)],
)  # fmt: skip
def test_scratch_memory_of_a_worker(
    scratch: int, dynamic_in_scratch: bool, dynamic: int, wanted: int
) -> None:
    metadata = PLAIN | {"scratch": scratch, "dynamic_in_scratch": dynamic_in_scratch}
    plan = record.make_plan(0, metadata, LaunchConfig((1, 1, 1), (1, 1, 1), dynamic))
    assert plan[record.PLAN_RECORD + record.SCRATCH_BYTES] == wanted


def test_other_blocks_cover_the_threads_of_the_grid() -> None:
    for _ in range(200):
        grid, user, block = (tuple(random.choices(range(1, 70), k=3)) for _ in range(3))
        metadata = PLAIN | {"reblocked": True, "user_block": user, "block": block}
        counts = record.run_blocks(metadata, grid)
        for count, number, size, other in zip(counts, grid, user, block, strict=True):
            assert (count - 1) * other < number * size <= count * other
        assert record.run_blocks(metadata | {"reblocked": False}, grid) == grid
        turned = metadata | {"axes": [1, 0, 2], "block": (block[1], block[0], block[2])}
        assert record.run_blocks(turned, grid) == (counts[1], counts[0], counts[2])


def test_blocks_that_cannot_be_counted_are_refused() -> None:
    huge = (2**60, 2, 2)
    assert record.run_blocks(PLAIN, huge) == huge
    with pytest.raises(ConfigurationError, match=r"a grid of 1152921504606846976 x 2 x 3 blocks"):
        record.make_plan(0, PLAIN, LaunchConfig((2**60, 2, 3), (1, 1, 1)))
    fine = PLAIN | {"reblocked": True, "user_block": (1, 1, 1), "block": (1024, 1, 1)}
    assert record.run_blocks(fine, (2**63, 2, 1)) == (2**53, 2, 1)


def test_what_is_unfolded() -> None:
    parameters = [ARRAY, scalar("float16"), scalar("complex64"), scalar("int8")]
    array = np.zeros((2, 2))
    assert record.needs_unfolding(parameters)
    assert not record.needs_unfolding([ARRAY, scalar("int8"), scalar("float64")])
    values = record.unfold(parameters, [array, np.float16(1.5), np.complex64(2 - 3j), -4])
    assert values[0] is array
    assert values[1:] == [0x3E00, 2.0, -3.0, -4]
    assert record.unfold(parameters[1:2], [1e9]) == [0x7C00]
    assert record.unfold(parameters[1:2], [np.float16("nan")])[0] & 0x7FFF > 0x7C00
    assert list(record.flat(parameters)) == [
        2, record.KIND_INTEGER, record.KIND_FLOAT32, record.KIND_FLOAT32, record.KIND_INTEGER,
    ]  # fmt: skip


def test_a_callback_cancels_with_the_first_error() -> None:
    words = np.zeros(record.PARAMETERS, np.int64)
    address = words.ctypes.data
    first, second = ValueError("first"), ValueError("second")
    record.cancel(address, first)
    record.cancel(address, second)
    assert words[record.STOP] == record.CANCELLED
    assert record.remembered(address) is first
    assert record.remembered(address) is None
    # The next record at that address is another launch's.
    words[record.STOP] = record.RUNNING
    record.cancel(address, second)
    assert record.remembered(address) is second


def test_a_callback_does_not_hide_a_fault() -> None:
    words = (ctypes.c_int64 * record.PARAMETERS)(record.FAULTED)
    record.cancel(ctypes.addressof(words), ValueError())
    assert words[record.STOP] == record.FAULTED
    assert record.remembered(ctypes.addressof(words)) is None
