"""What a kernel depends on outside of itself, as text that means the same in every process.

In: a Python function. Out: a Fingerprint: the source of the function and of all that it names, and
the values of the rest, with a check that none of it changed since.
Holds: whatever the front end could fold into a kernel is in it, or there is none: every name that
the source mentions counts, and a value without a text that tells it from all others (an object of a
user's class, an array of many elements) gives None.
"""

from __future__ import annotations

import builtins
import enum
import functools
import hashlib
import inspect
import io
import tokenize
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from kernelkit.frontend.builtins import BUILTINS
from kernelkit.frontend.source import snapshot

#: Modules whose attributes mean the same for one version of everything.
_TRUSTED: Final = frozenset(("numpy", "math", "cmath", "kernelkit", "builtins", "operator"))
_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))
#: Arrays of more bytes are not looked at.
_LARGEST: Final = 1 << 20
_MISSING: Final = object()


class _Unknown(Exception):
    """A value that no text stands for."""


class Held:
    """Something that was looked up, and what it was."""

    __slots__ = ("current", "value")

    def __init__(self, value: object, current: Callable[[], object]) -> None:
        self.value, self.current = value, current

    def unchanged(self) -> bool:
        try:
            return self.current() is self.value
        except Exception:
            return False


class Fingerprint:
    """`text` is equal for equal kernels; `captures` notice changes in this process."""

    def __init__(self, text: str, captures: tuple[Held, ...]) -> None:
        self.text, self.captures = text, captures


def fingerprint(fn: Callable[..., Any]) -> Fingerprint | None:
    """The fingerprint of a function; None where it has none."""
    tracer = _Tracer()
    try:
        tracer.function(inspect.unwrap(fn))
    except (_Unknown, RecursionError):
        return None
    return Fingerprint("\n".join(tracer.parts), tuple(tracer.held))


def value_text(value: object) -> str | None:
    """The text of one value, such as an argument that is known at compile time."""
    tracer = _Tracer()
    try:
        tracer.value(value)
    except (_Unknown, RecursionError):
        return None
    return "\n".join(tracer.parts)


class _Tracer:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self.held: list[Held] = []
        self.seen: dict[int, int] = {}
        self.kept: list[object] = []

    # ------------------------------------------------------------ functions
    def function(self, fn: object) -> None:
        if not isinstance(fn, types.FunctionType):
            raise _Unknown
        if self.known(fn):
            return
        code = fn.__code__
        text = _text(fn)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.parts.append(f"def {code.co_filename}:{code.co_firstlineno} {code.co_name} {digest}")
        self.value(fn.__defaults__)
        self.value(tuple(sorted((fn.__kwdefaults__ or {}).items())))
        local = {*code.co_varnames, *code.co_cellvars}
        chains = dict.fromkeys([*_chains(text), *((name,) for name in _names(code))])
        for chain in chains:
            if chain[0] not in local:
                self.chain(fn, chain)

    def known(self, thing: object) -> bool:
        """Whether a thing was traced before; if so, its number stands for it."""
        number = self.seen.get(id(thing))
        if number is None:
            self.seen[id(thing)] = len(self.seen)
            self.kept.append(thing)  # so that nothing else gets its id
            return False
        self.parts.append(f"again {number}")
        return True

    def chain(self, fn: types.FunctionType, names: tuple[str, ...]) -> None:
        """What `a.b.c` stands for in a function, if it is nothing of the function's own."""
        value, current = _lookup(fn, names[0])
        if value is _MISSING or current is None:
            return
        if names[0] not in vars(builtins) or value is not getattr(builtins, names[0]):
            self.held.append(Held(value, current))
        for name in names[1:]:
            if isinstance(value, types.ModuleType) and _root(value) in _TRUSTED:
                break
            if id(value) in _device_names():
                break  # threadIdx, whose x means something only inside a kernel
            attribute = inspect.getattr_static(value, name, _MISSING)
            if attribute is _MISSING and not isinstance(value, types.ModuleType):
                break  # a method of a value; the value is traced
            owner, found = value, _attribute(value, name)
            if found is _MISSING:
                break
            self.held.append(Held(found, lambda owner=owner, name=name: getattr(owner, name)))  # type: ignore[misc]
            value = found
        self.parts.append(".".join(names))
        if isinstance(value, types.ModuleType) and _root(value) not in _TRUSTED:
            raise _Unknown  # what is read of it later cannot be seen here
        self.value(value)

    # ------------------------------------------------------------ values
    def value(self, value: object) -> None:
        kind = type(value)
        if isinstance(value, _PLAIN) and kind in _PLAIN:
            self.parts.append(f"{kind.__name__} {value!r}")
        elif isinstance(value, tuple):
            self.parts.append(f"tuple {_named(kind)} {len(value)} {getattr(value, '_fields', '')}")
            for item in value:
                self.value(item)
        elif isinstance(value, np.dtype):
            self.parts.append(f"dtype {value.str} {value.fields}")
        elif isinstance(value, np.generic):
            self.parts.append(f"scalar {value.dtype.str} {value.tobytes().hex()}")
        elif kind is np.ndarray:
            self.array(value)  # type: ignore[arg-type]
        elif isinstance(value, enum.Enum):
            self.parts.append(f"enum {_named(kind)} {value.name}")
            self.value(value.value)
        elif isinstance(value, types.ModuleType) and _root(value) in _TRUSTED:
            self.parts.append(f"module {value.__name__}")
        elif id(value) in _device_names():
            self.parts.append(f"device {_device_names()[id(value)]}")
        elif isinstance(
            value, (type, types.FunctionType, types.BuiltinFunctionType, np.ufunc)
        ) and (_is_standard(value)):
            self.parts.append(f"known {_named(value)}")
        elif isinstance(value, types.FunctionType):
            self.function(value)
        elif _is_standard(kind) and hasattr(value, "__wrapped__"):  # a kernel or a device function
            self.parts.append(f"decorated {_named(kind)}")
            self.function(inspect.unwrap(value))  # type: ignore[arg-type]
        else:
            raise _Unknown

    def array(self, array: np.ndarray) -> None:
        if array.nbytes > _LARGEST or array.dtype.hasobject:
            raise _Unknown
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        flags = array.flags
        self.parts.append(
            f"array {array.dtype.str} {array.shape} {array.strides} {flags.writeable} {digest}"
        )


