"""The command: without a GPU it stops at once; with one, here a feigned one, it measures and writes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import kernelkit as kk
from kernelkit.bench import gpu
from kernelkit.bench.figures import Figure
from kernelkit.bench.gpu_rows import Row
from kernelkit.registry import DeviceRow

COMMAND = [sys.executable, "-m", "kernelkit.bench", "gpu"]
GPUS = [row for row in kk.devices() if row.usable and row.backend in gpu.SIDES]


@pytest.mark.skipif(bool(GPUS), reason=f"there is a GPU: {GPUS}")
def test_without_a_gpu_it_stops_and_says_why(tmp_path):
    figures = tmp_path / "figures.json"
    run = subprocess.run([*COMMAND, "--json", str(figures)], capture_output=True, text=True)
    assert run.returncode == 1
    lines = run.stderr.splitlines()
    assert [line.split(" cannot run here: ")[0] for line in lines] == [
        "kernelkit.bench gpu: cuda", "kernelkit.bench gpu: numba",
    ]  # fmt: skip
    assert all(len(line.split(" cannot run here: ")[1]) > 10 for line in lines)
    assert run.stdout == ""
    assert not figures.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--only", "juggle"], "juggle"), (["--backends", "cuda,cpu"], "cpu"), (["--fast"], "--fast")],
)
def test_a_wrong_command_line_is_refused(arguments, said, capsys):
    with pytest.raises(SystemExit) as exit:
        gpu.main(arguments)
    assert exit.value.code == 2
    assert said in capsys.readouterr().err


class FakeClock:
    name = "Abacus"

    def __init__(self, cupy):
        pass


@pytest.fixture
def one_gpu(monkeypatch):
    """`cuda` finds a device, `numba` does not; rows are made up."""
    found = [DeviceRow("cuda", 0, "Abacus", True), DeviceRow("numba", None, "", False, "no beads")]
    monkeypatch.setattr(kk, "devices", lambda: found)
    monkeypatch.setattr(gpu, "Clock", FakeClock)
    monkeypatch.setitem(sys.modules, "cupy", FakeClock)

    def rows(case, small, backends, clock, effort):
        for backend in backends:
            yield Row(case.name, case.title, backend, "by hand", speed=1.0, ours=1e-3, theirs=1e-3)

    monkeypatch.setattr(gpu, "rows", rows)
    monkeypatch.setattr(gpu, "launch_figures", lambda *_: [Figure("launch", 4.0, "us")])


def test_it_measures_and_writes(one_gpu, tmp_path, capsys):
    table, figures = tmp_path / "table.md", tmp_path / "figures.json"
    files = ["--json", str(figures), "--markdown", str(table)]
    assert gpu.main(["--backends", "cuda", *files]) == 0
    found = json.loads(figures.read_text())
    assert [row["name"] for row in found["rows"]] == gpu.NAMES[:-1]
    assert found["title"] == "cuda on Abacus"
    assert [figure["name"] for figure in found["figures"]] == ["launch"]
    assert table.read_text().count("by hand") == 8
    assert "by hand" in capsys.readouterr().out


def test_what_is_lacking_leaves_the_others_and_shows_in_the_status(one_gpu, capsys):
    assert gpu.main(["--only", "saxpy"]) == 1
    out, err = capsys.readouterr()
    assert err == "kernelkit.bench gpu: numba cannot run here: no beads\n"
    assert "saxpy" in out and "launch" not in out


def test_a_launch_that_fails_leaves_the_rows(one_gpu, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("out of order")

    monkeypatch.setattr(gpu, "launch_figures", fail)
    assert gpu.main(["--backends", "cuda", "--only", "saxpy", "launch"]) == 1
    out, err = capsys.readouterr()
    assert err == "kernelkit.bench gpu: cuda: RuntimeError: out of order\n"
    assert "saxpy" in out


def test_without_cupy_nothing_keeps_the_time(one_gpu, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert gpu.main(["--backends", "cuda"]) == 1
    assert "CuPy keeps the time, and cannot: " in capsys.readouterr().err


def test_a_clock_that_finds_no_gpu_is_one_line(one_gpu, monkeypatch, capsys):
    def fail(cupy):
        raise RuntimeError("no CUDA-capable device is detected")

    monkeypatch.setattr(gpu, "Clock", fail)
    assert gpu.main(["--backends", "cuda"]) == 1
    assert capsys.readouterr().err.endswith("cannot: no CUDA-capable device is detected\n")


def test_an_unknown_back_end_is_said(monkeypatch):
    monkeypatch.setattr(kk, "devices", list)
    assert gpu.unusable(["cuda"]) == {"cuda": "there is no such back end"}
