"""Every node of the IR, on one page.

Structured control flow, no CFG, no SSA. Expressions have no side effects: atomics, warp operations
and barriers are statements. Nodes compare and hash by identity, so analyses are side tables.

    Symbol      Var | ArrayVar
    Expr        Constant | Read | SpecialRegister | Unary | Binary | Compare | Logical | Select
                | Cast | Intrinsic | Load | Extent
    Stmt        Assign | Store | Atomic | View | Warp | Barrier | Fence | Allocate
                | If | For | While | Scope | Break | Continue | Return
                | Print | Assert | Breakpoint
    Kernel      name, parameters, body

What the scalar operations mean is `ir/scalar.py`; what must hold of a kernel is `ir/verify.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, dataclass_transform

from kernelkit.errors import Span
from kernelkit.ir.types import AddressSpace, ArrayType, DType
from kernelkit.records import record

if TYPE_CHECKING:
    import numpy as np


@dataclass_transform(frozen_default=True, eq_default=False)
def node(cls: type[Any]) -> type[Any]:
    return record(eq=False)(cls)


# ---------------------------------------------------------------- symbols
@node
class Var:
    """A scalar variable of one thread. User names stay as they are; the x of an inlined function
    f is `f.1.x`; a temporary is `.1`."""

    name: str
    type: DType


@node
class ArrayVar:
    """An array, or a view of one. `shape` is known for shared, local and constant arrays; (0,) in
    shared memory means: as long as the launch's dynamic shared memory. A global array's is ()."""

    name: str
    type: ArrayType
    shape: tuple[int, ...] = ()

    @property
    def is_dynamic(self) -> bool:
        return self.type.space is AddressSpace.SHARED and self.shape == (0,)


Symbol = Var | ArrayVar


# ---------------------------------------------------------------- expressions
@node
class Constant:
    """bool, int, float or complex; a float32 constant's value is exactly representable in it."""

    span: Span
    type: DType
    value: bool | int | float | complex


@node
class Read:
    span: Span
    type: DType
    var: Var


@node
class SpecialRegister:
    """threadIdx, blockIdx, blockDim, gridDim (axis 0 to 2 for x, y, z) or laneid (axis 0): int64."""

    span: Span
    type: DType
    register: str
    axis: int


@node
class Unary:
    """neg, invert, not, abs."""

    span: Span
    type: DType
    op: str
    operand: Expr


@node
class Binary:
    """add sub mul truediv floordiv mod pow and or xor shl shr min max; both operands of `type`."""

    span: Span
    type: DType
    op: str
    left: Expr
    right: Expr


@node
class Compare:
    """lt le gt ge eq ne; both operands of one type, the result bool."""

    span: Span
    type: DType
    op: str
    left: Expr
    right: Expr


@node
class Logical:
    """and, or over bools; the right operand is evaluated only where the left does not decide."""

    span: Span
    type: DType
    op: str
    left: Expr
    right: Expr


@node
class Select:
    """`then if condition else orelse`; only the chosen arm is evaluated."""

    span: Span
    type: DType
    condition: Expr
    then: Expr
    orelse: Expr


@node
class Cast:
    """Any scalar type to any other, but never complex to real. Never the identity."""

    span: Span
    type: DType
    operand: Expr


@node
class Intrinsic:
    """A function of the scalar table: sqrt, fma, popc, real, uniform, ..."""

    span: Span
    type: DType
    function: str
    args: tuple[Expr, ...]


@node
class Load:
    """One element. Indices are integers of any type; a negative one of a signed type wraps once
    (unless the kernel opts out)."""

    span: Span
    type: DType
    array: ArrayVar
    indices: tuple[Expr, ...]


@node
class Extent:
    """array.shape[axis]: int64."""

    span: Span
    type: DType
    array: ArrayVar
    axis: int


Expr = (
    Constant | Read | SpecialRegister | Unary | Binary | Compare | Logical | Select | Cast
    | Intrinsic | Load | Extent
)  # fmt: skip


# ---------------------------------------------------------------- statements
@node
class Assign:
    span: Span
    target: Var
    value: Expr


@node
class Store:
    span: Span
    array: ArrayVar
    indices: tuple[Expr, ...]
    value: Expr


@node
class Atomic:
    """add sub min max nanmin nanmax and or xor inc dec exch cas; `result` receives the old value.
    Operands have the array's dtype; cas has two: expected, new."""

    span: Span
    op: str
    array: ArrayVar
    indices: tuple[Expr, ...]
    operands: tuple[Expr, ...]
    result: Var | None


@node
class View:
    """target = base[indices], with fewer indices than axes; a write through it is one to its base."""

    span: Span
    target: ArrayVar
    base: ArrayVar
    indices: tuple[Expr, ...]


@node
class Warp:
    """An operation of the lanes named by `mask` (uint32; None for activemask, lanemask needs none):

    sync ()                         shfl, shfl_up, shfl_down, shfl_xor (value, lane or delta: int32)
    all, any, eq, ballot (bool)     match_any (value)     match_all (value) -> mask, bool
    activemask ()

    `results` receive what it gives; empty where it is not used or there is none.
    """

    span: Span
    op: str
    mask: Expr | None
    operands: tuple[Expr, ...]
    results: tuple[Var, ...]


