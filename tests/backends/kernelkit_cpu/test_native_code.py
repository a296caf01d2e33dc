"""The text of the native code, for every processor."""

from __future__ import annotations

import pytest

from kernelkit_cpu.llvm import optimise_and_compile, optimised
from kernelkit_cpu.native_code import native_text
from kernelkit_cpu.targets import PRESETS, CpuTarget, host


@pytest.mark.parametrize("name", PRESETS)
def test_it_compiles_for_every_processor(name: str) -> None:
    target = CpuTarget.parse(name)
    assert len(optimise_and_compile(native_text(target.triple.partition("-")[0]), target, 0)) > 1000


def test_threads_that_spin_pause_where_that_is_known() -> None:
    assert "call void @llvm.x86.sse2.pause()" in native_text("x86_64")
    assert native_text("aarch64") == native_text("arm64")
    assert "call void @llvm.aarch64.hint(i32 1)" in native_text("arm64")
    # Elsewhere they spin without.
    assert "define" in optimised(native_text("riscv64"), host(), 0)
