"""The invariants of symbols and expressions: half of `ir/verify.py`.

In: nodes, in the order in which they run. Out: diagnostics, collected in `problems`.
Holds: what `ir/verify.py` says of them; a node too broken to look at is reported once and left.
"""

from __future__ import annotations

from typing import Final, assert_never

import numpy as np

from kernelkit.errors import NOWHERE, Diagnostic, Span
from kernelkit.ir import nodes as ir
from kernelkit.ir import scalar
from kernelkit.ir.printer import format_expr, format_stmt
from kernelkit.ir.types import BOOL, DTYPES, INT64, AddressSpace, ArrayType, DType

#: Special register -> number of axes.
REGISTERS: Final = {"threadIdx": 3, "blockIdx": 3, "blockDim": 3, "gridDim": 3, "laneid": 1}

_PYTHON: Final = {"b": bool, "i": int, "u": int, "f": float, "c": complex}


def is_dtype(value: object) -> bool:
    return isinstance(value, DType) and DTYPES.get(value.name) == value


def _constant_problem(dtype: DType, value: object) -> str | None:
    """Why a value is not a constant of a type."""
    if type(value) is not _PYTHON[dtype.kind]:
        return f"a constant of {dtype} holds {value!r}, a {type(value).__name__}"
    if isinstance(value, int) and dtype.is_integer and not dtype.minimum <= value <= dtype.maximum:
        return f"the constant {value} does not fit {dtype}"
    parts: tuple[float, ...] = ()
    if isinstance(value, float):
        parts = (value,)
    elif isinstance(value, complex):
        parts = (value.real, value.imag)
    with np.errstate(all="ignore"):
        exact = all(float(dtype.component.numpy.type(p)) == p or p != p for p in parts)
    return None if exact else f"the constant {value!r} is not exact in {dtype}"


def _array_problem(array: ir.ArrayVar) -> str | None:
    """What is wrong with an array's type and shape, taken together."""
    kind, shape = array.type, array.shape
    if not (isinstance(kind, ArrayType) and is_dtype(kind.dtype) and kind.ndim >= 0):
        return f"array {array.name!r} has no array type: {kind!r}"
    if type(kind.layout) is not int and kind.layout not in ("C", "A"):
        return f"array {array.name!r} has an unknown layout: {kind.layout!r}"
    if kind.space is AddressSpace.GLOBAL:
        return f"global array {array.name!r} has a static shape {shape}" if shape else None
    if kind.layout != "C":
        return f"{kind.space.value} array {array.name!r} is not contiguous"
    if len(shape) != kind.ndim:
        return f"array {array.name!r} has {kind.ndim} axes, but its shape is {shape}"
    if not array.is_dynamic and not all(type(n) is int and n > 0 for n in shape):
        return f"array {array.name!r} has a shape that is not of positive integers: {shape}"
    return None


