"""Figures: how they are judged and printed, and that the suite of the reference runs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kernelkit.bench.figures import Figure, median_seconds, printed_by


@pytest.mark.parametrize(
    ("figure", "met", "asked"),
    [
        (Figure("a", 3.0, "ms", 4.0), True, "at most 4.0 ms"),
        (Figure("a", 5.0, "ms", 4.0), False, "at most 4.0 ms: missed"),
        (Figure("a", 5.0, "x", 4.0, at_least=True), True, "at least 4.0 x"),
        (Figure("a", 3.0, "x", 4.0, at_least=True), False, "at least 4.0 x: missed"),
        (Figure("a", 3.0, "x"), True, ""),
    ],
)
def test_a_figure_is_held_to_its_limit(figure, met, asked):
    assert (figure.met, figure.asked) == (met, asked)


def test_figures_print_their_digits():
    assert Figure("a", 1234567.8, "threads/s").measured == "1,234,568 threads/s"
    assert Figure("a", 3.14159, "ms").measured == "3.142 ms"


def test_a_median_comes_behind_a_warm_up():
    calls = []
    assert median_seconds(lambda: calls.append(1), rounds=4) >= 0
    assert len(calls) == 5


def test_fresh_interpreters_keep_bytecode(monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    code = "import os, sys; print(int(os.environ['NUMBER']) + sys.dont_write_bytecode)"
    assert printed_by("-c", code, NUMBER="41") == 41
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        printed_by("-c", "1 / 0")


def test_the_suite_of_the_reference_runs():
    run = subprocess.run(
        [sys.executable, "-m", "kernelkit.bench", "python"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "threads/s" in run.stdout
    assert "import beyond numpy" in run.stdout
