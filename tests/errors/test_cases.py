"""Every message that a user may get, one case each.

The cases stand in the text files next to this one, so that a person reads all messages in one place:

    ==== name of the case
    source of the kernel; a $ stands where a finding must point, and is taken out
    ---- what is run -> class of the error
    says: words | that the message must have
    ----
    the whole message

`KERNELKIT_REGENERATE=1 pytest tests/errors` writes the messages anew; read the difference.
A kernel that is refused has written nothing: every array is compared with what it was before.
"""

from __future__ import annotations

import linecache
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import registry
from kernelkit.errors import BackendError, CompileError, KernelError, KernelFault

HERE = Path(__file__).parent
REGENERATE = bool(os.environ.get("KERNELKIT_REGENERATE"))


@dataclass(frozen=True)
class Case:
    """One error."""

    theme: str
    name: str
    marked: str
    launch: str
    error: str
    says: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"{self.theme}-{self.name}"

    @property
    def source(self) -> str:
        return self.marked.replace("$", "")

    @property
    def marks(self) -> list[tuple[int, int]]:
        """Line (from 1) and column (from 0) of each mark."""
        found = []
        for number, line in enumerate(self.marked.splitlines(), 1):
            places = [m.start() for m in re.finditer(re.escape("$"), line)]
            found += [(number, place - seen) for seen, place in enumerate(places)]
        return found


PATTERN = re.compile(
    r"==== (?P<name>\S+)\n(?P<marked>.*?)^---- (?P<launch>[^\n]+) -> (?P<error>\w+)\n"
    r"says: (?P<says>.*?)\n----\n(?P<message>.*?)(?=^==== |\Z)",
    re.MULTILINE | re.DOTALL,
)


def read_cases(path: Path) -> Iterator[Case]:
    text = path.read_text()
    end = text.index("==== ")
    for found in PATTERN.finditer(text):
        assert found.start() == end, f"{path}: not a case: {text[end : end + 60]!r}"
        end = found.end()
        words = tuple(word.strip() for word in found["says"].split(" | "))
        yield Case(
            path.stem, found["name"], found["marked"], found["launch"], found["error"], words,
            found["message"].strip("\n"),
        )  # fmt: skip
    assert end == len(text), f"{path}: not a case: {text[end : end + 60]!r}"


CASES = [case for path in sorted(HERE.glob("*.txt")) for case in read_cases(path)]


# ---------------------------------------------------------------- what a case may name
class Pair(NamedTuple):
    left: Any
    right: Any


def make_arrays() -> dict[str, np.ndarray]:
    """What kernels are launched with: poisoned, so that a write shows."""
    made: dict[str, np.ndarray] = {
        "out": np.full(64, 7, np.float32),
        "other": np.full(64, 7, np.float32),
        "image": np.full((8, 8), 7, np.float32),
        "volume": np.full((2, 3, 4), 7, np.float32),
        "halves": np.full(64, 7, np.float16),
        "doubles": np.full(64, 7, np.float64),
        "ints": np.full(64, 7, np.int32),
        "longs": np.full(64, 7, np.int64),
        "shorts": np.full(64, 7, np.int16),
        "bytes_": np.full(64, 7, np.uint8),
        "unsigned": np.full(64, 7, np.uint32),
        "ulongs": np.full(64, 7, np.uint64),
        "flags": np.full(64, True),
        "complexes": np.full(64, 7 + 7j, np.complex64),
        "scalar": np.array(7, np.float32),
        "frozen": np.full(64, 7, np.float32),
    }
    made["frozen"].flags.writeable = False
    return made


