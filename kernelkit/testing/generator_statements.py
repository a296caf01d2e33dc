"""Random statements of one line or two: assignments, stores, what belongs to one thread; bodies.

In: a program whose flow and scope say what is allowed. Out: lines of the program.
Holds: a thread writes only its own elements; a name is written only where all who share it are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from kernelkit.ir.types import BOOL, INT64, DType
from kernelkit.testing.generator_arguments import LAYOUTS, READ_LAYOUTS
from kernelkit.testing.generator_expressions import (
    call,
    expression,
    extent,
    indices,
)
from kernelkit.testing.generator_program import ArrayName, Level, Mode, Name, Program
from kernelkit.testing.generator_types import CASTS, constant, joins, literals, stores

#: Writes a statement; False where it cannot here.
Statement = Callable[[Program], bool]
Rows = tuple[tuple[int, Statement], ...]


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


def draw_level(p: Program) -> Level:
    """How many threads share the value, or the flow, that comes next."""
    options = [level for level in (Level.THREAD, Level.WARP, Level.BLOCK) if level >= p.flow.level]
    return p.choices.pick(options)


def affordable(p: Program, trips: int) -> bool:
    """Whether a loop may run so often here."""
    return p.flow.weight * trips <= p.profile.iterations


# ---------------------------------------------------------------- assignments
def new_name(p: Program) -> bool:
    """A new name."""
    dtype = p.choices.pick((*p.palette, INT64, BOOL))
    level = draw_level(p) if p.choices.chance(35) else Level.THREAD
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


# ---------------------------------------------------------------- arrays of the thread
def _local(p: Program) -> bool:
    """A local array, filled, then free to read and write."""
    size, dtype = p.choices.pick((4, 1, 7)), p.choices.pick((*p.palette, BOOL))
    if not affordable(p, size):
        return False
    text, at = p.fresh("l"), p.fresh("k")
    p.emit(f"{text} = kk.local.array({size}, {_numpy(dtype)})")
    with p.inside(f"for {at} in range({size}):", p.flow):
        p.names.append(Name(at, INT64, p.flow.level, writable=False))
        p.emit(f"{text}[{at}] = {bare(expression(p, dtype, Level.THREAD, 2))}")
    p.arrays.append(ArrayName(text, dtype, (size,), Mode.PRIVATE, level=Level.THREAD))
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
    if p.in_function:
        return False
    # Not of what is exchanged: a view would stay readable while others write.
    arrays = [a for a in (*p.arrays, *p.inputs) if a.mode is Mode.READ and len(a.sizes) > 1]
    arrays = [a for a in arrays if not any(a is shared for shared in p.exchanged)]
    if not arrays:
        arrays = [p.input(p.choices.pick(p.palette), (4, 9), p.choices.pick(READ_LAYOUTS))]
    array = p.choices.pick(arrays)
    count = 1 + p.choices.below(len(array.sizes) - 1)
    level = max(draw_level(p), array.level)
    at = indices(p, replace(array, sizes=array.sizes[:count]), level, 1)
    text = p.fresh("w")
    p.emit(f"{text} = {array.text}[{at}]")
    p.arrays.append(ArrayName(text, array.dtype, array.sizes[count:], Mode.READ, level=level))
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


#: What may stand in any flow, with its weight.
SIMPLE: Final[Rows] = (
    (16, new_name), (18, _old_name), (12, store), (2, _exchange), (2, _tuple), (2, _called),
    (2, _local), (3, _private_store), (3, _view), (2, _constant_array), (1, _global_number),
    (1, _assert),
)  # fmt: skip
