"""Compiling CUDA C where there is no GPU, and what the compiler says of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kernelkit as kk
import kernelkit_cuda
from kernelkit import registry
from kernelkit.errors import BackendError
from kernelkit_cuda import nvrtc
from kernelkit_cuda.resources import Resources, parse

pytestmark = pytest.mark.skipif(bool(nvrtc.why_missing()), reason=nvrtc.why_missing())

TEXT = """typedef float f32;
extern "C" __global__ void __launch_bounds__(256) k(f32* a, int n) {
    __shared__ f32 t[256];
    int i = blockIdx.x * 256 + threadIdx.x;
    t[threadIdx.x] = a[i];
    __syncthreads();
    if (i < n) a[i] = t[255 - threadIdx.x] / 3.0f;
}
"""
ELF = b"\x7fELF"


@pytest.mark.parametrize("arch", ["sm_75", "sm_80", "sm_90", "newest"])
def test_machine_code(arch: str) -> None:
    arch = nvrtc.newest() if arch == "newest" else arch
    code, log = nvrtc.compile(TEXT, "k.cu", arch, ("--ptxas-options=-v",))
    assert code[:4] == ELF
    found = parse(log)["k"]
    assert found.architecture == arch
    assert found.registers > 4
    assert found.shared_bytes == 1024
    assert not found.in_local_memory


def test_what_is_newer_than_the_compiler_gets_ptx() -> None:
    code, _ = nvrtc.compile(TEXT, "k.cu", "sm_990")
    assert b".entry k(" in code
    assert code.endswith(b"\0")
    newest = nvrtc.newest().removeprefix("sm_")
    assert f".target sm_{newest}".encode() in code


def test_what_is_too_old() -> None:
    with pytest.raises(
        BackendError, match=r"sm_35 is too old for NVRTC .* pip install cupy-cuda12x"
    ):
        nvrtc.compile(TEXT, "k.cu", "sm_35")


def test_errors_quote_the_lines_they_speak_of() -> None:
    text = '#line 7 "user.py"\n' + TEXT.replace("int i", "intt i")
    with pytest.raises(nvrtc.NvrtcError) as caught:
        nvrtc.compile(text, "k.cu", "sm_90", ("--std=c++17",))
    said = str(caught.value)
    assert "--gpu-architecture=sm_90 --std=c++17" in said
    assert 'user.py(10): error: identifier "intt" is undefined' in said
    assert "     5 |     intt i = blockIdx" in said  # the line of our text


def test_lines_of_the_user_reach_profilers() -> None:
    text = TEXT.replace("    int i", '#line 41 "/home/user/kernels.py"\n    int i')
    ptx = nvrtc.ptx(text, "k.cu", "sm_90", ("--generate-line-info",))
    assert re.search(r'\.file\s+\d+ "/home/user/kernels.py"', ptx)
    assert re.search(r"\.loc\s+\d+ 42 ", ptx)


def test_it_is_found_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lib64"
    folder.mkdir()
    (folder / "libnvrtc.so.12").touch()
    (folder / "libnvrtc-builtins.so.12").touch()
    monkeypatch.setenv("CUDA_PATH", str(tmp_path))
    monkeypatch.setattr(nvrtc, "_nvidia_folders", lambda: [tmp_path / "nvidia"])
    wheel = tmp_path / "nvidia" / "cu13" / "lib"
    old = tmp_path / "nvidia" / "cuda_nvrtc" / "lib"
    for place, name in ((wheel, "libnvrtc.so.13"), (old, "libnvrtc.so.12")):
        place.mkdir(parents=True)
        (place / name).touch()
    found = list(nvrtc._candidates(None))
    wanted = [wheel / "libnvrtc.so.13", old / "libnvrtc.so.12", folder / "libnvrtc.so.12"]
    assert found[:3] == list(map(str, wanted))
    assert "libnvrtc.so.13" in found[3:]
    assert list(nvrtc._candidates(12))[:2] == [str(wanted[1]), str(wanted[0])]


def test_it_compiles_in_threads_and_processes_of_their_own() -> None:
    code = (
        "import sys; from concurrent.futures import ThreadPoolExecutor\n"
        "from kernelkit_cuda import nvrtc\n"
        "text = 'extern \"C\" __global__ void k(int* a) { a[0] = %d; }'\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    found = list(pool.map(lambda n: nvrtc.compile(text % n, 'k', 'sm_90')[0], range(8)))\n"
        "assert len(set(found)) == 8 and 'cupy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- what it reports
def test_reports_of_several_kernels() -> None:
    log = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'a' for 'sm_80'
ptxas info    : Function properties for a
    8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 10640 bytes smem, 420 bytes cmem[0], 64 bytes cmem[2]
ptxas info    : Compiling entry function 'b' for 'sm_80'
ptxas info    : Function properties for b
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, 16 bytes lmem, 420 bytes cmem[0]"""
    found = parse(log)
    assert found["a"] == Resources(
        kernel="a", architecture="sm_80", registers=32, stack_bytes=8, spill_stores=12,
        spill_loads=16, shared_bytes=10640, constant_bytes=64, barriers=1,
    )  # fmt: skip
    assert found["b"] == Resources("b", "sm_80", registers=10, local_bytes=16)
    assert found["a"].in_local_memory
    assert found["b"].in_local_memory
    assert str(found["a"]) == (
        "a on sm_80: 32 registers; 12 bytes of spill stores, 16 bytes of spill loads; 8 bytes of "
        "stack; 10640 bytes of static shared memory"
    )
    assert parse("") == {}


