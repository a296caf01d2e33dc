"""Launches of texts in OpenCL C: arguments, queues, contexts, and what is said when they fail."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from opencl_devices import FOUND, each_device

import kernelkit as kk
from kernelkit.backend import LaunchConfig
from kernelkit.errors import ArgumentError, ConfigurationError
from kernelkit_opencl import backend
from kernelkit_opencl.build import BuildError

ONE = LaunchConfig((1, 1, 1), (1, 1, 1))

#: Adds a value to elements of a one-dimensional array with any strides.
ADD = """
__kernel void k(__global f32* a, i64 at, i64 n, i64 step, f32 value) {
    i64 i = get_global_id(0);
    if (i < n) *(__global f32*)((__global char*)a + at + i * step) += value;
}
"""
ADD_SIGNATURE = "pointer 0, offset 0, extent 0 0, stride 0 0, value 1 f32"


def blocks(n: int, block: int = 1) -> LaunchConfig:
    return LaunchConfig((-(-n // block), 1, 1), (block, 1, 1))


@each_device
@pytest.mark.parametrize("part", [slice(None), slice(3, None), slice(None, None, -2), slice(5, 5)])
def test_elements_are_where_offset_and_strides_say(device, memory, load, part):
    there = memory(device)
    values = np.arange(40, dtype=np.float32)
    native = there.copy_in(values)
    load(device, ADD, ADD_SIGNATURE).launch(blocks(40), [native[part], 100.0], None)
    values[part] += 100
    np.testing.assert_array_equal(there.copy_out(native), values)


@each_device
@pytest.mark.parametrize(
    ("kind", "ours", "value"),
    [
        ("uchar", "u8", True),
        ("uchar", "u8", np.bool_(True)),
        ("char", "i8", np.int8(-5)),
        ("ushort", "u16", np.float16(0.1)),
        ("ushort", "u16", np.uint16(65535)),
        ("int", "i32", 2**31 - 1),
        ("long", "i64", -(2**63)),
        ("ulong", "u64", np.uint64(2**64 - 1)),
        ("float", "f32", np.float32(0.1)),
        ("double", "f64", 0.1),
        ("float2", "c64", np.complex64(1 - 2j)),
        ("double2", "c128", 1.5 - 2j),
    ],
)
def test_a_scalar_arrives_with_all_its_bits(device, memory, load, kind, ours, value):
    text = "typedef struct { float re, im; } c64; typedef struct { double re, im; } c128;\n"
    name = ours if ours.startswith("c") and ours[1:].isdigit() else kind
    text += f"__kernel void k(__global {name}* out, i64 at, {name} value) {{ *out = value; }}"
    there = memory(device)
    wanted = np.asarray(value)
    native = there.copy_in(np.zeros(1, wanted.dtype))
    load(device, text, f"pointer 0, offset 0, value 1 {ours}").launch(ONE, [native, value], None)
    assert there.copy_out(native).tobytes() == wanted.tobytes()


@each_device
@pytest.mark.parametrize("kind", [float, np.float64])
@pytest.mark.parametrize(
    ("kind_in_c", "ours", "dtype"), [("ushort", "u16", np.float16), ("float", "f32", np.float32)]
)
def test_a_wide_float_is_rounded_once(device, memory, load, kind_in_c, ours, dtype, kind):
    text = f"__kernel void k(__global {kind_in_c}* out, i64 at, {kind_in_c} v) {{ *out = v; }}"
    there = memory(device)
    native = there.copy_in(np.zeros(1, dtype))
    made = load(device, text, f"pointer 0, offset 0, value 1 {ours}")
    values = [0.1, -0.0, 1e300, -1e300, 1e-300, float("inf"), 65519.999, 65520.0, 1 + 2.0**-11]
    for value in [*values, 2.0**-25, 7e-46, 3.4028235677973366e38]:
        made.launch(ONE, [native, kind(value)], None)
        with np.errstate(all="ignore"):
            assert there.copy_out(native).tobytes() == dtype(value).tobytes()
    made.launch(ONE, [native, kind("nan")], None)
    assert np.isnan(there.copy_out(native)[0])


@each_device
def test_a_wide_complex_number_is_rounded_by_parts(device, memory, load):
    text = "typedef struct { float re, im; } c64;\n"
    text += "__kernel void k(__global c64* out, i64 at, c64 value) { *out = value; }"
    there = memory(device)
    native = there.copy_in(np.zeros(1, np.complex64))
    made = load(device, text, "pointer 0, offset 0, value 1 c64")
    for value in (complex(1e300, -0.1), np.complex128(complex(-0.0, 1e-300))):
        made.launch(ONE, [native, value], None)
        parts = np.array([value.real, value.imag])
        with np.errstate(all="ignore"):
            assert there.copy_out(native).tobytes() == parts.astype(np.float32).tobytes()


@each_device
def test_grid_and_block_are_those_of_the_launch(device, memory, load):
    text = """
    __kernel __attribute__((reqd_work_group_size(4, 2, 3))) void k(__global long* out, i64 at) {
        if (get_global_id(0) + get_global_id(1) + get_global_id(2) == 0)
            for (int axis = 0; axis < 3; ++axis) {
                out[axis] = get_num_groups(axis);
                out[3 + axis] = get_local_size(axis);
            }
    }"""
    there = memory(device)
    native = there.copy_in(np.zeros(6, np.int64))
    kernel = load(device, text, "pointer 0, offset 0", block=[4, 2, 3])
    kernel.launch(LaunchConfig((5, 7, 2), (4, 2, 3)), [native], None)
    assert there.copy_out(native).tolist() == [5, 7, 2, 4, 2, 3]


@each_device
def test_dynamic_local_memory(device, memory, load):
    text = """
    __kernel void k(__global f32* a, i64 at, __local char* dynamic, i64 bytes) {
        __local f32* tile = (__local f32*)dynamic;
        int i = get_local_id(0), n = bytes / 4;
        tile[i] = a[i];
        barrier(CLK_LOCAL_MEM_FENCE);
        a[i] = tile[n - 1 - i];
    }"""
    there = memory(device)
    native = there.copy_in(np.arange(64, dtype=np.float32))
    signature = "pointer 0, offset 0, dynamic, dynamic_bytes"
    kernel = load(device, text, signature, block=[64, 1, 1], dynamic_shared=True)
    kernel.launch(LaunchConfig((1, 1, 1), (64, 1, 1), 256), [native], None)
    assert there.copy_out(native).tolist() == list(range(64))[::-1]


@each_device
def test_arrays_that_overlap_are_one_buffer(device, memory, load):
    text = """
    __kernel void k(__global f32* a, i64 a_at, __global f32* b, i64 b_at) {
        __global f32* x = (__global f32*)((__global char*)a + a_at);
        __global f32* y = (__global f32*)((__global char*)b + b_at);
        y[0] = 7; y[1] = x[1] + 1;
    }"""
    there = memory(device)
    native = there.copy_in(np.zeros(8, np.float32))
    load(device, text, "pointer 0, offset 0, pointer 1, offset 1").launch(
        ONE, [native[2:], native[3:]], None
    )
    assert there.copy_out(native).tolist() == [0, 0, 0, 7, 8, 0, 0, 0]


@each_device
def test_a_part_of_a_buffer_is_its_buffer_with_an_offset(device, memory, load):
    import pyopencl.array as arrays

    there = memory(device)
    align = device.mem_base_addr_align // 8
    whole = there.copy_in(np.zeros(align, np.float32))  # four times as many bytes
    part = whole.base_data.get_sub_region(align, 64)
    native = arrays.Array(whole.queue, (16,), np.float32, data=part, offset=8)
    assert there.bounds(native[:1])[0] - there.bounds(whole)[0] == align + 8
    load(device, ADD, ADD_SIGNATURE).launch(blocks(1), [native[:1], 5], None)
    assert np.flatnonzero(there.copy_out(whole)).tolist() == [align // 4 + 2]


# ---------------------------------------------------------------- queues and contexts
@each_device
def test_a_stream_is_a_queue_and_arrays_wait_for_it(device, memory, load):
    there = memory(device)
    native = there.copy_in(np.zeros(1 << 16, np.float32))
    kernel, stream = load(device, ADD, ADD_SIGNATURE, block=[64, 1, 1]), there.stream()
    queue = there.stream_of(stream)
    for _ in range(20):
        kernel.launch(blocks(1 << 16, 64), [native, 1], queue)
    np.testing.assert_array_equal(there.copy_out(native), 20)
    kernel.launch(blocks(1 << 16, 64), [native, 1], queue)
    stream.synchronize()
    assert native.get()[0] == 21


@each_device
def test_a_launch_comes_after_what_the_queue_of_its_array_was_asked(device, load):
    import pyopencl as cl
    import pyopencl.array as arrays

    context = cl.Context([device])
    queue = cl.CommandQueue(context)
    kernel = load(device, ADD, ADD_SIGNATURE, block=[64, 1, 1])
    native = arrays.zeros(queue, 1 << 16, np.float32)
    for _ in range(10):
        native += 1
        kernel.launch(blocks(1 << 16, 64), [native, 1], None)
    np.testing.assert_array_equal(native.get(), 20)


#: Takes a while, and gives what was there plus one.
SLOW = """
__kernel void k(__global f32* a, i64 at) {
    f32 was = a[at / 4];
    for (i64 i = 0; i < 2000000; ++i) was = sin(was);
    a[at / 4] += 1;
    if (was > 2) a[at / 4] = was;
}
"""


@each_device
@pytest.mark.parametrize("how", ["no queue", "no order"])
def test_who_reads_an_array_waits_for_launches(device, load, how):
    import pyopencl as cl
    import pyopencl.array as arrays

    context = cl.Context([device])  # Intel's runtime does not keep it for its queues
    reading = cl.CommandQueue(context)
    loose = cl.command_queue_properties.OUT_OF_ORDER_EXEC_MODE_ENABLE
    writing = None if how == "no queue" else cl.CommandQueue(context, properties=loose)
    native = arrays.zeros(reading, 4, np.float32)
    reading.finish()
    native = native.with_queue(writing)
    kernel = load(device, SLOW, "pointer 0, offset 0")
    for _ in range(4):
        kernel.launch(ONE, [native], None)
    assert native.get(reading)[0] == 4


@each_device
def test_queues_of_several_arrays_wait_for_one_another(device, load):
    import pyopencl as cl
    import pyopencl.array as arrays

    text = """__kernel void k(__global f32* a, i64 at, __global f32* b, i64 bt) {
        size_t i = get_global_id(0); a[i] += b[i]; b[i] = 0; }"""
    context = cl.Context([device])
    first, second = cl.CommandQueue(context), cl.CommandQueue(context)
    kernel = load(device, text, "pointer 0, offset 0, pointer 1, offset 1", block=[64, 1, 1])
    a, b = arrays.zeros(first, 1 << 16, np.float32), arrays.zeros(second, 1 << 16, np.float32)
    for _ in range(10):
        b += 3
        kernel.launch(blocks(1 << 16, 64), [a, b], None)
    np.testing.assert_array_equal(a.get(), 30)
    np.testing.assert_array_equal(b.get(), 0)


@each_device
def test_arrays_of_two_contexts_are_refused(device, memory, load):
    import pyopencl as cl
    import pyopencl.array as arrays

    text = "__kernel void k(__global f32* a, i64 at, __global f32* b, i64 bt) { *a = 1; }"
    there = memory(device)
    kernel = load(device, text, "pointer 0, offset 0, pointer 1, offset 1")
    mine = there.copy_in(np.zeros(4, np.float32))
    context = cl.Context([device])
    foreign = arrays.zeros(cl.CommandQueue(context), 4, np.float32)
    with pytest.raises(ArgumentError, match="several OpenCL contexts.*kernelkit.asarray"):
        kernel.launch(ONE, [mine, foreign], None)
    assert there.copy_out(mine).tolist() == [0] * 4
    with pytest.raises(
        ArgumentError, match="queue that .*several OpenCL contexts.*leave the queue out"
    ):
        kernel.launch(ONE, [foreign, foreign], there.stream_of(there.stream()))


@each_device
def test_threads_launch_the_same_kernel_at_once(device, memory, load):
    there, kernel = memory(device), load(device, ADD, ADD_SIGNATURE, block=[64, 1, 1])
    together = threading.Barrier(4)

    def work(number: int) -> float:
        native = there.copy_in(np.zeros(4096, np.float32))
        together.wait()
        for _ in range(50):
            kernel.launch(blocks(4096, 64), [native, number], None)
        return set(there.copy_out(native).tolist())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [{50.0 * n} for n in range(4)]


@pytest.mark.skipif(len(FOUND.devices) < 2, reason="there are not two OpenCL devices here")
def test_two_devices_work_side_by_side(memory, load):
    natives = []
    for factor, device in enumerate(FOUND.devices[:2], 1):
        native = memory(device).copy_in(np.zeros(1000, np.float32))
        load(device, ADD, ADD_SIGNATURE).launch(blocks(1000), [native, factor], None)
        natives.append(native)
    for factor, (device, native) in enumerate(zip(FOUND.devices, natives, strict=False), 1):
        np.testing.assert_array_equal(memory(device).copy_out(native), factor)
    first, second = (memory(d) for d in FOUND.devices[:2])
    assert first.owns(natives[0]) and not first.owns(natives[1])
    with pytest.raises(ValueError, match="belongs to"):
        first.stream_of(second.stream())


# ---------------------------------------------------------------- what goes wrong
@each_device
def test_a_text_that_does_not_build_is_shown_with_the_log(device, load):
    with pytest.raises(BuildError) as caught:
        load(
            device, "__kernel void k(__global f32* a, i64 at) {\n    *a = missing;\n}", "pointer 0"
        )
    assert "missing" in str(caught.value) and "\n     3      *a = missing;" in str(caught.value)
    assert "refused a text of kernelkit's" in str(caught.value)


@each_device
def test_a_block_that_is_too_large_for_a_kernel(device, load, monkeypatch):
    import pyopencl as cl

    monkeypatch.setattr(cl.Kernel, "get_work_group_info", lambda *_: 100)
    with pytest.raises(ConfigurationError, match=r"8 x 8 x 2 = 128 threads.*at most 100.*smaller"):
        load(device, ADD, ADD_SIGNATURE, block=[8, 8, 2])


@each_device
def test_a_launch_that_is_refused_leaves_the_device_usable(device, memory, load):
    there = memory(device)
    native = there.copy_in(np.zeros(4, np.float32))
    text = ADD.replace("void k", "__attribute__((reqd_work_group_size(2, 1, 1))) void k")
    kernel = load(device, text, ADD_SIGNATURE, block=[2, 1, 1])
    with pytest.raises(ConfigurationError, match="blocks of 4 x 1 x 1 threads.*smaller block"):
        kernel.launch(blocks(4, 4), [native, 1], None)
    kernel.launch(blocks(4, 2), [native, 1], None)
    assert there.copy_out(native).tolist() == [1] * 4


@each_device
def test_no_room(device, memory, load):
    there = memory(device)
    with pytest.raises(MemoryError, match="takes at most .* bytes in one array, not 1099511627776"):
        there.allocate((1 << 40,), np.dtype(np.uint8))
    assert there.copy_out(there.copy_in(np.arange(3))).tolist() == [0, 1, 2]


@each_device
def test_compile_needs_no_device(device):
    from kernelkit.backend import Artifact, Target

    binary = backend.compile(
        Artifact("text", {"block": (1, 2, 3)}), Target("no device", features="x")
    )
    assert binary.metadata == {"block": [1, 2, 3]} and b"text" in binary.data


@each_device
def test_events_are_points_where_the_last_launch_went(device: object) -> None:
    """Arrays of users bring queues of their own."""
    import pyopencl as cl
    import pyopencl.array

    @kk.kernel
    def spins(a, n):
        i = kk.grid(1)
        x = a[i]
        for k in range(n):
            x = x * np.float32(0.999) + np.float32(k)
        a[i] = x

    context = cl.Context([device])
    queue = cl.CommandQueue(context, properties=cl.command_queue_properties.PROFILING_ENABLE)
    a = cl.array.to_device(queue, np.ones(256, np.float32))
    place = f"opencl:{FOUND.devices.index(device)}"
    spins[1, 256](a, 10)
    start, end = kk.Event(place), kk.Event(place)
    start.record()
    for _ in range(20):
        spins[1, 256](a, 20_000)
    end.record()
    end.synchronize()
    done = end.elapsed_ms(start)
    queue.finish()
    after = kk.Event(place)
    after.record()
    after.synchronize()
    assert after.elapsed_ms(end) < done
    assert done > 0
