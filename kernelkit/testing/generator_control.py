"""Random control flow: branches, loops, and ways out of them.

In: a program whose flow says who shares it. Out: lines of the program, with statements inside.
Holds: loops end; `break` and `continue` stand only where all who share the loop's flow take them
together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from kernelkit.ir.types import INT64
from kernelkit.testing.generator_expressions import condition, expression
from kernelkit.testing.generator_program import Level, Name, Program
from kernelkit.testing.generator_statements import (
    SIMPLE,
    Rows,
    affordable,
    bare,
    body,
    draw_level,
    store,
)
from kernelkit.testing.generator_types import literals


# ---------------------------------------------------------------- branches
def _if(p: Program) -> bool:
    level = draw_level(p)
    flow = replace(p.flow, level=level)
    test = condition(p, level)
    if p.choices.chance(10):
        dtype = p.choices.pick(p.palette)
        left, sign = bare(expression(p, dtype, level, 1)), "!=" if dtype.kind == "c" else ">"
        name = p.bring(dtype, level)
        test = f"({name.text} := {left}) {sign} {p.choices.pick(literals(dtype))}"
    with p.inside(f"if {bare(test)}:", flow):
        body(p)
    while p.choices.chance(20):
        with p.inside(f"elif {bare(condition(p, level))}:", flow):
            body(p)
    if p.choices.chance(50):
        with p.inside("else:", flow):
            body(p)
    return True


def _leave(p: Program) -> bool:
    """`if ...: break`, or continue."""
    if p.flow.loop is None or p.flow.loop is not p.flow.level:
        return False
    word = p.choices.pick(("break", "continue"))
    p.emit(f"if {bare(condition(p, p.flow.level))}:")
    p.emit(f"    {word}")
    return True


def _return(p: Program) -> bool:
    """An early end of the thread or of the device function."""
    p.emit(f"if {bare(condition(p))}:")
    results = p.flow.results
    values = ", ".join(expression(p, t, Level.THREAD, 2) for t in results or ())
    p.emit(f"    return {bare(values) if len(results or ()) == 1 else values}".rstrip())
    return True


# ---------------------------------------------------------------- loops
def _for(p: Program) -> bool:
    level = draw_level(p)
    text, trips = _range(p, level)
    if not affordable(p, trips):
        return False
    earlier = [n for n in p.writable(level) if n.dtype == INT64 and n.level is level]
    again = p.choices.pick(earlier) if earlier and p.choices.chance(15) else None
    target = again.text if again else p.fresh("k")
    flow = replace(p.flow, level=level, loop=level, weight=p.flow.weight * max(trips, 1))
    with p.inside(f"for {target} in range({text}):", flow):
        if again is None:
            p.names.append(Name(target, INT64, level))
        body(p)
    _loop_else(p, level)
    return True


def _range(p: Program, level: Level) -> tuple[str, int]:
    """Arguments of range, and the most iterations they give."""
    form = p.choices.below(4)
    trips = 1 + p.choices.below(6)
    if form == 0:
        fixed = not p.in_function and p.choices.chance(10)
        return p.constexpr(trips) if fixed else str(trips), trips
    if form == 1:
        step = p.choices.pick((1, 2, -1, 3, -2, 7))
        start = p.choices.below(9) - 3
        ragged = p.choices.below(abs(step))
        stop = start + step * trips - (ragged if step > 0 else -ragged)
        return f"{start}, {stop}, {step}", trips
    bound = expression(p, INT64, level, 1)
    if form == 2:
        return f"{bound} % {trips + 1}", trips
    step_text = f"{expression(p, INT64, level, 1)} % 3 + 1"
    if p.choices.chance(50):
        return f"{trips}, {bound} % {trips + 1}, -({step_text})", trips
    return f"{bound} % {trips + 1}, {trips}, {step_text}", trips


def _loop_else(p: Program, level: Level) -> None:
    if p.choices.chance(20):
        with p.inside("else:", replace(p.flow, level=level)):
            body(p)


def _while(p: Program) -> bool:
    level, trips = draw_level(p), 1 + p.choices.below(5)
    if not affordable(p, trips):
        return False
    counter = p.fresh("n")
    if p.choices.chance(50):
        p.emit(f"{counter} = np.int64(0)")
        p.names.append(Name(counter, INT64, level, writable=False))
    else:
        p.emit(f"{counter} = 0")  # A literal's type gives way, so nothing else may read it.
    form = p.choices.below(3)
    head = {
        0: f"while {counter} < {trips}:",
        1: f"while {counter} < {trips} and {condition(p, level)}:",
        2: "while True:",
    }[form]
    flow = replace(p.flow, level=level, loop=level, weight=p.flow.weight * trips)
    with p.inside(head, flow):
        p.emit(f"{counter} += 1")
        if form == 2:
            p.emit(f"if {counter} > {trips}:")
            p.emit("    break")
        body(p)
    _loop_else(p, level)
    return True


def _for_tuple(p: Program) -> bool:
    """Iteration over a static tuple: unrolled by the compiler."""
    dtype, count = p.choices.pick(p.palette), 2 + p.choices.below(2)
    if not affordable(p, count):
        return False
    texts = [expression(p, dtype, Level.THREAD, 1) for _ in range(count)]
    name = Name(p.fresh("k"), dtype, Level.THREAD, writable=False)
    flow = replace(p.flow, level=Level.THREAD, loop=Level.THREAD, weight=p.flow.weight * count)
    with p.inside(f"for {name.text} in ({', '.join(texts)}):", flow):
        p.names.append(name)
        body(p)
    return True


def guarded(p: Program) -> bool:
    """A block for the threads that have an element of their own."""
    if p.flow.own or not p.guard or p.in_function:
        return False
    with p.inside(f"if {p.guard}:", replace(p.flow, level=Level.THREAD, own=True)):
        store(p)
        body(p, least=0)
    return True


def _in_both_arms(p: Program) -> bool:
    """A name assigned on both sides of an if, read after it."""
    dtype, level = p.choices.pick(p.palette), draw_level(p)
    text = p.fresh("v")
    for head in (f"if {bare(condition(p, level))}:", "else:"):
        with p.inside(head, replace(p.flow, level=level)):
            body(p, least=0)
            p.emit(f"{text} = {bare(expression(p, dtype, level, 2))}")
    p.names.append(Name(text, dtype, level))
    return True


#: What may stand in any flow, with its weight.
INNER: Final[Rows] = (
    *SIMPLE, (8, _if), (7, _for), (4, _while), (8, _leave), (3, _in_both_arms), (2, _for_tuple),
    (2, _return),
)  # fmt: skip