def names_for(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    table = np.arange(8, dtype=np.int32)
    table.flags.writeable = False
    outside = {"TABLE": table, "LIST": [1, 2, 3], "SIZE": 32, "Pair": Pair}
    return {"kk": kk, "np": np, "math": math, **outside, **arrays}


# ---------------------------------------------------------------- running one
def run(case: Case, names: dict[str, Any], backend: str = "python") -> KernelError:
    """The error that the case ends in."""
    with pytest.raises(KernelError) as caught, kk.use(backend):
        launch(case, names)
    return caught.value


def launch(case: Case, names: dict[str, Any]) -> None:
    file = f"{case.name}.py"
    linecache.cache[file] = (len(case.source), None, case.source.splitlines(keepends=True), file)
    names["__name__"] = case.name
    exec(compile(case.source, file, "exec"), names)
    exec(compile(case.launch, "<launch>", "exec"), names)


#: What differs from one machine to the next, and what stands there instead.
VARYING = (
    (r"\b0x[0-9a-f]{9,}", "0x..."),
    (r"\b(CPython|PyPy) 3\.\d+", "Python"),
)


def rendered(error: BaseException) -> str:
    text = str(error)
    for pattern, instead in VARYING:
        text = re.sub(pattern, instead, text)
    return text


def places(error: BaseException) -> list[tuple[int, int]]:
    spans: list[kk.Span] = []
    if isinstance(error, CompileError):
        spans = [d.span for d in error.diagnostics]
    elif isinstance(error, KernelFault):
        spans = [error.span]
    return [(span.line, span.column) for span in spans]


@pytest.fixture(scope="module")
def record() -> Iterator[Callable[[Case, str], None]]:
    """Keeps the messages of this run, and at its end writes them where that is asked for."""
    found: dict[tuple[str, str], str] = {}
    yield lambda case, message: found.__setitem__((case.theme, case.name), message)
    if not REGENERATE:
        return
    for theme in {case.theme for case in CASES}:
        text = "\n".join(
            f"==== {c.name}\n{c.marked}---- {c.launch} -> {c.error}\nsays: {' | '.join(c.says)}\n"
            f"----\n{found.get((c.theme, c.name), c.message)}\n"
            for c in CASES
            if c.theme == theme
        )
        path = HERE / f"{theme}.txt"
        head = path.read_text().partition("==== ")[0]
        path.write_text(head + text)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_error_says_what_is_wrong_and_where(
    case: Case, record: Callable[[Case, str], None]
) -> None:
    arrays = make_arrays()
    before = {name: array.copy() for name, array in arrays.items()}
    error = run(case, names_for(arrays))
    message = rendered(error)
    record(case, message)
    assert type(error).__name__ == case.error, message
    missing = [word for word in case.says if word not in message]
    assert not missing, message
    assert places(error) == case.marks, message
    if not isinstance(error, KernelFault):
        written = [n for n, array in arrays.items() if not np.array_equal(array, before[n])]
        assert not written
    if not REGENERATE:
        assert message == case.message


#: What debug kernels find on other back ends too; only the reference counts steps.
FAULTS = [c for c in CASES if c.theme == "faults" and c.error != "StepBudgetError"]
#: What is not found where threads are a device's own: nobody sees who waits where.
WAITS = ("wrong_uniform", "warp_operation_under_a_condition", "two_warp_operations_at_once")
DEVICES = ("opencl", "opencl:1", "cuda")


def check_debug_kernel(case: Case, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setenv("KERNELKIT_DEBUG", "1")
    error = run(case, names_for(make_arrays()), backend)
    assert type(error).__name__ == case.error
    assert rendered(error) == case.message


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_a_debug_kernel_on_the_cpu_says_the_same(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_debug_kernel(case, monkeypatch, "cpu")


@pytest.mark.parametrize("backend", DEVICES)
@pytest.mark.parametrize("case", [c for c in FAULTS if c.name not in WAITS], ids=str)
def test_a_debug_kernel_on_a_device_says_the_same(
    case: Case, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    try:
        registry.place(backend)
    except BackendError as error:
        pytest.skip(str(error))
    check_debug_kernel(case, monkeypatch, backend)


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
