"""What the table of a GPU says."""

from __future__ import annotations

import io
import json

from rich.console import Console

from kernelkit.bench import gpu_report as report
from kernelkit.bench.figures import Figure
from kernelkit.bench.gpu_rows import Row

TIMES = {"ours": 2e-3, "theirs": 1.9e-3, "pairs": 31}
MET = Row("a", "blur", "cuda", "CuPy RawKernel", speed=0.951, **TIMES)
MISSED = Row("b", "add [1]", "numba", "plain", speed=0.9, copied=0.7, copied_at_least=0.85, **TIMES)
BROKEN = Row("c", "sort", "cuda", "CuPy RawKernel", trouble="cuda: MemoryError: no [room]")
FIGURE = Figure("launch", 3.5, "us", 3)


def test_cells():
    assert report.cells(MET) == (
        "blur", "cuda", "CuPy RawKernel", "0.951", "0.95", "2 ms", "1.9 ms", "", "",
    )  # fmt: skip
    assert report.cells(MISSED)[3:5] == ("0.900", "0.95: missed")
    assert report.cells(MISSED)[7:] == ("0.700", "0.85: missed")
    assert report.cells(BROKEN)[3:] == ("cuda: MemoryError: no [room]", "", "", "", "", "")


def test_the_terminal_shows_brackets_as_they_are():
    console = Console(file=io.StringIO(), width=150)
    report.show(console, "cuda [1]", [MET, MISSED, BROKEN], [FIGURE])
    text = console.file.getvalue()
    for part in ("cuda [1]", "add [1]", "0.95: missed", "no [room]", "at most 3 us: missed"):
        assert part in text


def test_json_holds_every_figure():
    found = json.loads(report.as_json("cuda", [MET, MISSED, BROKEN], [FIGURE]))
    assert [row["met"] for row in found["rows"]] == [True, False, None]
    assert found["figures"][0]["met"] is False
    assert found["title"] == "cuda"


def test_markdown_is_two_tables():
    lines = report.as_markdown([MET], [FIGURE]).splitlines()
    assert lines[0].startswith("| kernel | back end | against |")
    assert lines[2].startswith("| blur | cuda | CuPy RawKernel | 0.951 |")
    assert lines[-1] == "| launch | 3.5 us | at most 3 us: missed |"
    assert report.as_markdown([], [FIGURE]).splitlines()[0] == "| figure | measured | asked |"
