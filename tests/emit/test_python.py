"""The Python printer: names, control flow, laziness, and the spans of its lines."""

from __future__ import annotations

import ast
import textwrap

import numpy as np

from kernelkit.emit.python import print_kernel
from kernelkit.emit.python_names import Names, described
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, FLOAT32, INT32, INT64, UINT32, AddressSpace, ArrayType
from kernelkit.ir.verify import verify
from kernelkit_python.dialect import REFERENCE


def at(line, column=4, end=20):
    return Span("user.py", line, column, line, end)


def constant(value, dtype=INT64):
    return ir.Constant(at(1), dtype, value)


def read(var):
    return ir.Read(at(1), var.type, var)


def add(left, right):
    return ir.Binary(at(1), left.type, "add", left, right)


def less(left, right):
    return ir.Compare(at(1), BOOL, "lt", left, right)


def assign(target, value, line=2):
    return ir.Assign(at(line), target, value)


def printed(*body, params=(), **options):
    kernel = verify(ir.Kernel("kernel", params, body, at(1, 0), ir.Options(**options)))
    return print_kernel(kernel, REFERENCE)


def body_of(source):
    """The text below the def line, without its indentation."""
    lines = source.text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("def "))
    ast.parse(source.text)
    return textwrap.dedent("\n".join(lines[first + 1 :]))


# ---------------------------------------------------------------- names
def test_users_names_stay():
    names = Names(["clamp.1.x", "clamp_1_x", "src", ".1", "pair.0", "while", "_k_x", "größe"])
    assert [names[n] for n in ("clamp_1_x", "src", "größe")] == ["clamp_1_x", "src", "größe"]
    identifiers = list(names.descriptions())
    assert len(set(identifiers)) == 8
    assert all(i.isidentifier() and not i.startswith("_k_") for i in identifiers)
    assert names["while"] == "while_2"


def test_what_messages_call_names():
    assert described("x") == "x"
    assert described("pair.0") == "pair[0]"
    assert described("clamp.1.x") == "x of clamp"
    assert described("outer.1.inner.2.t.0") == "t[0] of inner"
    assert described(".3") == "a value"


def test_a_users_threadIdx_moves_the_register_aside():
    mine = ir.Var("threadIdx", INT64)
    source = printed(assign(mine, ir.SpecialRegister(at(2), INT64, "threadIdx", 0)))
    assert "def kernel(threadIdx_2, blockIdx, " in source.text
    assert body_of(source) == "threadIdx = threadIdx_2.x"


# ---------------------------------------------------------------- control flow
def test_elif_chains_stay_flat_and_keep_their_lines():
    n = ir.Var("n", INT64)
    stmt: ir.Body = (ir.Return(at(9)),)
    for line in (7, 5, 3):
        stmt = (ir.If(at(line), less(read(n), constant(line)), (ir.Return(at(line + 1)),), stmt),)
    source = printed(*stmt, params=(n,))
    assert body_of(source) == textwrap.dedent("""\
        if (n < 3):
            return
        elif (n < 5):
            return
        elif (n < 7):
            return
        else:
            return""")
    assert [line.span.line for line in source.lines] == [1, 3, 4, 5, 6, 7, 8, 9, 9]


def test_loops_and_scopes():
    n, i, x = ir.Var("n", INT64), ir.Var("i", INT64), ir.Var("f.1.x", FLOAT32)
    body = (
        ir.For(at(2), i, constant(0), read(n), constant(1), (ir.Continue(at(3)),)),
        ir.For(at(4), i, constant(3), constant(-1), constant(-1), ()),
        ir.Scope(at(5), "f", (assign(x, constant(0.5, FLOAT32), 6), ir.Break(at(7)))),
        ir.While(at(8), (), less(read(i), read(n)), (assign(i, add(read(i), constant(1)), 9),)),
        ir.While(
            at(10), (assign(i, constant(1), 11),), less(read(i), read(n)), (ir.Break(at(12)),)
        ),
    )
    source = printed(*body, params=(n,))
    assert body_of(source) == textwrap.dedent("""\
        for i in _k_steps_of(0, _k_steps, 0, n, 1):
            continue
        for i in _k_range(3, (-1), (-1)):
            pass
        for _k_once in (None,):
            f_1_x = _k_constant0
            break
        while ((_k_steps := _k_steps - 1) > 0 or _k_spinning(1)) and (i < n):
            i = _k_int64(i + 1)
        while ((_k_steps := _k_steps - 1) > 0 or _k_spinning(2)):
            i = 1
            if not (i < n): break
            break""")
    assert source.text.startswith("_k_constant0 = _k_float32(0.5)\n")
    assert [site.kind for site in source.sites] == ["for", "while", "while"]


def test_barriers_and_warps_are_requests():
    n, mask, value = ir.Var("n", INT32), ir.Var("mask", UINT32), ir.Var("value", BOOL)
    vote = ir.Constant(at(1), BOOL, True)
    full = constant(0xFFFFFFFF, UINT32)
    source = printed(
        ir.Barrier(at(2), "sync", None, None),
        ir.Barrier(at(3), "count", vote, n),
        ir.Warp(at(4), "sync", full, (), ()),
        ir.Warp(at(5), "match_all", full, (read(n),), (mask, value)),
        ir.Warp(at(6), "activemask", None, (), (mask,)),
        ir.Fence(at(7), "block"),
    )
    assert source.suspends
    assert body_of(source) == textwrap.dedent("""\
        yield (0,)
        n = yield (1, True)
        yield (2, 4294967295)
        mask, value = yield (3, 4294967295, n)
        mask = yield (4, None)
        pass""")
    assert [site.name for site in source.sites] == [
        "sync",
        "count",
        "sync",
        "match_all",
        "activemask",
    ]


