"""Fingerprints: equal for kernels that are compiled the same, different for all others."""

from __future__ import annotations

import enum
import functools
import linecache
import math
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.runtime.fingerprint import Fingerprint, of_function, of_value


class Point(NamedTuple):
    x: Any
    y: Any


class Pair(NamedTuple):
    x: Any
    y: Any


class Colour(enum.Enum):
    RED = 1
    GREEN = 2
    ALSO_ONE = 1.0


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


def readonly(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.setflags(write=False)
    return array


# ---------------------------------------------------------------- values
DISTINCT: list[Any] = [
    None, ..., True, False, 1, 2, 1.0, 0.0, -0.0, math.nan, math.inf, -math.inf, 1 + 0j, 0j,
    complex(0.0, -0.0), "1", "1\n", b"1", 2**70,
    np.int32(1), np.int64(1), np.uint8(1), np.bool_(True), np.float32(1), np.float64(1),
    np.float32(-0.0), np.float32(0.0), np.complex64(1), np.str_("1"),
    (), (1,), (1.0,), (True,), (1, 2), ((1,), 2), (1, (2,)), ((1, 2),), ("1, 2",),
    Point(1, 2), Pair(1, 2), Point(2, 1), Point, Pair,
    Colour.RED, Colour.GREEN, Size.SMALL, Size.LARGE,
    int, float, bool, complex, np.float32, np.float64, np.int64, np.dtype("f4"), np.dtype("f8"),
    np.dtype(">f4"), np.dtype([("a", "f4")]), np.dtype([("b", "f4")]),
    np.arange(3), np.arange(3.0), readonly(np.arange(3.0)), np.arange(4.0), np.arange(3.0)[::-1],
    np.arange(4.0).reshape(2, 2), np.arange(4.0).reshape(2, 2).T, np.array([0.0, 1.0, -2.0]),
    np.array([0.0]), np.array([-0.0]), np.zeros((0, 3)), np.zeros((3, 0)), np.array(1.0),
    (np.arange(3),), (np.arange(3.0),),
    math, np, math.sin, math.cos, abs, max, len, np.sin, np.cos, np.minimum, math.pi,
    kk.grid, kk.gridsize, kk.threadIdx, kk.blockIdx, kk.laneid, kk.shared, kk.shared.array,
    kk.atomic.add, kk.atomic.sub, kk.warpsize, kk.constexpr,
]  # fmt: skip


def text(value: Any) -> str:
    found = of_value(value)
    assert found is not None, value
    return found.text


def test_different_values_have_different_texts() -> None:
    texts = [text(value) for value in DISTINCT]
    seen: dict[str, Any] = {}
    for value, found in zip(DISTINCT, texts, strict=True):
        assert found not in seen, (value, seen[found])
        seen[found] = value


@pytest.mark.parametrize(
    "make",
    [
        lambda: 12345678901, lambda: -0.0, lambda: math.nan, lambda: "a\ud800", lambda: (1, (2.5, "x")),
        lambda: Point(1, 2), lambda: np.arange(6.0).reshape(2, 3), lambda: np.float32(0.1),
        lambda: np.dtype("f4"), lambda: Size(1), lambda: np.dtype([("a", "f4")]),
    ],
)  # fmt: skip
def test_equal_values_have_equal_texts(make: Callable[[], Any]) -> None:
    assert text(make()) == text(make())


class Opaque:
    value = 3


class Matrix(np.ndarray):
    pass


@pytest.mark.parametrize(
    "value",
    [
        Opaque(), [1], {1: 2}, {1}, object(), (1, [2]), functools.partial(max, 1), Opaque,
        np.zeros(1 << 18), np.array([None]), np.zeros(3).view(Matrix), np.ma.zeros(3),
        sys.modules[__name__], types.ModuleType("numpy"), np.frompyfunc(abs, 1, 1), "x".upper,
        type("float32", (), {"__module__": "numpy"}), lambda x: x,
    ],
)  # fmt: skip
def test_what_no_text_tells_from_all_others_has_none(value: Any) -> None:
    assert of_value(value) is None


# ---------------------------------------------------------------- functions
Define = Callable[..., Any]


@pytest.fixture
def define(tmp_path: Path) -> Define:
    """define(text, **globals): the function `f` of a module of this text."""
    path = tmp_path / "defined.py"

    def make(source: str, **scope: Any) -> Any:
        lines = textwrap.dedent(source).lstrip("\n")
        path.write_text(lines)
        linecache.cache.pop(str(path), None)
        space = {"__name__": "defined", "kk": kk, "np": np, "math": math} | scope
        exec(compile(lines, str(path), "exec"), space)
        return space["f"]

    return make


def of(fn: Any) -> Fingerprint:
    found = of_function(fn)
    assert found is not None
    return found


USES = {
    "a name": ("def f(x): x[0] = N", "N"),
    "an attribute's owner": ("def f(x): x[0] = N.real", "N"),
    "an annotation": ("def f(x):\n    y: N = 0\n    x[0] = y", "N"),
    "a formatted string": ("def f(x): print(f'{x[0]:{N}}')", "N"),
    "a longer formatted string": (
        "def f(x):\n    assert x[0], (f'a'\n        rf'{{x}} {N!r}')",
        "N",
    ),
    "dead code": ("def f(x):\n    return\n    x[0] = N", "N"),
    "never": ("def f(x):\n    if 0:\n        x[0] = N", "N"),
    "a keyword's value": ("def f(x): x[0] = max(1, key=N)", "N"),
    "a builtin's name": ("def f(x): x[0] = max(1, 2)", "max"),
    "a name of ours": ("def f(x): x[0] = kk.grid(1)", "kk"),
    "another way to write it": ("def f(x): x[0] = ﬁn", "fin"),
    "the end of a long chain": ("def f(x): x[N] = (\n  # here\n  x . shape [N])", "N"),
}


@pytest.mark.parametrize("what", USES)
def test_a_name_counts_wherever_it_stands(define: Define, what: str) -> None:
    source, name = USES[what]
    three, four = (of(define(source, **{name: value})) for value in (3, 4))
    assert three.text != four.text
    assert three.text == of(define(source, **{name: 3})).text
    assert name in [capture.name for capture in three.captures]


def test_names_that_mean_nothing_outside_do_not_count(define: Define) -> None:
    source = """
        def f(x, n=2, *, m: "n" = 3) -> "k":
            # z is no name, and "z" is none
            "nor is z here"
            y = x.z + kk.fma(1, 2, z=3) - "{z}"
            n = x[0].z
            for i in range(n): y = i
            x[0] = y
    """
    plain = of(define(source))
    names = dict.fromkeys(("z", "k", "y", "i", "n", "m", "x"), Opaque())
    assert of(define(source, **names)).text == plain.text


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x[0] = 1", "x[0] = 2"),
        ("x[0] = 1", "x[0] = 1  # said so"),
        ("x[0] = 1", "x[0] = 1\n    if 0: y = 2"),
        ("x[0] = 1; return\n    assert 0", "x[0] = 1; return\n    assert 1"),
    ],
)
def test_the_whole_text_counts(define: Define, first: str, second: str) -> None:
    one = of(define(f"def f(x):\n    {first}\n"))
    two = of(define(f"def f(x):\n    {second}\n"))
    again = of(define(f"def f(x):\n    {first}\n\nother = 2\n"))
    assert one.text != two.text
    assert one.text == again.text


