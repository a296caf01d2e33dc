"""NVRTC makes of our kernels what it makes of those by hand, or nearly."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from kernelkit.bench.gpu_cases import CASES
from kernelkit_cuda import nvrtc

pytestmark = pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing() or "is here")

#: How much more machine code ours may be, and how many registers.
LONGER = 1.3
REGISTERS = 6


@pytest.fixture(scope="module")
def compare():
    path = Path(__file__).with_name("compare_text.py")
    spec = importlib.util.spec_from_file_location("compare_text", path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


@pytest.mark.parametrize("arch", ["sm_75", "sm_90"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_our_code_is_nearly_that_by_hand(compare, case, arch):
    ours, by_hand = compare.ours(case, arch), compare.by_hand(case, arch)
    assert ours.spilled == 0
    assert ours.registers <= by_hand.registers + REGISTERS
    assert ours.instructions <= LONGER * by_hand.instructions
    assert ours.count("loads") <= by_hand.count("loads")
    if by_hand.count("read-only") == by_hand.count("loads"):
        assert ours.count("read-only") == ours.count("loads")


def test_loops_that_begin_at_a_thread_have_known_turns(compare):
    """Which `threadIdx.x < 256` tells; those by hand do not say it."""
    histogram = next(case for case in CASES if case.name == "histogram")
    ours, by_hand = compare.ours(histogram, "sm_90"), compare.by_hand(histogram, "sm_90")
    assert ours.count("branches") < by_hand.count("branches")
    assert ours.instructions < by_hand.instructions


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_indices_and_counters_are_32_bits(compare, case):
    ours, by_hand = compare.ours(case, "sm_90"), compare.by_hand(case, "sm_90")
    assert ours.count("cvt64") <= by_hand.count("cvt64")


def test_the_table(compare, monkeypatch, capsys):
    monkeypatch.setattr(compare, "CASES", CASES[2:3])
    monkeypatch.setattr(sys, "argv", ["compare_text.py", "--arch", "sm_90"])
    assert compare.main() == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.startswith("sm_90, ours / by hand") and row.startswith("saxpy")
    monkeypatch.setattr(sys, "argv", ["compare_text.py", "--show", "saxpy"])
    assert compare.main() == 0
    assert "k_saxpy" in capsys.readouterr().out