class ExpressionVerifier:
    """Collects what is wrong with symbols and expressions; knows what is declared so far."""

    def __init__(self) -> None:
        self.problems: list[Diagnostic] = []
        self.symbols: dict[str, ir.Symbol] = {}
        self.seen: set[ir.Symbol] = set()
        self.assigned: set[ir.Var] = set()
        self.reads: dict[ir.Var, ir.Read] = {}
        self.declared: set[ir.ArrayVar] = set()
        self.visible: set[ir.ArrayVar] = set()

    # ------------------------------------------------------------ reporting
    def report(self, node: ir.Expr | ir.Stmt | ir.Kernel, message: str) -> None:
        span = node.span if isinstance(node.span, Span) else NOWHERE
        text = node.name if isinstance(node, ir.Kernel) else _first_line(node)
        where = f"{type(node).__name__} `{text}`"
        self.problems.append(Diagnostic(span, f"broken IR: {message}; in {where}"))

    def expect(self, node: ir.Expr | ir.Stmt, what: str, found: DType, *wanted: DType) -> None:
        if found not in wanted:
            self.report(node, f"{what} is {found}, not {' or '.join(map(str, wanted))}")

    def span(self, node: ir.Expr | ir.Stmt | ir.Kernel) -> None:
        if not isinstance(node.span, Span) or node.span.line < 1:
            self.report(node, "the span is missing")

    # ------------------------------------------------------------ symbols
    def new(self, node: ir.Expr | ir.Stmt | ir.Kernel, symbol: ir.Symbol) -> bool:
        """Whether a symbol is seen for the first time; its name must be new then."""
        if symbol in self.seen:
            return False
        self.seen.add(symbol)
        if not symbol.name:
            self.report(node, "a symbol has an empty name")
        elif self.symbols.setdefault(symbol.name, symbol) is not symbol:
            self.report(node, f"the name {symbol.name!r} stands for two symbols")
        return True

    def var(self, node: ir.Expr | ir.Stmt | ir.Kernel, var: object) -> bool:
        if not isinstance(var, ir.Var):
            self.report(node, f"{var!r} is not a variable")
            return False
        if self.new(node, var) and not is_dtype(var.type):
            self.report(node, f"variable {var.name!r} has no scalar type: {var.type!r}")
        return True

    def declare(self, node: ir.Stmt | ir.Kernel, array: object) -> bool:
        """Brings an array into being; whether its type makes sense."""
        if not isinstance(array, ir.ArrayVar):
            self.report(node, f"{array!r} is not an array")
            return False
        if array in self.declared:
            self.report(node, f"array {array.name!r} is declared twice")
        self.declared.add(array)
        self.visible.add(array)
        problem = _array_problem(array)
        if self.new(node, array) and problem:
            self.report(node, problem)
        return problem is None

    def array(self, node: ir.Expr | ir.Stmt, array: object) -> bool:
        """Whether an array may be used here."""
        if not isinstance(array, ir.ArrayVar):
            self.report(node, f"{array!r} is not an array")
        elif array not in self.visible:
            self.report(node, f"array {array.name!r} is not declared where this is")
        return isinstance(array, ir.ArrayVar) and _array_problem(array) is None

    # ------------------------------------------------------------ expressions
    def expr(self, parent: ir.Expr | ir.Stmt, expr: object) -> bool:
        """Checks an expression and all below it; whether it is whole enough to look at its type."""
        if not isinstance(expr, ir.Expr):
            self.report(parent, f"{expr!r} is not an expression")
            return False
        self.span(expr)
        whole = [self.expr(expr, child) for child in ir.children(expr)]
        if not all(whole):
            return False
        if not is_dtype(expr.type):
            self.report(expr, f"{expr.type!r} is not a scalar type")
            return False
        self._typing(expr)
        return True

    def _typing(self, expr: ir.Expr) -> None:
        match expr:
            case ir.Constant():
                if problem := _constant_problem(expr.type, expr.value):
                    self.report(expr, problem)
            case ir.Read():
                if self.var(expr, expr.var):
                    self.reads.setdefault(expr.var, expr)
                    self.expect(expr, "the type of the read", expr.type, expr.var.type)
            case ir.SpecialRegister():
                if not 0 <= expr.axis < REGISTERS.get(expr.register, 0):
                    self.report(expr, f"no register {expr.register!r} with axis {expr.axis}")
                self.expect(expr, "the type of a register", expr.type, INT64)
            case ir.Unary():
                self._operation(expr, expr.op, scalar.UNARY)
            case ir.Binary():
                self._operation(expr, expr.op, scalar.BINARY)
            case ir.Compare():
                self._operation(expr, expr.op, scalar.COMPARE)
            case ir.Logical():
                if expr.op not in ("and", "or"):
                    self.report(expr, f"unknown operation {expr.op!r}")
                for found in (expr.left.type, expr.right.type, expr.type):
                    self.expect(expr, "the type of an operand or of the result", found, BOOL)
            case ir.Select():
                self.expect(expr, "the condition", expr.condition.type, BOOL)
                self.expect(expr, "the first arm", expr.then.type, expr.type)
                self.expect(expr, "the second arm", expr.orelse.type, expr.type)
            case ir.Cast():
                self._cast(expr)
            case ir.Intrinsic():
                self._intrinsic(expr)
            case ir.Load():
                if self.element(expr, expr.array, expr.indices):
                    self.expect(expr, "the type of the load", expr.type, expr.array.type.dtype)
            case ir.Extent():
                if self.array(expr, expr.array) and not 0 <= expr.axis < expr.array.type.ndim:
                    self.report(expr, f"array {expr.array.name!r} has no axis {expr.axis}")
                self.expect(expr, "the type of an extent", expr.type, INT64)
            case _:
                assert_never(expr)

    def _operation(self, expr: ir.Expr, op: str, known: tuple[str, ...]) -> None:
        if op not in known:
            self.report(expr, f"unknown operation {op!r}")
            return
        operands = [child.type for child in ir.children(expr)]
        if len(set(operands)) > 1:
            names = " and ".join(map(str, operands))
            self.report(expr, f"the operands are {names}, not of one type")
        else:
            self._result(expr, op, operands)

    def _result(self, expr: ir.Expr, op: str, operands: list[DType]) -> None:
        result = scalar.result_type(op, *operands)
        if result is None:
            self.report(expr, f"{op} is not defined for {', '.join(map(str, operands))}")
        elif result != expr.type:
            names = ", ".join(map(str, operands))
            self.report(expr, f"{op} of {names} gives {result}, not {expr.type}")

    def _intrinsic(self, expr: ir.Intrinsic) -> None:
        function = scalar.FUNCTIONS.get(expr.function)
        if function is None:
            self.report(expr, f"unknown function {expr.function!r}")
        elif function.arity != len(expr.args):
            count = f"{function.arity} arguments, not {len(expr.args)}"
            self.report(expr, f"{expr.function} takes {count}")
        else:
            self._result(expr, expr.function, [arg.type for arg in expr.args])

    def _cast(self, expr: ir.Cast) -> None:
        source, target = expr.operand.type, expr.type
        if source == target:
            self.report(expr, f"a cast of {source} to itself")
        elif not scalar.can_cast(source, target):
            self.report(expr, f"there is no cast from {source} to {target}")

    def indices(self, node: ir.Expr | ir.Stmt, indices: tuple[ir.Expr, ...]) -> None:
        for index in indices:
            if not index.type.is_integer:
                self.report(node, f"an index is {index.type}, not an integer")

    def element(
        self, node: ir.Expr | ir.Stmt, array: ir.ArrayVar, indices: tuple[ir.Expr, ...]
    ) -> bool:
        """Checks the access to one element; whether the array's type can be relied on."""
        self.indices(node, indices)
        if not self.array(node, array):
            return False
        if len(indices) != array.type.ndim:
            count = f"{array.type.ndim} axes, but {len(indices)} indices are given"
            self.report(node, f"array {array.name!r} has {count}")
        return True


def _first_line(node: ir.Expr | ir.Stmt) -> str:
    """A node's text for a message; nothing where it is too broken to print."""
    try:
        text = format_stmt(node) if isinstance(node, ir.Stmt) else format_expr(node)
    except (AssertionError, AttributeError, TypeError):
        return "..."
    return text.partition("\n")[0]
