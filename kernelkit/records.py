"""Records: dataclasses that are made in an eighth of the time.

In: a class with annotated fields. Out: one with slots, whose objects are built from their fields,
cannot be changed, are compared and hashed by content, print, copy and pickle.
Holds: `dataclasses.fields` and `replace` take records for dataclasses, and so do type checkers.

A process that compiles its first kernel makes a hundred such classes, and dataclasses would take
half as long for that as LLVM takes for the kernel.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, Final, TypeVar, dataclass_transform, overload

T = TypeVar("T")
Method = Callable[..., Any]


@overload
@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(cls: type[T], /) -> type[T]: ...
@overload
@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(*, frozen: bool = True, eq: bool = True) -> Callable[[type[T]], type[T]]: ...
def record(cls: Any = None, /, *, frozen: bool = True, eq: bool = True) -> Any:
    """`@record`, or `@record(eq=False)` for objects that equal only themselves, or
    `@record(frozen=False)` for objects that change. `dataclasses.field` gives a field a
    `default_factory` or leaves it out of the text (`repr=False`); other options it has not here."""
    return _made(cls, frozen, eq) if cls is not None else lambda cls: _made(cls, frozen, eq)


def _made(cls: type[Any], frozen: bool, eq: bool) -> type[Any]:
    body = dict(vars(cls))
    names = tuple(body.get("__annotations__", ()))
    defaults = {name: body.pop(name) for name in names if name in body}
    for unwanted in ("__dict__", "__weakref__"):
        body.pop(unwanted, None)
    shown = [n for n in names if getattr(defaults.get(n), "repr", True)]
    body |= {
        "__qualname__": cls.__qualname__,
        "__slots__": names,
        "__match_args__": names,
        "__dataclass_fields__": _Fields(names, defaults),
        "__repr__": body.get("__repr__") or _repr(shown),
        "__reduce__": _reduce(names),
        **(_FROZEN if frozen else {}),
    }
    made: type[Any] = type(cls.__name__, cls.__bases__, body)
    made.__init__ = _init(made, names, defaults)
    if eq and "__eq__" not in body:
        _compare(made, names, frozen)
    return made


# ---------------------------------------------------------------- methods
def _init(cls: type[Any], names: tuple[str, ...], defaults: dict[str, Any]) -> Method:
    """`__init__`, which sets the slots without asking `__setattr__`."""
    scope: dict[str, Any] = {}
    head, body = ["self"], []
    for name in names:
        scope[f"set_{name}"] = getattr(cls, name).__set__
        default = defaults.get(name, dataclasses.MISSING)
        factory = getattr(default, "default_factory", dataclasses.MISSING)
        value = name
        if factory is not dataclasses.MISSING:
            scope[f"make_{name}"] = factory
            value = f"make_{name}() if {name} is default_{name} else {name}"
        elif isinstance(default, dataclasses.Field):
            default = default.default
        scope[f"default_{name}"] = default
        head.append(name if default is dataclasses.MISSING else f"{name}=default_{name}")
        body.append(f"set_{name}(self, {value})")
    return _written(cls, "__init__", head, body or ["pass"], scope)


def _compare(cls: type[Any], names: tuple[str, ...], frozen: bool) -> None:
    """`__eq__` and `__hash__`, each written when it is first called: few records are compared."""

    def __eq__(self: Any, other: object) -> Any:
        mine, others = (f"({''.join(f'{who}.{n}, ' for n in names)})" for who in ("self", "other"))
        body = [
            "if other.__class__ is not self.__class__: return NotImplemented",
            f"return {mine} == {others}",
        ]
        cls.__eq__ = _written(cls, "__eq__", ["self", "other"], body, {})
        return cls.__eq__(self, other)

    def __hash__(self: Any) -> int:
        values = "".join(f"self.{name}, " for name in names)
        body = [f"return hash(({values}))"]
        cls.__hash__ = _written(cls, "__hash__", ["self"], body, {})
        return hash(self)

    cls.__eq__ = __eq__  # type: ignore[assignment]
    cls.__hash__ = __hash__ if frozen else None  # type: ignore[assignment]


def _written(
    cls: type[Any], name: str, head: list[str], body: list[str], scope: dict[str, Any]
) -> Method:
    """A method of this text."""
    exec(f"def {name}({', '.join(head)}):\n " + "\n ".join(body), scope)
    made: Method = scope[name]
    made.__qualname__ = f"{cls.__qualname__}.{name}"
    return made


def _repr(names: list[str]) -> Method:
    def __repr__(self: Any) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return __repr__


def _reduce(names: tuple[str, ...]) -> Method:
    def __reduce__(self: Any) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in names)

    return __reduce__


def _set(self: object, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


_FROZEN: Final[dict[str, Method]] = {"__setattr__": _set, "__delattr__": _delete}


# ---------------------------------------------------------------- what dataclasses asks for
@dataclasses.dataclass
class _Sample:
    field: Any


class _Fields:
    """`__dataclass_fields__`, made when somebody asks for it."""

    def __init__(self, names: tuple[str, ...], defaults: dict[str, Any]) -> None:
        self._names, self._defaults = names, defaults
        self._made: dict[str, dataclasses.Field[Any]] = {}

    def __get__(self, instance: object, owner: object = None) -> dict[str, dataclasses.Field[Any]]:
        if len(self._made) < len(self._names):
            self._made = {name: self._field(name) for name in self._names}
        return self._made

    def _field(self, name: str) -> dataclasses.Field[Any]:
        (sample,) = dataclasses.fields(_Sample)
        made, given = copy.copy(sample), self._defaults.get(name, dataclasses.MISSING)
        made.name, made.default = name, given
        if isinstance(given, dataclasses.Field):
            made.default, made.default_factory = given.default, given.default_factory
        return made
