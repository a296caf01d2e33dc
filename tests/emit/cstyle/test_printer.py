"""Kernels as C text: what the text says of arrays, integers, loops and names.

What the text does is held against the reference by the conformance suite, on every device there is.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.analysis.pipeline import analyse
from kernelkit.analysis.shape import Shape
from kernelkit.emit.cstyle.dialect import CDialect
from kernelkit.emit.cstyle.printer import CSource, print_kernel
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir.nodes import Options
from kernelkit.ir.verify import verify
from kernelkit.runtime.arguments import read
from kernelkit_cuda.dialect import CUDA
from kernelkit_opencl.dialect import opencl

#: Without lines of the user's file.
PLAIN = replace(CUDA, lines=False)
OPENCL = opencl()


def printed(
    kernel: Any, *args: Any, block: Any = (64, 1, 1), dialect: CDialect = PLAIN, **options: bool
) -> CSource:
    reading = read(kernel.parameters, kernel.parameters.bind(args, {}))
    asked = Options(**({"noalias": True, "small": True} | options))
    parsed = verify(parse(read_source(kernel.__wrapped__), reading.types, asked).kernel)
    return print_kernel(analyse(parsed, Shape(block, 32, False)), dialect)


def body(source: CSource) -> str:
    """The kernel without what stands before it."""
    return source.text[source.text.index(source.metadata["name"]) :]


def ints(n: int = 8) -> np.ndarray:
    return np.zeros(n, np.int32)


# ---------------------------------------------------------------- arrays
@kk.kernel
def saxpy(a, x, y):
    i = kk.grid(1)
    if i < y.shape[0]:
        y[i] += a * x[i]


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def test_a_kernel_as_one_would_write_it() -> None:
    text = body(printed(saxpy, np.float32(2), floats(9), floats(9), block=(256, 1, 1)))
    assert text == (
        "k_saxpy(f32 v_a, const f32* __restrict__ a_x, f32* __restrict__ a_y, i32 a_y_n0) {\n"
        "    i32 v_i = 0;\n"
        "    v_i = (((i32)blockIdx.x * 256) + (i32)threadIdx.x);\n"
        "    if (v_i < a_y_n0) {\n"
        "        a_y[v_i] = (a_y[v_i] + (v_a * a_x[v_i]));\n"
        "    }\n"
        "}\n"
    )


def test_the_signature_says_how_to_call_it() -> None:
    source = printed(saxpy, np.float32(2), floats(9), floats(18)[::2])
    assert [(e["what"], e["type"], e["leaf"], e["axis"]) for e in source.metadata["signature"]] == [
        ("value", "f32", 0, 0),
        ("pointer", "u64", 1, 0),
        ("pointer", "u64", 2, 0),
        ("extent", "i32", 2, 0),
    ]  # a step of 2 is part of the type
    source = printed(saxpy, np.float32(2), floats(9), floats(90)[::10])
    assert [e["what"] for e in source.metadata["signature"]][-2:] == ["extent", "stride"]


def test_buffers_come_with_offsets() -> None:
    source = printed(saxpy, np.float32(2), floats(9), floats(9), dialect=OPENCL)
    assert "a_x = (__global const f32*)(a_x_buffer + a_x_offset);" in source.text
    assert [e["what"] for e in source.metadata["signature"]] == [
        "value", "pointer", "offset", "pointer", "offset", "extent",
    ]  # fmt: skip


def test_arrays_that_may_overlap() -> None:
    text = body(printed(saxpy, np.float32(2), floats(9), floats(9), noalias=False))
    assert "__restrict__" not in text
    assert "const f32* a_x" in text


def test_large_arrays_are_indexed_in_64_bits() -> None:
    source = printed(saxpy, np.float32(2), floats(9), floats(9), small=False)
    assert "i64 a_y_n0" in source.text
    assert "i64 v_i = 0" in body(source)


@kk.kernel
def kinds(flags, halves, out):
    row = halves[kk.threadIdx.x]
    out[0, 1] = row[2] if flags[3] else out[1, 0]


def test_elements_as_they_lie_in_memory() -> None:
    source = printed(kinds, np.zeros(4, bool), np.zeros((8, 4), np.float16), np.zeros((2, 2)))
    text = body(source)
    assert "const u8* __restrict__ a_flags, const u16* __restrict__ a_halves" in text
    assert "a_row = &a_halves[((i32)threadIdx.x * a_halves_n1)];" in text
    assert "a_flags[3] != 0" in text


# ---------------------------------------------------------------- indices
@kk.kernel
def behind(a, out, k):
    i = kk.threadIdx.x
    out[i] = a[i - 1] + a[k] + a[i + 1]


def test_only_what_may_be_negative_wraps() -> None:
    text = body(printed(behind, ints(), ints(), 3))
    assert text.count("kk_wrap_i32(") == 2
    assert "kk_wrap_i32((v_i - 1), a_a_n0)" in text
    assert "kk_wrap_i32(v_k, a_a_n0)" in text


@kk.kernel(wraparound=False)
def unwrapped(a, out, k):
    out[k] = a[k - 1]


def test_no_index_wraps_where_none_should() -> None:
    assert "kk_wrap" not in printed(unwrapped, ints(), ints(), 3, wraparound=False).text


# ---------------------------------------------------------------- loops
@kk.kernel
def loops(out, n, by):
    for k in range(4):
        out[k] = 1
    for m in range(0, 1000):
        out[m % 8] = 2
    for j in range(n, 0, by):
        out[j % 8] = 3


def test_short_loops_are_unrolled() -> None:
    lines = body(printed(loops, ints(), 5, -1)).splitlines()
    unrolled = [lines[n + 1] for n, line in enumerate(lines) if "#pragma unroll" in line]
    assert len(unrolled) == 1
    assert "< 4;" in unrolled[0]


def test_a_counter_never_steps_over_the_end() -> None:
    text = body(printed(loops, ints(), 5, -1, small=False))
    last = [line for line in text.splitlines() if "for (" in line][-1]
    assert "(u64)" in last  # how far it is yet, without overflow


# ---------------------------------------------------------------- shared memory
@kk.kernel
def sharing(out):
    a = kk.shared.array((70, 100), np.float64)
    b = kk.shared.array(0, np.float32)
    a[0, kk.threadIdx.x] = b[1]
    kk.syncthreads()
    out[0] = a[0, 1] + b.size


def test_more_shared_memory_than_static_arrays_may_have() -> None:
    metadata = printed(sharing, np.zeros(1)).metadata
    assert (metadata["carved"], metadata["static_shared"]) == (56000, 0)
    assert metadata["dynamic_shared"]
    text = printed(sharing, np.zeros(1)).text
    assert "(f32*)(kk_dynamic + 56000)" in text
    roomy = printed(sharing, np.zeros(1), dialect=OPENCL)
    assert "__local f64 a_a[7000];" in roomy.text
    assert roomy.metadata["static_shared"] == 56000


# ---------------------------------------------------------------- behind a fault
@kk.kernel
def through_a_view(a, out, n):
    row = a[n]
    out[0] = row[1]


def test_nothing_is_touched_behind_a_fault_where_threads_stay() -> None:
    """The view may have no start then."""
    args = (np.zeros((4, 4), np.float32), floats(4), 50)
    loads = [
        line
        for line in body(printed(through_a_view, *args, dialect=OPENCL, debug=True)).splitlines()
        if "a_row[" in line or "a_out[" in line
    ]
    assert len(loads) == 2
    assert all("!kk_fault" in line for line in loads)
    leaving = body(printed(through_a_view, *args, debug=True))
    assert "!kk_fault" not in leaving
    assert "if (kk_fault) return;" in leaving


# ---------------------------------------------------------------- names and lines
@kk.kernel
def names(int_, größe, register):
    volatile = int_[0]
    for while_ in range(größe):
        volatile += while_
    register[0] = volatile


def test_names_of_users_are_no_words_of_c() -> None:
    text = body(printed(names, ints(), 3, ints()))
    assert "v_volatile" in text
    assert text.isascii()


def test_lines_are_those_of_the_users_file() -> None:
    text = printed(saxpy, np.float32(2), floats(9), floats(9), dialect=CUDA).text
    first = read_source(saxpy.__wrapped__).def_span.line
    assert re.findall(r'#line (\d+) "(.*)"', text) == [
        (str(first + n), __file__) for n in (1, 2, 3)
    ]


DEEP = f"""
@kk.kernel
def deep(out, x):
    y = x
    for _ in range(2):
        y = {"(" * 60}y{" * x + y)" * 60}
    out[0] = y
"""


def test_deep_expressions_are_cut(tmp_path: Path) -> None:
    file = tmp_path / "deep_expressions.py"
    file.write_text("import kernelkit as kk\n" + DEEP)
    module = runpy.run_path(str(file))
    text = body(printed(module["deep"], np.zeros(1), 1.5))
    deepest = depth = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        deepest = max(deepest, depth)
    assert "kk_cut0" in text
    assert deepest < 60


def test_equal_kernels_give_equal_text() -> None:
    """Whatever order sets have in a process."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import numpy as np; import test_printer as t;"
        "print(t.printed(t.sharing, np.zeros(1), debug=True).text)"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program, os.path.dirname(__file__)],
            capture_output=True, text=True, check=True, env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in "123"
    }  # fmt: skip
    assert len(texts) == 1
    assert "a_b" in texts.pop()


@pytest.mark.parametrize("dialect", [PLAIN, OPENCL], ids=lambda d: d.name)
def test_no_double_where_the_user_has_none(dialect: CDialect) -> None:
    text = printed(saxpy, np.float32(2), floats(9), floats(9), dialect=dialect).text
    assert "double" not in text
