"""Random kernels that read around their own place in an image, as filters do.

In: a seed. Out: a GeneratedKernel over several blocks, whose threads read neighbours of their own
element, with borders treated in one of the many ways that people write, and write their own.
Holds: what generator.py holds; every index is inside its array, whatever the block.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kernelkit.testing.generator import GeneratedKernel, module_text
from kernelkit.testing.generator_arguments import LAYOUTS, READ_LAYOUTS
from kernelkit.testing.generator_choices import Choices, Seeded

#: Blocks, and how many of them along x and y suit one that must not cost too much.
BLOCKS: Final = (
    (16, 4, 1), (32, 2, 1), (8, 8, 1), (4, 16, 1), (64, 1, 1), (1, 32, 1), (2, 8, 1), (5, 3, 1), (33, 2, 1),
    (128, 1, 1), (16, 16, 1), (1, 1, 1), (3, 1, 1), (1, 4, 1), (64, 4, 1), (7, 5, 1), (32, 8, 1), (48, 2, 1),
    (256, 1, 1), (8, 2, 2), (4, 4, 4),
)  # fmt: skip
#: Elements of an image, about.
AREA: Final = 1500
DTYPES: Final = ("float32", "float64", "int32", "uint8", "int16", "int64", "float16", "complex64")
#: Types that places and sizes are computed in.
PLACES: Final = ("int64", "int32", "int64", "uint32", "int16")
BORDERS: Final = (
    "clamp", "wrap", "mirror", "skip", "guard", "zero", "repeat", "margin", "reflect", "negative", "clip",
)  # fmt: skip


@dataclass
class Image:
    """The kernel being written: `w` and `h` are the output's size; names of places are of `place`'s
    type; `step` elements of the source go to one of the output."""

    choices: Choices
    w: int
    h: int
    place: str
    radius: int
    step: int
    lines: list[str] = field(default_factory=list)
    parameters: list[tuple[str, str]] = field(default_factory=list)
    indent: int = 1
    sizes: tuple[str, str] = ("", "")

    def emit(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    @property
    def source(self) -> tuple[int, int]:
        return self.w * self.step, self.h * self.step


def _size_texts(g: Image) -> tuple[str, str]:
    """How the source's width and height are written."""
    c, (w, h) = g.choices, g.source
    form = c.below(5)
    if form < 2:
        return "a.shape[1]", "a.shape[0]"
    if form == 2:
        return str(w), str(h)
    if form == 3:
        for name, value in (("w", w), ("h", h)):
            dtype = c.pick(("int64", "int32", "int16", "uint32"))
            g.parameters.append((name, f"np.{dtype}({value})" if dtype != "int64" else str(value)))
        return "w", "h"
    g.emit(f"w, h = np.{g.place}(a.shape[1]), np.{g.place}(a.shape[0])")
    return "w", "h"


def _position(g: Image, axes: int) -> None:
    """Names for the thread's place."""
    c = g.choices
    form = c.below(4)
    names = ("x", "y", "z")[:axes]
    if form == 0:
        g.emit(f"{', '.join(names)} = kk.grid({axes})")
    for axis, name in enumerate(names):
        text = f"kk.blockIdx.{name} * kk.blockDim.{name} + kk.threadIdx.{name}"
        if form == 1 and axis == 0:
            text = f"kk.threadIdx.{name} + kk.blockDim.{name} * kk.blockIdx.{name}"
        if form:
            g.emit(f"{name} = {text}")
    if g.place != "int64":
        for name in names:
            g.emit(f"p{name} = np.{g.place}({name})")
    else:
        for name in names:
            g.emit(f"p{name} = {name}")


