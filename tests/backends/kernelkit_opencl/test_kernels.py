"""Kernels of users on OpenCL: whose arrays they take, the host's memory, streams, faults."""

from __future__ import annotations

import importlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from opencl_devices import FOUND, each_device

import kernelkit as kk
from kernelkit_opencl import devices
from kernelkit_opencl.memory import OpenclMemory
from kernelkit_opencl.pocl import room_for_arrays


@pytest.fixture
def name(device: Any) -> Iterator[str]:
    """What kernelkit calls a device; launches go there."""
    found = f"opencl:{FOUND.devices.index(device)}"
    with kk.use(found):
        yield found


@kk.kernel
def add(a, b, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = a[i] + b[i]


@kk.kernel
def scratch(out):
    own = kk.local.array(4000, np.float64)
    i = kk.grid(1)
    for k in range(4000):
        own[k] = k * i
    out[i] = own[(i * 7919) % 4000]


@each_device
def test_local_arrays_that_would_end_the_process(device, name):
    if room_for_arrays(device) is None:
        pytest.skip(f"{device.name} keeps local arrays elsewhere")
    out = np.full(1000, -1.0)
    with pytest.raises(kk.KernelError, match=r"1000 threads.*32000 bytes.*at most \d+ threads"):
        scratch[1, 1000](out)
    assert (out == -1).all()
    scratch[10, 100](out)
    assert out[:3].tolist() == [0, 3919, 7676]


def many_variables() -> str:
    count = 300
    own = [f"x{k} = a[(i + {k}) % a.size] * {k + 1}" for k in range(count)]
    sums = [f"s = s * 3 + x{k}" for k in range(count)]
    lines = ["i = kk.threadIdx.x", *own, "kk.syncthreads()", "s = 0", *sums, "out[i] = s"]
    source = "import kernelkit as kk\n@kk.kernel\ndef many(a, out):\n    " + "\n    ".join(lines)
    return source + "\n"


@each_device
def test_variables_that_would_end_the_process(device, name, tmp_path, monkeypatch):
    if room_for_arrays(device) is None:
        pytest.skip(f"{device.name} keeps variables elsewhere")
    (tmp_path / "many_variables.py").write_text(many_variables())
    monkeypatch.syspath_prepend(tmp_path)
    many = importlib.import_module("many_variables").many
    out = np.zeros(4096, np.int64)
    with pytest.raises(
        kk.KernelError, match=r"4096 threads.*24\d\d bytes of variables.*at most \d+"
    ):
        many[1, 4096](np.arange(50), out)


@each_device
def test_a_forked_process_does_not_wait_for_ever(device, name):
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    out = np.zeros(3)
    add[1, 3](np.ones(3), out, out)
    child = os.fork()
    if child == 0:
        try:
            add[1, 3](out, out, out)
            os._exit(0 if out[0] == 2 else 1)
        except kk.BackendError as error:
            os._exit(0 if "stayed behind when this process was forked" in str(error) else 2)
        finally:
            os._exit(3)
    for _ in range(300):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("it hangs")
    assert status == 0
    add[1, 3](np.ones(3), out, out)
    assert out.tolist() == [2] * 3


@each_device
def test_numpy_arrays_are_used_in_place_on_cpus(device, name, monkeypatch):
    if not devices.is_cpu(device):
        pytest.skip(f"{device.name} has memory of its own")

    def copies(*_: Any) -> None:
        raise AssertionError("an array was copied")

    a, b, out = np.arange(1000, dtype=np.float32), np.ones(1000, np.float32), np.zeros(1000, "f4")
    a.flags.writeable = False
    monkeypatch.setattr(OpenclMemory, "copy_in", copies)
    monkeypatch.setattr(OpenclMemory, "copy_out", copies)
    add.forall(1000)(a, b, out)
    np.testing.assert_array_equal(out, a + 1)


@each_device
def test_layouts_of_numpy_arrays(device, name):
    values = np.arange(2000, dtype=np.float64)
    expected = values.copy()
    for target in (values, expected):
        a, b, out = target[100:200][::-1], target[150:250], target[1000::3][:100]
        if target is values:
            add.forall(100)(a, b, out)
        else:
            out[...] = a.copy() + b.copy()
    np.testing.assert_array_equal(values, expected)


@kk.kernel
def shift(values):
    i = kk.threadIdx.x
    mine = values[i]
    kk.syncthreads()
    values[i + 1] = mine


@each_device
def test_arrays_choose_their_device(device):
    import pyopencl as cl
    import pyopencl.array as arrays

    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    values = arrays.to_device(queue, np.arange(9, dtype=np.int32))
    shift[1, 8](values)
    assert values.get().tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.skipif(len(FOUND.devices) < 2, reason="there are not two OpenCL devices here")
def test_arrays_of_two_devices_are_refused():
    a, b = (kk.asarray(np.ones(4, np.float32), f"opencl:{i}") for i in range(2))
    with pytest.raises(
        kk.ArgumentError, match="not all in one place: 'a' is on opencl:0; 'b' is on opencl:1"
    ):
        add.forall(4)(a, b, a)
    with pytest.raises(kk.ArgumentError):
        add.on("opencl:1").forall(4)(a, a, a)


@each_device
def test_streams_and_events(device, name):
    a, b = kk.asarray(np.zeros(1 << 18, np.float32)), kk.asarray(np.ones(1 << 18, np.float32))
    stream, before, after = kk.Stream(), kk.Event(), kk.Event()
    before.record(stream)
    for _ in range(10):
        add[1 << 10, 256, stream](a, b, a)
    after.record(stream)
    assert after.elapsed_ms(before) > 0
    np.testing.assert_array_equal(kk.to_numpy(a), 10)
    add[1 << 10, 256, stream](a, b, a)
    kk.synchronize()
    assert a.get()[0] == 11
    with pytest.raises(kk.ConfigurationError, match="OpenCL takes a pyopencl.CommandQueue"):
        add[1, 1, "stream"](a, b, a)


@kk.kernel
def pass_on(src, dst):
    i = kk.threadIdx.x
    mine = src[i]
    kk.syncthreads()
    dst[i] = mine


@each_device
def test_numpy_arrays_that_overlap(device, name):
    values = np.arange(40, dtype=np.int16)
    pass_on[1, 32](values[:32], values[8:])
    assert values.tolist() == [*range(8), *range(32)]


@each_device
def test_no_room_for_an_argument(device, name):
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (1 << 41,), (0,))
    with pytest.raises(MemoryError):
        kk.asarray(huge, name)
    out = np.zeros(4, np.float32)
    add.forall(4)(np.ones(4, np.float32), np.ones(4, np.float32), out)
    assert out.tolist() == [2] * 4


