from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from kernelkit.errors import NOWHERE, InternalError, Span
from kernelkit.ir import nodes as ir
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
from kernelkit.ir.verify import verify

S = Span("kernels.py", 7, 4)
SHARED, LOCAL, CONSTANT = AddressSpace.SHARED, AddressSpace.LOCAL, AddressSpace.CONSTANT

# Parameters of every kernel here, and variables that any of them may assign.
N, ALPHA = ir.Var("n", INT64), ir.Var("alpha", FLOAT32)
FLAG, Z, WORD = ir.Var("flag", BOOL), ir.Var("z", COMPLEX64), ir.Var("word", UINT32)
X = ir.ArrayVar("x", ArrayType(FLOAT32, 1))
Y = ir.ArrayVar("y", ArrayType(FLOAT32, 2, 8))
SEALED = ir.ArrayVar("sealed", ArrayType(FLOAT32, 1, readonly=True))
COUNT = ir.ArrayVar("count", ArrayType(UINT32, 1, "A"))
HALVES = ir.ArrayVar("halves", ArrayType(FLOAT16, 1))
PARAMS = (N, ALPHA, FLAG, Z, WORD, X, Y, SEALED, COUNT, HALVES)
I, F, B, U = (ir.Var(n, t) for n, t in zip("ifbu", (INT64, FLOAT32, BOOL, UINT32), strict=True))
SMALL = ir.Var("small", INT32)
TILE = ir.ArrayVar("tile", ArrayType(FLOAT32, 2, space=SHARED), (4, 8))
TAPS = ir.ArrayVar("taps", ArrayType(FLOAT32, 1, space=CONSTANT), (3,))
OWN = ir.ArrayVar("own", ArrayType(INT32, 1, space=LOCAL), (5,))
ROW = ir.ArrayVar("row", ArrayType(FLOAT32, 1, 8))


def kernel(*body: Any, params: Any = PARAMS, span: Any = S) -> ir.Kernel:
    return ir.Kernel("k", params, body, span, ir.Options())


def const(dtype: DType, value: Any) -> ir.Constant:
    return ir.Constant(S, dtype, value)


def read(var: ir.Var) -> ir.Read:
    return ir.Read(S, var.type, var)


def let(value: Any, target: Any = None) -> ir.Assign:
    """An assignment that is right if the value is."""
    return ir.Assign(S, target or ir.Var("t", value.type), value)


def load(array: ir.ArrayVar, *indices: Any) -> ir.Load:
    return ir.Load(S, array.type.dtype, array, indices)


def store(array: Any, *indices: Any, value: Any) -> ir.Store:
    return ir.Store(S, array, indices, value)


def binary(op: str, left: Any, right: Any, dtype: DType | None = None) -> ir.Binary:
    return ir.Binary(S, dtype or left.type, op, left, right)


def compare(op: str, left: Any, right: Any) -> ir.Compare:
    return ir.Compare(S, BOOL, op, left, right)


def call(function: str, dtype: DType, *args: Any) -> ir.Intrinsic:
    return ir.Intrinsic(S, dtype, function, args)


def cast(dtype: DType, operand: ir.Expr) -> ir.Cast:
    return ir.Cast(S, dtype, operand)


def register(name: str, axis: int, dtype: DType = INT64) -> ir.SpecialRegister:
    return ir.SpecialRegister(S, dtype, name, axis)


def atomic(
    op: str, array: ir.ArrayVar, *operands: Any, indices: Any = None, result: Any = None
) -> ir.Atomic:
    return ir.Atomic(S, op, array, (ZERO,) if indices is None else indices, operands, result)


def warp(op: str, *operands: Any, mask: Any = "all", results: tuple[Any, ...] = ()) -> ir.Warp:
    return ir.Warp(S, op, ALL if mask == "all" else mask, operands, results)


def barrier(op: str, predicate: Any = None, result: Any = None) -> ir.Barrier:
    return ir.Barrier(S, op, predicate, result)


def allocate(array: Any, data: Any = None) -> ir.Allocate:
    return ir.Allocate(S, array, data)


