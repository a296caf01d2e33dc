"""NumPy arrays on a device: as if it worked on them, and nothing but what is written changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided, sliding_window_view
from runtime.fake_device import FakeDevices, FakeMemory, Native, ReachingMemory

import kernelkit as kk
from kernelkit import registry


@pytest.fixture(params=[FakeMemory, ReachingMemory])
def gpu(request: pytest.FixtureRequest) -> Iterator[FakeDevices]:
    """With copies, and in place."""
    backend = FakeDevices("gpu", memory=request.param)
    registry.register(backend)
    yield backend
    registry.unregister("gpu")


@pytest.fixture
def far() -> Iterator[FakeDevices]:
    """With copies only."""
    backend = FakeDevices("gpu")
    registry.register(backend)
    yield backend
    registry.unregister("gpu")


@kk.kernel
def double(src, dst):
    i = kk.grid(1)
    if i < dst.shape[0]:
        dst[i] = src[i] * 2


@kk.kernel
def double2(src, dst):
    x, y = kk.grid(2)
    if y < dst.shape[0] and x < dst.shape[1]:
        dst[y, x] = src[y, x] * 2


@kk.kernel
def shift(a, b):
    """Thread after thread: b[i] = a[i] + 1, where the two may be one."""
    for i in range(b.shape[0]):
        b[i] = a[i] + 1


@kk.kernel
def increment(a):
    a[()] += 1


@kk.kernel
def total(values, out, factor):
    s = 0.0
    for i in range(values.shape[0]):
        s += values[i]
    out[0] = s * factor


def test_copied_in_and_only_what_is_written_copied_back(far: FakeDevices) -> None:
    src, dst = np.arange(100.0), np.zeros(100)
    with kk.use("gpu:1"):
        double.forall(100)(src, dst)
    np.testing.assert_array_equal(dst, src * 2)
    memory = far.memories[1]
    assert (memory.copied_in, memory.copied_out) == (1600, 800)
    assert far.launches[0][0] == 1


def test_scalars_and_every_way_of_choosing(
    gpu: FakeDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = np.zeros(1)
    total.on("gpu")[1, 1](np.ones(3), out, 2)
    assert out[0] == 6
    monkeypatch.setenv("KERNELKIT_BACKEND", "gpu:1")
    total[1, 1](np.ones(4), out, np.float32(0.5))
    assert out[0] == 2
    assert [index for index, *_ in gpu.launches] == [0, 1]


def test_without_a_choice_the_host_works_on_them(gpu: FakeDevices) -> None:
    a = np.zeros(())
    increment[1, 1](a)
    assert a == 1
    assert gpu.launches == []


VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "whole": lambda a: a,
    "part": lambda a: a[3:9],
    "every second": lambda a: a[::2],
    "backwards": lambda a: a[::-1],
    "every third, backwards": lambda a: a[-2::-3],
    "every ninth": lambda a: a[1::9],
    "far apart": lambda a: a[::50],
    "far apart, backwards": lambda a: a[::-50],
    "one": lambda a: a[5:6],
    "none": lambda a: a[:0],
    "none of many": lambda a: a[10:10:3],
}


@pytest.mark.parametrize("dtype", ["float64", "int8", "bool", "float16", "complex64"])
@pytest.mark.parametrize("how", VIEWS)
def test_views(gpu: FakeDevices, how: str, dtype: str) -> None:
    @kk.kernel
    def copy(src, dst):
        i = kk.grid(1)
        if i < dst.shape[0]:
            dst[i] = src[i]

    pattern = (np.arange(120) % 7 + 1).astype(dtype)
    whole, source = pattern.copy(), (np.arange(120) % 5).astype(dtype)
    expected = whole.copy()
    VIEWS[how](expected)[...] = VIEWS[how](source)
    copy.on("gpu").forall(120)(VIEWS[how](source), VIEWS[how](whole))
    np.testing.assert_array_equal(whole, expected)


VIEWS2: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "whole": lambda a: a,
    "transposed": lambda a: a.T,
    "column": lambda a: a[:, 5:6],
    "corner": lambda a: a[:3, :4],
    "sparse": lambda a: a[::5, ::7],
    "sparse rows": lambda a: a[::5, 3:10],
    "upside down": lambda a: a[::-1, 2:9],
    "both backwards": lambda a: a[::-3, ::-2],
    "sparse transposed": lambda a: a[::4, ::6].T,
    "channel": lambda a: a.reshape(20, 8, 3)[:, :, 1],
    "backwards channel": lambda a: a.reshape(20, 8, 3)[::-1, ::-1, 2],
}


@pytest.mark.parametrize("how", VIEWS2)
def test_views_of_pictures(gpu: FakeDevices, how: str) -> None:
    whole, source = np.full((20, 24), -1.0), np.arange(480.0).reshape(20, 24)
    expected = whole.copy()
    VIEWS2[how](expected)[...] = VIEWS2[how](source) * 2
    dst = VIEWS2[how](whole)
    double2.on("gpu").forall(dst.shape)(VIEWS2[how](source), dst)
    np.testing.assert_array_equal(whole, expected)


def test_a_column_does_not_bring_its_picture_along(far: FakeDevices) -> None:
    picture = np.ones((1000, 1000), np.float32)
    out = np.zeros(1)
    total.on("gpu")[1, 1](picture[:, 7], out, 1)
    assert out[0] == 1000
    assert far.memories[0].copied_in < 10_000


@pytest.mark.parametrize("step", [2, -2, 4, 1])
def test_steps_that_kernels_are_compiled_for_are_kept(far: FakeDevices, step: int) -> None:
    source, out = np.arange(4000.0).reshape(40, 100)[::10, ::step], np.zeros((4, 100))
    double2.on("gpu").forall((4, 25))(source, out[:, :25])
    ((_, _, (there, _), _),) = far.launches
    assert there.strides[-1] == source.strides[-1]
    np.testing.assert_array_equal(there.data, source)
    assert far.memories[0].copied_in < 4 * 100 * 8 * 3


def test_alignment_is_kept(far: FakeDevices) -> None:
    @kk.kernel
    def both(octets, numbers):
        octets[0] = 1
        numbers[0] = 1

    a = np.zeros(6)
    both.on("gpu")[1, 1](a.view(np.uint8)[3:], a[1:])
    assert (a.view(np.uint8)[3], a[1]) == (1, 1)
    ((_, _, natives, _),) = far.launches
    assert all(native.data.flags.aligned for native in natives)


def test_gaps_are_neither_read_nor_written(far: FakeDevices) -> None:
    whole = np.zeros(20)

    def meanwhile(*_: Any) -> None:
        whole[1::2] = 7  # as another thread would

    far.memories[0].synchronize = meanwhile  # type: ignore[method-assign]
    double.on("gpu").forall(10)(np.ones(10), whole[::2])
    np.testing.assert_array_equal(whole, [2, 7] * 10)


# ---------------------------------------------------------------- one memory
def on_host(kernel: Any, *args: Any) -> None:
    kernel.on("python")[1, 1](*args)


ALIASES: dict[str, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] = {
    "the same": lambda a: (a, a),
    "equal views": lambda a: (a[2:20], a[2:20]),
    "a step apart": lambda a: (a[:-1], a[1:]),
    "backwards": lambda a: (a, a[::-1]),
    "interleaved": lambda a: (a[::2], a[1::2]),
    "interleaved, meeting": lambda a: (a[::2], a[::3]),
    "inside": lambda a: (a, a[10:14]),
    "other dtype": lambda a: (a.view(np.int64), a),
    "halves": lambda a: (a.view(np.float32)[5:], a[1:]),
    "bytes": lambda a: (a.view(np.uint8)[3:], a),
}


@pytest.mark.parametrize("how", ALIASES)
def test_aliasing_means_the_same_as_on_the_host(gpu: FakeDevices, how: str) -> None:
    there, here = np.arange(30.0), np.arange(30.0)
    shift.on("gpu")[1, 1](*ALIASES[how](there))
    on_host(shift, *ALIASES[how](here))
    np.testing.assert_array_equal(there, here)


def test_chains_of_overlaps_are_one_span(gpu: FakeDevices) -> None:
    @kk.kernel
    def chain(a, b, c, d):
        a[9] = 1
        b[9] = b[0] + 1
        c[9] = c[0] + 1
        d[0] = c[9]

    for name in ("gpu", "python"):
        whole, other = np.zeros(40), np.zeros(3)
        chain.on(name)[1, 1](whole[:10], whole[9:20], whole[18:30], other)
        assert (whole[9], whole[18], whole[27], other[0]) == (1, 2, 3, 3)


def test_broadcast_and_windows(gpu: FakeDevices) -> None:
    row, out = np.arange(6.0), np.zeros((4, 6))
    double2.on("gpu").forall(out.shape)(np.broadcast_to(row, (4, 6)), out)
    np.testing.assert_array_equal(out, np.broadcast_to(row * 2, (4, 6)))
    windows, out = sliding_window_view(np.arange(9.0), 4), np.zeros((6, 4))
    double2.on("gpu").forall(out.shape)(windows, out)
    np.testing.assert_array_equal(out, windows * 2)
    large = np.broadcast_to(np.float64(3), (1 << 40,))
    first = np.zeros(1)
    double.on("gpu").forall(1)(large, first)
    assert first[0] == 6


def test_a_written_array_that_overlaps_itself(gpu: FakeDevices) -> None:
    base = np.zeros(4)
    everywhere = as_strided(base, (5, 4), (0, 8))
    double2.on("gpu").forall((5, 4))(np.arange(20.0).reshape(5, 4), everywhere)
    np.testing.assert_array_equal(base, np.arange(16.0, 20) * 2)


def test_a_written_array_with_gaps_that_overlaps_itself(gpu: FakeDevices) -> None:
    @kk.kernel
    def along(a):
        a[0, 1, 0] = 7
        a[1, 1, 1] = a[1, 0, 0] + 1

    data = np.zeros(400)
    along.on("gpu")[1, 1](as_strided(data, (2, 2, 2), (8, 8, 1600)))
    assert data[[1, 202]].tolist() == [7, 8] and data.sum() == 15


def test_axes_none_and_tuples(gpu: FakeDevices) -> None:
    @kk.kernel
    def into(pair, out):
        out[0] = pair[0][0] + pair[1][0]

    scalar = np.zeros(())
    increment.on("gpu")[1, 1](scalar)
    assert scalar == 1
    out = np.zeros(1)
    into.on("gpu")[1, 1]((np.ones(2), np.full(2, 4.0)), out)
    assert out[0] == 5


def test_read_only_arrays(gpu: FakeDevices) -> None:
    locked = np.arange(4.0)
    locked.flags.writeable = False
    out = np.zeros(4)
    double.on("gpu").forall(4)(locked, out)
    np.testing.assert_array_equal(out, locked * 2)
    with pytest.raises(kk.ReadOnlyError, match="double writes 'dst'"):
        double.on("gpu").forall(4)(out, locked)
    assert len(gpu.launches) == 1


# ---------------------------------------------------------------- beside arrays of the device
def test_beside_device_arrays_where_the_device_was_asked_for(gpu: FakeDevices) -> None:
    src, dst = kk.asarray(np.arange(4.0), "gpu:1"), np.zeros(4)
    double.on("gpu:1").forall(4)(src, dst)
    np.testing.assert_array_equal(dst, np.arange(4.0) * 2)
    assert gpu.launches[0][2][0] is src
    with pytest.raises(kk.ArgumentError, match="'src' is on gpu:1; 'dst' is in the host's memory"):
        double.forall(4)(src, dst)
    with pytest.raises(kk.ArgumentError, match="'src' of double is a .*Native on gpu:1, and the "):
        double.on("gpu:0").forall(4)(src, dst)
    assert len(gpu.launches) == 1


# ---------------------------------------------------------------- in place
def test_borrowed_memory_is_not_copied_and_given_back() -> None:
    backend = FakeDevices("gpu", memory=ReachingMemory)
    registry.register(backend)
    try:
        src, dst = np.arange(10.0), np.zeros(10)
        double.on("gpu").forall(10)(src, dst)
        memory: Any = backend.memories[0]
        assert (memory.copied_in, memory.copied_out) == (0, 0)
        assert sorted(writeable for _, writeable in memory.lent) == [False, True]
        assert sorted(memory.returned) == [False, True]
        backend.fail = RuntimeError("lost")
        with pytest.raises(RuntimeError, match="lost"):
            double.on("gpu").forall(10)(src, dst)
        assert len(memory.returned) == 4
        small = np.ones(1, np.int8)
        double.on("gpu").forall(1)(small, small)  # the memory does not take so little
        assert small[0] == 2
        assert memory.copied_in > 0
    finally:
        registry.unregister("gpu")


# ---------------------------------------------------------------- when it goes wrong
def test_a_failed_launch_writes_nothing_and_the_next_one_works(far: FakeDevices) -> None:
    src, dst = np.arange(10.0), np.zeros(20)
    far.fail = RuntimeError("the device is on fire")
    with pytest.raises(RuntimeError, match="on fire"):
        double.on("gpu").forall(10)(src, dst[::2])
    assert not dst.any()
    double.on("gpu").forall(10)(src, dst[::2])
    np.testing.assert_array_equal(dst[::2], src * 2)


def test_a_fault_writes_nothing_and_the_next_launch_works(gpu: FakeDevices) -> None:
    @kk.kernel(debug=True)
    def checked(a, n):
        for i in range(n):
            a[i] = 5

    a = np.zeros(4)
    with pytest.raises(kk.OutOfBoundsError):
        checked.on("gpu")[1, 1](a, 6)
    assert not a.any()
    checked.on("gpu")[1, 1](a, 4)
    assert a.all()


def test_no_room(far: FakeDevices) -> None:
    src, dst = np.ones(100), np.zeros(100)
    far.memories[0].room = 500
    with pytest.raises(MemoryError) as caught:
        double.on("gpu").forall(100)(src, dst)
    words = str(caught.value)
    assert words.startswith("there is no room on gpu:0 (fake device 0) for 'src' of double, 800 ")
    assert "gpu:0 has 500 bytes" in words
    assert "nothing was launched or written" in words
    with pytest.raises(MemoryError, match="for 'src', 'dst' of double, 8"):
        double.on("gpu").forall(100)(dst, dst)
    assert not dst.any()
    assert far.launches == []
    far.memories[0].room = 800
    double.on("gpu").forall(100)(src, dst)
    assert dst.all()


def test_nothing_comes_back_by_halves(far: FakeDevices) -> None:
    """As where the device is lost between two copies."""

    @kk.kernel
    def both(a, b):
        a[0] = 1
        b[0] = 1

    taken = 0
    copy_out = far.memories[0].copy_out

    def second_fails(value: Any) -> np.ndarray:
        nonlocal taken
        taken += 1
        if taken == 2:
            raise OSError("gone")
        return copy_out(value)

    far.memories[0].copy_out = second_fails  # type: ignore[method-assign]
    a, b = np.zeros(1), np.zeros(1)
    with pytest.raises(OSError, match="gone"):
        both.on("gpu")[1, 1](a, b)
    assert (a[0], b[0]) == (0, 0)


def test_while_launches_are_captured(far: FakeDevices) -> None:
    far.memories[0].capture = True
    a = np.zeros(3)
    with pytest.raises(
        kk.ConfigurationError, match="'src', 'dst' of double would have to be copied"
    ):
        double.on("gpu").forall(3)(a, a + 1)
    there = kk.asarray(a, "gpu")
    double.on("gpu").forall(3)(there, there)
    assert len(far.launches) == 1


def test_a_memory_without_views_takes_whole_arrays(far: FakeDevices) -> None:
    class Plain(FakeMemory):
        view = property()  # type: ignore[assignment]

    backend = FakeDevices("plain", memory=Plain)
    registry.register(backend)
    try:
        src, dst = np.arange(4.0), np.zeros(4)
        double.on("plain").forall(4)(src, dst)
        np.testing.assert_array_equal(dst, src * 2)
        with pytest.raises(kk.ArgumentError, match=r"'dst' of double has gaps .* pass dst\.copy"):
            double.on("plain").forall(2)(src, dst[::2])
    finally:
        registry.unregister("plain")


def test_streams_are_waited_for(far: FakeDevices) -> None:
    src, dst = np.arange(4.0), np.zeros(4)
    double.on("gpu")[1, 4, kk.Stream("gpu")](src, dst)
    np.testing.assert_array_equal(dst, src * 2)
    assert far.memories[0].waited == 2  # for the copies, and for the kernel
    assert isinstance(far.launches[0][2][0], Native)


def test_nothing_to_launch(far: FakeDevices) -> None:
    double.on("gpu").forall(0)(np.zeros(0), np.zeros(0))
    assert far.launches == []
    assert far.memories[0].copied_in == 0