def test_so_do_its_name_its_place_and_its_file(define: Define) -> None:
    texts = [of(define(source)).text for source in (
        "def f(x): x[0] = 1", "k = 0\ndef f(x): x[0] = 1", "def f(x): x[0] = 1\nf.__name__ = 'g'",
    )]  # fmt: skip
    assert len(set(texts)) == 3


def test_defaults_count(define: Define) -> None:
    source = "def f(x, n=N, *, m=M): x[0] = n + m"
    texts = {of(define(source, N=n, M=m)).text for n in (1, 1.0, 2) for m in (3, (3,))}
    assert len(texts) == 6
    assert of_function(define(source, N=[1], M=1)) is None


def test_device_functions_count_however_deep(define: Define) -> None:
    source = """
        @kk.device
        def deep(x): return x * {} + N
        def middle(x): return deep(x) + deep(1)
        @kk.device
        def f(x): return middle(x) + max(x, 1)
    """
    texts = [
        of(define(source.format(k), N=n).__wrapped__).text for k in (1, 2) for n in (1, 2)
    ]  # fmt: skip
    assert len(set(texts)) == 4
    assert texts[0] == of(define(source.format(1), N=1).__wrapped__).text
    assert texts[0].count("return x * 1 + N") == 1


def test_recursion_ends(define: Define) -> None:
    source = "def g(x): return f(x)\ndef f(x): return g(x) + f(x) + N"
    assert of(define(source, N=1)).text != of(define(source, N=2)).text


