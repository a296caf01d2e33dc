"""Every invariant of the IR: what the front end promises and all later rooms rely on.

In: a kernel. Out: the same kernel, or an InternalError that holds every finding, each with its
span, the node and what is wrong with it.

Holds of a verified kernel:
- Every operation is one of `ir/scalar.py` or of the tables below, with the operand and result
  types that these give; constants are Python's own values and exact in their type; no Cast is the
  identity or goes from complex to real; conditions are bool; indices are integers.
- No two symbols share a name. A variable that is read is a parameter or assigned somewhere (not
  on every path: a name may be unassigned). An array is declared once, as a parameter, by an
  Allocate or by a View, and used only after that, in the same body or in one inside it (what the
  prelude of a While declares also in its condition and body).
- No statement stands in two places, so that analyses can keep tables by statement.
- A Break is inside a loop or Scope; at a Continue, the innermost of these is a loop.
- Nothing writes to a constant or read-only array; atomics work on global and shared memory.
- Every node has a span with a line.

Allowed: statements after a Break, Continue or Return, which never run; empty bodies; the same
expression object in several places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, assert_never

from kernelkit.errors import InternalError
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    UINT32,
    UINT64,
    AddressSpace,
    ArrayType,
    DType,
)
from kernelkit.ir.verify_expressions import ExpressionVerifier, is_dtype

_WORDS: Final = (INT32, UINT32, INT64, UINT64)
_NUMBERS: Final = (*_WORDS, FLOAT32, FLOAT64)

#: Atomic operation -> (number of operands, dtypes).
ATOMICS: Final[dict[str, tuple[int, tuple[DType, ...]]]] = {
    **dict.fromkeys(("add", "sub", "min", "max", "nanmin", "nanmax", "exch"), (1, _NUMBERS)),
    **dict.fromkeys(("and", "or", "xor", "inc", "dec"), (1, _WORDS)),
    "cas": (2, _NUMBERS),
}

_Types = tuple[DType | None, ...]
#: Warp operation -> (has a mask, operand types, result types); None: the type of the value.
WARP: Final[dict[str, tuple[bool, _Types, _Types]]] = {
    "sync": (True, (), ()),
    **dict.fromkeys(("shfl", "shfl_up", "shfl_down", "shfl_xor"), (True, (None, INT32), (None,))),
    **dict.fromkeys(("all", "any", "eq"), (True, (BOOL,), (BOOL,))),
    "ballot": (True, (BOOL,), (UINT32,)),
    "match_any": (True, (None,), (UINT32,)),
    "match_all": (True, (None,), (UINT32, BOOL)),
    "activemask": (False, (), (UINT32,)),
}

#: Barrier operation -> result type; None: neither predicate nor result.
BARRIERS: Final[dict[str, DType | None]] = {"sync": None, "count": INT32, "and": BOOL, "or": BOOL}

FENCES: Final = ("block", "device", "system")

_SPEC: Final = re.compile(r"(\d+)?(\.\d+)?[dxXfeg]?")


def verify(kernel: ir.Kernel) -> ir.Kernel:
    """The same kernel; raises InternalError where it is broken."""
    verifier = _Verifier()
    verifier.kernel(kernel)
    if verifier.problems:
        raise InternalError("\n".join(map(str, dict.fromkeys(verifier.problems))))
    return kernel


class _Verifier(ExpressionVerifier):
    """Walks a kernel once, in order, and collects what is wrong."""

    def __init__(self) -> None:
        super().__init__()
        #: The loops (True) and scopes (False) around the current statement.
        self._around: list[bool] = []
        self._placed: set[ir.Stmt] = set()

    # ------------------------------------------------------------ kernel
    def kernel(self, kernel: ir.Kernel) -> None:
        self.span(kernel)
        for param in kernel.params:
            match param:
                case ir.Var():
                    self.var(kernel, param)
                    if param in self.assigned:
                        self.report(kernel, f"parameter {param.name!r} is there twice")
                    self.assigned.add(param)
                case ir.ArrayVar():
                    if self.declare(kernel, param) and param.type.space is not AddressSpace.GLOBAL:
                        self.report(kernel, f"parameter {param.name!r} is not a global array")
                case _:
                    self.report(kernel, f"{param!r} is not a parameter")
        self._body(kernel, kernel.body)
        for var, read in self.reads.items():
            if var not in self.assigned:
                self.report(read, f"variable {var.name!r} is read and never assigned")

    # ------------------------------------------------------------ statements
    def _body(self, parent: ir.Stmt | ir.Kernel, body: object) -> None:
        if not isinstance(body, tuple):
            self.report(parent, f"a body is a {type(body).__name__}, not a tuple")
            return
        for stmt in body:
            if isinstance(stmt, ir.Stmt):
                self._stmt(stmt)
            else:
                self.report(parent, f"{stmt!r} is not a statement")

    @contextmanager
    def _inside(self, stmt: ir.Stmt) -> Iterator[None]:
        """Within a body of `stmt`: what is declared there ends there."""
        visible, around = self.visible, self._around
        self.visible = set(visible)
        if not isinstance(stmt, ir.If):
            self._around = [*around, not isinstance(stmt, ir.Scope)]
        yield
        self.visible, self._around = visible, around

    def _stmt(self, stmt: ir.Stmt) -> None:
        self.span(stmt)
        if stmt in self._placed:
            self.report(stmt, "a statement that stands in two places")
        self._placed.add(stmt)
        self.assigned.update([var for var in ir.targets(stmt) if self.var(stmt, var)])
        if isinstance(stmt, ir.While):
            with self._inside(stmt):
                self._body(stmt, stmt.prelude)
                self._own(stmt)
                self._body(stmt, stmt.body)
            return
        self._own(stmt)
        if isinstance(stmt, ir.View):
            self.declare(stmt, stmt.target)
        elif isinstance(stmt, ir.Allocate):
            self.declare(stmt, stmt.array)
        for body in ir.bodies(stmt):
            with self._inside(stmt):
                self._body(stmt, body)

    def _own(self, stmt: ir.Stmt) -> None:
        """What a statement says itself, without its bodies."""
        whole = [self.expr(stmt, expr) for expr in ir.expressions(stmt)]
        whole += [isinstance(v, ir.Var) and is_dtype(v.type) for v in ir.targets(stmt)]
        if not all(whole):
            return
        match stmt:
            case ir.Assign():
                self.expect(stmt, "the value", stmt.value.type, stmt.target.type)
            case ir.Store():
                if self._write(stmt, stmt.array, stmt.indices):
                    self.expect(stmt, "the value", stmt.value.type, stmt.array.type.dtype)
            case ir.Atomic():
                self._atomic(stmt)
            case ir.View():
                self._view(stmt)
            case ir.Warp():
                self._warp(stmt)
            case ir.Barrier():
                self._barrier(stmt)
            case ir.Fence():
                if stmt.scope not in FENCES:
                    self.report(stmt, f"unknown scope {stmt.scope!r}")
            case ir.Allocate():
                self._allocate(stmt)
            case ir.For():
                for expr in (stmt.start, stmt.stop, stmt.step, stmt.target):
                    self.expect(stmt, "a bound or the target of a loop", expr.type, INT64)
            case ir.If() | ir.While():
                self.expect(stmt, "the condition", stmt.condition.type, BOOL)
            case ir.Assert():
                self.expect(stmt, "the condition", stmt.condition.type, BOOL)
                self._text(stmt, stmt.text)
            case ir.Print():
                self._text(stmt, stmt.text)
            case ir.Break() | ir.Continue():
                self._leave(stmt)
            case ir.Scope() | ir.Return() | ir.Breakpoint():
                pass
            case _:
                assert_never(stmt)

    def _write(
        self, stmt: ir.Store | ir.Atomic, array: ir.ArrayVar, indices: tuple[ir.Expr, ...]
    ) -> bool:
        if not self.element(stmt, array, indices):
            return False
        if array.type.readonly or array.type.space is AddressSpace.CONSTANT:
            self.report(stmt, f"a write to array {array.name!r}, which is constant or read-only")
        return True

    def _atomic(self, stmt: ir.Atomic) -> None:
        if not self._write(stmt, stmt.array, stmt.indices):
            return
        kind = stmt.array.type
        if stmt.op not in ATOMICS:
            self.report(stmt, f"unknown operation {stmt.op!r}")
            return
        count, dtypes = ATOMICS[stmt.op]
        if kind.dtype not in dtypes:
            self.report(stmt, f"atomic {stmt.op} does not work on {kind.dtype}")
        if kind.space is AddressSpace.LOCAL:
            self.report(stmt, f"an atomic on array {stmt.array.name!r}, which is local")
        if len(stmt.operands) != count:
            self.report(stmt, f"atomic {stmt.op} takes {count} operands, not {len(stmt.operands)}")
        for operand in stmt.operands:
            self.expect(stmt, "an operand", operand.type, kind.dtype)
        if stmt.result is not None:
            self.expect(stmt, "the result", stmt.result.type, kind.dtype)

    def _view(self, stmt: ir.View) -> None:
        self.indices(stmt, stmt.indices)
        if not self.array(stmt, stmt.base) or not isinstance(stmt.target, ir.ArrayVar):
            return
        base, given = stmt.base.type, len(stmt.indices)
        if given >= base.ndim:
            self.report(stmt, f"a view with {given} indices of {base.ndim} axes leaves none")
            return
        wanted = ArrayType(base.dtype, base.ndim - given, base.layout, base.space, base.readonly)
        if stmt.target.type != wanted:
            self.report(stmt, f"the view is a {stmt.target.type}, not a {wanted}")
        elif stmt.target.shape != stmt.base.shape[given:]:
            self.report(stmt, f"the view's shape is {stmt.target.shape}, not that of its base")

    def _warp(self, stmt: ir.Warp) -> None:
        if stmt.op not in WARP:
            self.report(stmt, f"unknown operation {stmt.op!r}")
            return
        masked, operands, results = WARP[stmt.op]
        if masked != (stmt.mask is not None):
            self.report(stmt, f"warp {stmt.op} takes {'a' if masked else 'no'} mask")
        if stmt.mask is not None:
            self.expect(stmt, "the mask", stmt.mask.type, UINT32)
        if len(stmt.operands) != len(operands):
            count = f"{len(operands)} operands, not {len(stmt.operands)}"
            self.report(stmt, f"warp {stmt.op} takes {count}")
            return
        value = stmt.operands[0].type if stmt.operands else BOOL
        for operand, wanted in zip(stmt.operands, operands, strict=True):
            self.expect(stmt, "an operand", operand.type, wanted or value)
        if stmt.results and len(stmt.results) != len(results):
            self.report(
                stmt, f"warp {stmt.op} gives {len(results)} results, not {len(stmt.results)}"
            )
            return
        for result, wanted in zip(stmt.results, results, strict=False):
            self.expect(stmt, "a result", result.type, wanted or value)

    def _barrier(self, stmt: ir.Barrier) -> None:
        if stmt.op not in BARRIERS:
            self.report(stmt, f"unknown operation {stmt.op!r}")
            return
        result = BARRIERS[stmt.op]
        if (result is None) != (stmt.predicate is None):
            self.report(
                stmt, f"barrier {stmt.op} takes {'no' if result is None else 'a'} predicate"
            )
        if stmt.predicate is not None:
            self.expect(stmt, "the predicate", stmt.predicate.type, BOOL)
        if stmt.result is not None:
            if result is None:
                self.report(stmt, f"barrier {stmt.op} gives no result")
            else:
                self.expect(stmt, "the result", stmt.result.type, result)

    def _allocate(self, stmt: ir.Allocate) -> None:
        array = stmt.array
        if not isinstance(array, ir.ArrayVar) or not isinstance(array.type, ArrayType):
            return
        constant = array.type.space is AddressSpace.CONSTANT
        if array.type.space is AddressSpace.GLOBAL:
            self.report(stmt, "an allocation of global memory")
        if constant != (stmt.data is not None):
            self.report(stmt, "data, which a constant array must have and no other may")
        elif stmt.data is not None:
            found = (stmt.data.dtype.name, stmt.data.shape)
            if found != (array.type.dtype.name, array.shape):
                self.report(stmt, f"the data's dtype and shape {found} are not the array's")

    def _text(self, stmt: ir.Print | ir.Assert, text: ir.Text) -> None:
        for part in text:
            match part:
                case str():
                    pass
                case ir.Formatted():
                    if not _SPEC.fullmatch(part.spec):
                        self.report(stmt, f"unknown format {part.spec!r}")
                    elif part.spec[-1:] in ("d", "x", "X") and part.value.type.kind not in "biu":
                        self.report(stmt, f"format {part.spec!r} of a {part.value.type}")
                case _:
                    self.report(stmt, f"{part!r} is neither text nor a value to print")

    def _leave(self, stmt: ir.Break | ir.Continue) -> None:
        word = type(stmt).__name__
        if not self._around:
            self.report(stmt, f"a {word} outside of loops and scopes")
        elif isinstance(stmt, ir.Continue) and not self._around[-1]:
            self.report(stmt, "a Continue whose innermost loop or scope is a scope")
