"""The decorators, and the list of devices."""

from __future__ import annotations

import functools
import inspect
import pickle
import types
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import api, registry
from kernelkit.errors import ArgumentError, BackendError, CompileError
from kernelkit.registry import DeviceRow


@kk.device
def twice(x, extra=0):
    """Twice as much."""
    return 2 * x + extra


def plain(x):
    return x + 1


@kk.kernel
def apply(src, dst):
    i = kk.grid(1)
    if i < dst.size:
        dst[i] = twice(plain(src[i]), extra=5)


# ---------------------------------------------------------------- kernel
def test_bare_and_with_options() -> None:
    @kk.kernel
    def bare(x): ...

    @kk.kernel()
    def called(x): ...

    @kk.kernel(reproducible=True, debug=True, wraparound=False)
    def full(x): ...

    assert tuple(bare.settings) == tuple(called.settings)
    assert (bare.settings.reproducible, bare.settings.wraparound) == (False, True)
    assert tuple(full.settings) == (True, True, False)


@pytest.mark.parametrize(
    ("text", "debug"), [(None, False), ("", False), ("0", False), ("1", True), ("yes", True)]
)
def test_the_environment_sets_debug(
    monkeypatch: pytest.MonkeyPatch, text: str | None, debug: bool
) -> None:
    monkeypatch.delenv("KERNELKIT_DEBUG", raising=False)
    if text is not None:
        monkeypatch.setenv("KERNELKIT_DEBUG", text)
    assert kk.kernel(plain).settings.debug is debug
    assert kk.kernel(debug=False)(plain).settings.debug is False
    assert kk.kernel(debug=True)(plain).settings.debug is True


@pytest.mark.parametrize("option", ["reproducible", "debug", "wraparound"])
def test_options_are_true_or_false(option: str) -> None:
    options: Any = {option: "yes"}
    with pytest.raises(ArgumentError, match=rf"kernel\({option}=\.\.\.\) takes True or False"):
        kk.kernel(**options)
    with pytest.raises(TypeError, match="unexpected keyword argument 'fastmath'"):
        kk.kernel(fastmath=True)  # type: ignore[call-overload]


class Thing:
    def method(self): ...

    def __call__(self): ...


@pytest.mark.parametrize("decorator", [kk.kernel, kk.device])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, r"for a plain Python function, not for 3 \(int\); write it with def"),
        (Thing, r"\(type\); write it with def"),
        (Thing(), r"\(Thing\)"),
        (Thing().method, r"\(method\); define it outside the class, or put @staticmethod above"),
        (staticmethod(plain), r"\(staticmethod\); define it outside"),
        (functools.partial(plain, 1), r"\(partial\)"),
        (abs, r"\(builtin_function_or_method\)"),
        (apply, r"\(Kernel\); apply has a decorator of kernelkit already"),
        (twice, r"\(DeviceFunction\); twice has a decorator of kernelkit already"),
    ],
)
def test_only_plain_functions_are_decorated(decorator: Any, value: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        decorator(value)


def test_lambdas_generators_and_coroutines_are_refused_when_launched() -> None:
    def generator(x):
        yield x

    async def coroutine(x): ...

    for function in (lambda x: None, generator, coroutine):
        with pytest.raises(CompileError):
            kk.kernel(function).on("python")[1, 1](np.zeros(1))


# ---------------------------------------------------------------- device functions
def test_a_device_function_stays_a_python_function() -> None:
    assert twice(4) == 8
    assert twice(4, extra=1) == 9
    assert (twice.__name__, twice.__doc__) == ("twice", "Twice as much.")
    assert str(inspect.signature(twice)) == "(x, extra=0)"
    assert inspect.isfunction(twice.__wrapped__)
    assert repr(twice) == f"<device function {__name__}.twice>"
    assert pickle.loads(pickle.dumps(twice)) is twice


def test_kernels_call_device_functions_marked_or_not() -> None:
    src, dst = np.arange(5.0), np.zeros(5)
    apply.forall(5)(src, dst)
    np.testing.assert_array_equal(dst, 2 * (src + 1) + 5)


# ---------------------------------------------------------------- devices
def test_devices_lists_what_can_run() -> None:
    found = kk.devices()
    assert isinstance(found, list)
    (row,) = (r for r in found if r.backend == "python")
    assert (row.index, row.usable, row.why) == (0, True, "")
    assert row.name
    assert f"python:0  yes     {row.name}" in str(found)


def test_devices_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        DeviceRow("cpu", 0, "Some CPU", True),
        DeviceRow("cuda", None, "", False, "no driver; install one"),
    ]
    monkeypatch.setattr(registry, "rows", lambda: rows)
    assert repr(kk.devices()) == (
        "device  usable  name, or what is missing\n"
        "cpu:0   yes     Some CPU\n"
        "cuda    no      no driver; install one"
    )
    rows.clear()
    assert str(kk.devices()) == "no back end is registered"
    assert isinstance(kk.devices(), api.Devices)


# ---------------------------------------------------------------- threads
def test_threads_are_those_of_the_cpu_back_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cpu:
        threads = 5

        def set_num_threads(self, number: int) -> None:
            self.threads = number

        def get_num_threads(self) -> int:
            return self.threads

    places = {"cpu": types.SimpleNamespace(backend=Cpu())}
    monkeypatch.setattr(registry, "place", places.__getitem__)
    assert kk.get_num_threads() == 5
    kk.set_num_threads(2)
    assert kk.get_num_threads() == 2


def test_without_the_cpu_back_end_there_are_no_threads_to_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_entries", {})
    with pytest.raises(BackendError, match="there is no back end 'cpu'"):
        kk.get_num_threads()
    with pytest.raises(BackendError, match="there is no back end 'cpu'"):
        kk.set_num_threads(2)
