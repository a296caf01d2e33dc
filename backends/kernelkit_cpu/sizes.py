"""How much code a body is.

In: a body. Out: a count of nodes, by which others decide what to write twice, unroll or jam.
"""

from __future__ import annotations

from kernelkit.ir.nodes import Body, expressions, walk, walk_expr


def size(body: Body) -> int:
    """Statements, and nodes of their expressions."""
    return sum(1 + sum(1 for e in expressions(s) for _ in walk_expr(e)) for s in walk(body))
