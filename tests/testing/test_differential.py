"""Random kernels against the reference: what is found is reported, and what is done is remembered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kernelkit as kk
import kernelkit_python
from kernelkit.testing import differential
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.differential import PROGRAMS, Case, Result, cases_of, check, main, outcome
from kernelkit.testing.generator import GeneratedKernel


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_follow_from_their_seeds(program: str) -> None:
    make = PROGRAMS[program]
    assert [make(s) for s in range(20)] == [make(s) for s in range(20)]
    assert len({make(s).source for s in range(20)}) == 20


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_order_of_threads_shows(program: str) -> None:
    for seed in range(12):
        kernel = PROGRAMS[program](seed)
        written = []
        for order in ("forward", "reverse", "random"):
            with kk.use("python"), kernelkit_python.schedule(order=order, seed=seed):
                written.append(kernel.run())
        for other in written[1:]:
            for a, b in zip(written[0], other, strict=True):
                if isinstance(a, np.ndarray):
                    assert_bits_equal(b, a, f"{program} {seed}")


#: What the small programs of some hundred seeds must hold, or they have lost it.
FEATURES = {
    "flows": (
        "break", "continue", "return", "while True", "else:", "elif", "syncthreads_count", "syncthreads_and",
        "shared.array(0,", "local.array", "shfl_up_sync", "ballot_sync", "function2(", "-9223372036854775808",
        "= m[", "threadIdx.y",
    ),
    "images": (
        "while xx < 0", "min(max(", "% w", "abs(", "continue", "np.int16(x)", "np.uint32(x)", "row = a[", "(-r, r + 1)",
        "py * 3", "kk.grid(3)", "complex64", "- a.shape[1]",
    ),
    "walks": (
        "(whole := ", "whole[3:]", "gridsize(1)", "while j < ", "-1, -", "np.int8(", "np.uint32(", "% out.size",
        "np.int32(i)", "<<", "(1, 64, 1)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("program", FEATURES)
def test_the_programs_hold_what_they_are_for(program: str) -> None:
    everything = "\n".join(PROGRAMS[program](seed).source for seed in range(300))
    assert [feature for feature in FEATURES[program] if feature not in everything] == []


# ---------------------------------------------------------------- comparing
def _double(text: str = "out[i] = 2 * i") -> GeneratedKernel:
    source = f"""
import numpy as np
import kernelkit as kk

@kk.kernel
def kernel(out):
    i = kk.grid(1)
    {text}

def arguments():
    return (np.zeros(8, np.int64),)
"""
    return GeneratedKernel(source, (1, 1, 1), (8, 1, 1), 0)


def test_what_differs_is_found() -> None:
    kernel = _double()
    expected = outcome(kernel, "python")
    check(kernel, expected, "python", debug=False)
    with pytest.raises(AssertionError, match="argument 0: 7 of 8 elements differ"):
        check(_double("out[i] = 3 * i"), expected, "python", debug=False)


def test_faults_are_outcomes() -> None:
    kernel = _double("out[i + 1] = i")
    fault = outcome(kernel, "python")
    assert fault[0] is kk.OutOfBoundsError
    check(kernel, fault, "python", debug=True)
    with pytest.raises(AssertionError, match="OutOfBoundsError.* in place of None"):
        check(kernel, outcome(_double(), "python"), "python", debug=False)


def test_a_kernel_without_arrays_has_nothing_to_differ_in() -> None:
    assert outcome(_without_arguments(), "python") == ()
    check(_without_arguments(), (), "python", debug=False)


def _without_arguments() -> GeneratedKernel:
    source = (
        "import kernelkit as kk\n@kk.kernel\ndef kernel():\n    x = 1\n"
        "def arguments():\n    return ()\n"
    )
    return GeneratedKernel(source, (1, 1, 1), (1, 1, 1), 0)


# ---------------------------------------------------------------- the command
def test_each_seed_may_go_to_one_place_only() -> None:
    every = cases_of("flows", 5, ["a", "b"], [False, True], once=False)
    assert [(c.place, c.debug) for c in every] == [
        ("a", False),
        ("a", True),
        ("b", False),
        ("b", True),
    ]
    picked = [cases_of("flows", seed, ["a", "b"], [False, True], once=True) for seed in range(4)]
    assert [case for (case,) in picked] == [
        Case("flows", seed, place, debug)
        for seed, (place, debug) in enumerate((c.place, c.debug) for c in every)
    ]


def test_a_run_goes_on_where_the_last_one_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    log = tmp_path / "log"
    common = ["--programs", "images", "--places", "python", "--jobs", "1", "--log", str(log)]
    assert main(["--seeds", "0:2", *common]) == 0
    assert len(log.read_text().splitlines()) == 2
    assert main(["--seeds", "0:3", "--debug", "no", *common]) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["seed"] for line in lines] == [0, 1, 2]
    assert "3 in all, 0 findings" in capsys.readouterr().out


def test_what_a_device_lacks_is_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise kk.CapabilityError("it has no warps")

    monkeypatch.setattr(differential, "check", refuse)
    case = Case("images", 0, "python", False)
    assert list(differential.results("images", 0, [case])) == [case, Result(case, refused=True)]
    log = differential.Log(str(tmp_path / "log"))
    log(Result(case, refused=True))
    again = differential.Log(str(tmp_path / "log"))
    assert again.refused == {case}
    assert "1 kernels, 1 of them refused, 0 findings" in next(again.summary())


def test_findings_of_an_earlier_run_count(tmp_path: Path) -> None:
    log = differential.Log(str(tmp_path / "log"))
    log(Result(Case("images", 0, "python", False), "it differs"))
    assert (
        main(
            [
                "--seeds",
                "0",
                "--programs",
                "images",
                "--places",
                "python",
                "--log",
                str(tmp_path / "log"),
            ]
        )
        == 1
    )


def test_a_process_that_dies_is_a_finding() -> None:
    """The worker does not know the program, which ends it."""
    group = [
        Case("no such program", 0, "python", False),
        Case("no such program", 0, "python", True),
    ]
    found: list[Result] = []
    differential.run(iter([group]), jobs=1, seconds=60, report=found.append)
    assert [each.case for each in found] == group
    assert all("its process died: status 1" in each.wrong for each in found)


def test_a_place_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(kk.BackendError, match="no CPU 'nonsense'"):
        main(["--seeds", "0", "--places", "nonsense"])


def test_kernels_can_be_shown(capsys: pytest.CaptureFixture) -> None:
    assert main(["--seeds", "3", "--programs", "walks", "--show"]) == 0
    assert capsys.readouterr().out == PROGRAMS["walks"](3).source + "\n"
