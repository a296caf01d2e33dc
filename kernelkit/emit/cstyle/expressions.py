"""Expressions as C text.

In: expressions of the IR. Out: text that can stand anywhere without more parentheses.
Holds: `value` gives the register type of the expression's type; `short`, where it gives anything,
an i32 of the same value; `low` the low 32 bits of an integer, as an i32. What is lazy in the IR
stays lazy: no statement is printed while a lazy operand is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar, assert_never

from kernelkit.emit.cstyle.accesses import Accesses
from kernelkit.emit.cstyle.unit import Unit
from kernelkit.emit.python_names import described
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import INT32, INT64, DType

#: At multiples of this height a variable cuts an expression: compilers limit parentheses.
TALLEST: Final = 40
_PLAIN: Final = {"add": "+", "sub": "-", "mul": "*"}

T = TypeVar("T")

Access = ir.Load | ir.Store | ir.Atomic | ir.View


class Expressions:
    def __init__(self, unit: Unit, accesses: Accesses) -> None:
        self._unit, self._accesses = unit, accesses
        self._scalars, self._widths = unit.scalars, unit.widths
        self._lazy = 0
        self._heights: dict[ir.Expr, int] = {}
        #: Variables that are known to fit are i32s.
        self._short_variables: dict[ir.Var, bool] = {}
        #: Name -> the flag that says whether it was assigned, in debug kernels.
        self.flags: dict[ir.Var, str] = {}
        self.checked = False

    # ------------------------------------------------------------ three ways to ask
    def value(self, expr: ir.Expr) -> str:
        if expr.type == INT64:
            short = self.short(expr)
            if short is not None:
                return _wide(short)
        return self._cut(expr, self._operation(expr))

    def short(self, expr: ir.Expr) -> str | None:
        """An i32 of the same value."""
        if expr.type == INT32:
            return self.value(expr)
        if expr.type.is_integer and expr.type.bits < 32:
            return f"(i32){self.value(expr)}"
        if expr.type != INT64 or not self._widths.fits(expr):
            return None
        return self._short(expr)

    def low(self, expr: ir.Expr) -> str:
        """The low 32 bits, whatever the value."""
        short = self.short(expr)
        if short is not None:
            return short
        if isinstance(expr, ir.Binary) and expr.op in _PLAIN and expr.type == INT64:
            a, b = self.low(expr.left), self.low(expr.right)
            return self._scalars.expression(expr.op, (INT32, INT32), [a, b])
        return f"(i32){self.value(expr)}"

    # ------------------------------------------------------------ 32 bits
    def _short(self, expr: ir.Expr) -> str | None:
        match expr:
            case ir.Constant():
                return _int(int(expr.value.real))
            case ir.Read():
                return self._read(expr) if self.is_short(expr.var) else None
            case ir.SpecialRegister():
                return self._register(expr)
            case ir.Extent():
                text, ctype = self._accesses.extent(expr.array, expr.axis)
                return text if ctype == "i32" else None
            case ir.Cast():
                source = expr.operand
                if source.type.kind == "b":
                    return f"(i32){self.value(source)}"
                return self.short(source) if source.type.is_integer else None
            case ir.Binary():
                return self._short_binary(expr)
            case ir.Unary():
                operand = self.short(expr.operand)
                if operand is None:
                    return None
                return self._scalars.expression(expr.op, (INT32,), [operand])
            case ir.Select():
                then, orelse = self._arms(expr, self.short)
                if then is None or orelse is None:
                    return None
                return f"({self.value(expr.condition)} ? {then} : {orelse})"
            case ir.Intrinsic(function="uniform") if not self._unit.debug:
                return self.short(expr.args[0])
            case _:
                return None

    def _short_binary(self, expr: ir.Binary) -> str | None:
        left, right = self.short(expr.left), self.short(expr.right)
        if left is None or right is None:
            return None
        if expr.op in _PLAIN:
            return f"({left} {_PLAIN[expr.op]} {right})"  # the result fits: nothing overflows
        if expr.op in ("floordiv", "mod"):
            if self._widths.range(expr.left)[0] >= 0 and self._widths.range(expr.right)[0] > 0:
                symbol = "/" if expr.op == "floordiv" else "%"
                return f"(i32)((u32){left} {symbol} (u32){right})"
        elif expr.op in ("shl", "shr") and not isinstance(expr.right, ir.Constant):
            return None  # a count of 32 and more is one of a 64-bit integer
        elif isinstance(expr.right, ir.Constant) and expr.op in ("shl", "shr"):
            if not 0 <= int(expr.right.value.real) < 32:
                return None
        elif expr.op == "pow":
            return None
        return self._scalars.expression(expr.op, (INT32, INT32), [left, right])

    def is_short(self, var: ir.Var) -> bool:
        """Whether a variable of 64 bits is kept in 32."""
        if var not in self._short_variables:
            fits = var.type == INT64 and self._widths.variable_fits(var)
            self._short_variables[var] = fits
        return self._short_variables[var]

    def register_type(self, var: ir.Var) -> str:
        return "i32" if self.is_short(var) else self._scalars.register_type(var.type)

    # ------------------------------------------------------------ all others
    def _operation(self, expr: ir.Expr) -> str:
        match expr:
            case ir.Constant():
                return self._scalars.literal(expr.type, expr.value)
            case ir.Read():
                text = self._read(expr)
                return _wide(text) if self.is_short(expr.var) else text
            case ir.SpecialRegister():
                return _wide(self._register(expr))
            case ir.Unary():
                return self._scalar(expr.op, (expr.operand,))
            case ir.Compare():
                return self._compare(expr)
            case ir.Binary():
                return self._scalar(expr.op, (expr.left, expr.right))
            case ir.Logical():
                return f"({self._logical(expr)})"
            case ir.Select():
                condition = self.value(expr.condition)
                then, orelse = self._arms(expr, self.value)
                return f"({condition} ? {then} : {orelse})"
            case ir.Cast():
                return self._cast(expr)
            case ir.Intrinsic():
                return self._intrinsic(expr)
            case ir.Load():
                return self._load(expr)
            case ir.Extent():
                text, ctype = self._accesses.extent(expr.array, expr.axis)
                return text if ctype == "i64" else _wide(text)
            case _:
                assert_never(expr)

    def _read(self, expr: ir.Read) -> str:
        name = self._unit.names.of(expr.var)
        flag = self.flags.get(expr.var)
        if flag is None or expr not in self._unit.analysis.webs.unassigned:
            return name
        self.checked = True
        live = self._unit.live
        return (
            f"({self._unit.checks.assigned(expr, f'{flag} || !{live}' if live else flag)}, {name})"
        )

    def _register(self, expr: ir.SpecialRegister) -> str:
        if expr.register == "laneid":
            return "(i32)kk_lane"
        if expr.register == "blockDim":
            return str(self._unit.block[expr.axis])
        if expr.register == "threadIdx" and self._unit.block[expr.axis] == 1:
            return "0"
        return f"(i32){self._unit.register(expr.register, expr.axis)}"

    def _scalar(self, op: str, operands: Sequence[ir.Expr]) -> str:
        texts = [self.value(operand) for operand in operands]
        return self._scalars.expression(op, tuple(operand.type for operand in operands), texts)

    def _compare(self, expr: ir.Compare) -> str:
        if expr.left.type == INT64:
            left, right = self.short(expr.left), self.short(expr.right)
            if left is not None and right is not None:
                return self._scalars.expression(expr.op, (INT32, INT32), [left, right])
        return self._scalar(expr.op, (expr.left, expr.right))

    def _cast(self, expr: ir.Cast) -> str:
        source: DType = expr.operand.type
        if source == INT64:
            if expr.type.is_integer and expr.type.bits <= 32:
                low = self.low(expr.operand)
                return low if expr.type == INT32 else self._scalars.cast(INT32, expr.type, low)
            short = self.short(expr.operand)
            if short is not None:
                return self._scalars.cast(INT32, expr.type, short)
        return self._scalars.cast(source, expr.type, self.value(expr.operand))

    def _intrinsic(self, expr: ir.Intrinsic) -> str:
        if expr.function != "uniform":
            return self._scalar(expr.function, expr.args)
        return self.value(expr.args[0])

    def _logical(self, expr: ir.Logical) -> str:
        """Without parentheses, so that a chain of one operation stays flat."""
        left = expr.left
        chained = isinstance(left, ir.Logical) and left.op == expr.op
        text = self._logical(left) if chained else self.value(left)  # type: ignore[arg-type]
        with self._unevaluated():
            return f"{text} {'&&' if expr.op == 'and' else '||'} {self.value(expr.right)}"

    def _arms(self, expr: ir.Select, ask: Callable[[ir.Expr], T]) -> tuple[T, T]:
        with self._unevaluated():
            return ask(expr.then), ask(expr.orelse)

    @contextmanager
    def _unevaluated(self) -> Iterator[None]:
        """Inside, an operand may not be evaluated at all: it must stay where it is."""
        self._lazy += 1
        yield
        self._lazy -= 1

    # ------------------------------------------------------------ memory
    def _load(self, expr: ir.Load) -> str:
        dtype = expr.array.type.dtype
        inside, element = self.place(expr, expr.array, expr.indices)
        loaded = self._scalars.load(dtype, element)
        if not inside:
            return loaded
        return f"({inside} ? {loaded} : {self._scalars.literal(dtype, 0)})"

    def place(
        self, node: Access, array: ir.ArrayVar, indices: Sequence[ir.Expr]
    ) -> tuple[str, str]:
        """(a condition that must hold, or nothing; the element as an lvalue)."""
        if self._unit.debug and indices:
            return self._checked(node, array, indices)
        texts = [self._index(array, axis, index) for axis, index in enumerate(indices)]
        return "", self._accesses.element(array, texts)

    def _index(self, array: ir.ArrayVar, axis: int, index: ir.Expr) -> str:
        """An index in the type of offsets, wrapped where it may be negative."""
        ctype = self._accesses.offset_type(array)
        text = self.low(index) if ctype == "i32" else self._as_wide(index)
        if not self._wraps(index):
            return text
        extent, kind = self._accesses.extent(array, axis)
        return f"{self._wrap(ctype)}({text}, {_as(ctype, extent, kind)})"

    def _as_wide(self, index: ir.Expr) -> str:
        text = self.value(index)
        return text if index.type == INT64 else f"(i64){text}"

    def _wraps(self, index: ir.Expr) -> bool:
        if not self._unit.kernel.options.wraparound or not index.type.is_signed:
            return False
        return index not in self._unit.never_negative and self._widths.range(index)[0] < 0

    def _wrap(self, ctype: str) -> str:
        text = (
            f"{self._unit.dialect.scalars.function} {ctype} kk_wrap_{ctype}"
            f"({ctype} i, {ctype} n) {{ return i < 0 ? i + n : i; }}"
        )
        return self._unit.library.define(f"kk_wrap_{ctype}", text)

    def _checked(
        self, node: Access, array: ir.ArrayVar, indices: Sequence[ir.Expr]
    ) -> tuple[str, str]:
        """Each index is put into a variable, which the check and the access read."""
        self.checked = True
        unit, ctype = self._unit, self._accesses.offset_type(array)
        kept, elements, steps = [], [], []
        known = [self._accesses.extent(array, axis) for axis in range(array.type.ndim)]
        for (extent, kind), index in zip(known, indices, strict=False):
            wide = "u64" if index.type.name == "uint64" else "i64"
            name = unit.declare(wide, "index")
            steps.append(f"{name} = {self._as_wide(index) if wide == 'i64' else self.value(index)}")
            kept.append((index.type, name))
            text = name if wide == ctype else f"({ctype}){name}"
            if index.type.is_signed and unit.kernel.options.wraparound:
                text = f"{self._wrap(ctype)}({text}, {_as(ctype, extent, kind)})"
            elements.append(text)
        extents = [int(n) if n.isdigit() else _as("i64", n, kind) for n, kind in known]
        inside = unit.checks.inside(node, described(array.name), kept, extents)
        element = self._accesses.element(array, elements)
        if not unit.dialect.leaves:  # behind a fault nothing is touched: a view may have no start
            inside = f"{inside} && !kk_fault"
        return f"({', '.join([*steps, inside])})", element

    # ------------------------------------------------------------ tall ones
    def _cut(self, expr: ir.Expr, text: str) -> str:
        height = self._height(expr)
        if height == 0 or height % TALLEST or self._lazy or self._unit.debug:
            return text
        name = self._unit.declare(self._scalars.register_type(expr.type), "cut")
        self._unit.line(f"{name} = {text};")
        return name

    def _height(self, expr: ir.Expr) -> int:
        found = self._heights.get(expr)
        if found is None:
            below = [self._height(child) for child in ir.children(expr)]
            found = self._heights[expr] = max(below, default=-1) + 1
        return found


def _int(value: int) -> str:
    if value == -(1 << 31):
        return "(-2147483647 - 1)"
    return f"({value})" if value < 0 else str(value)


def _wide(short: str) -> str:
    return f"(i64){short}"


def _as(ctype: str, text: str, kind: str) -> str:
    return text if kind == ctype or text.isdigit() else f"({ctype}){text}"