def _bordered(g: Image, name: str, at: str, size: str, border: str) -> tuple[str, str, int]:
    """(index, condition under which it is inside, lines of code that opened a body)."""
    c, e = g.choices, g.emit
    match border:
        case "clamp":
            form = c.pick(("min(max({0}, 0), {1} - 1)", "max(min({0}, {1} - 1), 0)"))
            e(f"{name} = {form.format(at, size)}")
        case "clip":
            e(f"{name} = 0 if {at} < 0 else ({size} - 1 if {at} >= {size} else {at})")
        case "wrap":
            form = c.pick(("({0}) % {1}", "({0} + {1}) % {1}", "({0} + 3 * {1}) % {1}"))
            e(f"{name} = {form.format(at, size)}")
        case "mirror":
            e(f"{name} = {at}")
            e(f"if {name} < 0:")
            e(f"    {name} = -{name} - 1")
            e(f"if {name} >= {size}:" if c.chance(50) else f"elif {name} > {size} - 1:")
            e(f"    {name} = 2 * {size} - 1 - {name}")
        case "reflect":
            e(f"{name} = abs({at})")
            e(f"{name} = {name} if {name} < {size} else 2 * {size} - 2 - {name}")
        case "repeat":
            e(f"{name} = {at}")
            e(f"while {name} < 0:")
            e(f"    {name} += {size}")
            e(f"while {name} >= {size}:")
            e(f"    {name} -= {size}")
        case "margin":
            e(f"{name} = {at} + {g.radius}")
        case "negative":
            # One wrap of a negative index, by the language itself.
            e(f"{name} = {at} if {at} < {size} else {at} - {size}")
        case _:
            e(f"{name} = {at}")
    inside = f"0 <= {name} < {size}" if c.chance(50) else f"{name} >= 0 and {name} < {size}"
    return name, inside if border in ("skip", "guard", "zero") else "", 0


def _borders(g: Image) -> tuple[str, str]:
    c = g.choices
    unsigned = g.place == "uint32"
    allowed = ("wrap", "margin", "skip") if unsigned else BORDERS
    both = c.pick(allowed)
    pair = (both, both) if c.chance(70) else (c.pick(allowed), c.pick(allowed))
    if unsigned:
        # Below 0 it wraps around to what is far outside; `%` would not come back to the same place.
        pair = ("skip" if pair[0] == "wrap" else pair[0], "skip" if pair[1] == "wrap" else pair[1])
    # One image has one margin.
    return ("margin", "margin") if "margin" in pair else pair


def _read(g: Image, borders: tuple[str, str], dx: str, dy: str, weight: str) -> None:
    """One neighbour, added to the total."""
    c = g.choices
    places = []
    tests = []
    for name, offset, size, border in (
        ("yy", dy, g.sizes[1], borders[1]),
        ("xx", dx, g.sizes[0], borders[0]),
    ):
        sign = f"- {offset[1:]}" if offset.startswith("-") else f"+ {offset}"
        at = f"p{name[0]} * {g.step} {sign}" if g.step > 1 else f"p{name[0]} {sign}"
        index, inside, _ = _bordered(g, name, f"({at})", size, border)
        places.append(index)
        if inside:
            tests.append((inside, border))
    element = f"a[{', '.join(places)}]"
    if c.chance(15) and not tests:
        g.emit(f"row = a[{places[0]}]")
        element = f"row[{places[1]}]"
    whole = " and ".join(test for test, _ in tests)
    if tests and tests[0][1] == "zero":
        return g.emit(f"total += (np.{_total(g)}({element}) if {whole} else {_zero(g)}) {weight}")
    if tests and tests[0][1] == "guard" and c.chance(50):
        g.emit(f"if not ({whole}):")
        g.emit("    continue")
        tests = []
    if tests:
        g.emit(f"if {whole}:")
        g.indent += 1
    g.emit(f"total += np.{_total(g)}({element}) {weight}")
    if tests:
        g.indent -= 1


def _total(g: Image) -> str:
    return g.lines[0].split("np.")[1].split("(")[0]


def _zero(g: Image) -> str:
    return f"np.{_total(g)}(0)"


