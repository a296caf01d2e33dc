"""What a kernel depends on, as text: equal for equal kernels, different wherever something differs."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import blockIdx, threadIdx
from kernelkit.runtime.fingerprint import fingerprint

FACTOR: Any = 2


def places(out):
    out[threadIdx.x] = blockIdx.x + kk.threadIdx.y + math.pi


def scaled(out):
    out[0] = FACTOR


def helped(out):
    out[0] = helper(1)


def helper(x):
    return x + FACTOR


class Broken:
    @property
    def x(self) -> int:
        raise RuntimeError("not now")


def reads_x(out):
    out[0] = FACTOR.x


def text(fn: Any) -> str:
    found = fingerprint(fn)
    assert found is not None
    return found.text


def test_the_place_of_a_thread_has_a_text_and_no_value() -> None:
    assert "threadIdx" in text(places)
    assert text(places) == text(places)


@pytest.mark.parametrize("fn", [scaled, helped])
def test_a_value_behind_a_name_counts_and_is_watched(
    fn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = set()
    for value in (2, 3, 2.0, True, np.int32(2), (2,), None, np.arange(3), np.arange(3.0)):
        monkeypatch.setattr(f"{__name__}.FACTOR", value)
        found = fingerprint(fn)
        assert found is not None and all(held.unchanged() for held in found.captures)
        texts.add(found.text)
        monkeypatch.setattr(f"{__name__}.FACTOR", object())
        assert not all(held.unchanged() for held in found.captures)
    assert len(texts) == 9


@pytest.mark.parametrize("value", [object(), SimpleNamespace(x=1), Broken(), np.empty(1, object)])
def test_what_has_no_text_gives_no_fingerprint(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.FACTOR", value)
    assert fingerprint(scaled) is None
    if not isinstance(value, (SimpleNamespace, np.ndarray)):
        assert fingerprint(reads_x) is None
