"""Arrays of pyopencl: copies, views, places, the host's memory in place, streams and events."""

from __future__ import annotations

import numpy as np
import pytest
from opencl_devices import FOUND, each_device

from kernelkit.errors import ArgumentError, ConfigurationError
from kernelkit.ir.types import DTYPES
from kernelkit_opencl.devices import is_cpu
from kernelkit_opencl.memory import reach

NAMES = sorted(DTYPES)


@each_device
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (5,), (0, 3), (2, 3, 4)])
def test_there_and_back(device, memory, name, shape):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(name)
    native = memory(device).copy_in(values)
    back = memory(device).copy_out(native)
    assert back.dtype == values.dtype and back.shape == shape
    np.testing.assert_array_equal(back, values)
    made = memory(device).allocate(shape, np.dtype(name))
    assert made.shape == shape and made.dtype == name


@each_device
def test_what_is_copied_in_may_change_at_once(device, memory):
    values = np.ones(1 << 20, np.float32)
    native = memory(device).copy_in(values)
    values[:] = 2
    assert (memory(device).copy_out(native) == 1).all()


@each_device
def test_layouts_of_numpy_are_copied_by_element(device, memory):
    values = np.arange(24, dtype=np.int32).reshape(4, 6)
    for layout in (values.T, values[::-1, ::-2], np.broadcast_to(values[0], (3, 6))):
        np.testing.assert_array_equal(
            memory(device).copy_out(memory(device).copy_in(layout)), layout
        )


@each_device
def test_views_have_any_strides(device, memory):
    there, values = memory(device), np.arange(60, dtype=np.int16)
    base = there.copy_in(values.view(np.uint8))
    for view in (values[::-1], values.reshape(6, 10)[1:, ::-3], values[7:7], values[::7]):
        offset = view.__array_interface__["data"][0] - values.ctypes.data
        native = there.view(base, view.dtype, view.shape, view.strides, offset)
        assert native.shape == view.shape and native.strides == view.strides
        np.testing.assert_array_equal(there.copy_out(native), view)
    nested = there.view(
        there.view(base, np.dtype(np.int16), (50,), (2,), 20), np.dtype(np.int16), (2,), (4,), 6
    )
    assert there.copy_out(nested).tolist() == [13, 15]


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [((), (), (0, 4)), ((3,), (8,), (0, 20)), ((3,), (-4,), (-8, 4)), ((0, 2), (8, 4), (0, 0))],
)
def test_reach(shape, strides, expected):
    assert reach(shape, strides, 4) == expected


@each_device
def test_bounds_tell_what_overlaps(device, memory):
    there = memory(device)
    a, b = (there.copy_in(np.arange(100, dtype=np.float32)) for _ in range(2))
    first, end = there.bounds(a)
    assert end - first == 400
    assert there.bounds(a[10:20]) == (first + 40, first + 80)
    assert there.bounds(a[::-1]) == (first, end)
    other = there.bounds(b)
    assert other[1] <= first or end <= other[0]
    assert there.bounds(there.allocate((0,), np.dtype(np.float32))) == (0, 0)


@each_device
def test_plain_arrays(device, memory):
    there = memory(device)
    native = there.copy_in(np.zeros((4, 5), np.float32))
    assert there.plain(native) == (np.float32, 2, *there.bounds(native))
    assert there.plain(native[1:]) is not None
    for other in (native[:, 1:], native[:0], native.T, object()):
        assert there.plain(other) is None


@each_device
def test_whose_array_it_is(device, memory):
    import pyopencl as cl
    import pyopencl.array as arrays

    there, context = memory(device), cl.Context([device])
    assert there.owns(there.allocate((2,), np.dtype(np.int8)))
    assert there.owns(arrays.zeros(cl.CommandQueue(context), 3, np.float32))
    assert there.owns(arrays.empty(context, (3,), np.float32))  # it has no queue
    assert not there.owns(np.zeros(3)) and not there.owns(3)


