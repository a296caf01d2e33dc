"""The text form of the IR, for golden tests and for people.

In: a kernel, a statement or an expression. Out: typed pseudo-code in the manner of Python, with
everything implicit written out: the type where a variable is first assigned, casts, all three
operands of a range, the mask of a warp operation.

    int64, float64 and bool constants are bare, others have a suffix (1i32, 0.5f32, 7u8); what has
    no digits is float32("nan"), a complex constant complex64(1.0, -2.0). A temporary `.1` is `$1`.

Holds: the text depends on structure and names alone, never on identity, spans (unless asked for)
or settings of NumPy; parentheses stand where Python needs them, so that two different trees never
look alike; broken IR prints too, because messages about it need that.
"""

from __future__ import annotations

import json
import math
import os.path
import zlib
from dataclasses import fields
from typing import Any, Final, assert_never

import numpy as np

from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import DType

# How tightly Python binds, loosest first.
_SELECT, _OR, _AND, _NOT, _COMPARE = 1, 2, 3, 4, 5
_SIGN, _POWER, _ATOM = 12, 13, 14

_LOGICAL: Final = {"or": ("or", _OR), "and": ("and", _AND)}
_COMPARISON: Final = {
    "lt": ("<", _COMPARE), "le": ("<=", _COMPARE), "gt": (">", _COMPARE),
    "ge": (">=", _COMPARE), "eq": ("==", _COMPARE), "ne": ("!=", _COMPARE),
}  # fmt: skip
_INFIX: Final = {
    "or": ("|", 6), "xor": ("^", 7), "and": ("&", 8), "shl": ("<<", 9), "shr": (">>", 9),
    "add": ("+", 10), "sub": ("-", 10), "mul": ("*", 11), "truediv": ("/", 11),
    "floordiv": ("//", 11), "mod": ("%", 11), "pow": ("**", _POWER),
}  # fmt: skip
_PREFIX: Final = {"neg": ("-", _SIGN), "invert": ("~", _SIGN), "not": ("not ", _NOT)}

_INDENT: Final = "    "
#: A constant array with more elements is shown by its first ones and a checksum.
_SHOWN_WHOLE, _SHOWN_PART = 64, 8


def format_kernel(kernel: ir.Kernel, *, spans: bool = False) -> str:
    """The whole kernel; with `spans`, each statement ends in `# line N`."""
    printer = _Printer(spans, kernel.span.file)
    printer.kernel(kernel)
    return "\n".join(printer.lines)


def format_stmt(stmt: ir.Stmt) -> str:
    """One statement with the bodies inside it."""
    printer = _Printer(False, "")
    printer.stmt(0, stmt)
    return "\n".join(printer.lines)


def format_expr(expr: ir.Expr) -> str:
    """One expression."""
    return _expr(expr)[0]


# ---------------------------------------------------------------- names and constants
def _name(symbol: ir.Symbol) -> str:
    name = symbol.name
    return f"${name[1:]}" if name.startswith(".") else name


def _shortest(value: float, dtype: DType) -> str:
    """The fewest digits that give `value` in its type; so 0.1 in float32, too."""
    if dtype.name in ("float16", "float32") and math.isfinite(value):
        with np.errstate(all="ignore"):
            for digits in range(1, 10):
                text = repr(float(f"{value:.{digits}g}"))
                if float(dtype.numpy.type(text)) == value:
                    return text
    return repr(value)


def _number(dtype: DType, value: Any) -> str:
    """A constant without its suffix, where it has one."""
    if dtype.is_float and type(value) is float:
        if math.isfinite(value):
            return _shortest(value, dtype)
        return f'{dtype}("{value}")'
    if dtype.is_complex and type(value) is complex:
        parts = (_shortest(part, dtype.component) for part in (value.real, value.imag))
        return f"{dtype}({', '.join(parts)})"
    return repr(value)


def _constant(dtype: DType, value: Any) -> str:
    proper = {"b": bool, "i": int, "u": int, "f": float, "c": complex}.get(dtype.kind)
    if type(value) is not proper:
        return f"{dtype}({value!r})"
    text = _number(dtype, value)
    bare = text.startswith(str(dtype)) or dtype.name in ("bool", "int64", "float64")
    return text if bare else f"{text}{dtype.kind}{dtype.bits}"


def _elements(dtype: DType, data: np.ndarray[Any, Any]) -> str:
    flat = data.reshape(-1)
    shown = flat if flat.size <= _SHOWN_WHOLE else flat[:_SHOWN_PART]
    texts = [_number(dtype, value) for value in shown.tolist()]
    if shown.size < flat.size:
        checksum = zlib.crc32(flat.tobytes())
        texts.append(f"... {flat.size - shown.size} more, crc32 {checksum:08x}")
    return f"[{', '.join(texts)}]"