def test_what_kind_of_function_it_is_counts(define: Define) -> None:
    source = "{}\ndef g(x): return x\ndef f(x): x[0] = g(1)"
    kinds = ["@kk.device", "@kk.kernel", "#", "@functools.cache"]
    texts = {of(define(source.format(kind), functools=functools)).text for kind in kinds}
    assert len(texts) == 4


def test_wrappers_count_for_what_they_wrap(define: Define) -> None:
    source = """
        def decorate(g):
            @functools.wraps(g)
            def other(x): return 0
            return other
        @decorate
        def g(x): return x + {}
        def f(x): x[0] = g(1)
    """
    one, two, again = (
        of(define(source.format(k), functools=functools)).text for k in (1, 2, 1)
    )  # fmt: skip
    assert one != two and one == again


def test_a_name_in_a_trusted_module_is_no_password(define: Define) -> None:
    """Functions of one name, made in a function, say nothing by their name."""
    source = """
        def make(n):
            def inner(x): return x + n
            inner.__module__ = "kernelkit.demo.cases"
            return inner
        g = make(N)
        def f(x): x[0] = g(1)
    """
    assert of(define(source, N=1)).text != of(define(source, N=2)).text


def test_closures_count(define: Define) -> None:
    source = "def make(n):\n    def f(x): x[0] = n\n    return f\nf = make(N)"
    assert of(define(source, N=1)).text != of(define(source, N=2)).text
    empty = "def make():\n    def f(x): x[0] = n\n    return f\n    n = 1\nf = make()"
    assert of_function(define(empty)) is None


def test_attributes_of_modules_and_objects_count(define: Define) -> None:
    module = types.ModuleType("cfg")
    module.deep = types.SimpleNamespace(N=1)  # type: ignore[attr-defined]
    source = "def f(x): x[0] = cfg.deep.N + f.__name__.x"
    texts = []
    for value in (1, 2, 1.0, Point(1, 2), np.arange(3)):
        module.deep.N = value
        texts.append(of(define(source, cfg=module)).text)
    assert len(set(texts)) == 5
    module.deep.N = 1
    assert of(define(source, cfg=module)).text == texts[0]
    assert of_function(define("def f(x): x[0] = cfg[0]", cfg=module)) is None
    assert of_function(define("def f(x): x[0] = cfg.nothing", cfg=module)) is None
    assert of_function(define("def f(x): x[0] = cfg.deep", cfg=module)) is None


