from __future__ import annotations

import ast
from collections.abc import Callable
from functools import reduce
from itertools import product
from typing import Any, get_args

import numpy as np
import pytest

from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.printer import format_expr, format_kernel, format_stmt
from kernelkit.ir.types import (
    BOOL,
    COMPLEX64,
    COMPLEX128,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT8,
    INT32,
    INT64,
    UINT8,
    UINT32,
    UINT64,
    AddressSpace,
    ArrayType,
    DType,
)

S = Span("/home/someone/kernels.py", 1)


def at(line: int, file: str = S.file) -> Span:
    return Span(file, line)


def const(dtype: DType, value: Any) -> ir.Constant:
    return ir.Constant(S, dtype, value)


def i64(value: int) -> ir.Constant:
    return const(INT64, value)


def read(var: ir.Var) -> ir.Read:
    return ir.Read(S, var.type, var)


def add(left: ir.Expr, right: ir.Expr) -> ir.Binary:
    return ir.Binary(S, left.type, "add", left, right)


A, B, C = (ir.Var(name, INT64) for name in "abc")
P, Q, R = (ir.Var(name, BOOL) for name in "pqr")


# ---------------------------------------------------------------- constants
@pytest.mark.parametrize(
    ("dtype", "value", "text"),
    [
        (BOOL, True, "True"),
        (INT64, -5, "-5"),
        (INT32, 1, "1i32"),
        (INT8, -128, "-128i8"),
        (UINT8, 255, "255u8"),
        (UINT64, 2**64 - 1, "18446744073709551615u64"),
        (FLOAT64, 0.1, "0.1"),
        (FLOAT64, -0.0, "-0.0"),
        (FLOAT64, 1e300, "1e+300"),
        (FLOAT64, float("inf"), 'float64("inf")'),
        (FLOAT32, float("-inf"), 'float32("-inf")'),
        (FLOAT16, float("nan"), 'float16("nan")'),
        (FLOAT32, float(np.float32(0.1)), "0.1f32"),
        (FLOAT32, float(np.float32(1) / 3), "0.33333334f32"),
        (FLOAT32, 16777217.0 - 1, "16777216.0f32"),
        (FLOAT32, float(np.finfo(np.float32).max), "3.4028235e+38f32"),
        (FLOAT32, float(np.finfo(np.float32).smallest_subnormal), "1e-45f32"),
        (FLOAT16, float(np.float16(0.1)), "0.1f16"),
        (FLOAT16, 65504.0, "65500.0f16"),
        (COMPLEX128, 1 - 2j, "complex128(1.0, -2.0)"),
        (COMPLEX64, complex(float(np.float32(0.1)), -0.0), "complex64(0.1, -0.0)"),
    ],
)
def test_constants(dtype: DType, value: Any, text: str) -> None:
    assert format_expr(const(dtype, value)) == text


@pytest.mark.parametrize("dtype", [FLOAT16, FLOAT32])
def test_the_digits_of_a_float_constant_give_its_value(dtype: DType) -> None:
    bits = np.random.default_rng(1).integers(0, 2**dtype.bits, 3000)
    for value in bits.astype(f"uint{dtype.bits}").view(dtype.numpy):
        if np.isfinite(value):
            text = format_expr(const(dtype, float(value))).removesuffix(f"f{dtype.bits}")
            assert dtype.numpy.type(text) == value


def test_settings_of_numpy_do_not_matter() -> None:
    with np.printoptions(precision=2, legacy="1.13"):
        assert format_expr(const(FLOAT32, float(np.float32(1) / 3))) == "0.33333334f32"


