"""Which devices are found and in which order; what is said where there is none; PoCL and Intel."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from opencl_devices import FOUND, each_device, run

import kernelkit as kk
from kernelkit_opencl import backend, devices, pocl, vendors

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such loaders")
needs_pyopencl = pytest.mark.skipif(not FOUND.devices, reason=FOUND.why())


@each_device
def test_a_program_runs(device):
    values = np.arange(8, dtype=np.float32)
    run(device, "__kernel void k(__global float* a) { a[get_global_id(0)] *= 2; }", [values])
    assert values.tolist() == [0, 2, 4, 6, 8, 10, 12, 14]


@needs_pyopencl
def test_the_back_end_lists_them():
    found = backend.probe()
    assert [d.index for d in found] == list(range(len(FOUND.devices)))
    rows = [row for row in kk.devices() if row.backend == "opencl"]
    assert [row.name for row in rows] == [d.name for d in found] and backend.why_unavailable() == ""
    for native, device in zip(FOUND.devices, found, strict=True):
        assert native.platform.name.strip() in device.name


@needs_pyopencl
@pytest.mark.skipif(sys.platform != "linux", reason="the wheels are for Linux")
def test_the_wheels_of_the_test_extra_are_found():
    """So that a run of these tests in CI does not skip them all unseen."""
    from importlib.util import find_spec

    platforms = {d.platform.name for d in FOUND.devices}
    if find_spec("pocl_binary_distribution"):
        assert "Portable Computing Language" in platforms, FOUND.wrong
    if vendors.unregistered(Path(sys.prefix)):
        assert any("Intel" in name for name in platforms), FOUND.wrong


# ---------------------------------------------------------------- in a process of its own
def elsewhere(code: str, **variables: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_back_end_does_not_import_pyopencl():
    code = "import sys, kernelkit_opencl; print('pyopencl' in sys.modules)"
    assert elsewhere(code).strip() == "False"


WHY = """
    import sys, types
    {before}
    from kernelkit_opencl import backend
    print(backend.probe(), backend.why_unavailable())
    import kernelkit as kk
    print([row.why for row in kk.devices() if row.backend == "opencl"])
"""


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("sys.modules['pyopencl'] = None", "pyopencl cannot be imported"),
        (
            "sys.meta_path.insert(0, types.SimpleNamespace(find_spec=lambda name, *_: 1 / (name != 'pyopencl') and None))",
            "pyopencl cannot be imported (division by zero); pip install pyopencl pocl-binary-distribution",
        ),
        (
            "sys.modules['pyopencl'] = types.SimpleNamespace(VERSION=(2022, 3), VERSION_TEXT='2022.3')",
            "pyopencl 2022.3 is older than 2024.1; pip install -U pyopencl",
        ),
        (
            "sys.modules['pyopencl'] = types.SimpleNamespace(VERSION=(2026, 1), get_platforms=lambda: 1 / 0)",
            "there is no OpenCL platform (division by zero); pip install pyopencl pocl-binary-distribution",
        ),
        (
            "sys.modules['pyopencl'] = types.SimpleNamespace(VERSION=(2026, 1), get_platforms=list)",
            "no OpenCL platform has a device; pip install pyopencl pocl-binary-distribution",
        ),
    ],
)
def test_why_there_is_none(before: str, expected: str):
    printed = elsewhere(WHY.format(before=before))
    assert printed.startswith(f"() {expected}") and printed.count(expected) == 2


@needs_linux
@needs_pyopencl
def test_without_platforms_the_loader_s_words_are_shown(tmp_path: Path):
    code = """
        import pyopencl as cl
        from pyopencl import _cl
        cl.get_platforms = lambda: _cl.no_such_function
        from kernelkit_opencl import backend
        print(backend.why_unavailable())
    """
    printed = elsewhere(code)
    assert printed.startswith("there is no OpenCL platform (") and "pip install" in printed


# ---------------------------------------------------------------- order and use
CPU, GPU, ACCELERATOR, CUSTOM = 2, 4, 8, 16


def native(name: str, kind: int, **changes: Any) -> Any:
    platform = SimpleNamespace(name="Some Platform", version="OpenCL 3.0 Some 1.0")
    defaults = {
        "platform": platform, "name": name, "type": kind, "available": True, "endian_little": True,
        "compiler_available": True, "version": "OpenCL 3.0", "driver_version": "1.0",
    }  # fmt: skip
    return SimpleNamespace(**{**defaults, **changes})


def platforms(*groups: list[Any]) -> list[Any]:
    def fails() -> None:
        raise RuntimeError("DEVICE_NOT_FOUND")

    return [
        SimpleNamespace(name=f"P{i}", get_devices=(lambda g=g: g) if g else fails)
        for i, g in enumerate(groups)
    ]


@needs_pyopencl
def test_cpus_come_last_and_others_as_they_are_listed():
    cpu, gpu, other = native("c", CPU), native("g", GPU), native("a", ACCELERATOR)
    found = devices._sorted_out(platforms([cpu, gpu], [native("c2", CPU), other]))
    assert [d.name for d in found.devices] == ["g", "a", "c", "c2"] and found.why() == ""


@needs_pyopencl
def test_devices_that_cannot_run_kernels_are_left_out_with_the_reason():
    bad = [
        native("off", GPU, available=False),
        native("mute", GPU, compiler_available=False),
        native("big", GPU, endian_little=False),
        native("fixed", CUSTOM),
    ]
    found = devices._sorted_out(platforms(bad, []))
    assert not found.devices and len(found.wrong) == 5
    for part in ("off: it is not available", "big: it keeps the bytes", "fixed: it does not run"):
        assert part in found.why()
    assert "P1: DEVICE_NOT_FOUND" in found.why()


@needs_pyopencl
def test_a_pocl_that_cannot_build_is_tried_and_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pocl, "give_processor", lambda _: "")
    monkeypatch.setattr(devices, "_trial", lambda device: f"no luck with {device.name}")
    pocl_device = native("p", CPU, version="OpenCL 3.0 PoCL HSTR: pthread-generic")
    pocl_device.platform.name = "Portable Computing Language"
    found = devices._sorted_out(platforms([pocl_device, native("g", GPU)]))
    assert [d.name for d in found.devices] == ["g"] and found.wrong == ("p: no luck with p",)


@each_device
def test_the_trial_builds_a_program(device, monkeypatch: pytest.MonkeyPatch):
    assert devices._trial(device) == ""
    import pyopencl as cl

    def build(*_: Any, **__: Any) -> None:
        raise RuntimeError("log\nerror: unknown target CPU 'generic'\nmore")

    monkeypatch.setattr(cl.Program, "build", build)
    assert "(error: unknown target CPU 'generic')" in devices._trial(device)


# ---------------------------------------------------------------- PoCL of PyPI
def test_levels_of_x86_64():
    v2 = set("cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3".split())
    v3 = v2 | set("avx avx2 bmi1 bmi2 f16c fma abm movbe xsave".split())
    v4 = v3 | set("avx512f avx512bw avx512cd avx512dq avx512vl".split())
    levels = ["", "x86-64-v2", "x86-64-v3", "x86-64-v4"]
    assert [pocl.processor_level(flags) for flags in (set(), v2, v3, v4)] == levels
    assert (
        pocl.processor_level(v4 - {"ssse3"}) == ""
        and pocl.processor_level(v4 - {"fma"}) == levels[1]
    )


def record_of(cpu: bytes = b"generic\0", triple: bytes = b"x86_64-unknown-linux-gnu\0") -> Any:
    """A device's record as PoCL 3.0 keeps it, and what it points to."""
    import ctypes

    texts = [ctypes.create_string_buffer(text) for text in (triple, cpu)]
    record = (ctypes.c_uint64 * 200)()
    record[79], record[80] = map(ctypes.addressof, texts)
    return record, texts


