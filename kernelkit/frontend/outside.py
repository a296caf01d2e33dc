"""What is outside the language, by node, with what to write instead."""

from __future__ import annotations

import ast
from typing import Final

from kernelkit.frontend.context import EXPRESSIONS, STATEMENTS, Context, handles
from kernelkit.frontend.values import Value

OUTSIDE: Final[dict[type[ast.AST], tuple[str, str]]] = {
    # statements
    ast.Try: ("try", "test for the case with if"),
    ast.Raise: ("raise", "write an error code to an array, or use assert"),
    ast.With: ("with", "write the statements without it"),
    ast.AsyncWith: ("async with", "write the statements without it"),
    ast.AsyncFor: ("async for", "write for"),
    ast.FunctionDef: (
        "a function inside a kernel",
        "define it outside; it is inlined where it is called",
    ),
    ast.AsyncFunctionDef: ("a coroutine", "define a plain function outside the kernel"),
    ast.ClassDef: ("a class", "pass numbers and arrays, or a NamedTuple defined outside"),
    ast.Import: ("import", "import outside the kernel"),
    ast.ImportFrom: ("import", "import outside the kernel"),
    ast.Global: ("global", "write results to an array argument"),
    ast.Nonlocal: ("nonlocal", "write results to an array argument"),
    ast.Delete: ("del", "leave the name be"),
    ast.Match: ("match", "write if and elif"),
    # expressions
    ast.Lambda: ("lambda", "define a function outside; it is inlined where it is called"),
    ast.ListComp: ("a list comprehension", "write a for loop"),
    ast.SetComp: ("a set comprehension", "write a for loop"),
    ast.DictComp: ("a dict comprehension", "write a for loop"),
    ast.GeneratorExp: ("a generator expression", "write a for loop"),
    ast.Yield: ("yield", "write results to an array argument"),
    ast.YieldFrom: ("yield from", "write results to an array argument"),
    ast.Await: ("await", "write the call without it"),
    ast.JoinedStr: ("an f-string", "it stands only inside print and assert"),
    ast.Dict: ("a dict", "use a tuple, or local.array"),
    ast.Set: ("a set", "use a tuple"),
    ast.List: ("a list", "use a tuple, or local.array(shape, dtype)"),
    ast.Starred: ("a star expression", "write the elements out"),
    ast.Slice: ("a slice", "index with integers, or pass the slice as an argument"),
}
if hasattr(ast, "TryStar"):
    OUTSIDE[ast.TryStar] = OUTSIDE[ast.Try]
if hasattr(ast, "TypeAlias"):
    OUTSIDE[ast.TypeAlias] = ("a type alias", "define it outside the kernel")

#: Python's functions on many values, with what to write instead.
FUNCTIONS: Final[tuple[tuple[object, str], ...]] = (
    (enumerate, "write `for i in range(len(a))` and read a[i]"),
    (zip, "write `for i in range(len(a))` and read a[i], b[i]"),
    (sum, "add the elements in a loop"),
    (any, "write a loop, or `or` between the values"),
    (all, "write a loop, or `and` between the values"),
    (sorted, "write the comparisons out"),
    (reversed, "write `for i in range(n - 1, -1, -1)`"),
    (map, "write a loop"),
    (filter, "write a loop with an if"),
)


_ALLOCATE: Final = "use local.array(shape, dtype) or shared.array(shape, dtype)"
_BEFORE: Final = "call it outside and take its result as a global"
#: NumPy's functions, with what to write instead.
NUMPY: Final[dict[str, str]] = {
    "absolute": "write abs", "abs": "write abs", "minimum": "write min", "maximum": "write max",
    "zeros": _ALLOCATE, "ones": _ALLOCATE, "empty": _ALLOCATE, "full": _ALLOCATE,
    "array": _ALLOCATE, "asarray": _ALLOCATE, "zeros_like": _ALLOCATE, "empty_like": _ALLOCATE,
    "finfo": _BEFORE, "iinfo": _BEFORE, "dtype": _BEFORE, "arange": _BEFORE, "linspace": _BEFORE,
    "power": "write **", "mod": "write %", "fmin": "write kk.fmin", "fmax": "write kk.fmax",
    "where": "write a if condition else b", "clip": "write min(max(x, low), high)",
    "arctan2": "write math.atan2", "arcsin": "write math.asin", "arccos": "write math.acos",
    "arctan": "write math.atan", "rint": "write round",
}  # fmt: skip


def _refuse(ctx: Context, node: ast.AST) -> Value:
    what, instead = OUTSIDE.get(type(node), (f"`{ast.unparse(node)}`", "write it in simpler terms"))
    ctx.fail(node, f"{what} is not part of the language; {instead}")


handles(EXPRESSIONS, ast.AST)(_refuse)
handles(STATEMENTS, ast.AST)(_refuse)
