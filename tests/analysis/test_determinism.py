"""reproducible=True and atomics."""

import pytest

from kernelkit.frontend.builtins import atomic
from kernelkit.ir.nodes import Options

REPRODUCIBLE = Options(reproducible=True)


def sums(a, counts):
    atomic.add(a, 0, 1.0)
    atomic.sub(a, 1, 2.0)
    atomic.add(counts, 0, 1)


def test_sums_of_floats_are_refused(refused):
    error = refused(sums, counts="int32[1]", options=REPRODUCIBLE)
    assert [d.message.split(" rounds")[0] for d in error.diagnostics] == [
        "atomic.add on float32",
        "atomic.sub on float32",
    ]
    assert all("reproducible=True" in d.message for d in error.diagnostics)
    assert all("in a fixed order" in d.message for d in error.diagnostics)


def test_they_are_legal_otherwise(analysed):
    assert analysed(sums, counts="int32[1]").analysis.requirements.atomics


def others(a):
    atomic.max(a, 0, 1.0)
    atomic.nanmin(a, 0, 1.0)
    atomic.exch(a, 0, 1.0)
    atomic.cas(a, 0, 1.0, 2.0)


@pytest.mark.parametrize("options", [REPRODUCIBLE, Options()], ids=["reproducible", "free"])
def test_other_atomics_do_not_round(analysed, options):
    assert analysed(others, options=options).analysis.requirements.atomics