def _attribute(owner: object, name: str) -> object:
    try:
        return getattr(owner, name, _MISSING)
    except Exception:
        raise _Unknown from None  # whose fault it is, the front end says better


def _lookup(fn: types.FunctionType, name: str) -> tuple[object, Callable[[], object] | None]:
    """(value, how to read it again) of a name outside a function."""
    code = fn.__code__
    if name in code.co_freevars and fn.__closure__:
        cell = fn.__closure__[code.co_freevars.index(name)]
        try:
            return cell.cell_contents, lambda: cell.cell_contents
        except ValueError:
            raise _Unknown from None
    scope = fn.__globals__
    if name in scope:
        return scope[name], lambda: scope.get(name)
    if hasattr(builtins, name):
        value = getattr(builtins, name)
        return value, lambda: scope.get(name, value)
    return _MISSING, None


def _text(fn: types.FunctionType) -> str:
    """The lines of a function, from its first decorator to its last expression."""
    lines = snapshot(fn)
    if lines is None:
        raise _Unknown
    first = fn.__code__.co_firstlineno
    return "".join(lines[first - 1 : _last_line(fn.__code__)])


def _last_line(code: types.CodeType) -> int:
    ends = [end for _, end, _, _ in code.co_positions() if end]
    inner = [_last_line(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    return max(ends + inner)


def _root(module: types.ModuleType) -> str:
    return module.__name__.partition(".")[0]


def _named(thing: Any) -> str:
    module = getattr(thing, "__module__", "") or ""
    return f"{module}.{getattr(thing, '__qualname__', getattr(thing, '__name__', ''))}"


def _is_standard(thing: Any) -> bool:
    """Whether a class or function is of a module that is the same for one version of everything."""
    module = getattr(thing, "__module__", None)
    if isinstance(thing, np.ufunc):
        return True
    return isinstance(module, str) and module.partition(".")[0] in _TRUSTED


@functools.cache
def _device_names() -> dict[int, str]:
    return {id(value): name for name, value in BUILTINS.items()}


# ---------------------------------------------------------------- what a text mentions
def _chains(text: str) -> Iterator[tuple[str, ...]]:
    """Every `a.b.c` in a text, as (a, b, c)."""
    chain: list[str] = []
    dotted = False
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.NAME:
                if not dotted and chain:
                    yield tuple(chain)
                chain = [*chain, token.string] if dotted else [token.string]
                dotted = False
            elif token.type == tokenize.OP and token.string == "." and chain:
                dotted = True
            elif token.type not in (tokenize.NL, tokenize.COMMENT):
                if chain and not dotted:
                    yield tuple(chain)
                chain, dotted = [], False
    except (tokenize.TokenError, IndentationError):
        # The text stops in the middle of something, or starts there.
        pass
    if chain:
        yield tuple(chain)


def _names(code: types.CodeType) -> Iterator[str]:
    """Every name that code mentions, those inside formatted strings too."""
    yield from (*code.co_names, *code.co_freevars)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)
