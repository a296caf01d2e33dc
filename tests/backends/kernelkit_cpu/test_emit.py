"""The module of a kernel: what its metadata says, how its entry reads the record, and when it has a
version for the blocks at the border."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import local, shared, syncthreads
from kernelkit.analysis.pipeline import analyse
from kernelkit.analysis.shape import Block
from kernelkit.backend import Artifact
from kernelkit.ir.nodes import Kernel
from kernelkit_cpu import emit as emission
from kernelkit_cpu import record
from kernelkit_cpu.emit import emit
from kernelkit_cpu.llvm import assembly
from kernelkit_cpu.shape import choose_shape
from kernelkit_cpu.storage import STACK
from kernelkit_cpu.targets import CpuTarget

Typed = Callable[..., tuple[Kernel, Sequence[Any]]]
Emit = Callable[..., Artifact]
AVX2 = CpuTarget.parse("avx2")


@pytest.fixture
def emitted(typed: Typed) -> Emit:
    """emitted(kernel, block, *args): its module for AVX2, which LLVM accepts."""

    def run(kernel: Any, block: Block, *args: Any) -> Artifact:
        ir = typed(kernel, block, *args)[0]
        artifact = emit(analyse(ir, choose_shape(ir, block, AVX2)), AVX2)
        assert assembly(artifact.text, AVX2, 1)
        assert json.loads(json.dumps(artifact.metadata)) == artifact.metadata
        return artifact

    return run


def functions(artifact: Artifact) -> list[str]:
    return re.findall(r"^define [^@]*@([\w.]+)\(", artifact.text, re.MULTILINE)


IMAGE = np.zeros((20, 30), np.float32)


@kk.kernel
def copied(src, factor, z, flag, out):
    x, y = kk.grid(2)
    if x < out.shape[1] and y < out.shape[0]:
        out[y, x] = src[y, x] * factor + (z.real if flag else z.imag)


def test_metadata(emitted: Emit) -> None:
    made = emitted(copied, (16, 8, 1), IMAGE, np.float32(2), 1 + 2j, True, IMAGE.copy())
    found = made.metadata
    assert found["entry"] == "kernel"
    assert found["parameters"] == [
        {"kind": "array", "ndim": 2},
        {"kind": "scalar", "dtype": "float32"},
        {"kind": "scalar", "dtype": "complex128"},
        {"kind": "scalar", "dtype": "bool"},
        {"kind": "array", "ndim": 2},
    ]
    assert found["user_block"] == [16, 8, 1]
    threads = np.prod(found["block"])
    assert found["reblocked"] == (found["block"] != [16, 8, 1])
    assert found["reblocked"] or threads == 128
    assert sorted(found["axes"]) == [0, 1, 2]
    assert found["scratch"] == 0
    assert not found["dynamic_in_scratch"]
    assert found["sites"] == []
    assert not found["prints"]
    assert found["lanes"] in (4, 8)


def test_the_entry_reads_each_word_of_the_record(emitted: Emit) -> None:
    """An array is an address, its extents and its strides; a complex number two words."""
    made = emitted(copied, (16, 8, 1), IMAGE, np.float32(2), 1 + 2j, True, IMAGE.copy())
    entry = made.text[made.text.index("define void @kernel(") :]
    entry = entry[: entry.index("\n}")]
    words = [int(w) for w in re.findall(r"getelementptr i64, ptr %record, i64 (\d+)", entry)]
    assert len(words) == len(set(words))
    first = record.PARAMETERS
    assert sorted(w for w in words if w >= first) == list(range(first, first + 5 + 1 + 2 + 1 + 5))
    launch = {record.SCRATCH, record.SCRATCH_BYTES, record.BLOCKS, record.BLOCKS + 1}
    launch |= {record.GRID, record.GRID + 1, record.GRID + 2, record.DYNAMIC_BYTES}
    assert {w for w in words if w < first} == launch


# ---------------------------------------------------------------- versions
@kk.kernel
def blurred(src, out):
    x, y = kk.grid(2)
    if x < out.shape[1] and y < out.shape[0]:
        total = np.float32(0)
        for d in range(-1, 2):
            total += src[min(max(y + d, 0), src.shape[0] - 1), x]
        out[y, x] = total


@kk.kernel(debug=True)
def blurred_with_checks(src, out):
    x, y = kk.grid(2)
    if x < out.shape[1] and y < out.shape[0]:
        total = np.float32(0)
        for d in range(-1, 2):
            total += src[min(max(y + d, 0), src.shape[0] - 1), x]
        out[y, x] = total


@kk.kernel
def gathered(src, places, out):
    i = kk.threadIdx.x
    out[i] = src[places[i]]


def test_a_version_for_the_border(emitted: Emit) -> None:
    made = emitted(blurred, (16, 8, 1), IMAGE, IMAGE.copy())
    assert functions(made)[-1] == "kernel"
    assert {"blocks", "border"} <= set(functions(made))
    assert "call void @border(" in made.text
    blocks = made.text[made.text.index("@blocks(") :].split("\n}")[0]
    border = made.text[made.text.index("define internal void @border(") :].split("\n}")[0]
    assert "llvm.masked" not in blocks
    assert "llvm.masked" in border
    assert " cold " in border.split("\n")[0]


def test_one_version_where_nothing_is_gained(emitted: Emit) -> None:
    places = np.zeros(32, np.int64)
    assert "border" not in functions(emitted(gathered, (32, 1, 1), places, places, places.copy()))
    checked = emitted(blurred_with_checks, (16, 8, 1), IMAGE, IMAGE.copy())
    assert "border" not in functions(checked)
    assert len(checked.metadata["sites"]) > 0


# ---------------------------------------------------------------- memory and messages
@kk.kernel
def much(out):
    i = kk.threadIdx.x
    tile = shared.array(10000, np.float32)
    mine = local.array(500, np.float32)
    mine[0] = i
    tile[i] = i
    syncthreads()
    out[0, i] = mine[i % 5] + tile[i]


@kk.kernel
def sized(out):
    tile = shared.array(0, np.float32)
    tile[kk.threadIdx.x] = 1
    syncthreads()
    out[0, 0] = tile[3]


@kk.kernel(debug=True)
def told(out):
    print("value", out[0, 0])
    assert out[0, 1] < 3, "too much"


def test_scratch_memory(emitted: Emit) -> None:
    made = emitted(much, (64, 1, 1), IMAGE.copy())
    assert made.metadata["scratch"] >= 64 * 500 * 4 > 0
    assert made.metadata["scratch"] + STACK >= 64 * 500 * 4 + 10000 * 4
    assert not made.metadata["dynamic_in_scratch"]


def test_dynamic_shared_memory_lies_behind_the_rest(emitted: Emit) -> None:
    made = emitted(sized, (64, 1, 1), IMAGE.copy())
    assert made.metadata["dynamic_in_scratch"]
    assert made.metadata["scratch"] % 64 == 0


def test_sites_of_messages(emitted: Emit) -> None:
    made = emitted(told, (64, 1, 1), IMAGE.copy())
    assert made.metadata["prints"]
    kinds = [site["kind"] for site in made.metadata["sites"]]
    assert kinds.count("print") == 1
    assert len(kinds) > 1


def test_promises_about_overlap_reach_llvm(emitted: Emit, typed: Typed) -> None:
    """Only where the launch has looked that arrays do not overlap."""
    ir = typed(blurred, (16, 8, 1), IMAGE, IMAGE.copy())[0]
    made = emitted(blurred, (16, 8, 1), IMAGE, IMAGE.copy())
    assert ("ptr noalias %a0" in made.text) == ir.options.noalias


def test_an_analysis_that_is_given_is_used(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a kernel is written as it stands it is not analysed again."""
    ir = typed(much, (64, 1, 1), IMAGE.copy())[0]
    analysis = analyse(ir, choose_shape(ir, (64, 1, 1), AVX2))
    expected = emit(analysis, AVX2)

    def refuse(*_: Any) -> Any:
        raise AssertionError("analysed again")

    monkeypatch.setattr(emission, "analyse", refuse)
    assert emit(analysis, AVX2) == expected
