"""The table's kernels are right, at awkward sizes, on every back end that works on the host."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.bench.cpu_cases import CASES, load
from kernelkit.bench.cpu_problems import Problem

HOSTS = [row.backend for row in kk.devices() if row.usable and row.backend in ("cpu", "python")]
SIZES = [(case, size) for case in CASES for size in case.small]


@pytest.mark.parametrize("backend", HOSTS)
@pytest.mark.parametrize(
    ("case", "size"), SIZES, ids=[f"{case.name}-{'x'.join(map(str, size))}" for case, size in SIZES]
)
def test_our_kernels_are_right(case, size, backend):
    problem = case.problem(*size)
    runner = load(case.contender)[0](*problem.inputs)
    with kk.use(backend):
        runner.run()
    problem.check(runner.result())


def test_names_of_cases_are_unique():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_rivals_solve_what_the_table_says(case):
    """Rivals that need nothing but what kernelkit needs are right as well; with kernels of ours
    among them, on the reference."""
    ours_or_numpy = [r for r in case.rivals if r.contender.startswith(("cpu_l", "cpu_numpy"))]
    for rival, size in itertools.product(ours_or_numpy, case.small[:1]):
        problem = (rival.problem or case.problem)(*size)
        runner = load(rival.contender)[0](*problem.inputs)
        with kk.use("python"):
            runner.run()
        problem.check(runner.result())


def test_a_wrong_result_is_noticed():
    problem = Problem((), np.arange(4.0), 0)
    problem.check(np.arange(4, dtype=np.float32))
    with pytest.raises(AssertionError, match=r"25.000%.*first at \(2,\): 5.0, not 2.0"):
        problem.check(np.array([0, 1, 5, 3], np.float32))
    with pytest.raises(AssertionError, match=r"\(3,\), not \(4,\)"):
        problem.check(np.arange(3, dtype=np.float32))
    with pytest.raises(AssertionError, match="nan"):
        problem.check(np.full(4, np.nan))


def test_a_share_of_the_result_may_differ():
    problem = Problem((), np.arange(100), 0, share=0.98)
    near = np.arange(100)
    near[[3, 50]] += 1
    problem.check(near)
    near[70] += 1
    with pytest.raises(AssertionError, match="3.000%"):
        problem.check(near)
