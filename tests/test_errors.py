from __future__ import annotations

import linecache
import pickle
from pathlib import Path
from typing import Any

import pytest

from kernelkit import errors
from kernelkit.errors import NOWHERE, CompileError, Diagnostic, KernelError, KernelFault, Span

SOURCE = "def blur(src, dst):\n    dst[0] = src[0] + one\n\tif n:\n\t\tx = y\n\n    total = (a +\n        b)\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "blur.py"
    path.write_text(SOURCE)
    return str(path)


# ---------------------------------------------------------------- spans
def test_columns_are_shown_from_one() -> None:
    assert str(Span("blur.py", 12, 8)) == "blur.py:12:9"
    assert str(Span("blur.py", 12)) == "blur.py:12:1"


def test_carets_stand_under_the_span(file: str) -> None:
    assert Span(file, 2, 13, 2, 19).excerpt() == (
        "        dst[0] = src[0] + one\n"
        "                 ^^^^^^"
    )  # fmt: skip


def test_a_span_of_no_width_has_one_caret(file: str) -> None:
    assert Span(file, 2, 4, 2, 4).excerpt().splitlines()[1] == " " * 8 + "^"


def test_a_span_over_lines_marks_the_rest_of_its_first(file: str) -> None:
    assert Span(file, 6, 12, 7, 10).excerpt() == (
        "        total = (a +\n"
        "                ^^^^"
    )  # fmt: skip


def test_a_span_without_an_end_marks_the_rest_of_its_line(file: str) -> None:
    assert Span(file, 1, 4).excerpt().splitlines()[1] == " " * 8 + "^" * 15


def test_a_span_that_ends_past_its_line_stops_with_it(file: str) -> None:
    assert Span(file, 1, 4, 1, 400).excerpt().splitlines()[1] == " " * 8 + "^" * 15
    assert Span(file, 1, 400, 1, 401).excerpt().splitlines()[1].count("^") == 1


def test_tabs_are_kept_so_that_carets_line_up(file: str) -> None:
    assert Span(file, 4, 6, 4, 7).excerpt() == "    \t\tx = y\n    \t\t    ^"


@pytest.mark.parametrize("line", [0, 5, 99])
def test_no_excerpt_where_there_is_no_text(file: str, line: int) -> None:
    assert Span(file, line).excerpt() == ""


def test_no_excerpt_where_the_source_is_gone(tmp_path: Path) -> None:
    assert Span(str(tmp_path / "gone.py"), 1).excerpt() == ""
    assert Span("<no such source>", 1).excerpt() == ""
    assert NOWHERE.excerpt() == ""


def test_source_in_linecache_only_is_shown() -> None:
    name = "<ipython-input-1>"
    linecache.cache[name] = (8, None, ["x = 1 + y\n"], name)
    try:
        assert Span(name, 1, 8, 1, 9).excerpt() == "    x = 1 + y\n            ^"
    finally:
        del linecache.cache[name]


# ---------------------------------------------------------------- diagnostics
def test_a_diagnostic_shows_place_message_line_and_caret(file: str) -> None:
    found = Diagnostic(Span(file, 2, 22, 2, 25), "no name 'one'; define it")
    assert str(found) == (
        f"{file}:2:23: no name 'one'; define it\n"
        "        dst[0] = src[0] + one\n"
        "                          ^^^"
    )


def test_notes_follow_with_their_own_lines(file: str) -> None:
    first, second = Span(file, 2, 4, 2, 10), Span(file, 4, 2, 4, 3)
    found = Diagnostic(first, "dst is float32 here", ((second, "and int64 here"), (NOWHERE, "no")))
    assert str(found).splitlines() == [
        f"{file}:2:5: dst is float32 here",
        "        dst[0] = src[0] + one",
        "        ^^^^^^",
        f"{file}:4:3: note: and int64 here",
        "    \t\tx = y",
        "    \t\t^",
        "<kernelkit>:0:1: note: no",
    ]


def test_a_diagnostic_without_source_is_one_line() -> None:
    assert str(Diagnostic(Span("gone.py", 3, 1), "wrong")) == "gone.py:3:2: wrong"


def test_a_compile_error_sorts_its_findings_and_has_each_once() -> None:
    late, early, other = (
        Diagnostic(Span("b.py", 9, 0), "late"),
        Diagnostic(Span("b.py", 2, 5), "early"),
        Diagnostic(Span("a.py", 50, 0), "elsewhere"),
    )
    error = CompileError([late, early, Diagnostic(Span("b.py", 9, 0), "late"), other])
    assert error.diagnostics == (other, early, late)
    assert str(error) == "a.py:50:1: elsewhere\nb.py:2:6: early\nb.py:9:1: late"


# ---------------------------------------------------------------- exceptions
def family(root: type[KernelError]) -> list[type[KernelError]]:
    return [root, *(found for child in root.__subclasses__() for found in family(child))]


def example(cls: type[KernelError]) -> KernelError:
    arguments: tuple[Any, ...] = ("grid has a zero; make every axis at least 1",)
    if issubclass(cls, CompileError):
        arguments = ([Diagnostic(Span("b.py", 9), "late"), Diagnostic(Span("b.py", 2), "early")],)
    elif issubclass(cls, KernelFault):
        arguments = (Span("b.py", 9, 4), "index 7 is outside x", (1, 0, 0), (31, 0, 0))
    return cls(*arguments)


OURS = [cls for cls in family(KernelError) if cls.__module__ == errors.__name__]


def test_every_exception_of_the_module_is_a_kernel_error() -> None:
    defined = {x for x in vars(errors).values() if isinstance(x, type) and issubclass(x, Exception)}
    assert defined == set(OURS)


@pytest.mark.parametrize("cls", OURS)
def test_exceptions_survive_pickling(cls: type[KernelError]) -> None:
    error = example(cls)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == str(error) != ""
    assert vars(again) == vars(error)


@pytest.mark.parametrize(
    ("ours", "pythons"),
    [
        (errors.ArgumentError, TypeError),
        (errors.ConfigurationError, ValueError),
        (errors.ReadOnlyError, ValueError),
        (errors.OutOfBoundsError, IndexError),
        (errors.KernelAssertionError, AssertionError),
        (errors.UnassignedError, NameError),
        (errors.ZeroStepError, ValueError),
    ],
)
def test_pythons_own_except_clauses_work(ours: type[KernelError], pythons: type[Exception]) -> None:
    with pytest.raises(pythons):
        raise example(ours)


def test_a_fault_says_where_and_who(file: str) -> None:
    fault = KernelFault(Span(file, 2, 13, 2, 19), "index 7 is outside src", (2, 0, 0), (5, 1, 0))
    assert str(fault).splitlines() == [
        f"{file}:2:14: index 7 is outside src (block (2, 0, 0), thread (5, 1, 0))",
        "        dst[0] = src[0] + one",
        "                 ^^^^^^",
    ]
    assert str(KernelFault(NOWHERE, "stuck")) == "<kernelkit>:0:1: stuck"
