"""Random statements: assignments, stores, control flow, and what belongs to one thread.

In: a program whose flow and scope say what is allowed. Out: lines of the program.
Holds: a thread writes only its own elements; loops end; `break` and `continue` stand only where all
who share the loop's flow take them together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from kernelkit.ir.types import BOOL, INT64, DType
from kernelkit.testing.generator_arguments import LAYOUTS, READ_LAYOUTS
from kernelkit.testing.generator_expressions import (
    call,
    condition,
    expression,
    extent,
    indices,
)
from kernelkit.testing.generator_program import ArrayName, Level, Mode, Name, Program
from kernelkit.testing.generator_types import CASTS, constant, joins, literals, stores

#: Writes a statement; False where it cannot here.
Statement = Callable[[Program], bool]


def body(p: Program, least: int = 1) -> None:
    """Some statements that the flow allows, at least so many while the budget lasts."""
    written = 0
    while p.statements_left > 0 and (
        written < least or p.choices.chance(_MORE[min(p.flow.depth, 3)])
    ):
        p.statements_left -= 1
        p.choices.part(lambda: _statement(p))
        written += 1


#: How likely one more statement is, by depth.
_MORE: Final = (88, 60, 40, 25)


def _statement(p: Program) -> None:
    if not p.choices.weighted(p.tables[p.flow.level])(p):
        new_name(p)


def bare(text: str) -> str:
    """Without the parentheses around all of it."""
    if not text.startswith("("):
        return text
    depth = 0
    for at, char in enumerate(text):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if depth == 0:
            return text[1:-1] if at == len(text) - 1 else text
    return text


def _level(p: Program) -> Level:
    """How many threads share the value, or the flow, that comes next."""
    options = [level for level in (Level.THREAD, Level.WARP, Level.BLOCK) if level >= p.flow.level]
    return p.choices.pick(options)


# ---------------------------------------------------------------- assignments
def new_name(p: Program) -> bool:
    """A new name."""
    dtype = p.choices.pick((*p.palette, INT64, BOOL))
    level = _level(p) if p.choices.chance(35) else Level.THREAD
    text = expression(p, dtype, level)
    name = p.bring(dtype, level)
    mark = f": {CASTS[dtype.name]}" if dtype != BOOL and p.choices.chance(5) else ""
    p.emit(f"{name.text}{mark} = {bare(text)}")
    return True


def _old_name(p: Program) -> bool:
    """A new value for a name, of a type that its own takes in."""
    names = p.writable(p.flow.level)
    if not names:
        return False
    name = p.choices.pick(names)
    sources = [t for t in (*p.palette, name.dtype) if joins(t, name.dtype) and t != BOOL]
    source = p.choices.pick((name.dtype, *sources))
    text = expression(p, source, name.level)
    sign = p.choices.pick(_AUGMENTED[name.dtype.kind])
    if sign == "=" and p.choices.chance(15):
        text = p.choices.pick(literals(name.dtype))
    p.emit(f"{name.text} {sign} {bare(text)}")
    return True


_AUGMENTED: Final = {
    "i": ("=", "+=", "-=", "*=", "^=", "//=", "%=", "<<=", ">>=", "&=", "|="),
    "u": ("=", "+=", "-=", "*=", "^=", "//=", "%=", "<<=", ">>=", "&=", "|="),
    "f": ("=", "+=", "-=", "*=", "/="),
    "c": ("=", "+=", "-=", "*="),
    "b": ("=", "&=", "|=", "^="),
}


def _exchange(p: Program) -> bool:
    """`a, b = b, a + b`: both sides of the same types."""
    names = p.writable(p.flow.level)
    pairs = [
        (a, b) for a in names for b in names if a != b and (a.dtype, a.level) == (b.dtype, b.level)
    ]
    if not pairs:
        return False
    first, second = p.choices.pick(pairs[:8])
    other = p.choices.pick((first.text, expression(p, second.dtype, second.level)))
    p.emit(f"{first.text}, {second.text} = {second.text}, {other}")
    return True


def _tuple(p: Program) -> bool:
    """A tuple, taken apart or indexed."""
    types = [p.choices.pick((*p.palette, BOOL)) for _ in range(2 + p.choices.below(2))]
    texts = ", ".join(expression(p, t, Level.THREAD, 1) for t in types)
    if p.choices.chance(50):
        text = p.fresh("t")
        p.emit(f"{text} = ({texts})")
        at = p.choices.below(len(types))
        p.emit(f"{p.bring(types[at], Level.THREAD).text} = {text}[{at}]")
        return True
    names = [p.bring(t, Level.THREAD).text for t in types]
    p.emit(f"{', '.join(names)} = {texts}")
    return True


def _in_both_arms(p: Program) -> bool:
    """A name assigned on both sides of an if, read after it."""
    dtype, level = p.choices.pick(p.palette), _level(p)
    text = p.fresh("v")
    for head in (f"if {bare(condition(p, level))}:", "else:"):
        with p.inside(head, replace(p.flow, level=level)):
            body(p, least=0)
            p.emit(f"{text} = {bare(expression(p, dtype, level, 2))}")
    p.names.append(Name(text, dtype, level))
    return True


def _called(p: Program) -> bool:
    """A device function that gives a tuple."""
    found = [f for f in p.functions if len(f.results) == 2]
    if not found:
        return False
    function = p.choices.pick(found)
    text = call(p, function, 1)
    if text is None:
        return False
    names = [p.bring(t, Level.THREAD).text for t in function.results]
    p.emit(f"{', '.join(names)} = {text}")
    return True


# ---------------------------------------------------------------- stores
def store(p: Program) -> bool:
    """A write to the thread's own element of an output."""
    arrays = p.own_arrays()
    if not (p.flow.own or arrays):
        return False
    if p.flow.own and (not arrays or (len(arrays) < 3 and p.choices.chance(30))):
        arrays = [p.output(p.choices.pick(p.palette), _output_layout(p))]
    array = p.choices.pick(arrays)
    sources = [t for t in (array.dtype, *p.palette) if stores(t, array.dtype)]
    source = p.choices.pick(sources)
    text = bare(expression(p, source))
    signs = _AUGMENTED[array.dtype.kind] if joins(source, array.dtype) else ("=",)
    _write(p, array, p.choices.pick(signs), text)
    return True