# ---------------------------------------------------------------- expressions
def _expr(expr: ir.Expr) -> tuple[str, int]:
    """The text and how tightly it binds."""
    match expr:
        case ir.Constant():
            text = _constant(expr.type, expr.value)
            return text, _SIGN if text.startswith("-") else _ATOM
        case ir.Read():
            return _name(expr.var), _ATOM
        case ir.SpecialRegister():
            return _register(expr), _ATOM
        case ir.Unary():
            return _unary(expr)
        case ir.Binary():
            return _infix(_INFIX, expr)
        case ir.Compare():
            return _infix(_COMPARISON, expr)
        case ir.Logical():
            return _infix(_LOGICAL, expr)
        case ir.Select():
            arms = (expr.then, expr.condition, expr.orelse)
            then, condition, orelse = (_operand(arm, _SELECT + 1) for arm in arms)
            return f"{then} if {condition} else {orelse}", _SELECT
        case ir.Cast():
            return f"{expr.type}({format_expr(expr.operand)})", _ATOM
        case ir.Intrinsic():
            return f"{expr.function}({_commas(expr.args)})", _ATOM
        case ir.Load():
            return _element(expr.array, expr.indices), _ATOM
        case ir.Extent():
            return f"{_name(expr.array)}.shape[{expr.axis}]", _ATOM
        case _:
            assert_never(expr)


def _operand(expr: ir.Expr, least: int) -> str:
    text, binding = _expr(expr)
    return text if binding >= least else f"({text})"


def _unary(expr: ir.Unary) -> tuple[str, int]:
    if expr.op not in _PREFIX:
        return f"{expr.op}({format_expr(expr.operand)})", _ATOM
    symbol, binding = _PREFIX[expr.op]
    # -(5) is an operation, -5 a constant.
    least = _ATOM + 1 if expr.op == "neg" and isinstance(expr.operand, ir.Constant) else binding
    return symbol + _operand(expr.operand, least), binding


def _infix(
    symbols: dict[str, tuple[str, int]], expr: ir.Binary | ir.Compare | ir.Logical
) -> tuple[str, int]:
    if expr.op not in symbols:
        return f"{expr.op}({_commas((expr.left, expr.right))})", _ATOM
    symbol, binding = symbols[expr.op]
    # Comparisons would chain, and ** groups to the right: both sides need parentheses there.
    loose = binding + (binding in (_COMPARE, _POWER))
    left, right = _operand(expr.left, loose), _operand(expr.right, binding + 1)
    return f"{left} {symbol} {right}", binding


def _register(expr: ir.SpecialRegister) -> str:
    if expr.register == "laneid" and expr.axis == 0:
        return "laneid"
    axis = dict(enumerate("xyz")).get(expr.axis, expr.axis)
    return f"{expr.register}.{axis}"


def _commas(exprs: tuple[ir.Expr, ...]) -> str:
    return ", ".join(map(format_expr, exprs))


def _element(array: ir.ArrayVar, indices: tuple[ir.Expr, ...]) -> str:
    return f"{_name(array)}[{_commas(indices) or '()'}]"


def _text(text: ir.Text) -> str:
    return ", ".join(map(_part, text))


def _part(part: str | ir.Formatted) -> str:
    if isinstance(part, str):
        return json.dumps(part, ensure_ascii=False)
    return f"{{{format_expr(part.value)}{':' if part.spec else ''}{part.spec}}}"


# ---------------------------------------------------------------- statements
_Simple = (
    ir.Assign | ir.Store | ir.Atomic | ir.View | ir.Warp | ir.Barrier | ir.Fence | ir.Allocate
    | ir.Break | ir.Continue | ir.Return | ir.Print | ir.Assert | ir.Breakpoint
)  # fmt: skip


