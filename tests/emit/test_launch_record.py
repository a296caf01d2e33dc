"""The launch record: what it begins with, and what is made of one that a launch left."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import pytest

from kernelkit import errors
from kernelkit.backend import LaunchConfig
from kernelkit.emit.launch_record import (
    CAPACITY,
    CURSOR,
    FAILED,
    HEADER,
    LOST,
    PRINT_WORDS,
    PRINTED,
    SLOT,
    SLOT_BLOCK,
    SLOT_PAYLOAD,
    SLOT_SITE,
    new_header,
    new_record,
    report,
    words_used,
)  # fmt: skip

SPAN = ["user.py", 7, 4, 7, 9]
SITES = [
    {"kind": "print", "text": [["x="], ["int32", "4d"], [" "], ["complex64", ""], ["\n"]]},
    {"kind": "bounds", "name": "a", "indices": ["int8"], "shape": [None, 3], "span": SPAN},
    {"kind": "print", "text": [["only words\n"]]},
    {"kind": "step", "span": SPAN},
]
CONFIG = LaunchConfig((3, 4, 5), (4, 3, 1))


def metadata(debug: bool = True, prints: bool = True) -> dict[str, Any]:
    return {"sites": SITES, "block": [4, 3, 1], "debug": debug, "prints": prints}


def complex_word(part: float) -> int:
    return int(np.float32(part).view(np.uint32))


def put(record: np.ndarray, *words: int) -> None:
    """A text, as kernels write it: what does not fit is lost."""
    start = int(record[CURSOR])
    record[CURSOR] += len(words)
    if record[CURSOR] > record[CAPACITY]:
        record[LOST] += 1
        return
    place = int(record[PRINTED]) + start
    record[place : place + len(words)] = words


def said(record: np.ndarray, **kinds: bool) -> str:
    out: list[str] = []
    used = words_used(record[:HEADER])
    report(metadata(**kinds), record[:used], CONFIG, out.append)
    return "".join(out)


# ---------------------------------------------------------------- before a launch
@pytest.mark.parametrize(("debug", "slots"), [(True, 12 * SLOT), (False, 0)])
@pytest.mark.parametrize(("prints", "room"), [(True, PRINT_WORDS), (False, 0)])
def test_its_size(debug: bool, slots: int, prints: bool, room: int) -> None:
    record = new_record(metadata(debug, prints))
    assert record.dtype == np.int64
    assert record.size == HEADER + slots + room
    np.testing.assert_array_equal(record[:HEADER], new_header(metadata(debug, prints)))
    assert record[PRINTED] == HEADER + slots and record[CAPACITY] == room
    assert not record[HEADER:].any() and not record[[FAILED, CURSOR, LOST]].any()
    assert words_used(record[:HEADER]) == HEADER + slots


def test_a_new_one_says_nothing() -> None:
    assert said(new_record(metadata())) == ""


# ---------------------------------------------------------------- prints
def test_texts_come_in_the_order_of_arrival() -> None:
    record = new_record(metadata(False), 100)
    put(record, 0, -12 % 2**32, complex_word(1.5), complex_word(-2))
    put(record, 2)
    put(record, 0, 7, complex_word(0), complex_word(float("nan")))
    assert said(record, debug=False) == "x= -12 (1.5-2j)\nonly words\nx=   7 nanj\n"


@pytest.mark.parametrize(("capacity", "kept"), [(8, 2), (7, 1), (4, 1), (3, 0)])
def test_texts_that_do_not_fit_are_counted(capacity: int, kept: int) -> None:
    record = new_record(metadata(), capacity)
    for value in range(3):
        put(record, 0, value, 0, 0)
    with pytest.warns(RuntimeWarning, match=f"{3 - kept} prints? w.* lost.* {8 * capacity} bytes"):
        lines = said(record)
    assert lines == "".join(f"x={value:4d} 0j\n" for value in range(kept))


def test_no_warning_where_all_fits() -> None:
    record = new_record(metadata(), 8)
    put(record, 0, 1, 0, 0)
    put(record, 0, 1, 0, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert said(record).count("\n") == 2


def test_it_prints_to_where_stdout_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    record = new_record(metadata(), 8)
    put(record, 2)
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    report(metadata(), record, CONFIG)
    assert out.getvalue() == "only words\n"


# ---------------------------------------------------------------- faults
def fail(record: np.ndarray, thread: int, block: int, site: int, *payload: int) -> None:
    record[FAILED] = block + 1
    slot = record[HEADER + thread * SLOT :]
    slot[SLOT_SITE], slot[SLOT_BLOCK] = site + 1, block
    slot[SLOT_PAYLOAD : SLOT_PAYLOAD + len(payload)] = payload


def test_the_first_thread_at_fault_is_named() -> None:
    record = new_record(metadata())
    block = 2 + 3 * (1 + 4 * 3)
    fail(record, 11, block, 3)
    fail(record, 6, block, 1, -5, 4)
    with pytest.raises(errors.OutOfBoundsError) as caught:
        said(record)
    assert "a[-5] is outside a, whose shape is (4, 3);" in str(caught.value)
    assert (caught.value.block, caught.value.thread) == ((2, 1, 3), (2, 1, 0))
    assert caught.value.span == errors.Span(*SPAN)


def test_what_was_printed_comes_before_the_fault() -> None:
    record = new_record(metadata())
    put(record, 2)
    fail(record, 0, 0, 3)
    out: list[str] = []
    with pytest.raises(errors.ZeroStepError):
        report(metadata(), record.tolist(), CONFIG, out.append)
    assert out == ["only words\n"]