# ---------------------------------------------------------------- reports
@kk.kernel(debug=True)
def checked(values, at):
    i = kk.grid(1)
    assert values[i] >= 0, "negative"
    values[at] = 1.0


@each_device
def test_faults_name_the_thread_and_the_next_launch_works(device, name):
    values = np.ones(64, np.float32)
    with pytest.raises(kk.OutOfBoundsError) as caught:
        checked[2, 32](values, 64)
    assert "values" in str(caught.value)
    values[40] = -1
    with pytest.raises(kk.KernelAssertionError, match="negative") as caught:
        checked[2, 32](values, 3)
    assert caught.value.block == (1, 0, 0) and caught.value.thread == (8, 0, 0)
    values[40] = 1
    checked[2, 32](values, 3)
    assert values[3] == 1


@kk.kernel
def tell(values):
    i = kk.grid(1)
    if i == 2:
        print("value", values[i])


@each_device
def test_prints_come_out(device, name, capsys):
    tell.forall(8)(np.arange(8, dtype=np.int32))
    assert capsys.readouterr().out == "value 2\n"


@kk.kernel
def most(out):
    tile = kk.shared.array(0, np.float32)
    i = kk.threadIdx.x
    tile[i] = i
    kk.syncthreads()
    out[i] = tile[kk.blockDim.x - 1 - i]


@each_device
def test_too_much_shared_memory_is_refused_before_anything_runs(device, name):
    out = np.zeros(32, np.float32)
    with pytest.raises(kk.ConfigurationError, match="bytes of shared memory"):
        most[1, 32, None, device.local_mem_size + 4](out)
    assert not out.any()
    most[1, 32, None, 128](out)
    assert out[0] == 31
