from __future__ import annotations

import subprocess
import sys

import pytest

from kernelkit.errors import BackendError
from kernelkit_cpu import targets
from kernelkit_cpu.targets import PRESETS, VARIABLE, CpuTarget, chosen, features_of, host

WIDTHS = {"sse2": 128, "avx2": 256, "avx512": 512, "neon": 128}


def test_the_host_is_this_machine() -> None:
    here = host()
    assert here.runs_here() and here.why_not_here() == ""
    assert CpuTarget.parse("native") == here == chosen()
    assert here.bits in (128, 256, 512)
    assert here.is_x86 != here.is_arm


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset: str) -> None:
    target = CpuTarget.parse(preset)
    assert target.bits == WIDTHS[preset]
    assert target.is_arm == (preset == "neon") and target.is_x86 == (preset != "neon")
    assert target.has("neon") == (preset == "neon")
    assert target.has("fma") == (preset in ("avx2", "avx512"))
    assert not target.has("avx512fp16") and not target.has("no such feature")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_have_the_features_that_llvm_gives_their_cpu(preset: str) -> None:
    name, features, triple = PRESETS[preset]
    known = features_of(name, triple)
    # LLVM lets two pass whatever the CPU has; LLVM 20 has a name for all of AVX-512 besides.
    assert known - {"cx16", "sahf", "evex512"} <= set(features.split())
    assert set(features.split()) <= known


@pytest.mark.parametrize("name", [*PRESETS, "native"])
def test_a_target_survives_as_two_strings(name: str) -> None:
    target = CpuTarget.parse(name)
    assert CpuTarget.parse(target.name, target.features) == target


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sse2")
    assert chosen() == CpuTarget.parse("sse2") == CpuTarget.parse("x86-64")
    monkeypatch.setenv(VARIABLE, "")
    assert chosen() == host()


def test_another_architecture_is_for_compiling_only() -> None:
    other = CpuTarget.parse("neon" if host().is_x86 else "avx2")
    assert not other.runs_here()
    assert "can be compiled here but not run" in other.why_not_here()
    assert VARIABLE in other.why_not_here()


def test_a_cpu_with_more_than_this_one_is_for_compiling_only() -> None:
    here = host()
    richer = CpuTarget.parse("richer", f"{here.features},+time-travel")
    assert not richer.runs_here()
    assert "has no time-travel" in richer.why_not_here()


def test_what_no_kernel_uses_is_not_asked_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual machines hide `pku` and the like, which every CPU with AVX-512 has."""
    wanted = set(CpuTarget.parse("avx512").features.split(","))
    plain = CpuTarget("guest", ",".join(sorted(wanted)), "x86_64-unknown-linux-gnu")
    monkeypatch.setattr(targets, "host", lambda: plain)
    assert CpuTarget.parse("avx512").runs_here() and CpuTarget.parse("avx2").runs_here()
    lesser = CpuTarget("guest", ",".join(sorted(wanted - {"+avx512vl"})), plain.triple)
    monkeypatch.setattr(targets, "host", lambda: lesser)
    assert CpuTarget.parse("avx2").runs_here()
    assert "(guest) has no avx512vl;" in CpuTarget.parse("avx512").why_not_here()


def test_any_cpu_of_llvm_is_taken() -> None:
    target = CpuTarget.parse("znver4")
    assert target.is_x86 and target.bits == 512
    assert target.has("avx512f") and target.has("avx512bf16") and not target.has("amx-tile")


@pytest.mark.parametrize("name", ["pentium-99", "a b", "'); print('x", "i686"])
def test_unknown_cpus_are_refused(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        BackendError, match="there is no CPU .*write native, sse2, avx2, avx512, neon"
    ):
        CpuTarget.parse(name)
    assert capfd.readouterr() == ("", "")


def test_llvm_is_loaded_only_when_asked() -> None:
    program = (
        "import sys, kernelkit_cpu.targets as t; t.CpuTarget('x', '+fma', 'y').bits\n"
        "assert not [m for m in sys.modules if m.startswith('llvmlite')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
