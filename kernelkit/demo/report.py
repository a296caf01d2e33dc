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
    """One row for each case on each back end."""
    from rich.table import Table
    from rich.text import Text

    made = Table(header_style="bold")
    made.add_column("back end")
    made.add_column("kernel")
    for heading in ("size", "time", "pixels/s", "difference", "allowed"):
        made.add_column(heading, justify="right")
    made.add_column("against")
    for o in outcomes:
        verdict = ("agrees", "green") if o.agrees else ("DISAGREES", "bold red")
        if o.error:
            verdict = ("FAILED", "bold red")
        made.add_row(
            o.backend,
            o.kernel,
            f"{o.shape[1]}x{o.shape[0]}",
            seconds(o.seconds),
            quantity(o.pixels_per_second),
            f"{o.difference:.1e}",
            f"{o.tolerance:.1e}",
            Text.assemble(f"{o.peer.split('.')[0]}: ", verdict),
        )
    return made


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
                "seconds": _finite(o.seconds),
                "pixels_per_second": _finite(o.pixels_per_second),
                "difference": _finite(o.difference),
                "tolerance": o.tolerance,
                "agrees": o.agrees,
                "error": o.error or None,
            }
            for o in outcomes
        ],
        "picture": None if drawn is None else str(drawn),
        "agrees": all(o.agrees for o in outcomes),
    }


def draw(original: Image, outcomes: Sequence[Outcome], path: Path) -> None:
    """The original and the results of one back end, side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [("original", original), *((o.kernel, _shown(o)) for o in outcomes)]
    height, width = original.shape
    figure = Figure(figsize=(3 * len(panels), 3 * min(height / width, 3) + 0.5), facecolor=PAPER)
    FigureCanvasAgg(figure)
    for place, (title, values) in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), place)
        axes.imshow(values, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(title, color=INK, fontsize=12, loc="left", pad=6)
        axes.set_axis_off()
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.99 - 0.4 / figure.get_figheight(), 0.03)
    figure.savefig(path, dpi=128, format="png")


def seconds(value: float) -> str:
    """A time in the unit that suits it."""
    if not math.isfinite(value):
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def quantity(value: float) -> str:
    """A count with three digits and a letter for its thousands."""
    if not math.isfinite(value):
        return "-"
    for letter, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {letter}"
    return f"{value:.3g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _shown(outcome: Outcome) -> Image:
    """A result between 0 and 1. A transform's first band is halved, as it sums what it averages,
    and the others, which are small and of both signs, show as relief around grey."""
    result = outcome.result
    assert result is not None
    if not outcome.kernel.startswith("wavelet"):
        return np.clip(result, 0, 1)
    rows, columns = result.shape[0] // 2, result.shape[1] // 2
    picture = 0.5 + 2 * result
    picture[:rows, :columns] = result[:rows, :columns] / 2
    return np.clip(picture, 0, 1)
