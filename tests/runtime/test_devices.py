"""Arrays that live on devices: whose they are, streams, warm launches, small ones, refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime.fake_device import FakeDevices, FakeMemory, Native, Other, Stream, Tensor

import kernelkit as kk
from kernelkit import registry
from kernelkit.errors import ArgumentError, ConfigurationError


@pytest.fixture
def install() -> Iterator[Callable[..., FakeDevices]]:
    made: list[str] = []

    def make(name: str = "gpu", **what: Any) -> FakeDevices:
        backend = FakeDevices(name, **what)
        made.append(name)
        registry.register(backend)
        return backend

    yield make
    for name in made:
        registry.unregister(name)


@pytest.fixture
def gpu(install: Callable[..., FakeDevices]) -> FakeDevices:
    return install()


def fresh() -> Any:
    @kk.kernel
    def scale(src, dst, factor, n):
        i = kk.grid(1)
        if i < n:
            dst[i] = src[i] * factor

    return scale


def pair(device: str = "gpu") -> tuple[Any, Any]:
    return kk.asarray(np.arange(8.0), device), kk.asarray(np.zeros(8), device)


def is_scaled(array: Any, by: float) -> bool:
    return bool((kk.to_numpy(array) == np.arange(8.0) * by).all())


# ---------------------------------------------------------------- whose they are
def test_arrays_choose_their_device(gpu: FakeDevices) -> None:
    launch = fresh()[1, 8]
    for device in ("gpu:0", "gpu:1", "gpu:0", "gpu:0"):
        src, dst = pair(device)
        launch(src, dst, 2.0, 8)
        assert is_scaled(dst, 2)
    assert [index for index, *_ in gpu.launches] == [0, 1, 0, 0]


def test_mixed_devices_say_which_is_where(
    gpu: FakeDevices, install: Callable[..., FakeDevices]
) -> None:
    install("other")
    kernel = fresh()
    src, dst = pair("gpu:0")
    for device in ("gpu:1", "other:0"):
        away = pair(device)[1]
        with pytest.raises(ArgumentError, match=f"'src' is on gpu:0; 'dst' is on {device}; bring"):
            kernel[1, 8](src, away, 2.0, 8)
        with pytest.raises(ArgumentError, match=f"'dst' of scale is .* on {device}, .* to gpu:0"):
            kernel.on("gpu")[1, 8](src, away, 2.0, 8)
    with pytest.raises(ArgumentError, match="'src' of scale is .* on gpu:0, .* goes to python:0"):
        kernel.on("python")[1, 8](src, dst, 2.0, 8)
    assert gpu.launches == []


def test_other_libraries_arrays_become_native(gpu: FakeDevices) -> None:
    launch = fresh()[1, 8]
    src, dst = pair()
    for theirs in (Other, Tensor):
        launch(theirs(src), theirs(dst), 3.0, 8)
        assert gpu.launches[-1][2][0] is src
        assert gpu.launches[-1][2][1] is dst
    assert is_scaled(dst, 3)
    assert len(gpu.emitted) == 1
    launch(src, Other(src), 1.0, 8)
    assert [options.noalias for options in gpu.emitted] == [True, False]


@pytest.mark.parametrize("dtype", ["bool", "float16", "complex64", "complex128", "uint8"])
def test_dtypes_of_interfaces(gpu: FakeDevices, dtype: str) -> None:
    @kk.kernel
    def copy(src, dst):
        dst[0] = src[1]

    src = kk.asarray(np.array([0, 1]).astype(dtype), "gpu")
    dst = kk.asarray(np.zeros(1, dtype), "gpu")
    copy[1, 1](Other(src), Other(dst))
    assert kk.to_numpy(Other(dst))[0] == 1


def test_read_only_and_masked_interfaces(gpu: FakeDevices) -> None:
    src, dst = pair()
    launch = fresh()[1, 8]
    launch(Other(src, readonly=True), dst, 2.0, 8)
    with pytest.raises(kk.ReadOnlyError, match="scale writes 'dst'"):
        launch(src, Other(dst, readonly=True), 2.0, 8)
    with pytest.raises(ArgumentError, match="'src', is of type .*Other.* it has a mask"):
        launch(Other(src, mask=dst), dst, 2.0, 8)
    assert len(gpu.launches) == 1


@pytest.mark.parametrize("make", [lambda native: native, Other])
def test_arrays_that_are_not_aligned(gpu: FakeDevices, make: Callable[..., Any]) -> None:
    memory, launch = gpu.memory(gpu.probe()[0]), fresh()[1, 8]
    base = kk.asarray(np.zeros(200, np.uint8), "gpu")
    where = [((8,), (8,), 8), ((8,), (8,), 3), ((8,), (12,), 0), ((0,), (8,), 3), ((1,), (9,), 8)]
    views = [make(memory.view(base, np.dtype(float), *each)) for each in where]
    _, dst = pair()
    for right in (0, 3, 4, 0):  # the last of them goes the short way
        launch(views[right], dst, 1.0, 0)
        for wrong in views[1:3]:
            with pytest.raises(
                ArgumentError, match=r"'src' of scale is not aligned.*src\.copy\(\)"
            ):
                launch(wrong, dst, 1.0, 8)


def test_an_array_that_cannot_be_taken_over(gpu: FakeDevices) -> None:
    def refuse(value: object) -> Native:
        raise RuntimeError("it requires a gradient")

    gpu.memories[0].adopt = refuse  # type: ignore[method-assign]
    src, dst = pair()
    with pytest.raises(ArgumentError, match="'src' of scale is a .*Other, .* requires a gradient"):
        fresh()[1, 8](Other(src), Other(dst), 2.0, 8)
    with pytest.raises(ArgumentError, match="'src', is of type .*Tensor.* requires a gradient"):
        fresh()[1, 8](Tensor(src), Tensor(dst), 2.0, 8)


def test_numpy_arrays_beyond_any_memory(gpu: FakeDevices) -> None:
    byte = np.int8(1)
    for name in ("gpu", "python"):
        for large in (np.broadcast_to(byte, (1 << 60,)), np.zeros((1 << 62, 0), np.int8)[::2]):
            kernel = long1 if large.ndim == 1 else long2
            with pytest.raises(ArgumentError, match=r"'src', has \d+ elements along one axis"):
                kernel.on(name)[1, 1](large)
        long1.on(name)[1, 1](np.broadcast_to(byte, ((1 << 60) - 1,)))


@kk.kernel
def long1(src):
    pass


@kk.kernel
def long2(src):
    pass


# ---------------------------------------------------------------- streams and time
def test_streams(gpu: FakeDevices) -> None:
    src, dst = pair("gpu:1")
    kernel = fresh()
    own = kk.Stream("gpu:1")
    for given, raw in ((own, own.raw), (99, 99)):
        launch = kernel[1, 8, given]
        for _ in range(3):
            launch(src, dst, 2.0, 8)
        streams = [stream for *_, stream in gpu.launches[-3:]]
        assert streams == [streams[0]] * 3  # looked up once
        assert (streams[0].home, streams[0].raw) == ("gpu:1", raw)
    kernel[1, 8, None](src, dst, 2.0, 8)
    assert gpu.launches[-1][3] is None


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ("main", r"'main' \(str\) is no stream of it: this device takes its own streams"),
        (Stream("gpu:0"), r"is no stream of it: it belongs to gpu:0; leave it out, or pass "),
    ],
)
def test_what_is_no_stream(gpu: FakeDevices, stream: Any, words: str) -> None:
    src, dst = pair("gpu:1")
    with pytest.raises(ConfigurationError, match=words):
        fresh()[1, 8, stream](src, dst, 2.0, 8)
    assert gpu.launches == []


def test_events_and_waiting(gpu: FakeDevices) -> None:
    begin, end = kk.Event("gpu"), kk.Event("gpu")
    begin.record()
    src, dst = pair()
    fresh()[1, 8](src, dst, 2.0, 8)
    end.record()
    assert end.elapsed_ms(begin) > 0
    waited = gpu.memories[0].waited
    kk.synchronize()
    assert gpu.memories[0].waited == waited + 1
    assert gpu.memories[1].waited == 0  # nothing was done there


def test_launches_of_device_arrays_do_not_wait(gpu: FakeDevices) -> None:
    src, dst = pair()
    for _ in range(3):
        fresh()[1, 8](src, dst, 2.0, 8)
    assert gpu.memories[0].waited == 0


# ---------------------------------------------------------------- warm launches
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many launches took the longer way."""
    from kernelkit.runtime import launch

    taken: list[int] = []
    read = launch.read

    def counted(*args: Any) -> Any:
        taken.append(1)
        return read(*args)

    monkeypatch.setattr(launch, "read", counted)
    return taken


