"""The GPU back ends beside the same kernels written by hand.

In: a command line. Out: a table for people, and on request JSON and Markdown.
Holds: without a GPU it stops before anything is made, and says why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

import kernelkit as kk
from kernelkit.bench import gpu_report as report
from kernelkit.bench.cpu_rows import Effort
from kernelkit.bench.figures import Figure
from kernelkit.bench.gpu_cases import CASES
from kernelkit.bench.gpu_clock import Clock
from kernelkit.bench.gpu_rows import SIDES, Row, launch_figures, rows

LAUNCH = "launch"
NAMES = [*(case.name for case in CASES), LAUNCH]
SUMMARY = "Measure our kernels on GPUs beside the same ones in CUDA C and in numba.cuda."
#: Columns where there is no terminal.
PAGE = 150
THOROUGH, QUICK = Effort(pairs=31, seconds=1.0, most=401), Effort(pairs=5, seconds=0.1)


def _backends(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in SIDES]
    if unknown:
        known = ", ".join(SIDES)
        raise argparse.ArgumentTypeError(f"there are {known}; not {', '.join(unknown)}")
    return names


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m kernelkit.bench gpu", description=SUMMARY)
    parser.add_argument("--backends", type=_backends, default=list(SIDES), metavar="NAME,NAME",
                        help=f"these back ends (default: {','.join(SIDES)})")  # fmt: skip
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=NAMES, default=NAMES,
                        help=f"these rows: {', '.join(NAMES)}")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try the suite itself")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    return parser.parse_args(arguments)


def unusable(backends: Sequence[str]) -> dict[str, str]:
    """Of these back ends those that find no GPU here, and why."""
    registered = {row.backend: row for row in kk.devices()}
    found = {}
    for name in backends:
        row = registered.get(name)
        if row is None:
            found[name] = "there is no such back end"
        elif not row.usable:
            found[name] = row.why
    return found


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where there is no GPU, or a contender failed."""
    asked = parse(arguments)
    lacking = unusable(asked.backends)
    for name, why in lacking.items():
        print(f"kernelkit.bench gpu: {name} cannot run here: {why}", file=sys.stderr)
    usable = [name for name in asked.backends if name not in lacking]
    if not usable:
        return 1
    try:
        import cupy

        clock = Clock(cupy)
    except Exception as error:  # it is missing, finds no GPU, or has no room there
        print(f"kernelkit.bench gpu: CuPy keeps the time, and cannot: {error}", file=sys.stderr)
        return 1
    failed = measure(asked, usable, clock)
    return int(failed or bool(lacking))


def measure(asked: argparse.Namespace, backends: list[str], clock: Clock) -> bool:
    """Whether anything failed."""
    measured: list[Row] = []
    figures: list[Figure] = []
    failures: list[str] = []
    console = Console(width=None if sys.stdout.isatty() else PAGE)
    with console.status("") as status:
        for case in CASES:
            if case.name in asked.only:
                status.update(escape(case.title))
                effort = QUICK if asked.quick else THOROUGH
                measured += rows(case, asked.small, backends, clock, effort)
        for backend in backends if LAUNCH in asked.only else ():
            try:
                figures += launch_figures(backend, clock)
            except Exception as error:  # the other figures are still worth having
                failures.append(f"{backend}: {type(error).__name__}: {error}")
    title = f"{', '.join(backends)} on {clock.name}"
    report.show(console, title, measured, figures)
    if asked.json:
        asked.json.write_text(report.as_json(title, measured, figures))
    if asked.markdown:
        asked.markdown.write_text(report.as_markdown(measured, figures))
    for failure in failures:
        print(f"kernelkit.bench gpu: {failure}", file=sys.stderr)
    return bool(failures) or any(row.trouble for row in measured)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