def test_what_others_add_to_a_trusted_module_counts(
    define: Define, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "def f(x): x[0] = np.of_mine"
    texts = [of(define(source)).text]
    for value in (1, 2):
        monkeypatch.setattr(np, "of_mine", value, raising=False)
        texts.append(of(define(source)).text)
    assert len(set(texts)) == 3


def test_properties_that_raise_are_left_to_the_compiler(define: Define) -> None:
    class Odd:
        @property
        def attribute(self) -> int:
            raise ValueError("not now")

    assert of_function(define("def f(x): x[0] = odd.attribute", odd=Odd())) is None


def test_what_an_address_decides_is_unknown(define: Define) -> None:
    table = np.arange(3)
    assert of_function(define("def f(x): x[0] = table.ctypes.data", table=table)) is None
    assert of_function(define("def f(x): x[0] = table.shape[0]", table=table)) is not None


def test_signatures_that_lie_are_unknown(define: Define) -> None:
    assert of_function(define("def f(x): x[0] = 1\nf.__signature__ = None")) is None


def test_functions_without_source_have_none() -> None:
    scope: dict[str, Any] = {}
    exec("def f(x): x[0] = 1", scope)
    assert of_function(scope["f"]) is None
    assert of_function(max) is None


def test_classes_indent_their_functions(define: Define) -> None:
    source = """
        class C:
            if True:
                @staticmethod
                def f(x):
                    '''
        out here
                    '''
                    x[0] = N
        f = C.f
    """
    assert of(define(source, N=1)).text != of(define(source, N=2)).text


def test_cells_of_one_name_are_told_apart() -> None:
    for name in ("<ipython-input-3-0123456789ab>", "/tmp/ipykernel_7/42.py"):
        texts = []
        for value in (1, 2, 1):
            source = f"def f(x):\n    x[0] = {value}\n"
            linecache.cache[name] = (len(source), None, source.splitlines(True), name)
            scope: dict[str, Any] = {}
            exec(compile(source, name, "exec"), scope)
            texts.append(of(scope["f"]).text)
        del linecache.cache[name]
        assert texts[0] == texts[2] != texts[1]


def test_a_file_that_changes_counts_as_it_was_when_first_read(tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    path.write_text("def f(x):\n    x[0] = 1\n")
    scope: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    before = of(scope["f"]).text
    path.write_text("def f(x):\n    x[0] = 22222\n")
    linecache.checkcache()
    assert of(scope["f"]).text == before


# ---------------------------------------------------------------- captures
def unchanged(found: Fingerprint) -> bool:
    return all(capture.unchanged() for capture in found.captures)


@pytest.mark.parametrize(
    ("value", "other"),
    [(3, 4), (1, True), (0.0, -0.0), ((1, 2), (1, 3)), (Point(1, 2), Pair(1, 2)), (abs, max)],
)
def test_a_global_that_is_bound_anew_is_noticed(define: Define, value: Any, other: Any) -> None:
    f = define("def f(x): x[0] = N", N=value)
    found = of(f)
    assert unchanged(found)
    f.__globals__["N"] = other
    assert not unchanged(found)
    f.__globals__["N"] = value
    assert unchanged(found)
    del f.__globals__["N"]
    assert not unchanged(found)


def test_equal_values_are_no_change(define: Define) -> None:
    table = np.arange(3)
    f = define("def f(x): x[0] = N + M + T.shape[0]", N=10**30, M=(2.5, "a"), T=table)
    found = of(f)
    f.__globals__.update(N=10**30, M=(2.5, "a"), T=table.copy())
    assert unchanged(found)


@pytest.mark.parametrize(
    ("place", "use"),
    [
        ("T = table", "T.shape[0] + T[0]"),
        ("T = (1, (table,))", "T[1][0]"),
        ("class T:\n    x = table", "T.x[0]"),
        ("def T(x, y=table): pass", "T(1)"),
    ],
)
def test_elements_that_are_written_are_noticed(define: Define, place: str, use: str) -> None:
    table = np.arange(3.0)
    f = define(f"{place}\ndef f(x): x[0] = {use}", table=table)
    found = of(f)
    assert unchanged(found)
    table[1] = 7
    assert not unchanged(found)
    table[1] = 1
    assert unchanged(found)


def test_so_are_attributes_cells_functions_and_what_hides_a_builtin(define: Define) -> None:
    cfg = types.SimpleNamespace(N=1)
    source = """
        def make(n):
            def g(x): return max(x, cfg.N, n)
            def change(m):
                nonlocal n
                n = m
            return g, change
        g, change = make(1)
        def f(x): x[0] = g(1)
    """
    f = define(source, cfg=cfg)
    scope = f.__globals__
    found = of(f)
    assert unchanged(found)
    cfg.N = 2
    assert not unchanged(found)
    cfg.N = 1
    scope["change"](2)
    assert not unchanged(found)
    scope["change"](1)
    assert unchanged(found)
    scope["max"] = min
    assert not unchanged(found)
    del scope["max"]
    assert unchanged(found)
    scope["g"] = scope["make"](1)[0]
    assert not unchanged(found)


def test_what_an_argument_names_is_captured(define: Define) -> None:
    g = define("def f(x): return x + N", N=1)
    found = of_value((1, g))
    assert found is not None and unchanged(found)
    g.__globals__["N"] = 2
    assert not unchanged(found)
