"""The search for the greatest error of the math functions."""

from __future__ import annotations

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.bench import math as bench
from kernelkit.testing.comparison import ulp_error


@kk.kernel
def errors(found, exact, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = bench._ulps(found[i], exact[i])


def test_errors_in_a_kernel_are_those_outside() -> None:
    rng = np.random.default_rng(1)
    exact = np.concatenate([rng.normal(0, 1, 500) * 2.0 ** rng.integers(-160, 130, 500),
                            [0, -0.0, 0, -0.0, np.inf, -np.inf, np.nan, 1, np.nan, 1e-60, 1e39]])  # fmt: skip
    with np.errstate(all="ignore"):
        found = (exact * (1 + rng.integers(-3, 4, exact.size) * 1e-7)).astype(np.float32)
    found[-11:] = [0, 0.0, -0.0, -0.0, np.inf, 3e38, 1, np.nan, np.nan, -0.0, np.inf]
    out = np.zeros(exact.size)
    errors.on("cpu").forall(out.shape)(found, exact, out)
    np.testing.assert_array_equal(out, ulp_error(found, exact))


def test_every_float_is_tried() -> None:
    """Steps that leave out most find no more than all do, and the place where it is."""
    worst = bench.every_float32("exp", 1009)
    assert 0.5 < worst.error <= 0.897
    (x,) = worst.arguments
    assert ulp_error(np.float32(np.exp(x)), np.exp(np.float64(x))) <= 1


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["tanh", "--step", "999983", "--rounds", "1"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("tanh ")
    assert line.count("0.") >= 2
