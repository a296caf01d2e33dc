"""Where a launch goes: kernel.on, use, KERNELKIT_BACKEND, then where the arrays are."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.errors import ArgumentError, BackendError


@kk.kernel
def touch(a, b):
    b[0] = a[0]


@pytest.fixture
def a() -> np.ndarray:
    return np.ones(4)


@pytest.fixture
def other(fake_backend: Callable[..., Any]) -> Any:
    return fake_backend("other")


@pytest.fixture
def gpu(fake_backend: Callable[..., Any]) -> Any:
    """Two devices whose memory is not the host's."""
    return fake_backend("gpu", host=False, count=2)


def counts(*backends: Any) -> list[int]:
    return [len(b.launches) for b in backends]


def test_numpy_arrays_go_to_the_host_default(a: np.ndarray) -> None:
    out = np.zeros(4)
    touch[1, 1](a, out)
    assert out[0] == 1
    assert kk.current_device().backend in ("cpu", "python")


def test_the_order_of_precedence(
    a: np.ndarray, fake: Any, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELKIT_BACKEND", "other")
    assert kk.current_device().backend == "other"
    touch[1, 1](a, a)
    assert counts(fake, other) == [0, 1]
    with kk.use("fake"):
        assert kk.current_device().backend == "fake"
        touch[1, 1](a, a)
        touch.on("other")[1, 1](a, a)
    assert counts(fake, other) == [1, 2]
    touch.on("fake")[1, 1](a, a)
    assert counts(fake, other) == [2, 2]


def test_use_nests(a: np.ndarray, fake: Any, other: Any) -> None:
    launch = touch[1, 1]
    with kk.use("fake"):
        launch(a, a)
        with kk.use("other"):
            launch(a, a)
            with kk.use(None):
                launch(a, a)
        launch(a, a)
    assert counts(fake, other) == [2, 2]
    assert kk.current_device().backend not in ("fake", "other")


def test_one_use_enters_more_than_once(a: np.ndarray, fake: Any) -> None:
    again = kk.use("fake")
    with again, again:
        touch[1, 1](a, a)
    with pytest.raises(RuntimeError), again:
        raise RuntimeError
    assert kk.current_device().backend != "fake"
    assert counts(fake) == [1]


def test_use_of_a_device(gpu: Any) -> None:
    with kk.use("gpu:1"):
        device = kk.current_device()
        assert (device.backend, device.index) == ("gpu", 1)
    with kk.use(device):
        assert kk.current_device() == device


def test_use_of_nothing_leaves_the_choice(fake: Any) -> None:
    before = kk.current_device()
    with kk.use(None):
        assert kk.current_device() == before
    with kk.use("fake"), kk.use(None):
        assert kk.current_device().backend == "fake"


def test_use_holds_for_its_thread(fake: Any) -> None:
    seen: list[str] = []

    def look() -> None:
        seen.append(kk.current_device().backend)

    with kk.use("fake"):
        for target in (look, lambda: contextvars.Context().run(look)):
            thread = threading.Thread(target=contextvars.Context().run, args=(target,))
            thread.start()
            thread.join()
        contextvars.copy_context().run(look)
    assert seen[2] == "fake"
    assert "fake" not in seen[:2]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fkae", r"no back end 'fkae'; did you mean 'fake'\?"),
        ("fake:3", r"no device 'fake:3'"),
        (3, "named by a string"),
        ("absent", "'absent' is not usable here: no driver"),
    ],
)
def test_use_checks_at_once(
    fake: Any, fake_backend: Callable[..., Any], name: Any, words: str
) -> None:
    fake_backend("absent", count=0, why="no driver")
    with pytest.raises(BackendError, match=words):
        kk.use(name)


def test_on_checks_the_name_at_once_and_the_device_at_the_launch(
    fake_backend: Callable[..., Any], a: np.ndarray
) -> None:
    fake_backend("absent", count=0, why="no driver")
    with pytest.raises(BackendError, match="no back end 'nobody'"):
        touch.on("nobody")
    bound = touch.on("absent")
    with pytest.raises(BackendError, match="not usable here: no driver"):
        bound[1, 1](a, a)