@each_device
def test_an_array_without_a_queue_can_be_read(device, memory):
    import pyopencl as cl
    import pyopencl.array as arrays

    context = cl.Context([device])
    native = arrays.to_device(cl.CommandQueue(context), np.arange(5)).with_queue(None)
    assert memory(device).copy_out(native).tolist() == [0, 1, 2, 3, 4]


@each_device
def test_shared_virtual_memory_is_refused(device, memory):
    class Pointer:
        pass

    native = memory(device).copy_in(np.zeros(3))
    native.base_data = Pointer()
    with pytest.raises(ArgumentError, match="shared virtual memory.*to_device"):
        memory(device).adopt(native)


# ---------------------------------------------------------------- the host's memory
@each_device
@pytest.mark.parametrize("start", [0, 1, 4, 60, 64])
def test_the_host_s_memory_in_place(device, memory, start):
    if not is_cpu(device):
        pytest.skip(f"{device.name} has memory of its own")
    there, values = memory(device), np.zeros(4096, np.uint8)
    span = values[start : start + 2048]
    base = there.borrow(span)
    view = there.view(base, np.dtype(np.float32), (512,), (4,), 0)
    view.fill(np.float32(1.5))
    view.queue.finish()
    there.give_back(base, span, True)
    assert (span.view(np.float32) == 1.5).all()
    assert not values[:start].any() and not values[start + 2048 :].any()


@each_device
def test_read_only_memory_can_be_lent(device, memory):
    if not is_cpu(device):
        pytest.skip(f"{device.name} has memory of its own")
    values = np.arange(100, dtype=np.uint8)
    values.flags.writeable = False
    base = memory(device).borrow(values)
    assert memory(device).copy_out(base).tolist() == list(range(100))
    memory(device).give_back(base, values, False)


@each_device
def test_nothing_cannot_be_lent(device, memory):
    assert memory(device).borrow(np.zeros(0, np.uint8)) is None


# ---------------------------------------------------------------- streams and events
@each_device
def test_streams(device, memory):
    import pyopencl as cl

    there = memory(device)
    stream = there.stream()
    assert isinstance(there.stream_of(stream), cl.CommandQueue)
    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    assert there.stream_of(queue) == queue
    with pytest.raises(TypeError, match="pyopencl.CommandQueue"):
        there.stream_of("stream")


@each_device
def test_events_time_what_lies_between(device, memory):
    there = memory(device)
    stream = there.stream()
    before, after = there.event(), there.event()
    before.record(stream)
    native = there.copy_in(np.zeros(1 << 20, np.float32))
    native = native.with_queue(stream.queue)
    for _ in range(20):
        native += 1
    after.record(stream)
    after.synchronize()
    assert 0 < after.elapsed_ms(before) < 60_000
    assert after.elapsed_ms(before) == -before.elapsed_ms(after)


@each_device
def test_what_events_refuse(device, memory):
    import pyopencl as cl

    there = memory(device)
    event, other = there.event(), there.event()
    with pytest.raises(ConfigurationError, match="never recorded"):
        event.synchronize()
    with pytest.raises(ConfigurationError, match="kernelkit.Stream"):
        event.record(3)
    event.record()
    event.synchronize()
    with pytest.raises(TypeError, match="cannot be compared with float"):
        event.elapsed_ms(1.0)
    for elsewhere in FOUND.devices:
        if elsewhere is not device:
            stranger = memory(elsewhere).event()
            stranger.record()
            with pytest.raises(
                ConfigurationError, match=r"clocks of two devices, .* and .* cannot"
            ):
                event.elapsed_ms(stranger)
    context = cl.Context([device])
    other.record(cl.CommandQueue(context))
    with pytest.raises(ConfigurationError, match="keeps no times.*PROFILING_ENABLE"):
        other.elapsed_ms(event)