def view(target: Any, base: ir.ArrayVar, *indices: Any) -> ir.View:
    return ir.View(S, target, base, indices)


def loop(*body: Any, target: Any = I, start: Any = None, step: Any = None) -> ir.For:
    return ir.For(S, target, start or ZERO, read(N), step or ONE, body)


def branch(*then: Any, condition: Any = None, orelse: tuple[Any, ...] = ()) -> ir.If:
    return ir.If(S, condition or read(FLAG), then, orelse)


def spin(*body: Any, prelude: tuple[Any, ...] = (), condition: Any = None) -> ir.While:
    return ir.While(S, prelude, condition or read(FLAG), body)


def scope(*body: Any) -> ir.Scope:
    return ir.Scope(S, "f", body)


def array(
    name: str, dtype: DType, shape: Any, space: AddressSpace = SHARED, **rest: Any
) -> ir.ArrayVar:
    return ir.ArrayVar(name, ArrayType(dtype, len(shape), space=space, **rest), shape)


def log(*text: Any) -> ir.Print:
    return ir.Print(S, text)


def leave() -> ir.Break:
    return ir.Break(S)


def go_on() -> ir.Continue:
    return ir.Continue(S)


def end() -> ir.Return:
    return ir.Return(S)


ZERO, ONE, HALF = const(INT64, 0), const(INT64, 1), const(FLOAT32, 0.5)
ALL = const(UINT32, 0xFFFFFFFF)
WEIGHTS = np.array([1, 2, 1], np.float32)


# ---------------------------------------------------------------- what holds
def every_node() -> ir.Kernel:
    return kernel(
        allocate(TILE),
        allocate(TAPS, WEIGHTS),
        allocate(OWN),
        let(register("threadIdx", 2), I),
        branch(end(), condition=compare("ge", read(I), ir.Extent(S, INT64, X, 0))),
        let(ir.Unary(S, FLOAT32, "neg", load(X, read(I))), F),
        let(ir.Logical(S, BOOL, "and", read(FLAG), compare("lt", read(I), read(N))), B),
        let(ir.Select(S, FLOAT32, read(B), binary("mul", read(F), HALF), read(ALPHA)), F),
        let(call("sqrt", FLOAT32, cast(FLOAT32, read(I))), F),
        view(ROW, Y, read(I)),
        store(ROW, cast(INT32, read(I)), value=load(TAPS, ONE)),
        store(TILE, ZERO, const(UINT8, 3), value=load(ROW, ZERO)),
        store(OWN, ZERO, value=const(INT32, -1)),
        loop(branch(go_on()), loop(leave(), target=ir.Var("j", INT64))),
        spin(prelude=(atomic("cas", COUNT, read(WORD), ALL, result=U),)),
        scope(branch(leave())),
        atomic("nanmax", TILE, HALF, indices=(ZERO, ONE), result=F),
        warp("shfl_xor", read(F), const(INT32, 1), results=(F,)),
        warp("match_all", read(F), results=(U, B)),
        warp("activemask", mask=None, results=(U,)),
        warp("sync"),
        barrier("sync"),
        barrier("count", read(B), SMALL),
        barrier("or", read(B)),
        ir.Fence(S, "system"),
        log("i = ", ir.Formatted(read(I), "4d"), " ", ir.Formatted(read(F), "8.3f"), "\n"),
        ir.Assert(S, read(B), ("no ", ir.Formatted(read(F)))),
        ir.Breakpoint(S),
    )


def test_a_valid_kernel_comes_back_as_it_is() -> None:
    whole = every_node()
    assert verify(whole) is whole


def test_that_kernel_has_every_node() -> None:
    stmts = list(ir.walk(every_node().body))
    exprs = [e for stmt in stmts for top in ir.expressions(stmt) for e in ir.walk_expr(top)]
    assert set(map(type, stmts)) == set(get_args(ir.Stmt))
    assert set(map(type, exprs)) == set(get_args(ir.Expr))


