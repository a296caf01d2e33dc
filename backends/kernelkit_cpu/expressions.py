"""Expressions of the IR for one vector of threads.

In: an expression. Out: its value.
Holds: operands that the language evaluates lazily run under a mask or behind a branch wherever they
could touch memory; the others are computed always, which nobody can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from kernelkit.analysis.kinds import Level
from kernelkit.ir.nodes import (
    Assign,
    Binary,
    Cast,
    Compare,
    Constant,
    Expr,
    Extent,
    Intrinsic,
    Load,
    Logical,
    Read,
    Select,
    SpecialRegister,
    Unary,
    walk_expr,
)
from kernelkit.ir.types import BOOL
from kernelkit_cpu import faults, memory
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.text import Operand
from kernelkit_cpu.values import Value, constant, varying


def evaluate(frame: Frame, expr: Expr) -> Value:
    arithmetic = frame.arithmetic
    match expr:
        case Constant():
            return constant(expr.type, expr.value)
        case Read():
            return _read(frame, expr)
        case SpecialRegister():
            return frame.registers[expr.register, expr.axis]
        case Unary():
            return arithmetic.unary(expr.op, evaluate(frame, expr.operand))
        case Binary():
            return arithmetic.binary(
                expr.op, evaluate(frame, expr.left), evaluate(frame, expr.right)
            )
        case Compare():
            return arithmetic.compare(
                expr.op, evaluate(frame, expr.left), evaluate(frame, expr.right)
            )
        case Cast():
            return arithmetic.cast(evaluate(frame, expr.operand), expr.type)
        case Logical():
            return _logical(frame, expr)
        case Select():
            return _select(frame, expr)
        case Intrinsic():
            return _intrinsic(frame, expr)
        case Load():
            return _load(frame, expr)
        case Extent():
            return frame.arrays[expr.array].extents[expr.axis]
        case _:
            assert_never(expr)


def control(frame: Frame, expr: Expr) -> Value:
    """A condition or bound: a scalar wherever the analysis knows that lanes agree."""
    value = evaluate(frame, expr)
    kind = frame.facts.analysis.variability.kinds.get(expr)
    if kind is not None and kind.is_uniform and not value.is_uniform:
        return frame.as_uniform(value)
    return value


def _read(frame: Frame, expr: Read) -> Value:
    webs = frame.facts.analysis.webs
    if expr not in webs.reads:  # of a parameter, in a condition that stands outside the kernel
        return frame.parameters[expr.var]
    if frame.debug and expr in webs.unassigned:
        faults.check_assigned(frame, expr, webs.reads[expr])
    return frame.read(webs.reads[expr])


def _intrinsic(frame: Frame, expr: Intrinsic) -> Value:
    values = [evaluate(frame, arg) for arg in expr.args]
    if expr.function == "uniform":
        if frame.debug:
            faults.check_uniform(frame, expr, values[0])
        return frame.as_uniform(values[0])
    if expr.function in ("fmin", "fmax") and expr.type.is_integer:
        return frame.arithmetic.binary(expr.function[1:], values[0], values[1])
    return frame.arithmetic.intrinsic(expr.function, values, expr.type)


# ---------------------------------------------------------------- memory
def _load(frame: Frame, expr: Load) -> Value:
    values = [evaluate(frame, index) for index in expr.indices]
    if frame.debug:
        faults.check_bounds(frame, expr, expr.array, expr.indices, values)
    offset = memory.place_of(frame, expr.array, expr.indices, values)
    return memory.load(frame, expr.array, offset, is_regular(frame, expr.indices), expr.span)


def is_regular(frame: Frame, indices: tuple[Expr, ...]) -> bool:
    """Whether indices come from the threads' own numbers, not from data: then neighbours may well
    look at neighbouring elements."""
    seen: set[object] = set()
    return not any(_from_data(frame, index, seen) for index in indices)


def _from_data(frame: Frame, expr: Expr, seen: set[object]) -> bool:
    analysis = frame.facts.analysis
    for inner in walk_expr(expr):
        if inner in seen:
            continue
        seen.add(inner)
        match inner:
            case Load() if analysis.variability.kinds[inner].level is Level.VARYING:
                return True
            case Read():
                web = analysis.webs.reads[inner]
                if web in seen:
                    continue
                seen.add(web)
                for stmt in web.definitions:
                    value = stmt.value if isinstance(stmt, Assign) else None
                    if value is not None and _from_data(frame, value, seen):
                        return True
    return False


# ---------------------------------------------------------------- laziness
def is_lazy(expr: Expr) -> bool:
    """Whether an operand must not run where the language does not evaluate it: it touches memory, or
    is a promise of the threads that evaluate it, and of no others."""
    return any(map(_minds, walk_expr(expr)))


def _minds(expr: Expr) -> bool:
    return isinstance(expr, Load) or (isinstance(expr, Intrinsic) and expr.function == "uniform")


def _under(frame: Frame, mask: Operand, expr: Expr) -> Value:
    """A lazy operand for the lanes of a mask, which may be none."""
    with frame.under(frame.masked_and(frame.mask, mask), certain=False):
        value = evaluate(frame, expr)
        if value.is_uniform:
            return value
        return varying(value.type, frame.arithmetic.vector(value))


def _needs_mask(frame: Frame, expr: Expr) -> bool:
    return is_lazy(expr) or (frame.debug and _reads_unassigned(frame, expr))


def _reads_unassigned(frame: Frame, expr: Expr) -> bool:
    unassigned = frame.facts.analysis.webs.unassigned
    return any(isinstance(e, Read) and e in unassigned for e in walk_expr(expr))


def _logical(frame: Frame, expr: Logical) -> Value:
    left = evaluate(frame, expr.left)
    is_and = expr.op == "and"
    if left.constant is not None:
        return evaluate(frame, expr.right) if bool(left.constant) == is_and else left
    lazy = _needs_mask(frame, expr.right)
    if left.is_uniform and lazy:

        def run() -> Value:
            return evaluate(frame, expr.right)

        def skip() -> Value:
            return constant(BOOL, not is_and)

        arms = (run, skip) if is_and else (skip, run)
        return frame.choose(left.operand, BOOL, *arms)
    if lazy:
        mask = frame.arithmetic.one(left)
        right = _under(frame, mask if is_and else frame.inverted(mask), expr.right)
    else:
        right = evaluate(frame, expr.right)
    return combined(frame, is_and, left, right)


def combined(frame: Frame, is_and: bool, left: Value, right: Value) -> Value:
    """left and right, or left or right; the right one may be poison where the left decides."""
    text, arithmetic = frame.text, frame.arithmetic
    if left.is_uniform and right.is_uniform:
        arms = (right.operand, "false") if is_and else ("true", right.operand)
        picked = text.let(f"select i1 {left.operand}, i1 {arms[0]}, i1 {arms[1]}")
        return replace(left, scalar=(picked,), constant=None)
    mask, other = arithmetic.one(left), arithmetic.one(right)
    kind = frame.masks
    arms = (other, "zeroinitializer") if is_and else ("splat (i1 true)", other)
    made = varying(BOOL, (text.let(f"select {kind} {mask}, {kind} {arms[0]}, {kind} {arms[1]}"),))
    first, second = _summary(left, is_and), _summary(right, is_and)
    if first is None or second is None:
        return made

    def summed() -> Operand:
        a, b = first(), second()
        if is_and:
            return arithmetic.both(a, b)
        return text.let(f"select i1 {a}, i1 true, i1 {b}")

    return replace(made, every=summed) if is_and else replace(made, some=summed)


def _summary(value: Value, is_and: bool) -> Callable[[], Operand] | None:
    if value.is_uniform:
        return lambda: value.operand
    return value.every if is_and else value.some


def _select(frame: Frame, expr: Select) -> Value:
    condition = control(frame, expr.condition)
    if condition.constant is not None:
        return evaluate(frame, expr.then if condition.constant else expr.orelse)
    lazy = [_needs_mask(frame, arm) for arm in (expr.then, expr.orelse)]
    if condition.is_uniform:
        if not any(lazy):
            return _both(frame, expr, condition, lazy)
        return frame.choose(
            condition.operand,
            expr.type,
            lambda: evaluate(frame, expr.then),
            lambda: evaluate(frame, expr.orelse),
        )
    if lazy[0] and frame.mask is None and condition.every is not None:
        return frame.choose(
            condition.every(),
            expr.type,
            lambda: evaluate(frame, expr.then),
            lambda: _both(frame, expr, condition, lazy),
        )
    return _both(frame, expr, condition, lazy)


def _both(frame: Frame, expr: Select, condition: Value, lazy: list[bool]) -> Value:
    """Both arms, each under its mask if it is lazy, then a select."""
    values = []
    for arm, masked, positive in ((expr.then, lazy[0], True), (expr.orelse, lazy[1], False)):
        if masked:
            mask = frame.arithmetic.one(condition)
            values.append(_under(frame, mask if positive else frame.inverted(mask), arm))
        else:
            values.append(evaluate(frame, arm))
    return frame.arithmetic.select(condition, *values)
