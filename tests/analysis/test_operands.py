"""The order in which expressions are looked at."""

from kernelkit.analysis.operands import operands_first
from kernelkit.errors import Span
from kernelkit.ir.nodes import Binary, Constant
from kernelkit.ir.types import INT64

HERE = Span(__file__, 1)


def add(a, b):
    return Binary(HERE, INT64, "add", a, b)


def test_operands_come_first_and_in_order():
    a, b, c = (Constant(HERE, INT64, i) for i in range(3))
    inner = add(a, b)
    outer = add(inner, c)
    assert operands_first((outer,)) == (a, b, inner, c, outer)


def test_a_shared_node_comes_once():
    a = Constant(HERE, INT64, 1)
    b = add(a, a)
    c = add(b, b)
    assert operands_first((c, b)) == (a, b, c)


def test_depth_and_sharing_cost_no_more_than_their_nodes():
    expr = Constant(HERE, INT64, 1)
    for _ in range(20_000):
        expr = add(expr, expr)
    assert len(operands_first((expr,))) == 20_001
