"""A Python function as source: its tree, and the place of each node in the user's file.

In: a function object. Out: a SourceFunction. Holds: spans are in the user's file, with columns in
characters; a function without readable source, or of a kind that no kernel can be (lambda,
generator, coroutine), is refused here.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import tokenize
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernelkit.errors import CompileError, Diagnostic, SourceError, Span

_CACHE: weakref.WeakKeyDictionary[types.FunctionType, SourceFunction] = weakref.WeakKeyDictionary()


#: The lines of the files of decorated functions, as they were then.
_LINES: weakref.WeakKeyDictionary[types.FunctionType, list[str]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class SourceFunction:
    """A function with its tree. `lines` are the lines of its text, the first at `first_line`."""

    fn: types.FunctionType
    name: str
    file: str
    tree: ast.FunctionDef
    lines: tuple[str, ...]
    first_line: int
    signature: inspect.Signature

    def span(self, node: ast.AST) -> Span:
        """Where a node stands in the user's file."""
        line: int = getattr(node, "lineno", 1)
        end: int = getattr(node, "end_lineno", None) or line
        shift = self.first_line - 1
        return Span(
            self.file,
            line + shift,
            self._column(line, getattr(node, "col_offset", 0)),
            end + shift,
            self._column(end, getattr(node, "end_col_offset", None) or 0),
        )

    def _column(self, line: int, offset: int) -> int:
        # ast counts UTF-8 bytes, people count characters.
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return offset if text.isascii() else len(text.encode()[:offset].decode(errors="ignore"))

    @property
    def def_span(self) -> Span:
        """The line of the `def` itself, up to the end of the name."""
        whole = self.span(self.tree)
        end = whole.column + len("def ") + len(self.name)
        return Span(whole.file, whole.line, whole.column, whole.line, end)

    def lookup(self, name: str) -> tuple[bool, object, Callable[[], object]]:
        """(found, value, how to read it again) for a name that is not local to the function."""
        code = self.fn.__code__
        if name in code.co_freevars and self.fn.__closure__:
            cell = self.fn.__closure__[code.co_freevars.index(name)]
            try:
                return True, cell.cell_contents, lambda: cell.cell_contents
            except ValueError:  # the enclosing function has not assigned it yet
                return False, None, lambda: None
        scope = self.fn.__globals__
        if name in scope:
            return True, scope[name], lambda: scope.get(name)
        if hasattr(builtins, name):
            # A global of the same name may come later and then hides the builtin.
            value = getattr(builtins, name)
            return True, value, lambda: scope.get(name, value)
        return False, None, lambda: None

    def visible_names(self) -> set[str]:
        """Every name that the function can see from outside itself."""
        return {*self.fn.__globals__, *self.fn.__code__.co_freevars, *vars(builtins)}


def remember(fn: Callable[..., Any]) -> list[str]:
    """The lines of a function's file as they are when it is defined or, where it has no decorator of
    ours, first looked at: by its first launch the file may have been edited."""
    function = inspect.unwrap(fn)
    if not isinstance(function, types.FunctionType):
        return []
    lines = _LINES.get(function)
    if lines is None:
        file = function.__code__.co_filename
        linecache.checkcache(file)
        lines = linecache.getlines(file, function.__globals__)
        if lines:
            _LINES[function] = lines
    return lines


def _text_of(function: types.FunctionType) -> list[str]:
    """The lines of a function, from its first decorator to its end.

    Raises an OSError where there are none, a SyntaxError for lines that are no function's.
    """
    lines = remember(function)[function.__code__.co_firstlineno - 1 :]
    if not lines:
        raise OSError("there is no such line")
    try:
        return inspect.getblock(lines)
    except tokenize.TokenError as error:
        raise SyntaxError(str(error)) from None


def read_source(fn: Callable[..., Any]) -> SourceFunction:
    """The source of a plain Python function.

    Raises SourceError where there is none (`exec`, a bare REPL), CompileError for a lambda, a
    generator or a coroutine, TypeError for what is no function.
    """
    function = inspect.unwrap(fn)
    if not isinstance(function, types.FunctionType):
        raise TypeError(f"a kernel must be a plain Python function, not {type(function).__name__}")
    found = _CACHE.get(function)
    if found is None or found.fn.__code__ is not function.__code__:
        found = _CACHE[function] = _read(function)
    return found


def _read(function: types.FunctionType) -> SourceFunction:
    code = function.__code__
    name, file, line = function.__name__, code.co_filename, code.co_firstlineno
    if name == "<lambda>":
        what = "a lambda cannot be a kernel or device function; write it with def"
        raise CompileError([Diagnostic(Span(file, line), what)])
    try:
        lines = _text_of(function)
    except (OSError, SyntaxError):
        raise _unreadable(function) from None
    text = "".join(lines)
    indented = text[:1] in " \t"
    # An `if` above keeps an indented def's columns (and its multi-line strings) as they are.
    tree = ast.parse("if 1:\n" + text).body[0].body[0] if indented else ast.parse(text).body[0]  # type: ignore[attr-defined]
    if indented:
        ast.increment_lineno(tree, -1)
    if isinstance(tree, ast.AsyncFunctionDef):
        what = "a coroutine cannot be a kernel; drop `async`"
        first = line + tree.lineno - 1
        raise CompileError([Diagnostic(Span(file, first, tree.col_offset), what)])
    if not isinstance(tree, ast.FunctionDef) or tree.name != function.__code__.co_name:
        if file.startswith("<"):  # the name of no file, which several texts may share
            raise _unreadable(function)
        raise SourceError(
            f"{file}:{line} does not hold {name} any more; the file changed after it was imported: "
            "import it again"
        )
    return SourceFunction(
        function, name, file, tree, tuple(text.splitlines()), line,
        inspect.signature(function),
    )  # fmt: skip


def _unreadable(function: types.FunctionType) -> SourceError:
    code = function.__code__
    return SourceError(
        f"the source of {function.__name__} ({code.co_filename}:{code.co_firstlineno}) cannot be "
        "read, and a kernel is compiled from its source; put it into a file or a notebook cell "
        "(text run by exec can be registered in linecache.cache under its file name; a bare REPL "
        "needs Python 3.13)"
    )
