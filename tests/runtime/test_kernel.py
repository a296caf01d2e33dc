"""The object that `@kk.kernel` makes: what it keeps of the function, and how it is misused."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.errors import ArgumentError


@kk.kernel
def blur(src, dst, radius: kk.constexpr = 1):
    """Blurs."""
    i = kk.grid(1)
    if i < dst.size:
        dst[i] = src[i] / radius


class Holder:
    @kk.kernel
    def inside(out):
        out[0] = 1

    @staticmethod
    @kk.kernel
    def static(out):
        out[0] = 2


def test_it_keeps_what_the_function_is() -> None:
    assert (blur.__name__, blur.__qualname__, blur.__doc__) == ("blur", "blur", "Blurs.")
    assert blur.__module__ == __name__
    assert inspect.isfunction(blur.__wrapped__)
    assert str(inspect.signature(blur)) == "(src, dst, radius: 'kk.constexpr' = 1)"
    assert inspect.signature(blur) == inspect.signature(blur.__wrapped__)
    assert inspect.getsource(blur).startswith("@kk.kernel\ndef blur(")
    assert inspect.getdoc(blur) == "Blurs."
    assert inspect.unwrap(blur) is blur.__wrapped__  # type: ignore[arg-type]
    assert repr(blur) == f"<kernel {__name__}.blur>"
    assert repr(blur.on("python")) == f"<kernel {__name__}.blur on python>"


def test_it_pickles_by_reference() -> None:
    assert pickle.loads(pickle.dumps(blur)) is blur
    assert copy.copy(blur) is blur
    assert copy.deepcopy({"k": blur})["k"] is blur
    assert pickle.loads(pickle.dumps(Holder.inside)) is Holder.inside
    bound = pickle.loads(pickle.dumps(blur.on("python")))
    assert (bound.backend, bound.__wrapped__) == ("python", blur.__wrapped__)
    assert bound.specialiser is blur.specialiser

    @kk.kernel
    def local(out):
        pass

    with pytest.raises((pickle.PicklingError, AttributeError), match="local"):
        pickle.dumps(local)


def test_it_can_stand_in_a_class() -> None:
    out = np.zeros(1)
    Holder.inside.on("python")[1, 1](out)
    assert out[0] == 1
    Holder().inside.on("python")[1, 1](out)
    Holder.static.on("python")[1, 1](out)
    assert out[0] == 2


def test_on_replaces_on() -> None:
    bound = blur.on("python").on("python:0")
    assert bound.backend == "python:0"
    assert pickle.loads(pickle.dumps(bound)).backend == "python:0"


def test_a_call_without_brackets_says_what_to_write() -> None:
    out = np.full(2, -1.0)
    words = r"blur is a kernel .*: write blur\[grid, block\]\(\.\.\.\) or blur\.forall\(shape\)"
    for call in (lambda: blur(out, out), lambda: blur(), lambda: blur(1, x=2)):
        with pytest.raises(ArgumentError, match=words) as caught:
            call()
        assert isinstance(caught.value, TypeError)
    assert (out == -1).all()


@pytest.mark.parametrize("brackets", [4, (4,), (1, 1, None, 0, 0)])
def test_brackets_without_a_block(brackets: Any) -> None:
    with pytest.raises(kk.ConfigurationError, match=r"write blur\[grid, block\]"):
        blur[brackets]


# ---------------------------------------------------------------- inspect
def test_inspect_shows_the_typed_form() -> None:
    a = np.zeros(4, np.float32)
    text = blur.inspect(a, a)
    assert "kernel blur(src: global float32[:], dst: global float32[:]):" in text
    assert "noalias=True" not in text
    assert "noalias=True" in blur.inspect(a, a.copy(), 3, grid=(2, 2), block=(4, 4))


def test_inspect_shows_what_the_back_end_compiles(fake: Any) -> None:
    a = np.zeros(4, np.float32)
    assert blur.inspect(a, a, backend="fake", what="source") == "text of blur"
    assert blur.on("fake").inspect(a, a, what="source") == "text of blur"
    with kk.use("fake"):
        assert blur.inspect(a, a, what="source") == "text of blur"
    assert (fake.compiled, fake.launches) == (0, [])
    assert "def blur(" in blur.inspect(a, a, backend="python", what="source")


def test_inspect_refuses_what_a_launch_refuses() -> None:
    a = np.zeros(4)
    for call, error, words in (
        (
            lambda: blur.inspect(a, a, backend="python", what="ptx"),
            ArgumentError,
            "shows 'ir', 'source' on python:0; not 'ptx'",
        ),
        (lambda: blur.inspect(a), ArgumentError, "lacks 'dst'"),
        (lambda: blur.inspect(a, [1]), ArgumentError, "is of type list"),
        (lambda: blur.inspect(a, a, block=0), kk.ConfigurationError, "at least 1"),
        (lambda: blur.inspect(a, a, grid=1.5), kk.ConfigurationError, "must be an int"),
        (lambda: blur.inspect(a, a, block=2000), kk.ConfigurationError, "2000"),
        (lambda: blur.inspect(a, a, backend="pyhton"), kk.BackendError, "did you mean 'python'"),
    ):
        with pytest.raises(error, match=words):
            call()
