"""Random expressions of a wanted type.

In: a program, a type, and how many threads must share the value. Out: text of an expression that is
valid there. Holds: the text has exactly the wanted type and is strong (no bare literal), so that it
may stand as an operand anywhere; it loads nothing out of bounds; its names are certainly assigned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kernelkit.ir.types import BOOL, FLOAT64, INT32, INT64, DType
from kernelkit.testing.generator_arguments import READ_LAYOUTS
from kernelkit.testing.generator_program import ArrayName, Function, Level, Mode, Program
from kernelkit.testing.generator_types import (
    CASTS,
    INDEX_TYPES,
    constant,
    literals,
    narrower,
    stores,
)

#: Makes an expression of a type, or gives None where it cannot here.
Producer = Callable[[Program, DType, Level, int], str | None]
DEPTH: Final = 3


def expression(p: Program, dtype: DType, level: Level = Level.THREAD, depth: int = DEPTH) -> str:
    """An expression of that type whose value so many threads share."""
    return p.choices.part(lambda: _expression(p, dtype, level, depth))


def condition(p: Program, level: Level = Level.THREAD) -> str:
    """A bool that so many threads share."""
    return expression(p, BOOL, level, 2)


def _expression(p: Program, dtype: DType, level: Level, depth: int) -> str:
    if depth <= 0 or p.operations_left <= 0 or p.choices.below(8) == 0:
        return leaf(p, dtype, level)
    p.operations_left -= 1
    producer = p.choices.weighted(PRODUCERS[dtype.kind])
    return producer(p, dtype, level, depth - 1) or leaf(p, dtype, level)


def leaf(p: Program, dtype: DType, level: Level) -> str:
    """A name, a register, a parameter or a constant."""
    names = p.visible(dtype, level)
    if names and p.choices.below(10) < 8:
        return p.choices.pick(names).text
    if dtype == INT64 and p.choices.chance(30):
        return p.choices.pick(_REGISTERS[level])
    if dtype == BOOL and p.choices.chance(70):
        source = p.choices.pick(p.palette)
        return f"({leaf(p, source, level)} != {p.choices.pick(literals(source))})"
    if level is Level.THREAD and p.choices.chance(40):
        return load(p, dtype, level, 0) or constant(dtype, p.choices.pick(literals(dtype)))
    if not p.in_function and p.choices.chance(25):
        return p.scalar(dtype).text
    return constant(dtype, p.choices.pick(literals(dtype)))


_BLOCK_REGISTERS = (
    "kk.blockIdx.x",
    "kk.blockDim.x",
    "kk.gridDim.x",
    "kk.blockIdx.y",
    "kk.blockDim.y",
)
_THREAD_REGISTERS = (
    "kk.threadIdx.x",
    "kk.laneid",
    "kk.threadIdx.y",
    "kk.grid(1)",
    "kk.threadIdx.z",
)
_REGISTERS: Final = {
    Level.BLOCK: _BLOCK_REGISTERS,
    Level.WARP: _BLOCK_REGISTERS,
    Level.THREAD: (*_THREAD_REGISTERS, *_BLOCK_REGISTERS, "kk.gridsize(1)"),
}


# ---------------------------------------------------------------- operands
def operands(p: Program, dtype: DType, level: Level, depth: int) -> tuple[str, str]:
    """Two operands that meet in the type: one has it, the other changes nothing."""
    strong = expression(p, dtype, level, depth)
    kind = p.choices.weighted(((5, "same"), (3, "literal"), (2, "narrower")))
    lesser = narrower(dtype, p.palette)
    if kind == "literal":
        weak = dtype.is_float and not p.in_function and p.choices.chance(12)
        other = p.weak_float() if weak else p.choices.pick(literals(dtype))
    elif kind == "narrower" and lesser:
        other = expression(p, p.choices.pick(lesser), level, depth)
    else:
        other = expression(p, dtype, level, depth)
    return (other, strong) if p.choices.chance(30) else (strong, other)


def _pick_type(p: Program, among: Sequence[DType]) -> DType | None:
    found = [t for t in p.palette if t in among]
    return p.choices.pick(found) if found else None


# ---------------------------------------------------------------- arithmetic
_OPERATORS: Final[dict[str, tuple[str, ...]]] = {
    "i": ("+", "-", "*", "^", "&", "|", "//", "%", ">>", "<<"),
    "u": ("+", "-", "*", "^", "&", "|", "//", "%", ">>", "<<"),
    "f": ("+", "-", "*", "/", "+", "-", "*", "//", "%"),
    "c": ("+", "-", "*", "/"),
    "b": ("&", "|", "^"),
}


def _binary(p: Program, dtype: DType, level: Level, depth: int) -> str:
    left, right = operands(p, dtype, level, depth)
    return f"({left} {p.choices.pick(_OPERATORS[dtype.kind])} {right})"


def _power(p: Program, dtype: DType, level: Level, depth: int) -> str:
    base = expression(p, dtype, level, depth)
    # Never a negative constant, which the language refuses.
    forms = ["2", "3", "0", "5", f"({expression(p, dtype, level, depth)} & 7)"]
    if level is Level.THREAD:
        forms.append(f"{CASTS[dtype.name]}(kk.threadIdx.x - 3)")
    return f"({base} ** {p.choices.pick(forms)})"


def _unary(p: Program, dtype: DType, level: Level, depth: int) -> str:
    forms = ("-{}", "abs({})", "~{}") if dtype.is_integer else ("-{}", "abs({})")
    if dtype.is_complex:
        forms = ("-{}", "{}.conjugate()")
    form = p.choices.pick(forms)
    text = expression(p, dtype, level, depth)
    return f"({form.format(text)})" if form[0] in "-~" else form.format(text)


def _extremum(p: Program, dtype: DType, level: Level, depth: int) -> str:
    left, right = operands(p, dtype, level, depth)
    return f"{p.choices.pick(('min', 'max'))}({left}, {right})"


def _choose(p: Program, dtype: DType, level: Level, depth: int) -> str:
    test = expression(p, BOOL, level, depth)
    # Both of the type itself: where the test is constant, the other one is dropped, type and all.
    left, right = (expression(p, dtype, level, depth) for _ in range(2))
    if p.choices.chance(20):
        return f"kk.selp({test}, {left}, {right})"
    return f"({left} if {test} else {right})"


def _cast(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    sources = [t for t in (*p.palette, BOOL) if t != dtype and stores(t, dtype)]
    if not sources:
        return None
    source = expression(p, p.choices.pick(sources), level, depth)
    python = {"int64": "int", "float64": "float"}.get(dtype.name)
    return f"{python if python and p.choices.chance(30) else CASTS[dtype.name]}({source})"


# ---------------------------------------------------------------- functions
_FLOAT_FUNCTIONS: Final = (
    "math.sqrt({0})", "kk.fma({0}, {1}, {2})", "math.fabs({0})", "kk.fmin({0}, {1})",
    "kk.fmax({0}, {1})", "math.exp({0})", "math.log2({0})", "math.tanh({0})", "({0} ** {1})",
)  # fmt: skip
_LIBM: Final = ("math.atan2({0}, {1})", "math.expm1({0})", "kk.cbrt({0})")
_BITS: Final = ("kk.popc({0})", "kk.clz({0})", "kk.ffs({0})")
_ROUNDINGS: Final = (
    "math.floor({0})",
    "math.ceil({0})",
    "math.trunc({0})",
    "round({0})",
    "int({0})",
)
_TESTS: Final = ("math.isnan({0})", "math.isinf({0})", "math.isfinite({0})")


def _fill(p: Program, form: str, dtype: DType, level: Level, depth: int) -> str:
    count = 1 + max(k for k in range(3) if f"{{{k}}}" in form)
    return form.format(*(expression(p, dtype, level, depth) for _ in range(count)))


def _integer_function(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    """popc and its kin give int32, rounding gives int64, brev the type itself."""
    if dtype == INT32:
        source = _pick_type(p, [t for t in p.palette if t.is_integer])
        return _fill(p, p.choices.pick(_BITS), source, level, depth) if source else None
    if dtype == INT64:
        source = _pick_type(p, [t for t in p.palette if t.is_float])
        return _fill(p, p.choices.pick(_ROUNDINGS), source, level, depth) if source else None
    return _fill(p, "kk.brev({0})", dtype, level, depth)


def _float_function(p: Program, dtype: DType, level: Level, depth: int) -> str:
    forms = _FLOAT_FUNCTIONS + (_LIBM if p.profile.libm else ())
    return _fill(p, p.choices.pick(forms), dtype, level, depth)


def _quotient(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    """`/` on integers gives float64."""
    source = _pick_type(p, [t for t in p.palette if t.is_integer])
    if dtype != FLOAT64 or source is None:
        return None
    left, right = operands(p, source, level, depth)
    return f"({left} / {right})"


def _part(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    """A part of a complex number."""
    source = _pick_type(p, [t for t in p.palette if t.is_complex and t.component == dtype])
    if source is None:
        return None
    return f"{expression(p, source, level, depth)}.{p.choices.pick(('real', 'imag'))}"


def _call(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    """A device function, wherever an expression may stand."""
    found = [f for f in p.functions if f.results == (dtype,)]
    if not found or level is not Level.THREAD:
        return None
    function = p.choices.pick(found)
    return call(p, function, depth)


def call(p: Program, function: Function, depth: int) -> str | None:
    """A call of a device function; None where no array in scope suits it."""
    args = [expression(p, t, Level.THREAD, depth) for t in function.scalars]
    if len(args) > 1 and p.choices.chance(20):
        args[-1] = f"x{len(args) - 1}={args[-1]}"
    if function.array is not None:
        arrays = [a for a in p.readable(function.array, Level.THREAD) if _whole(a)]
        if not arrays:
            return None
        args.insert(0, p.choices.pick(arrays).text)
    return f"{function.text}({', '.join(args)})"


def _whole(array: ArrayName) -> bool:
    """Whether a function may read any element of the array."""
    return len(array.sizes) == 1 and array.mode in (Mode.READ, Mode.PRIVATE) and not array.start


# ---------------------------------------------------------------- bools
_COMPARISONS: Final = ("<", ">", "<=", ">=", "==", "!=")


def _compare(p: Program, dtype: DType, level: Level, depth: int) -> str:
    source = p.choices.pick(p.palette)
    left, right = operands(p, source, level, depth)
    signs = ("==", "!=") if source.kind in "cb" else _COMPARISONS
    return f"({left} {p.choices.pick(signs)} {right})"


def _chain(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    source = _pick_type(p, [t for t in p.palette if t.kind in "iuf"])
    if source is None:
        return None
    low, middle = operands(p, source, level, depth)
    high = expression(p, source, level, depth)
    return f"({low} <= {middle} {p.choices.pick(('<', '!=', '>'))} {high})"


def _logical(p: Program, dtype: DType, level: Level, depth: int) -> str:
    left = expression(p, BOOL, level, depth)
    if p.choices.chance(20):
        return f"(not {left})"
    return f"({left} {p.choices.pick(('and', 'or'))} {expression(p, BOOL, level, depth)})"


def _float_test(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    source = _pick_type(p, [t for t in p.palette if t.is_float])
    return _fill(p, p.choices.pick(_TESTS), source, level, depth) if source else None


def _guarded_test(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    """`k < n and a[k] > 0`: the load may happen only where the guard holds."""
    source = _pick_type(p, [t for t in p.palette if t.kind in "iuf"])
    found = None if source is None else _guard(p, source, level)
    if found is None or source is None:
        return None
    test, load = found
    sign, literal = p.choices.pick(_COMPARISONS), p.choices.pick(literals(source))
    if p.choices.chance(30):
        return f"(not {test} or {load} {sign} {literal})"
    return f"({test} and {load} {sign} {literal})"


# ---------------------------------------------------------------- loads
def load(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    """An element of an array, perhaps of a new parameter."""
    array = _array(p, dtype, level)
    if array is None:
        return None
    if array.mode is Mode.OWN:
        return f"{array.text}[{array.own}]"
    return f"{array.text}[{indices(p, array, level, depth)}]"


def _array(p: Program, dtype: DType, level: Level) -> ArrayName | None:
    """An array that may be read, perhaps a new parameter."""
    arrays = p.readable(dtype, level)
    if p.in_function or (arrays and not (len(arrays) < 3 and p.choices.chance(15))):
        return p.choices.pick(arrays) if arrays else None
    sizes = p.choices.pick(((17,), (5, 7), (1,), (40,), (3, 2, 5), (), (64,), (2, 3, 2, 4)))
    return p.input(dtype, sizes, p.choices.pick(READ_LAYOUTS) if sizes else "C")


def indices(p: Program, array: ArrayName, level: Level, depth: int) -> str:
    """Indices of any element of an array, never outside it."""
    parts = [_index(p, array, axis, level, depth) for axis in range(len(array.sizes))]
    return ", ".join(parts) or "()"


def extent(p: Program, array: ArrayName, axis: int) -> str:
    """The length of an axis: a literal, or what the array says."""
    size = array.sizes[axis]
    texts = [f"{array.text}.shape[{axis}]"] + ([f"len({array.text})"] if axis == 0 else [])
    if size:
        texts.insert(0, str(size))
    return texts[0] if array.start else p.choices.pick(texts)


def _index(p: Program, array: ArrayName, axis: int, level: Level, depth: int) -> str:
    size = array.sizes[axis]
    dtype = p.choices.pick([t for t in INDEX_TYPES if t in (*p.palette, INT64)])
    if depth <= 0 and level is Level.THREAD and not p.in_function:
        dtype, any_value = INT64, p.choices.pick((p.own.rsplit(", ")[-1], "tid", "kk.threadIdx.x"))
    else:
        any_value = expression(p, dtype, level, min(depth, 1))
    length = extent(p, array, axis)
    forms = ["({0} % {1})"]
    if dtype.is_signed and not array.start:
        forms += ["(-1 - {0} % {1})", "min(max({0}, 0), {1} - 1)", "({0} % {1} - {1})"]
    text = p.choices.pick(forms).format(any_value, length)
    if size and p.choices.chance(15):
        low = 0 if array.start else -size
        text = str(low + p.choices.below(min(size - low, 100)))
    return f"{array.start} + {text}" if array.start else text


def _guard(p: Program, dtype: DType, level: Level) -> tuple[str, str] | None:
    """A test of a name, and a load at it that is in bounds where the test holds."""
    arrays = [a for a in p.readable(dtype, level) if len(a.sizes) == 1 and _whole(a)]
    names = [n for t in INDEX_TYPES for n in p.visible(t, level)]
    if not arrays or not names:
        return None
    array, name = p.choices.pick(arrays), p.choices.pick(names)
    low = "0 <= " if name.dtype.is_signed else ""
    return f"({low}{name.text} < {extent(p, array, 0)})", f"{array.text}[{name.text}]"


def _guarded_load(p: Program, dtype: DType, level: Level, depth: int) -> str | None:
    found = _guard(p, dtype, level)
    if found is None:
        return None
    return f"({found[1]} if {found[0]} else {expression(p, dtype, level, depth)})"


# ---------------------------------------------------------------- the tables
_COMMON: Final[tuple[tuple[int, Producer], ...]] = (
    (10, load), (6, _cast), (4, _choose), (4, _guarded_load), (5, _call),
)  # fmt: skip
_INTEGERS: Final = (
    (18, _binary),
    *_COMMON,
    (4, _unary),
    (3, _extremum),
    (3, _integer_function),
    (1, _power),
)
_FLOATS: Final = (
    (18, _binary), *_COMMON, (4, _unary), (3, _extremum), (5, _float_function), (3, _quotient), (3, _part),
)  # fmt: skip
#: How an expression of each kind of type may be made.
PRODUCERS: Final[dict[str, tuple[tuple[int, Producer], ...]]] = {
    "i": _INTEGERS,
    "u": _INTEGERS,
    "f": _FLOATS,
    "c": ((12, _binary), *_COMMON, (3, _unary)),
    "b": (
        (14, _compare), (6, _logical), (3, _chain), (3, _guarded_test), (2, _float_test), (3, _binary),
        (1, _cast), (3, load), (2, _call), (1, _choose),
    ),
}  # fmt: skip