def test_the_variable_is_named_where_it_is_wrong(
    a: np.ndarray, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELKIT_BACKEND", "fkae")
    with pytest.raises(BackendError, match=r"^KERNELKIT_BACKEND=fkae: there is no .* 'fake'\?"):
        touch[1, 1](a, a)
    with pytest.raises(BackendError, match="^KERNELKIT_BACKEND=fkae"):
        kk.current_device()
    touch.on("fake")[1, 1](a, a)
    assert counts(fake) == [1]


# ---------------------------------------------------------------- arrays of devices
def test_device_arrays_pick_their_device(gpu: Any, device_array: Any, a: np.ndarray) -> None:
    x, y = device_array(a, "gpu:1", 0), device_array(a, "gpu:1", 64)
    touch[1, 1, "a stream"](x, y)
    ((config, args, stream),) = gpu.launches
    assert (config.grid, config.block) == ((1, 1, 1), (1, 1, 1))
    assert args[0] is x
    assert args[1] is y
    assert stream == "a stream"
    assert [k.options.noalias for k in gpu.emitted] == [True]
    touch[1, 1](x, device_array(a, "gpu:1", None))
    assert [k.options.noalias for k in gpu.emitted] == [True, False]


def test_a_chosen_device_takes_its_own_arrays(gpu: Any, device_array: Any, a: np.ndarray) -> None:
    x, y = device_array(a, "gpu:1", 0), device_array(a, "gpu:1", 64)
    touch.on("gpu:1")[1, 1](x, y)
    with kk.use("gpu:1"):
        touch[1, 1](x, y)
    assert len(gpu.launches) == 2


def test_each_device_has_its_own_executable(gpu: Any, device_array: Any, a: np.ndarray) -> None:
    for home in ("gpu:0", "gpu:1", "gpu:0"):
        touch[1, 1](device_array(a, home, 0), device_array(a, home, 64))
    assert (gpu.loaded, len(gpu.launches)) == (2, 3)


def test_arrays_in_more_than_one_place(gpu: Any, device_array: Any, a: np.ndarray) -> None:
    x, y = device_array(a, "gpu:0"), device_array(a, "gpu:1")
    words = (
        r"the arrays of touch are not all in one place: 'a' is on gpu:0; 'b' is on gpu:1; bring "
        r"them together with kernelkit\.asarray\(x, device\)"
    )
    with pytest.raises(ArgumentError, match=words):
        touch[1, 1](x, y)
    with pytest.raises(ArgumentError, match=r"'a' is on gpu:0; 'b' is in the host's memory"):
        touch[1, 1](x, a)
    with pytest.raises(ArgumentError, match=r"'a' is in the host's memory; 'b' is on gpu:1"):
        touch[1, 1](a, y)
    assert gpu.launches == []


def test_an_array_that_the_chosen_device_does_not_work_on(
    gpu: Any, device_array: Any, a: np.ndarray
) -> None:
    x = device_array(a, "gpu:0")
    with pytest.raises(
        ArgumentError,
        match=r"'b' of touch is a .*DeviceArray on gpu:0, and the launch goes to gpu:1; pass "
        r'kernelkit\.asarray\(b, "gpu:1"\)',
    ):
        touch.on("gpu:1")[1, 1](a, x)
    lost = device_array(a, "nowhere")
    words = r"'a' of touch is a .*DeviceArray, which no back end .*, and the launch goes to gpu:0"
    with pytest.raises(ArgumentError, match=words), kk.use("gpu"):
        touch[1, 1](lost, x)
    with pytest.raises(ArgumentError, match=r"goes to python:0; pass .*asarray\(a, \"python:0\"\)"):
        touch.on("python")[1, 1](x, x)
    assert gpu.launches == []


def test_an_array_that_nobody_owns(fake: Any, device_array: Any, a: np.ndarray) -> None:
    lost = device_array(a, "nowhere")
    with pytest.raises(
        ArgumentError, match=r"'a' of touch is a .*DeviceArray, which no back end"
    ) as e:
        touch[1, 1](lost, a)
    assert "fake: not its memory" in str(e.value)
    assert fake.launches == []


def test_read_only_device_arrays(gpu: Any, device_array: Any, a: np.ndarray) -> None:
    locked = device_array(a, "gpu:0", 64, readonly=True)
    touch[1, 1](locked, device_array(a, "gpu:0", 0))
    with pytest.raises(kk.ReadOnlyError, match="touch writes 'b'"):
        touch[1, 1](device_array(a, "gpu:0", 0), locked)
    assert len(gpu.launches) == 1


def test_layouts_of_device_arrays(gpu: Any, device_array: Any) -> None:
    data = np.zeros(8, np.float32)
    out = device_array(data, "gpu:0", 4096)
    for view in (data, data[::2], data[::-1], data[::7]):
        touch[1, 1](device_array(view, "gpu:0", 0), out)
    assert [k.params[0].type.layout for k in gpu.emitted] == ["C", 8, -4, "A"]


def test_a_launch_without_arrays_goes_to_the_current_device(fake: Any, gpu: Any) -> None:
    with kk.use("gpu:1"):
        nothing[1, 1](3)
    with kk.use("fake"):
        nothing[1, 1](3)
    assert counts(fake, gpu) == [1, 1]


@kk.kernel
def nothing(n):
    pass
