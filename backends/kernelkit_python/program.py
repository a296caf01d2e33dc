"""A printed kernel on its way: PythonSource -> JSON-like metadata and text -> a function to run.

In: what `kernelkit.emit.python` printed. Out: bytes that a disk cache may keep, and from them a
`Program`.
Holds: the compiled function's file name, lines and columns are the user's, statement for statement
and for each access to an array, so that debuggers, tracebacks and coverage show the user's source.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any, Final

import numpy as np

from kernelkit.emit.python import PythonSource, Site
from kernelkit.errors import NOWHERE, CompileError, Diagnostic, Span
from kernelkit.ir import nodes as ir
from kernelkit.ir import scalar
from kernelkit.ir.types import DTYPES, AddressSpace
from kernelkit_python.access import NAME, access
from kernelkit_python.memory import Placed, local_template
from kernelkit_python.runtime import RUNTIME

#: The layout of the bytes; others are refused.
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Program:
    """A kernel, ready to run. `parameters` has a dtype for each scalar and None for each array."""

    function: Callable[..., Any]
    code: CodeType
    span: Span
    suspends: bool
    debug: bool
    parameters: tuple[str | None, ...]
    sites: tuple[Site, ...]
    shared: tuple[Placed | None, ...]
    described: Mapping[str, str]
    reads: Mapping[str, tuple[Span, ...]]


# ---------------------------------------------------------------- to text and bytes
class _Spans:
    """Spans as lists of five numbers, files by number."""

    def __init__(self) -> None:
        self.files: dict[str, int] = {}

    def __call__(self, span: Span) -> list[int]:
        file = self.files.setdefault(span.file, len(self.files))
        return [file, span.line, span.column, span.end_line, span.end_column]


def metadata(source: PythonSource, kernel: ir.Kernel) -> dict[str, Any]:
    """All of a printed kernel but its text, of JSON's types."""
    spans = _Spans()
    return {
        "format": FORMAT,
        "function": source.function,
        "span": spans(kernel.span),
        "lines": [spans(line.span) for line in source.lines],
        "sites": [[site.kind, spans(site.span), site.name] for site in source.sites],
        "reads": {name: [spans(span) for span in found] for name, found in source.reads.items()},
        "described": dict(source.described),
        "arrays": [_allocation(stmt) for stmt in source.arrays],
        "parameters": [p.type.name if isinstance(p, ir.Var) else None for p in kernel.params],
        "suspends": source.suspends,
        "debug": kernel.options.debug,
        "files": list(spans.files),
    }


def _allocation(stmt: ir.Allocate) -> dict[str, Any]:
    array, data = stmt.array, stmt.data
    elements = None if data is None else np.ascontiguousarray(data, array.type.dtype.numpy)
    return {
        "space": array.type.space.value,
        "dtype": array.type.dtype.name,
        "shape": list(array.shape),
        "data": None if elements is None else base64.b64encode(elements.tobytes()).decode(),
    }


def annotated(source: PythonSource, extra: Mapping[str, Any]) -> str:
    """The text for people, each line with that of the user; its head tells apart kernels that
    differ in what the text does not show (places, elements of constant arrays)."""
    digest = hashlib.sha256(to_bytes("", extra)).hexdigest()[:16]
    head = f"# {source.function} of {extra['files'][0]}, metadata {digest}\n"
    width = min(88, max(len(line.text) for line in source.lines))
    return head + "".join(
        f"{line.text.ljust(width)}  # line {line.span.line}\n" for line in source.lines
    )


def to_bytes(text: str, extra: Mapping[str, Any]) -> bytes:
    return json.dumps({"text": text, **extra}, separators=(",", ":"), allow_nan=False).encode()


# ---------------------------------------------------------------- from bytes
def _compiled(tree: ast.Module, home: Span) -> CodeType:
    try:
        return compile(tree, home.file, "exec", dont_inherit=True)
    except SyntaxError as error:
        # A limit of CPython's: 20 loops inside one another.
        message = (
            f"Python cannot run this kernel ({error.msg}); loops and inlined functions that return "
            "early may stand 20 deep: let the innermost functions return at their end only"
        )
        raise CompileError([Diagnostic(home, message)]) from None


