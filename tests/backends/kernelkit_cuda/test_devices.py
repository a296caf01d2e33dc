"""What the CUDA back end says of a machine: its devices, or in one line why it has none."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import kernelkit_cuda
from kernelkit.backend import Backend
from kernelkit.errors import BackendError
from kernelkit_cuda import CudaBackend, devices, hip, library, nvrtc
from kernelkit_cuda.dialect import CUDA


def test_it_is_a_back_end(cupy: Any) -> None:
    assert isinstance(kernelkit_cuda.backend, Backend)
    assert (kernelkit_cuda.backend.cached, kernelkit_cuda.backend.narrow) == (True, True)


def test_importing_it_imports_neither_cupy_nor_nvrtc() -> None:
    code = (
        "import sys, kernelkit_cuda\n"
        "assert not {'cupy', 'numba', 'kernelkit_cuda.nvrtc', 'kernelkit.analysis'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_devices_and_what_they_can_do(cupy: Any) -> None:
    cupy.devices = 2
    first, second = CudaBackend(cupy).probe()
    assert (first.backend, first.index, first.name) == ("cuda", 0, "Fake GPU")
    assert (second.index, second.target.name) == (1, "sm_90")
    can = first.target.capabilities
    assert can.shared_bytes == 227 * 1024
    assert (can.threads_per_block, can.block) == (1024, (1024, 1024, 64))
    assert can.grid == (2**31 - 1, 65535, 65535)
    assert {"float16", "float64", "complex128"} <= can.dtypes
    assert can.warp_operations
    assert CudaBackend(cupy).why_unavailable() == ""


def test_old_devices_are_left_out(cupy: Any) -> None:
    cupy.compute_capability = (6, 1)
    backend = CudaBackend(cupy)
    assert backend.probe() == ()
    assert backend.why_unavailable() == "its GPUs are older than sm_70, which kernels need"


@pytest.mark.parametrize(
    ("versions", "count", "words"),
    [
        ((0, 13020), 0, "there is no NVIDIA driver; install it"),
        (
            (12040, 13020),
            0,
            "the NVIDIA driver knows CUDA 12.4 and CuPy is made for CUDA 13.2: update the driver, "
            "or pip uninstall cupy-cuda13x && pip install cupy-cuda12x",
        ),
        ((13000, 13020), 0, "CUDA finds no device"),
    ],
)
def test_machines_without_a_device(
    versions: tuple[int, int], count: int, words: str, cupy: Any
) -> None:
    cupy.versions, cupy.devices = versions, count
    backend = CudaBackend(cupy)
    assert backend.probe() == ()
    assert words in backend.why_unavailable()
    assert "\n" not in backend.why_unavailable()


def test_what_hides_devices_is_named(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    cupy.devices = 0
    assert "CUDA_VISIBLE_DEVICES='' may hide it" in CudaBackend(cupy).why_unavailable()


def test_probing_never_raises(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("cudaErrorSystemNotReady")

    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", fail)
    assert CudaBackend(cupy).probe() == ()
    assert "finds no device (cudaErrorSystemNotReady)" in CudaBackend(cupy).why_unavailable()
    monkeypatch.undo()
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceProperties", fail)
    assert CudaBackend(cupy).probe() == ()
    assert "RuntimeError: cudaErrorSystemNotReady" in CudaBackend(cupy).why_unavailable()


def test_no_nvrtc(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "_candidates", lambda preferred: iter(["/nowhere/libnvrtc.so.13"]))
    nvrtc._loaded.cache_clear()
    try:
        assert CudaBackend(cupy).why_unavailable() == (
            "NVRTC, which compiles its code, is not installed: pip install nvidia-cuda-nvrtc"
        )
        assert CudaBackend(cupy).cache_key() == "no NVRTC"
    finally:
        nvrtc._loaded.cache_clear()


def test_a_compiler_that_is_too_new_for_the_driver(cupy: Any) -> None:
    cupy.versions = (12040, 12040)
    nvrtc.prefer(12)
    try:
        if nvrtc.library().version[0] < 13:
            pytest.skip("NVRTC of CUDA 12 is installed")
        why = CudaBackend(cupy).why_unavailable()
        assert (
            "the NVIDIA driver, which knows CUDA 12.4, does not load: update the driver, or" in why
        )
        assert why.endswith("pip install nvidia-cuda-nvrtc-cu12")
    finally:
        nvrtc.prefer(13)


# ---------------------------------------------------------------- CuPy
def test_no_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(library.importlib.util, "find_spec", lambda name: None)
    backend = CudaBackend()
    assert backend.probe() == ()
    assert backend.why_unavailable() == (
        "CuPy is not installed: pip install cupy-cuda13x (cupy-cuda12x where the driver is older "
        "than 580)"
    )


def test_a_cupy_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("cupy")
    old.__version__ = "12.3.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy", old)
    assert "CuPy 12.3.0 is too old, it takes 13.2 or later: pip" in CudaBackend().why_unavailable()


def test_a_cupy_that_is_broken(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cupy.py").write_text(
        "raise ImportError('libcublas.so.13 is missing\\nsecond line')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in [n for n in sys.modules if n == "cupy" or n.startswith("cupy.")]:
        monkeypatch.delitem(sys.modules, name)
    why = CudaBackend().why_unavailable()
    assert why.startswith("CuPy cannot be imported (libcublas.so.13 is missing); install it anew: ")


def test_the_real_cupy_says_why_or_finds_devices() -> None:
    pytest.importorskip("cupy", reason="CuPy is not installed")
    backend = CudaBackend()
    why = backend.why_unavailable()
    assert bool(backend.probe()) == (why == "")
    assert "\n" not in why


def test_the_real_cupy_has_all_that_the_fake_has(cupy: Any) -> None:
    real = pytest.importorskip("cupy", reason="CuPy is not installed")
    names = ["ndarray", "empty", "zeros", "array", "asarray", "from_dlpack", "asnumpy"]
    assert [n for n in (*names, "get_default_memory_pool") if not hasattr(real, n)] == []
    for room in ("runtime", "driver"):
        there = getattr(real.cuda, room)
        assert [n for n in vars(getattr(cupy.cuda, room)) if not hasattr(there, n)] == []
    assert [n for n in vars(cupy.cuda) if not hasattr(real.cuda, n)] == []
    assert real.cuda.function.Module
    lacking = [
        n for n in ("_c_contiguous", "data", "nbytes", "ndim") if not hasattr(real.ndarray, n)
    ]
    assert lacking == []
    stream = real.cuda.Stream
    assert hasattr(stream, "from_external") or hasattr(real.cuda, "ExternalStream")


# ---------------------------------------------------------------- other targets
@pytest.mark.parametrize(
    ("arch", "shared"), [("sm_75", 64), ("sm_80", 163), ("90", 227), ("sm_120", 99)]
)
def test_targets_without_a_device(arch: str, shared: int) -> None:
    target = kernelkit_cuda.backend.offline(arch)
    assert target.name == f"sm_{arch.removeprefix('sm_')}"
    assert target.capabilities.shared_bytes == shared * 1024
    with pytest.raises(BackendError, match="'h100' is no architecture of NVIDIA"):
        devices.offline("h100")


def test_rocm_builds_have_a_table_of_their_own(cupy: Any) -> None:
    cupy.cuda.runtime.is_hip = True
    (device,) = CudaBackend(cupy).probe()
    assert (device.target.name, device.target.features) == ("gfx1100", "xnack-")
    assert device.target.capabilities.warp_operations
    cupy.warp_size = 64
    (device,) = CudaBackend(cupy).probe()
    assert not device.target.capabilities.warp_operations
    with pytest.raises(BackendError, match="by a ROCm build of CuPy only"):
        hip.compile(None, "", "k.cu", False)
    cupy.devices = 0
    assert "ROCm build" in CudaBackend(cupy).why_unavailable()


def test_the_table_of_rocm_has_no_ptx_and_wide_masks() -> None:
    table = hip.dialect(CUDA)
    assert table.name == "hip"
    assert "asm" in "".join(CUDA.scalars.halves.values())
    assert "asm" not in "".join(table.scalars.halves.values())
    assert set(table.scalars.halves) == set(CUDA.scalars.halves)
    assert table.warps is not None
    texts = [
        table.warps.ballot, table.warps.match, *table.warps.given.values(),
        *table.warps.native.values(),
    ]  # fmt: skip
    assert all("_sync((u64){mask}" in text for text in texts)
    assert table.warps.sync == "__syncwarp((u64){mask});"
