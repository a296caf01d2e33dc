"""Reading functions: where their nodes stand, and what has no source."""

from __future__ import annotations

import ast
import functools
import linecache
import sys
import types

import pytest

from kernelkit.errors import CompileError, SourceError
from kernelkit.frontend.source import read_source


def marker(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)

    return wrapper


def text_at(span):
    line = linecache.getline(span.file, span.line)
    return line[span.column : span.end_column]


def spans_of_names(source, name):
    return [
        source.span(n) for n in ast.walk(source.tree) if isinstance(n, ast.Name) and n.id == name
    ]


def plain(needle):
    return needle + needle


def test_spans_point_into_the_file():
    found = spans_of_names(read_source(plain), "needle")
    assert len(found) == 2
    assert [text_at(s) for s in found] == ["needle", "needle"]
    assert found[0].file == __file__


def test_decorated_and_indented():
    @marker
    def inner(needle):
        text = """lines
that end left"""
        return needle, text

    source = read_source(inner)
    (found,) = spans_of_names(source, "needle")
    assert text_at(found) == "needle"
    assert text_at(source.def_span) == "def inner"


def test_columns_count_characters():
    def umlaute(needle):
        return "äöü€", needle

    (found,) = spans_of_names(read_source(umlaute), "needle")
    assert text_at(found) == "needle"


def test_nested_names_come_from_the_closure():
    factor = 3

    def scaled(x):
        return x * factor

    found, value, again = read_source(scaled).lookup("factor")
    assert (found, value, again()) == (True, 3, 3)
    factor = 4
    assert again() == 4


def test_same_function_is_read_once():
    assert read_source(plain) is read_source(plain)


def test_lambda_coroutine_and_others_are_refused():
    async def later(x):
        return x

    with pytest.raises(CompileError, match="write it with def"):
        read_source(lambda x: x)
    with pytest.raises(CompileError, match="drop `async`"):
        read_source(later)
    for thing in (len, 3, type("C", (), {})):
        with pytest.raises(TypeError, match="plain Python function"):
            read_source(thing)


def test_exec_has_no_source():
    scope = {}
    exec(compile("def f(x):\n    return x\n", "<nowhere>", "exec"), scope)
    with pytest.raises(SourceError, match=r"linecache\.cache"):
        read_source(scope["f"])


def test_a_cell_registered_in_linecache_has_source():
    name, text = "<cell 7>", "def f(x):\n    return x\n"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), scope)
    source = read_source(scope["f"])
    assert source.file == name
    assert source.tree.name == "f"


def test_a_file_that_changed_is_refused(tmp_path):
    path = tmp_path / "changing.py"
    path.write_text("def first(x):\n    return x\n")
    module = types.ModuleType("changing")
    module.__file__ = str(path)
    sys.modules["changing"] = module
    exec(compile(path.read_text(), str(path), "exec"), vars(module))
    path.write_text("def second(x):\n    return x\n")
    linecache.checkcache(str(path))
    with pytest.raises(SourceError, match="changed after it was imported"):
        read_source(module.first)


def test_a_text_under_the_name_of_another_has_no_source():
    name, text = "<shared>", "x = 1\ny = 2\n"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    scope = {}
    exec(compile("def f(x):\n    return x\n", name, "exec"), scope)
    with pytest.raises(SourceError, match="cannot be read"):
        read_source(scope["f"])
