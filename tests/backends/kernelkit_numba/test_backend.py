"""The Numba back end without a device: what it finds, says and refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.backend import Backend
from kernelkit_numba import NumbaBackend, backend, devices
from kernelkit_numba.capabilities import architecture, gpu
from kernelkit_numba.failures import DeviceLostError, DeviceMemoryError, explained


def test_it_meets_the_protocol() -> None:
    assert isinstance(backend, Backend)


def test_importing_it_imports_no_numba() -> None:
    code = (
        "import sys, kernelkit_numba, kernelkit_numba.printing, kernelkit_numba.devices; "
        "assert not {'numba', 'cuda', 'cupy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_says_why_it_is_not_usable() -> None:
    found, why = backend.probe(), backend.why_unavailable()
    assert bool(found) != bool(why)
    assert "\n" not in why


def test_a_missing_numba_cuda_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    fresh = NumbaBackend()
    assert fresh.probe() == ()
    assert fresh.why_unavailable() == (
        'numba-cuda is not installed: pip install "kernelkit[numba]"'
    )


@pytest.mark.usefixtures("compiler")
def test_a_failure_while_looking_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise RuntimeError("no\n luck. ")

    monkeypatch.setattr(devices, "_devices", fail)
    assert devices.find("numba") == ((), "numba-cuda failed while looking for devices: no luck")


def test_targets_are_named_by_their_architecture() -> None:
    for cc in ((7, 5), (9, 0), (12, 1)):
        assert architecture(gpu(cc)) == cc
    assert gpu((12, 1)).name == "sm_121"


def test_what_decides_the_code_is_named() -> None:
    assert "numba" in backend.cache_key() or not backend.cache_key()


@kk.kernel
def large(out):
    tile = kk.shared.array((64, 200), np.float32)
    tile[kk.threadIdx.x, 0] = 1
    kk.syncthreads()
    out[kk.threadIdx.x] = tile[63 - kk.threadIdx.x, 0]


def test_more_shared_memory_than_it_can_name_is_refused(analysed: Callable[..., Any]) -> None:
    analysis = analysed(large, (64, 1, 1), np.zeros(64, np.float32))
    with pytest.raises(kk.CapabilityError, match=r"51200 bytes.*shared\.array\(0, dtype\)"):
        backend.emit(analysis, gpu((9, 0)))


# ---------------------------------------------------------------- the text
@kk.kernel(reproducible=True)
def np_cuda(np, cuda, types, out):
    """Names that the printed code needs for itself."""
    complex = kk.grid(1)
    for libdevice in range(cuda):
        out[complex] += np[libdevice] * types


def test_users_names_do_not_hide_those_of_numba(analysed: Callable[..., Any]) -> None:
    a = np.zeros(4, np.float32)
    analysis = analysed(np_cuda, (32, 1, 1), a, 4, np.float32(1), a)
    text = backend.emit(analysis, gpu((9, 0))).text
    assert "def np_cuda(np_2, cuda_2, types_2, out):" in text
    assert (
        "libdevice.fadd_rn(out[complex_2], libdevice.fmul_rn(np_2[libdevice_2], types_2))" in text
    )
    compile(text, "text", "exec")


@kk.kernel
def shapes(a, out):
    tile = kk.shared.array((3, 2), np.int16)
    more = kk.shared.array(0, np.float64)
    mine = kk.local.array(4, np.bool_)
    i = kk.threadIdx.x
    tile[i, 0] = a[i]
    more[i] = 1
    mine[i] = True
    kk.syncthreads()
    row = tile[i]
    out[i] = row[0] + tile.shape[0] + len(more) + mine[i]


def test_arrays_in_all_memories(analysed: Callable[..., Any]) -> None:
    analysis = analysed(shapes, (3, 1, 1), np.zeros(3, np.float16), np.zeros(3))
    text = backend.emit(analysis, gpu((9, 0))).text
    for line in (
        "cuda.shared.array((3, 2), types.int16)", "cuda.shared.array(0, types.float64)",
        "cuda.local.array((4,), types.bool)", "cuda.syncthreads()", "row = tile[i]",
        "np.float32(a[i])",
    ):  # fmt: skip
        assert line in text


# ---------------------------------------------------------------- what the driver says
@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (
            "[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY",
            DeviceMemoryError,
            "no room",
        ),
        ("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal", DeviceLostError, "outside of any array"),
        ("CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: too many", kk.BackendError, "smaller blocks"),
        ("CUDA_ERROR_NO_BINARY_FOR_GPU", kk.BackendError, "CUDA_ERROR_NO_BINARY_FOR_GPU"),
    ],
)
def test_errors_of_the_driver_become_ours(said: str, error: Any, words: str) -> None:
    found = explained(RuntimeError(said), "launching f")
    assert type(found) is error
    assert words in str(found)
    assert str(found).startswith("launching f: ")


def test_other_errors_stay_what_they_are() -> None:
    assert explained(ValueError("no"), "launching f") is None


# ---------------------------------------------------------------- streams
class _Protocol:
    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, 77


class _Torch:
    cuda_stream = 78


class _Elsewhere:
    ptr = 79
    device_id = 1


@pytest.mark.usefixtures("compiler")
def test_streams_of_every_library() -> None:
    from kernelkit_numba.streams import address_of

    found = [address_of(s, 0) for s in (None, 5, np.int64(6), _Protocol(), _Torch())]
    assert found == [None, 5, 6, 77, 78]
    with pytest.raises(ValueError, match="belongs to device 1"):
        address_of(_Elsewhere(), 0)
    for wrong in ("stream", True, 1.5, object()):
        with pytest.raises(TypeError, match="is no stream"):
            address_of(wrong, 0)


# ---------------------------------------------------------------- the simulator
#: Numba's simulator counts the votes of threads that have returned.
VOTES = "test_returns_inside_a_loop_of_barriers or test_a_block_ends_in_which_a_thread_was_at_fault"
#: Rules by the dozen, whose scalars `test_scalars.py` tries too.
TABLES = "test_math or test_integers or test_promotion or test_floats"


def _suite(chosen: str, **settings: str) -> tuple[int, str]:
    """How many tests of the conformance suite pass in the simulator, and what pytest said."""
    settings |= {"NUMBA_ENABLE_CUDASIM": "1", "KERNELKIT_CACHE": "0"}
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
            "--pyargs", "kernelkit.conformance", "--kernelkit-backend=numba", "-k", chosen,
        ],
        capture_output=True, text=True, timeout=900, env=os.environ | settings,
    )  # fmt: skip
    last = done.stdout.rstrip().splitlines()[-1] if done.stdout else done.stderr
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return int(last.split(" passed")[0]), last


@pytest.mark.usefixtures("compiler")
def test_the_conformance_suite_runs_in_the_simulator() -> None:
    passed, last = _suite(f"not ({VOTES} or {TABLES})")
    assert passed > 700, last


@pytest.mark.usefixtures("compiler")
def test_debug_kernels_run_in_the_simulator() -> None:
    chosen = "test_reports or test_indices or test_loops or test_statements or test_views"
    passed, last = _suite(f"({chosen}) and not ({VOTES})", KERNELKIT_DEBUG="1")
    assert passed > 80, last
