"""Kernels as numba.cuda Python compile to PTX and machine code; no GPU is needed.

All kernels of the conformance suite take some minutes on two cores: by default every so many are
compiled; KERNELKIT_EVERY_KERNEL=1 compiles all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.errors import InternalError
from kernelkit_numba import backend
from kernelkit_numba.capabilities import gpu

pytestmark = pytest.mark.usefixtures("compiler")

#: Whether all kernels are compiled.
ALL = os.environ.get("KERNELKIT_EVERY_KERNEL", "0") not in ("", "0")
F = np.float32


def ptx_of(analysis: Any, cc: tuple[int, int] = (8, 0)) -> str:
    return backend.forms["ptx"](analysis, gpu(cc))


@pytest.mark.parametrize(
    ("settings", "share"), [({}, 25), ({"KERNELKIT_DEBUG": "1"}, 60)], ids=["release", "debug"]
)
def test_the_conformance_suite_compiles(
    settings: dict[str, str], share: int, tmp_path: Path
) -> None:
    from kernelkit_numba.compiling import to_ptx

    out = tmp_path / "kernels.jsonl"
    recorder = Path(__file__).with_name("recorder.py")
    done = subprocess.run(
        [sys.executable, str(recorder), str(out)],
        capture_output=True, text=True, cwd=tmp_path, timeout=1200, env=os.environ | settings,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    kernels = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(kernels) > 1000
    for kernel in kernels[:: 1 if ALL else share]:
        assert ".entry" in to_ptx(kernel["text"], kernel["metadata"], (8, 0)), kernel["text"]


@kk.kernel
def scaled(a, factor, b, c, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = a[i] * factor + b[i] / c[i]


@kk.kernel(reproducible=True)
def scaled_exactly(a, factor, b, c, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = a[i] * factor + b[i] / c[i]


def test_machine_code_for_old_and_new_devices(analysed: Callable[..., Any]) -> None:
    a = np.zeros(8, F)
    analysis = analysed(scaled, (64, 1, 1), a, F(2), a, a, a)
    for cc in ((7, 5), (8, 0), (9, 0), (12, 0)):
        target = gpu(cc)
        binary = backend.compile(backend.emit(analysis, target), target)
        assert binary.data[:4] == b"\x7fELF"
        assert binary.metadata["entry"] in binary.data.decode("latin1")
        json.dumps(binary.metadata)


def test_products_and_sums_are_contracted_unless_reproducible(
    analysed: Callable[..., Any],
) -> None:
    a = np.zeros(8, F)
    for kernel, contracted in ((scaled, True), (scaled_exactly, False)):
        ptx = ptx_of(analysed(kernel, (64, 1, 1), a, F(2), a, a, a))
        assert ("fma.rn.f32" in ptx) == contracted
        assert "div.rn.f32" in ptx
        assert not re.search(r"\.(ftz|approx)", ptx)
        assert ".maxntid 64" in ptx


@kk.kernel
def filtered(a, w, out):
    i, j = kk.grid(2)
    if i < out.shape[0] and j < out.shape[1]:
        total = 0.0
        for y in range(5):
            for x in range(5):
                total += a[i + y, j + x] * w[y, x]
        out[i, j] = total


def test_constant_loops_are_unrolled(analysed: Callable[..., Any]) -> None:
    a = np.zeros((40, 40), F)
    ptx = ptx_of(analysed(filtered, (32, 8, 1), a, a[:5, :5].copy(), a[:36, :36].copy()))
    assert ptx.count("fma.rn.f32") == 25
    assert ".local" not in ptx


@kk.kernel
def atomics(a, b, i):
    kk.atomic.add(a, 0, a[0])
    kk.atomic.max(b, 0, 2.0)
    kk.atomic.cas(a, i, 3, 4)


def test_atomics_are_those_of_the_hardware_or_compare_and_swap(
    analysed: Callable[..., Any],
) -> None:
    ptx = ptx_of(analysed(atomics, (32, 1, 1), np.zeros(4, np.int32), np.zeros(4), 0))
    assert re.search(r"(atom|red)\S*\.add\.u32", ptx)
    assert re.search(r"atom\S*\.cas\.b64", ptx)
    assert re.search(r"atom\S*\.cas\.b32", ptx)


def test_a_numba_that_passes_arrays_otherwise_is_refused(
    analysed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernelkit_numba import compiling

    a = np.zeros(8, F)
    analysis = analysed(scaled, (64, 1, 1), a, F(2), a, a, a)
    monkeypatch.setattr(compiling, "ARRAY_WORDS", 4)
    with pytest.raises(InternalError, match="passes 29 words to a kernel that takes 25"):
        ptx_of(analysis)


def test_arguments_are_passed_as_numba_does() -> None:
    """The words of Numba's own launches, which its `_prepare_args` makes."""
    from types import SimpleNamespace

    from kernelkit_numba.launch import _passing

    array = SimpleNamespace(
        device_ctypes_pointer=SimpleNamespace(value=4096), size=6, dtype=np.dtype(F),
        shape=(2, 3), strides=(12, 4),
    )  # fmt: skip
    words: list[Any] = []
    parameters = [{"dtype": "float32", "ndim": 2}] + [
        {"dtype": name} for name in ("bool", "int8", "uint64", "float16", "complex64")
    ]
    values = [array, True, np.int8(-1), 2**64 - 1, np.float16(0.5), 1 + 2j]
    for parameter, value in zip(parameters, values, strict=True):
        _passing(parameter)(value, words)
    assert words[:9] == [0, 0, 6, 4, 4096, 2, 3, 12, 4]
    assert words[9] is True
    assert [type(word).__name__ for word in words[10:]] == [
        "c_byte", "c_ulong", "c_float", "c_float", "c_float",
    ]  # fmt: skip
    assert [word.value for word in words[10:]] == [-1, 2**64 - 1, 0.5, 1.0, 2.0]


@pytest.mark.parametrize("kind", [float, np.float64])
def test_wide_floats_are_rounded_once(kind: Any) -> None:
    from kernelkit_numba.launch import _passing

    for value in (0.1, 1e300, -1e300, 1e-300, 65519.999, 65520.0, 1 + 2.0**-11, 2.0**-25):
        for name in ("float16", "float32"):
            words: list[Any] = []
            _passing({"dtype": name})(kind(value), words)
            with np.errstate(all="ignore"):
                assert words[0].value == float(np.dtype(name).type(value))
    words = []
    _passing({"dtype": "complex64"})(complex(1e300, 0.1), words)
    assert [word.value for word in words] == [np.inf, float(np.float32(0.1))]
