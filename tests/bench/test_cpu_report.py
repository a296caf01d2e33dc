"""What the table says."""

from __future__ import annotations

import io
import json

from rich.console import Console

from kernelkit.bench import cpu_report as report
from kernelkit.bench.cpu_rows import Row
from kernelkit.bench.figures import Figure

MEASURED = {"ours": 2e-3, "limit": 1e-3, "limited_by": "memory", "pairs": 9}
MET = Row("a", "blur `[::2]`", "them", 0.5, 0.25, theirs=4.5e-3, ratio=0.44, **MEASURED)
MISSED = Row("a", "blur `[::2]`", "the | others", 0.5, None, theirs=3e-5, ratio=66.7, **MEASURED)
ABSENT = Row("b", "sort", "them", None, None, trouble="not installed: sorted")
COST = Figure("launch", 3.0, "us", 8)


class FakeMachine:
    name, threads, multiply_adds = "a machine", 2, 1e9


def test_cells():
    assert report.cells(MET) == (
        "blur `[::2]`", "them", "0.44", "0.5 (0.25)", "2 ms", "4.5 ms", "1 ms, memory", "50%",
    )  # fmt: skip
    assert report.cells(MISSED)[2:6] == ("66.7", "0.5: missed", "2 ms", "30 us")
    assert report.cells(ABSENT)[2:] == ("not installed: sorted", "", "", "", "", "")


def test_the_terminal_shows_titles_once_and_brackets_as_they_are():
    console = Console(file=io.StringIO(), width=150)
    report.show(console, "cpu [2 threads]", [MET, MISSED, ABSENT], [COST])
    text = console.file.getvalue()
    assert text.count("blur `[::2]`") == 1
    for part in ("cpu [2 threads]", "0.5: missed", "not installed: sorted", "at most 8 us"):
        assert part in text


def test_json_holds_every_figure():
    found = json.loads(report.as_json("cpu", FakeMachine(), [MET, ABSENT], [COST]))
    assert found["machine"] == {"name": "a machine", "threads": 2, "multiply_adds_per_second": 1e9}
    assert [row["met"] for row in found["rows"]] == [True, None]
    assert found["rows"][0]["nearness"] == 0.5
    assert found["figures"][0]["value"] == 3.0


def test_markdown_is_two_tables():
    lines = report.as_markdown([MET, MISSED], [COST]).splitlines()
    assert lines[0].startswith("| kernel | against |")
    assert lines[3].startswith("| blur `[::2]` | the \\| others | 66.7 |")
    assert lines[4] == ""
    assert lines[-1] == "| launch | 3 us | at most 8 us |"
    assert report.as_markdown([], [COST]).splitlines()[0] == "| figure | measured | asked |"
