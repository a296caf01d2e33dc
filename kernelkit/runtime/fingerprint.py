"""What a kernel depends on outside of itself, as text that means the same in every process.

In: a Python function. Out: a Fingerprint: the source of the function and of all that it names, and
the values of the rest, with captures that notice when one of them changes.
Holds: whatever the front end could fold into a kernel is in it, or there is none: every name that
the source mentions counts, and a value without a text that tells it from all others (an object of a
user's class, an array of many elements) gives None.
"""

from __future__ import annotations

import ast
import builtins
import enum
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from kernelkit.frontend.builtins import BUILTINS
from kernelkit.frontend.captures import Capture, Current, capture
from kernelkit.frontend.source import SourceFunction, read_source
from kernelkit.runtime.disk_cache import digest

#: Packages whose functions and classes are the same for one version of everything.
_TRUSTED: Final = frozenset(
    ("numpy", "math", "cmath", "kernelkit", "builtins", "operator", "_operator")
)
_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
#: Of these the front end reads no attribute that their text does not determine.
_DATA: Final = (bool, int, float, complex, str, bytes, tuple, np.generic, np.ndarray, np.dtype)
#: What an array's elements and type determine of it.
_OF_ARRAYS: Final = frozenset(("shape", "ndim", "size", "dtype", "T", "itemsize", "nbytes"))
_NAMED: Final = (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)
#: Arrays of more bytes are not looked at.
_LARGEST: Final = 1 << 20


#: `a.b.c` as (a, b, c).
Chain = tuple[str, ...]


class Fingerprint(NamedTuple):
    """`text` is equal for equal kernels; `captures` notice changes in this process."""

    text: str
    captures: tuple[Capture, ...]


class _Unknown(Exception):
    """A value that no text stands for."""


def of_function(fn: Callable[..., Any]) -> Fingerprint | None:
    """The fingerprint of a function; None where it has none."""
    return _traced(lambda tracer: tracer.function(inspect.unwrap(fn)))


def of_value(value: object) -> Fingerprint | None:
    """The same for a value, such as an argument that is known at compile time."""
    return _traced(lambda tracer: tracer.inner(value))


def _traced(trace: Callable[[_Tracer], None]) -> Fingerprint | None:
    tracer = _Tracer()
    try:
        trace(tracer)
    except Exception:
        # Whatever a property or a broken source raises, the front end says it better.
        return None
    return Fingerprint("\n".join(tracer.parts), tuple(tracer.captures))


