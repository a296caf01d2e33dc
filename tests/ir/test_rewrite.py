"""Kernels made from kernels: what does not change stays, and places stay what they are."""

from __future__ import annotations

from typing import Any

import numpy as np

import kernelkit as kk
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir import nodes as ir
from kernelkit.ir.printer import format_kernel
from kernelkit.ir.rewrite import Rewriter
from kernelkit.ir.types import INT64
from kernelkit.runtime.arguments import read


@kk.kernel
def varied(x, n):
    tile = kk.shared.array(4, np.int64)
    row = x[0]
    for i in range(n, n + n, n - n):
        while row[i] < n:
            if row[n] > 0 and kk.syncthreads_or(n > 5):
                break
            row[i] = tile[n % 4] if n else kk.atomic.add(x, (0, n), n)
        print(n, f"{n:3d}")
    assert abs(n) > -n, "wrong"
    tile[0] = kk.shfl_sync(0xFF, n, n) + kk.popc(n) + kk.ballot_sync(0xFF, n > 0)


def parsed(kernel: Any, *args: Any) -> ir.Kernel:
    reading = read(kernel.parameters, kernel.parameters.bind(args, {}))
    return parse(read_source(kernel.__wrapped__), reading.types, ir.Options(debug=True)).kernel


VARIED = parsed(varied, np.zeros((2, 3), np.int64), 3)


class Renamed(Rewriter):
    """Reads of n become reads of another variable."""

    def __init__(self, var: ir.Var) -> None:
        super().__init__()
        self._var = var

    def replaced(self, expr: ir.Expr) -> ir.Expr | None:
        if isinstance(expr, ir.Read) and expr.var.name == "n":
            return ir.Read(expr.span, expr.type, self._var)
        return None


def text(kernel: ir.Kernel, body: ir.Body) -> str:
    return format_kernel(ir.Kernel(kernel.name, kernel.params, body, kernel.span, kernel.options))


def test_what_does_not_change_is_the_same_object() -> None:
    body = Rewriter().body(VARIED.body)
    assert len(body) == len(VARIED.body)
    assert all(a is b for a, b in zip(body, VARIED.body, strict=True))


def test_expressions_are_replaced_wherever_they_stand() -> None:
    body = Renamed(ir.Var("other", INT64)).body(VARIED.body)
    head, *lines = text(VARIED, VARIED.body).split("\nkernel")[1].splitlines()
    found = text(VARIED, body).split("\nkernel")[1].splitlines()
    assert found[0] == head
    names = [expr.var.name for stmt in ir.walk(body) for top in ir.expressions(stmt)
             for expr in ir.walk_expr(top) if isinstance(expr, ir.Read)]  # fmt: skip
    assert "n" not in names and names.count("other") > 15
    assert [type(stmt) for stmt in ir.walk(body)] == [type(stmt) for stmt in ir.walk(VARIED.body)]
    assert len(found) == len(lines) + 1


class Without(Rewriter):
    """Prints are gone."""

    def stmt(self, stmt: ir.Stmt) -> ir.Stmt | None:
        return None if isinstance(stmt, ir.Print) else super().stmt(stmt)


def test_statements_can_go() -> None:
    kept = [type(s) for s in ir.walk(VARIED.body) if not isinstance(s, ir.Print)]
    assert [type(s) for s in ir.walk(Without().body(VARIED.body))] == kept
    assert ir.Print in {type(s) for s in ir.walk(VARIED.body)}