# ---------------------------------------------------------------- expressions
TILE = ir.ArrayVar("tile", ArrayType(INT32, 2, space=AddressSpace.SHARED), (4, 8))
CELL = ir.ArrayVar("cell", ArrayType(INT32, 0))


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (read(ir.Var(".12", INT32)), "$12"),
        (read(ir.Var("f.1.x", INT32)), "f.1.x"),
        (ir.SpecialRegister(S, INT64, "threadIdx", 0), "threadIdx.x"),
        (ir.SpecialRegister(S, INT64, "gridDim", 2), "gridDim.z"),
        (ir.SpecialRegister(S, INT64, "laneid", 0), "laneid"),
        (ir.Unary(S, INT64, "abs", read(A)), "abs(a)"),
        (ir.Unary(S, INT64, "neg", i64(5)), "-(5)"),
        (ir.Unary(S, INT64, "neg", i64(-5)), "-(-5)"),
        (ir.Unary(S, BOOL, "not", ir.Logical(S, BOOL, "and", read(P), read(Q))), "not (p and q)"),
        (ir.Unary(S, BOOL, "not", ir.Compare(S, BOOL, "lt", read(A), read(B))), "not a < b"),
        (ir.Binary(S, INT64, "min", read(A), add(read(B), read(C))), "min(a, b + c)"),
        (ir.Binary(S, INT64, "pow", i64(-2), read(A)), "(-2) ** a"),
        (ir.Binary(S, INT64, "pow", read(A), i64(-2)), "a ** (-2)"),
        (add(read(A), i64(-2)), "a + -2"),
        (ir.Cast(S, FLOAT32, add(read(A), read(B))), "float32(a + b)"),
        (ir.Cast(S, INT32, i64(1)), "int32(1)"),
        (ir.Intrinsic(S, INT64, "fma", (read(A), read(B), i64(1))), "fma(a, b, 1)"),
        (ir.Select(S, INT64, read(P), read(A), read(B)), "a if p else b"),
        (
            add(ir.Select(S, INT64, read(P), read(A), read(B)), read(C)),
            "(a if p else b) + c",
        ),
        (ir.Load(S, INT32, TILE, (read(A), i64(-1))), "tile[a, -1]"),
        (ir.Load(S, INT32, CELL, ()), "cell[()]"),
        (ir.Extent(S, INT64, TILE, 1), "tile.shape[1]"),
    ],
)
def test_expressions(expr: ir.Expr, text: str) -> None:
    assert format_expr(expr) == text


Make = Callable[..., ir.Expr]
#: What Python's own parser calls an operation -> how to build it from its operands.
OPERATIONS: dict[str, tuple[int, Make]] = {
    **{
        python: (2, lambda x, y, op=op: ir.Binary(S, INT64, op, x, y))
        for python, op in {
            "Add": "add", "Sub": "sub", "Mult": "mul", "Div": "truediv", "FloorDiv": "floordiv",
            "Mod": "mod", "Pow": "pow", "BitAnd": "and", "BitOr": "or", "BitXor": "xor",
            "LShift": "shl", "RShift": "shr",
        }.items()
    },
    **{
        python: (2, lambda x, y, op=op: ir.Compare(S, BOOL, op, x, y))
        for python, op in {
            "Lt": "lt", "LtE": "le", "Gt": "gt", "GtE": "ge", "Eq": "eq", "NotEq": "ne",
        }.items()
    },
    "And": (2, lambda x, y: ir.Logical(S, BOOL, "and", x, y)),
    "Or": (2, lambda x, y: ir.Logical(S, BOOL, "or", x, y)),
    "USub": (1, lambda x: ir.Unary(S, INT64, "neg", x)),
    "Invert": (1, lambda x: ir.Unary(S, INT64, "invert", x)),
    "Not": (1, lambda x: ir.Unary(S, BOOL, "not", x)),
    "IfExp": (3, lambda x, y, z: ir.Select(S, INT64, y, x, z)),
}  # fmt: skip


