"""All passes together."""

import dataclasses

import pytest

from kernelkit.analysis.pipeline import CHECKS, PASSES, Analysis, analyse
from kernelkit.analysis.shape import Shape
from kernelkit.errors import CompileError
from kernelkit.frontend.builtins import atomic, syncthreads, threadIdx
from kernelkit.ir.nodes import Options


def fine(a, n):
    a[threadIdx.x] = n


def wrong(a, n):
    atomic.add(a, 0, 1.0)
    if threadIdx.x < n:
        syncthreads()
    atomic.add(a, 0, 1.0)


def test_an_analysis_holds_what_each_pass_found(parsed):
    kernel, shape = parsed(fine), Shape((32, 1, 1), 8)
    found = analyse(kernel, shape)
    assert found.kernel is kernel
    assert found.shape is shape
    names = [f.name for f in dataclasses.fields(Analysis)]
    assert names == ["kernel", "shape", *(name for name, _ in PASSES)]
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.shape = Shape((1, 1, 1))


def test_the_findings_of_all_checks_come_in_one_error_in_source_order(parsed):
    with pytest.raises(CompileError) as caught:
        analyse(parsed(wrong, Options(reproducible=True)), Shape((32, 1, 1)))
    messages = [d.message.split()[0] for d in caught.value.diagnostics]
    assert messages == ["atomic.add", "`syncthreads`", "atomic.add"]
    assert len(CHECKS) == 2


def test_an_analysis_is_repeatable(parsed):
    kernel = parsed(fine)
    one, two = (analyse(kernel, Shape((32, 1, 1), 8)) for _ in range(2))
    assert [str(k) for k in one.variability.kinds.values()] == [
        str(k) for k in two.variability.kinds.values()
    ]
    assert one.memory == two.memory