# ---------------------------------------------------------------- memory
def test_access_names_rank_kind_and_site():
    src = ir.ArrayVar("src", ArrayType(INT32, 2))
    row = ir.ArrayVar("row", ArrayType(INT32, 1))
    zero = ir.ArrayVar("zero", ArrayType(FLOAT32, 0))
    old = ir.Var("old", INT32)
    body = (
        ir.View(at(2), row, src, (constant(1),)),
        ir.Store(at(3), row, (ir.Extent(at(3), INT64, src, 1),), constant(2, INT32)),
        ir.Atomic(at(4), "add", row, (constant(0),), (constant(7, INT32),), old),
        ir.Store(at(5), zero, (), ir.Load(at(5, 8, 14), FLOAT32, zero, ())),
    )
    source = printed(*body, params=(src, zero))
    assert body_of(source) == textwrap.dedent("""\
        row = _k_view1i(src, 0, 1)
        _k_store1i(row, 1, src.shape[1], 2)
        old = _k_atomic1i(row, 2, 0, _k_update_add_int32, 7)
        _k_store0f(zero, 3, _k_load0f(zero, 4))""")
    assert source.lines[0].text == "_k_update_add_int32 = lambda old, value: _k_int32(old + value)"
    assert (source.sites[4].kind, source.sites[4].name) == ("load", "zero")
    assert source.sites[4].span == at(5, 8, 14)
    unwrapped = printed(*body, params=(src, zero), wraparound=False)
    assert "_k_view1in(src, 0, 1)" in unwrapped.text


def test_allocations_are_numbered():
    def array(name, space):
        return ir.ArrayVar(
            name, ArrayType(FLOAT32, 1, "C", space, space is AddressSpace.CONSTANT), (2,)
        )

    table = array("table", AddressSpace.CONSTANT)
    body = (
        ir.Allocate(at(7), table, np.ones(2, np.float32)),
        ir.Allocate(at(2), array("tile", AddressSpace.SHARED), None),
        ir.Allocate(at(3), array("mine", AddressSpace.LOCAL), None),
        ir.Return(at(4)),
    )
    source = printed(*body)
    assert body_of(source) == textwrap.dedent("""\
        table = _k_arrays[0]
        tile = _k_block.shared[1]
        mine = _k_arrays[2].copy()
        return""")
    # A table from a later line must not make a debugger begin there.
    assert [line.span.line for line in source.lines] == [1, 1, 2, 3, 4]


# ---------------------------------------------------------------- expressions
def test_lazy_operands_stay_in_place():
    n = ir.Var("n", INT64)
    small, src = less(read(n), constant(4)), ir.ArrayVar("src", ArrayType(INT64, 1))
    load = less(ir.Load(at(2), INT64, src, (read(n),)), constant(0))
    both = ir.Logical(at(2), BOOL, "and", ir.Logical(at(2), BOOL, "and", small, load), small)
    value = ir.Select(at(2), INT64, both, read(n), constant(0))
    source = printed(assign(n, value), params=(n, src))
    assert body_of(source) == (
        "n = (n if ((n < 4) and (_k_load1i(src, 0, n) < 0) and (n < 4)) else 0)"
    )


def test_tall_expressions_are_cut():
    n = ir.Var("n", INT64)
    tall = read(n)
    for _ in range(200):
        tall = add(tall, constant(1))
    small = less(tall, constant(4))
    loop = ir.While(at(3), (), small, (ir.If(at(4), small, (), (ir.If(at(5), small, (), ()),)),))
    source = printed(assign(n, tall), loop, params=(n,))
    body = body_of(source)
    assert max(line.count("(") for line in body.splitlines()) < 50
    assert "elif" not in body
    names = [line.split(" = ")[0].strip() for line in body.splitlines() if line.strip()[0] == "_"]
    assert len(set(names)) == len(names) == 6 * 4


def test_reads_and_arrays_know_their_places():
    n = ir.Var("n", INT64)
    first, second = ir.Read(at(2, 4, 5), INT64, n), ir.Read(at(2, 8, 9), INT64, n)
    source = printed(assign(n, add(first, second)), params=(n,))
    assert source.reads["n"] == (first.span, second.span)


# ---------------------------------------------------------------- text
def test_prints_and_asserts():
    n = ir.Var("n", INT64)
    text = ("n=", ir.Formatted(read(n), "4d"), "\n")
    source = printed(
        ir.Print(at(2), text),
        ir.Assert(at(3), less(read(n), constant(3)), text),
        ir.Assert(at(4), less(read(n), constant(3)), ()),
        ir.Breakpoint(at(5)),
        params=(n,),
    )
    assert (
        body_of(source)
        == textwrap.dedent(r"""
        _k_print('n=', _k_text(n, '4d'), '\n')
        if not (n < 3): raise _k_failure(0, 'n=', _k_text(n, '4d'), '\n')
        if not (n < 3): raise _k_failure(1, )
        _k_breakpoint()""").strip()
    )
    assert [line.span.line for line in source.lines] == [1, 2, 3, 4, 5]


def test_an_empty_kernel_is_a_function():
    source = printed()
    assert body_of(source) == "pass"
    assert not source.suspends