# ---------------------------------------------------------------- kernels
@kk.kernel
def multiply_add(a, b, c, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = a[i] * b[i] + c[i]


@kk.kernel(reproducible=True)
def exactly(a, b, c, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = a[i] * b[i] + c[i]


@kk.kernel(reproducible=True)
def quotient(a, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = a[i] / out[i]


@kk.kernel
def long_loop(out):
    for i in range(-(2**63), 2**63 - 1, 7):
        if i > out[0]:
            out[0] = i
            break


def shown(kernel, count, what, arch="sm_90"):
    place = registry.offline("cuda", arch)
    arrays = [np.zeros(8, np.float32) for _ in range(count)]
    return kernel.inspect(*arrays, backend=place, what=what)


def test_reproducible_kernels_are_not_contracted() -> None:
    assert "fma.rn.f32" in shown(multiply_add, 4, "ptx")
    exact = shown(exactly, 4, "ptx")
    assert "fma.rn.f32" not in exact
    assert "add.rn.f32" in exact or "add.f32" in exact
    divided = shown(quotient, 2, "ptx")
    assert "div.rn.f32" in divided
    assert ".ftz" not in divided + exact


def test_arguments_that_may_not_overlap_are_read_through_the_cache_of_constants() -> None:
    assert "ld.global.nc" in shown(multiply_add, 4, "ptx")


def test_loops_with_more_turns_than_a_length_of_python_has() -> None:
    assert ".entry k_long_loop" in shown(long_loop, 1, "ptx")


def test_resources_for_people() -> None:
    said = shown(multiply_add, 4, "resources", "sm_80")
    assert re.match(r"k_multiply_add on sm_80: \d+ registers; 0 bytes of spill stores", said)


@kk.kernel
def half_of_a_block(values):
    tile = kk.shared.array(15_000, np.float64)
    tile[kk.threadIdx.x] = values[kk.threadIdx.x]
    kk.syncthreads()
    values[kk.threadIdx.x] = tile[63 - kk.threadIdx.x]


def test_resources_count_shared_memory_beyond_what_is_static() -> None:
    assert "120000 bytes of static shared" in shown(half_of_a_block, 1, "resources", "sm_80")


def test_binaries_are_bytes_and_json() -> None:
    import json

    from kernelkit.backend import Artifact

    metadata = {"name": "k", "source": "k", "reproducible": False, "block": (256, 1, 1)}
    backend = kernelkit_cuda.backend
    binary = backend.compile(Artifact(TEXT, metadata), backend.offline("sm_90"))
    assert binary.data[:4] == ELF
    assert json.loads(json.dumps(binary.metadata)) == binary.metadata
    assert re.fullmatch(r"NVRTC \d+\.\d+", backend.cache_key())
