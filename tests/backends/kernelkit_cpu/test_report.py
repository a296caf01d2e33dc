"""The report: what stands in the margin of each line, and what would make it faster."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
import kernelkit_cpu
from kernelkit.analysis.shape import Shape
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit_cpu.report import KINDS, Notes, report

Typed = Callable[..., tuple[ir.Kernel, Sequence[Any]]]
SHAPE = Shape((64, 8, 1), 16)


@kk.kernel
def turned(src, dst):
    x, y = kk.grid(2)

    if x < dst.shape[1] and y < dst.shape[0]:
        dst[y, x] = src[x, y] + src[0, 0]


@pytest.fixture(scope="module")
def kernel(typed: Typed) -> ir.Kernel:
    image = np.zeros((4, 4), np.float32)
    return typed(turned, (4, 64), image, image.copy())[0]


@pytest.fixture(scope="module")
def store(kernel: ir.Kernel) -> Span:
    """Where the only store is."""
    return next(s.span for s in ir.walk(kernel.body) if isinstance(s, ir.Store))


def part(span: Span, column: int) -> Span:
    return Span(span.file, span.line, column, span.line, column + 5)


def body(text: str) -> list[str]:
    """The report without its headline and the name of the file."""
    return text.splitlines()[3:]


def test_a_report(kernel: ir.Kernel, store: Span) -> None:
    notes = Notes()
    notes.note(part(store, 20), "gather", "src (stride 16 bytes)")
    notes.note(part(store, 32), "uniform", "src")
    notes.note(store, "contiguous", "dst")
    first = kernel.span.line
    assert report(kernel, SHAPE, (4, 64, 1), notes).splitlines() == [
        "turned: 16 threads in a vector, blocks of 64 x 8 in place of 4 x 64, which nothing in the "
        "kernel can tell",
        "",
        __file__,
        f"                             {first}  def turned(src, dst):",
        f"                             {first + 1}      x, y = kk.grid(2)",
        f"                             {first + 2}",
        f"                             {first + 3}      if x < dst.shape[1] and y < dst.shape[0]:",
        f"gather, contiguous, uniform  {first + 4}          dst[y, x] = src[x, y] + src[0, 0]",
        "",
        "What costs time:",
        f"  {first + 4}  gather src (stride 16 bytes): {KINDS['gather']}.",
    ]


def test_a_quick_kernel_gets_no_advice(kernel: ir.Kernel, store: Span) -> None:
    notes = Notes()
    notes.note(store, "contiguous", "dst")
    notes.note(store, "contiguous", "dst")
    text = report(kernel, SHAPE, SHAPE.block, notes)
    assert text.startswith("turned: 16 threads in a vector, blocks of 64 x 8\n")
    assert body(text)[-1].startswith("contiguous  ")
    assert "What costs time" not in text


@pytest.mark.parametrize(
    ("block", "shown"), [((1, 1, 1), "1"), ((64, 1, 1), "64"), ((8, 1, 4), "8 x 1 x 4")]
)
def test_blocks_are_shown_without_idle_axes(
    kernel: ir.Kernel, block: tuple[int, int, int], shown: str
) -> None:
    assert f"blocks of {shown}\n" in report(kernel, Shape(block, 16), block, Notes())


def test_a_quick_way_beside_a_slow_one_is_a_test(kernel: ir.Kernel, store: Span) -> None:
    notes = Notes()
    notes.note(store, "contiguous", "dst")
    notes.note(store, "scatter", "dst")
    notes.note(part(store, 20), "run-time tested", "src")
    notes.note(part(store, 20), "gather", "src")
    margin = body(report(kernel, SHAPE, SHAPE.block, notes))[4]
    assert margin.startswith("run-time tested  ")
    assert "gather" not in margin


def test_other_accesses_of_a_line_stay_what_they_are(kernel: ir.Kernel, store: Span) -> None:
    notes = Notes()
    notes.note(store, "contiguous", "dst")
    notes.note(part(store, 20), "gather", "src")
    assert body(report(kernel, SHAPE, SHAPE.block, notes))[4].startswith("gather, contiguous  ")


def test_cold_notes_show_only_where_there_are_no_others(kernel: ir.Kernel, store: Span) -> None:
    notes = Notes()
    condition = next(s for s in ir.walk(kernel.body) if isinstance(s, ir.If)).span
    notes.note(store, "contiguous", "dst")
    with notes.cold():
        with notes.cold(False):
            notes.note(store, "scatter", "dst")
        notes.note(condition, "masked")
    notes.note(part(store, 20), "uniform", "src")
    lines = body(report(kernel, SHAPE, SHAPE.block, notes))
    assert lines[3].startswith("masked               ")
    assert lines[4].startswith("contiguous, uniform  ")


def test_names_are_the_users(kernel: ir.Kernel, store: Span) -> None:
    notes = Notes()
    notes.note(store, "gather", "blur.1.row (stride 8 bytes)")
    notes.note(store, "spilled", "pair.0")
    notes.note(store, "masked")
    text = report(kernel, SHAPE, SHAPE.block, notes)
    assert "gather row of blur (stride 8 bytes): " in text
    assert "spilled across a barrier pair[0]: " in text
    assert "masked: " in text


def test_functions_of_other_files(kernel: ir.Kernel, store: Span, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text("def f(a, i):\n    j = i\n\n    return a[i]\n")
    notes = Notes()
    notes.note(store, "contiguous", "dst")
    notes.note(Span(str(other), 4, 11, 4, 15), "gather", "f.1.a")
    notes.note(Span(str(other), 2, 4, 2, 9), "uniform", "f.1.a")
    lines = report(kernel, SHAPE, SHAPE.block, notes).splitlines()
    start = lines.index(str(other))
    assert lines[start + 1 : start + 4] == [
        "uniform  2      j = i",
        "...",
        "gather   4      return a[i]",
    ]
    assert f"What costs time in {other}:" in lines


def test_a_source_that_is_gone(typed: Typed) -> None:
    gone = Span("<gone>", 7, 0, 7, 4)
    kernel = ir.Kernel("gone", (), (), gone, ir.Options())
    notes = Notes()
    notes.note(Span("<gone>", 9, 4, 9, 8), "uniform", "a")
    lines = report(kernel, SHAPE, SHAPE.block, notes).splitlines()
    assert lines[2:] == ["<gone>", "         7", "...", "uniform  9"]


def kinds_noted(path: Path) -> set[str]:
    """The kinds in a file's calls of `notes.note(span, kind, ...)`."""
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    return {
        call.args[1].value
        for call in calls
        if ast.unparse(call.func).endswith("notes.note") and isinstance(call.args[1], ast.Constant)
    }


