"""How exact the functions of mathlib are, on the cpu back end: the table of docs/math.md.

In: the command line. Out: a printed table: of each function and type the greatest error in ulp and
where it stands. Holds: float32 functions of one number are tried on every float32 (or every n-th);
the yardstick is float64 for float32, np.longdouble for float64.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

import kernelkit as kk
from kernelkit.mathlib import FUNCTIONS
from kernelkit.testing.comparison import ulp_error

Array = npt.NDArray[Any]
Arguments = Iterator[tuple[Array, ...]]
CHUNK = 1 << 20
#: Between these random float64 arguments are drawn, besides random bits.
RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    "exp": ((-746, 710), (-1, 1)), "exp2": ((-1076, 1024), (-1, 1)),
    "log": ((0.5, 2), (0, 1e3)), "log2": ((0.5, 2), (0.7, 0.7072)),
    "sin": ((-1, 1), (-1e3, 1e3), (-1e9, 1e9), (-1e300, 1e300)),
    "cos": ((-1, 1), (-1e3, 1e3), (-1e9, 1e9), (-1e300, 1e300)),
    "tan": ((-1, 1), (-1e3, 1e3), (-1e9, 1e9), (-1e300, 1e300)),
    "tanh": ((-1, 1), (0.9, 1), (-20, 20)),
}  # fmt: skip


@dataclass(slots=True)
class Worst:
    """The greatest error so far, and its arguments."""

    error: float = 0.0
    arguments: tuple[Any, ...] = ()

    def see(self, errors: Array, arguments: Sequence[Array]) -> None:
        at = int(np.argmax(errors))
        if errors[at] > self.error:
            self.error = float(errors[at])
            self.arguments = tuple(a[at] for a in arguments)

    def __str__(self) -> str:
        return f"{self.error:.4f} at {', '.join(map(str, self.arguments))}"


def _kernel(name: str) -> Any:
    function: Any = getattr(math, name)

    @kk.kernel
    def one(x, out):  # type: ignore[no-untyped-def]
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(x[i])

    @kk.kernel
    def two(x, y, out):  # type: ignore[no-untyped-def]
        i = kk.grid(1)
        if i < out.size:
            out[i] = function(x[i], y[i])

    return (two if FUNCTIONS[name].arity == 2 else one).on("cpu")


# ---------------------------------------------------------------- arguments
def every_float32(step: int) -> Arguments:
    """All float32 values, or every `step`-th."""
    for start in range(0, 1 << 32, CHUNK * step):
        bits = np.arange(start, min(start + CHUNK * step, 1 << 32), step, dtype=np.uint32)
        yield (bits.view(np.float32),)


def random_float64(name: str, rounds: int) -> Arguments:
    rng = np.random.default_rng(1)
    for _ in range(rounds):
        yield (np.frombuffer(rng.bytes(8 * CHUNK), np.float64),)
        for low, high in RANGES[name]:
            yield (rng.uniform(low, high, CHUNK),)


def random_pairs(dtype: Any, rounds: int) -> Arguments:
    """Random bits, everyday numbers, bases near 1, and exponents such that the power is anything
    from denormal to infinite."""
    rng, info = np.random.default_rng(2), np.finfo(dtype)
    for _ in range(rounds):
        x, y = (np.frombuffer(rng.bytes(info.bits // 8 * CHUNK), dtype) for _ in "xy")
        yield x, y
        yield rng.lognormal(0, 2, CHUNK).astype(dtype), rng.normal(0, 5, CHUNK).astype(dtype)
        near = 1 + rng.normal(0, 1, CHUNK) * 2.0 ** rng.integers(-info.nmant, -1, CHUNK)
        for base in (np.abs(x), near.astype(dtype), rng.uniform(0.5, 2, CHUNK).astype(dtype)):
            target = rng.uniform(info.minexp - info.nmant, info.maxexp, CHUNK)
            yield base, (target / np.log2(base.astype(np.float64))).astype(dtype)


def exact(name: str, arguments: Sequence[Array]) -> Array:
    wide = np.float64 if arguments[0].dtype == np.float32 else np.longdouble
    if name != "pow":
        result: Array = getattr(np, name)(arguments[0].astype(wide))
        return result
    x, y = (a.astype(np.longdouble) for a in arguments)
    # Some powl take exponents from 2**63 on for odd.
    edge = (x == 0) | np.isinf(x)
    return np.where(edge, np.power(x.astype(np.float64), y.astype(np.float64)), np.power(x, y))


# ---------------------------------------------------------------- the table
def measure(name: str, arguments: Arguments) -> Worst:
    kernel, worst = _kernel(name), Worst()
    for given in arguments:
        out = np.empty_like(given[0])
        kernel.forall(out.shape)(*given, out)
        with np.errstate(all="ignore"):
            worst.see(ulp_error(out, exact(name, given)), given)
    return worst


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m kernelkit.bench math", description=__doc__)
    parser.add_argument("functions", nargs="*", default=list(FUNCTIONS), metavar="function")
    parser.add_argument("--step", type=int, default=1, help="try every n-th float32 (1: all)")
    parser.add_argument(
        "--rounds", type=int, default=4, help="millions of random arguments of a kind"
    )
    asked = parser.parse_args(arguments)
    table = Table("function", "float32", "float64", title="greatest error found, in ulp")
    within = True
    with np.errstate(all="ignore"):
        for name in asked.functions:
            if name == "pow":
                tried = [random_pairs(dtype, asked.rounds) for dtype in (np.float32, np.float64)]
            else:
                tried = [every_float32(asked.step), random_float64(name, asked.rounds)]
            found = [measure(name, each) for each in tried]
            within &= all(worst.error <= FUNCTIONS[name].ulp for worst in found)
            table.add_row(name, *map(str, found))
    Console().print(table)
    return 0 if within else 1
