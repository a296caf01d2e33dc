from __future__ import annotations

import ctypes
import math
import random
import re
import struct
import subprocess
import sys
import threading
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest

from kernelkit.errors import InternalError
from kernelkit_cpu.llvm import (
    assembly,
    function_attributes,
    load_object,
    optimise_and_compile,
    optimised,
    versions,
)
from kernelkit_cpu.targets import PRESETS, CpuTarget, host

LEVELS = (0, 1, 2, 3)

ADD = """
define i64 @add(i64 %a, i64 %b) nounwind {
  %c = add i64 %a, %b
  ret i64 %c
}
"""


def scaled(lanes: int, target: CpuTarget) -> str:
    """y[i] += a * x[i], through a variable, a vector at a time."""
    vector = f"<{lanes} x float>"
    return f"""
declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})
define void @scaled(ptr noalias %x, ptr noalias %y, float %a, i64 %n) {function_attributes(target)} {{
entry:
  %i = alloca i64, align 64
  store i64 0, ptr %i
  %first = insertelement {vector} poison, float %a, i64 0
  %all = shufflevector {vector} %first, {vector} poison, <{lanes} x i32> zeroinitializer
  br label %test
test:
  %at = load i64, ptr %i
  %more = icmp slt i64 %at, %n
  br i1 %more, label %body, label %out
body:
  %px = getelementptr float, ptr %x, i64 %at
  %py = getelementptr float, ptr %y, i64 %at
  %vx = load {vector}, ptr %px, align 4
  %vy = load {vector}, ptr %py, align 4
  %r = call {vector} @llvm.fma.v{lanes}f32({vector} %all, {vector} %vx, {vector} %vy)
  store {vector} %r, ptr %py, align 4
  %next = add nsw i64 %at, {lanes}
  store i64 %next, ptr %i
  br label %test
out:
  ret void
}}
"""


def function(address: int, result: object, *arguments: object) -> object:
    return ctypes.CFUNCTYPE(result, *arguments)(address)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("preset", ["native", "sse2", "avx2", "avx512"])
def test_compiled_code_runs(preset: str, level: int) -> None:
    target = CpuTarget.parse(preset)
    if not target.runs_here():
        assert optimise_and_compile(scaled(4, target), target, level)[:4] == b"\x7fELF"
        return
    lanes = target.bits // 32
    loaded = load_object(optimise_and_compile(scaled(lanes, target), target, level))
    rng = np.random.default_rng()
    x, y = rng.random((2, 5 * lanes), dtype=np.float32)
    expected = (y.astype(np.float64) + 1.5 * x.astype(np.float64)).astype(np.float32)
    run = function(
        loaded.address("scaled"), None, *[ctypes.c_void_p] * 2, ctypes.c_float, ctypes.c_int64
    )
    run(x.ctypes.data, y.ctypes.data, 1.5, x.size)
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("preset", "register"), [("sse2", "xmm"), ("avx2", "ymm"), ("avx512", "zmm")]
)
def test_vectors_fill_the_registers_of_x86(preset: str, register: str) -> None:
    target = CpuTarget.parse(preset)
    text = assembly(scaled(16, target), target)
    assert f"%{register}0" in text
    if preset != "sse2":
        assert text.count("vfmadd") == 16 * 32 // target.bits


def test_code_for_arm_uses_neon() -> None:
    target = CpuTarget.parse("neon")
    assert re.search(r"fmla\s+v\d+\.4s", assembly(scaled(4, target), target))
    data = optimise_and_compile(scaled(4, target), target)
    assert struct.unpack_from("<H", data, 18) == (183,)


@pytest.mark.parametrize("level", LEVELS)
def test_variables_in_memory_become_registers(level: int) -> None:
    text = optimised(scaled(4, host()), host(), level)
    assert "alloca" not in text and "phi" in text


@pytest.mark.parametrize("level", LEVELS)
def test_marked_functions_are_inlined_and_unused_ones_go(level: int) -> None:
    text = """
    define internal i64 @twice(i64 %a) alwaysinline {
      %b = shl i64 %a, 1
      ret i64 %b
    }
    define internal i64 @unused(i64 %a) { ret i64 %a }
    define i64 @f(i64 %a) {
      %b = call i64 @twice(i64 %a)
      ret i64 %b
    }"""
    assert optimised(text, host(), level).count("define") == 1
    assert "call" not in optimised(text, host(), level)


def test_the_same_text_gives_the_same_bytes() -> None:
    first = optimise_and_compile(ADD, host())
    load_object(first)
    assert optimise_and_compile(ADD, host()) == first


# ---------------------------------------------------------------- refusals
def test_unreadable_text_is_shown_around_the_place() -> None:
    with pytest.raises(InternalError) as caught:
        optimise_and_compile(ADD.replace("%a, %b\n", "%a, %nowhere\n"), host())
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "LLVM refuses the code of a kernel: line 3: use of undefined value '%nowhere'"
    )
    assert lines[3].endswith("%c = add i64 %a, %nowhere")
    assert lines[-1].index("^") == lines[-2].index("%nowhere")


def test_text_that_makes_no_sense_is_refused_with_the_instruction() -> None:
    text = """
    define i64 @f(i1 %c) {
      br i1 %c, label %yes, label %no
    yes:
      %a = add i64 1, 2
      br label %no
    no:
      %b = add i64 %a, 1
      ret i64 %b
    }"""
    with pytest.raises(InternalError, match="does not dominate all uses(.|\n)*%a = add i64 1, 2"):
        optimised(text, host())