def test_what_the_emitter_notes_is_known() -> None:
    folder = Path(kernelkit_cpu.__file__).parent
    noted = set[str]().union(*map(kinds_noted, folder.glob("*.py")))
    assert {"gather", "contiguous"} <= noted <= set(KINDS)


# ---------------------------------------------------------------- what the emitter notes
@kk.kernel
def everything(src, dst, where):
    shared = kk.shared.array(64, np.float32)
    i = kk.grid(1)
    kept = src[i]
    shared[kk.threadIdx.x] = kept
    kk.syncthreads()
    if i < dst.size:
        dst[i] = kept + shared[63 - kk.threadIdx.x]
    if kept > 0:
        dst[2 * i + 1] = src[where[i]] + src[0] * src[3 * i]
    kk.atomic.add(dst, where[i], kept)
    kk.atomic.add(dst, 0, 1)


def test_what_becomes_of_each_line() -> None:
    data = np.zeros(64, np.float32)
    text = everything.inspect(
        data, data.copy(), np.zeros(64, np.int64), block=64, backend="cpu", what="report"
    )
    lines = re.findall(r"^(.*?) +\d+  +(.*)$", text.split("What costs time:")[0], re.MULTILINE)
    margins = {code: margin.strip() for margin, code in lines}
    assert {
        "kept = src[i]": "spilled across a barrier, contiguous",
        "shared[kk.threadIdx.x] = kept": "contiguous",
        "if i < dst.size:": "",
        "dst[i] = kept + shared[63 - kk.threadIdx.x]": "contiguous",
        "if kept > 0:": "masked",
        "dst[2 * i + 1] = src[where[i]] + src[0] * src[3 * i]": "gather, scatter, strided, contiguous, uniform",
        "kk.atomic.add(dst, where[i], kept)": "scalarised, contiguous",
        "kk.atomic.add(dst, 0, 1)": "reduced",
    }.items() <= margins.items()