def _write(p: Program, array: ArrayName, sign: str, text: str) -> None:
    """The own element of an array, at times through a view or a function."""
    axes = array.own.split(", ")
    if sign == "=" and len(axes) == 1 and p.choices.chance(25) and not array.start:
        p.emit(f"put({array.text}, {array.own}, {text})")
    elif len(axes) > 1 and p.choices.chance(15):
        view = p.fresh("w")
        p.emit(f"{view} = {array.text}[{axes[0]}]")
        p.emit(f"{view}[{', '.join(axes[1:])}] {sign} {text}")
    else:
        p.emit(f"{array.text}[{array.own}] {sign} {text}")


def _output_layout(p: Program) -> str:
    return p.choices.pick(tuple(LAYOUTS))


def guarded(p: Program) -> bool:
    """A block for the threads that have an element of their own."""
    if p.flow.own or not p.guard or p.in_function:
        return False
    with p.inside(f"if {p.guard}:", replace(p.flow, level=Level.THREAD, own=True)):
        store(p)
        body(p, least=0)
    return True


# ---------------------------------------------------------------- branches
def _if(p: Program) -> bool:
    level = _level(p)
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
def _affordable(p: Program, trips: int) -> bool:
    """Whether a loop may run so often here."""
    return p.flow.weight * trips <= p.profile.iterations


def _for(p: Program) -> bool:
    level = _level(p)
    text, trips = _range(p, level)
    if not _affordable(p, trips):
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
    level, trips = _level(p), 1 + p.choices.below(5)
    if not _affordable(p, trips):
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
    if not _affordable(p, count):
        return False
    texts = [expression(p, dtype, Level.THREAD, 1) for _ in range(count)]
    name = Name(p.fresh("k"), dtype, Level.THREAD, writable=False)
    flow = replace(p.flow, level=Level.THREAD, loop=Level.THREAD, weight=p.flow.weight * count)
    with p.inside(f"for {name.text} in ({', '.join(texts)}):", flow):
        p.names.append(name)
        body(p)
    return True