def shape_of(tree: ast.AST) -> Any:
    """Python's reading of a text as (operation, operands), with names for leaves."""
    match tree:
        case ast.BinOp():
            return type(tree.op).__name__, shape_of(tree.left), shape_of(tree.right)
        case ast.Compare(ops=[op], comparators=[right]):
            return type(op).__name__, shape_of(tree.left), shape_of(right)
        case ast.BoolOp(values=[*operands]):
            name = type(tree.op).__name__
            return reduce(lambda left, right: (name, left, right), map(shape_of, operands))
        case ast.UnaryOp():
            return type(tree.op).__name__, shape_of(tree.operand)
        case ast.IfExp():
            return "IfExp", shape_of(tree.body), shape_of(tree.test), shape_of(tree.orelse)
        case ast.Name():
            return tree.id
    raise AssertionError(ast.dump(tree))


@pytest.mark.parametrize("outer", OPERATIONS)
def test_python_reads_the_parentheses_as_meant(outer: str) -> None:
    arity, make = OPERATIONS[outer]
    for inner, place in product(OPERATIONS, range(arity)):
        names = "xyz"[:arity]
        leaves: list[ir.Expr] = [read(ir.Var(name, INT64)) for name in names]
        inner_arity, make_inner = OPERATIONS[inner]
        leaves[place] = make_inner(*(read(ir.Var(n, INT64)) for n in "abc"[:inner_arity]))
        text = format_expr(make(*leaves))
        wanted: list[Any] = list(names)
        wanted[place] = (inner, *"abc"[:inner_arity])
        assert shape_of(ast.parse(text, mode="eval").body) == (outer, *wanted), text


# ---------------------------------------------------------------- a kernel with every node
def every_node() -> ir.Kernel:
    n, a = ir.Var("n", INT32), ir.Var("alpha", FLOAT32)
    x = ir.ArrayVar("x", ArrayType(FLOAT32, 1, readonly=True))
    y = ir.ArrayVar("y", ArrayType(FLOAT32, 2, 8))
    count = ir.ArrayVar("count", ArrayType(UINT32, 0, "A"))
    tile = ir.ArrayVar("tile", ArrayType(FLOAT32, 2, space=AddressSpace.SHARED), (16, 17))
    extra = ir.ArrayVar("extra", ArrayType(INT8, 1, space=AddressSpace.SHARED), (0,))
    taps = ir.ArrayVar("taps", ArrayType(FLOAT32, 1, space=AddressSpace.CONSTANT), (3,))
    row = ir.ArrayVar("row", ArrayType(FLOAT32, 1, 8))
    i, k, j = ir.Var("i", INT64), ir.Var("k", INT64), ir.Var("j", INT64)
    v, old = ir.Var("v", FLOAT32), ir.Var(".1", UINT32)
    votes, agreed = ir.Var("votes", UINT32), ir.Var("agreed", BOOL)
    some, busy = ir.Var("some", INT32), ir.Var("busy", BOOL)
    mask = const(UINT32, 0xFFFFFFFF)
    tid = ir.SpecialRegister(S, INT64, "threadIdx", 0)

    def compare(op: str, left: ir.Expr, right: ir.Expr) -> ir.Compare:
        return ir.Compare(S, BOOL, op, left, right)

    body: tuple[ir.Stmt, ...] = (
        ir.Allocate(at(3), tile, None),
        ir.Allocate(at(4), extra, None),
        ir.Allocate(at(5), taps, np.array([0.25, 0.5, 0.1], np.float32)),
        ir.Assign(at(6), i, add(tid, i64(1))),
        ir.Assign(at(7), i, ir.Unary(S, INT64, "invert", read(i))),
        ir.If(
            at(8),
            compare("ge", read(i), ir.Extent(S, INT64, x, 0)),
            (ir.Return(at(9)),),
            (
                ir.If(
                    at(10),
                    compare("eq", read(n), const(INT32, 0)),
                    (),
                    (ir.Breakpoint(at(13)),),
                ),
            ),
        ),
        ir.View(at(14), row, y, (read(i),)),
        ir.Assign(at(15), v, ir.Load(S, FLOAT32, x, (read(i),))),
        ir.For(
            at(16), k, i64(0), ir.Cast(S, INT64, read(n)), i64(1),
            (
                ir.If(at(17), compare("gt", read(k), i64(5)), (ir.Continue(at(18)),), ()),
                ir.Store(at(19), row, (read(k),), ir.Binary(S, FLOAT32, "mul", read(a), read(v))),
            ),
        ),
        ir.Atomic(at(20), "add", count, (), (const(UINT32, 1),), None),
        ir.While(
            at(21),
            (ir.Atomic(at(21), "cas", count, (), (const(UINT32, 0), read(votes)), old),),
            compare("ne", read(old), const(UINT32, 0)),
            (ir.Fence(at(22), "device"),),
        ),
        ir.While(at(23), (), const(BOOL, True), (ir.Break(at(24)),)),
        ir.Scope(
            at(25), "smooth",
            (
                ir.Assign(at(2, "/home/someone/filters.py"), j, read(i)),
                ir.Break(at(3, "/home/someone/filters.py")),
            ),
        ),
        ir.Scope(at(26), "", ()),
        ir.Warp(at(27), "sync", mask, (), ()),
        ir.Warp(at(28), "shfl_up", mask, (read(v), const(INT32, 1)), (v,)),
        ir.Warp(at(29), "match_all", read(votes), (read(v),), (votes, agreed)),
        ir.Warp(at(30), "activemask", None, (), (votes,)),
        ir.Barrier(at(31), "sync", None, None),
        ir.Barrier(at(32), "count", ir.Logical(S, BOOL, "or", read(agreed), const(BOOL, False)), some),
        ir.Barrier(at(33), "and", read(agreed), busy),
        ir.Assign(
            at(34), v,
            ir.Select(S, FLOAT32, read(busy), ir.Intrinsic(S, FLOAT32, "sqrt", (read(v),)), read(v)),
        ),
        ir.Print(at(35), ("i is ", ir.Formatted(read(i)), ' "', ir.Formatted(read(v), ".3f"), "\n")),
        ir.Assert(at(36), read(busy), ()),
        ir.Assert(at(37), read(busy), ("bad v: ", ir.Formatted(read(v)))),
    )  # fmt: skip
    options = ir.Options(debug=True, wraparound=False)
    return ir.Kernel("every_node", (x, y, count, n, a), body, at(2), options)


