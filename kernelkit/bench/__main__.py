"""`python -m kernelkit.bench SUITE`: measure a back end and print a table."""

from __future__ import annotations

import argparse
import importlib
import platform
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table


def python(arguments: Sequence[str]) -> int:
    """The reference back end's figures."""
    from kernelkit.bench import reference

    argparse.ArgumentParser(prog="python -m kernelkit.bench python").parse_args(arguments)
    where = f"{platform.machine()}, Python {platform.python_version()}"
    table = Table("figure", "measured", "asked", title=f"python on {where}")
    for figure in reference.figures():
        table.add_row(figure.name, figure.measured, figure.asked)
    Console().print(table)
    return 0


def _module(name: str) -> Callable[[Sequence[str]], int]:
    """The `main` of a module, imported when it is called: what one suite needs others do without."""

    def measure(arguments: Sequence[str]) -> int:
        status: int = importlib.import_module(f"kernelkit.bench.{name}").main(arguments)
        return status

    return measure


#: What measures, given the rest of the command line; its exit status.
SUITES: dict[str, Callable[[Sequence[str]], int]] = {
    "python": python, **{name: _module(name) for name in ("cpu", "gpu", "math")},
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kernelkit.bench", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="SUITE --help lists them")
    asked = parser.parse_args()
    return SUITES[asked.suite](asked.arguments)


if __name__ == "__main__":
    raise SystemExit(main())
