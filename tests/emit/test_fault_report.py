"""From sites and numbers to what is raised; and values, from words to text."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest

from kernelkit import errors
from kernelkit.emit.fault_report import Recorded, as_exception, coordinates, site_number
from kernelkit.emit.payload import (
    LOST,
    pieces_of,
    text_from,
    value_from,
    values_of,
    word_count,
    words_in,
)  # fmt: skip
from kernelkit.errors import KernelFault, Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, COMPLEX64, COMPLEX128, DTYPES, FLOAT16, FLOAT64, INT8, UINT64

SPAN = Span("user.py", 7, 4, 7, 9)
BLOCK = (8, 4, 2)


def fault(
    site: dict[str, Any], payload: list[int], thread: int = 0, threads: int = 64
) -> KernelFault:
    sites: list[dict[str, Any]] = [{"kind": "warp", "op": "sync", "span": ["user.py", 3, 0, 3, 9]}]
    number = site_number(sites, site, SPAN)
    return as_exception(
        Recorded(
            sites, number, thread, payload, lambda n: ((1, 2, 3), coordinates(n, BLOCK)), threads
        )
    )


def bits(value: float) -> int:
    return int(struct.unpack("q", struct.pack("d", value))[0])


# ---------------------------------------------------------------- faults
CASES: list[tuple[dict[str, Any], list[int], int, type, str]] = [
    (
        {"kind": "bounds", "name": "a", "indices": ["uint64", "int8"], "shape": [None, 7, None]},
        [2**64 - 1, 2**64 - 2, 5, 9], 0, errors.OutOfBoundsError,
        f"a[{2**64 - 1}, -2] is outside a, whose shape is (5, 7, 9);",
    ),
    ({"kind": "unassigned", "name": "x"}, [], 9, errors.UnassignedError, "x is read before"),
    (
        {"kind": "assert", "text": [["at "], ["float64", ".1f"]]}, [bits(2.25)], 9,
        errors.KernelAssertionError, "assertion failed: at 2.2 (block",
    ),
    ({"kind": "step"}, [], 63, errors.ZeroStepError, "the step of this range is 0"),
    (
        {"kind": "uniform", "dtype": "float64"}, [8, bits(1), bits(math.nan)], 9,
        errors.DivergenceError, "thread (0, 1, 0) has 1.0 and thread (1, 1, 0) has nan",
    ),
    (
        {"kind": "unnamed lane", "op": "shfl"}, [5], 33, errors.DivergenceError,
        "lane 1 calls shfl_sync with the mask 0x00000005",
    ),
    (
        {"kind": "inactive lane", "op": "shfl"}, [20], 33, errors.InactiveLaneError,
        "lane 1 shuffles from lane 20, which has returned",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("site", "payload", "thread", "kind", "says"), CASES)
def test_each_kind(
    site: dict[str, Any], payload: list[int], thread: int, kind: type, says: str
) -> None:
    found = fault(site, [*payload, *[0] * (16 - len(payload))], thread)
    assert type(found) is kind
    assert says in str(found)
    assert found.span == SPAN
    assert (found.block, found.thread) == ((1, 2, 3), coordinates(thread, BLOCK))


def test_a_lane_beyond_the_block_does_not_exist() -> None:
    site = {"kind": "inactive lane", "op": "shfl"}
    assert "which does not exist" in str(fault(site, [20], 33, threads=52))
    assert "which has returned" in str(fault(site, [20], 33, threads=53))


def test_a_stalemate_names_the_first_group() -> None:
    site = {"kind": "stalemate", "op": "shfl"}
    found = fault(site, [0, 0xFFFFFFFF, 0xF, 0xFF, 0xF0, 0xF00], thread=5)
    assert type(found) is errors.DivergenceError
    lines = str(found).splitlines()
    assert lines[1:4] == [
        "  4 threads, (0, 0, 0) to (3, 0, 0), wait in syncwarp with mask 0xffffffff at user.py:3:1",
        "  4 threads, (4, 0, 0) to (7, 0, 0), wait in shfl_sync with mask 0x000000ff at user.py:7:5",
        "  4 threads, (0, 1, 0) to (3, 1, 0), have returned (block (1, 2, 3), thread (0, 0, 0))",
    ]
    assert found.span.line == 3


def test_values_without_room_are_marked() -> None:
    site = {"kind": "bounds", "name": "a", "indices": ["int64"] * 3, "shape": [2] * 3}
    assert f"a[1, 2, {LOST}] is outside" in str(fault(site, [1, 2]))


def test_an_equal_site_keeps_its_number() -> None:
    sites: list[dict[str, Any]] = []
    asked = [({"kind": "step"}, SPAN), ({"kind": "step"}, None), ({"kind": "step"}, SPAN)]
    assert [site_number(sites, what, span) for what, span in asked] == [0, 1, 0]
    assert sites == [{"kind": "step", "span": ["user.py", 7, 4, 7, 9]}, {"kind": "step"}]


# ---------------------------------------------------------------- values
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_each_value_comes_back(dtype: Any) -> None:
    raw = np.random.default_rng().integers(0, 256, 16, np.uint8)
    raw[3::4] &= 0x3F  # no NaN
    if dtype == BOOL:
        raw &= 1
    if dtype == FLOAT16:
        raw[1] = 0x3C
    value = raw[: dtype.itemsize].view(dtype.numpy)[0]
    part = dtype.component
    unsigned = raw[: dtype.itemsize].view(f"u{part.itemsize}").tolist()
    # What lies above the value's bits does not count.
    words = [w | (0xAB << 56 if part.bits < 64 else 0) for w in unsigned]
    assert len(words) == word_count(dtype)
    found = value_from(dtype, words)
    assert found == value
    assert type(found) is (type(value.item()) if dtype.kind in "biu" else type(value))
    negative = [w - (1 << 64) if w >= 1 << 63 else w for w in words]
    assert value_from(dtype, negative) == value


def test_texts() -> None:
    def read(dtype: Any) -> ir.Read:
        return ir.Read(SPAN, dtype, ir.Var("x", dtype))

    text = (
        "a", ir.Formatted(read(INT8), "4d"), ir.Formatted(read(COMPLEX128)), "b",
        ir.Formatted(read(UINT64), "x"), ir.Formatted(read(COMPLEX64)),
    )  # fmt: skip
    pieces = pieces_of(text)
    assert pieces == [
        ["a"], ["int8", "4d"], ["complex128", ""], ["b"], ["uint64", "x"], ["complex64", ""]
    ]  # fmt: skip
    assert [part.value.type for part in values_of(text)] == [INT8, COMPLEX128, UINT64, COMPLEX64]
    assert words_in(pieces) == 6
    words = [0xFE, bits(0.5), bits(-1), 2**64 - 1, 0, 0]
    assert text_from(pieces, words) == "a  -2(0.5-1j)bffffffffffffffff0j"
    assert text_from(pieces, words[:5]) == f"a  -2(0.5-1j)bffffffffffffffff{LOST}"
    assert text_from(pieces, words[:2]) == f"a  -2{LOST}b{LOST}{LOST}"
    assert value_from(FLOAT64, [bits(-0.0)]) == 0