def _loops(g: Image, borders: tuple[str, str]) -> None:
    """All neighbours, in loops over constants, over parameters, or one by one."""
    c, r = g.choices, g.radius
    form = c.below(5)
    weight = (
        c.pick(("* 3", "", "* k[0]"))
        if form == 4
        else c.pick(("* k[dx + r]", "* 3", "", f"* k[dx + {r}]"))
    )
    g.parameters.append(
        ("k", f'array("{c.pick(("int32", "float32", "uint8"))}", ({2 * r + 1},), 7)')
    )
    g.parameters.append(("r", str(r)))
    g.emit("changed = 0")
    if form == 4:
        one = min(r, 1)
        for at, row in ((0, 0), (r, 0), (-r, one), (one, -r))[: 1 + c.below(4)]:
            g.emit("for once in range(1):")
            g.indent += 1
            _read(g, borders, str(at), str(row), weight)
            g.indent -= 1
        return
    bounds = f"-{r}, {r + 1}" if form < 2 else "-r, r + 1"
    rows = bounds if c.chance(60) else f"0, {1 + min(r, c.below(2))}"
    g.emit(f"for dy in range({rows}):")
    g.indent += 1
    g.emit(f"for dx in range({bounds}):")
    g.indent += 1
    dx, dy = "dx", "dy"
    if g.place != "int64":
        dx, dy = f"np.{g.place}(dx)", f"np.{g.place}(dy)"
    _read(g, borders, dx, dy, weight)
    if c.chance(15):
        g.emit("changed += 1")
    g.indent -= 2


def generate_image(seed: int) -> GeneratedKernel:
    """The kernel of that seed."""
    c = Seeded(seed)
    block = c.pick(BLOCKS)
    w, h = _shape(c, block)
    depth = block[2] if block[2] > 1 or c.chance(10) else 1
    exact = c.chance(20)
    grid = tuple(-(-n // b) for n, b in zip((w, h, depth), block, strict=True))
    if exact:
        w, h = grid[0] * block[0], grid[1] * block[1]
    radius = c.pick((1, 2, 3, 0, 7))
    g = Image(c, w, h, c.pick(PLACES), radius, c.pick((1, 1, 1, 2, 3)))
    source = c.pick(DTYPES)
    total = (
        "complex64"
        if source == "complex64"
        else c.pick(("float32", "float64", "int64", "int32", "float16"))
    )
    g.emit(f"total = np.{total}(0)")
    _position(g, 3 if depth > 1 else 2)
    limits = (
        "y < out.shape[1] and x < out.shape[2] and z < out.shape[0]"
        if depth > 1
        else "y < out.shape[0] and x < out.shape[1]"
    )
    if not (exact and c.chance(60)):
        if c.chance(50):
            g.emit(
                f"if not ({limits}):"
                if depth > 1 or c.chance(30)
                else f"if x >= {w} or y >= out.shape[0]:"
            )
            g.emit("    return")
        else:
            g.emit(f"if {limits}:")
            g.indent += 1
    # Mirrors come back once only, and what wraps by itself does so once.
    g.sizes = _size_texts(g)
    borders = _borders(g)
    if min(g.source) <= 2 * radius + 1:
        borders = ("clamp", "clamp") if g.place != "uint32" else ("skip", "skip")
    _loops(g, borders)
    own = "z, y, x" if depth > 1 else "y, x"
    g.emit(f"out[{own}] = total")
    if c.chance(30):
        g.emit(f"out[{own}] += changed + px")
    margin = 2 * radius if borders[0] == "margin" else 0
    shape = (h, w) if depth == 1 else (depth, h, w)
    result = source if source == "complex64" else c.pick((total, *DTYPES[:6]))
    sw, sh = g.source
    g.parameters.insert(
        0, ("a", f'array("{source}", ({sh + margin}, {sw + margin}), 3, "{c.pick(READ_LAYOUTS)}")')
    )
    g.parameters.insert(1, ("out", f'array("{result}", {shape}, 4, "{c.pick(tuple(LAYOUTS))}")'))
    launch = ((grid[0], grid[1], grid[2]), block, 0)
    return GeneratedKernel(module_text([], g.parameters, g.lines, launch), *launch)


def _shape(c: Choices, block: tuple[int, int, int]) -> tuple[int, int]:
    """Width and height of an image of several blocks, if that is not too much."""
    width = c.pick((block[0] * 3 - 2, block[0] * 2, 37, 70, block[0] * 5 + 1, 9, 150))
    height = c.pick((block[1] * 3 - 1, block[1] * 2, 23, 11, block[1] * 4 + 1, 5))
    while width * height * block[2] > AREA:
        if height > 3 * block[1] or (height > width and height > 1):
            height = -(-height // 2)
        else:
            width = -(-width // 2)
    return width, height
