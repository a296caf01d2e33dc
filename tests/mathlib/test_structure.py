"""What the functions of mathlib are made of: nothing that two back ends could do differently."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from kernelkit.frontend import parser  # noqa: F401 - fills the tables of handlers
from kernelkit.frontend.expansion import Template, template
from kernelkit.ir.nodes import (
    Assign,
    Binary,
    Cast,
    Compare,
    Constant,
    Expr,
    If,
    Intrinsic,
    Load,
    Read,
    Unary,
    Var,
    expressions,
    walk,
    walk_expr,
)
from kernelkit.ir.types import FLOAT32, FLOAT64, DType
from kernelkit.mathlib import FUNCTIONS

EXACT = {
    "fma", "selp", "float_as_int", "int_as_float", "double_as_longlong", "longlong_as_double",
}  # fmt: skip
EACH = pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
NAMES = pytest.mark.parametrize("name", FUNCTIONS)


def of(name: str, dtype: DType) -> Template:
    return template(FUNCTIONS[name].bodies[dtype], dtype)


def tops(found: Template) -> Iterator[Expr]:
    for stmt in walk(found.body):
        yield from expressions(stmt)
    yield found.result


@EACH
@NAMES
def test_they_are_made_of_exact_operations(name: str, dtype: DType) -> None:
    found = of(name, dtype)
    assert {type(stmt) for stmt in walk(found.body)} <= {Assign, If}
    parts = [expr for top in tops(found) for expr in walk_expr(top)]
    kinds = {Binary, Cast, Compare, Constant, Intrinsic, Load, Read, Unary}
    assert {type(expr) for expr in parts} <= kinds
    assert {expr.function for expr in parts if isinstance(expr, Intrinsic)} <= EXACT
    operations = {expr.op for expr in parts if isinstance(expr, Binary) and expr.type.is_float}
    assert operations <= {"add", "sub", "mul", "truediv", "min", "max"}


@NAMES
def test_float32_needs_no_float64(name: str) -> None:
    """Which is slow on most GPUs, and missing on some."""
    types = {
        expr.type.name
        for top in tops(of(name, FLOAT32))
        for expr in walk_expr(top)
        if not isinstance(expr, (Constant, Read))
    }
    assert types <= {"bool", "float32", "int32", "uint32", "int64"}


@EACH
@NAMES
def test_branches_stand_around_what_is_rare(name: str, dtype: DType) -> None:
    count = sum(isinstance(stmt, If) for stmt in walk(of(name, dtype).body))
    assert count == (1 if name in ("sin", "cos", "tan", "pow") else 0)


# ---------------------------------------------------------------- contraction
class Products:
    """Follows what may be a product, rounded: an operation that adds to it could be fused with it.

    An argument may be one too, of the kernel. `min`, `max` and bits taken as a float are none.
    """

    def __init__(self, found: Template) -> None:
        self.products: set[Var] = set(found.params)
        self.fusable: list[Expr] = []
        for top in self.in_order(found):
            if isinstance(top, Assign):
                (self.products.add if self.product(top.value) else self.products.discard)(
                    top.target
                )
            else:
                self.product(top)

    def in_order(self, found: Template) -> Iterator[Assign | Expr]:
        for stmt in walk(found.body):
            if isinstance(stmt, Assign):
                yield stmt
            else:
                yield from expressions(stmt)
        yield found.result

    def product(self, expr: Expr) -> bool:
        match expr:
            case Read():
                return expr.var in self.products and expr.type.is_float
            case Unary():
                return self.product(expr.operand)
            case Cast():
                inner = self.product(expr.operand)
                return inner and expr.operand.type.is_float
            case Binary() if expr.type.is_float:
                either = [self.product(expr.left), self.product(expr.right)]
                if expr.op in ("add", "sub") and any(either):
                    self.fusable.append(expr)
                return expr.op == "mul"
            case Intrinsic():
                inside = [self.product(arg) for arg in expr.args]
                return expr.function == "selp" and any(inside)
            case Binary() | Compare():
                self.product(expr.left)
                self.product(expr.right)
                return False
            case _:
                return False


@EACH
@NAMES
def test_contraction_finds_nothing_to_fuse(name: str, dtype: DType) -> None:
    assert Products(of(name, dtype)).fusable == []


def test_a_product_that_is_added_would_be_found() -> None:
    source = "def f(x):\n    y = x * x\n    z = -y\n    return 1.0 + z\n"
    assert len(Products(written(source)).fusable) == 1
    assert len(Products(written("def f(x):\n    return x - 1.0\n")).fusable) == 1
    assert Products(written("def f(x):\n    return 1.0 + min(x, 2.0)\n")).fusable == []


def written(source: str) -> Template:
    import linecache

    name = f"<written {hash(source)}>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    scope: dict[str, object] = {}
    exec(compile(source, name, "exec"), scope)
    function = scope["f"]
    assert inspect.isfunction(function)
    return template(function, FLOAT32)