def test_a_warm_launch_takes_the_short_way(
    gpu: FakeDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer, launch = reads(monkeypatch), fresh()[1, 8]
    for factor in (2.0, 3.0, 4.0):
        src, dst = pair()
        launch(src, dst, factor, 8)
        assert is_scaled(dst, factor)
    assert len(longer) == 1
    for _ in range(2):
        launch(src, dst, 5.0, np.int64(8))
        assert is_scaled(dst, 5)
    assert len(longer) == 2  # a NumPy scalar is another type
    for _ in range(2):
        away = pair("gpu:1")
        launch(*away, 5.0, np.int64(8))
        assert is_scaled(away[1], 5)
    assert len(longer) == 3
    assert [index for index, *_ in gpu.launches] == [0, 0, 0, 0, 0, 1, 1]


def test_brackets_written_anew_are_as_warm(
    gpu: FakeDevices, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer, kernel = reads(monkeypatch), fresh()
    for factor in (2.0, 3.0, 4.0):
        src, dst = pair()
        kernel[1, 8](src, dst, factor, 8)
        assert is_scaled(dst, factor)
    assert len(longer) == 1
    kernel[2, 8](src, dst, 5.0, 8)
    kernel[1, 8, 7](src, dst, 5.0, 8)
    kernel.on("gpu")[1, 8](src, dst, 5.0, 8)
    assert len(longer) == 4
    assert [config.grid[0] for _, config, *_ in gpu.launches] == [1, 1, 1, 2, 1, 1]
    assert [s is not None for *_, s in gpu.launches] == [False] * 4 + [True, False]


def test_a_back_end_registered_anew_is_another(install: Callable[..., FakeDevices]) -> None:
    kernel = fresh()
    backends = [install(), install()]
    for backend in backends:
        registry.register(backend)
        for _ in range(2):
            src, dst = pair()
            kernel[1, 8](src, dst, 2.0, 8)
    assert [len(backend.launches) for backend in backends] == [2, 2]


def test_what_takes_the_longer_way(gpu: FakeDevices, monkeypatch: pytest.MonkeyPatch) -> None:
    longer, launch = reads(monkeypatch), fresh()[1, 8]
    src, dst = pair()
    far_src, far_dst = pair("gpu:1")
    backwards = gpu.memories[0].view(src, src.dtype, (4,), (16,), 0)
    for args in (
        (Other(src), dst, 2.0, 8),
        (backwards, dst, 2.0, 4),
        (far_src, far_dst, 2.0, 8),
        (src, dst, 2.0, 8),
        (src, dst, 2.0, -(1 << 31)),
        (src, dst, 2.0, np.int64(-(1 << 40))),
    ):
        before = len(longer)
        launch(*args)
        assert len(longer) == before + 1
    launch(src, dst, 2.0, 8)
    before = len(longer)
    launch(src, dst, 2.0, 8)
    assert len(longer) == before
    with kk.use("gpu:0"):
        launch(src, dst, 2.0, 8)
        launch(src, dst, 2.0, 8)
    assert len(longer) == before + 1
    with kk.use("gpu:1"), pytest.raises(ArgumentError, match="on gpu:0, and the launch goes to"):
        launch(src, dst, 2.0, 8)
    host, before = (np.arange(8.0), np.zeros(8)), len(longer)
    for _ in range(3):
        launch(*host, 3.0, 8)
    assert len(longer) == before + 1
    assert is_scaled(host[1], 3)


def test_a_warm_launch_sees_overlaps(gpu: FakeDevices) -> None:
    launch = fresh()[1, 8]
    src, dst = pair()
    for _ in range(2):
        launch(src, dst, 2.0, 8)
        launch(src, src, 1.0, 8)
        launch(src, src[4:], 1.0, 4)
    assert [options.noalias for options in gpu.emitted] == [True, False]
    assert len(gpu.launches) == 6


FACTOR = 2.0


def test_a_warm_launch_sees_changed_globals_and_checks_shared_memory(
    install: Callable[..., FakeDevices],
) -> None:
    gpu = install(shared_bytes=1024)

    @kk.kernel
    def by_global(dst):
        dst[0] = FACTOR

    global FACTOR
    launch, (_, dst) = by_global[1, 1], pair()
    try:
        for value in (2.0, 2.0, 5.0, 5.0):
            FACTOR = value
            launch(dst)
            assert kk.to_numpy(dst)[0] == value
    finally:
        FACTOR = 2.0
    assert len(gpu.emitted) == 2


def test_memories_without_the_optional_members(install: Callable[..., FakeDevices]) -> None:
    class Least(FakeMemory):
        plain = stream_of = bounds = capturing = property()  # type: ignore[assignment]

    gpu = install("least", memory=Least)
    launch = fresh()[1, 8, "their own stream"]
    src, dst = pair("least")
    for _ in range(2):
        launch(src, dst, 2.0, 8)
    assert is_scaled(dst, 2)
    assert [options.noalias for options in gpu.emitted] == [False]  # nothing is known of addresses
    assert gpu.launches[0][3] == "their own stream"


# ---------------------------------------------------------------- small launches
def variants(gpu: FakeDevices) -> list[tuple[bool, bool]]:
    return [(options.noalias, options.small) for options in gpu.emitted]


def test_narrow_back_ends_get_small_launches(install: Callable[..., FakeDevices]) -> None:
    gpu = install(narrow=True)
    launch = fresh()[1, 8]
    src, dst = pair()
    for n in (8, 1 - (1 << 30), 8):
        launch(src, dst, 2.0, n)
    assert variants(gpu) == [(True, True)]
    launch(src, dst, 2.0, -(1 << 30) - 1)
    assert variants(gpu) == [(True, True), (True, False)]
    launch(src, src, 2.0, 8)
    launch(src, src, 2.0, -(1 << 40))
    expected = [(True, True), (True, False), (False, True), (False, False)]
    assert variants(gpu) == expected
    for again in (8, -(1 << 40)):
        launch(src, dst, 2.0, again)
        launch(src, src, 2.0, again)
    assert variants(gpu) == expected
    for n in (8, 1 << 40):
        fresh().inspect(src, dst, 2.0, n, what="source")
        assert gpu.emitted[-1].small == (n == 8)


def test_other_back_ends_do_not(gpu: FakeDevices) -> None:
    launch = fresh()[1, 8]
    src, dst = pair()
    launch(src, dst, 2.0, 8)
    launch(src, dst, 2.0, -(1 << 40))
    assert variants(gpu) == [(True, False)]


def test_what_is_small() -> None:
    from kernelkit.runtime.variants import are_small, is_small_grid

    g = (1 << 30) - 1
    assert is_small_grid((g // 256, 5, 1), (256, 4, 1))
    assert not is_small_grid((g // 256 + 1, 1, 1), (256, 1, 1))
    assert not is_small_grid((1, g, 1), (1, 2, 1))
    assert is_small_grid((g, 65535, 65535), (1, 1, 1))
    assert not is_small_grid((1, 65536, 1), (1, 1, 1))
    assert not is_small_grid((1, 1, 65536), (1, 1, 1))
    item = np.zeros(1, np.int8)
    spread = np.lib.stride_tricks.as_strided
    for small in (
        g, -g, np.int64(g), np.uint64(2**63), 1e300, True, np.zeros(3), np.zeros((0, 5)),
        np.broadcast_to(item, (g,)), spread(item, (2,), (2 * g,)), spread(item, (0, 9), (g, g)),
    ):  # fmt: skip
        assert are_small([small]), small
    for large in (
        g + 1, -g - 1, np.int64(g + 1), np.broadcast_to(item, (g + 1,)), np.zeros((0, g + 1)),
        spread(item, (2,), (2 * g + 1,)), spread(item, (3,), (-g - 1,)), spread(item, (2, 2), (g, g + 1)),
    ):  # fmt: skip
        assert not are_small([1, large]), large


def test_a_large_grid_is_not_small(install: Callable[..., FakeDevices]) -> None:
    gpu = install(narrow=True)
    src, dst = pair()
    kernel = kk.kernel(long4)
    for blocks in (1 << 22, 1 << 23):
        kernel.inspect(src, dst, 1.0, 8, grid=blocks, block=128, what="source")
        assert gpu.emitted[-1].small == (blocks == 1 << 22)
    assert gpu.launches == []


def long4(src, dst, factor, n):
    pass


def scaled(src, dst, factor, n):
    i = kk.grid(1)
    if i < n:
        dst[i] = src[i] * factor


def test_every_variant_is_kept_on_disk(
    install: Callable[..., FakeDevices], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KERNELKIT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(FakeDevices, "cached", True, raising=False)
    gpu = install(narrow=True)
    src, dst = pair()
    arguments = [(src, dst, 2.0, n) for n in (8, -(1 << 40))]
    arguments += [(src, src, 2.0, n) for n in (8, -(1 << 40))]
    for each in arguments:
        kk.kernel(scaled)[1, 8](*each)  # as in another process
    assert variants(gpu) == [(True, True), (True, False), (False, True), (False, False)]
    again = kk.kernel(scaled)
    for each in arguments:
        kk.kernel(scaled)[1, 8](*each)
        again[1, 8](*each)
    assert len(gpu.emitted) == 4
    assert len(gpu.launches) == 12


# ---------------------------------------------------------------- what a device cannot do
def test_what_the_device_cannot_do(install: Callable[..., FakeDevices]) -> None:
    from kernelkit.ir.types import DTYPES

    gpu = install(dtypes=frozenset(DTYPES) - {"float64", "complex128"}, threads_per_block=256)
    src, dst = np.ones(8, np.float32), np.zeros(8, np.float32)
    kernel = fresh()
    with pytest.raises(kk.CapabilityError, match="scale needs float64, which fake device 0 lacks"):
        kernel.on("gpu")[1, 8](src.astype(np.float64), dst.astype(np.float64), 2.0, 8)
    with pytest.raises(ConfigurationError, match="and fake device 0 takes at most 256"):
        kernel.on("gpu")[1, 512](src, dst, 2.0, 8)
    assert gpu.launches == []
    kernel.on("gpu")[1, 8](src, dst, np.float32(2), 8)
    np.testing.assert_array_equal(dst, 2)


def test_no_room_for_an_array_of_ones_own(gpu: FakeDevices) -> None:
    gpu.memories[0].room = 100
    with pytest.raises(MemoryError, match="gpu:0 has 100 bytes"):
        kk.empty(1000, np.float32, "gpu")
    assert kk.empty(10, np.float32, "gpu").shape == (10,)
