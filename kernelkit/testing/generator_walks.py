"""Random kernels that walk through arrays by integers of every width, wrapping, stepping, striding.

In: a seed. Out: a GeneratedKernel over one axis or two, of any block, whose indices are calculated in
narrow types from the thread's place, and whose arguments may be one and the same array.
Holds: what generator.py holds; a thread writes no element that another one reads or writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kernelkit.testing.generator import GeneratedKernel, module_text
from kernelkit.testing.generator_arguments import LAYOUTS, READ_LAYOUTS
from kernelkit.testing.generator_choices import Choices, Seeded

BLOCKS: Final = (
    (32, 1, 1), (64, 1, 1), (100, 1, 1), (1, 1, 1), (2, 1, 1), (3, 1, 1), (300, 1, 1), (256, 1, 1), (7, 1, 1), (16, 1, 1),
    (128, 1, 1), (33, 1, 1),
)  # fmt: skip
TILES: Final = (
    (4, 4, 1), (1, 64, 1), (16, 2, 1), (5, 3, 1), (64, 2, 1), (2, 32, 1), (1, 1, 1), (33, 1, 1), (8, 1, 1), (1, 7, 1),
)  # fmt: skip
THREADS: Final = 700
SIGNED: Final = ("int64", "int32", "int16", "int8")
TYPES: Final = (*SIGNED, "uint8", "uint16", "uint32")
ELEMENTS: Final = (
    "float32",
    "int32",
    "uint8",
    "int64",
    "float64",
    "int16",
    "complex64",
    "bool",
    "float16",
)
_BITS: Final = {
    "int64": 64,
    "int32": 32,
    "int16": 16,
    "int8": 8,
    "uint8": 8,
    "uint16": 16,
    "uint32": 32,
}


@dataclass
class Walk:
    """The kernel being written. `names`: integers, (text, type)."""

    choices: Choices
    size: int
    #: What a thread's own element is called by, and how many such there are.
    own: str = "i"
    lines: list[str] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)
    arrays: list[tuple[str, str, int]] = field(default_factory=list)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    indent: int = 1

    def emit(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    def source(self) -> tuple[str, str, int]:
        """An array to read from: (name, element type, length)."""
        c = self.choices
        if self.arrays and (len(self.arrays) > 2 or c.chance(60)):
            return c.pick(self.arrays)
        dtype, length = c.pick(ELEMENTS), c.pick((64, 37, 256, 1, 100, 300))
        name = f"a{len(self.arrays)}"
        self.arrays.append((name, dtype, length))
        layout = c.pick(READ_LAYOUTS)
        self.parameters.append(
            (name, f'array("{dtype}", ({length},), {len(self.arrays)}, "{layout}")')
        )
        return self.arrays[-1]


# ---------------------------------------------------------------- integers
def _edges(dtype: str) -> tuple[int, ...]:
    bits = _BITS[dtype]
    if dtype[0] == "u":
        return (0, 1, 2**bits - 1, 2**bits - 7, 2 ** (bits - 1), 5)
    half = 1 << (bits - 1)
    return (0, 1, half - 1, -half, half - 9, -half + 5, -1, 5, 100)


def _atom(w: Walk) -> str:
    c = w.choices
    if c.chance(75):
        return c.pick(w.names[::-1])[0]
    if c.chance(40):
        return c.pick(("n", "m", "kk.blockDim.x", "kk.gridDim.x", "kk.threadIdx.x", "out.size"))
    dtype = c.pick(TYPES)
    return f"np.{dtype}({c.pick(_edges(dtype))})"


def number(w: Walk, depth: int = 2) -> str:
    """An integer expression, of whatever type its operands meet in."""
    c = w.choices
    if depth == 0 or c.below(5) == 0:
        return _atom(w)
    left = number(w, depth - 1)
    match c.below(10):
        case 0 | 1 | 2 | 3:
            other = str(c.pick((1, 2, 3, 4, 7, 16))) if c.chance(60) else number(w, depth - 1)
            return f"({left} {c.pick(('+', '-', '*', '+', '*', '-'))} {other})"
        case 4:
            return f"({left} {c.pick(('%', '//'))} {c.pick((2, 3, 5, 8, 100, 'n', '(n + 90)'))})"
        case 5:
            return f"{c.pick(('min', 'max'))}({left}, {c.pick((0, 1, 9, 60, 100))})"
        case 6:
            return f"({left} {c.pick(('<<', '>>', '&', '|', '^'))} {c.pick((1, 2, 3, 7))})"
        case 7:
            return c.pick((f"(-{left})", f"(~{left})", f"abs({left})"))
        case 8:
            return f"({left} if {condition(w)} else {number(w, depth - 1)})"
        case _:
            return f"np.{c.pick(TYPES)}({left})"


def condition(w: Walk) -> str:
    c = w.choices
    sign = c.pick(("<", ">", "<=", ">=", "==", "!="))
    other = str(c.pick((0, 1, 5, 31, 64, 100))) if c.chance(50) else number(w, 1)
    return f"{number(w, 1)} {sign} {other}"


def _element(w: Walk) -> tuple[str, str]:
    """An element of an array at some integer, as the language lets one say so safely; its type."""
    c = w.choices
    name, dtype, size = w.source()
    at = number(w)
    length = str(size) if c.chance(50) else f"{name}.size"
    match c.below(8):
        case 0 | 1:
            return f"{name}[np.int64({at}) % {length}]", dtype
        case 2:
            return f"{name}[min(max(np.int64({at}), 0), {length} - 1)]", dtype
        case 3:
            return f"{name}[np.int64({at}) % {length} - {length}]", dtype
        case 4:
            return f"{name}[-1 - np.int32({at}) % np.int32({length})]", dtype
        case 5 if size & (size - 1) == 0:
            return f"{name}[np.int64({at}) & {size - 1}]", dtype
        case 6:
            named = c.pick(w.names)[0]
            return f"({name}[{named}] if 0 <= {named} < {name}.size else {name}[0])", dtype
        case _:
            return f"{name}[np.uint8({at}) % {name}.size]", dtype


def _number_of(element: str, dtype: str) -> str:
    """An element as a float64 or an int64, with as much of it as goes there."""
    if dtype == "complex64":
        return f"np.float64({element}.real)"
    return f"np.{'float64' if dtype[0] == 'f' else 'int64'}({element})"


# ---------------------------------------------------------------- statements
def _name(w: Walk) -> None:
    dtype = w.choices.pick(TYPES)
    text = f"n{len(w.names)}"
    w.emit(f"{text} = np.{dtype}({number(w)})")
    w.names.append((text, dtype))


def _work(w: Walk) -> None:
    """Something added to the total, where a condition holds perhaps."""
    c = w.choices
    element, dtype = _element(w)
    form = c.below(6)
    if form == 0:
        w.emit(f"if {condition(w)}:")
        w.indent += 1
    elif form == 1:
        w.emit(f"for k in range({c.pick((2, 3, '(n % 4)', '(i % 3)', '-2, 3', '3, -1, -2'))}):")
        w.indent += 1
        w.names.append(("k", "int64"))
        element, dtype = _element(w)
        w.names.pop()
    w.emit(f"total += {_number_of(element, dtype)}")
    if c.chance(20):
        w.emit(f"count += int({condition(w)})")
    if form < 2:
        w.indent -= 1


def _stored(w: Walk) -> None:
    """The thread's own element of each output; `again` may be the memory of `out`, and more."""
    c, own = w.choices, w.own
    forms = (
        own,
        own,
        f"np.int32({own})",
        f"out.size - 1 - {own}",
        f"-1 - {own}",
        f"({own} + shift) % out.size",
    )
    place = c.pick(forms)
    same = place if place.startswith("-") else f"{place} + 3"
    w.emit(f"out[{place}] = total")
    if c.chance(40):
        w.emit(f"out[{place}] += again[{same}] * 2")
        w.emit(f"again[{same}] -= 1")
        w.emit(f"count += int(out[{place}] == again[{same}])")
    w.emit(f"counts[{w.own}] = count + int({condition(w)})")
    w.emit(f"numbers[{w.own}] = {number(w)}")


