"""kernelkit's own names in a kernel: index functions, memory, barriers, atomics, warps, bit work.

Holds: what has an effect is emitted as a statement, its result read from a temporary.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Final

import numpy as np

from kernelkit.frontend import names, operators
from kernelkit.frontend.calls import DEVICE, DEVICE_NAMES
from kernelkit.frontend.context import Context
from kernelkit.frontend.elements import flatten_indices, indices
from kernelkit.frontend.functions import Handler, scalars
from kernelkit.frontend.operands import (
    register,
    scalar,
    static_int,
)
from kernelkit.frontend.values import (
    UNKNOWN,
    ArrayRef,
    Scalar,
    Static,
    TupleValue,
    Unknown,
    Value,
)
from kernelkit.ir.nodes import (
    ArrayVar,
    Atomic,
    Barrier,
    Binary,
    Cast,
    Constant,
    Expr,
    Fence,
    Read,
    SpecialRegister,
    Var,
    Warp,
)
from kernelkit.ir.types import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    UINT32,
    AddressSpace,
    ArrayType,
    DType,
    from_numpy,
)

Args = list[Value]
FULL_MASK: Final = 0xFFFFFFFF
#: The functions that take a number's bits for those of another type, and what each takes.
BITS_OF: Final = {
    "float_as_int": FLOAT32, "int_as_float": INT32,
    "double_as_longlong": FLOAT64, "longlong_as_double": INT64,
}  # fmt: skip
#: Local memory of one thread: 512 KiB, as on NVIDIA GPUs (CUDA C Programming Guide, table of
#: technical specifications per compute capability).
LOCAL_BYTES: Final = 512 * 1024


def _register(*dotted: str) -> Callable[[Handler], Handler]:
    def store(handler: Handler) -> Handler:
        DEVICE.update(dict.fromkeys(dotted, handler))
        return handler

    return store


def _name(ctx: Context, node: ast.Call) -> str:
    """The dotted name of what is called, whatever it is called by."""
    target = ctx.expression(node.func)
    assert isinstance(target, Static)
    return DEVICE_NAMES[id(target.value)]


def _result(ctx: Context, node: ast.AST, var: Var) -> Scalar:
    return Scalar(Read(ctx.span(node), var.type, var))


# ---------------------------------------------------------------- the thread's place
@_register("grid", "gridsize")
def _grid(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    name = _name(ctx, node)
    count = static_int(ctx, node.args[0], f"the argument of {name}")
    if count not in (1, 2, 3):
        ctx.fail(node.args[0], f"{name} takes 1, 2 or 3 axes, not {count}")
    parts = tuple(_along(ctx, axis, name == "gridsize", node) for axis in range(count))
    return parts[0] if count == 1 else TupleValue(parts)


def _along(ctx: Context, axis: int, size: bool, node: ast.AST) -> Scalar:
    block = register(ctx, "gridDim" if size else "blockIdx", axis, node)
    start = operators.binary(ctx, "mul", block, register(ctx, "blockDim", axis, node), node)
    if size:
        return start
    return operators.binary(ctx, "add", start, register(ctx, "threadIdx", axis, node), node)


@_register("lanemask_lt")
def _lanemask_lt(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    span = ctx.span(node)
    lane = Cast(span, UINT32, SpecialRegister(span, INT64, "laneid", 0))
    one = Constant(span, UINT32, 1)
    return Scalar(Binary(span, UINT32, "sub", Binary(span, UINT32, "shl", one, lane), one))


# ---------------------------------------------------------------- memory
@_register("shared.array", "local.array")
def _array(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    name = _name(ctx, node)
    space = AddressSpace.SHARED if name == "shared.array" else AddressSpace.LOCAL
    dtype = _dtype(ctx, node, args[1], name)
    shape = _shape(ctx, node, args[0], name)
    if 0 in shape and (space is AddressSpace.LOCAL or shape != (0,)):
        ctx.fail(
            node, f"{name} of shape {shape}; only shared.array(0, dtype) may be 0 long: it is the "
            "launch's dynamic shared memory",
        )  # fmt: skip
    size = math.prod(shape) * dtype.itemsize
    if space is AddressSpace.LOCAL and size > LOCAL_BYTES:
        ctx.fail(
            node, f"{name} of {size} bytes; a thread has at most {LOCAL_BYTES} of its own: pass a "
            "global array with a part for each thread",
        )  # fmt: skip
    kind = ArrayType(dtype, len(shape), "C", space)
    array = ArrayVar(ctx.array_name(space.value, node), kind, shape)
    ctx.allocate(ctx.span(node), array)
    return ArrayRef(array)


def _dtype(ctx: Context, node: ast.AST, value: Value, name: str) -> DType:
    wanted = value.value if isinstance(value, Static) else None
    found = None if wanted is None else from_numpy(wanted)
    if found is None:
        ctx.fail(
            node,
            f"the dtype of {name} must be a NumPy dtype such as np.float32, known when compiling",
        )
    return found


def _shape(ctx: Context, node: ast.AST, value: Value, name: str) -> tuple[int, ...]:
    items = value.items if isinstance(value, TupleValue) else (value,)
    shape = []
    for item in items:
        extent = item.constant if isinstance(item, Scalar) else None
        if not isinstance(extent, int) or isinstance(extent, bool):
            ctx.fail(
                node, f"the shape of {name} must be integers known when compiling; use literals, "
                "globals or kk.constexpr parameters (shared memory sized at launch: "
                "shared.array(0, dtype))",
            )  # fmt: skip
        if extent < 0:
            ctx.fail(node, f"the shape of {name} has a negative extent, {extent}")
        shape.append(extent)
    if not shape:
        ctx.fail(node, f"the shape of {name} is empty; use a plain variable")
    return tuple(shape)


@_register("const.array_like")
def _array_like(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    value = args[0]
    if isinstance(value, Static) and isinstance(value.value, np.ndarray):
        array = names.constant_array(ctx, value.value, ast.unparse(node.args[0]), node)
        ctx.allocate(ctx.span(node), array, np.array(value.value, order="C"))
        return ArrayRef(array)
    if isinstance(value, ArrayRef) and value.array.type.space is AddressSpace.CONSTANT:
        return value
    ctx.fail(node, "const.array_like takes a global NumPy array, known when compiling")


# ---------------------------------------------------------------- barriers and fences
@_register("syncthreads", "syncthreads_count", "syncthreads_and", "syncthreads_or")
def _barrier(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    op = _name(ctx, node).partition("_")[2] or "sync"
    span = ctx.span(node)
    if op == "sync":
        ctx.emit(Barrier(span, op, None, None))
        return Static(None)
    predicate = _truth(ctx, node, args[0], 0)
    if isinstance(predicate, Unknown):
        return UNKNOWN
    var = ctx.temporary(INT32 if op == "count" else BOOL)
    ctx.emit(Barrier(span, op, predicate, var))
    return _result(ctx, node, var)


def _truth(ctx: Context, node: ast.Call, value: Value, index: int) -> Expr | Unknown:
    found = scalar(ctx, value, node.args[index], "a condition")
    return found if isinstance(found, Unknown) else operators.truth(ctx, found, node)


@_register("threadfence", "threadfence_block", "threadfence_system")
def _fence(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    ctx.emit(Fence(ctx.span(node), _name(ctx, node).partition("_")[2] or "device"))
    return Static(None)


# ---------------------------------------------------------------- atomics
_BITWISE: Final = {"and", "or", "xor", "inc", "dec"}
ATOMIC_DTYPES: Final = ("int32", "uint32", "int64", "uint64", "float32", "float64")


@_register(
    *(f"atomic.{op}" for op in (
        "add", "sub", "min", "max", "nanmin", "nanmax", "and_", "or_", "xor", "inc", "dec",
        "exch", "cas",
    ))
)  # fmt: skip
def _atomic(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    op = _name(ctx, node).partition(".")[2].rstrip("_")
    array = _atomic_array(ctx, node, args[0], op)
    if array is None:
        return UNKNOWN
    flat, nodes = flatten_indices([args[1]], [node.args[1]])
    found = indices(ctx, flat, nodes)
    rank = array.type.ndim
    if found is not None and len(found) != rank:
        ctx.fail(
            node.args[1],
            f"atomic.{op}: the array has {rank} axes but {len(found)} indices are given",
        )
    return _emit_atomic(ctx, node, op, array, found, args[2:])


@_register("atomic.compare_and_swap")
def _compare_and_swap(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    array = _atomic_array(ctx, node, args[0], "cas")
    if array is None:
        return UNKNOWN
    zeros: list[Expr] = [Constant(ctx.span(node), INT64, 0) for _ in range(array.type.ndim)]
    return _emit_atomic(ctx, node, "cas", array, zeros, args[1:])


def _atomic_array(ctx: Context, node: ast.Call, value: Value, op: str) -> ArrayVar | None:
    if isinstance(value, Unknown):
        return None
    if not isinstance(value, ArrayRef):
        ctx.fail(
            node.args[0],
            f"atomic.{op} works on an array and an index: atomic.{op}(array, index, ...)",
        )
    kind = value.array.type
    allowed = tuple(d for d in ATOMIC_DTYPES if op not in _BITWISE or "int" in d)
    if kind.dtype.name not in allowed:
        ctx.fail(
            node.args[0], f"atomic.{op} works on {', '.join(allowed[:-1])} and {allowed[-1]}, not on "
            f"{kind.dtype}; use an array of one of these",
        )  # fmt: skip
    if kind.space is AddressSpace.CONSTANT:
        ctx.fail(node.args[0], f"{value.array.name} is constant and cannot be written")
    if kind.space is AddressSpace.LOCAL:
        ctx.fail(
            node.args[0], "a local array belongs to one thread and needs no atomics; "
            "assign its element: a[i] += x",
        )  # fmt: skip
    return value.array


def _emit_atomic(
    ctx: Context, node: ast.Call, op: str, array: ArrayVar, idx: list[Expr] | None, operands: Args
) -> Value:
    nodes = node.args[len(node.args) - len(operands) :]
    found = [scalar(ctx, v, n) for v, n in zip(operands, nodes, strict=True)]
    if idx is None or any(isinstance(f, Unknown) for f in found):
        return UNKNOWN
    dtype = array.type.dtype
    typed = [operators.cast(ctx, f, dtype, node) for f in found if isinstance(f, Scalar)]
    var = ctx.temporary(dtype)
    ctx.emit(Atomic(ctx.span(node), op, array, tuple(idx), tuple(typed), var))
    return _result(ctx, node, var)


# ---------------------------------------------------------------- warps
_VOTES: Final[dict[str, DType]] = {"all": BOOL, "any": BOOL, "eq": BOOL, "ballot": UINT32}


def _mask(ctx: Context, node: ast.Call, value: Value) -> Expr | None:
    found = scalar(ctx, value, node.args[0], "a mask")
    if isinstance(found, Unknown):
        return None
    if not found.expr.type.is_integer:
        ctx.fail(node.args[0], f"the mask must be an integer, not {found.expr.type}: 0xffffffff")
    if found.weak and isinstance(found.constant, int) and not 0 <= found.constant <= FULL_MASK:
        ctx.fail(
            node.args[0],
            f"the mask {found.constant} does not fit uint32; write 0xffffffff for all lanes",
        )
    return operators.cast(ctx, found, UINT32, node)


@_register("syncwarp")
def _syncwarp(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    mask = _mask(ctx, node, args[0]) if args else Constant(ctx.span(node), UINT32, FULL_MASK)
    if mask is not None:
        ctx.emit(Warp(ctx.span(node), "sync", mask, (), ()))
    return Static(None)


@_register("activemask")
def _activemask(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    var = ctx.temporary(UINT32)
    ctx.emit(Warp(ctx.span(node), "activemask", None, (), (var,)))
    return _result(ctx, node, var)


@_register("all_sync", "any_sync", "eq_sync", "ballot_sync")
def _vote(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    op = _name(ctx, node).removesuffix("_sync")
    mask, predicate = _mask(ctx, node, args[0]), _truth(ctx, node, args[1], 1)
    if mask is None or isinstance(predicate, Unknown):
        return UNKNOWN
    var = ctx.temporary(_VOTES[op])
    ctx.emit(Warp(ctx.span(node), op, mask, (predicate,), (var,)))
    return _result(ctx, node, var)


@_register("shfl_sync", "shfl_up_sync", "shfl_down_sync", "shfl_xor_sync")
def _shuffle(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    op = _name(ctx, node).removesuffix("_sync")
    mask = _mask(ctx, node, args[0])
    value = scalar(ctx, args[1], node.args[1])
    lane = scalar(ctx, args[2], node.args[2], "a lane")
    if mask is None or isinstance(value, Unknown) or isinstance(lane, Unknown):
        return UNKNOWN
    if not lane.expr.type.is_integer:
        ctx.fail(node.args[2], f"the lane must be an integer, not {lane.expr.type}")
    if value.expr.type.is_complex:
        ctx.fail(node.args[1], "complex numbers are not shuffled; shuffle .real and .imag")
    operands = (operators.settle(ctx, value, node), operators.cast(ctx, lane, INT32, node))
    var = ctx.temporary(value.expr.type)
    ctx.emit(Warp(ctx.span(node), op, mask, operands, (var,)))
    return Scalar(Read(ctx.span(node), var.type, var), value.weak)


@_register("match_any_sync", "match_all_sync")
def _match(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    op = _name(ctx, node).removesuffix("_sync")
    mask, value = _mask(ctx, node, args[0]), scalar(ctx, args[1], node.args[1])
    if mask is None or isinstance(value, Unknown):
        return UNKNOWN
    if value.expr.type.is_complex:
        ctx.fail(node.args[1], "complex numbers are not matched; match .real and .imag")
    results = [ctx.temporary(UINT32)] + ([ctx.temporary(BOOL)] if op == "match_all" else [])
    operand = operators.settle(ctx, value, node)
    ctx.emit(Warp(ctx.span(node), op, mask, (operand,), tuple(results)))
    found = tuple(_result(ctx, node, var) for var in results)
    return found[0] if len(found) == 1 else TupleValue(found)


# ---------------------------------------------------------------- scalar functions
@_register("popc", "clz", "ffs", "brev", "uniform")
def _one(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, args)
    if found is None:
        return UNKNOWN
    expr = operators.apply(ctx, _name(ctx, node), [operators.settle(ctx, found[0], node)], node)
    return Scalar(expr, found[0].weak and expr.type == found[0].expr.type)


@_register(*BITS_OF)
def _bits(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, args)
    if found is None:
        return UNKNOWN
    name, value = _name(ctx, node), found[0]
    wanted = BITS_OF[name]
    fits = value.weak and (wanted.is_float or value.expr.type.is_integer)
    operand = operators.cast(ctx, value, wanted, node) if fits else value.expr
    return Scalar(operators.apply(ctx, name, [operand], node))


@_register("fma", "cbrt", "rsqrt")
def _floating(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, args)
    return (
        UNKNOWN
        if found is None
        else operators.intrinsic(ctx, _name(ctx, node), found, node, floating=True)
    )


@_register("fmin", "fmax")
def _extreme(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, args)
    return UNKNOWN if found is None else operators.intrinsic(ctx, _name(ctx, node), found, node)


@_register("selp")
def _selp(ctx: Context, node: ast.Call, args: Args, kwargs: dict[str, Value]) -> Value:
    found = scalars(ctx, node, args)
    if found is None:
        return UNKNOWN
    met = operators.meet(ctx, "selp", found[1:], node)
    arms = [operators.cast(ctx, v, met.dtype, node) for v in found[1:]]
    condition = operators.truth(ctx, found[0], node)
    return Scalar(operators.apply(ctx, "selp", [condition, *arms], node), met.weak)