class _Tracer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.captures: list[Capture] = []
        self._numbers: dict[types.FunctionType, int] = {}

    # ------------------------------------------------------------ functions
    def function(self, fn: object) -> None:
        if not isinstance(fn, types.FunctionType) or "__signature__" in vars(fn):
            raise _Unknown
        if fn in self._numbers:
            self.parts.append(f"again {self._numbers[fn]}")
            return
        self._numbers[fn] = len(self._numbers)
        source, code = read_source(fn), fn.__code__
        place = source.file, source.first_line, code.co_name, source.name
        self.parts.append(f"function {place!r} {source.lines!r}")
        self.inner((fn.__defaults__, tuple(sorted((fn.__kwdefaults__ or {}).items()))))
        local = {*code.co_varnames, *code.co_cellvars}
        for chain in dict.fromkeys(_mentions(source)):
            if chain[0] not in local:
                self.chain(fn, chain)

    def chain(self, fn: types.FunctionType, names: Chain) -> None:
        """What `a.b.c` stands for in a function, if it is nothing of the function's own."""
        found = _lookup(fn, names[0])
        if found is None:
            return
        self.parts.append(".".join(names))
        value, current = found
        self.capture(names[0], value, current)
        for name in names[1:]:
            if isinstance(value, np.ndarray) and name not in _OF_ARRAYS:
                raise _Unknown
            if isinstance(value, _DATA) or id(value) in _device_names():
                break
            owner = value
            try:
                value = getattr(owner, name)
            except AttributeError:
                break
            if not _is_trusted(owner):
                self.capture(name, value, functools.partial(getattr, owner, name))
        self.value(value)

    def capture(self, name: str, value: object, current: Current) -> None:
        found = capture(name, value, current)
        if found is not None:
            self.captures.append(found)

    # ------------------------------------------------------------ values
    def value(self, value: object) -> None:
        kind = type(value)
        if kind in _PLAIN:
            self.parts.append(f"{kind.__name__} {value!r}")
        elif isinstance(value, tuple):
            fields = getattr(kind, "_fields", ())
            self.parts.append(f"tuple {_name(kind)} {len(value)} {fields}")
            for item in value:
                self.inner(item)
        elif isinstance(value, np.dtype):
            self.parts.append(f"dtype {value.str} {value.fields}")
        elif isinstance(value, np.generic):
            self.parts.append(f"scalar {value.dtype.str} {value.tobytes().hex()}")
        elif isinstance(value, np.ndarray):
            self.array(value)
        elif isinstance(value, enum.Enum):
            self.parts.append(f"enum {_name(kind)} {value.name!r}")
            self.inner(value.value)
        else:
            self.thing(value)

    def inner(self, value: object) -> None:
        """A value inside another: nobody binds it anew, but an array's elements may change."""
        if isinstance(value, np.ndarray):
            self.capture("", value, lambda: value)
        self.value(value)

    def array(self, array: np.ndarray) -> None:
        if type(array) is not np.ndarray or array.nbytes > _LARGEST or array.dtype.hasobject:
            raise _Unknown
        kind = f"{array.dtype.str} {array.dtype.fields} {array.flags.writeable}"
        elements = digest(array.tobytes()).hexdigest()
        self.parts.append(f"array {kind} {array.shape} {array.strides} {elements}")

    def thing(self, value: Any) -> None:
        """A function, class or module."""
        if callable(value) and hasattr(value, "__wrapped__"):
            self.parts.append(f"wrapped {_name(type(value))}")
            value = inspect.unwrap(value)
        if id(value) in _device_names():
            self.parts.append(f"device {_device_names()[id(value)]}")
        elif _is_trusted(value) and not _is_own_function(value):
            self.parts.append(f"known {_name(value)}")
        elif isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
            self.parts.append(f"class {_name(value)} {value._fields} {inspect.signature(value)}")
            self.inner(tuple(getattr(value, "_field_defaults", {}).items()))
        else:
            self.function(value)


def _mentions(source: SourceFunction) -> Iterator[Chain]:
    """Every `a.b.c` in the body of a function, as (a, b, c). What its header names was evaluated
    when it was defined, and no kernel depends on it in another way."""
    seen: set[int] = set()
    for statement in source.tree.body:
        for node in ast.walk(statement):
            names: list[str] = []
            while isinstance(node, ast.Attribute) and id(node) not in seen:
                seen.add(id(node))
                names.append(node.attr)
                node = node.value
            if isinstance(node, ast.Name) and id(node) not in seen:
                seen.add(id(node))
                yield (node.id, *reversed(names))


def _lookup(fn: types.FunctionType, name: str) -> tuple[object, Current] | None:
    """(value, how to read it again) of a name outside a function; None where there is none."""
    code, scope = fn.__code__, fn.__globals__
    if name in code.co_freevars and fn.__closure__:
        cell = fn.__closure__[code.co_freevars.index(name)]
        return cell.cell_contents, lambda: cell.cell_contents
    if name in scope:
        return scope[name], lambda: scope.get(name)
    if hasattr(builtins, name):
        value = getattr(builtins, name)
        return value, lambda: scope.get(name, value)
    return None


def _name(thing: Any) -> str:
    """module.name of a class, function or module."""
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    home = "numpy" if isinstance(thing, np.ufunc) else thing.__module__
    return f"{home}.{getattr(thing, '__qualname__', thing.__name__)}"


def _is_trusted(thing: object) -> bool:
    """Whether something is a module of a package that is the same for one version of everything,
    or the class or function of that name in such a module."""
    if not isinstance(thing, (types.ModuleType, *_NAMED)):
        return False
    name = _name(thing)
    if name.partition(".")[0] not in _TRUSTED:
        return False
    if isinstance(thing, types.ModuleType):
        return sys.modules.get(name) is thing
    module = "numpy" if isinstance(thing, np.ufunc) else str(thing.__module__)
    found: object = sys.modules.get(module)
    for part in name[len(module) + 1 :].split("."):
        found = getattr(found, part, None)
    return found is thing


def _is_own_function(thing: object) -> bool:
    """A plain function in one of our own packages: kernels inline it like any other."""
    return isinstance(thing, types.FunctionType) and thing.__module__.startswith("kernelkit")


@functools.cache
def _device_names() -> dict[int, str]:
    return {id(value): name for name, value in BUILTINS.items()}
