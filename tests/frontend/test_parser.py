"""What the parser makes of Python: types of names, laziness, order, scopes, captures."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import atomic, laneid, local, shared, threadIdx
from kernelkit.frontend.arguments import StaticArg, TupleArg
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir.nodes import Options
from kernelkit.ir.printer import format_kernel
from kernelkit.ir.types import FLOAT32, INT32, ArrayType

RADIUS = 2
TABLE = np.arange(3, dtype=np.float32)
TABLE.setflags(write=False)
WRITABLE = np.arange(3, dtype=np.float32)
CONFIG = SimpleNamespace(tile=16)


class Point(NamedTuple):
    x: float
    y: float = 2.0


# ---------------------------------------------------------------- types of names
def test_a_name_takes_the_type_of_all_its_assignments(ir):
    def kernel(a, out):
        total = 0.0
        for i in range(len(a)):
            total += a[i]
        out[0] = total

    assert ir(kernel, "float32[:]", "float32[:]")[0] == "total: float32 = 0.0f32"


def test_weak_integers_take_the_type_they_meet(ir):
    def kernel(a, out):
        v = 0
        v = a[0]
        out[0] = v

    assert ir(kernel, "int32[:]", "int64[:]") == [
        "v: int32 = 0i32", "v = a[0]", "out[0] = int64(v)"]  # fmt: skip


def test_a_parameter_that_widens_is_copied(ir):
    def kernel(n, out):
        n = n * 1.5
        out[0] = n

    assert ir(kernel, np.int32, "float64[:]")[0] == "n: float64 = float64(n.arg)"


def test_python_floats_are_weak_and_python_ints_are_not(ir):
    def kernel(scale, n, out):
        out[0] = out[1] * scale
        out[1] = out[2] + n

    assert ir(kernel, float, int, "float32[:]") == [
        "out[0] = out[1] * float32(scale)", "out[1] = out[2] + float32(n)"]  # fmt: skip


def test_an_annotation_with_a_dtype_declares(ir):
    def kernel(out):
        a: np.float32 = 0
        b: int = 0
        a = 3.75
        b = out[0]
        out[0] = a + b

    lines = ir(kernel, "float64[:]")
    assert lines[0] == "a: float32 = 0.0f32"
    assert lines[1] == "b: float64 = 0.0"


def test_names_that_do_not_join_name_both_lines(refused):
    def kernel(a, b):
        v = a[0]
        v = b[0]
        a[0] = v

    (found,) = refused(kernel, "uint64[:]", "int64[:]").diagnostics
    first = kernel.__code__.co_firstlineno
    assert found.span.line == first + 2
    assert found.notes[0][0].line == first + 1


def test_literals_fit_or_are_refused(refused):
    def kernel(a):
        a[0] = a[0] + 300
        a[1] = -1

    messages = [d.message for d in refused(kernel, "uint8[:]").diagnostics]
    assert len(messages) == 2
    assert all("does not fit uint8" in m for m in messages)


def test_a_name_never_assigned(refused):
    def kernel(a):
        if a[0] > 0:
            a[1] = missing  # noqa: F821
        while a[0] > 0:
            a[2] = late  # noqa: F821
            continue
            late = 1

    messages = [d.message for d in refused(kernel, "int32[:]").diagnostics]
    assert any("missing is not defined" in m for m in messages)


def test_a_name_may_be_assigned_later_in_the_loop(ir):
    def kernel(a):
        for i in range(3):
            if i > 0:
                a[i] = last  # noqa: F821
            last = a[i] * 2

    assert "    last: float32 = a[i] * 2.0f32" in ir(kernel, "float32[:]")


# ---------------------------------------------------------------- laziness and order
@kk.device
def bump(a):
    return atomic.add(a, 0, 1)


def test_an_effect_in_a_lazy_operand_becomes_an_if(ir):
    def kernel(a):
        if a[1] > 0 and bump(a) > 3:
            a[2] = 1

    assert ir(kernel, "int32[:]") == [
        "$2: bool = a[1] > 0i32",
        "if $2:",
        "    $1: int32 = atomic.add(a[0], 1i32)",
        "    $2 = $1 > 3i32",
        "if $2:",
        "    a[2] = 1i32",
    ]


def test_pure_lazy_operands_stay_expressions(ir):
    def kernel(a, n):
        i = kk.grid(1)
        if i < n and a[i] > 0:
            a[i] = a[i] if a[i] < 5 else 5

    assert "if i < n and a[i] > 0i32:" in ir(kernel, "int32[:]", int)


def test_what_comes_later_cannot_change_what_came_first(ir):
    def kernel(a):
        a[1] = a[0] + bump(a) + a[0]

    assert ir(kernel, "int32[:]") == [
        "$2: int32 = a[0]",
        "$1: int32 = atomic.add(a[0], 1i32)",
        "a[1] = $2 + $1 + a[0]",
    ]


def test_swaps(ir):
    def kernel(a):
        a[0], a[1] = a[1], a[0]

    assert ir(kernel, "int32[:]") == [
        "$1: int32 = a[1]", "$2: int32 = a[0]", "a[0] = $1", "a[1] = $2"]  # fmt: skip


def test_and_of_numbers_gives_the_operand_that_decides(ir):
    def kernel(a, n):
        a[0] = n and a[1]
        a[2] = n or a[3]

    assert ir(kernel, "int64[:]", int) == [
        "a[0] = a[1] if n != 0 else n", "a[2] = n if n != 0 else a[3]"]  # fmt: skip


def test_a_while_test_with_an_effect_is_a_prelude(ir):
    def kernel(a):
        while bump(a) < 3:
            a[1] = 1

    assert ir(kernel, "int32[:]") == [
        "prelude:",
        "    $1: int32 = atomic.add(a[0], 1i32)",
        "while $1 < 3i32:",
        "    a[1] = 1i32",
    ]


# ---------------------------------------------------------------- functions
def sign(x):
    if x > 0:
        return 1
    if x < 0:
        return -1
    return 0


def first_even(a):
    for i in range(len(a)):
        if a[i] % 2 == 0:
            return i
    return -1


def clamp(v, lo, hi):
    return min(max(v, lo), hi)


def test_one_return_at_the_end_needs_no_scope(ir):
    def kernel(a):
        a[0] = clamp(a[1], 0, 9)

    lines = ir(kernel, "int32[:]")
    assert not any(line.startswith("scope") for line in lines)
    assert lines[-1] == "a[0] = min(max(clamp.1.v, 0i32), 9i32)"


def test_early_returns_leave_a_scope(ir):
    def kernel(a):
        a[0] = sign(a[1])

    lines = ir(kernel, "int32[:]")
    assert "scope sign:" in lines
    assert sum(line.strip() == "break" for line in lines) == 3


def test_a_return_from_a_loop_sets_a_flag(ir):
    def kernel(a):
        a[0] = first_even(a)

    lines = [line.strip() for line in ir(kernel, "int32[:]")]
    assert any(line.endswith("= True") for line in lines)
    assert lines.count("break") == 3


def test_functions_are_inlined_under_names_of_their_own(ir):
    def kernel(a):
        v = clamp(a[0], 0, 1) + clamp(a[1], 0, 1)
        a[0] = v

    text = "\n".join(ir(kernel, "float32[:]"))
    assert "clamp.1.v" in text
    assert "clamp.2.v" in text


# ---------------------------------------------------------------- compile-time values
def parsed(function, **arguments):
    return parse(read_source(function), arguments, Options())


def test_constants_choose_branches():
    def kernel(a, mode, radius):
        if mode == "double":
            a[0] = a[0] * 2
        elif radius is None:
            a[0] = unknown_name  # noqa: F821
        for k in range(radius):
            a[k] = 0

    args = {"a": ArrayType(FLOAT32, 1), "mode": StaticArg("double"), "radius": StaticArg(3)}
    text = format_kernel(parsed(kernel, **args).kernel)
    assert "unknown_name" not in text
    assert "range(0, 3, 1)" in text


def test_named_tuples_are_structure():
    def kernel(a, p):
        q = Point(p.x)
        a[0] = p.x + q.y

    args = {"a": ArrayType(FLOAT32, 1), "p": TupleArg((StaticArg(1.0), StaticArg(3.0)), Point)}
    lines = format_kernel(parsed(kernel, **args).kernel).splitlines()
    assert lines[-1].strip() == "a[0] = 3.0f32"


def test_captures_tell_when_a_global_changed():
    def kernel(a):
        a[0] = RADIUS * CONFIG.tile + math.pi

    captures = parsed(kernel, a=ArrayType(FLOAT32, 1)).captures
    assert {c.name for c in captures} == {"RADIUS", "CONFIG", "CONFIG.tile"}
    assert all(c.unchanged() for c in captures)
    CONFIG.tile = 17
    try:
        assert [c.name for c in captures if not c.unchanged()] == ["CONFIG.tile"]
    finally:
        CONFIG.tile = 16
    assert all(c.unchanged() for c in captures)


def test_globals_of_equal_value_but_another_type_are_a_change():
    factor = 1

    def kernel(a):
        a[0] = a[0] * factor

    (capture,) = parsed(kernel, a=ArrayType(INT32, 1)).captures
    factor = 1.0
    assert not capture.unchanged()
    factor = True
    assert not capture.unchanged()


def test_global_arrays_must_be_read_only(ir, refused):
    def good(a):
        a[0] = TABLE[1] + kk.const.array_like(WRITABLE)[2]

    def bad(a):
        a[0] = WRITABLE[1]

    assert "TABLE: constant float32[:] readonly = allocate(3, data=[0.0, 1.0, 2.0])" in ir(
        good, "float32[:]"
    )
    assert "setflags(write=False)" in str(refused(bad, "float32[:]"))


def test_const_array_like_watches_the_elements():
    def kernel(a):
        a[0] = kk.const.array_like(WRITABLE)[0]

    captures = parsed(kernel, a=ArrayType(FLOAT32, 1)).captures
    assert all(c.unchanged() for c in captures)
    WRITABLE[0] += 1
    assert not all(c.unchanged() for c in captures)


# ---------------------------------------------------------------- arrays
def test_subscripts_of_subscripts_are_one_element(ir):
    def kernel(a, t):
        p = (1, 2)
        a[0][1] = a[p] + t

    assert ir(kernel, "int64[:,:]", int)[-1] == "a[0, 1] = a[1, 2] + t"


def test_views_and_their_names(ir):
    def kernel(a):
        row = a[1]
        row[0] = row[2]

    assert ir(kernel, "float32[:,:]") == [
        "row: global float32[:] = view a[1]", "row[0] = row[2]"]  # fmt: skip


@pytest.mark.parametrize("where", ["branch", "loop"])
def test_an_array_name_stands_for_one_array(refused, where):
    def branch(a, b):
        if a[0] > 0:
            p = a
        else:
            p = b
        p[0] = 1

    def loop(a, b):
        p = a
        for _ in range(3):
            p[0] = 1
            p = b

    error = refused({"branch": branch, "loop": loop}[where], "int32[:]", "int32[:]")
    assert "p stands for" in str(error)


def test_arrays_carry_the_names_they_are_given(ir):
    def kernel(out):
        tile = shared.array((4, 8), np.float32)
        own = local.array(shape=3, dtype=out.dtype)
        own[0] = tile[threadIdx.x, laneid]
        out[0] = own[0]

    assert ir(kernel, "int32[:]")[:2] == [
        "tile: shared float32[:, :] = allocate(4, 8)", "own: local int32[:] = allocate(3)"]  # fmt: skip


# ---------------------------------------------------------------- reports
def test_all_findings_come_in_one_report_in_order(refused):
    def kernel(a):
        with a:
            pass
        a[0] = undefined_name  # noqa: F821
        x = [1, 2]
        y = x
        a[0, 1] = y

    found = refused(kernel, "int32[:]").diagnostics
    assert [d.span.line - kernel.__code__.co_firstlineno for d in found] == [1, 3, 4, 6]


def test_a_report_inside_a_device_function_names_the_call(refused):
    def broken(x):
        return x.nothing

    def kernel(a):
        a[0] = broken(a[1])

    (found,) = refused(kernel, "int32[:]").diagnostics
    assert found.span.line == broken.__code__.co_firstlineno + 1
    assert found.notes[-1][0].line == kernel.__code__.co_firstlineno + 1


def test_complex_does_not_become_real(refused):
    def kernel(a, n):
        a[0] = n

    (found,) = refused(kernel, "float32[:]", np.complex64).diagnostics
    assert ".real" in found.message


# ---------------------------------------------------------------- large constants, shifts
def mixed(h, k=0x9E3779B97F4A7C15):
    return (h ^ k) * k


def test_constants_beyond_int64_take_the_uint64_they_meet(ir):
    def kernel(a, seed):
        golden = 0x9E3779B97F4A7C15
        a[0] = mixed(a[1]) + golden
        a[1] = seed

    lines = ir(kernel, "uint64[:]", 0xCBF29CE484222325)
    assert lines[-2:] == [
        "a[0] = (mixed.1.h ^ 11400714819323198485u64) * 11400714819323198485u64"
        " + 11400714819323198485u64",
        "a[1] = 14695981039346656037u64",
    ]


def test_a_shift_count_may_have_any_integer_type(ir):
    def kernel(a, b, n):
        a[0] = a[1] << n
        b[0] = b[1] >> a[2]

    assert ir(kernel, "uint64[:]", "int64[:]", int) == [
        "a[0] = a[1] << uint64(n)", "b[0] = b[1] >> int64(min(a[2], 64u64))"]  # fmt: skip


# ---------------------------------------------------------------- counters
def test_a_counter_is_int64_whatever_stands_beside_it(ir):
    def root(a, out):
        r = 0
        while r * r < a[0]:
            r += 1
        out[0] = r

    assert "while r * r < int64(a[0]):" in ir(root, "uint8[:]", "int64[:]")


def test_a_name_that_meets_a_type_takes_it(ir):
    def kernel(a, out):
        h = 0
        for i in range(len(a)):
            h = h ^ a[i]
        out[0] = h

    assert ir(kernel, "uint64[:]", "uint64[:]")[0] == "h: uint64 = 0u64"


def test_a_choice_of_literals_is_int64(ir):
    def kernel(a, out):
        out[0] = a[0] + (300 if a[1] > 0 else 1)
        out[1] = a[0] * (0.5 if a[1] > 0 else 1.5)

    lines = ir(kernel, "uint8[:]", "int64[:]")
    assert lines[0] == "out[0] = int64(a[0]) + (300 if a[1] > 0u8 else 1)"


def test_what_compile_time_objects_raise_is_reported(refused):
    class Odd:
        @property
        def value(self):
            raise RuntimeError("boo")

        def __eq__(self, other):
            raise RuntimeError("boo")

    odd = Odd()

    def read(a):
        a[0] = odd.value

    def compared(a):
        a[0] = 1 if odd == 3 else 2

    assert "raised RuntimeError" in str(refused(read, "float32[:]"))
    assert "compare numbers" in str(refused(compared, "float32[:]"))


def conjugate(x):
    return x + 1


def test_a_function_named_conjugate_is_called(ir):
    module = SimpleNamespace(conjugate=conjugate)

    def kernel(a):
        a[0] = module.conjugate(a[1])

    assert ir(kernel, "float32[:]")[-1] == "a[0] = conjugate.1.x + 1.0f32"
