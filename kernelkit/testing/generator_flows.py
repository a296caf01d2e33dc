"""Random kernels that are hard on control flow: small, of integers mostly, and deeply nested.

In: a seed. Out: a GeneratedKernel in which names of every kind (the same for the block, stepping
from thread to thread, any) are assigned where threads part and read where they meet again.
Holds: what generator.py holds; a thread's loops come to an end after a few rounds each, whatever
their bounds are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from kernelkit.testing.generator import GeneratedKernel, module_text
from kernelkit.testing.generator_choices import Choices, Seeded

BLOCKS: Final = (
    (8, 1, 1), (33, 1, 1), (64, 1, 1), (7, 1, 1), (40, 1, 1), (1, 1, 1), (130, 1, 1), (16, 4, 1), (5, 7, 1),
    (4, 16, 1), (33, 2, 1), (3, 4, 5), (1, 40, 1), (32, 2, 1), (2, 2, 9), (17, 3, 1),
)  # fmt: skip
INTEGERS: Final = ("int64", "int32", "int16", "uint8", "int8", "uint32")
FLOATS: Final = ("float32", "float64", "float16")
#: None of them weak, so that nothing is asked to fit a narrow type.
CONSTANTS: Final = (
    "np.int64(1)", "np.int32(2)", "np.int64(3)", "np.uint8(7)", "np.int64(0)", "np.int64(-2)", "np.int16(13)",
)  # fmt: skip
#: The most rounds of a nest of loops, and statements in a kernel.
ROUNDS, STATEMENTS = 48, 26
_BIG: Final = (2**63 - 1, 2**63 - 2, -(2**63), -(2**63) + 3, 2**62, -(2**62), 2**32 + 5, 2**31)


@dataclass(frozen=True)
class Name:
    """A name; `block`: its value is the same in all threads of the block."""

    text: str
    dtype: str
    block: bool
    writable: bool = True


@dataclass(frozen=True)
class Place:
    """Where the next statement stands."""

    #: Whether all threads of the block that have not returned are here.
    block: bool = True
    #: Whether a `break` here leaves a loop, and which threads must take it together.
    loop: str = ""
    rounds: int = 1
    depth: int = 1
    function: bool = False


@dataclass
class Flow:
    """A kernel, or a function, being written."""

    choices: Choices
    threads: int
    place: Place = field(default_factory=Place)
    lines: list[str] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    left: int = STATEMENTS
    counts: dict[str, int] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)
    local: list[str] = field(default_factory=list)
    warps: bool = False

    def emit(self, text: str) -> None:
        self.lines.append("    " * self.place.depth + text)

    def fresh(self, prefix: str) -> str:
        self.counts[prefix] = self.counts.get(prefix, 0) + 1
        return f"{prefix}{self.counts[prefix]}"

    @contextmanager
    def inside(self, head: str, **changes: object) -> Iterator[None]:
        """An indented body."""
        self.emit(head)
        outer = self.place
        self.place = replace(outer, depth=outer.depth + 1, **changes)  # type: ignore[arg-type]
        yield
        self.place = outer

    def narrowed(self, block: bool) -> dict[str, object]:
        """The place under a condition."""
        return {"block": self.place.block and block}


# ---------------------------------------------------------------- expressions
def _leaf(f: Flow, block: bool) -> str:
    """An integer: the same in the block, a step from thread to thread, or any."""
    c = f.choices
    names = [n for n in f.names if n.block or not block]
    if names and c.chance(60):
        name = c.pick(names[::-1])
        return name.text if name.dtype[0] in "iu" else f"int({name.text})"
    if f.place.function or c.chance(20):
        return c.pick(CONSTANTS)
    uniform = ("bx", "p", "q", "kk.blockDim.x", "b.size", "b[bx % b.size]", "b[2]")
    if block:
        return c.pick(uniform)
    varying = ("tid", "i", "kk.threadIdx.y", "a[i]", "a[tid % 8]", "a[i % a.size]", "kk.laneid")
    return c.pick((*varying, *varying, *uniform))


def number(f: Flow, block: bool, depth: int = 2) -> str:
    """An integer expression of some type."""
    c = f.choices
    if depth == 0 or c.below(4) == 0:
        return _leaf(f, block)
    left = number(f, block, depth - 1)
    form = c.below(12)
    if form < 6:
        other = str(c.pick((1, 2, 3, 5, 8, 100))) if c.chance(50) else number(f, block, depth - 1)
        return f"({left} {c.pick(('+', '-', '*', '&', '^', '%', '//', '|'))} {other})"
    if form == 6:
        return f"{c.pick(('min', 'max'))}({left}, {c.pick((0, 3, 10, 31))})"
    if form == 7:
        return f"np.{c.pick(INTEGERS)}({left})"
    if form == 8:
        return f"({left} if {condition(f, block, 1)} else {number(f, block, depth - 1)})"
    if form == 9:
        return f"({left} {c.pick(('>>', '<<'))} {c.pick((1, 3, 40))})"
    if form == 10 and not block and not f.place.function:
        array, size = c.pick(
            [
                ("a", "a.size"),
                *((s, str(f.threads)) for s in f.shared),
                *((n, "4") for n in f.local),
            ]
        )
        return f"{array}[{left} % {size}]"
    return f"abs({left})"


def condition(f: Flow, block: bool, depth: int = 1) -> str:
    """A condition."""
    c = f.choices
    form = c.below(6)
    if form == 0 and depth:
        word = c.pick(("and", "or"))
        return f"({condition(f, block, 0)} {word} {condition(f, block, 0)})"
    if form == 1 and not block and not f.place.function:
        return c.pick(("tid < 5", "i > 9", "tid % 2 == 0", "kk.threadIdx.x == 3", "tid >= 32"))
    if form == 2:
        return f"not {number(f, block, 1)} % 3"
    sign = c.pick(("<", ">", "<=", "==", "!=", ">="))
    return f"{number(f, block, 1)} {sign} {number(f, block, 1)}"


def _value(f: Flow, name: Name) -> str:
    """A value for a name, of its type."""
    c, block = f.choices, name.block
    if name.dtype == "bool":
        return f"bool({condition(f, block)})"
    if name.dtype[0] == "f" and c.chance(60):
        mates = [n.text for n in f.names if n.dtype == name.dtype and (n.block or not block)]
        one = c.pick(mates) if mates else f"np.{name.dtype}(3)"
        return f"{one} {c.pick(('+', '-', '*'))} {c.pick(('0.5', '1.5', '-1.0'))}"
    return f"np.{name.dtype}({number(f, block)})"


# ---------------------------------------------------------------- statements
def _assign(f: Flow) -> None:
    c = f.choices
    names = [n for n in f.names if n.writable and (not n.block or f.place.block)]
    if not names:
        return f.emit("pass")
    name = c.pick(names)
    if name.dtype[0] in "iu" and c.chance(45):
        sign = c.pick(("+=", "-=", "^=", "*=", "|="))
        other = (
            str(1 + c.below(9)) if c.chance(50) else f"np.{name.dtype}({number(f, name.block, 1)})"
        )
        return f.emit(f"{name.text} {sign} {other}")
    f.emit(f"{name.text} = {_value(f, name)}")


def _if(f: Flow) -> None:
    c = f.choices
    block = c.chance(35)
    with f.inside(f"if {condition(f, block)}:", **f.narrowed(block)):
        body(f)
    if c.chance(25):
        with f.inside(f"elif {condition(f, block)}:", **f.narrowed(block)):
            body(f)
    if c.chance(45):
        with f.inside("else:", **f.narrowed(block)):
            body(f)


def _loop_place(f: Flow, block: bool, trips: int) -> dict[str, object]:
    together = f.place.block and block
    return {
        "block": together,
        "loop": "block" if together else "thread",
        "rounds": f.place.rounds * trips,
    }


def _for(f: Flow) -> None:
    c = f.choices
    trips = c.pick((2, 3, 5, 1))
    if f.place.rounds * trips > ROUNDS:
        return _assign(f)
    block = c.chance(50)
    # Whether all threads take the jumps out of it together, so that there may be barriers in it.
    together = block and c.chance(60)
    k = f.fresh("k")
    bounds, endless = _bounds(f, block, trips)
    if endless:
        count = f.fresh("n")
        f.emit(f"{count} = 0")
    with f.inside(f"for {k} in range({bounds}):", **_loop_place(f, together, trips)):
        if endless:
            f.emit(f"{count} += 1")
            f.emit(f"if {count} > {trips}:")
            f.emit("    break")
        f.names.append(Name(k, "int64", f.place.block, writable=False))
        body(f)
        f.names.pop()
    _else(f, together)


def _bounds(f: Flow, block: bool, trips: int) -> tuple[str, bool]:
    """Arguments of a range, and whether it must be cut short."""
    c = f.choices
    some = number(f, block, 1)
    match c.below(7):
        case 0:
            return str(trips), False
        case 1:
            return f"{trips}, 0, -1", False
        case 2:
            return f"({some}) % {trips + 1}", False
        case 3:
            return (
                f"{some} % 7, {trips} + {some} % 7, np.int64({number(f, block, 1)}) % 3 + 1",
                True,
            )
        case 4:
            return f"{some}, {number(f, block, 1)}, {c.pick(('1', '-1', '3', '-7'))}", True
        case 5:
            start, stop = c.pick(_BIG), c.pick(_BIG)
            step = c.pick((1, -1, 2**62, -(2**62), 2**63 - 1, -(2**63), 2**40, 3))
            return f"{start}, {stop}, {step}", True
        case _:
            start, stop, nothing = c.pick(_BIG), c.pick(_BIG), "x" if f.place.function else "p"
            first, last = f"np.int64({some}) + ({start})", f"({stop}) - np.int64({some})"
            return f"{first}, {last}, ({some}) + {nothing} * 0 | 1", True


def _else(f: Flow, block: bool) -> None:
    if f.choices.chance(15):
        with f.inside("else:", **f.narrowed(block)):
            body(f)


def _while(f: Flow) -> None:
    c = f.choices
    trips = c.pick((2, 3, 4))
    if f.place.rounds * trips > ROUNDS:
        return _assign(f)
    block = c.chance(40)
    n = f.fresh("n")
    f.emit(f"{n} = np.int64(0)")
    form = c.below(4)
    heads = (
        f"{n} < {trips}",
        f"{n} < {trips} and {condition(f, block)}",
        "True",
        f"{n} < ({number(f, block, 1)}) % 5",
    )
    with f.inside(f"while {heads[form]}:", **_loop_place(f, block, trips + 1)):
        f.emit(f"{n} += 1")
        if form == 2:
            word = "break" if f.place.function or c.chance(60) else "return"
            f.emit(f"if {n} > {trips}:")
            f.emit(f"    {word}")
        f.names.append(Name(n, "int64", f.place.block, writable=False))
        body(f)
        f.names.pop()
    _else(f, block)


def _jump(f: Flow) -> None:
    """A way out, under a condition that those who must take it together share."""
    if not f.place.loop:
        return _return(f) if f.choices.chance(40) else _assign(f)
    block = f.place.loop == "block"
    if block and not f.place.block:
        return _assign(f)
    f.emit(f"if {condition(f, block)}:")
    f.emit(f"    {f.choices.pick(('break', 'continue', 'continue'))}")


def _return(f: Flow) -> None:
    f.emit(f"if {condition(f, False)}:")
    if f.place.function:
        return f.emit(f"    return {number(f, False, 1)}")
    _store(f, "    ")
    f.emit("    return")


def _store(f: Flow, indent: str = "") -> None:
    if f.place.function:
        return _assign(f)
    sign = f.choices.pick(("=", "+=", "^=", "+="))
    f.emit(f"{indent}out[i] {sign} {number(f, False, 1)}")


def _call(f: Flow) -> None:
    names = [n for n in f.names if n.writable and not n.block and n.dtype in INTEGERS]
    if not (names and f.functions) or f.place.function:
        return _assign(f)
    name, function = f.choices.pick(names), f.choices.pick(f.functions)
    head = function.split("(")[0].removeprefix("def ")
    call = f"{head}({number(f, False, 1)}, {number(f, False, 1)})"
    f.emit(f"{name.text} = np.{name.dtype}({call})")


def _barrier(f: Flow) -> None:
    """Each thread's number, seen by its neighbours; or a vote."""
    c = f.choices
    if not f.place.block or f.place.function:
        return _assign(f)
    takers = [n for n in f.names if n.writable and n.dtype in INTEGERS]
    block_takers = [n for n in takers if n.block]
    if block_takers and c.chance(40):
        name = c.pick(block_takers)
        vote = c.pick(("count", "and", "or"))
        return f.emit(
            f"{name.text} = np.{name.dtype}(kk.syncthreads_{vote}({condition(f, False)}))"
        )
    others = [n for n in takers if not n.block]
    if not f.shared or not others:
        return f.emit("kk.syncthreads()")
    name, array = c.pick(others), c.pick(f.shared)
    f.emit("kk.syncthreads()")
    arrays, f.shared = f.shared, []  # While threads write to one, no other may read it.
    f.emit(f"{array}[tid] = {number(f, False, 1)}")
    f.shared = arrays
    f.emit("kk.syncthreads()")
    f.emit(f"{name.text} = np.{name.dtype}({array}[(tid + {1 + c.below(40)}) % {f.threads}])")