EVERY_NODE = r"""
@options(debug=True, wraparound=False)
kernel every_node(x: global float32[:] readonly, y: global float32[:, :] 8, count: global uint32[] A, n: int32, alpha: float32):
    tile: shared float32[:, :] = allocate(16, 17)
    extra: shared int8[:] = allocate(dynamic)
    taps: constant float32[:] = allocate(3, data=[0.25, 0.5, 0.1])
    i: int64 = threadIdx.x + 1
    i = ~i
    if i >= x.shape[0]:
        return
    elif n == 0i32:
        pass
    else:
        breakpoint()
    row: global float32[:] 8 = view y[i]
    v: float32 = x[i]
    for k: int64 in range(0, int64(n), 1):
        if k > 5:
            continue
        row[k] = alpha * v
    atomic.add(count[()], 1u32)
    prelude:
        $1: uint32 = atomic.cas(count[()], 0u32, votes)
    while $1 != 0u32:
        fence.device()
    while True:
        break
    scope smooth:
        j: int64 = i
        break
    scope:
        pass
    warp.sync(mask=0xffffffff)
    v = warp.shfl_up(v, 1i32, mask=0xffffffff)
    votes: uint32, agreed: bool = warp.match_all(v, mask=votes)
    votes = warp.activemask()
    barrier.sync()
    some: int32 = barrier.count(agreed or False)
    busy: bool = barrier.and(agreed)
    v = sqrt(v) if busy else v
    print("i is ", {i}, " \"", {v:.3f}, "\n")
    assert busy
    assert busy, "bad v: ", {v}
"""

WITH_SPANS = """
    scope smooth:  # line 25
        j: int64 = i  # line 2 of filters.py
        break  # line 3 of filters.py
    scope:  # line 26
        pass
"""


