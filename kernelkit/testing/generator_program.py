"""The program that a random kernel grows in: its parameters, names in scope, flow and lines.

In: decisions and a profile. Out: lines of Python, and what is visible at each of them.
Holds: a name is visible only where it is certainly assigned; `Level` says how many threads share a
value or a flow, so that barriers and warp operations are reached by all who must reach them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum

from kernelkit.ir.types import BOOL, INT64, DType
from kernelkit.testing.generator_choices import Choices

Dim = tuple[int, int, int]


@dataclass(frozen=True)
class Profile:
    """What random kernels may use, and how large they may be."""

    dtypes: tuple[str, ...] = (
        "int32", "float32", "int64", "float64", "uint32", "uint8", "int8", "int16", "uint16",
        "uint64", "float16", "complex64", "complex128",
    )  # fmt: skip
    barriers: bool = True
    warps: bool = True
    atomics: bool = True
    #: Functions whose bits the contract leaves to libm (atan2, expm1, cbrt, ...).
    libm: bool = False
    #: Threads in a launch, statements and operations in a kernel, iterations of a thread's nest.
    threads: int = 160
    statements: int = 18
    operations: int = 130
    iterations: int = 40


class Level(IntEnum):
    """Who shares a value or a flow: the block, the warp, or nobody."""

    BLOCK = 0
    WARP = 1
    THREAD = 2


@dataclass(frozen=True)
class Name:
    """A scalar name in scope."""

    text: str
    dtype: DType
    level: Level
    writable: bool = True


class Mode(Enum):
    """What the program may do with an array at this point without a race."""

    READ = "any element may be read"
    PRIVATE = "any element may be read and written"
    OWN = "the thread's own element may be read and written"
    CLOSED = "nothing, or only one kind of atomic"


@dataclass
class ArrayName:
    """An array in scope. A size of 0 is unknown (and at least 1)."""

    text: str
    dtype: DType
    sizes: tuple[int, ...]
    mode: Mode
    #: The index of the thread's own element, for Mode.OWN.
    own: str = ""
    #: Whether that element exists only under the flow's guard.
    guarded: bool = False
    #: Added to the index: where the block's part of an array begins.
    start: str = ""
    #: Who shares the value of an element at an index that they share.
    level: Level = Level.BLOCK
    atomic: str = ""


@dataclass(frozen=True)
class Function:
    """A device function: what it takes and gives; an array comes first."""

    text: str
    scalars: tuple[DType, ...]
    array: DType | None
    results: tuple[DType, ...]


@dataclass(frozen=True)
class Flow:
    """Where the program is: who shares the flow, which loop a break leaves, how often this runs."""

    level: Level = Level.BLOCK
    loop: Level | None = None
    #: Whether the thread's own elements of the outputs exist.
    own: bool = False
    weight: int = 1
    depth: int = 0
    #: Result types of the device function being written; None in a kernel.
    results: tuple[DType, ...] | None = None


@dataclass
class Launch:
    """Block and grid, and the sizes of an output with one element for each thread that has one."""

    block: Dim
    grid: Dim
    sizes: tuple[int, ...]
    dynamic_bytes: int = 0

    @property
    def block_threads(self) -> int:
        return self.block[0] * self.block[1] * self.block[2]

    @property
    def blocks(self) -> int:
        return self.grid[0] * self.grid[1] * self.grid[2]


@dataclass
class Program:
    """A kernel being written."""

    choices: Choices
    profile: Profile
    launch: Launch
    palette: tuple[DType, ...]
    #: Text of the index of the thread's own element of an output, and of a guard for it.
    own: str = ""
    guard: str = ""
    #: Statements that a flow shared by so many allows, with their weights.
    tables: Mapping[Level, Sequence[tuple[int, Callable[[Program], bool]]]] = field(
        default_factory=dict
    )
    #: (parameter as the signature has it, text that makes its argument).
    parameters: list[tuple[str, str]] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)
    #: In scope here, and (parameters) everywhere in the kernel.
    names: list[Name] = field(default_factory=list)
    arrays: list[ArrayName] = field(default_factory=list)
    scalars: list[Name] = field(default_factory=list)
    inputs: list[ArrayName] = field(default_factory=list)
    #: Arrays that a block's threads exchange values through, between barriers.
    exchanged: list[ArrayName] = field(default_factory=list)
    #: Arrays that many threads update, each by one kind of atomic.
    counters: list[ArrayName] = field(default_factory=list)
    flow: Flow = field(default_factory=Flow)
    lines: list[str] = field(default_factory=list)
    indent: int = 1
    used: dict[str, int] = field(default_factory=dict)
    statements_left: int = 0
    operations_left: int = 0

    def __post_init__(self) -> None:
        self.statements_left = self.profile.statements
        self.operations_left = self.profile.operations

    # ------------------------------------------------------------ lines
    def emit(self, text: str) -> None:
        self.lines.append("    " * self.indent + text)

    def fresh(self, prefix: str) -> str:
        """A new name."""
        count = self.used.get(prefix, 0)
        self.used[prefix] = count + 1
        return f"{prefix}{count}"

    @contextmanager
    def inside(self, head: str, flow: Flow) -> Iterator[None]:
        """A nested block: what it brings into scope goes out of it at the end."""
        self.emit(head)
        outer, names, arrays = self.flow, len(self.names), len(self.arrays)
        self.flow, self.indent = replace(flow, depth=outer.depth + 1), self.indent + 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.emit("pass")
        del self.names[names:], self.arrays[arrays:]
        self.flow, self.indent = outer, self.indent - 1

    # ------------------------------------------------------------ what is in scope
    @property
    def in_function(self) -> bool:
        """Whether a device function is being written, which sees none of the kernel's names."""
        return self.flow.results is not None

    def bring(
        self, dtype: DType, level: Level, *, writable: bool = True, prefix: str = "v"
    ) -> Name:
        """A new name in scope from here on."""
        name = Name(self.fresh(prefix), dtype, max(level, self.flow.level), writable)
        self.names.append(name)
        return name

    def visible(self, dtype: DType, level: Level) -> list[Name]:
        """Names of that type whose value so many threads share; the youngest first."""
        return [
            n for n in (*self.names[::-1], *self.scalars) if n.dtype == dtype and n.level <= level
        ]

    def writable(self, level: Level) -> list[Name]:
        """Names that may be assigned in a flow, and to which values, shared by so many threads."""
        return [n for n in self.names[::-1] if n.writable and n.level >= level]

    def readable(self, dtype: DType, level: Level) -> list[ArrayName]:
        """Arrays of which some element may be read here, for a value shared by so many."""
        every = (*self.arrays[::-1], *self.inputs)
        return [a for a in every if a.dtype == dtype and a.level <= level and self._open(a, level)]

    def _open(self, array: ArrayName, level: Level) -> bool:
        if array.mode is Mode.OWN:
            return level is Level.THREAD and (self.flow.own or not array.guarded)
        return array.mode is not Mode.CLOSED

    def own_arrays(self) -> list[ArrayName]:
        """Arrays whose own element may be written here."""
        every = (*self.arrays[::-1], *self.inputs)
        return [a for a in every if a.mode is Mode.OWN and self._open(a, Level.THREAD)]

    # ------------------------------------------------------------ parameters
    def scalar(self, dtype: DType) -> Name:
        """The scalar parameter of that type."""
        for name in self.scalars:
            if name.dtype == dtype:
                return name
        name = Name(f"s_{dtype.name}", dtype, Level.BLOCK, writable=False)
        value = self.choices.pick(SCALARS[dtype.kind])
        make = value if dtype in (INT64, BOOL) else f"np.{dtype.name}({value})"
        self.parameters.append((name.text, make))
        self.scalars.append(name)
        return name

    def weak_float(self) -> str:
        """The parameter that takes a Python float, whose type gives way as a literal's does."""
        if not any(name == "weak" for name, _ in self.parameters):
            self.parameters.append(("weak", self.choices.pick(SCALARS["f"])))
        return "weak"

    def constexpr(self, value: int) -> str:
        """A new parameter that is known when compiling."""
        text = self.fresh("fixed")
        self.parameters.append((f"{text}: kk.constexpr", str(value)))
        return text

    def input(self, dtype: DType, sizes: tuple[int, ...], layout: str) -> ArrayName:
        """A new array parameter that the kernel reads."""
        made = ArrayName(self.parameter("a", dtype, sizes, layout), dtype, sizes, Mode.READ)
        self.inputs.append(made)
        return made

    def output(self, dtype: DType, layout: str) -> ArrayName:
        """A new array parameter with an element for each thread."""
        sizes = self.launch.sizes
        text = self.parameter("o", dtype, sizes, layout)
        made = ArrayName(text, dtype, sizes, Mode.OWN, own=self.own, guarded=True)
        self.inputs.append(made)
        return made

    def parameter(self, prefix: str, dtype: DType, sizes: tuple[int, ...], layout: str) -> str:
        """The name of a new array parameter."""
        text = self.fresh(prefix)
        seed = len(self.parameters)
        self.parameters.append((text, f'array("{dtype.name}", {sizes}, {seed}, "{layout}")'))
        return text


#: Values of scalar parameters, by kind.
SCALARS = {
    "b": ("True", "False"),
    "i": ("3", "-7", "100", "0"),
    "u": ("3", "7", "200", "0"),
    "f": ("1.5", "-0.25", "0.0", "3.0"),
    "c": ("1.5 + 2j", "-0.5j"),
}
