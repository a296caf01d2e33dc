"""From what a device says of itself to what the runtime may ask of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from opencl_devices import FOUND, each_device

import kernelkit as kk
from kernelkit.backend import Device, Target
from kernelkit_opencl import OpenclBackend, intel
from kernelkit_opencl.build import options
from kernelkit_opencl.capabilities import (
    FP64,
    ROUNDED,
    WARPS,
    capabilities,
    features_of,
    subgroup_sizes,
    target_of,
)
from kernelkit_opencl.scalars import WIDE_DIVISION
from kernelkit_opencl.warps import SUBGROUPS

BASE, EXTENDED = "cl_khr_int64_base_atomics", "cl_khr_int64_extended_atomics"
#: Bits of the configuration of float32.
IEEE, EXACT, FLUSHES = 0b111, 0b10000111, 0b110


def can(extensions: str, single: int = IEEE) -> kk.backend.Capabilities:
    features = features_of(extensions.split(), single, ())
    return capabilities(features, single, 256, (256, 128), 32768)


def test_limits():
    found = can("")
    assert (found.threads_per_block, found.block, found.shared_bytes) == (256, (256, 128, 1), 32768)


def test_float64_is_an_extension():
    assert {"float64", "complex128"}.isdisjoint(can("").dtypes)
    assert {"float16", "float32", "complex64", "int64"} <= can("").dtypes
    assert {"float64", "complex128"} <= can(FP64).dtypes


def test_atomics_of_64_bits_are_extensions():
    assert can("").atomics == {"int32", "uint32", "float32"}
    assert can(f"{FP64} {EXTENDED}").atomics == {"int32", "uint32", "float32"}
    assert can(BASE).atomics == {"int32", "uint32", "float32", "int64", "uint64"}
    assert "float64" in can(f"{BASE} {FP64}").atomics


def test_what_is_reproducible():
    assert can("", EXACT).reproducible  # the device rounds quotients
    assert can(FP64).reproducible  # float64 does
    assert not can("").reproducible
    assert (
        not can(FP64, FLUSHES).reproducible and not can(FP64, FLUSHES | EXACT & 0x80).reproducible
    )


def test_warps_in_branches_need_subgroups():
    assert can("").warp_operations and not can("").divergent_warps
    features = features_of(SUBGROUPS, IEEE, (32,))
    assert capabilities(features, IEEE, 256, (256,), 32768).divergent_warps


def test_features_and_build_options(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PYOPENCL_BUILD_OPTIONS", raising=False)
    assert features_of([FP64, "cl_other"], EXACT, ()) == (FP64, ROUNDED)
    assert WARPS in features_of(SUBGROUPS, IEEE, (16, 32))
    assert WARPS not in features_of(SUBGROUPS, IEEE, (8, 16))
    assert WARPS not in features_of(SUBGROUPS[1:], IEEE, (32,))
    rounded = ["-w", "-cl-fp32-correctly-rounded-divide-sqrt"]
    assert options([FP64, ROUNDED]) == rounded and options([]) == ["-w"]
    assert options([FP64]) == ["-w", *WIDE_DIVISION]
    assert options([ROUNDED], "x86-64-v3") == [*rounded, "-DKK_PROCESSOR=x86_64_v3"]
    monkeypatch.setenv("PYOPENCL_BUILD_OPTIONS", "-cl-opt-disable -DX")
    assert options([]) == ["-w", "-cl-opt-disable", "-DX"]


@each_device
def test_devices_here(device):
    target = target_of(device)
    assert target.capabilities.reproducible and "float64" in target.capabilities.dtypes
    assert target.capabilities.shared_bytes == device.local_mem_size
    sizes = subgroup_sizes(device)
    assert (WARPS in target.features.split()) == (32 in sizes)
    if "Intel" in device.platform.name:
        assert 32 in sizes


# ---------------------------------------------------------------- refusals, in the common words
class Small(OpenclBackend):
    """A device without float64 and subgroups, on which nothing runs."""

    name = "small"

    def probe(self) -> tuple[Device, ...]:
        return (Device(self.name, 0, "a small GPU", Target("small", can(""), "")),)

    def memory(self, device: Device) -> kk.backend.HostMemory:
        return kk.backend.HostMemory()


@pytest.fixture
def small():
    kk.registry.register(Small())
    yield
    kk.registry.unregister("small")


@kk.kernel
def halve(values):
    values[kk.threadIdx.x] *= 0.5


def test_float64_is_refused(small):
    with pytest.raises(
        kk.CapabilityError, match="needs float64, which a small GPU lacks; use float32"
    ):
        halve.on("small")[1, 4](np.ones(4))
    text = halve.inspect(np.ones(4, np.float32), backend="small", what="source")
    assert "__kernel" in text and "double" not in text.replace("as_double", "")


class Single(OpenclBackend):
    """The devices here, as if they had no float64."""

    name = "single"

    def probe(self) -> tuple[Device, ...]:
        return tuple(replace(each, target=without_float64(each.target)) for each in super().probe())


def without_float64(target: Target) -> Target:
    features = " ".join(each for each in target.features.split() if each != FP64)
    dtypes = target.capabilities.dtypes - {"float64", "complex128"}
    capabilities = replace(target.capabilities, dtypes=dtypes)
    return replace(target, capabilities=capabilities, features=features)


@pytest.fixture
def single():
    kk.registry.register(Single())
    yield
    kk.registry.unregister("single")


@kk.kernel
def saxpy(a, x, y):
    i = kk.grid(1)
    if i < x.size:
        y[i] += a * x[i]


@kk.kernel
def taxed(a, x, y):
    i = kk.grid(1)
    if i < x.size:
        y[i] += a * 2 * x[i]


@each_device
def test_python_s_floats_need_no_float64(device, single):
    place = f"single:{FOUND.devices.index(device)}"
    for dtype in (np.float32, np.float16, np.complex64):
        x, y = np.arange(5).astype(dtype), np.ones(5, dtype)
        saxpy.on(place)[1, 8](0.1, x, y)
        assert y.tobytes() == (1 + dtype(0.1) * x).astype(dtype).tobytes()
        text = saxpy.on(place).inspect(0.1, x, y, block=8, what="source")
        assert "double" not in text.replace("as_double", "")
    x, y = np.ones(5, np.float32), np.ones(5, np.float32)
    saxpy.on(place)[1, 8](1e300, x, y)
    assert np.isinf(y).all()


@each_device
def test_floats_with_which_is_computed_need_it(device, single):
    place = f"single:{FOUND.devices.index(device)}"
    x, y = np.ones(5, np.float32), np.ones(5, np.float32)
    words = r"taxed needs float64, which .* lacks; use float32, and pass np\.float32\(a\)\n *y\[i\]"
    with pytest.raises(kk.CapabilityError, match=words):
        taxed.on(place)[1, 8](0.5, x, y)
    taxed.on(place)[1, 8](np.float32(0.5), x, y)
    assert y.tolist() == [2] * 5


@kk.kernel(reproducible=True)
def exactly(values):
    values[kk.threadIdx.x] /= 3


def test_what_is_not_reproducible_is_refused(small):
    with pytest.raises(kk.CapabilityError, match="needs reproducible floating point"):
        exactly.on("small")[1, 4](np.ones(4, np.float32))


@kk.kernel
def vote(values):
    i = kk.threadIdx.x
    if values[i] > 0:
        values[i] = kk.ballot_sync(kk.activemask(), True)


def test_warps_in_branches_are_refused_without_subgroups(small):
    with pytest.raises(kk.CapabilityError, match="needs a device with subgroups of 32"):
        vote.inspect(np.ones(32, np.int32), backend="small", what="source")


# ---------------------------------------------------------------- Intel's liberties
def test_kernels_for_intel_s_runtime():
    text = "static inline int f(int x) {\n    for (;;) {\n    } while (0);\n    while (1) {\n}\n"
    early = text.replace("inline", "inline __attribute__((always_inline))")
    assert intel.strict(text, False) == early
    pragma = "#pragma clang loop vectorize(disable)\n"
    in_order = early.replace("    for (", f"{pragma}    for (").replace(
        "    while (1", f"{pragma}    while (1"
    )
    assert intel.strict(text, True) == in_order
    product = "static inline c64 kk_mul_c64(c64 a, c64 b) { return a; }\n"
    assert "((noinline)) c64 kk_mul_c64" in intel.strict(product, True)
    assert "((always_inline)) c64 kk_mul_c64" in intel.strict(product, False)


@kk.kernel(reproducible=True)
def in_order(src, out):
    i = kk.grid(1)
    if i < src.shape[0]:
        total = np.float32(0)
        for k in range(src.shape[1]):
            total += src[i, k]
        out[i] = total


@kk.kernel(reproducible=True)
def scale(values, factors):
    i = kk.grid(1)
    if i < values.size:
        values[i] *= factors[i]


@each_device
def test_floats_are_ieee_s_in_reproducible_kernels(device):
    """In blocks that are not full, and where one part of a complex number is known to be 0."""
    rng = np.random.default_rng(5)
    src, out = rng.normal(size=(40, 9)).astype(np.float32), np.zeros(40, np.float32)
    place = f"opencl:{FOUND.devices.index(device)}"
    in_order.on(place)[2, 32](src, out)
    expected = np.zeros(40, np.float32)
    for k in range(9):
        expected += src[:, k]
    assert out.tobytes() == expected.tobytes()
    values = np.array([complex(np.nan, 3), complex(3, np.inf), 2j], np.complex64)
    scale.on(place)[1, 5](values, np.array([2, 0, 3]))
    assert np.isnan(values[0].imag) and np.isnan(values[1].real) and values[2] == 6j