# ---------------------------------------------------------------- arrays of the thread
def _local(p: Program) -> bool:
    """A local array, filled, then free to read and write."""
    size, dtype = p.choices.pick((4, 1, 7)), p.choices.pick((*p.palette, BOOL))
    if not _affordable(p, size):
        return False
    text, at = p.fresh("l"), p.fresh("k")
    p.emit(f"{text} = kk.local.array({size}, {_numpy(dtype)})")
    with p.inside(f"for {at} in range({size}):", p.flow):
        p.names.append(Name(at, INT64, p.flow.level, writable=False))
        p.emit(f"{text}[{at}] = {bare(expression(p, dtype, Level.THREAD, 2))}")
    p.arrays.append(ArrayName(text, dtype, (size,), Mode.PRIVATE))
    return True


def _numpy(dtype: DType) -> str:
    return f"np.{'bool_' if dtype == BOOL else dtype.name}"


def _private_store(p: Program) -> bool:
    arrays = [a for a in p.arrays if a.mode is Mode.PRIVATE]
    if not arrays:
        return False
    array = p.choices.pick(arrays)
    sign = p.choices.pick(_AUGMENTED[array.dtype.kind])
    at = indices(p, array, Level.THREAD, 1)
    p.emit(f"{array.text}[{at}] {sign} {bare(expression(p, array.dtype))}")
    return True


def _view(p: Program) -> bool:
    """A row, or a plane, of an array with more axes."""
    arrays = [a for a in (*p.arrays, *p.inputs) if a.mode is Mode.READ and len(a.sizes) > 1]
    if p.in_function:
        return False
    if not arrays:
        arrays = [p.input(p.choices.pick(p.palette), (4, 9), p.choices.pick(READ_LAYOUTS))]
    array = p.choices.pick(arrays)
    count = 1 + p.choices.below(len(array.sizes) - 1)
    at = indices(p, replace(array, sizes=array.sizes[:count]), Level.THREAD, 1)
    text = p.fresh("w")
    p.emit(f"{text} = {array.text}[{at}]")
    p.arrays.append(ArrayName(text, array.dtype, array.sizes[count:], Mode.READ))
    return True


def _constant_array(p: Program) -> bool:
    """A constant array, or a global one, folded into the kernel."""
    if p.in_function:
        return False
    dtype, size = p.choices.pick(p.palette), p.choices.pick((3, 8))
    table = p.fresh("TABLE")
    p.constants.append(
        f'{table} = array("{dtype.name}", ({size},), {len(p.constants)}, "readonly")'
    )
    text = table
    if p.choices.chance(60):
        text = p.fresh("c")
        p.emit(f"{text} = kk.const.array_like({table})")
    p.arrays.append(ArrayName(text, dtype, (size,), Mode.READ))
    return True


def _global_number(p: Program) -> bool:
    """A number outside the kernel."""
    dtype = p.choices.pick(p.palette)
    text = p.fresh("CONSTANT")
    p.constants.append(f"{text} = {constant(dtype, p.choices.pick(literals(dtype)))}")
    other = expression(p, dtype, p.flow.level, 1)
    p.emit(f"{p.bring(dtype, p.flow.level).text} = {text} + {other}")
    return True


def _assert(p: Program) -> bool:
    """Something that holds."""
    array = p.choices.pick([*p.inputs, None])
    if array is None or not array.sizes or p.in_function:
        return False
    p.emit(f'assert {extent(p, array, 0)} >= {array.sizes[0]}, "the first axis of {array.text}"')
    return True


#: What may stand in any flow.
INNER: Final[tuple[tuple[int, Statement], ...]] = (
    (16, new_name), (18, _old_name), (12, store), (8, _if), (7, _for), (4, _while), (8, _leave),
    (2, _exchange), (2, _tuple), (3, _in_both_arms), (2, _called), (2, _for_tuple), (2, _local),
    (3, _private_store), (3, _view), (2, _constant_array), (1, _global_number), (1, _assert),
    (2, _return),
)  # fmt: skip