def _warp(f: Flow) -> None:
    """All lanes of a warp together: where all threads of the block are."""
    c = f.choices
    names = [
        n for n in f.names if n.writable and not n.block and n.dtype in ("int64", "int32", "uint32")
    ]
    if not (f.warps and f.place.block and names) or f.place.function:
        return _assign(f)
    name = c.pick(names)
    match c.below(4):
        case 0:
            value = f"kk.popc(kk.ballot_sync(0xFFFFFFFF, {condition(f, False)}))"
        case 1:
            value = f"int(kk.{c.pick(('any', 'all'))}_sync(0xFFFFFFFF, {condition(f, False)}))"
        case 2:
            value = f"kk.shfl_xor_sync(0xFFFFFFFF, {name.text}, {c.pick((1, 2, 16, 31))})"
        case _:
            value = (
                f"kk.shfl_{c.pick(('up', 'down'))}_sync(0xFFFFFFFF, {name.text}, {1 + c.below(9)})"
            )
    f.emit(f"{name.text} = np.{name.dtype}({value})")


def _local(f: Flow) -> None:
    if not f.local or f.place.function:
        return _store(f)
    array = f.choices.pick(f.local)
    f.emit(
        f"{array}[{number(f, False, 1)} % 4] {f.choices.pick(('=', '+='))} {number(f, False, 1)}"
    )