def test_a_kernel_with_every_node() -> None:
    assert format_kernel(every_node()) == EVERY_NODE.strip("\n")


def test_that_kernel_has_every_node() -> None:
    stmts = list(ir.walk(every_node().body))
    exprs = [e for stmt in stmts for top in ir.expressions(stmt) for e in ir.walk_expr(top)]
    assert set(map(type, stmts)) == set(get_args(ir.Stmt))
    assert set(map(type, exprs)) == set(get_args(ir.Expr))


def test_the_same_structure_gives_the_same_text() -> None:
    assert format_kernel(every_node()) == format_kernel(every_node())


def test_lines_on_request() -> None:
    text = format_kernel(every_node(), spans=True)
    assert WITH_SPANS in text
    assert text.splitlines()[1].endswith("alpha: float32):  # line 2")
    assert "    elif n == 0i32:  # line 10\n        pass\n    else:\n" in text
    assert "    prelude:  # line 21\n" in text


# ---------------------------------------------------------------- statements on their own
def test_a_statement_shows_types_once() -> None:
    body = (ir.Assign(S, A, i64(1)), ir.Assign(S, A, i64(2)))
    assert format_stmt(ir.Scope(S, "f", body)) == "scope f:\n    a: int64 = 1\n    a = 2"
    assert format_stmt(body[1]) == "a: int64 = 2"


def test_two_variables_of_one_name_both_show_their_types() -> None:
    one, other = ir.Var("a", INT64), ir.Var("a", INT32)
    body = (ir.Assign(S, one, i64(1)), ir.Assign(S, other, const(INT32, 2)))
    kernel = ir.Kernel("k", (), body, S, ir.Options())
    assert format_kernel(kernel) == "kernel k():\n    a: int64 = 1\n    a: int32 = 2i32"


def constant_array(data: np.ndarray[Any, Any]) -> str:
    dtype = {"float64": FLOAT64, "uint8": UINT8, "complex64": COMPLEX64}[data.dtype.name]
    kind = ArrayType(dtype, data.ndim, space=AddressSpace.CONSTANT)
    return format_stmt(ir.Allocate(S, ir.ArrayVar("t", kind, data.shape), data))


def test_the_elements_of_constant_arrays() -> None:
    table = np.array([[1, 2], [3, 4]], np.uint8)
    assert constant_array(table) == "t: constant uint8[:, :] = allocate(2, 2, data=[1, 2, 3, 4])"
    assert "data=[1, 3, 2, 4])" in constant_array(table.T)
    assert 'data=[float64("inf"), -0.0])' in constant_array(np.array([np.inf, -0.0]))
    assert "data=[complex64(1.0, 2.0)])" in constant_array(np.array([1 + 2j], np.complex64))


def test_a_great_constant_array_is_shown_by_its_first_elements_and_a_checksum() -> None:
    data = np.arange(100.0)
    text = constant_array(data)
    assert "allocate(100, data=[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, ... 92 more, crc32" in text
    data[-1] = 0
    assert constant_array(data) != text


# ---------------------------------------------------------------- broken IR
@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (const(INT64, 1.5), "int64(1.5)"),
        (const(FLOAT64, True), "float64(True)"),
        (const(FLOAT32, 0.1), "0.1f32"),
        (const(FLOAT32, 1e300), "1e+300f32"),
        (ir.Unary(S, INT64, "frob", read(A)), "frob(a)"),
        (ir.Binary(S, INT64, "frob", read(A), read(B)), "frob(a, b)"),
        (ir.Compare(S, BOOL, "is", read(A), read(B)), "is(a, b)"),
        (ir.SpecialRegister(S, INT64, "threadIdx", 7), "threadIdx.7"),
        (ir.SpecialRegister(S, INT64, "laneid", 1), "laneid.y"),
    ],
)
def test_broken_expressions_print_too(expr: ir.Expr, text: str) -> None:
    assert format_expr(expr) == text
