"""The machine's limits are measured, and the higher one counts."""

from __future__ import annotations

import numpy as np

from kernelkit.bench.cpu_machine import Machine
from kernelkit.bench.cpu_problems import Problem


def test_limits_are_measured():
    machine = Machine(2)
    assert 1e8 < machine.multiply_adds < 1e14
    assert 1e-8 < machine.copy_seconds(1 << 20) < 1
    assert machine.copy_seconds(1 << 20) == machine.copy_seconds(1 << 20)
    assert "cores" in machine.name


def test_the_higher_limit_counts():
    machine = Machine(1)
    machine.multiply_adds = 1e9
    machine._copies = {800: 0.5}
    light = Problem((), np.zeros(1), 800, 100_000_000)
    heavy = Problem((), np.zeros(1), 800, 3_000_000_000)
    assert machine.limit(light) == (0.5, "memory")
    assert machine.limit(heavy) == (3.0, "arithmetic")
    assert machine.limit(Problem((), np.zeros(1), 800)) == (0.5, "memory")