def _line(w: Walk, threads: int) -> None:
    """One axis: an element for each thread, or a stride through more."""
    c = w.choices
    form = c.below(7)
    i = c.pick(
        (
            "kk.grid(1)",
            "kk.blockIdx.x * kk.blockDim.x + kk.threadIdx.x",
            "kk.threadIdx.x + kk.blockIdx.x * kk.blockDim.x",
        )
    )
    w.emit(f"i = {i}")
    w.names = [("i", "int64")]
    w.emit("total = np.float64(0)")
    w.emit("count = 0")
    if form < 3:
        w.emit("if i >= out.size:" if c.chance(50) else "if not (i < counts.size):")
        w.emit("    return")
        return
    if form == 3:
        w.emit("if i < out.size:")
        w.indent += 1
        return
    w.own = "j"
    step = c.pick(("kk.gridsize(1)", "kk.blockDim.x * kk.gridDim.x", str(threads)))
    if form == 4:
        w.emit("j = i")
        w.emit("while j < out.size:")
    elif form == 5:
        w.emit(f"for j in range(out.size - 1 - i, -1, -{step}):")
    else:
        w.emit(f"for j in range(i, out.size, {step}):")
    w.indent += 1
    w.names = [("j", "int64"), ("i", "int64")]
    if form == 4:
        w.emit("here = j")
        w.emit(f"j += {step}")
        w.own = "here"
        w.names = [("here", "int64"), ("i", "int64")]
    if c.chance(50):
        w.emit("total = 0.0")


