"""The pytest plugin: choosing a back end, skipping by capability, leaving other runs alone."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from kernelkit.backend import Capabilities
from kernelkit.testing.plugin import missing

#: A back end of somebody else: the reference with little that it can do.
LIMITED = """
from kernelkit import registry
from kernelkit.backend import Capabilities, Device, Target
from kernelkit_python import ReferenceBackend

CAPABILITIES = Capabilities({capabilities})

class Limited(ReferenceBackend):
    name = "limited"

    def probe(self):
        target = Target("small", CAPABILITIES)
        return tuple(Device(self.name, i, "a small device", target) for i in range(2))

registry.register(Limited())
"""
SMALL = """
    dtypes=frozenset(["bool", "int8", "int16", "int32", "int64", "uint8", "uint32", "float32"]),
    atomics=frozenset(["int32"]), warp_operations=False, printing=False, assertions=False,
    reproducible=False, threads_per_block=256,
"""


def run_pytest(folder: Path, *args: str, timeout: float = 300) -> tuple[int, str]:
    """A run of its own in an empty folder, so that nothing of this run is seen."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return done.returncode, done.stdout + done.stderr


def write(folder: Path, name: str, source: str) -> None:
    (folder / name).write_text(textwrap.dedent(source))


# ---------------------------------------------------------------- needs
@pytest.mark.parametrize(
    ("needs", "lacks"),
    [
        ({}, ""),
        ({"dtypes": "float64"}, "float64"),
        ({"dtypes": ["int32", "float64", "float16"]}, "float64, float16"),
        ({"dtypes": "int32", "atomics": "int32"}, ""),
        ({"atomics": ("int32", "float32")}, "atomics on float32"),
        ({"warp_operations": True}, "warp operations"),
        ({"warp_operations": False}, ""),
        ({"barriers": True, "shared_memory": True, "printing": True}, ""),
        ({"reproducible": True, "assertions": True}, "reproducible kernels"),
        ({"threads_per_block": 256}, ""),
        ({"threads_per_block": 257}, "257 threads in a block"),
        ({"shared_bytes": 10**6}, "1000000 bytes of shared memory"),
    ],
)
def test_what_a_device_lacks(needs: dict[str, Any], lacks: str) -> None:
    device = Capabilities(
        dtypes=frozenset({"int32", "float32"}),
        atomics=frozenset({"int32"}),
        warp_operations=False,
        reproducible=False,
        threads_per_block=256,
    )
    assert missing(device, needs) == lacks


def test_every_capability_but_the_launch_limits_can_be_needed() -> None:
    named = {"dtypes", "atomics", "threads_per_block", "shared_bytes"}
    flags = {f for f in Capabilities.__dataclass_fields__ if f not in named | {"block", "grid"}}
    assert missing(Capabilities(), dict.fromkeys(flags, True)) == ""


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(pytest.UsageError, match=r"knows dtypes, .*; not 'dtype'"):
        missing(Capabilities(), {"dtype": "int32"})


# ---------------------------------------------------------------- runs
def test_an_unknown_back_end_is_a_usage_error(tmp_path: Path) -> None:
    write(tmp_path, "test_it.py", "def test_it(): pass")
    code, text = run_pytest(tmp_path, "--kernelkit-backend=pyhton")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "pyhton" in text
    assert "python" in text.replace("pyhton", "")
    assert "Traceback" not in text


def test_skipping_by_capability(tmp_path: Path) -> None:
    write(tmp_path, "conftest.py", LIMITED.replace("{capabilities}", SMALL))
    write(
        tmp_path,
        "test_it.py",
        """
        import pytest

        pytestmark = pytest.mark.needs(dtypes="float32")

        @pytest.mark.needs(warp_operations=True, dtypes=["float64"])
        def test_skipped(backend_device):
            raise AssertionError

        @pytest.mark.needs(atomics="int32", threads_per_block=256)
        def test_run(backend_device, backend_name):
            assert backend_name == backend_device.backend == "limited"
        """,
    )
    code, text = run_pytest(tmp_path, "-rs", "--kernelkit-backend=limited")
    assert code == 0, text
    assert "1 passed, 1 skipped" in text
    assert "a small device does not have warp operations, float64" in text
    assert "kernelkit: on a small device (back end limited)" not in text  # -q has no header


