"""What `run.sh` runs: every part in processes of its own, each with a time limit.

In: a command line. Out: FOLDER/report.json, report.md and a log for each part.
Holds: without a GPU it stops before anything is run; a part that fails or hangs stops no other; the
exit status says whether all is well. Parts: see PARTS.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "backends")]

import readings  # noqa: E402  (beside this file)

#: Back ends whose GPU this is about.
BACKENDS = ("cuda", "numba")
#: Seconds that a command of a part may take.
LIMITS = {"conformance": 150, "generator": 100, "sanitizer": 180, "bench": 240}
#: Seconds that a command which is stopped has for its last words.
PATIENCE = 20
#: Seconds after which the generator draws no more kernels.
DRAWING = 60
#: The tools of compute-sanitizer, and what each is told. That an API refuses what a test asks of it,
#: such as too much memory, is no error.
TOOLS = {"memcheck": ("--report-api-errors", "no"), "racecheck": ()}
#: A processor for each process, and few enough that each has room on the GPU.
JOBS = max(1, min(8, os.cpu_count() or 1))
PACKAGES = ("kernelkit", "numpy", "cupy-cuda13x", "cupy-cuda12x", "numba", "numba-cuda", "pytest")


@dataclass(slots=True)
class Result:
    """What became of a command. status: passed, failed, timed out, or skipped."""

    part: str
    what: str
    status: str = "passed"
    seconds: float = 0.0
    said: str = ""
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        return self.status in ("passed", "skipped")


class Session:
    """One run of the script: where it writes, and what its commands run with."""

    def __init__(self, asked: argparse.Namespace, work: Path) -> None:
        self.folder: Path = asked.folder
        self.backends: list[str] = asked.backends
        self.tests: list[str] = ["-k", asked.tests] if asked.tests else []
        self.work = work
        self.environment = os.environ | {
            "PYTHONUNBUFFERED": "1",
            "KERNELKIT_CACHE_DIR": str(work / "cache"),
        }
        if not asked.install:
            paths = [str(ROOT), str(ROOT / "backends"), os.environ.get("PYTHONPATH", "")]
            self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        (work / "pytest.ini").write_text("[pytest]\n")

    def run(self, result: Result, command: Sequence[str], **environment: str) -> Result:
        """Run a command into the part's log, no longer than it may take."""
        start = time.monotonic()
        with (self.folder / f"{result.part}.log").open("a") as log:
            print(f"\n== {result.what}: {' '.join(command)}", file=log, flush=True)
            process = subprocess.Popen(
                command, cwd=self.work, env=self.environment | environment,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                status = process.wait(LIMITS[result.part])
                result.status = "passed" if status == 0 else "failed"
                result.said = "" if status == 0 else f"status {status}"
            except subprocess.TimeoutExpired:
                result.status, result.said = "timed out", f"after {LIMITS[result.part]} s"
                _interrupt(process)
            finally:
                _end(process)
        result.seconds = round(time.monotonic() - start, 1)
        return result

    def suite(self, backend: str, results: Path, *more: str) -> list[str]:
        """The command of the conformance suite on a back end."""
        installed = any(entry_points(group="pytest11", name="kernelkit"))
        plugin = "kernelkit" if installed else "kernelkit.testing.plugin"
        jobs = ["-n", str(JOBS)] if find_spec("xdist") else []
        return [
            sys.executable, "-m", "pytest", "-q", "-c", str(self.work / "pytest.ini"),
            "--import-mode=importlib", "-p", "no:cacheprovider", "-p", plugin, *jobs,
            f"--junitxml={results}", "-o", "junit_logging=no", *more, *self.tests,
            "--pyargs", "kernelkit.conformance", f"--kernelkit-backend={backend}",
        ]  # fmt: skip


def _interrupt(process: subprocess.Popen[bytes]) -> None:
    """Lets a command write down what it has found so far."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pass


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a command and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


# ---------------------------------------------------------------- parts
def conformance(session: Session) -> Iterator[Result]:
    """The conformance suite on each back end, and again with the checks of debug kernels."""
    for backend in session.backends:
        for debug in (False, True):
            what = f"{backend}, debug" if debug else backend
            results = session.work / f"{backend}-{debug}.xml"
            command = session.suite(backend, results)
            result = session.run(
                Result("conformance", what), command, KERNELKIT_DEBUG=str(int(debug))
            )
            yield readings.tests(result, results)


def generator(session: Session) -> Iterator[Result]:
    """Random kernels on each back end against the reference."""
    log = session.work / "differential.jsonl"
    command = [
        sys.executable, "-m", "kernelkit.testing.differential", "--seeds", "0:100000",
        "--places", ",".join(session.backends), "--debug", "both", "--once",
        "--seconds", str(DRAWING), "--jobs", str(JOBS), "--log", str(log),
    ]  # fmt: skip
    result = session.run(Result("generator", ", ".join(session.backends)), command)
    yield readings.random_kernels(result, log)


def sanitizer(session: Session) -> Iterator[Result]:
    """memcheck and racecheck over the conformance suite on `cuda`, or else the first back end."""
    backend = "cuda" if "cuda" in session.backends else session.backends[0]
    tool = shutil.which("compute-sanitizer") or shutil.which(
        "compute-sanitizer", path="/usr/local/cuda/bin"
    )
    for name, told in TOOLS.items():
        result = Result("sanitizer", f"{name}, {backend}")
        if tool is None:
            result.status, result.said = "skipped", "there is no compute-sanitizer"
            yield result
            continue
        logs, results = session.work / name, session.work / f"{name}.xml"
        logs.mkdir()
        command = [
            tool, "--tool", name, *told, "--target-processes", "all", "--log-file", f"{logs}/%p.txt",
            *session.suite(backend, results, "-p", "no_pool"),
        ]  # fmt: skip
        paths = [str(HERE), session.environment.get("PYTHONPATH", "")]
        session.run(result, command, PYTHONPATH=os.pathsep.join(filter(None, paths)))
        with (session.folder / f"{result.part}.log").open("a") as whole:
            whole.writelines(file.read_text() for file in sorted(logs.iterdir()))
        yield readings.sanitized(readings.tests(result, results), logs)


def bench(session: Session) -> Iterator[Result]:
    """The benchmarks; what misses its limit is in the table, and is no failure."""
    figures, table = session.work / "bench.json", session.work / "bench.md"
    command = [
        sys.executable, "-m", "kernelkit.bench", "gpu", "--backends", ",".join(session.backends),
        "--json", str(figures), "--markdown", str(table),
    ]  # fmt: skip
    result = session.run(Result("bench", ", ".join(session.backends)), command)
    yield readings.figures(result, figures)


#: In this order.
PARTS: dict[str, Callable[[Session], Iterator[Result]]] = {
    "conformance": conformance, "generator": generator, "sanitizer": sanitizer, "bench": bench,
}  # fmt: skip


# ---------------------------------------------------------------- the command
def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/gpu/run.sh", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="FOLDER or PART",
                        help=f"where to write (default: gpu-report); {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument("--install", action="store_true", help="install this checkout first")
    parser.add_argument("--backends", type=lambda text: text.split(","), default=list(BACKENDS),
                        help=f"(default: {','.join(BACKENDS)})")  # fmt: skip
    parser.add_argument("--tests", metavar="EXPRESSION", help="of the suite, as pytest's -k")
    asked = parser.parse_intermixed_args(arguments)
    folders = [word for word in asked.words if word not in PARTS]
    if len(folders) > 1:
        parser.error(f"one folder at most, not {', '.join(folders)}; parts are {', '.join(PARTS)}")
    asked.parts = [word for word in asked.words if word in PARTS] or list(PARTS)
    asked.folder = Path(folders[0] if folders else "gpu-report").resolve()
    return asked


def devices(backends: Sequence[str]) -> dict[str, str]:
    """The device of each back end; what cannot run is said."""
    try:
        import kernelkit
    except ImportError as error:
        print(f"tests/gpu/run.sh: {sys.executable} lacks a package: {error}", file=sys.stderr)
        return {}
    rows = {row.backend: row for row in reversed(kernelkit.devices())}
    found = {}
    for name in backends:
        row = rows.get(name)
        if row is not None and row.usable:
            found[name] = row.name
        else:
            why = row.why if row else "there is no such back end"
            print(f"tests/gpu/run.sh: {name} cannot run here: {why}", file=sys.stderr)
    return found


def install() -> int:
    command = ["pip", "install", "--no-deps", "--no-build-isolation", "--force-reinstall", "."]
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def main(arguments: Sequence[str]) -> int:
    asked = parse(arguments)
    usable = devices(asked.backends)
    if not usable:
        print("tests/gpu/run.sh: there is no GPU to run on", file=sys.stderr)
        return 1
    lacking = [name for name in asked.backends if name not in usable]
    asked.backends = list(usable)
    if asked.install and install() != 0:
        return 1
    asked.folder.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as work:
        session = Session(asked, Path(work))
        for part in asked.parts:
            (session.folder / f"{part}.log").unlink(missing_ok=True)
            for result in PARTS[part](session):
                results.append(result)
                print(readings.line(result), flush=True)
                write(session, usable, lacking, results)
    return int(bool(lacking) or not all(result.well for result in results))


def write(
    session: Session, usable: dict[str, str], lacking: list[str], results: Sequence[Result]
) -> None:
    """What is known so far, so that a run that is stopped leaves it."""
    found = {
        "devices": usable,
        "lacking": lacking,
        "machine": f"{platform.machine()}, {platform.system()}",
        "versions": versions(),
        "results": [asdict(result) for result in results],
    }
    (session.folder / "report.json").write_text(json.dumps(found, indent=1) + "\n")
    title = ", ".join(f"{name} on {device}" for name, device in usable.items())
    tables = session.work / "bench.md"
    table = readings.markdown(title, results)
    table += f"\n{tables.read_text()}" if tables.exists() else ""
    (session.folder / "report.md").write_text(table)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
