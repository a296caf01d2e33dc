"""Shows what the demo found: a table for people, JSON for machines, a picture of the results.

In: Outcomes. Out: a rich table, a dictionary, a PNG.
Holds: the picture is drawn without a display.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit.demo.cases import Image
from kernelkit.demo.images import Picture
from kernelkit.demo.run import Outcome

if TYPE_CHECKING:
    from rich.table import Table

INK, PAPER = "#1f2933", "#ffffff"


def table(outcomes: Sequence[Outcome]) -> Table:
    """One row for each case of one back end, in 80 columns."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0))
    made.add_column("kernel", no_wrap=True)
    for heading in ("first\nlaunch", "each\nlaunch"):
        made.add_column(heading, justify="right", no_wrap=True)
    made.add_column("peer", no_wrap=True)
    for heading in ("peer's\ntime", "faster", "largest\ndifference"):
        made.add_column(heading, justify="right", no_wrap=True)
    for o in outcomes:
        made.add_row(
            o.kernel,
            seconds(o.first_seconds),
            seconds(o.seconds),
            o.peer,
            seconds(o.peer_seconds),
            times(o.speedup),
            f"{o.difference:.1e}" if not o.error else "lacking" if o.lacking else "failed",
            style="bold red" if o.wrong else "dim" if o.lacking else "",
        )
    return made


def heading(backend: str, device: str, outcomes: Sequence[Outcome]) -> str:
    """What stands above the table of a back end."""
    height, width = outcomes[0].shape
    return f"on {backend} ({device}), {width} x {height} pixels:"


def complaint(outcome: Outcome) -> str:
    """What is wrong with an outcome that is wrong."""
    where = f"{outcome.kernel} on {outcome.backend}"
    if outcome.error:
        return f"{where} failed: {outcome.error}"
    return (
        f"{where} differs from {outcome.peer} by {outcome.difference:.2e}, "
        f"more than the {outcome.tolerance:.2e} that rounding explains"
    )


def succeeded(outcomes: Sequence[Outcome]) -> bool:
    """Whether nothing is wrong, and something ran."""
    return any(o.agrees for o in outcomes) and not any(o.wrong for o in outcomes)


def as_json(picture: Picture, outcomes: Sequence[Outcome], drawn: Path | None) -> dict[str, Any]:
    """What a machine wants to know; a figure that does not exist is null."""
    return {
        "image": {
            "name": picture.name,
            "width": picture.pixels.shape[1],
            "height": picture.pixels.shape[0],
        },
        "results": [
            {
                "backend": o.backend,
                "kernel": o.kernel,
                "peer": o.peer,
                "width": o.shape[1],
                "height": o.shape[0],
                "first_seconds": _finite(o.first_seconds),
                "seconds": _finite(o.seconds),
                "pixels_per_second": _finite(o.pixels_per_second),
                "peer_seconds": _finite(o.peer_seconds),
                "speedup": _finite(o.speedup),
                "difference": _finite(o.difference),
                "tolerance": o.tolerance,
                "agrees": o.agrees,
                "lacking": o.lacking,
                "error": o.error or None,
            }
            for o in outcomes
        ],
        "picture": None if drawn is None else str(drawn),
        "agrees": succeeded(outcomes),
    }


def draw(original: Image, outcomes: Sequence[Outcome], path: Path) -> None:
    """The original and the results of one back end, side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [("original", original), *((o.kernel, _shown(o)) for o in outcomes)]
    aspect = min(max(original.shape[0] / original.shape[1], 0.2), 3)
    # Inches: each panel, the space around it, and the line of its title above.
    panel, gap, title = 3.0, 0.08, 0.3
    width = len(panels) * (panel + gap) + gap
    height = panel * aspect + title + gap
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    for place, (name, values) in enumerate(panels):
        left = gap + place * (panel + gap)
        axes = figure.add_axes((left / width, gap / height, panel / width, panel * aspect / height))
        axes.imshow(values, cmap="gray", vmin=0, vmax=1, aspect="auto")
        axes.set_title(name, color=INK, fontsize=12, loc="left", pad=5)
        axes.set_axis_off()
    figure.savefig(path, dpi=128, format="png")


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    if not math.isfinite(value):
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def times(value: float) -> str:
    """A ratio in two digits; a small one as a fraction."""
    if not math.isfinite(value) or value <= 0:
        return "-"
    if value < 0.1:
        return f"1/{float(f'{1 / value:.2g}'):,.0f}x"
    return f"{float(f'{value:.2g}'):,g}x"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _shown(outcome: Outcome) -> Image:
    """A result between 0 and 1. A transform's first band is halved, as it sums what it averages,
    and the others, which are small and of both signs, show as relief around grey."""
    result = outcome.result
    assert result is not None
    if not outcome.is_transform:
        return np.clip(result, 0, 1)
    rows, columns = result.shape[0] // 2, result.shape[1] // 2
    picture = 0.5 + 2 * result
    picture[:rows, :columns] = result[:rows, :columns] / 2
    return np.clip(picture, 0, 1)
