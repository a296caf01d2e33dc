"""Which arguments may be compiled as if they did not overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.runtime.foreign import describe
from kernelkit.runtime.overlap import apart, written_pairs


def test_only_pairs_with_a_written_array_count() -> None:
    assert written_pairs([0, 1, 3], []) == ()
    assert written_pairs([0, 1, 3], [3]) == ((0, 3), (1, 3))
    assert written_pairs([0, 1, 3], [0]) == ((0, 1), (0, 3))
    assert written_pairs([0, 1], [0, 1]) == ((0, 1),)


BASE = np.zeros(100)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (BASE, BASE, False),
        (BASE[:50], BASE[50:], True),
        (BASE[:51], BASE[50:], False),
        (BASE[::2], BASE[1::2], False),  # by address ranges, which is what is promised
        (BASE[49::-1], BASE[50:], True),
        (BASE[:0], BASE, True),
        (BASE, np.zeros(1), True),
        (BASE.view(np.int8)[:8], BASE[1:], True),
        (np.broadcast_to(BASE[3:4], (50,)), BASE[4:], True),
    ],
)
def test_arrays_of_the_host(first: np.ndarray, second: np.ndarray, expected: bool) -> None:
    assert apart([first, second], ((0, 1),)) is expected
    assert apart([second, first], ((0, 1),)) is expected
    assert apart([first, second], ())


def test_device_arrays(device_array: Any) -> None:
    def array(address: int | None, count: int = 4) -> Any:
        return describe(device_array(np.zeros(count, np.float32), "dev:0", address))

    pairs = ((0, 1),)
    assert apart([array(0), array(16)], pairs)
    assert not apart([array(0), array(15)], pairs)
    assert not apart([array(0), array(None)], pairs)
    assert apart([array(4, count=0), array(0)], pairs)
    assert apart([array(16), BASE], pairs)


@kk.kernel
def shift(src, dst):
    i = kk.grid(1)
    if i < dst.size:
        dst[i] = src[i] + 1


def test_each_version_is_compiled_when_it_is_needed(fake: Any) -> None:
    launch = shift.on("fake").forall(50)
    data, rest = np.zeros(100), np.zeros(50)
    launch(data[:50], data[50:])
    launch(rest, data[:50])
    assert [k.options.noalias for k in fake.emitted] == [True]
    launch(data[:50], data[:50])
    launch(data[1:51], data[:50])
    assert [k.options.noalias for k in fake.emitted] == [True, False]
    launch(data[:50], data[50:])
    assert (fake.compiled, len(fake.launches)) == (2, 5)


def test_overlapping_arguments_for_real() -> None:
    data = np.zeros(4)
    shift.on("python").forall(4)(data, data)
    np.testing.assert_array_equal(data, [1, 1, 1, 1])
