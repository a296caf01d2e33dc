from __future__ import annotations

import dataclasses
from typing import Any, get_args

import numpy as np
import pytest

from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import (
    BOOL,
    FLOAT32,
    INT32,
    INT64,
    UINT32,
    AddressSpace,
    ArrayType,
)

S = Span("kernels.py", 1)
X = ir.Var("x", INT64)
V, W = ir.Var("v", UINT32), ir.Var("w", BOOL)
ARRAY = ir.ArrayVar("array", ArrayType(FLOAT32, 2))
ROW = ir.ArrayVar("row", ArrayType(FLOAT32, 1))


def leaf() -> ir.Constant:
    return ir.Constant(S, INT64, 0)


A, B, C, D = leaf(), leaf(), leaf(), leaf()
SHOWN = ir.Formatted(C, "4d")
FIRST, SECOND = (ir.Break(S),), (ir.Return(S), ir.Breakpoint(S))

#: One of each expression, with its operands.
EXPRESSIONS: list[tuple[ir.Expr, tuple[ir.Expr, ...]]] = [
    (leaf(), ()),
    (ir.Read(S, INT64, X), ()),
    (ir.SpecialRegister(S, INT64, "threadIdx", 0), ()),
    (ir.Unary(S, INT64, "neg", A), (A,)),
    (ir.Binary(S, INT64, "add", A, B), (A, B)),
    (ir.Compare(S, BOOL, "lt", A, B), (A, B)),
    (ir.Logical(S, BOOL, "and", A, B), (A, B)),
    (ir.Select(S, INT64, A, B, C), (A, B, C)),
    (ir.Cast(S, INT32, A), (A,)),
    (ir.Intrinsic(S, INT64, "fma", (A, B, C)), (A, B, C)),
    (ir.Load(S, FLOAT32, ARRAY, (A, B)), (A, B)),
    (ir.Extent(S, INT64, ARRAY, 1), ()),
]

#: Of each statement: its expressions, the bodies inside it, the variables that it assigns.
STATEMENTS: list[tuple[ir.Stmt, tuple[ir.Expr, ...], tuple[ir.Body, ...], tuple[ir.Var, ...]]] = [
    (ir.Assign(S, X, A), (A,), (), (X,)),
    (ir.Store(S, ARRAY, (A, B), C), (A, B, C), (), ()),
    (ir.Atomic(S, "cas", ARRAY, (A, B), (C, D), X), (A, B, C, D), (), (X,)),
    (ir.Atomic(S, "add", ARRAY, (A, B), (C,), None), (A, B, C), (), ()),
    (ir.View(S, ROW, ARRAY, (A,)), (A,), (), ()),
    (ir.Warp(S, "match_all", A, (B,), (V, W)), (A, B), (), (V, W)),
    (ir.Warp(S, "activemask", None, (), (V,)), (), (), (V,)),
    (ir.Barrier(S, "or", A, W), (A,), (), (W,)),
    (ir.Barrier(S, "sync", None, None), (), (), ()),
    (ir.Fence(S, "block"), (), (), ()),
    (ir.Allocate(S, ARRAY, np.zeros((2, 2), np.float32)), (), (), ()),
    (ir.If(S, A, FIRST, SECOND), (A,), (FIRST, SECOND), ()),
    (ir.For(S, X, A, B, C, FIRST), (A, B, C), (FIRST,), (X,)),
    (ir.While(S, FIRST, A, SECOND), (A,), (FIRST, SECOND), ()),
    (ir.Scope(S, "f", FIRST), (), (FIRST,), ()),
    (ir.Break(S), (), (), ()),
    (ir.Continue(S), (), (), ()),
    (ir.Return(S), (), (), ()),
    (ir.Print(S, ("x = ", SHOWN, "\n")), (C,), (), ()),
    (ir.Assert(S, A, ("not ", SHOWN)), (A, C), (), ()),
    (ir.Breakpoint(S), (), (), ()),
]


def test_the_examples_are_all_there() -> None:
    assert {type(row[0]) for row in EXPRESSIONS} == set(get_args(ir.Expr))
    assert {type(row[0]) for row in STATEMENTS} == set(get_args(ir.Stmt))


def kind(row: tuple[Any, ...]) -> str:
    return type(row[0]).__name__


@pytest.mark.parametrize(("expr", "operands"), EXPRESSIONS, ids=map(kind, EXPRESSIONS))
def test_children_are_the_operands_in_order(expr: ir.Expr, operands: tuple[ir.Expr, ...]) -> None:
    assert ir.children(expr) == operands


@pytest.mark.parametrize(
    ("stmt", "exprs", "bodies", "targets"), STATEMENTS, ids=map(kind, STATEMENTS)
)
def test_what_a_statement_holds(
    stmt: ir.Stmt,
    exprs: tuple[ir.Expr, ...],
    bodies: tuple[ir.Body, ...],
    targets: tuple[ir.Var, ...],
) -> None:
    assert ir.expressions(stmt) == exprs
    assert ir.bodies(stmt) == bodies
    assert ir.targets(stmt) == targets


def test_expressions_are_walked_parents_first_and_left_to_right() -> None:
    product = ir.Binary(S, INT64, "mul", A, B)
    total = ir.Binary(S, INT64, "add", product, C)
    assert list(ir.walk_expr(total)) == [total, product, A, B, C]


def test_statements_are_walked_outer_first_and_in_order() -> None:
    before, after, deep, other = ir.Fence(S, "block"), ir.Return(S), ir.Break(S), ir.Breakpoint(S)
    prelude = ir.Assign(S, X, A)
    loop = ir.While(S, (prelude,), A, (deep,))
    branch = ir.If(S, A, (loop,), (other,))
    body = (before, branch, after)
    assert list(ir.walk(body)) == [before, branch, loop, prelude, deep, other, after]


NODES = [*get_args(ir.Expr), *get_args(ir.Stmt), ir.Var, ir.ArrayVar, ir.Formatted, ir.Kernel]


@pytest.mark.parametrize("cls", NODES)
def test_nodes_are_frozen_slotted_and_compared_by_identity(cls: type[Any]) -> None:
    names = [field.name for field in dataclasses.fields(cls)]
    one, other = cls(*names), cls(*names)
    assert one == one != other
    assert len({one, other, one}) == 2
    assert not hasattr(one, "__dict__")
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(one, names[0], None)


@pytest.mark.parametrize("cls", [*get_args(ir.Expr), *get_args(ir.Stmt)])
def test_every_node_has_a_span_and_every_expression_a_type(cls: type[Any]) -> None:
    leading = ["span", "type"] if cls in get_args(ir.Expr) else ["span"]
    names = [field.name for field in dataclasses.fields(cls)]
    assert names[: len(leading)] == leading
    assert cls.__annotations__["span"] == "Span"


@pytest.mark.parametrize(
    ("space", "shape", "dynamic"),
    [
        (AddressSpace.SHARED, (0,), True),
        (AddressSpace.SHARED, (8,), False),
        (AddressSpace.LOCAL, (0,), False),
        (AddressSpace.GLOBAL, (), False),
    ],
)
def test_shape_zero_is_dynamic_in_shared_memory_only(
    space: AddressSpace, shape: tuple[int, ...], dynamic: bool
) -> None:
    array = ir.ArrayVar("a", ArrayType(FLOAT32, 1, space=space), shape)
    assert array.is_dynamic is dynamic


def test_options_are_values() -> None:
    assert ir.Options() == ir.Options(debug=False, wraparound=True)
    assert hash(ir.Options(noalias=True)) == hash(ir.Options(noalias=True))
    assert ir.Options(reproducible=True) != ir.Options()
