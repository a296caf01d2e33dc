"""LLVM text, written instruction by instruction.

In: instructions. Out: a module's text.
Holds: what cannot be reached is not written (after a jump everything is dropped until a label that
some jump names), so callers need not know whether they are in dead code.
"""

from __future__ import annotations

from collections.abc import Sequence

from kernelkit.records import record

#: An LLVM operand without its type: `%t3`, `5`, `true`, `splat (i32 1)`, `poison`.
Operand = str


class Module:
    """Declarations, constants and functions of one module."""

    def __init__(self) -> None:
        self.declarations: dict[str, str] = {}
        self.constants: list[str] = []
        self.functions: list[str] = []
        self.metadata: dict[str, int] = {}
        #: Constants by what they hold.
        self.tables: dict[str, Operand] = {}

    def declare(
        self, name: str, result: str, arguments: Sequence[str], attributes: str = ""
    ) -> None:
        text = f"declare {result} @{name}({', '.join(arguments)}) {attributes}".rstrip()
        self.declarations.setdefault(name, text)

    def constant(self, hint: str, kind: str, value: str, align: int = 64) -> Operand:
        """A private constant in memory; gives its address."""
        name = f"@{hint}.{len(self.constants)}"
        self.constants.append(
            f"{name} = private unnamed_addr constant {kind} {value}, align {align}"
        )
        return name

    def table(self, hint: str, kind: str, value: str) -> Operand:
        """A constant that is there once, however often it is asked for."""
        key = f"{kind} {value}"
        if key not in self.tables:
            self.tables[key] = self.constant(hint, kind, value)
        return self.tables[key]

    def data(self, content: bytes) -> Operand:
        """Bytes in memory."""
        text = "".join(chr(b) if 35 <= b < 92 else f"\\{b:02X}" for b in content)
        return self.table("data", f"[{len(content)} x i8]", f'c"{text}"')

    def loop(self, name: str, count: int | None = None) -> str:
        """The mark of a loop's back edge, such as loop("unroll.disable")."""
        value = "" if count is None else f", i32 {count}"
        node = self._node(f'!{{!"llvm.loop.{name}"{value}}}')
        number = len(self.metadata)
        self.metadata[f"distinct !{{!{number}, {node}}}"] = number
        return f", !llvm.loop !{number}"

    def _node(self, text: str) -> str:
        return f"!{self.metadata.setdefault(text, len(self.metadata))}"

    def text(self) -> str:
        nodes = [f"!{number} = {text}" for text, number in self.metadata.items()]
        parts = [*self.declarations.values(), *self.constants, *self.functions, *nodes]
        return "\n".join(parts) + "\n"


@record
class Paused:
    """A block that was left open."""

    lines: list[str]
    block: str
    dead: bool


class Text:
    """The body of one function."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.entry: list[str] = []
        self._current = "start"
        self._count = 0
        self._dead = False
        self._named: set[str] = set()

    @property
    def here(self) -> str:
        """The label of the block being written, for `phi`; "" in dead code."""
        return "" if self._dead else self._current

    # ------------------------------------------------------------ instructions
    def emit(self, line: str) -> None:
        if not self._dead:
            self.lines.append(f"  {line}")

    def let(self, instruction: str) -> Operand:
        """The result of an instruction."""
        self._count += 1
        name = f"%t{self._count}"
        self.emit(f"{name} = {instruction}")
        return name

    def call(
        self, function: str, result: str, arguments: Sequence[tuple[str, Operand]], flags: str = ""
    ) -> Operand:
        """Calls a function, which is declared by the way; gives its result ("" for void).

        `flags` are fast-math flags. A name with a leading % is an address in a register.
        """
        if not function.startswith("%"):
            self.module.declare(function, result, [kind for kind, _ in arguments])
            function = f"@{function}"
        given = ", ".join(f"{kind} {operand}" for kind, operand in arguments)
        call = f"call {flags + ' ' if flags else ''}{result} {function}({given})"
        if result == "void":
            self.emit(call)
            return ""
        return self.let(call)

    def alloca(self, kind: str, count: int = 1, align: int = 64, hint: str = "v") -> Operand:
        """The address of memory that lives as long as the function runs."""
        self._count += 1
        name = f"%{hint}{self._count}"
        several = f", i64 {count}" if count != 1 else ""
        self.entry.append(f"  {name} = alloca {kind}{several}, align {align}")
        return name

    def load(self, kind: str, address: Operand, align: int = 0) -> Operand:
        return self.let(f"load {kind}, ptr {address}{f', align {align}' if align else ''}")

    def store(self, kind: str, value: Operand, address: Operand, align: int = 0) -> None:
        self.emit(f"store {kind} {value}, ptr {address}{f', align {align}' if align else ''}")

    def at(self, kind: str, base: Operand, index: Operand | int) -> Operand:
        """The address of an element."""
        if index in (0, "0"):
            return base
        return self.let(f"getelementptr {kind}, ptr {base}, i64 {index}")

    # ------------------------------------------------------------ control flow
    def label(self, hint: str) -> str:
        self._count += 1
        return f"{hint}{self._count}"

    def start(self, label: str) -> None:
        """Begin a block; what was written before falls into it."""
        if not self._dead:
            self.jump(label)
        self._dead = label not in self._named
        self._current = label
        if not self._dead:
            self.lines.append(f"{label}:")

    def pause(self) -> Paused:
        """Leave the block open and write elsewhere, until `resume`."""
        paused = Paused(self.lines, self._current, self._dead)
        self.lines, self._dead = [], True
        return paused

    def resume(self, paused: Paused) -> None:
        self.lines, self._current, self._dead = paused.lines, paused.block, paused.dead

    def jump(self, label: str, mark: str = "") -> None:
        """Go on at a label. `mark` is what Module.loop gave."""
        if not self._dead:
            self.emit(f"br label %{label}{mark}")
            self._named.add(label)
            self._dead = True

    def branch(self, condition: Operand, yes: str, no: str, mark: str = "") -> None:
        if self._dead or condition in ("true", "false"):
            return self.jump(yes if condition == "true" else no, mark)
        self.emit(f"br i1 {condition}, label %{yes}, label %{no}{mark}")
        self._named |= {yes, no}
        self._dead = True

    def finish(self, instruction: str = "ret void") -> None:
        """Leave the function."""
        self.emit(instruction)
        self._dead = True

    def phi(self, kind: str, *ways: tuple[Operand, str]) -> Operand:
        """A value that depends on the block one came from; blocks that were dead do not count."""
        alive = [(operand, label) for operand, label in ways if label]
        if not alive:
            return "poison"
        if len(alive) == 1:
            return alive[0][0]
        return self.let(f"phi {kind} " + ", ".join(f"[{o}, %{b}]" for o, b in alive))

    # ------------------------------------------------------------ the whole
    def function(self, signature: str, attributes: str = "nounwind") -> None:
        """Add the function to its module: `define <signature> <attributes> { ... }`."""
        body = "\n".join(["entry:", *self.entry, "  br label %start", "start:", *self.lines])
        self.module.functions.append(f"define {signature} {attributes} {{\n{body}\n}}")
