"""The parameters of a kernel, as its caller sees them.

In: a Python function and the arguments of a call. Out: one value for each parameter, in order.
Holds: a call that does not fit is an ArgumentError that names what is missing or too much.
"""

from __future__ import annotations

import difflib
import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kernelkit.errors import ArgumentError
from kernelkit.frontend.builtins import constexpr

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Parameters:
    """The names, defaults and compile-time marks of a kernel's parameters."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        found = list(read_signature(fn).parameters.values())
        self.kernel = fn.__name__
        self._variadic = any(p.kind in _VARIADIC for p in found)
        found = [p for p in found if p.kind not in _VARIADIC]
        self.names = tuple(p.name for p in found)
        #: The places of the parameters annotated kk.constexpr.
        self.static = frozenset(i for i, p in enumerate(found) if _is_static(fn, p.annotation))
        self._defaults = tuple(p.default for p in found)
        self._positional = sum(p.kind is not inspect.Parameter.KEYWORD_ONLY for p in found)
        self._by_name = {
            p.name: i
            for i, p in enumerate(found)
            if p.kind is not inspect.Parameter.POSITIONAL_ONLY
        }
        plain = self._positional == len(found) and not self._variadic
        #: A call with just so many positional arguments needs no binding; -1: there is none such.
        self.plain = len(found) if plain else -1

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """One value for each parameter."""
        if self._variadic:
            # Star-arguments are outside the language, which the front end says with a caret.
            args = args[: self._positional]
            kwargs = {name: value for name, value in kwargs.items() if name in self._by_name}
        if len(args) > self._positional:
            surplus = ", ".join(map(repr, self.names[self._positional : len(args)]))
            raise ArgumentError(
                f"{self.kernel} takes {_count(self._positional)} by position, {self._listed()}, and "
                f"{len(args)} were given"
                + (f"; give {surplus} by name" if surplus else "; leave out the surplus ones")
            )
        values = [*args, *self._defaults[len(args) :]]
        for name, value in kwargs.items():
            values[self._place(name, len(args))] = value
        missing = [
            repr(name)
            for name, value in zip(self.names, values, strict=True)
            if value is inspect.Parameter.empty
        ]
        if missing:
            raise ArgumentError(
                f"the call of {self.kernel} lacks {_and(missing)}; it takes {self._listed()}"
            )
        return values

    def _place(self, name: str, given: int) -> int:
        place = self._by_name.get(name)
        if place is None:
            near = difflib.get_close_matches(name, self._by_name, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it takes {self._listed()}"
            if name in self.names:
                hint = "it is taken by position only"
            raise ArgumentError(f"{self.kernel} has no argument named {name!r}; {hint}")
        if place < given:
            raise ArgumentError(f"{self.kernel} was given {name!r} twice, by position and by name")
        return place

    def _listed(self) -> str:
        return f"({', '.join(self.names)})"


def _count(number: int) -> str:
    return f"{number} argument" if number == 1 else f"{number} arguments"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def read_signature(fn: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function, also where its annotations name what does not exist at run time."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(fn, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(fn)


def _is_static(fn: Callable[..., Any], annotation: object) -> bool:
    """Whether an annotation is kk.constexpr, by any name and also as text."""
    if isinstance(annotation, str):
        function = inspect.unwrap(fn)
        names: dict[str, object] = {}
        if isinstance(function, types.FunctionType):
            names = function.__globals__ | _enclosing(function)
        try:
            annotation = eval(annotation, names)
        except Exception:
            # A name for type checkers only; it is not constexpr, which exists at run time.
            return False
    return annotation is constexpr


def _enclosing(function: types.FunctionType) -> dict[str, object]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found