def _view(f: Flow) -> None:
    names = [n for n in f.names if n.writable and not n.block and n.dtype in INTEGERS]
    if not names or f.place.function:
        return _assign(f)
    row, name = f.fresh("row"), f.choices.pick(names)
    f.emit(f"{row} = m[{number(f, False, 1)} % 4]")
    if f.place.rounds * 3 <= ROUNDS and f.choices.chance(40):
        k = f.fresh("k")
        f.emit(f"for {k} in range({number(f, f.choices.chance(50), 1)} % 4):")
        return f.emit(f"    {name.text} += np.{name.dtype}({row}[-1 - {k}])")
    f.emit(f"{name.text} = np.{name.dtype}({row}[{number(f, False, 1)} % 5])")


STATEMENTS_TABLE: Final[tuple[tuple[int, Callable[[Flow], None]], ...]] = (
    (20, _assign), (13, _if), (10, _for), (7, _while), (12, _jump), (5, _return), (7, _store), (5, _call),
    (9, _barrier), (5, _warp), (4, _local), (4, _view),
)  # fmt: skip
_MORE: Final = (0, 94, 66, 58, 45, 30, 0)


def body(f: Flow) -> None:
    """One statement or more."""
    while True:
        f.left -= 1
        f.choices.weighted(STATEMENTS_TABLE if f.left > 0 else ((1, _assign),))(f)
        if f.left <= 0 or not f.choices.chance(_MORE[min(f.place.depth, 6)]):
            return