def test_text_of_another_kind_is_refused() -> None:
    with pytest.raises(InternalError, match="line 1: expected top-level entity"):
        assembly("__global__ void f() {}", host())


def test_code_that_calls_what_nobody_has_is_refused() -> None:
    text = "declare void @no_such_function()\ndefine void @f() {\n  call void @no_such_function()\n  ret void\n}"
    with pytest.raises(InternalError, match="no library here has no_such_function"):
        load_object(optimise_and_compile(text, host()))


def test_functions_that_are_not_there_are_refused() -> None:
    text = "define internal i64 @hidden(i64 %a) noinline {\n  ret i64 %a\n}\n" + ADD
    loaded = load_object(optimise_and_compile(text, host()))
    for name in ("subtract", "hidden", "<string>", ""):
        with pytest.raises(InternalError, match="has no function"):
            loaded.address(name)


def test_cut_and_foreign_objects_are_refused() -> None:
    data = optimise_and_compile(ADD, host())
    other = CpuTarget.parse("neon" if host().is_x86 else "avx2")
    foreign = optimise_and_compile(ADD, other)
    cuts = [data[:n] for n in (0, 3, 10, 63, 64, len(data) // 2, len(data) - 1)]
    for wrong in (*cuts, foreign, b"\0" * 4096, b"MZ" + bytes(4000)):
        with pytest.raises(InternalError, match="no object code for this machine"):
            load_object(wrong)


# ---------------------------------------------------------------- libraries, places, lives
MATHS = ("erff", "lgamma", "fmodf", "cbrt", "atan2")


def mathematics() -> str:
    text = ""
    for name in MATHS:
        kind = "float" if name.endswith("f") else "double"
        count = 2 if name in ("fmodf", "atan2") else 1
        kinds = ", ".join([kind] * count)
        given = ", ".join(f"{kind} %{i}" for i in range(count))
        text += f"declare {kind} @{name}({kinds})\n"
        text += f"define {kind} @call_{name}({given}) {{\n"
        text += f"  %r = call {kind} @{name}({given})\n  ret {kind} %r\n}}\n"
    return text


def test_the_c_library_is_found() -> None:
    loaded = load_object(optimise_and_compile(mathematics(), host()))
    one = function(loaded.address("call_erff"), ctypes.c_float, ctypes.c_float)
    assert one(0.5) == pytest.approx(math.erf(0.5), rel=1e-6)
    two = function(loaded.address("call_atan2"), ctypes.c_double, *[ctypes.c_double] * 2)
    assert two(1.0, -2.0) == math.atan2(1.0, -2.0)


def test_code_may_lie_anywhere() -> None:
    """No call and no constant is reached by a distance of 32 bits, to which libraries need not keep."""
    target = CpuTarget.parse("avx2")
    text = mathematics() + scaled(8, target).replace("%all, <8", "splat (float 2.5), <8")
    data = optimise_and_compile(text, target)
    kinds = set()
    for section in llvm.ObjectFileRef.from_data(data).sections():
        name = section.name() or b""
        if name.startswith(b".rela") and b"eh_frame" not in name:
            kinds |= {
                info & 0xFFFFFFFF for _, info, _ in struct.iter_unpack("<QQq", section.data())
            }
    assert kinds == {1}  # R_X86_64_64


def code_bytes() -> int:
    """How much memory of this process is code that came from no file."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ranges = [line[0].split("-") for line in lines if "x" in line[1] and line[4] == "0"]
    return sum(int(end, 16) - int(start, 16) for start, end in ranges)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_code_goes_when_nobody_holds_it() -> None:
    data = optimise_and_compile(ADD, host())
    before = code_bytes()
    held = [load_object(data) for _ in range(50)]
    assert len({each.address("add") for each in held}) == 50
    assert code_bytes() >= before + 50 * 4096
    del held
    assert code_bytes() <= before + 4 * 4096


def test_many_threads_compile_and_run_at_once() -> None:
    wrong: list[object] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(6):
                k = rng.randrange(1 << 40)
                text = ADD.replace("ret i64 %c", f"%d = xor i64 %c, {k}\n  ret i64 %d")
                loaded = load_object(optimise_and_compile(text, host()))
                run = function(loaded.address("add"), *[ctypes.c_int64] * 3)
                a, b = rng.randrange(1 << 40), rng.randrange(1 << 40)
                if run(a, b) != (a + b) ^ k:
                    wrong.append((a, b, k))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


FORKING = """
import os, threading, warnings
warnings.simplefilter("ignore")
from kernelkit_cpu.llvm import load_object, optimise_and_compile
from kernelkit_cpu.targets import host

text = "define i64 @f(i64 %a) { ret i64 %a }"
done = False

def busy():
    while not done:
        load_object(optimise_and_compile(text, host())).address("f")

threads = [threading.Thread(target=busy) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0 if load_object(optimise_and_compile(text, host())).address("f") else 1)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
done = True
for thread in threads:
    thread.join()
"""


def test_a_forked_child_compiles_while_the_parent_does() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


def test_versions_say_whose_code_it_is() -> None:
    import llvmlite

    assert llvmlite.__version__ in versions() and "LLVM " in versions()


def test_every_preset_compiles_every_level() -> None:
    for preset in PRESETS:
        target = CpuTarget.parse(preset)
        sizes = [len(optimise_and_compile(scaled(16, target), target, level)) for level in LEVELS]
        assert all(size > 400 for size in sizes)
