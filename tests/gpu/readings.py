"""What the commands of `run.py` left behind, as figures.

In: a Result, and the file that a command wrote. Out: the Result with what was found; a status that
says "passed" is taken back where a file says otherwise.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

#: So many names of what failed are kept.
KEPT = 40


def tests(result: Any, file: Path) -> Any:
    """Counts and names from pytest's JUnit file."""
    if not file.exists():
        return _without_file(result)
    cases = list(ElementTree.parse(file).iter("testcase"))
    outcome = {
        case: next((c.tag for c in case if c.tag in ("failure", "error", "skipped")), "passed")
        for case in cases
    }
    counts = Counter(outcome.values())
    wrong = [
        f"{case.get('classname')}::{case.get('name')}"
        for case, tag in outcome.items() if tag in ("failure", "error")
    ]  # fmt: skip
    result.found |= {**counts, "wrong": wrong[:KEPT]}
    if result.status == "passed" and (wrong or not counts["passed"]):
        result.status = "failed"
    parts = [
        ("passed", "passed"),
        ("failure", "failed"),
        ("error", "errors"),
        ("skipped", "skipped"),
    ]
    return _says(result, ", ".join(f"{counts[tag]} {name}" for tag, name in parts if counts[tag]))


def random_kernels(result: Any, file: Path) -> Any:
    """Counts and findings from the generator's log."""
    if not file.exists():
        return _without_file(result)
    cases = [json.loads(line) for line in file.read_text().splitlines()]
    counts = Counter(case["place"] for case in cases)
    wrong = [case for case in cases if case["wrong"]]
    result.found |= {"kernels": dict(counts), "findings": len(wrong), "wrong": wrong[:KEPT]}
    if result.status == "passed" and (wrong or not cases):
        result.status = "failed"
    drawn = ", ".join(f"{count} kernels on {place}" for place, count in sorted(counts.items()))
    return _says(result, f"{drawn}, {len(wrong)} findings")


def sanitized(result: Any, folder: Path) -> Any:
    """Errors from the summaries of compute-sanitizer, one for each process."""
    texts = [file.read_text(errors="replace") for file in folder.iterdir()]
    summaries = [s for text in texts for s in re.findall(r"SUMMARY: (\d+) (?:error|hazard)", text)]
    errors = sum(map(int, summaries))
    result.found |= {"processes": len(summaries), "sanitizer_errors": errors}
    if result.status == "passed" and (errors or not summaries):
        result.status = "failed"
    return _says(result, f"{errors} errors in {len(summaries)} processes")


def figures(result: Any, file: Path) -> Any:
    """The figures of the benchmarks, and how many are as asked."""
    if not file.exists():
        return _without_file(result)
    found = json.loads(file.read_text())
    result.found |= found
    judged = [row["met"] for row in found["rows"]]
    judged += [figure["met"] for figure in found["figures"] if figure["limit"] is not None]
    return _says(result, f"{judged.count(True)} of {len(judged)} as asked")


def _without_file(result: Any) -> Any:
    if result.status == "passed":
        result.status = "failed"
    return _says(result, "it wrote no results")


def _says(result: Any, more: str) -> Any:
    result.said = "; ".join(filter(None, (result.said, more)))
    return result


# ---------------------------------------------------------------- for people
def line(result: Any) -> str:
    return f"{result.part:12} {result.what:20} {result.status:10} {result.seconds:6.1f} s  {result.said}"


def markdown(title: str, results: Sequence[Any]) -> str:
    rows = [("part", "what", "status", "seconds", "found"), ("---",) * 5]
    rows += [(r.part, r.what, r.status, f"{r.seconds:.1f}", r.said) for r in results]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([f"{title}\n", *lines, ""])