DYNAMIC = array("dynamic", INT8, (0,))
SEALED_ROW = ir.ArrayVar("sealed_row", ArrayType(FLOAT32, 1, readonly=True))
TILE_ROW = array("tile_row", FLOAT32, (8,))
TILE_AGAIN = array("tile_again", FLOAT32, (8,))

VALID: dict[str, tuple[Any, ...]] = {
    "nothing": (),
    "statements that never run": (end(), let(ONE, I), loop(leave(), let(ONE, I))),
    "empty bodies": (branch(), loop(), spin(), scope()),
    "a name that may be unassigned": (branch(let(ONE, I)), let(read(I), N)),
    "a name read before it is assigned, in a loop": (spin(let(read(I), N), let(ONE, I)),),
    "a parameter that is assigned": (let(ZERO, N),),
    "special values of floats": (
        let(const(FLOAT32, float("nan")), F),
        let(const(FLOAT32, float("-inf")), F),
        let(const(FLOAT32, -0.0), F),
        let(const(COMPLEX64, complex(float("nan"), 0.5)), Z),
    ),
    "the ends of integer types": (
        let(const(INT64, -(2**63)), I),
        let(const(UINT32, 2**32 - 1), U),
    ),
    "complex to bool": (let(cast(BOOL, read(Z)), B),),
    "one expression in two places": (let(binary("add", ONE, ONE), I),),
    "dynamic shared memory": (allocate(DYNAMIC), store(DYNAMIC, ZERO, value=const(INT8, 1))),
    "a view of a view, and of all axes": (
        allocate(TILE),
        view(TILE_ROW, TILE, ONE),
        view(TILE_AGAIN, TILE_ROW),
        store(TILE_AGAIN, ZERO, value=HALF),
    ),
    "a view of read-only memory": (view(SEALED_ROW, SEALED), let(load(SEALED_ROW, ZERO), F)),
    "a prelude declares for condition and body": (
        spin(
            store(ROW, ONE, value=HALF),
            prelude=(view(ROW, Y, ZERO),),
            condition=compare("lt", load(ROW, ZERO), HALF),
        ),
    ),
    "a break in a prelude": (spin(prelude=(branch(leave()),)),),
    "a break of a loop in a scope in a loop": (loop(scope(loop(go_on(), leave()), leave()), leave()),),
    "an unused result": (warp("ballot", read(FLAG)), atomic("exch", COUNT, ALL), barrier("and", read(FLAG))),
    "an operation on bools": (let(binary("xor", read(FLAG), read(FLAG)), B),),
}  # fmt: skip


@pytest.mark.parametrize("body", VALID.values(), ids=VALID)
def test_what_is_allowed(body: tuple[Any, ...]) -> None:
    assert verify(kernel(*body)).body == body


# ---------------------------------------------------------------- what does not
LOST = ir.ArrayVar("lost", ArrayType(FLOAT32, 1))
NOWHERE_VAR = ir.Var("nowhere", INT64)
SAME = let(ONE, I)

