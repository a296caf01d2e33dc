"""Records behave as the dataclasses that they stand for."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from kernelkit.records import record

Make = Callable[..., Any]


@record
class Point:
    """A point."""

    x: int
    y: int = 2
    #: Of its own for each point.
    marks: tuple[str, ...] = dataclasses.field(default_factory=lambda: ("made",))
    hidden: object = dataclasses.field(default_factory=dict, repr=False)

    @property
    def sum(self) -> int:
        return self.x + self.y

    @staticmethod
    def origin() -> Point:
        return Point(0, 0)


@record(eq=False)
class Node:
    name: str
    inner: Any = None


@record(frozen=False)
class State:
    count: int
    seen: list[int] = dataclasses.field(default_factory=list)


@record
class Empty:
    pass


@record
class One:
    only: Any

    def __repr__(self) -> str:
        return "one"


def as_dataclass(cls: type[Any], **options: Any) -> type[Any]:
    """The dataclass with the same fields."""
    body = {name: value for name, value in vars(cls).items() if name == "__doc__"}
    body |= {field.name: field for field in dataclasses.fields(cls)}
    made: type[Any] = type(cls.__name__, (), body | {"__annotations__": cls.__annotations__})
    return dataclasses.dataclass(slots=True, **options)(made)


PAIRS = [
    (One, as_dataclass(One, frozen=True), (1,)),
    (Empty, as_dataclass(Empty, frozen=True), ()),
    (Node, as_dataclass(Node, frozen=True, eq=False), ("a", None)),
    (State, as_dataclass(State), (1, [2])),
]


@pytest.mark.parametrize(("ours", "theirs", "values"), PAIRS)
def test_as_dataclasses_do(ours: Any, theirs: Any, values: tuple[Any, ...]) -> None:
    names = [field.name for field in dataclasses.fields(theirs)]
    assert [field.name for field in dataclasses.fields(ours)] == names
    assert ours.__slots__ == theirs.__slots__ and ours.__match_args__ == theirs.__match_args__
    for cls in (ours, theirs):
        one, two = cls(*values), cls(**dict(zip(names, values, strict=True)))
        assert [getattr(one, name) for name in names] == list(values)
        assert (one == two) is (cls not in PAIRS[2][:2])
        assert one == one and one != values and not one == object()
        assert dataclasses.is_dataclass(one) and not hasattr(one, "__dict__")
        with pytest.raises(TypeError, match="unexpected keyword"):
            cls(**dict(zip(names, values, strict=True)), other=1)
    for mine, field in zip(dataclasses.fields(ours), dataclasses.fields(theirs), strict=True):
        assert (mine.default, mine.default_factory) == (field.default, field.default_factory)
    assert (ours.__hash__ is None) is (theirs.__hash__ is None)
    if ours is not One:
        assert repr(ours(*values)) == repr(theirs(*values))


def test_fields_have_defaults() -> None:
    point = Point(1)
    assert (point.x, point.y, point.marks, point.hidden) == (1, 2, ("made",), {})
    assert Point(1).hidden is not point.hidden
    assert Point(1, marks=()).marks == ()
    assert State(1).seen == [] and State(1).seen is not State(1).seen
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]


def test_text_leaves_out_what_it_is_told_to() -> None:
    assert repr(Point(1)) == "Point(x=1, y=2, marks=('made',))"
    assert repr(One(3)) == "one"


def test_the_class_is_itself() -> None:
    assert Point.__doc__ == "A point." and Point.__module__ == __name__
    assert Point.__qualname__ == "Point" and Point.__init__.__qualname__ == "Point.__init__"
    assert Point(1).sum == 3 and Point.origin().sum == 0
    match Point(5, 6):
        case Point(x, y):
            assert (x, y) == (5, 6)


def test_content_decides_equality_and_hash() -> None:
    a, b = Point(1, 2, (), "h"), Point(1, 2, (), "h")
    assert a == b and hash(a) == hash(b) and len({a, b, Point(2, 2, (), "h")}) == 2
    assert One((1, 2)) != (1, 2) and One(1) != Node("1")
    assert len({Node("a"), Node("a")}) == 2
    nan = float("nan")
    assert One(nan) == One(nan) and One(nan) != One(float("nan"))
    with pytest.raises(TypeError, match="unhashable"):
        hash(State(1))
    with pytest.raises(TypeError, match="unhashable"):
        hash(One([]))


@pytest.mark.parametrize("value", [Point(1), Node("a"), Empty()])
def test_frozen_records_stay_as_they_are(value: Any) -> None:
    for name in ("x", "name", "new"):
        with pytest.raises(
            dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"
        ):
            setattr(value, name, 1)
        with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field '{name}'"):
            delattr(value, name)


def test_others_change_but_get_no_new_fields() -> None:
    state = State(1)
    state.count += 1
    state.seen.append(3)
    assert state == State(2, [3])
    with pytest.raises(AttributeError):
        state.other = 1  # type: ignore[attr-defined]


def test_replace_copy_and_pickle() -> None:
    inner = Node("inner")
    node = Node("a", (inner, inner))
    replaced = dataclasses.replace(node, name="b")
    assert (replaced.name, replaced.inner) == ("b", node.inner)
    with pytest.raises(TypeError):
        dataclasses.replace(node, other=1)  # type: ignore[call-arg]
    for again in (copy.copy(node), copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert again is not node and again.name == "a"
        assert again.inner[0] is again.inner[1] and again.inner[0].name == "inner"
    assert copy.copy(node).inner[0] is inner and copy.deepcopy(node).inner[0] is not inner
    assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
    assert dataclasses.asdict(Point(1, hidden=0)) == {
        "x": 1,
        "y": 2,
        "marks": ("made",),
        "hidden": 0,
    }


def test_nested_classes_pickle_by_their_qualified_name() -> None:
    assert pickle.loads(pickle.dumps(Outer.Inner(3))) == Outer.Inner(3)


class Outer:
    @record
    class Inner:
        x: int
