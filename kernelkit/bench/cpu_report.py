"""Rows and figures as a table for a terminal, as JSON, and as Markdown.

In: Rows and Figures. Out: text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kernelkit.bench.cpu_machine import Machine
from kernelkit.bench.cpu_rows import Row
from kernelkit.bench.figures import Figure

COLUMNS = ("kernel", "against", "ratio", "asked", "ours", "theirs", "limit", "of limit")
#: What a ratio that is as asked, and one that is not, look like.
STYLES = {True: "green", False: "bold red", None: ""}


def duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1e6:.3g} us" if seconds < 1e-4 else f"{seconds * 1e3:,.3g} ms"


def asked(row: Row) -> str:
    """The ratio that a row is held to, and whether it keeps it."""
    if row.at_most is None:
        return ""
    stretch = f" ({row.stretch:g})" if row.stretch else ""
    return f"{row.at_most:g}{stretch}{': missed' if row.met is False else ''}"


def cells(row: Row) -> tuple[str, ...]:
    """What stands in the columns; trouble stands where the ratio would."""
    ratio = row.trouble if row.ratio is None else f"{row.ratio:.3g}"
    limit = f"{duration(row.limit)}, {row.limited_by}" if row.limit else ""
    near = "" if row.nearness is None else f"{row.nearness:.0%}"
    times = duration(row.ours), duration(row.theirs)
    return (row.title, row.rival, ratio, asked(row), *times, limit, near)


def show(console: Console, title: str, rows: Sequence[Row], costs: Sequence[Figure]) -> None:
    """Print it all."""
    if rows:
        table = Table(*COLUMNS, title=escape(title))
        above = ""
        for row in rows:
            shown = [escape(cell) for cell in cells(row)]
            shown[0], above = ("" if row.title == above else shown[0]), row.title
            style = "red" if row.failed else STYLES[row.met]
            shown[2] = f"[{style}]{shown[2]}[/]" if style else shown[2]
            table.add_row(*shown)
        console.print(table)
    if costs:
        table = Table("figure", "measured", "asked", title=None if rows else escape(title))
        for figure in costs:
            table.add_row(figure.name, figure.measured, figure.asked)
        console.print(table)


def as_json(title: str, machine: Machine, rows: Sequence[Row], costs: Sequence[Figure]) -> str:
    found = {
        "title": title,
        "machine": {"name": machine.name, "threads": machine.threads}
        | {"multiply_adds_per_second": machine.multiply_adds},
        "rows": [asdict(row) | {"met": row.met, "nearness": row.nearness} for row in rows],
        "figures": [asdict(figure) | {"met": figure.met} for figure in costs],
    }
    return json.dumps(found, indent=1) + "\n"


def as_markdown(rows: Sequence[Row], costs: Sequence[Figure]) -> str:
    """Two tables, for the documentation."""
    parts = []
    if rows:
        parts.append(markdown_table(COLUMNS, [cells(row) for row in rows]))
    if costs:
        lines = [(figure.name, figure.measured, figure.asked) for figure in costs]
        parts.append(markdown_table(("figure", "measured", "asked"), lines))
    return "\n".join(parts)


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table as it stands in a page."""
    rule = ["---"] * len(head)
    escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *escaped))