class _Printer:
    """Collects lines; remembers which variables have shown their type."""

    def __init__(self, spans: bool, file: str) -> None:
        self.lines: list[str] = []
        self._spans = spans
        self._file = file
        self._typed: set[ir.Var] = set()

    def kernel(self, kernel: ir.Kernel) -> None:
        asked = [
            f"{field.name}={value}"
            for field in fields(ir.Options)
            if (value := getattr(kernel.options, field.name)) != field.default
        ]
        if asked:
            self._line(0, f"@options({', '.join(asked)})")
        params = ", ".join(f"{_name(param)}: {param.type}" for param in kernel.params)
        self._typed.update(param for param in kernel.params if isinstance(param, ir.Var))
        self._line(0, f"kernel {kernel.name}({params}):", kernel.span)
        self._body(1, kernel.body)

    def _line(self, depth: int, text: str, span: Span | None = None) -> None:
        note = ""
        if self._spans and span is not None:
            other = "" if span.file == self._file else f" of {os.path.basename(span.file)}"
            note = f"  # line {span.line}{other}"
        self.lines.append(_INDENT * depth + text + note)

    def _body(self, depth: int, body: ir.Body) -> None:
        for stmt in body:
            self.stmt(depth, stmt)
        if not body:
            self._line(depth, "pass")

    def _define(self, var: ir.Var) -> str:
        """The name, with its type the first time."""
        if var in self._typed:
            return _name(var)
        self._typed.add(var)
        return f"{_name(var)}: {var.type}"

    def _results(self, *results: ir.Var | None) -> str:
        names = [self._define(result) for result in results if result is not None]
        return f"{', '.join(names)} = " if names else ""

    def stmt(self, depth: int, stmt: ir.Stmt) -> None:
        match stmt:
            case ir.If():
                self._if(depth, "if", stmt)
            case ir.For():
                bounds = _commas((stmt.start, stmt.stop, stmt.step))
                head = f"for {self._define(stmt.target)} in range({bounds}):"
                self._block(depth, head, stmt.span, stmt.body)
            case ir.While():
                if stmt.prelude:
                    self._block(depth, "prelude:", stmt.span, stmt.prelude)
                head = f"while {format_expr(stmt.condition)}:"
                self._block(depth, head, stmt.span, stmt.body)
            case ir.Scope():
                head = f"scope {stmt.function}".rstrip() + ":"
                self._block(depth, head, stmt.span, stmt.body)
            case _:
                self._line(depth, self._simple(stmt), stmt.span)

    def _block(self, depth: int, head: str, span: Span, body: ir.Body) -> None:
        self._line(depth, head, span)
        self._body(depth + 1, body)

    def _if(self, depth: int, word: str, stmt: ir.If) -> None:
        self._block(depth, f"{word} {format_expr(stmt.condition)}:", stmt.span, stmt.then)
        match stmt.orelse:
            case ():
                pass
            case (ir.If() as inner,):
                self._if(depth, "elif", inner)
            case _:
                self._line(depth, "else:")
                self._body(depth + 1, stmt.orelse)

    def _simple(self, stmt: _Simple) -> str:
        """A statement without bodies."""
        match stmt:
            case ir.Assign():
                return f"{self._define(stmt.target)} = {format_expr(stmt.value)}"
            case ir.Store():
                return f"{_element(stmt.array, stmt.indices)} = {format_expr(stmt.value)}"
            case ir.Atomic():
                place = _element(stmt.array, stmt.indices)
                operands = ", ".join((place, *map(format_expr, stmt.operands)))
                return f"{self._results(stmt.result)}atomic.{stmt.op}({operands})"
            case ir.View():
                base = _element(stmt.base, stmt.indices)
                return f"{_name(stmt.target)}: {stmt.target.type} = view {base}"
            case ir.Warp():
                return self._warp(stmt)
            case ir.Barrier():
                predicate = "" if stmt.predicate is None else format_expr(stmt.predicate)
                return f"{self._results(stmt.result)}barrier.{stmt.op}({predicate})"
            case ir.Fence():
                return f"fence.{stmt.scope}()"
            case ir.Allocate():
                return self._allocate(stmt)
            case ir.Break() | ir.Continue() | ir.Return():
                return type(stmt).__name__.lower()
            case ir.Print():
                return f"print({_text(stmt.text)})"
            case ir.Assert():
                text = f", {_text(stmt.text)}" if stmt.text else ""
                return f"assert {format_expr(stmt.condition)}{text}"
            case ir.Breakpoint():
                return "breakpoint()"
            case _:
                assert_never(stmt)

    def _warp(self, stmt: ir.Warp) -> str:
        operands = list(map(format_expr, stmt.operands))
        match stmt.mask:
            case None:
                pass
            case ir.Constant(value=int(lanes)):
                operands.append(f"mask={lanes:#010x}")
            case mask:
                operands.append(f"mask={format_expr(mask)}")
        return f"{self._results(*stmt.results)}warp.{stmt.op}({', '.join(operands)})"

    def _allocate(self, stmt: ir.Allocate) -> str:
        array = stmt.array
        words = ["dynamic"] if array.is_dynamic else list(map(str, array.shape))
        if stmt.data is not None:
            words.append(f"data={_elements(array.type.dtype, stmt.data)}")
        return f"{_name(array)}: {array.type} = allocate({', '.join(words)})"