BROKEN: dict[str, tuple[Any, ...]] = {
    # Constants.
    "the constant 300 does not fit uint8": (let(const(UINT8, 300)),),
    "the constant -1 does not fit uint64": (let(const(UINT64, -1)),),
    "a constant of int64 holds True, a bool": (let(const(INT64, True)),),
    "a constant of bool holds 1, a int": (let(const(BOOL, 1)),),
    "a constant of float64 holds 1, a int": (let(const(FLOAT64, 1)),),
    "a constant of float64 holds np.float64(1.0), a float64": (
        let(const(FLOAT64, np.float64(1))),
    ),
    "the constant 0.1 is not exact in float32": (let(const(FLOAT32, 0.1)),),
    "the constant 1e+300 is not exact in float16": (let(const(FLOAT16, 1e300)),),
    "the constant (0.1+0j) is not exact in complex64": (let(const(COMPLEX64, 0.1 + 0j)),),
    # Operations.
    "unknown operation 'plus'; in Binary": (let(binary("plus", ONE, ONE)),),
    "unknown operation 'lt'; in Binary": (let(binary("lt", ONE, ONE, BOOL)),),
    "unknown operation 'sqrt'; in Unary": (let(ir.Unary(S, FLOAT32, "sqrt", HALF)),),
    "unknown operation 'is'; in Compare": (let(compare("is", ONE, ONE)),),
    "unknown operation 'xor'; in Logical": (
        let(ir.Logical(S, BOOL, "xor", read(FLAG), read(FLAG))),
    ),
    "the operands are int64 and float32, not of one type; in Binary `1 + 0.5f32`": (
        let(binary("add", ONE, HALF)),
    ),
    "the operands are float32 and int64, not of one type; in Compare": (
        let(compare("lt", HALF, ONE)),
    ),
    "truediv is not defined for int64, int64": (let(binary("truediv", ONE, ONE)),),
    "add is not defined for bool, bool": (let(binary("add", read(FLAG), read(FLAG))),),
    "lt is not defined for complex64, complex64": (let(compare("lt", read(Z), read(Z))),),
    "not is not defined for int64": (let(ir.Unary(S, BOOL, "not", ONE)),),
    "add of int64, int64 gives int64, not int32": (let(binary("add", ONE, ONE, INT32)),),
    "lt of int64, int64 gives bool, not int64": (let(ir.Compare(S, INT64, "lt", ONE, ONE)),),
    "abs of complex64 gives float32, not complex64": (
        let(ir.Unary(S, COMPLEX64, "abs", read(Z))),
    ),
    "the type of an operand or of the result is int64, not bool; in Logical": (
        let(ir.Logical(S, BOOL, "or", read(FLAG), ONE)),
    ),
    "the condition is int64, not bool; in Select": (let(ir.Select(S, INT64, ONE, ONE, ONE)),),
    "the first arm is float32, not int64": (
        let(ir.Select(S, INT64, read(FLAG), HALF, ONE)),
    ),
    "the second arm is float32, not int64": (
        let(ir.Select(S, INT64, read(FLAG), ONE, HALF)),
    ),
    "a cast of int64 to itself": (let(cast(INT64, ONE)),),
    "there is no cast from complex64 to float32": (let(cast(FLOAT32, read(Z))),),
    "unknown function 'sine'": (let(call("sine", FLOAT32, HALF)),),
    "fma takes 3 arguments, not 2": (let(call("fma", FLOAT32, HALF, HALF)),),
    "sqrt is not defined for int64": (let(call("sqrt", INT64, ONE)),),
    "popc of int64 gives int32, not int64": (let(call("popc", INT64, ONE)),),
    "no register 'threadIdx' with axis 3": (let(register("threadIdx", 3)),),
    "no register 'laneid' with axis 1": (let(register("laneid", 1)),),
    "no register 'clock' with axis 0": (let(register("clock", 0)),),
    "the type of a register is int32, not int64": (let(register("laneid", 0, INT32)),),
    "the type of the read is int32, not int64": (let(ir.Read(S, INT32, N)),),
    "is not a scalar type": (let(const(DType("int128", "i", 128), 1), I),),
    "None is not an expression": (let(binary("add", ONE, None)),),
    # Arrays.
    "array 'x' has 1 axes, but 2 indices are given; in Load `x[0, 0]`": (let(load(X, ZERO, ZERO)),),
    "array 'y' has 2 axes, but 1 indices are given; in Store": (store(Y, ZERO, value=HALF),),
    "array 'count' has 1 axes, but 0 indices": (atomic("add", COUNT, ALL, indices=()),),
    "an index is float32, not an integer; in Load": (let(load(X, HALF)),),
    "an index is bool, not an integer; in Store": (store(X, read(FLAG), value=HALF),),
    "an index is float32, not an integer; in View": (view(ROW, Y, HALF),),
    "the type of the load is int64, not float32": (let(ir.Load(S, INT64, X, (ZERO,))),),
    "array 'x' has no axis 1": (let(ir.Extent(S, INT64, X, 1)),),
    "the type of an extent is int32, not int64": (let(ir.Extent(S, INT32, X, 0)),),
    "array 'lost' is not declared where this is": (let(load(LOST, ZERO)),),
    "array 'tile' is not declared where this is; in Store": (
        store(TILE, ZERO, ZERO, value=HALF),
        allocate(TILE),
    ),
    "array 'row' is not declared where this is; in Load": (
        branch(view(ROW, Y, ZERO)),
        let(load(ROW, ZERO)),
    ),
    "array 'row' is not declared where this is; in Store": (
        branch(view(ROW, Y, ZERO), orelse=(store(ROW, ZERO, value=HALF),)),
    ),
    "array 'row' is not declared where this is; in Extent": (
        spin(prelude=(view(ROW, Y, ZERO),)),
        let(ir.Extent(S, INT64, ROW, 0)),
    ),
    "array 'tile' is declared twice": (allocate(TILE), allocate(TILE)),
    "array 'x' is declared twice": (view(X, X),),
    "a view with 1 indices of 1 axes leaves none": (view(ROW, X, ZERO),),
    "the view is a global float32[:] 8, not a global float32[:, :] 8": (view(ROW, Y),),
    "the view is a global float32[:] 8, not a shared float32[:]": (
        allocate(TILE),
        view(ROW, TILE, ZERO),
    ),
    "the view is a global float32[:] 8, not a global float32[:] readonly": (view(ROW, SEALED),),
    "the view's shape is (4,), not that of its base": (
        allocate(TILE),
        view(array("column", FLOAT32, (4,)), TILE, ZERO),
    ),
    "an allocation of global memory": (allocate(LOST),),
    "array 'bad' has 2 axes, but its shape is (3,)": (
        allocate(ir.ArrayVar("bad", ArrayType(INT32, 2, space=LOCAL), (3,))),
    ),
    "array 'bad' has a shape that is not of positive integers: (4, 0)": (
        allocate(array("bad", INT32, (4, 0))),
    ),
    "array 'bad' has a shape that is not of positive integers: (0,)": (
        allocate(array("bad", INT32, (0,), LOCAL)),
    ),
    "shared array 'bad' is not contiguous": (allocate(array("bad", INT32, (4,), layout="A")),),
    "data, which a constant array must have and no other may; in Allocate `taps": (
        allocate(TAPS),
    ),
    "data, which a constant array must have and no other may; in Allocate `tile": (
        allocate(TILE, np.zeros((4, 8), np.float32)),
    ),
    "the data's dtype and shape ('float64', (3,)) are not the array's": (
        allocate(TAPS, WEIGHTS.astype(np.float64)),
    ),
    "the data's dtype and shape ('float32', (4,)) are not the array's": (
        allocate(TAPS, np.zeros(4, np.float32)),
    ),
    "a write to array 'taps', which is constant or read-only": (
        allocate(TAPS, WEIGHTS),
        store(TAPS, ZERO, value=HALF),
    ),
    "a write to array 'sealed', which is constant or read-only; in Store": (
        store(SEALED, ZERO, value=HALF),
    ),
    "a write to array 'sealed', which is constant or read-only; in Atomic": (
        atomic("add", SEALED, HALF),
    ),
    # Names.
    "the name 'n' stands for two symbols": (let(ONE, ir.Var("n", INT64)),),
    "the name 'x' stands for two symbols": (let(ONE, ir.Var("x", INT64)),),
    "the name 'alpha' stands for two symbols": (allocate(array("alpha", INT32, (4,))),),
    "a symbol has an empty name": (let(ONE, ir.Var("", INT64)),),
    "variable 'nowhere' is read and never assigned; in Read": (let(read(NOWHERE_VAR)),),
    "variable 't' has no scalar type": (let(ONE, ir.Var("t", X.type)),),  # type: ignore[arg-type]
    "None is not a variable": (loop(target=None),),
    # Statements.
    "the value is float32, not int64; in Assign `i: int64 = 0.5f32`": (let(HALF, I),),
    "the value is int64, not float32; in Store `x[0] = 1`": (store(X, ZERO, value=ONE),),
    "the condition is int64, not bool; in If `if 1:`": (branch(condition=ONE),),
    "the condition is int64, not bool; in While": (spin(condition=ONE),),
    "the condition is int64, not bool; in Assert": (ir.Assert(S, ONE, ()),),
    "a bound or the target of a loop is float32, not int64": (loop(start=HALF),),
    "a bound or the target of a loop is int32, not int64": (loop(target=SMALL),),
    "a bound or the target of a loop is uint32, not int64": (loop(step=ALL),),
    "a Break outside of loops and scopes": (branch(leave()),),
    "a Continue outside of loops and scopes": (go_on(),),
    "a Continue whose innermost loop or scope is a scope": (loop(scope(branch(go_on()))),),
    "a statement that stands in two places": (branch(SAME, orelse=(SAME,)),),
    "a body is a list, not a tuple": (ir.Scope(S, "f", [let(ONE, I)]),),  # type: ignore[arg-type]
    "is not a statement": (ONE,),
    "unknown scope 'grid'": (ir.Fence(S, "grid"),),
    "unknown format '>8'": (log(ir.Formatted(ONE, ">8")),),
    "format '4d' of a float32": (log(ir.Formatted(HALF, "4d")),),
    "3 is neither text nor a value to print": (log("a", 3),),
    # Atomics.
    "unknown operation 'mul'; in Atomic": (atomic("mul", COUNT, ALL),),
    "atomic and does not work on float32": (atomic("and", X, HALF),),
    "atomic inc does not work on float32": (atomic("inc", X, HALF),),
    "atomic add does not work on float16": (atomic("add", HALVES, const(FLOAT16, 0.5)),),
    "atomic cas takes 2 operands, not 1": (atomic("cas", COUNT, ALL),),
    "atomic add takes 1 operands, not 2": (atomic("add", COUNT, ALL, ALL),),
    "an operand is int64, not uint32; in Atomic": (atomic("add", COUNT, ONE),),
    "the result is int64, not uint32; in Atomic": (atomic("add", COUNT, ALL, result=I),),
    "an atomic on array 'own', which is local": (
        allocate(OWN),
        atomic("add", OWN, const(INT32, 1)),
    ),
    # Warps and barriers.
    "unknown operation 'scan'; in Warp": (warp("scan", HALF),),
    "warp shfl takes 2 operands, not 1": (warp("shfl", HALF),),
    "warp sync takes a mask": (warp("sync", mask=None),),
    "warp activemask takes no mask": (warp("activemask"),),
    "the mask is int64, not uint32": (warp("sync", mask=ONE),),
    "an operand is int64, not int32; in Warp": (warp("shfl_up", HALF, ONE),),
    "an operand is int64, not bool; in Warp": (warp("ballot", ONE),),
    "a result is int64, not float32; in Warp": (
        warp("shfl", HALF, const(INT32, 1), results=(I,)),
    ),
    "a result is bool, not uint32; in Warp": (warp("match_all", HALF, results=(B, B)),),
    "warp match_all gives 2 results, not 1": (warp("match_all", HALF, results=(U,)),),
    "warp sync gives 0 results, not 1": (warp("sync", results=(U,)),),
    "unknown operation 'xor'; in Barrier": (barrier("xor", read(FLAG)),),
    "barrier sync takes no predicate": (barrier("sync", read(FLAG)),),
    "barrier count takes a predicate": (barrier("count"),),
    "the predicate is int64, not bool": (barrier("or", ONE),),
    "barrier sync gives no result": (barrier("sync", None, B),),
    "the result is int64, not int32; in Barrier": (barrier("count", read(FLAG), I),),
    "the result is uint32, not bool; in Barrier": (barrier("and", read(FLAG), U),),
    # Spans.
    "the span is missing; in Constant": (let(ir.Constant(NOWHERE, INT64, 1)),),
    "the span is missing; in Break": (loop(ir.Break(None)),),  # type: ignore[arg-type]
}  # fmt: skip