def renamed(record: Any) -> bool:
    import ctypes

    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        return pocl._rename(memory.fileno(), ctypes.addressof(record), "x86-64-v3")


@needs_linux
def test_only_the_expected_record_is_changed():
    import ctypes

    record, _texts = record_of()
    assert renamed(record) and ctypes.string_at(record[80]) == b"x86-64-v3"
    assert renamed(record)  # once more is no harm
    for wrong in (record_of(b"znver3\0"), record_of(triple=b"aarch64\0")):
        before = list(wrong[0])
        assert not renamed(wrong[0]) and list(wrong[0]) == before


@needs_linux
def test_a_record_that_points_nowhere_is_an_error_and_no_crash(monkeypatch: pytest.MonkeyPatch):
    import ctypes

    record, _texts = record_of()
    for address in (16, 2**47 + 8, 2**63 + 8):
        record[79] = address
        device = native(
            "p", CPU, version="OpenCL 3.0 PoCL HSTR: pthread-x86_64-unknown-linux-gnu-generic",
            driver_version="3.0-rc2", int_ptr=ctypes.addressof(record),
        )  # fmt: skip
        device.platform = SimpleNamespace(
            name="Portable Computing Language", version="OpenCL 3.0 PoCL 3.0-rc2  Linux"
        )
        monkeypatch.setattr(pocl.platform, "machine", lambda: "x86_64")
        assert pocl.give_processor(device) == ""
    assert pocl.give_processor(native("other", CPU, int_ptr=0)) == ""


# ---------------------------------------------------------------- Intel's runtime of PyPI
@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An environment into which pip put that runtime."""
    (tmp_path / "etc/OpenCL/vendors").mkdir(parents=True)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/libintelocl.so").touch()
    (tmp_path / "etc/OpenCL/vendors/intel.icd").write_text("/nowhere/lib/libintelocl.so\n")
    return tmp_path


def test_libraries_whose_registration_is_wrong(prefix: Path):
    assert vendors.unregistered(prefix) == [prefix / "lib/libintelocl.so"]
    vendor = prefix / "etc/OpenCL/vendors/intel.icd"
    for right in (f"{prefix}/lib/libintelocl.so", "libintelocl.so", "/nowhere/libother.so"):
        vendor.write_text(right)
        assert vendors.unregistered(prefix) == []
    vendor.write_bytes(b"\xff\xfe")
    assert vendors.unregistered(prefix) == [] == vendors.unregistered(prefix / "nothing")


@needs_linux
def test_registered_for_a_while(prefix: Path, monkeypatch: pytest.MonkeyPatch):
    system = prefix / "system"
    system.mkdir()
    (system / "other.icd").write_text("libother.so")
    monkeypatch.setattr(vendors, "SYSTEM", system)
    for name in vendors._VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with vendors.registered(prefix):
        folder = Path(os.environ["OCL_ICD_VENDORS"])
        texts = {path.read_text().strip() for path in folder.iterdir()}
        assert texts == {str(prefix / "lib/libintelocl.so"), "libother.so"}
    assert "OCL_ICD_VENDORS" not in os.environ and not folder.exists()
    assert (system / "other.icd").exists()
    monkeypatch.setenv("OCL_ICD_VENDORS", "mine")
    with vendors.registered(prefix):
        assert os.environ["OCL_ICD_VENDORS"] == "mine"
    assert os.environ["OCL_ICD_VENDORS"] == "mine"