def test_a_device_of_a_back_end_by_its_number(tmp_path: Path) -> None:
    write(tmp_path, "conftest.py", LIMITED.replace("{capabilities}", SMALL))
    write(
        tmp_path,
        "test_it.py",
        """
        def test_run(backend_device, backend_name):
            assert (backend_name, backend_device.index) == ("limited:1", 1)
        """,
    )
    code, text = run_pytest(tmp_path, "--kernelkit-backend=limited:1")
    assert code == 0, text


def test_the_header_names_the_device(tmp_path: Path) -> None:
    write(tmp_path, "test_it.py", "def test_it(): pass")
    _, text = run_pytest(tmp_path, "-v", "-v", "--kernelkit-backend=python")
    assert "(back end python)" in text


def test_the_environment_chooses_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "test_it.py", "def test_it(backend_name): assert backend_name == 'python'")
    monkeypatch.setenv("KERNELKIT_BACKEND", "python")
    code, text = run_pytest(tmp_path)
    assert code == 0, text
    monkeypatch.setenv("KERNELKIT_BACKEND", "nothing")
    code, text = run_pytest(tmp_path)
    assert code != 0
    assert "KERNELKIT_BACKEND=nothing" in text


def test_other_runs_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No back end is loaded, and a marker of the same name means what its owner says."""
    monkeypatch.setenv("KERNELKIT_BACKEND", "nothing")
    write(
        tmp_path,
        "test_it.py",
        """
        import sys
        import pytest

        @pytest.mark.needs("something else", planets=9)
        def test_it():
            loaded = [m for m in sys.modules if m.startswith(("kernelkit_", "llvmlite"))]
            assert loaded == []
        """,
    )
    code, text = run_pytest(tmp_path, "-v", "--strict-markers", "-W", "error")
    assert code == 0, text
    assert (
        "kernelkit"
        not in text.replace(str(tmp_path), "").split("collected")[0].split("plugins:")[0]
    )


# ---------------------------------------------------------------- the suite itself
def test_the_seed_repeats_inputs(tmp_path: Path) -> None:
    write(
        tmp_path,
        "conftest.py",
        """
        from kernelkit.conformance.conftest import rng, session_seed  # noqa: F401
        """,
    )
    write(
        tmp_path,
        "test_it.py",
        """
        def test_a(rng): print("drawn", rng.integers(10**9)); assert False
        def test_b(rng): print("drawn", rng.integers(10**9)); assert False
        """,
    )

    def drawn(*args: str) -> tuple[list[str], str]:
        _, text = run_pytest(tmp_path, *args)
        return [line for line in text.splitlines() if line.startswith("drawn")], text

    first, text = drawn()
    seed = text.split("--kernelkit-seed=")[1].split()[0]
    assert len(set(first)) == 2
    assert drawn(f"--kernelkit-seed={seed}")[0] == first
    assert drawn()[0] != first


def test_a_device_with_few_capabilities_passes_the_suite(tmp_path: Path) -> None:
    """What a device cannot do is skipped, with that reason, and nothing else is."""
    write(tmp_path, "limited_device.py", LIMITED.replace("{capabilities}", SMALL))
    code, text = run_pytest(
        tmp_path, "-p", "limited_device", "--pyargs", "kernelkit.conformance",
        "--kernelkit-backend=limited", "-rs", "--tb=line",
    )  # fmt: skip
    assert code == 0, text[-5000:]
    counts = dict(part.split()[::-1] for part in text.splitlines()[-1].split(" in ")[0].split(", "))
    assert int(counts["passed"]) >= 500
    assert int(counts["skipped"]) >= 500
    reasons = [line for line in text.splitlines() if line.startswith("SKIPPED")]
    known = ("a small device does not have ", "the device takes at most 256 threads")
    assert [line for line in reasons if not any(k in line for k in known)] == []