def from_bytes(data: bytes) -> Program:
    """The function and its tables."""
    stored = json.loads(data)
    if stored["format"] != FORMAT:
        raise ValueError(f"a reference kernel of format {stored['format']}, not {FORMAT}")
    files = stored["files"]

    def span(numbers: Sequence[int]) -> Span:
        return Span(files[numbers[0]], *numbers[1:])

    sites = tuple(Site(kind, span(at), name) for kind, at, name in stored["sites"])
    home = span(stored["span"])
    # The first line of the text is its head.
    tree = _relocated(stored["text"], [home, *map(span, stored["lines"])], sites, home)
    namespace = _namespace(tree, home.file)
    namespace["_k_arrays"] = [_array(each) for each in stored["arrays"]]
    exec(_compiled(tree, home), namespace)
    function = namespace[stored["function"]]
    return Program(
        function=function,
        code=function.__code__,
        span=home,
        suspends=stored["suspends"],
        debug=stored["debug"],
        parameters=tuple(stored["parameters"]),
        sites=sites,
        shared=tuple(_shared(each) for each in stored["arrays"]),
        described=stored["described"],
        reads={name: tuple(map(span, found)) for name, found in stored["reads"].items()},
    )


def _array(stored: Mapping[str, Any]) -> np.ndarray | None:
    """A constant array, or what a local one starts as."""
    shape, dtype = tuple(stored["shape"]), DTYPES[stored["dtype"]].numpy
    if stored["data"] is not None:
        return np.frombuffer(base64.b64decode(stored["data"]), dtype).reshape(shape)
    return local_template(shape, dtype) if stored["space"] == AddressSpace.LOCAL.value else None


def _shared(stored: Mapping[str, Any]) -> Placed | None:
    if stored["space"] != AddressSpace.SHARED.value:
        return None
    return Placed(tuple(stored["shape"]), DTYPES[stored["dtype"]].numpy)


def _namespace(tree: ast.Module, file: str) -> dict[str, Any]:
    """The globals of a printed kernel."""
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    functions = {name: access(name) for name in named if NAME.fullmatch(name)}
    return {**_surroundings(file), **scalar.NAMESPACE, **RUNTIME, **functions}


def _surroundings(file: str) -> dict[str, Any]:
    """The modules and numbers of the user's module, for expressions typed into a debugger. Not its
    arrays: a kernel that stays in a cache must not keep them alive."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == file:
            kept = (ModuleType, str, int, float, complex, np.generic)
            return {k: v for k, v in vars(module).items() if isinstance(v, kept)}
    return {"__name__": "kernelkit_python.kernels"}


# ---------------------------------------------------------------- relocation
def _relocated(text: str, lines: Sequence[Span], sites: Sequence[Site], home: Span) -> ast.Module:
    """The syntax tree of a text, its nodes where the user's source is."""
    tree = ast.parse(text)
    nearest = _at_home(lines, home)
    places = _Places(home.file)
    stack: list[tuple[ast.AST, Span | None]] = [(tree, None)]
    while stack:
        node, inherited = stack.pop()
        if isinstance(node, ast.Call):
            site = _site(node, sites)
            if site is not None and site.span.file == home.file:
                inherited = site.span
        if hasattr(node, "lineno"):
            places.put(node, inherited or nearest[node.lineno - 1])
        statement = isinstance(node, ast.stmt)
        stack += [(child, None if statement else inherited) for child in ast.iter_child_nodes(node)]
    return tree


def _at_home(lines: Sequence[Span], home: Span) -> list[Span]:
    """Lines that were inlined from another file stand where the last one of this file did."""
    found, last = [], home
    for span in lines:
        last = span if span.file == home.file and span != NOWHERE else last
        found.append(last)
    return found


def _site(call: ast.Call, sites: Sequence[Site]) -> Site | None:
    """The site of an access to an array."""
    match call:
        case ast.Call(func=ast.Name(id=name), args=[_, ast.Constant(value=int(number)), *_]):
            return sites[number] if NAME.fullmatch(name) else None
        case _:
            return None


class _Places:
    """Writes spans into nodes. Python counts columns in bytes of UTF-8."""

    def __init__(self, file: str) -> None:
        self._file = file

    def put(self, node: Any, span: Span) -> None:
        end_line = max(span.end_line, span.line)
        node.lineno, node.end_lineno = span.line, end_line
        node.col_offset = self._bytes(span.line, span.column)
        end = self._bytes(end_line, span.end_column)
        node.end_col_offset = max(end, node.col_offset) if end_line == span.line else end

    def _bytes(self, line: int, column: int) -> int:
        text = linecache.getline(self._file, line)
        return column if text.isascii() else len(text[:column].encode())
