"""What is compiled when, what is kept, and what happens when compiling goes wrong."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.errors import CompileError
from kernelkit.runtime import specialise

FACTOR = 2
TABLE = np.arange(3.0)
TABLE.flags.writeable = False


def fresh(**options: Any) -> Any:
    """A kernel that was never compiled."""

    @kk.kernel(**options)
    def scaled(src, dst, n):
        i = kk.grid(1)
        if i < dst.size:
            dst[i] = src[i] * n

    return scaled.on("fake")


@pytest.fixture
def factor() -> Iterator[Callable[[Any], None]]:
    def change(value: Any) -> None:
        global FACTOR
        FACTOR = value

    yield change
    change(2)


A, B = np.ones(8), np.zeros(8)


def test_what_makes_a_new_version_and_what_does_not(fake: Any) -> None:
    kernel = fresh()
    kernel[1, 8](A, B, 2)
    for again in (
        lambda: kernel[1, 8](A, B, 3),
        lambda: kernel[7, 8](A, B, 2),
        lambda: kernel[1, 8](A[:3], B[:5], -1),
        lambda: kernel[1, 8](src=A, dst=B, n=1),
        lambda: kk_use_launch(kernel),
    ):
        again()
        assert fake.compiled == 1
    for count, different in enumerate(
        (
            lambda: kernel[1, 16](A, B, 2),
            lambda: kernel[1, (8, 1, 2)](A, B, 2),
            lambda: kernel[1, 8](A.astype("f4"), B, 2),
            lambda: kernel[1, 8](A[::2], B, 2),
            lambda: kernel[1, 8](A, B, 2.0),
            lambda: kernel[1, 8](A, B, np.float64(2)),
            lambda: kernel[1, 8](A, B, np.int64(2)),
            lambda: kernel[1, 8](A, A, 2),
        ),
        start=2,
    ):
        different()
        assert fake.compiled == count
    assert len(fake.launches) == 14


def kk_use_launch(kernel: Any) -> None:
    with kk.use("fake"):
        kernel[1, 8](A, B, 2)


def test_on_shares_what_was_compiled(fake: Any) -> None:
    bound = fresh()
    for kernel in (bound, bound.on("fake"), bound.on("fake:0")):
        kernel[1, 8](A, B, 2)
    assert fake.compiled == 1


def test_options_reach_the_kernel(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh()[1, 8](A, B, 2)
    fresh(debug=True, reproducible=True, wraparound=False)[1, 8](A, B, 2)
    monkeypatch.setenv("KERNELKIT_DEBUG", "1")
    fresh()[1, 8](A, B, 2)
    fresh(debug=False)[1, 8](A, B, 2)
    monkeypatch.setenv("KERNELKIT_DEBUG", "0")
    fresh()[1, 8](A, B, 2)
    found = [(k.options.debug, k.options.reproducible, k.options.wraparound) for k in fake.emitted]
    assert found == [
        (False, False, True),
        (True, True, False),
        (True, False, True),
        (False, False, True),
        (False, False, True),
    ]


# ---------------------------------------------------------------- globals
@kk.kernel
def by_factor(out):
    out[0] = FACTOR


def test_a_changed_global_is_compiled_again_and_kept(
    fake: Any, factor: Callable[[Any], None]
) -> None:
    launch = by_factor.on("fake")[1, 1]
    for value, compiled in ((2, 1), (2, 1), (3, 2), (2, 2), (3, 2), (3.0, 3), (True, 4), (2, 4)):
        factor(value)
        launch(B)
        assert fake.compiled == compiled, value


def test_a_changed_global_for_real(factor: Callable[[Any], None]) -> None:
    out = np.zeros(1)
    launch = by_factor.on("python")[1, 1]
    for value in (2, 7, 2, 0.5):
        factor(value)
        launch(out)
        assert out[0] == value


@kk.kernel
def chosen(out):
    out[0] = 1 if FACTOR else 2


@pytest.mark.parametrize(("value", "other"), [(True, False), (False, 3), (1, None), (None, True)])
def test_flags_and_none_are_globals_like_others(
    fake: Any, factor: Callable[[Any], None], value: Any, other: Any
) -> None:
    kernel = kk.kernel(chosen.__wrapped__).on("fake")
    for given, compiled in ((value, 1), (other, 2), (value, 2)):
        factor(given)
        kernel[1, 1](B)
        assert fake.compiled == compiled


@kk.kernel
def absolute(out):
    out[0] = abs(-2)


def test_a_global_that_hides_a_builtin_is_a_change(
    fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = absolute.on("fake")
    kernel[1, 1](B)
    monkeypatch.setitem(globals(), "abs", max)
    with pytest.raises(CompileError, match="max"):
        kernel[1, 1](B)
    monkeypatch.undo()
    kernel[1, 1](B)
    assert fake.compiled == 1


def test_versions_for_different_globals_are_bounded(
    fake: Any, factor: Callable[[Any], None]
) -> None:
    launch = by_factor.on("fake")[1, 2]
    for value in range(100, 100 + 2 * specialise.SIBLINGS):
        factor(value)
        launch(B)
    assert fake.compiled == 2 * specialise.SIBLINGS
    launch(B)
    factor(100 + specialise.SIBLINGS)
    launch(B)
    assert fake.compiled == 2 * specialise.SIBLINGS
    factor(100)
    launch(B)
    assert fake.compiled == 2 * specialise.SIBLINGS + 1


def test_specialisations_are_bounded(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specialise, "SPECIALISATIONS", 3)

    @kk.kernel
    def static(n: kk.constexpr, out):
        out[0] = n

    launch = static.on("fake")[1, 1]
    for n in (1, 2, 3, 4):
        launch(n, B)
    launch(4, B)
    launch(2, B)
    assert fake.compiled == 4
    launch(1, B)
    assert fake.compiled == 5


# ---------------------------------------------------------------- failures
@kk.kernel
def broken(x):
    x[0] = nobody_knows  # noqa: F821


def test_a_kernel_outside_the_language_fails_the_same_every_time(fake: Any) -> None:
    found = []
    for _ in range(3):
        with pytest.raises(CompileError, match="nobody_knows") as caught:
            broken.on("fake")[1, 1](B)
        found.append(str(caught.value))
    assert len(set(found)) == 1
    assert fake.emitted == []


def test_a_failed_compile_leaves_nothing_behind(fake: Any) -> None:
    kernel, out = fresh(), np.full(8, -1.0)

    def fail() -> None:
        raise MemoryError("the compiler gave up")

    fake.on_compile = fail
    for _ in range(2):
        with pytest.raises(MemoryError, match="the compiler gave up"):
            kernel[1, 8](A, out, 2)
    assert (fake.compiled, len(fake.launches)) == (0, 0)
    assert (out == -1).all()
    fake.on_compile = lambda: None
    kernel[1, 8](A, out, 2)
    kernel[1, 8](A, out, 2)
    assert (fake.compiled, len(fake.launches)) == (1, 2)


def test_a_refused_argument_compiles_nothing(fake: Any) -> None:
    kernel, locked = fresh(), np.zeros(8)
    locked.flags.writeable = False
    with pytest.raises(kk.ReadOnlyError):
        kernel[1, 8](A, locked, 2)
    with pytest.raises(kk.ConfigurationError):
        kernel[1, 8, None, 10**6](A, B, 2)
    assert fake.emitted == []
    kernel[1, 8](A, B, 2)
    with pytest.raises(kk.ReadOnlyError):
        kernel[1, 8](A, locked, 2)
    kernel[1, 8](locked, B, 2)
    assert (fake.compiled, len(fake.launches)) == (1, 2)


# ---------------------------------------------------------------- threads
def test_a_compilation_runs_once_whoever_asks(fake: Any) -> None:
    kernel = fresh()
    gate = threading.Barrier(8)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            gate.wait()
            for _ in range(50):
                kernel[1, 8](A, np.zeros(8), number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (fake.compiled, len(fake.launches)) == (1, 400)


@kk.kernel
def fill(out, value):
    i = kk.grid(1)
    if i < out.size:
        out[i] = value


def test_launches_from_several_threads_for_real() -> None:
    configured = fill.on("python")[2, 4]
    outs = [np.zeros(7) for _ in range(6)]

    def work(number: int) -> None:
        for _ in range(5):
            configured(outs[number], number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, out in enumerate(outs):
        np.testing.assert_array_equal(out, number)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_child_forked_while_a_kernel_is_compiled_can_launch_it(fake: Any) -> None:
    kernel = fresh()
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(60)

    fake.on_compile = wait
    thread = threading.Thread(target=lambda: kernel[1, 8](A, np.zeros(8), 2))
    thread.start()
    assert begun.wait(60)
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a child that hangs ends too, and not as it should
        fake.on_compile = lambda: None
        kernel[1, 8](A, np.zeros(8), 2)
        os._exit(len(fake.launches))
    go_on.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_a_launch_inside_a_launch(fake: Any) -> None:
    outer, inner = fresh(), fresh()

    def launch_another() -> None:
        fake.on_compile = lambda: None
        inner[1, 8](A, B, 1)
        outer[1, 4](A, B, 1)

    fake.on_compile = launch_another
    outer[1, 8](A, B, 2)
    assert (fake.compiled, len(fake.launches)) == (3, 3)


def test_global_arrays_are_captured(fake: Any) -> None:
    @kk.kernel
    def look_up(out):
        table = kk.const.array_like(TABLE)
        out[0] = table[2]

    look_up.on("fake")[1, 1](B)
    look_up.on("fake")[1, 1](B)
    assert fake.compiled == 1
    out = np.zeros(1)
    look_up.on("python")[1, 1](out)
    assert out[0] == 2


def test_the_source_is_that_of_the_definition(tmp_path: Any) -> None:
    path = tmp_path / "edited.py"
    text = "import kernelkit as kk\n\n@kk.kernel\ndef put(out):\n    out[0] = {}\n"
    path.write_text(text.format(3))
    scope: dict[str, Any] = {"__name__": "edited"}
    exec(compile(path.read_text(), str(path), "exec"), scope)
    path.write_text(text.format(44444))  # after the import, before the first launch
    out = np.zeros(1)
    with kk.use("python"):
        scope["put"][1, 1](out)
    assert out[0] == 3


def test_a_folded_array_that_changes_underneath_is_folded_again() -> None:
    base = np.arange(3.0)
    table = base[:]
    table.setflags(write=False)

    @kk.kernel
    def put(out):
        out[0] = table[2]

    out = np.zeros(1)
    with kk.use("python"):
        put[1, 1](out)
        assert out[0] == 2
        base[2] = 77
        put[1, 1](out)
    assert out[0] == 77