# ---------------------------------------------------------------- the whole
def _function(f: Flow) -> str:
    """A device function of two integers, with loops and returns."""
    text = f.fresh("function")
    g = Flow(f.choices, f.threads, Place(block=False, function=True), left=8, counts=f.counts)
    g.names = [Name("x", "int64", False), Name("y", "int64", False)]
    body(g)
    final = number(g, False, 1)
    lines = [
        "    x = np.int64(x)",
        "    y = np.int64(y)",
        *g.lines,
        f"    return np.int64({final})",
    ]
    source = f"def {text}(x, y):\n" + "\n".join(lines) + "\n"
    return source.replace("return ", "return np.int64(0) + ")


def _names(f: Flow) -> None:
    """Names of every kind, assigned before anything else."""
    c = f.choices
    for at in range(2 + c.below(2)):
        f.emit(f"u{at} = np.int64({number(f, True, 1)})")
        f.names.append(Name(f"u{at}", "int64", True))
    linear = (
        "tid * 2",
        "i + p",
        "np.int32(tid)",
        "min(i, 20)",
        "max(tid - 3, 0)",
        "np.uint8(tid * 7)",
        "i % 16",
        "3 - tid",
    )
    for at in range(2):
        dtype = c.pick(INTEGERS)
        f.emit(f"l{at} = np.{dtype}({c.pick(linear)})")
        f.names.append(Name(f"l{at}", dtype, False))
    for at in range(2 + c.below(2)):
        dtype = c.pick((*INTEGERS, "bool", *FLOATS))
        name = Name(f"v{at}", dtype, False)
        f.emit(f"v{at} = {'a[i] > 3' if dtype == 'bool' else f'np.{dtype}(a[i])'}")
        f.names.append(name)


