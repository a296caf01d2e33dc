"""Barriers that count or vote: the answers of all threads of a block, over its vectors.

In: a Barrier with a predicate. Out: instructions; its result, in a scalar of the block.
Holds: threads that are gone are not asked.
"""

from __future__ import annotations

from kernelkit.ir.types import INT32
from kernelkit_cpu.exits import Exit
from kernelkit_cpu.expressions import evaluate
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.items import BlockBarrier
from kernelkit_cpu.jumps import Target
from kernelkit_cpu.text import Operand
from kernelkit_cpu.values import Value, uniform
from kernelkit_cpu.vectors import VectorLoops


def write_vote(vectors: VectorLoops, item: BlockBarrier) -> Value:
    """The answer of the block, an int32."""
    text, stmt = vectors.frame.text, item.stmt
    total = text.alloca("i32", hint="votes")
    text.store("i32", "1" if stmt.op == "and" else "0", total)

    def one(frame: Frame, exits: dict[Target, Exit]) -> None:
        assert stmt.predicate is not None
        answer = frame.arithmetic.one(evaluate(frame, stmt.predicate))
        combine, found = _VOTES[stmt.op](frame, answer)
        now = text.let(f"{combine} i32 {text.load('i32', total)}, {found}")
        text.store("i32", now, total)

    vectors.over(vectors.frame.twin(), item, one)
    return uniform(INT32, (text.load("i32", total),))


def _count(frame: Frame, answer: Operand) -> tuple[str, Operand]:
    yes = frame.masked_and(frame.active(), answer)
    assert yes is not None
    bits = frame.text.call("llvm.ctpop.i64", "i64", [("i64", frame.bits(yes))])
    return "add", frame.text.let(f"trunc i64 {bits} to i32")


def _any(frame: Frame, answer: Operand) -> tuple[str, Operand]:
    found = frame.any(frame.masked_and(frame.active(), answer))
    return "or", frame.text.let(f"zext i1 {found} to i32")


def _all(frame: Frame, answer: Operand) -> tuple[str, Operand]:
    failing = frame.any(frame.masked_and(frame.active(), frame.inverted(answer)))
    passed = frame.text.let(f"xor i1 {failing}, true")
    return "and", frame.text.let(f"zext i1 {passed} to i32")


#: By the barrier's op: (how a vector's answer joins the others', that answer).
_VOTES = {"count": _count, "or": _any, "and": _all}