@node
class Barrier:
    """op: sync, count (int32 result), and, or (bool result): over the block's threads that have not
    returned."""

    span: Span
    op: str
    predicate: Expr | None
    result: Var | None


@node
class Fence:
    """scope: block, device, system."""

    span: Span
    scope: str


@node
class Allocate:
    """Brings a shared, local or constant array into being; `data` holds a constant one's elements."""

    span: Span
    array: ArrayVar
    data: np.ndarray[Any, Any] | None


@node
class If:
    span: Span
    condition: Expr
    then: Body
    orelse: Body


@node
class For:
    """range(start, stop, step), all int64, evaluated once. The target is set at the start of each
    iteration; assigning it in the body does not affect the iteration. A step of 0 runs nothing
    (debug and reference raise)."""

    span: Span
    target: Var
    start: Expr
    stop: Expr
    step: Expr
    body: Body


@node
class While:
    """The prelude runs before each test; `continue` goes to the prelude."""

    span: Span
    prelude: Body
    condition: Expr
    body: Body


@node
class Scope:
    """Runs its body once; a Break leaves it. An inlined device function (named) or a desugared loop."""

    span: Span
    function: str
    body: Body


@node
class Break:
    """Leaves the innermost For, While or Scope."""

    span: Span


@node
class Continue:
    """Goes on with the innermost For or While, which is also the innermost breakable statement."""

    span: Span


@node
class Return:
    """Ends the thread."""

    span: Span


@node
class Formatted:
    """A value inside printed text; `spec` is empty or [width][.precision][d x X f e g]."""

    value: Expr
    spec: str = ""


Text = tuple[str | Formatted, ...]


@node
class Print:
    """The parts joined as they stand; separators and the line's end are parts."""

    span: Span
    text: Text


@node
class Assert:
    span: Span
    condition: Expr
    text: Text


@node
class Breakpoint:
    span: Span


Stmt = (
    Assign | Store | Atomic | View | Warp | Barrier | Fence | Allocate | If | For | While | Scope
    | Break | Continue | Return | Print | Assert | Breakpoint
)  # fmt: skip
Body = tuple[Stmt, ...]


# ---------------------------------------------------------------- kernels
@record
class Options:
    """What a specialisation was asked for, and what its launch promises: `noalias`, that no array
    that is written overlaps another; `small`, that each array spans less than 2**31 bytes, and no
    extent, no axis of the grid in threads, and no int64 argument (its sign aside) is 2**30 or more,
    nor has the grid 2**16 blocks along y or z, which is more than CUDA takes.
    """

    debug: bool = False
    reproducible: bool = False
    wraparound: bool = True
    noalias: bool = False
    small: bool = False


@node
class Kernel:
    """`span` is the def line; its file is the user's."""

    name: str
    params: tuple[Symbol, ...]
    body: Body
    span: Span
    options: Options


# ---------------------------------------------------------------- walking
def children(expr: Expr) -> tuple[Expr, ...]:
    """The operands of an expression, in order of evaluation."""
    match expr:
        case Unary() | Cast():
            return (expr.operand,)
        case Binary() | Compare() | Logical():
            return (expr.left, expr.right)
        case Select():
            return (expr.condition, expr.then, expr.orelse)
        case Intrinsic():
            return expr.args
        case Load():
            return expr.indices
        case _:
            return ()


def walk_expr(expr: Expr) -> Iterator[Expr]:
    """An expression and all below it, parents first."""
    yield expr
    for child in children(expr):
        yield from walk_expr(child)


def expressions(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions of a statement itself, not those of the bodies inside it."""
    match stmt:
        case Assign():
            return (stmt.value,)
        case Store():
            return (*stmt.indices, stmt.value)
        case Atomic():
            return (*stmt.indices, *stmt.operands)
        case View():
            return stmt.indices
        case Warp():
            return stmt.operands if stmt.mask is None else (stmt.mask, *stmt.operands)
        case Barrier():
            return () if stmt.predicate is None else (stmt.predicate,)
        case If() | While():
            return (stmt.condition,)
        case For():
            return (stmt.start, stmt.stop, stmt.step)
        case Print():
            return tuple(p.value for p in stmt.text if isinstance(p, Formatted))
        case Assert():
            return (stmt.condition, *(p.value for p in stmt.text if isinstance(p, Formatted)))
        case _:
            return ()


def bodies(stmt: Stmt) -> tuple[Body, ...]:
    """The bodies inside a statement, in order."""
    match stmt:
        case If():
            return (stmt.then, stmt.orelse)
        case For() | Scope():
            return (stmt.body,)
        case While():
            return (stmt.prelude, stmt.body)
        case _:
            return ()


def targets(stmt: Stmt) -> tuple[Var, ...]:
    """The scalar variables that a statement itself assigns."""
    match stmt:
        case Assign() | For():
            return (stmt.target,)
        case Atomic() | Barrier():
            return () if stmt.result is None else (stmt.result,)
        case Warp():
            return stmt.results
        case _:
            return ()


def walk(body: Body) -> Iterator[Stmt]:
    """All statements of a body, outer ones first."""
    for stmt in body:
        yield stmt
        for inner in bodies(stmt):
            yield from walk(inner)
