"""The CPU back end beside its peers.

In: a command line. Out: a table for people, and on request JSON and Markdown.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

import kernelkit as kk
from kernelkit.bench import cpu_report as report
from kernelkit.bench.cpu_cases import CASES
from kernelkit.bench.cpu_costs import COSTS
from kernelkit.bench.cpu_machine import Machine
from kernelkit.bench.cpu_rows import Effort, Row, rows
from kernelkit.bench.figures import Figure

NAMES = [*(case.name for case in CASES), *(cost.name for cost in COSTS)]
SUMMARY = "Measure our kernels beside those of peers, and both beside what the machine can do."
#: Columns where there is no terminal.
PAGE = 150
THOROUGH, QUICK = Effort(), Effort(pairs=3, seconds=0.1)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m kernelkit.bench cpu", description=SUMMARY)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=NAMES, default=NAMES,
                        help=f"these rows: {', '.join(NAMES)}")  # fmt: skip
    parser.add_argument("--backend", default="cpu", help="what runs our kernels")
    parser.add_argument("--threads", type=int, default=2, help="for everyone (default: 2)")
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try the suite itself")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where a contender failed."""
    asked = parse(arguments)
    try:
        return measure(asked)
    except kk.BackendError as error:
        print(f"kernelkit.bench: {error}", file=sys.stderr)
        return 1


def measure(asked: argparse.Namespace) -> int:
    use_threads(asked.threads)
    machine = Machine(asked.threads)
    measured: list[Row] = []
    costs: list[Figure] = []
    failures: list[str] = []
    console = Console(width=None if sys.stdout.isatty() else PAGE)
    with kk.use(asked.backend), console.status("") as status:
        for case in CASES:
            if case.name in asked.only:
                status.update(escape(case.title))
                size = case.small[0] if asked.small else case.size
                measured += rows(case, size, machine, QUICK if asked.quick else THOROUGH)
        for cost in COSTS:
            if cost.name in asked.only:
                status.update(cost.title)
                try:
                    costs.append(cost.figure(asked.backend))
                except Exception as error:  # the other figures are still worth having
                    failures.append(f"{cost.title}: {type(error).__name__}: {error}")
    title = f"{asked.backend}, {asked.threads} threads, on {machine.name}"
    report.show(console, title, measured, costs)
    if asked.json:
        asked.json.write_text(report.as_json(title, machine, measured, costs))
    if asked.markdown:
        asked.markdown.write_text(report.as_markdown(measured, costs))
    for failure in failures:
        print(failure, file=sys.stderr)
    return int(bool(failures) or any(row.failed for row in measured))


def use_threads(count: int) -> None:
    """Give our kernels, here and in processes that are started, so many threads; and let the
    workers of OpenMP, on which Numba runs, sleep while others are measured."""
    os.environ["OMP_WAIT_POLICY"] = "passive"
    os.environ["KERNELKIT_NUM_THREADS"] = str(count)
    set_num_threads = getattr(kk, "set_num_threads", None)
    if set_num_threads is not None:
        set_num_threads(count)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
