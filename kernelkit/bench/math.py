"""How exact the functions of mathlib are, on the cpu back end: the table of docs/math.md.

In: the command line. Out: printed lines: of each function and type the greatest error in ulp and
where it stands. Holds: float32 functions of one number are tried on every float32 (or every n-th),
the yardstick being the float64 function; that of the others is np.longdouble's.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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


# ---------------------------------------------------------------- every float32
#: Threads of a launch, and what each of them tries.
THREADS, EACH = 1 << 14, 1 << 10
#: Behind the greatest float32; the exponent bits of a float64, and of the least normal float32.
LIMIT = 2.0**128
EXPONENT, LEAST = 0x7FF0000000000000, 0x3810000000000000
STEP = 2.0**-23


@kk.device
def _ulps(found, exact):  # type: ignore[no-untyped-def]
    """As ulp_error, of a float32 and a float64."""
    near = min(max(np.float64(found), -LIMIT), LIMIT)
    true = min(max(exact, -LIMIT), LIMIT)
    exponent = max(kk.double_as_longlong(min(abs(exact), 0.75 * LIMIT)) & EXPONENT, LEAST)
    error = abs(near - true) / (kk.longlong_as_double(exponent) * STEP)
    wrong = (found != found) != (exact != exact)
    signs = (kk.float_as_int(found) < 0) != (kk.double_as_longlong(exact) < 0)
    wrong = wrong or (found == 0 and signs)
    return math.inf if wrong else 0.0 if exact != exact else error


def _search(name: str) -> Any:
    function: Any = getattr(math, name)

    @kk.kernel
    def search(start, step, errors, places):  # type: ignore[no-untyped-def]
        """The worst of the floats whose bits are start, start + step, ...: EACH for a thread."""
        i = kk.grid(1)
        worst = 0.0
        place = np.int32(0)
        for k in range(EACH):
            bits = np.int32(start + (i * EACH + k) * step)
            x = kk.int_as_float(bits)
            error = _ulps(function(x), function(np.float64(x)))
            if error > worst:
                worst = error
                place = bits
        errors[i] = worst
        places[i] = place

    return search.on("cpu")


def every_float32(name: str, step: int) -> Worst:
    kernel, worst = _search(name), Worst()
    errors, places = np.zeros(THREADS), np.zeros(THREADS, np.int32)
    for start in range(0, 1 << 32, THREADS * EACH * step):
        kernel[THREADS // 256, 256](start, step, errors, places)
        worst.see(errors, [places.view(np.float32)])
    return worst


# ---------------------------------------------------------------- arguments
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
    if name != "pow":
        result: Array = getattr(np, name)(arguments[0].astype(np.longdouble))
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
    print("greatest error found, in ulp")
    within = True
    with np.errstate(all="ignore"):
        for name in asked.functions:
            if name == "pow":
                found = [
                    measure(name, random_pairs(t, asked.rounds)) for t in (np.float32, np.float64)
                ]
            else:
                found = [every_float32(name, asked.step)]
                found += [measure(name, random_float64(name, asked.rounds))]
            within &= all(worst.error <= FUNCTIONS[name].ulp for worst in found)
            print(f"{name:5}  float32: {found[0]}  float64: {found[1]}", flush=True)
    return 0 if within else 1