def _plane(w: Walk, columns: int) -> None:
    """Two axes, of which one perhaps walks along memory."""
    c = w.choices
    w.emit("x, y = kk.grid(2)")
    w.emit("total = np.float64(0)")
    w.emit("count = 0")
    limit = f"x >= {columns} or y * {columns} + x >= out.size"
    if c.chance(40):
        w.emit(f"i = y * {columns} + x")
        w.emit(f"if {limit}:")
    else:
        rows = -(-w.size // columns)
        w.emit(f"i = x * {rows} + y")
        w.emit(f"if y >= {rows} or i >= out.size:")
    w.emit("    return")
    w.names = [("x", "int64"), ("y", "int64"), ("i", "int64")]


def generate_walk(seed: int) -> GeneratedKernel:
    """The kernel of that seed."""
    c = Seeded(seed)
    flat = c.chance(65)
    block = c.pick(BLOCKS if flat else TILES)
    grid = (c.pick((1, 2, 3, 5, 40)), 1, 1) if flat else (c.pick((1, 2, 9)), c.pick((1, 3, 5)), 1)
    while grid[0] * grid[1] * block[0] * block[1] > THREADS and grid != (1, 1, 1):
        grid = (max(1, grid[0] // 2), max(1, grid[1] // 2), 1)
    threads = grid[0] * grid[1] * block[0] * block[1]
    w = Walk(c, max(1, threads - c.pick((0, 1, 5, 17))))
    if flat:
        _line(w, threads)
        if w.own != "i":
            w.size = threads * c.pick((1, 2, 3)) + c.pick((0, 1, 5))
    else:
        _plane(w, grid[0] * block[0])
    for _ in range(1 + c.below(4)):
        _name(w)
    for _ in range(1 + c.below(3)):
        _work(w)
    _stored(w)
    _outputs(w)
    launch = (grid, block, 0)
    return GeneratedKernel(module_text([], w.parameters, w.lines, launch), *launch)


def _outputs(w: Walk) -> None:
    """The parameters besides what is only read."""
    c, size = w.choices, w.size
    result, layout = c.pick(("float64", "float32", "int32", "int16")), c.pick(tuple(LAYOUTS))
    again = f'array("{result}", ({size + 3},), 4, "{layout}")'
    out = f'array("{result}", ({size},), 9, "{layout}")'
    if c.chance(60):
        again, out = f"(whole := {again})", "whole[3:]"
    w.parameters += [
        ("again", again),
        ("out", out),
        ("counts", f'array("int32", ({size},), 5, "{c.pick(tuple(LAYOUTS))}")'),
        ("numbers", f'array("{c.pick(TYPES)}", ({size},), 6)'),
        ("n", str(c.pick((5, -3, 100)))),
        ("m", f"np.int32({c.pick((7, -1, 64))})"),
        ("shift", str(c.pick((1, 0, 37)))),
    ]
