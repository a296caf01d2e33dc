"""`python -m kernelkit.bench python`: measure a back end and print a table."""

from __future__ import annotations

import argparse
import platform

from rich.console import Console
from rich.table import Table

from kernelkit.bench import reference

SUITES = {"python": reference.figures}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kernelkit.bench", description=__doc__)
    parser.add_argument("backend", choices=SUITES)
    backend = parser.parse_args().backend
    where = f"{platform.machine()}, Python {platform.python_version()}"
    table = Table("figure", "measured", "asked", title=f"{backend} on {where}")
    for figure in SUITES[backend]():
        table.add_row(figure.name, figure.measured, figure.asked)
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
