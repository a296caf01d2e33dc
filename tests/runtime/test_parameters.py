"""A call against the parameters of a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import kernelkit as kk
import kernelkit as other
from kernelkit import constexpr as fixed
from kernelkit.errors import ArgumentError, CompileError
from kernelkit.runtime.parameters import Parameters

if TYPE_CHECKING:
    from nowhere import Missing


def three(src, dst, radius=2): ...


def mixed(a, /, b, *, c, d=4): ...


def test_plain_calls_need_no_binding() -> None:
    parameters = Parameters(three)
    assert parameters.names == ("src", "dst", "radius")
    assert parameters.plain == 3
    assert Parameters(mixed).plain == -1


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((1, 2), {}, [1, 2, 2]),
        ((1, 2, 3), {}, [1, 2, 3]),
        ((1,), {"dst": 2}, [1, 2, 2]),
        ((), {"radius": 3, "dst": 2, "src": 1}, [1, 2, 3]),
        ((1,), {"dst": None, "radius": None}, [1, None, None]),
    ],
)
def test_binding(args: Any, kwargs: Any, expected: list[Any]) -> None:
    assert Parameters(three).bind(args, kwargs) == expected


def test_binding_of_every_kind_of_parameter() -> None:
    assert Parameters(mixed).bind((1, 2), {"c": 3}) == [1, 2, 3, 4]
    assert Parameters(mixed).bind((1,), {"d": 5, "b": 2, "c": 3}) == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "words"),
    [
        (three, (), {}, r"the call of three lacks 'src' and 'dst'; it takes \(src, dst, radius\)"),
        (three, (1,), {}, r"lacks 'dst'; it takes"),
        (three, (1,), {"radius": 1}, r"lacks 'dst'"),
        (three, (1, 2, 3, 4), {}, r"takes 3 arguments by position, .* and 4 were given; leave out"),
        (three, (1, 2), {"raduis": 1}, r"no argument named 'raduis'; did you mean 'radius'\?"),
        (three, (1, 2), {"zzz": 1}, r"no argument named 'zzz'; it takes \(src, dst, radius\)"),
        (three, (1, 2), {"src": 1}, r"was given 'src' twice, by position and by name"),
        (mixed, (), {"a": 1, "b": 1, "c": 1}, r"'a'; it is taken by position only"),
        (mixed, (1, 2, 3), {}, r"takes 2 arguments by position.* 3 were given; give 'c' by name"),
        (mixed, (1, 2), {}, r"lacks 'c'"),
    ],
)
def test_calls_that_do_not_fit(fn: Callable[..., Any], args: Any, kwargs: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        Parameters(fn).bind(args, kwargs)
    with pytest.raises(TypeError):
        Parameters(fn).bind(args, kwargs)


def test_compile_time_parameters_by_every_name() -> None:
    def local() -> Callable[..., Any]:
        mine = kk.constexpr

        def kernel(a: mine, b: kk.constexpr, c: other.constexpr, d: fixed, e, f: int): ...  # type: ignore[valid-type]

        def keep() -> object:
            return mine

        return kernel

    # Annotations are text here: `mine` can be read only where the function kept it.
    assert Parameters(local()).static == {1, 2, 3}


def test_compile_time_parameters_of_an_enclosing_function() -> None:
    def outer() -> Callable[..., Any]:
        mine = kk.constexpr

        def kernel(a: mine, b):  # type: ignore[valid-type]
            return mine

        return kernel

    assert Parameters(outer()).static == {0}


def test_a_name_that_is_not_assigned_yet_is_passed_over() -> None:
    def kernel(a: later, b: kk.constexpr):  # type: ignore[valid-type]
        return later

    assert Parameters(kernel).static == {1}
    later = kk.constexpr
    assert Parameters(kernel).static == {0, 1}


def test_annotations_for_type_checkers_only_are_passed_over() -> None:
    def kernel(a: Missing, b: kk.constexpr): ...

    assert Parameters(kernel).static == {1}


@kk.kernel
def starred(out, *rest, scale=1, **named):
    out[0] = scale


def test_star_parameters_are_refused_by_the_language() -> None:
    out = np.full(1, -1.0)
    for call in (
        lambda: starred.on("python")[1, 1](out),
        lambda: starred.on("python")[1, 1](out, 2, 3, other=4),
    ):
        with pytest.raises(CompileError, match=r"\*rest is not part of the language") as caught:
            call()
        assert "*named" in str(caught.value)
    assert out[0] == -1


@kk.kernel
def scaled(src, dst, factor=2.0, *, shift=0):
    i = kk.grid(1)
    if i < dst.size:
        dst[i] = src[i] * factor + shift


def test_defaults_and_names_for_real() -> None:
    src, dst = np.arange(4.0), np.zeros(4)
    launch = scaled.on("python").forall(4)
    launch(src, dst)
    np.testing.assert_array_equal(dst, src * 2)
    launch(dst=dst, src=src, shift=1)
    np.testing.assert_array_equal(dst, src * 2 + 1)
    launch(src, dst, 3, shift=2)
    np.testing.assert_array_equal(dst, src * 3 + 2)


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "lacks 'src' and 'dst'"),
        ((1, 2, 3, 4), {}, "give 'shift' by name"),
        ((1, 2), {"shfit": 1}, "did you mean 'shift'"),
    ],
)
def test_a_call_that_does_not_fit_writes_nothing(args: Any, kwargs: Any, words: str) -> None:
    out = np.full(4, -1.0)
    args = tuple(out for _ in args)
    with pytest.raises(ArgumentError, match=words):
        scaled.on("python").forall(4)(*args, **kwargs)
    assert (out == -1).all()