def kind_of(stmt: ir.Stmt) -> str:
    return type(stmt).__name__


@pytest.mark.parametrize(("message", "body"), BROKEN.items(), ids=BROKEN)
def test_what_is_rejected(message: str, body: tuple[Any, ...]) -> None:
    with pytest.raises(InternalError) as caught:
        verify(kernel(*body))
    lines = str(caught.value).splitlines()
    assert len(lines) == 1, "one defect gives one finding"
    where = "<kernelkit>:0:1" if "the span is missing" in message else "kernels.py:7:5"
    assert lines[0].startswith(f"{where}: broken IR: ")
    assert message in lines[0]


@pytest.mark.parametrize(
    "stmt",
    [
        let(ir.Load(S, FLOAT32, N, (ZERO,))),  # type: ignore[arg-type]
        let(ir.Extent(S, INT64, N, 0)),  # type: ignore[arg-type]
        store(N, ZERO, value=HALF),
        atomic("add", N, HALF),  # type: ignore[arg-type]
        view(N, X),
        view(ROW, N, ZERO),  # type: ignore[arg-type]
        allocate(N),
    ],
    ids=kind_of,
)
def test_a_variable_is_no_array(stmt: ir.Stmt) -> None:
    with pytest.raises(InternalError, match=r"Var\(name='n'.* is not an array; in"):
        verify(kernel(stmt))


