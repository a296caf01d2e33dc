"""The script for GPUs: it stops at once where there is none, and keeps its parts apart."""

from __future__ import annotations

import importlib.util
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import kernelkit as kk

HERE = Path(__file__).parent
SCRIPT = HERE / "run.sh"
#: Some tests of the suite that are soon done.
FEW = "test_a_kernel_without_arguments"
GPUS = [row for row in kk.devices() if row.usable and row.backend in ("cuda", "numba")]


def script(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=300,
        env=os.environ | {"PYTHON": sys.executable} | environment,
    )  # fmt: skip


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(monkeypatch):
    """run.py as a module."""
    monkeypatch.syspath_prepend(HERE)
    for name in ("run", "readings"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield load("run")
    for name in ("run", "readings"):
        sys.modules.pop(name, None)


@pytest.mark.skipif(bool(GPUS), reason=f"there is a GPU: {GPUS}")
def test_without_a_gpu_it_stops_at_once_and_says_why(tmp_path):
    done = script(tmp_path / "report", "--install")
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines[:2]] == [
        "cuda cannot run here", "numba cannot run here",
    ]  # fmt: skip
    assert lines[2:] == ["tests/gpu/run.sh: there is no GPU to run on"]
    assert not (tmp_path / "report").exists()


def test_a_wrong_command_line_is_refused(tmp_path):
    done = script(tmp_path, "conformanse")
    assert done.returncode == 2
    assert "one folder at most" in done.stderr


def test_a_python_without_the_packages_is_said(tmp_path):
    done = script(tmp_path / "report", PYTHONPATH=str(tmp_path), PYTHON="/bin/false")
    assert done.returncode == 1
    (tmp_path / "numpy.py").write_text("raise ImportError('no numpy here')\n")
    done = script(tmp_path / "report", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "lacks a package: no numpy here" in done.stderr


def test_parts_run_and_are_reported(tmp_path):
    """On the reference, as the host has it; what fails there is on GPUs only, or not there."""
    folder = tmp_path / "report"
    done = script("--backends", "python", "--tests", FEW, folder, "conformance")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((folder / "report.json").read_text())
    assert [(r["what"], r["status"]) for r in found["results"]] == [
        ("python", "passed"), ("python, debug", "passed"),
    ]  # fmt: skip
    assert found["results"][0]["found"]["passed"] > 0
    assert "| conformance | python | passed |" in (folder / "report.md").read_text()
    assert "== python, debug: " in (folder / "conformance.log").read_text()


def test_a_part_that_fails_stops_no_other(run, tmp_path, monkeypatch, capsys):
    def bad(session):
        yield session.run(run.Result("bench", "bad"), [sys.executable, "-c", "print('oh'); 1 / 0"])

    def slow(session):
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        yield session.run(run.Result("generator", "slow"), command)

    def good(session):
        yield session.run(run.Result("bench", "good"), [sys.executable, "-c", "import kernelkit"])

    monkeypatch.setattr(run, "PARTS", {"bench": bad, "generator": slow, "sanitizer": good})
    monkeypatch.setitem(run.LIMITS, "generator", 1)
    assert run.main(["--backends", "python", str(tmp_path)]) == 1
    found = json.loads((tmp_path / "report.json").read_text())
    assert [(r["what"], r["status"], r["said"]) for r in found["results"]] == [
        ("bad", "failed", "status 1"), ("slow", "timed out", "after 1 s"), ("good", "passed", ""),
    ]  # fmt: skip
    assert "ZeroDivisionError" in (tmp_path / "bench.log").read_text()
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_back_end_that_is_lacking_shows_in_the_status(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "PARTS", {"bench": lambda session: iter(())})
    assert run.main(["--backends", "python,abacus", str(tmp_path)]) == 1
    assert "abacus cannot run here: there is no such back end" in capsys.readouterr().err
    assert run.main(["--backends", "python", str(tmp_path)]) == 0


RESULTS = '<testsuites><testsuite><testcase classname="a" name="x"/></testsuite></testsuites>'


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A compute-sanitizer that writes a summary, and the results of tests that pass."""

    def make(summary):
        path = tmp_path / "bin" / "compute-sanitizer"
        path.parent.mkdir()
        path.write_text(
            f"#!{sys.executable}\n"
            "import sys\n"
            "log = sys.argv[sys.argv.index('--log-file') + 1]\n"
            f"open(log.replace('%p', '1'), 'w').write({summary!r})\n"
            "results = next(a for a in sys.argv if a.startswith('--junitxml=')).partition('=')[2]\n"
            f"open(results, 'w').write({RESULTS!r})\n"
            "assert sys.argv[-1] == '--kernelkit-backend=python' and 'no_pool' in sys.argv\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")

    return make


@pytest.mark.parametrize(
    ("summary", "status"),
    [
        ("========= ERROR SUMMARY: 0 errors\n", "passed"),
        ("========= ERROR SUMMARY: 2 errors\n", "failed"),
        ("========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)\n", "failed"),
        ("", "failed"),
    ],
)
def test_the_sanitizer_is_read(run, tool, tmp_path, monkeypatch, summary, status):
    tool(summary)
    monkeypatch.setattr(run, "TOOLS", {"memcheck": ()})
    assert run.main(["--backends", "python", str(tmp_path / "r"), "sanitizer"]) == (
        status != "passed"
    )
    (result,) = json.loads((tmp_path / "r" / "report.json").read_text())["results"]
    assert result["status"] == status, result
    assert summary in (tmp_path / "r" / "sanitizer.log").read_text()


# ---------------------------------------------------------------- readings
def test_tests_are_counted(run, tmp_path):
    file = tmp_path / "results.xml"
    file.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="a" name="x"/><testcase classname="a" name="y"><failure/></testcase>'
        '<testcase classname="a" name="z"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    result = run.readings.tests(run.Result("conformance", "cuda", said="status 1"), file)
    assert (result.status, result.said) == ("failed", "status 1; 1 passed, 1 failed, 1 skipped")
    assert result.found["wrong"] == ["a::y"]
    nothing = run.readings.tests(run.Result("conformance", "cuda"), tmp_path / "none.xml")
    assert (nothing.status, nothing.said) == ("failed", "it wrote no results")


def test_findings_are_counted(run, tmp_path):
    file = tmp_path / "log.jsonl"
    case = {"program": "kernels", "seed": 1, "place": "cuda", "debug": False, "wrong": ""}
    lines = [case, case | {"place": "numba"}, case | {"wrong": "argument 1"}]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    assert run.readings.random_kernels(run.Result("generator", "cuda"), file).well
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = run.readings.random_kernels(run.Result("generator", "cuda"), file)
    assert (result.status, result.said) == (
        "failed", "2 kernels on cuda, 1 kernels on numba, 1 findings",
    )  # fmt: skip


def test_figures_are_counted(run, tmp_path):
    file = tmp_path / "bench.json"
    rows = [{"met": True}, {"met": False}, {"met": None}]
    figures = [{"met": True, "limit": None}, {"met": True, "limit": 3}]
    file.write_text(json.dumps({"rows": rows, "figures": figures}))
    result = run.readings.figures(run.Result("bench", "cuda"), file)
    assert (result.status, result.said) == ("passed", "2 of 4 as asked")
