"""Random kernels on back ends against the reference, bit for bit: `python -m kernelkit.testing.differential`.

In: seeds, and places: the name of a back end, or a variant of `cpu` such as `avx2` (instruction
set) or `native:64` (instruction set and lanes). Out: every finding with its seed, then the counts.
Holds: a kernel that kills or hangs its process is a finding like any other; what `--log` names says
which cases are done, so that a later run goes on where this one ended.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Final, cast

import numpy as np

import kernelkit as kk
from kernelkit import registry
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.generator import GeneratedKernel, generate
from kernelkit.testing.generator_flows import generate_flow
from kernelkit.testing.generator_images import generate_image
from kernelkit.testing.generator_walks import generate_walk

REFERENCE: Final = "python"
#: Kinds of random program: seed -> kernel.
PROGRAMS: Final[dict[str, Callable[[int], GeneratedKernel]]] = {
    "kernels": generate,
    "flows": generate_flow,
    "images": generate_image,
    "walks": generate_walk,
}
#: A case that takes so many seconds hangs.
PATIENCE: Final = 180.0
#: LLVM's memory of what it compiled grows, so a worker process ends after so many kernels.
SERVICE: Final = 400
_BUILDS: Final = {"no": (False,), "yes": (True,), "both": (False, True)}


@dataclass(frozen=True, slots=True)
class Case:
    """A kernel in one place."""

    program: str
    seed: int
    place: str
    debug: bool

    def __str__(self) -> str:
        return f"{self.program} {self.seed} on {self.place}{', debug' if self.debug else ''}"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a case; `wrong` is empty where the bits are the reference's, and where the
    device said beforehand that it lacks what the kernel needs (`refused`)."""

    case: Case
    wrong: str = ""
    refused: bool = False


# ---------------------------------------------------------------- one kernel
def place_name(text: str) -> str:
    """The name of the back end that a place stands for, which is registered now."""
    if text.partition(":")[0] in registry.names():
        return text
    made = cast(Any, registry.place("cpu").backend).variant(text)
    if made.name not in registry.names():
        registry.register(made)
    return str(made.name)


def outcome(kernel: GeneratedKernel, place: str, debug: bool = False) -> tuple[Any, ...]:
    """The arguments after the launch, or the fault that it ended with."""
    before = os.environ.get("KERNELKIT_DEBUG")
    os.environ["KERNELKIT_DEBUG"] = str(int(debug))
    try:
        with kk.use(place_name(place)):
            return kernel.run(kernel.module())
    except kk.KernelFault as fault:
        return (type(fault), fault.span, fault.message)
    finally:
        os.environ.pop("KERNELKIT_DEBUG")
        if before is not None:
            os.environ["KERNELKIT_DEBUG"] = before


def check(kernel: GeneratedKernel, expected: tuple[Any, ...], place: str, debug: bool) -> None:
    """An AssertionError, or what the launch raised, unless the outcome is the expected one."""
    found = outcome(kernel, place, debug)
    assert _fault(found) == _fault(expected), f"{_fault(found)} in place of {_fault(expected)}"
    for position, (a, b) in enumerate(zip(found, expected, strict=True)):
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            assert_bits_equal(a, b, f"argument {position}")


