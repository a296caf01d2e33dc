"""A kernel in the tools that know Python: pdb, breakpoint(), coverage, tracebacks."""

from __future__ import annotations

import importlib.util
import io
import os
import pdb
import subprocess
import sys
import textwrap
import traceback

import coverage
import numpy as np
import pytest

from kernelkit import errors
from kernelkit.frontend.builtins import blockDim, blockIdx, shared, syncthreads, threadIdx

SCALE = 3


def stopped(dst, n):
    i = threadIdx.x + blockIdx.x * blockDim.x
    doubled = i * 2
    if i == 5:
        breakpoint()
    dst[i] = doubled + n


#: Where breakpoint() stops: since Python 3.13 at its own line, before that at the next one.
AT_BREAKPOINT = "breakpoint()" if sys.version_info >= (3, 13) else None


def stopped_between_barriers(src, dst):
    tile = shared.array(4, np.float32)
    i = threadIdx.x
    tile[i] = src[i]
    if i == 1:
        breakpoint()
    syncthreads()
    turned = tile[3 - i]
    dst[i] = turned


@pytest.fixture
def debugger(monkeypatch):
    """debugger(commands) -> the text that pdb writes when breakpoint() starts it with these."""

    def prepare(*commands):
        written = io.StringIO()

        def hook():
            session = pdb.Pdb(
                stdin=io.StringIO("\n".join(commands) + "\n"), stdout=written, nosigint=True,
                readrc=False,
            )  # fmt: skip
            session.set_trace(sys._getframe(1))

        monkeypatch.setattr(sys, "breakpointhook", hook)
        return written

    before = sys.gettrace()
    yield prepare
    sys.settrace(before)


def test_breakpoint_stops_in_the_users_source(launch, debugger):
    written = debugger("p i, doubled, n", "p threadIdx, blockIdx.x, blockDim.x", "p dst", "c")
    dst = np.zeros(8, np.int64)
    launch(stopped, 2, 4, dst, 10)
    text = written.getvalue()
    assert f"> {__file__}(" in text
    assert f")stopped()\n-> {AT_BREAKPOINT or 'dst[i] = doubled + n'}\n" in text
    assert "(5, 10, 10)\n" in text
    assert "((1, 0, 0), 1, 4)\n" in text
    assert "array([10, 12, 14, 16, 18,  0,  0,  0])\n" in text
    assert dst.tolist() == [10, 12, 14, 16, 18, 20, 22, 24]


def test_next_steps_over_a_barrier_within_the_thread(launch, debugger):
    steps = ["n"] * (2 if AT_BREAKPOINT is None else 3)
    written = debugger("p i, tile", *steps, "p turned, src[2]", "c")
    src, dst = np.arange(4, dtype=np.float32), np.zeros(4, np.float32)
    launch(stopped_between_barriers, 1, 4, src, dst)
    text = written.getvalue()
    arrows = [line[3:].strip() for line in text.splitlines() if line.startswith("-> ")]
    expected = ["syncthreads()", "turned = tile[3 - i]", "dst[i] = turned"]
    assert arrows == [AT_BREAKPOINT][: AT_BREAKPOINT is not None] + expected
    assert "(1, array([ 0.,  1., nan, nan], dtype=float32))" in text
    assert "(np.float32(2.0), np.float32(2.0))" in text
    assert dst.tolist() == [3, 2, 1, 0]


def test_quitting_the_debugger_leaves_everything_usable(launch, debugger):
    import bdb

    debugger("q")
    dst = np.zeros(4, np.float32)
    with pytest.raises(bdb.BdbQuit):
        launch(stopped_between_barriers, 1, 4, np.ones(4, np.float32), dst)
    sys.settrace(None)
    debugger("c")
    launch(stopped_between_barriers, 1, 4, np.ones(4, np.float32), dst)
    assert dst.tolist() == [1, 1, 1, 1]


def test_names_and_modules_of_the_users_module_are_there(launch, debugger):
    written = debugger("p SCALE * n, np.sum(dst)", "c")
    launch(stopped, 2, 4, np.zeros(8, np.int64), 10)
    assert "(30, np.int64(70))" in written.getvalue() or "(30, 70)" in written.getvalue()


SCRIPT = """
import kernelkit as kk
import numpy as np
from kernelkit import threadIdx


@kk.kernel
def square(dst):
    i = threadIdx.x
    kk.syncthreads()
    dst[i] = i * i


dst = np.zeros(3, np.int64)
square.on("python")[1, 3](dst)
print("result", dst.tolist())
"""


def test_pdb_from_the_command_line_stops_at_a_line(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    line = SCRIPT.splitlines().index("    dst[i] = i * i") + 1
    commands = [f"b {line}", "c", "p 'in', i", "c", "p 'in', i", "cl 1", "c", "q"]
    done = subprocess.run(
        [sys.executable, "-m", "pdb", str(script)], input="\n".join(commands) + "\n",
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )  # fmt: skip
    assert "('in', 0)" in done.stdout, done.stdout + done.stderr
    assert "('in', 1)" in done.stdout
    assert "-> dst[i] = i * i" in done.stdout
    assert "result [0, 1, 4]" in done.stdout


COVERED = """
from kernelkit.frontend.builtins import syncthreads, threadIdx


def kernel(src, dst, n):
    i = threadIdx.x
    total = 0.0
    for k in range(n):
        if src[k] < 0:
            total -= src[k]
        elif src[k] > 100:
            total = 0.0
        else:
            total += src[k]
    syncthreads()
    if i > 1000:
        return
    dst[i] = total
"""


def test_coverage_counts_the_lines_that_ran(launch, tmp_path):
    file = tmp_path / "covered_kernel.py"
    file.write_text(COVERED)
    measure = coverage.Coverage(data_file=None, include=[str(file)], config_file=False)
    measure.start()
    try:
        spec = importlib.util.spec_from_file_location("covered_kernel", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        launch(module.kernel, 1, 2, np.array([1.0, -2.0]), np.zeros(2), 2)
    finally:
        measure.stop()
    _, statements, _, absent, _ = measure.analysis2(str(file))
    lines = COVERED.splitlines()
    missed = [lines[n - 1].strip() for n in absent]
    # The front end folds constants into what reads them; what it printed and did not run is missed.
    assert "return" in missed
    assert [text for text in missed if text != "total = 0.0"] == ["return"]
    assert len(statements) >= 13


def test_lines_of_an_inlined_function_of_the_same_file(launch):
    with pytest.raises(errors.OutOfBoundsError) as raised:
        launch(calls, 1, 4, np.zeros(3))
    frame = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert frame.line == "return data[i] + 1"


def beyond(data, i):
    return data[i] + 1


def calls(data):
    data[0] = beyond(data, threadIdx.x)


def test_an_inlined_function_of_another_file_stands_at_its_call(launch, tmp_path):
    file = tmp_path / "elsewhere.py"
    file.write_text(
        textwrap.dedent("""
        def fetch(data, i):
            # \N{GREEK SMALL LETTER PI}
            "π"; found = data[i]
            return found
    """)
    )
    spec = importlib.util.spec_from_file_location("elsewhere", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fetch = module.fetch

    def kernel(data):
        data[0] = 1
        data[1] = fetch(data, 7)

    with pytest.raises(errors.OutOfBoundsError) as raised:
        launch(kernel, 1, 1, np.zeros(3))
    assert raised.value.span.file == str(file)
    assert raised.value.span.excerpt().endswith("^^^^^^^")
    frame = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert frame.filename == __file__
    assert frame.line.startswith("data[")