def generate_flow(seed: int) -> GeneratedKernel:
    """The kernel of that seed."""
    c = Seeded(seed)
    block = c.pick(BLOCKS)
    threads = block[0] * block[1] * block[2]
    grid = (c.pick((1, 2, 3)), 1, 1) if threads < 100 else (1, 1, 1)
    total = threads * grid[0]
    size = max(1, total - c.pick((0, 0, 1, 5)))
    f = Flow(c, threads, warps=c.chance(40))
    functions = [_function(f) for _ in range(c.below(3))]
    f.functions = functions
    tid = "kk.threadIdx.x"
    if block[1:] != (1, 1):
        tid = f"(kk.threadIdx.z * {block[1]} + kk.threadIdx.y) * {block[0]} + kk.threadIdx.x"
    f.emit(f"tid = {tid}")
    f.emit("bx = kk.blockIdx.x")
    f.emit(f"i = bx * {threads} + tid" if c.chance(60) or block[1:] != (1, 1) else "i = kk.grid(1)")
    _memory(f)
    f.emit("if i >= out.size:")
    f.emit("    return")
    _names(f)
    while f.left > 0:
        body(f)
    for at, name in enumerate(f.names):
        f.emit(
            f"results[{at}, i] = {f'float({name.text})' if name.dtype[0] == 'f' else f'int({name.text})'}"
        )
    parameters = [
        ("a", f'array("{c.pick(INTEGERS)}", ({total},), 1, "{c.pick(("C", "reversed", "spaced"))}")'),
        ("b", f'array("{c.pick(INTEGERS)}", (7,), 2, "readonly")'),
        ("m", f'array("int32", (4, 5), 3, "{c.pick(("C", "reversed", "F"))}")'),
        ("p", str(c.pick((3, -1, 8)))),
        ("q", f"np.int32({c.pick((2, 100, -5))})"),
        ("out", f'array("{c.pick(("int64", "int32", "uint8"))}", ({size},), 4, "{c.pick(("C", "reversed"))}")'),
        ("results", f'array("{"float64" if any(n.dtype[0] == "f" for n in f.names) else "int64"}", ({len(f.names)}, {size}), 5)'),
    ]  # fmt: skip
    dynamic = 8 * threads if "shared.array(0" in "\n".join(f.lines) else 0
    source = module_text(functions, parameters, f.lines, (grid, block, dynamic))
    return GeneratedKernel(source, grid, block, dynamic)


def _memory(f: Flow) -> None:
    """Shared arrays, filled before anyone returns, and a local one."""
    c = f.choices
    for dtype in ("int64", "int32")[: c.below(3)]:
        name = f.fresh("shared")
        count = "0" if dtype == "int64" and c.chance(30) else str(f.threads)
        f.emit(f"{name} = kk.shared.array({count}, np.{dtype})")
        f.emit(f"{name}[tid] = tid * 3")
        f.shared.append(name)
    if f.shared:
        f.emit("kk.syncthreads()")
    if c.chance(40):
        f.emit("own = kk.local.array(4, np.int32)")
        f.emit("for k in range(4):")
        f.emit("    own[k] = k + tid")
        f.local.append("own")
