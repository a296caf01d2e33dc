"""The reference as a back end: bytes, memory, orders, speed, text."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kernelkit_python
from kernelkit.backend import PROTOCOL, Backend, LaunchConfig
from kernelkit.frontend.builtins import (
    atomic,
    blockDim,
    blockIdx,
    const,
    grid,
    local,
    shared,
    syncthreads,
    threadIdx,
)


def reverse(src, dst):
    tile = shared.array(256, np.float32)
    t = threadIdx.x
    i = blockIdx.x * blockDim.x + t
    tile[t] = src[i]
    syncthreads()
    dst[i] = tile[blockDim.x - 1 - t]


def test_it_meets_the_protocol():
    backend = kernelkit_python.backend
    assert isinstance(backend, Backend)
    assert (backend.name, backend.protocol, backend.why_unavailable()) == ("python", PROTOCOL, "")
    (device,) = backend.probe()
    assert device.backend == "python"
    assert "reference" in device.name
    assert device.target.capabilities.warp_operations
    assert backend.memory(device).owns(np.zeros(1))


def test_a_block_with_a_barrier(executable):
    threads = 256 * 100
    src, dst = np.arange(threads, dtype=np.float32), np.zeros(threads, np.float32)
    config = LaunchConfig((threads // 256, 1, 1), (256, 1, 1))
    executable(reverse, src, dst).launch(config, (src, dst), None)
    assert (dst.reshape(-1, 256) == src.reshape(-1, 256)[:, ::-1]).all()


def ticket(counter, order):
    i = grid(1)
    order[i] = atomic.add(counter, 0, 1)


@pytest.mark.parametrize(
    ("direction", "expected"), [("forward", range(12)), ("reverse", range(11, -1, -1))]
)
def test_orders(launch, direction, expected):
    order = np.zeros(12, np.int64)
    with kernelkit_python.schedule(order=direction):
        launch(ticket, 3, 4, np.zeros(1, np.int32), order)
    assert order.tolist() == list(expected)


def test_a_random_order_follows_its_seed(launch):
    found = []
    for seed in (1, 1, 2):
        order = np.zeros(64, np.int64)
        with kernelkit_python.schedule(order="random", seed=seed):
            launch(ticket, 8, 8, np.zeros(1, np.int32), order)
        assert sorted(order) == list(range(64))
        # A block runs as a whole.
        assert sorted(order[:8] // 8) == [order[0] // 8] * 8
        found.append(order.tolist())
    assert found[0] == found[1] != found[2]
    with pytest.raises(ValueError, match="'forward', 'reverse' or 'random'"):
        kernelkit_python.schedule(order="sideways").__enter__()


def scan(data):
    buffer = shared.array((2, 64), np.int64)
    t = threadIdx.x
    side = 0
    buffer[side, t] = data[t]
    step = 1
    while step < 64:
        syncthreads()
        value = buffer[side, t]
        if t >= step:
            value += buffer[side, t - step]
        side = 1 - side
        buffer[side, t] = value
        step *= 2
    data[t] = buffer[side, t]


@pytest.mark.parametrize("direction", ["forward", "reverse", "random"])
def test_a_correct_kernel_does_not_depend_on_the_order(launch, direction):
    data = np.arange(64)
    with kernelkit_python.schedule(order=direction, seed=5):
        launch(scan, 1, 64, data)
    assert (data == np.cumsum(np.arange(64))).all()


def test_dynamic_shared_memory_starts_at_one_place(launch):
    def kernel(out):
        words = shared.array(0, np.uint32)
        bytes_ = shared.array(0, np.uint8)
        own = shared.array(3, np.uint32)
        words[0] = 0x01020304
        own[0] = 0xFFFFFFFF
        out[0] = bytes_[0]
        out[1] = len(words)
        out[2] = len(bytes_)
        out[3] = words[0]

    out = np.zeros(4, np.int64)
    launch(kernel, 1, 1, out, shared_bytes=22)
    assert out.tolist() == [4, 5, 22, 0x01020304]


def test_dynamic_shared_memory_may_be_nothing(launch):
    def kernel(out):
        words = shared.array(0, np.uint32)
        out[0] = len(words)

    out = np.ones(1, np.int64)
    launch(kernel, 1, 1, out)
    assert out[0] == 0


TABLE = np.array([[1, 2], [3, 4]], np.int16)


def test_constant_arrays_travel_with_the_bytes(launch):
    def kernel(out):
        table = const.array_like(TABLE)
        out[0] = table[1, 0] * 10 + table[0, 1]

    out = np.zeros(1, np.int64)
    launch(kernel, 1, 1, out)
    assert out[0] == 32


def test_local_arrays_are_each_threads_own(launch):
    def kernel(out):
        mine = local.array(2, np.int32)
        mine[0] = threadIdx.x
        syncthreads()
        out[threadIdx.x] = mine[0]

    out = np.zeros(40, np.int64)
    launch(kernel, 1, 40, out)
    assert (out == np.arange(40)).all()


def test_every_atomic(launch):
    def kernel(ints, floats, old):
        old[0] = atomic.add(ints, 0, 5)
        atomic.sub(ints, 1, 5)
        atomic.min(ints, 2, -5)
        atomic.max(ints, 3, 2**31 - 1)
        atomic.and_(ints, 4, 6)
        atomic.or_(ints, 5, 6)
        atomic.xor(ints, 6, 6)
        atomic.inc(ints, 7, 1)
        atomic.dec(ints, 8, 9)
        atomic.dec(ints, 12, -(2**31))
        atomic.exch(ints, 9, 7)
        old[1] = atomic.cas(ints, 10, 1, 8)
        old[2] = atomic.compare_and_swap(ints, 77, 8)
        atomic.add(ints, 11, 2**31 - 1)
        atomic.min(floats, 0, 0.5)
        atomic.max(floats, 1, 0.5)
        atomic.nanmin(floats, 1, 0.5)
        atomic.nanmax(floats, 2, 0.5)

    ints, floats = (
        np.append(np.ones(12, np.int32), np.int32(-(2**31))),
        np.array([1, np.nan, np.nan], np.float32),
    )
    old = np.zeros(3, np.int64)
    launch(kernel, 1, 1, ints, floats, old)
    assert ints.tolist() == [6, -4, -5, 2**31 - 1, 0, 7, 7, 0, 0, 7, 8, -(2**31), 2**31 - 1]
    assert floats.tolist() == [0.5, 0.5, 0.5]
    assert old.tolist() == [1, 1, 6]


def test_strides_and_subclasses(launch):
    def kernel(src, dst):
        i, j = grid(2)
        dst[j, i] = src[j, i]

    src = np.arange(24, dtype=np.float32).reshape(4, 6)
    for view in (src[::-1, ::2], np.broadcast_to(src[0], (4, 6)), src.T):
        dst = np.zeros(view.shape, np.float32)
        launch(kernel, 1, view.shape[::-1], view, dst)
        assert (dst == view).all()


def test_scalars_take_their_representation(launch):
    def kernel(out, a, b, c):
        out[0] = a * b
        if c:
            out[1] = b / 2

    out = np.zeros(2)
    launch(kernel, 1, 1, out, np.int8(-3), np.float16(1.5), np.bool_(True))
    assert out.tolist() == [-4.5, 0.75]


def test_print_goes_to_standard_output(launch, capsys):
    def kernel(x):
        print("thread", threadIdx.x, x, end=";")
        print(f"{x:8.3f}|{threadIdx.x:03d}" if False else "done")

    launch(kernel, 1, 2, 0.25)
    assert capsys.readouterr().out == "thread 0 0.25;done\nthread 1 0.25;done\n"


def test_bytes_are_json_and_say_where_lines_are(printed):
    src = np.zeros(1, np.float32)
    artifact, binary = printed(reverse, src, src)
    stored = json.loads(binary.data)
    assert stored["text"] == artifact.text
    assert stored["files"] == [__file__]
    assert artifact.text.startswith(f"# reverse of {__file__}, metadata ")
    assert "yield (" in artifact.text
    first = reverse.__code__.co_firstlineno
    assert f"# line {first + 5}\n" in artifact.text


def test_two_launches_of_one_executable_can_nest(executable, monkeypatch):
    """Nothing of a launch is kept in the executable."""

    def kernel(src, dst):
        tile = shared.array(4, np.float32)
        tile[threadIdx.x] = src[threadIdx.x]
        syncthreads()
        if threadIdx.x == 0:
            breakpoint()
        dst[threadIdx.x] = tile[3 - threadIdx.x]

    src, outer, inner = (
        np.arange(4, dtype=np.float32),
        np.zeros(4, np.float32),
        np.zeros(4, np.float32),
    )
    loaded = executable(kernel, src, outer)
    config = LaunchConfig((1, 1, 1), (4, 1, 1))
    depth = []

    def hook():
        if not depth:
            depth.append(1)
            loaded.launch(config, (src + 4, inner), None)

    monkeypatch.setattr("sys.breakpointhook", hook)
    loaded.launch(config, (src, outer), None)
    assert outer.tolist() == [3, 2, 1, 0]
    assert inner.tolist() == [7, 6, 5, 4]


def count_up(counter):
    atomic.add(counter, 0, 1)


def test_launches_from_several_threads_do_not_lose_updates(executable):
    counter = np.zeros(1, np.int64)
    loaded = executable(count_up, counter)
    config = LaunchConfig((4, 1, 1), (32, 1, 1))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            runs = [pool.submit(loaded.launch, config, (counter,), None) for _ in range(40)]
        assert all(run.exception() is None for run in runs)
    finally:
        sys.setswitchinterval(before)
    assert counter[0] == 40 * 128
