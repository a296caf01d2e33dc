"""Launches of the CUDA back end, on a driver that is Python: what reaches it, and what it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernelkit.backend import LaunchConfig
from kernelkit.emit import launch_record
from kernelkit.errors import BackendError, ConfigurationError, KernelAssertionError
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit_cuda.failures import DeviceLostError, DeviceMemoryError
from kernelkit_cuda.launch import PLANS, CudaExecutable

CONFIG = LaunchConfig((3, 2, 1), (64, 2, 1))
Make = Callable[..., CudaExecutable]


def entry(what: str, ctype: str, leaf: int = -1, axis: int = 0) -> dict[str, Any]:
    return {"what": what, "type": ctype, "leaf": leaf, "axis": axis}


@pytest.fixture
def make(cupy: Any) -> Make:
    """make(signature, scalars, **metadata): a loaded kernel."""

    def made(signature: Any, scalars: Any, index: int = 0, **metadata: Any) -> CudaExecutable:
        every = {
            "name": "k_f", "source": "f", "signature": signature, "scalars": scalars, "sites": [],
            "record": False, "prints": False, "block": [64, 2, 1], "static_shared": 0, "carved": 0,
            "debug": False,
        }  # fmt: skip
        return CudaExecutable(cupy, index, b"code", every | metadata)

    return made


# ---------------------------------------------------------------- arguments
SCALARS = {
    "bool": ("u8", True, True),
    "int8": ("i8", np.int8(-128), -128),
    "uint8": ("u8", np.uint8(255), 255),
    "int16": ("i16", np.int16(-2), -2),
    "uint16": ("u16", np.uint16(65535), 65535),
    "int32": ("i32", np.int32(-(2**31)), -(2**31)),
    "uint32": ("u32", np.uint32(2**32 - 1), 2**32 - 1),
    "int64": ("i64", -(2**63), -(2**63)),
    "uint64": ("u64", np.uint64(2**64 - 1), 2**64 - 1),
    "float16": ("u16", np.float16(0.1), np.float16(0.1)),
    "float32": ("f32", np.float32(0.1), np.float32(0.1)),
    "float64": ("f64", 0.1, 0.1),
    "complex64": ("c64", np.complex64(0.1 - 2j), np.complex64(0.1 - 2j)),
    "complex128": ("c128", 0.1 - 2j, 0.1 - 2j),
}


@pytest.mark.parametrize("dtype", SCALARS)
def test_scalars_arrive_as_they_are(dtype: str, make: Make, cupy: Any) -> None:
    ctype, value, expected = SCALARS[dtype]
    seen = []
    cupy.kernels["k_f"] = lambda launch: seen.append((launch.read(0, "u1"), launch.read(1, dtype)))
    # A byte before it, so that it has to be aligned.
    signature = [entry("value", "u8", 0), entry("value", ctype, 1)]
    make(signature, ["uint8", dtype]).launch(CONFIG, (np.uint8(77), value), None)
    assert seen == [(77, expected)]


def test_small_kernels_take_int64_in_32_bits(make: Make, cupy: Any) -> None:
    seen = []
    cupy.kernels["k_f"] = lambda launch: seen.append(launch.read(0, "i4"))
    made = make([entry("value", "i32", 0)], ["int64"])
    made.launch(CONFIG, (-(2**30),), None)
    made.launch(CONFIG, (np.int64(2**30),), None)
    assert seen == [-(2**30), 2**30]


@pytest.mark.parametrize(
    ("dtype", "ctype", "value", "expected"),
    [
        ("bool", "u8", np.True_, True),
        ("float32", "f32", 1e300, np.inf),
        ("float16", "u16", -1e9, -np.inf),
        ("float16", "u16", np.float16("nan"), np.nan),
        ("float32", "f32", np.float32("-inf"), -np.inf),
        ("complex64", "c64", 1e300 + 1j, complex(np.inf, 1)),
        ("complex128", "c128", 3, 3 + 0j),
        ("float64", "f64", 2**70, 2.0**70),
        ("int32", "i32", np.float64(3), 3),
    ],
)  # fmt: skip
def test_values_that_struct_does_not_take(
    dtype: str, ctype: str, value: Any, expected: Any, make: Make, cupy: Any
) -> None:
    seen = []
    cupy.kernels["k_f"] = lambda launch: seen.append(launch.read(0, dtype))
    make([entry("value", ctype, 0)], [dtype]).launch(CONFIG, (value,), None)
    np.testing.assert_array_equal(seen, [expected])


@pytest.mark.parametrize(("dtype", "ctype"), [("float16", "u16"), ("float32", "f32")])
def test_python_floats_are_rounded_once(dtype: str, ctype: str, make: Make, cupy: Any) -> None:
    rng = np.random.default_rng(3)
    values = np.frombuffer(rng.bytes(8 * 300), np.float64)
    values = np.concatenate([values, rng.normal(size=300) * 10.0 ** rng.integers(-45, 40, 300)])
    values = np.concatenate([values, [65519.999, 65520, 2.0**-25, 1 + 2.0**-11, -0.0, 7e-46]])
    seen: list[Any] = []
    cupy.kernels["k_f"] = lambda launch: seen.append(launch.read(0, dtype))
    made = make([entry("value", ctype, 0)], [dtype])
    for value in values:
        made.launch(CONFIG, (float(value),), None)
    with np.errstate(all="ignore"):
        expected = values.astype(dtype)
    assert_bits_equal(np.array(seen, dtype), expected)


def test_arrays_arrive_as_address_extents_and_strides(make: Make, cupy: Any) -> None:
    array = cupy.array(np.zeros((4, 6), np.float32))
    view = cupy.ndarray((2, 3), np.float32, array.data + 92, (-48, -8))
    seen = []
    cupy.kernels["k_f"] = lambda launch: seen.extend(
        [launch.read(0, "u8"), launch.read(1, "i4"), launch.read(2, "i8"), launch.read(3, "i8")]
    )
    signature = [
        entry("pointer", "u64", 0), entry("extent", "i32", 0, 1), entry("stride", "i64", 0, 0),
        entry("stride", "i64", 0, 1),
    ]  # fmt: skip
    make(signature, [None]).launch(CONFIG, (view,), None)
    assert seen == [array.data.ptr + 92, 3, -48, -8]


def test_a_kernel_without_arguments(make: Make, cupy: Any) -> None:
    make([], []).launch(CONFIG, (), None)
    (launch,) = cupy.launches
    assert (launch.grid, launch.block, launch.shared) == ((3, 2, 1), (64, 2, 1), 0)


def test_dynamic_shared_memory_is_said_without_what_the_printer_carved(
    make: Make, cupy: Any
) -> None:
    seen = []
    cupy.kernels["k_f"] = lambda launch: seen.append(launch.read(0, "i8"))
    made = make([entry("dynamic_bytes", "i64")], [], carved=1024)
    made.launch(LaunchConfig((1, 1, 1), (1, 1, 1), 96), (), None)
    assert seen == [96]
    assert cupy.launches[0].shared == 1024 + 96


def test_threads_do_not_share_a_buffer(make: Make, cupy: Any) -> None:
    """Each launch reads its own arguments, also while others are on their way, and within them."""
    wrong: list[Any] = []
    made = make([entry("value", "i64", 0)], ["int64"])

    def kernel(launch: Any) -> None:
        value = launch.read(0, "i8")
        if value < 3000:
            made.launch(CONFIG, (int(value) + 5000,), None)
        if launch.read(0, "i8") != value:
            wrong.append(value)

    cupy.kernels["k_f"] = kernel
    threads = [
        threading.Thread(
            target=lambda n=n: [made.launch(CONFIG, (i,), None) for i in range(n, 4000, 4)]
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(cupy.launches) == 7000


# ---------------------------------------------------------------- where it goes
def test_streams(make: Make, cupy: Any) -> None:
    made = make([], [])
    made.launch(CONFIG, (), None)
    with cupy.cuda.Stream(0x7770):
        made.launch(CONFIG, (), None)
        made.launch(CONFIG, (), 0)
    made.launch(CONFIG, (), 0x1230)
    assert [launch.stream for launch in cupy.launches] == [0, 0x7770, 0, 0x1230]


def test_the_right_device_is_current_while_it_launches(make: Make, cupy: Any) -> None:
    cupy.devices = 2
    made = make([], [], index=1)
    made.launch(CONFIG, (), None)
    assert [launch.device for launch in cupy.launches] == [1]
    assert cupy.device == 0
    cupy.device = 1
    made.launch(CONFIG, (), None)
    assert [launch.device for launch in cupy.launches] == [1, 1]


def test_a_thread_that_has_not_used_cuda_gets_a_context(
    make: Make, cupy: Any, cuda_error: Any
) -> None:
    made = make([entry("value", "i64", 0)], ["int64"])
    cupy.failures = [cuda_error(201)]
    made.launch(CONFIG, (5,), None)
    assert cupy.calls == ["setDevice 0", "memGetInfo"]
    assert cupy.launches[0].read(0, "i8") == 5


def test_configurations_are_looked_up_by_identity_and_value(make: Make, cupy: Any) -> None:
    made = make([], [])
    for number in range(2 * PLANS):
        for _ in range(2):
            made.launch(LaunchConfig((number + 1, 1, 1), (1, 1, 1)), (), None)
    assert [x.grid[0] for x in cupy.launches] == [n // 2 + 1 for n in range(4 * PLANS)]
    assert len(made._plans) <= PLANS


# ---------------------------------------------------------------- shared memory
def test_more_shared_memory_is_asked_for_once(make: Make, cupy: Any) -> None:
    made = make([], [], static_shared=40 * 1024)

    def launch(shared: int) -> None:
        made.launch(LaunchConfig((1, 1, 1), (1, 1, 1), shared), (), None)

    launch(8 * 1024)
    assert cupy.attributes_set == []
    launch(8 * 1024 + 4)
    launch(100 * 1024)
    launch(60 * 1024)
    assert [value for _, _, value in cupy.attributes_set] == [8 * 1024 + 4, 100 * 1024]
    assert {attribute for _, attribute, _ in cupy.attributes_set} == {8}


def test_more_shared_memory_than_there_is(make: Make, cupy: Any) -> None:
    with pytest.raises(ConfigurationError, match="f asks for 409600 bytes of shared memory, which"):
        make([], []).launch(LaunchConfig((1, 1, 1), (1, 1, 1), 400 * 1024), (), None)
    assert cupy.launches == []


# ---------------------------------------------------------------- failures
@pytest.fixture
def cuda_error(cupy: Any) -> Any:
    import sys

    return sys.modules[type(cupy).__module__].CudaError


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (701, ConfigurationError, r"f takes 168 registers for each thread, and a block of 64 x 2 x 1 "
         r"threads .* launch a block of at most 512 threads, or split the kernel"),
        (1, ConfigurationError, r"refused a launch of f with grid \(3, 2, 1\), block \(64, 2, 1\)"),
        (700, DeviceLostError, "an address outside of any array .* KERNELKIT_DEBUG=1 finds the line"),
        (702, DeviceLostError, "ran for longer than the system allows"),
        (2, DeviceMemoryError, "no room on the device"),
        (3, BackendError, r"forked .* multiprocessing's 'spawn'"),
        (900, ConfigurationError, "cannot be captured into a graph"),
        (222, BackendError, "the driver is older than the compiler"),
        (999, BackendError, "launching f: CUDA_ERROR: 999"),
    ],
)  # fmt: skip
def test_failed_launches_say_what_to_do(
    status: int, kind: type, words: str, make: Make, cupy: Any, cuda_error: Any
) -> None:
    made = make([], [])
    cupy.failures = [cuda_error(status)]
    with pytest.raises(kind, match=words):
        made.launch(CONFIG, (), None)
    made.launch(CONFIG, (), None)  # and the next one goes through
    assert len(cupy.launches) == 1


def test_code_that_cannot_be_loaded(make: Make, cupy: Any, cuda_error: Any) -> None:
    cupy.failures = [cuda_error(209, "CUDA_ERROR_NO_BINARY_FOR_GPU")]
    with pytest.raises(BackendError, match="loading f: the driver finds no code for this device"):
        make([], [])


def test_errors_that_are_not_cudas_stay_what_they_are(make: Make, cupy: Any) -> None:
    cupy.failures = [KeyError("x")]
    with pytest.raises(KeyError):
        make([entry("value", "i64", 0)], ["int64"]).launch(CONFIG, (1,), None)


# ---------------------------------------------------------------- kernels that say something
SITES = [
    {"kind": "print", "text": [["x is "], ["int64", ""], ["\n"]]},
    {"kind": "assert", "text": [], "span": ["kernel.py", 7, 4, 7, 20]},
]
TALKING = {"record": True, "prints": True, "debug": True, "sites": SITES}


def talk(launch: Any, printed: int = 0, failing: bool = False) -> None:
    """What a kernel writes into its record."""
    import ctypes

    words = np.ctypeslib.as_array(
        ctypes.cast(int(launch.read(0, "u8")), ctypes.POINTER(ctypes.c_int64)), (4000,)
    )
    assert not words[launch_record.FAILED]
    start = words[launch_record.PRINTED]
    for number in range(printed):
        words[start + 2 * number : start + 2 * number + 2] = (0, 40 + number)
    words[launch_record.CURSOR] = 2 * printed
    if failing:
        words[launch_record.FAILED] = 1
        slot = launch_record.HEADER + 5 * launch_record.SLOT
        words[slot : slot + 2] = (2, 4)


def test_what_a_kernel_prints_is_printed_when_it_ends(
    make: Make, cupy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make([entry("record", "u64")], [], **TALKING)
    cupy.kernels["k_f"] = lambda launch: talk(launch, printed=2)
    made.launch(CONFIG, (), 0x40)
    assert capsys.readouterr().out == "x is 40\nx is 41\n"
    assert cupy.launches[0].stream == 0x40


def test_a_failed_assertion_is_raised_and_the_next_launch_works(
    make: Make, cupy: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make([entry("record", "u64")], [], **TALKING)
    cupy.kernels["k_f"] = lambda launch: talk(launch, printed=1, failing=True)
    with pytest.raises(KernelAssertionError) as caught:
        made.launch(CONFIG, (), None)
    assert (caught.value.span.line, caught.value.block) == (7, (1, 1, 0))
    assert caught.value.thread == (5, 0, 0)
    assert capsys.readouterr().out == "x is 40\n"
    cupy.kernels["k_f"] = talk
    made.launch(CONFIG, (), None)


def test_kernels_that_say_something_cannot_be_captured(make: Make, cupy: Any) -> None:
    cupy.capturing = True
    made = make([entry("record", "u64")], [], **TALKING)
    with pytest.raises(ConfigurationError, match="f prints, so its launch is waited for"):
        made.launch(CONFIG, (), 0x40)
    checked = make([entry("record", "u64")], [], **(TALKING | {"prints": False}))
    with pytest.raises(ConfigurationError, match="f checks what it does"):
        checked.launch(CONFIG, (), 0x40)
    assert cupy.launches == []
    make([], []).launch(CONFIG, (), 0x40)  # others can


def test_no_room_for_the_record(make: Make, cupy: Any) -> None:
    made = make([entry("record", "u64")], [], **TALKING)
    cupy.room = 1000
    with pytest.raises(DeviceMemoryError, match="running f: there is no room on the device"):
        made.launch(CONFIG, (), None)
    assert cupy.launches == []


def test_a_kernel_that_loses_the_device_while_it_is_waited_for(
    make: Make, cupy: Any, cuda_error: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def synchronize(stream: Any) -> None:
        raise cuda_error(719)

    monkeypatch.setattr(cupy.cuda.Stream, "synchronize", synchronize)
    made = make([entry("record", "u64")], [], **TALKING)
    with pytest.raises(DeviceLostError, match="start it anew"):
        made.launch(CONFIG, (), 0x40)
