"""The command, as people run it, on the reference back end and tiny sizes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from kernelkit.bench import cpu
from kernelkit.bench.cpu_costs import Cost, cached_launch, cold_launch, warm_launch

COMMAND = [sys.executable, "-m", "kernelkit.bench", "cpu"]
TINY = ["--backend", "python", "--small", "--quick"]


def test_the_command_measures_and_writes(tmp_path):
    """Every peer that is installed takes part and is right; the others are said to be missing."""
    table, figures = tmp_path / "table.md", tmp_path / "figures.json"
    wanted = ["correlate", "histogram", "launch"]
    files = ["--json", str(figures), "--markdown", str(table)]
    run = subprocess.run(
        [*COMMAND, *TINY, "--only", *wanted, *files], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "OpenCV filter2D" in run.stdout
    found = json.loads(figures.read_text())
    assert {row["name"] for row in found["rows"]} == set(wanted) - {"launch"}
    for row in found["rows"]:
        assert row["pairs"] >= 3 or row["trouble"].startswith("not installed"), row
    assert [figure["name"] for figure in found["figures"]] == ["warm launch of one block"]
    assert table.read_text().count("\n| --- |") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--only", "juggle"], "juggle"), (["--threads", "many"], "many"), (["--fast"], "--fast")],
)
def test_a_wrong_command_line_is_refused(arguments, said, capsys):
    with pytest.raises(SystemExit) as exit:
        cpu.main(arguments)
    assert exit.value.code == 2
    assert said in capsys.readouterr().err


def test_costs_are_measured(monkeypatch):
    monkeypatch.setattr("kernelkit.bench.cpu_costs.PROCESSES", 1)
    monkeypatch.setattr("kernelkit.bench.cpu_costs.LAUNCHES", 3)
    monkeypatch.setenv("KERNELKIT_BACKEND", "python")
    assert warm_launch("python") > 0
    assert cold_launch("python") > 0
    assert cached_launch("python") > 0


@pytest.fixture
def threads(monkeypatch):
    """How many threads were asked for, without a trace in this process."""
    asked = []
    monkeypatch.setattr(cpu, "use_threads", asked.append)
    return asked


def test_a_back_end_that_is_not_there_is_one_line(capsys, threads):
    assert cpu.main(["--backend", "abacus", "--only", "saxpy"]) == 1
    assert capsys.readouterr().err.startswith("kernelkit.bench: there is no back end 'abacus'")


def test_a_cost_that_cannot_be_measured_leaves_the_others(monkeypatch, capsys, threads):
    def fail(backend):
        raise RuntimeError("out of order")

    broken = Cost("launch", "a launch", fail, "us", 8)
    monkeypatch.setattr(cpu, "COSTS", (broken, Cost("import", "an import", lambda _: 1, "ms", 2)))
    assert cpu.main(["--backend", "python", "--only", "launch", "import"]) == 1
    out, err = capsys.readouterr()
    assert err == "a launch: RuntimeError: out of order\n"
    assert "an import" in out
    assert threads == [2]
