"""print and assert: text with numbers in it."""

from __future__ import annotations

import ast
import re
from typing import Final

from kernelkit.frontend import operators
from kernelkit.frontend.calls import refuse_stars
from kernelkit.frontend.context import (
    STATEMENTS,
    Context,
    handles,
)
from kernelkit.frontend.lazy import condition_of
from kernelkit.frontend.operands import (
    scalar,
)
from kernelkit.frontend.values import (
    Static,
    TupleValue,
    Unknown,
    Value,
)
from kernelkit.ir.nodes import (
    Assert,
    Formatted,
    Print,
    Text,
)

_SPEC: Final = re.compile(r"\d*(\.\d+)?[dxXfeg]?")


def print_text(ctx: Context, node: ast.Call) -> bool:
    refuse_stars(ctx, node)
    options = {"sep": " ", "end": "\n"}
    for keyword in node.keywords:
        if (
            keyword.arg not in options
            or not isinstance(keyword.value, ast.Constant)
            or not isinstance(keyword.value.value, str)
        ):
            ctx.fail(keyword.value, "print takes only sep= and end=, as string literals")
        options[keyword.arg] = keyword.value.value
    parts: list[str | Formatted] = []
    for i, arg in enumerate(node.args):
        if i:
            parts.append(options["sep"])
        parts += text_of(ctx, arg)
    ctx.emit(Print(ctx.span(node), _joined([*parts, options["end"]])))
    return True


def _joined(parts: list[str | Formatted]) -> Text:
    out: list[str | Formatted] = []
    for part in parts:
        if isinstance(part, str) and out and isinstance(out[-1], str):
            out[-1] += part
        elif part != "":
            out.append(part)
    return tuple(out)


def text_of(ctx: Context, node: ast.expr) -> list[str | Formatted]:
    """Printed text: a string, an f-string, a number, a tuple of these."""
    if isinstance(node, ast.JoinedStr):
        return [p for part in node.values for p in _fstring_part(ctx, part, node)]
    return _text(ctx, ctx.expression(node), node, "")


def _fstring_part(ctx: Context, node: ast.expr, whole: ast.JoinedStr) -> list[str | Formatted]:
    # Findings point at the whole f-string: where its parts stand differs between Pythons.
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    assert isinstance(node, ast.FormattedValue)
    spec = ""
    if isinstance(node.format_spec, ast.JoinedStr):
        if not all(isinstance(v, ast.Constant) for v in node.format_spec.values):
            ctx.fail(whole, "a format in a kernel must be literal, such as {x:8.3f}")
        spec = "".join(str(v.value) for v in node.format_spec.values if isinstance(v, ast.Constant))
    if node.conversion != -1 or not _SPEC.fullmatch(spec):
        ctx.fail(
            whole,
            "formats in a kernel are [width][.precision] and one of d x X f e g, such as {x:8.3f}",
        )
    return _text(ctx, ctx.expression(node.value), node.value, spec)


def _text(ctx: Context, value: Value, node: ast.expr, spec: str) -> list[str | Formatted]:
    match value:
        case Static():
            return [str(value.value)]
        case TupleValue():
            inner = [_text(ctx, item, node, spec) for item in value.items]
            spread = [p for i, part in enumerate(inner) for p in ([", "] if i else []) + part]
            return ["(", *spread, ")"]
    found = scalar(ctx, value, node)
    if isinstance(found, Unknown):
        return []
    expr = operators.settle(ctx, found, node)
    letter = spec[-1:] if spec[-1:].isalpha() else ""
    if letter and letter in "dxX" and not expr.type.is_integer:
        ctx.fail(node, f"the format {spec} needs an integer, not {expr.type}")
    if ((letter and letter in "feg") or "." in spec) and not expr.type.is_float:
        ctx.fail(node, f"the format {spec} needs a float, not {expr.type}")
    return [Formatted(expr, spec)]


@handles(STATEMENTS, ast.Assert)
def _assert(ctx: Context, node: ast.Assert) -> bool:
    condition = condition_of(ctx, node.test)
    with ctx.capture() as emitted:
        text = text_of(ctx, node.msg) if node.msg is not None else []
    if emitted:
        ctx.fail(node.msg or node, "the message of an assert must do nothing besides")
    if not isinstance(condition, Unknown):
        ctx.emit(Assert(ctx.span(node), condition, _joined(text)))
    return True
