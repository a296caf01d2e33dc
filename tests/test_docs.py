"""Every Python example of the README and the documentation runs, and every link leads somewhere.

A page is one script, top to bottom: its blocks marked `python` are written to a file, each on the
lines that it has in the page, so that a traceback names the page's line.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
#: The back end that a page walks through.
MINIMAL = ROOT / "examples" / "backend_minimal"
#: What a block may be. `output` is what the page prints at that point; others are for reading.
MARKS = {"python", "output", "bash", "text", "toml"}


def blocks(page: Path, mark: str) -> list[tuple[int, str]]:
    """(number of lines before it, text) of every block with that mark."""
    text = page.read_text()
    return [
        (text.count("\n", 0, match.start(2)), match[2])
        for match in BLOCK.finditer(text)
        if match[1] == mark
    ]


def script(page: Path) -> str:
    lines: list[str] = []
    for before, text in blocks(page, "python"):
        lines += [""] * (before - len(lines)) + text.splitlines()
    return "\n".join(lines) + "\n"


#: What differs between machines and files: the place that an error of ours starts with; in a report
#: the file, the numbers of its lines, and how many threads a vector has.
VARYING = (
    (r"^\S+:\d+:\d+: ", ""),
    (r"^\S+\.py$", "FILE.py"),
    (r"^(.*?) +\d+  ", r"\1 N  "),
    (r": \d+ threads in a vector", ": N threads in a vector"),
)


def without_places(text: str) -> str:
    """Output without what differs between machines and files."""
    for pattern, instead in VARYING:
        text = re.sub(pattern, instead, text, flags=re.MULTILINE)
    return text


def anchor(heading: str) -> str:
    """What a link to a heading ends in."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_pages_with_examples_are_found():
    shown = {name(page) for page in PAGES if blocks(page, "python")}
    assert {"README.md", "docs/backends.md"} <= shown


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=name)
def test_page_runs(page, tmp_path):
    if page.stem == "backends" and shutil.which(os.environ.get("CC", "cc")) is None:
        pytest.skip("there is no C compiler, which the back end of that page needs")
    path = [str(MINIMAL), *filter(None, [os.environ.get("PYTHONPATH")])]
    file = tmp_path / f"{page.stem}.py"
    file.write_text(script(page))
    done = subprocess.run(
        [sys.executable, "-W", "error", file],
        capture_output=True, text=True, cwd=tmp_path, timeout=300,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
    )  # fmt: skip
    assert done.returncode == 0, f"{name(page)}, by its own line numbers:\n{done.stderr}"
    printed = without_places(done.stdout)
    for before, text in blocks(page, "output"):
        assert without_places(text) in printed, f"{name(page)}:{before} shows what is not printed"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_page_is_sound(page):
    text = page.read_text()
    assert text.count("```") == 2 * len(BLOCK.findall(text)), "a code block is not closed"
    assert {mark for mark, _ in BLOCK.findall(text)} <= MARKS
    for target in LINK.findall(BLOCK.sub("", text)):
        if "://" in target:
            continue
        path, _, fragment = target.partition("#")
        led = page.parent / path if path else page
        assert led.exists(), f"{name(page)} links to {target}"
        if fragment:
            anchors = {anchor(heading) for heading in HEADING.findall(led.read_text())}
            assert fragment in anchors, f"{name(page)} links to {target}"


def test_files_that_are_named_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    there = {
        p.name for top in ("kernelkit", "backends", "tests") for p in (ROOT / top).rglob("*.py")
    }
    named = set(re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", text))
    assert len(named) > 30
    assert named <= there


def test_readme_commands_are_single_lines():
    commands = [text.splitlines() for _, text in blocks(ROOT / "README.md", "bash")]
    setups = [line for block in commands for line in block if "pip install" in line]
    assert len(setups) == 2
    assert any(line.endswith("kernelkit demo") for line in setups)
    assert any("pytest" in line for line in setups)


def test_the_page_shows_the_whole_minimal_back_end():
    """Word for word; tests/test_backend_minimal.py holds that it conforms."""
    shown = [text.strip() for _, text in blocks(ROOT / "docs" / "backends.md", "python")]
    for file in sorted(MINIMAL.rglob("*.py")):
        parts = [text for text in shown if text in file.read_text()]
        assert re.sub(r"\n+", "\n", "\n".join(parts)) == re.sub(
            r"\n+", "\n", file.read_text().strip()
        )
    section = blocks(ROOT / "docs" / "backends.md", "toml")[0][1]
    assert section in (MINIMAL / "pyproject.toml").read_text()