GREAT = ir.ArrayVar("great", ArrayType(INT32, 1, space=SHARED), (4,))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (kernel(params=(N, N)), "parameter 'n' is there twice; in Kernel `k`"),
        (kernel(params=(X, X)), "array 'x' is declared twice; in Kernel `k`"),
        (kernel(params=(N, ir.Var("n", INT32))), "the name 'n' stands for two symbols"),
        (kernel(params=(GREAT,)), "parameter 'great' is not a global array"),
        (kernel(params=(ONE,)), "is not a parameter"),
        (
            kernel(params=(ir.ArrayVar("p", ArrayType(INT32, 1), (4,)),)),
            "global array 'p' has a static shape (4,)",
        ),
        (
            kernel(params=(ir.ArrayVar("p", ArrayType(INT32, 1, "F")),)),
            "array 'p' has an unknown layout: 'F'",
        ),
        (
            kernel(params=(ir.ArrayVar("p", INT32),)),  # type: ignore[arg-type]
            "array 'p' has no array type",
        ),
        (kernel(span=NOWHERE), "the span is missing; in Kernel `k`"),
    ],
    ids=str,
)
def test_parameters_and_the_kernel_itself(broken: ir.Kernel, message: str) -> None:
    with pytest.raises(InternalError) as caught:
        verify(broken)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [INT32, UINT32, INT64, UINT64, FLOAT32, FLOAT64])