def _fault(found: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The outcome, if it is a fault."""
    return found if found and isinstance(found[0], type) else None


def results(program: str, seed: int, cases: Sequence[Case]) -> Iterator[Result | Case]:
    """Each case, before it starts, and its result."""
    kernel = PROGRAMS[program](seed)
    expected: dict[bool, tuple[Any, ...]] = {}
    for case in cases:
        yield case
        try:
            if case.debug not in expected:
                expected[case.debug] = _expected(kernel, case.debug)
            check(kernel, expected[case.debug], case.place, case.debug)
            yield Result(case)
        except kk.CapabilityError:
            yield Result(case, refused=True)
        except Exception as error:
            yield Result(case, f"{type(error).__name__}: {error}")


def _expected(kernel: GeneratedKernel, debug: bool) -> tuple[Any, ...]:
    """What the reference gives. What it refuses is no kernel that a generator should make."""
    try:
        found = outcome(kernel, REFERENCE, debug)
    except Exception as error:
        raise RuntimeError(f"on the reference, {type(error).__name__}: {error}") from error
    fault = _fault(found)
    if fault and (fault[0] is kk.StepBudgetError or not debug):
        # Where no back end but this one has to notice.
        raise RuntimeError(f"on the reference, {fault[0].__name__}: {fault[2]}")
    return found


# ---------------------------------------------------------------- many kernels
def cases_of(
    program: str, seed: int, places: Sequence[str], builds: Sequence[bool], once: bool
) -> list[Case]:
    """All places and builds; with `once` a single one of them, another for each seed."""
    every = [Case(program, seed, place, debug) for place in places for debug in builds]
    return [every[seed % len(every)]] if once else every


def _work(orders: Connection, answers: Connection) -> None:
    """A worker process: groups of cases of one kernel in, what `results` gives out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while (group := orders.recv()) is not None:
        for each in results(group[0].program, group[0].seed, group):
            answers.send(each)


class _Worker:
    """A process and what it works on."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        theirs, self.orders = context.Pipe(duplex=False)
        self.answers, back = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(theirs, back), daemon=True)
        self.process.start()
        theirs.close()
        back.close()
        self.left: list[Case] = []
        self.served = 0
        self.current: Case | None = None
        self.since = time.monotonic()

    def give(self, group: list[Case]) -> None:
        self.left, self.current, self.since = list(group), None, time.monotonic()
        self.served += 1
        self.orders.send(group)

    def take(self) -> Result | None:
        """The next result that is there; None where a case starts."""
        answer = self.answers.recv()
        self.since = time.monotonic()
        if isinstance(answer, Result):
            self.left.remove(answer.case)
            return answer
        self.current = answer
        return None

    @property
    def hangs(self) -> bool:
        return bool(self.left) and time.monotonic() - self.since > PATIENCE

    def end(self) -> int | None:
        """Stops the process; the exit status that it had by itself."""
        with suppress(OSError):
            self.orders.send(None)
        self.process.join(5 if not self.left else 0)
        status = self.process.exitcode
        if status is None:
            self.process.kill()
            self.process.join()
        return status


def run(
    groups: Iterator[list[Case]], jobs: int, seconds: float, report: Callable[[Result], None]
) -> None:
    """Works through groups of cases, of one kernel each, until they or the time are at an end."""
    until = time.monotonic() + seconds
    workers = [_Worker() for _ in range(jobs)]
    waiting: list[list[Case]] = []
    try:
        while True:
            for at, worker in enumerate(workers):
                if not worker.left and worker.served >= SERVICE:
                    worker.end()
                    workers[at] = worker = _Worker()
                if not worker.left and time.monotonic() < until:
                    group = waiting.pop() if waiting else next(groups, [])
                    if group:
                        worker.give(group)
            busy = [w for w in workers if w.left]
            if not busy:
                return
            ready = wait([w.answers for w in busy], timeout=5)
            for at, worker in enumerate(workers):
                if worker.answers in ready:
                    workers[at] = _listen(worker, report, waiting)
                elif worker.hangs:
                    workers[at] = _replaced(worker, "it hangs", report, waiting)
    finally:
        for worker in workers:
            worker.end()


def _listen(
    worker: _Worker, report: Callable[[Result], None], waiting: list[list[Case]]
) -> _Worker:
    try:
        found = worker.take()
    except (EOFError, OSError):
        worker.process.join()
        return _replaced(
            worker, f"its process died: {_status(worker.process.exitcode)}", report, waiting
        )
    if found is not None:
        report(found)
    return worker


def _replaced(
    worker: _Worker, wrong: str, report: Callable[[Result], None], waiting: list[list[Case]]
) -> _Worker:
    """A fresh worker; the case at fault is done, what came after it waits."""
    worker.end()
    guilty = worker.current or worker.left[0]
    report(Result(guilty, wrong))
    rest = [case for case in worker.left if case != guilty]
    if rest:
        waiting.append(rest)
    return _Worker()


def _status(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"status {code}"


# ---------------------------------------------------------------- the command
class Log:
    """Results as lines of JSON in a file."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.done: dict[Case, str] = {}
        self.refused: set[Case] = set()
        if path is not None and os.path.exists(path):
            with open(path) as lines:
                for line in lines:
                    fields = json.loads(line)
                    wrong, refused = fields.pop("wrong"), fields.pop("refused", False)
                    self._keep(Result(Case(**fields), wrong, refused))

    def _keep(self, result: Result) -> None:
        self.done[result.case] = result.wrong
        if result.refused:
            self.refused.add(result.case)

    def __call__(self, result: Result) -> None:
        self._keep(result)
        if result.wrong:
            print(f"{result.case}: {result.wrong}", flush=True)
        if self.path is not None:
            with open(self.path, "a") as file:
                known = {"wrong": result.wrong, "refused": result.refused}
                file.write(json.dumps(asdict(result.case) | known) + "\n")

    def summary(self) -> Iterator[str]:
        """How many cases there were of each kind, and how many of them differ."""
        every = Counter((c.program, c.place, c.debug) for c in self.done)
        wrong = Counter((c.program, c.place, c.debug) for c, text in self.done.items() if text)
        refused = Counter((c.program, c.place, c.debug) for c in self.refused)
        for key, count in sorted(every.items()):
            program, place, debug = key
            build = "debug" if debug else "release"
            less = f", {refused[key]} of them refused" if refused[key] else ""
            yield (
                f"{program:12} {place:12} {build:8} {count:7} kernels{less}, {wrong[key]} findings"
            )
        yield f"{len(self.done)} in all, {sum(wrong.values())} findings"


def _span(text: str) -> range:
    first, colon, last = text.partition(":")
    return range(int(first), int(last)) if colon else range(int(first), int(first) + 1)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kernelkit.testing.differential", description=__doc__
    )
    parser.add_argument("--seeds", type=_span, default=range(200), help="A:B, or one seed")
    parser.add_argument("--programs", default=",".join(PROGRAMS), help="kinds of program")
    parser.add_argument("--places", default="native", help="back ends, avx2, native:64, ...")
    parser.add_argument("--debug", choices=_BUILDS, default="no", help="builds with checks")
    parser.add_argument("--once", action="store_true", help="each seed in one place and build only")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--log", help="a file of results: cases in it are done")
    parser.add_argument("--show", action="store_true", help="print the kernels, run nothing")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _arguments().parse_args(arguments)
    programs = asked.programs.split(",")
    if asked.show:
        for seed in asked.seeds:
            print("\n".join(PROGRAMS[program](seed).source for program in programs))
        return 0
    log = Log(asked.log)
    places, builds = asked.places.split(","), _BUILDS[asked.debug]
    for place in places:
        registry.place(place_name(place))  # An error here, rather than in every case.

    def groups() -> Iterator[list[Case]]:
        for seed in asked.seeds:
            for program in programs:
                cases = cases_of(program, seed, places, builds, asked.once)
                left = [case for case in cases if case not in log.done]
                if left:
                    yield left

    run(groups(), asked.jobs, asked.seconds, log)
    print(*log.summary(), sep="\n")
    return int(any(log.done.values()))


if __name__ == "__main__":
    # Of the module as the worker processes import it, so that cases are of one class.
    from kernelkit.testing.differential import main as imported

    sys.exit(imported())
