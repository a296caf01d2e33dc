"""Rows and figures of a GPU as a table for a terminal, as JSON, and as Markdown.

In: Rows and Figures. Out: text.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kernelkit.bench.cpu_report import STYLES, duration, markdown_table
from kernelkit.bench.figures import Figure
from kernelkit.bench.gpu_rows import Row

COLUMNS = (
    "kernel",
    "back end",
    "against",
    "speed",
    "asked",
    "ours",
    "theirs",
    "of a copy",
    "asked",
)
FIGURES = ("figure", "measured", "asked")


def _asked(value: float | None, limit: float | None) -> str:
    if limit is None or value is None:
        return ""
    return f"{limit:g}{'' if value >= limit else ': missed'}"


def cells(row: Row) -> tuple[str, ...]:
    """What stands in the columns; trouble stands where the speed would."""
    speed = row.trouble if row.speed is None else f"{row.speed:.3f}"
    copied = "" if row.copied is None else f"{row.copied:.3f}"
    return (
        row.title, row.backend, row.rival, speed, _asked(row.speed, row.at_least),
        duration(row.ours), duration(row.theirs), copied, _asked(row.copied, row.copied_at_least),
    )  # fmt: skip


def _lines(figures: Sequence[Figure]) -> list[tuple[str, str, str]]:
    return [(figure.name, figure.measured, figure.asked) for figure in figures]


def show(console: Console, title: str, rows: Sequence[Row], figures: Sequence[Figure]) -> None:
    """Print it all."""
    if rows:
        table = Table(*COLUMNS, title=escape(title))
        for row in rows:
            style = "red" if row.trouble else STYLES[row.met]
            table.add_row(*map(escape, cells(row)), style=style)
        console.print(table)
    if figures:
        table = Table(*FIGURES, title=None if rows else escape(title))
        for line in _lines(figures):
            table.add_row(*map(escape, line))
        console.print(table)


def as_json(title: str, rows: Sequence[Row], figures: Sequence[Figure]) -> str:
    found = {
        "title": title,
        "rows": [asdict(row) | {"met": row.met} for row in rows],
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
    }
    return json.dumps(found, indent=1) + "\n"


def as_markdown(rows: Sequence[Row], figures: Sequence[Figure]) -> str:
    """Two tables."""
    parts = []
    if rows:
        parts.append(markdown_table(COLUMNS, [cells(row) for row in rows]))
    if figures:
        parts.append(markdown_table(FIGURES, _lines(figures)))
    return "\n".join(parts)