@pytest.mark.parametrize("op", ["add", "and", "cas", "dec", "exch", "nanmin"])
def test_the_dtypes_of_atomics(op: str, dtype: DType) -> None:
    target = ir.ArrayVar("target", ArrayType(dtype, 1))
    value = const(dtype, 1.0 if dtype.is_float else 1)
    operands = (value, value) if op == "cas" else (value,)
    whole = kernel(atomic(op, target, *operands), params=(target,))
    if dtype.is_float and op in ("and", "dec"):
        with pytest.raises(InternalError, match=f"atomic {op} does not work on {dtype}"):
            verify(whole)
    else:
        assert verify(whole) is whole


def test_all_findings_come_in_one_error_in_order() -> None:
    later = Span("kernels.py", 9, 2)
    body = (
        let(binary("plus", ONE, ONE), I),
        spin(ir.Break(S), ir.Assign(later, F, ONE), condition=HALF),
        let(const(COMPLEX128, 1)),
    )
    with pytest.raises(InternalError) as caught:
        verify(kernel(*body))
    found = [line.partition(" broken IR: ")[2] for line in str(caught.value).splitlines()]
    assert found == [
        "unknown operation 'plus'; in Binary `plus(1, 1)`",
        "the condition is float32, not bool; in While `while 0.5f32:`",
        "the value is int64, not float32; in Assign `f: float32 = 1`",
        "a constant of complex128 holds 1, a int; in Constant `complex128(1)`",
    ]


def test_an_operation_too_broken_to_print_is_reported_all_the_same() -> None:
    with pytest.raises(InternalError, match=r"3 is not an expression; in Store `\.\.\.`"):
        verify(kernel(store(X, 3, value=HALF)))
