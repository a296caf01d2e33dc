"""Statements as lines of C.

In: the body of a kernel. Out: lines in the unit.
Holds: a statement's lines come in the order in which they run; in a debug kernel whatever may find
a fault is behind what came before it, and nothing comes behind a fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, assert_never

from kernelkit.emit.cstyle import atomics
from kernelkit.emit.cstyle.accesses import Accesses
from kernelkit.emit.cstyle.expressions import Expressions
from kernelkit.emit.cstyle.unit import Unit
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL

#: Loops of so many turns, each of so few statements, are unrolled.
_TURNS: Final = 32


class Statements:
    def __init__(self, unit: Unit, accesses: Accesses, expressions: Expressions) -> None:
        self._unit, self._accesses, self._expressions = unit, accesses, expressions
        self._line_of = ("", 0)
        #: Whether threads wait for one another in the loop around.
        self._holding = unit.analysis.phases.holding

    def body(self, body: ir.Body) -> None:
        for stmt in body:
            self._place(stmt)
            self._stmt(stmt)

    def _place(self, stmt: ir.Stmt) -> None:
        """Where the statement stands in the user's file."""
        if not self._unit.dialect.lines or isinstance(stmt, ir.Allocate):
            return
        place = (stmt.span.file, stmt.span.line)
        if place != self._line_of and place[1] > 0:
            file = place[0].replace("\\", "/").replace('"', "'")
            self._unit.lines.append(f'#line {place[1]} "{file}"')
            self._line_of = place

    # ------------------------------------------------------------ statements
    def _stmt(self, stmt: ir.Stmt) -> None:
        unit, value = self._unit, self._expressions.value
        self._expressions.checked = False
        match stmt:
            case ir.Assign():
                text = self._for_variable(stmt.target, stmt.value)
                self._set(stmt.target, text)
            case ir.Store():
                self._store(stmt)
            case ir.Atomic():
                self._atomic(stmt)
            case ir.View():
                self._view(stmt)
            case ir.Warp():
                self._warp(stmt)
            case ir.Barrier():
                predicate = None if stmt.predicate is None else value(stmt.predicate)
                self._leave()
                result = None if stmt.result is None else unit.names.of(stmt.result)
                self._lines(unit.warps.barrier(stmt.op, predicate, result))
                if unit.debug:
                    self._lines(unit.checks.stop(unit.warps.barrier("sync", None, None)))
                    self._leave(certain=True)
                self._assigned(*ir.targets(stmt))
            case ir.Fence():
                if unit.dialect.warps is not None:  # else threads run one after the other
                    self._lines(unit.warps.fence(stmt.scope))
            case ir.Allocate():
                self._accesses.allocate(stmt)
            case ir.If():
                self._if(stmt)
            case ir.For():
                self._for(stmt)
            case ir.While():
                self._while(stmt)
            case ir.Scope():
                unit.line("do {")
                with unit.indented():
                    self.body(stmt.body)
                unit.line("} while (0);")
            case ir.Break():
                unit.line("break;")
            case ir.Continue():
                unit.line("continue;")
            case ir.Return():
                unit.line("return;")
            case ir.Print():
                values = [value(part.value) for part in stmt.text if isinstance(part, ir.Formatted)]
                self._leave()
                self._lines(unit.checks.print_lines(stmt, values))
            case ir.Assert():
                if unit.debug:
                    condition = value(stmt.condition)
                    parts = [p.value for p in stmt.text if isinstance(p, ir.Formatted)]
                    self._lines(unit.checks.assertion(stmt, condition, list(map(value, parts))))
                    self._leave(certain=True)
            case ir.Breakpoint():
                pass
            case _:
                assert_never(stmt)

    def _lines(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._unit.line(line)

    def _leave(self, certain: bool = False) -> None:
        """Nothing comes behind a fault, where threads may leave."""
        unit = self._unit
        if unit.debug and unit.dialect.leaves and (certain or self._expressions.checked):
            unit.line("if (kk_fault) return;")
        self._expressions.checked = False

    # ------------------------------------------------------------ variables
    def _for_variable(self, var: ir.Var, expr: ir.Expr) -> str:
        if self._expressions.is_short(var):
            short = self._expressions.short(expr)
            return self._expressions.low(expr) if short is None else short
        return self._expressions.value(expr)

    def _set(self, var: ir.Var, text: str) -> None:
        self._unit.line(f"{self._unit.names.of(var)} = {text};")
        self._leave()
        self._assigned(var)

    def _assigned(self, *targets: ir.Var) -> None:
        for var in targets:
            flag = self._expressions.flags.get(var)
            if flag is not None:
                self._unit.line(f"{flag} = 1;")

    # ------------------------------------------------------------ memory
    def _store(self, stmt: ir.Store) -> None:
        unit, dtype = self._unit, stmt.array.type.dtype
        value = self._expressions.value(stmt.value)
        if unit.debug and self._expressions.checked:
            name = unit.declare(unit.scalars.register_type(dtype), "stored")
            unit.line(f"{name} = {value};")
            self._leave()
            value = name
        inside, element = self._expressions.place(stmt, stmt.array, stmt.indices)
        text = f"{element} = {unit.scalars.store(dtype, value)};"
        unit.line(f"if {inside} {text}" if inside else text)
        self._leave()

    def _atomic(self, stmt: ir.Atomic) -> None:
        unit, dtype = self._unit, stmt.array.type.dtype
        operands = [self._expressions.value(operand) for operand in stmt.operands]
        if unit.debug and self._expressions.checked:
            names = [unit.declare(unit.scalars.register_type(dtype), "operand") for _ in operands]
            for name, operand in zip(names, operands, strict=True):
                unit.line(f"{name} = {operand};")
            self._leave()
            operands = names
        inside, element = self._expressions.place(stmt, stmt.array, stmt.indices)
        assert unit.dialect.atomics is not None
        text = atomics.atomic(
            unit.library, unit.scalars, unit.dialect.atomics, stmt.op, dtype,
            stmt.array.type.space, f"&{element}", operands, stmt.result is not None,
        )  # fmt: skip
        if stmt.result is not None:
            text = f"{unit.names.of(stmt.result)} = {text}"
        unit.line(f"if {inside} {text};" if inside else f"{text};")
        self._leave()
        self._assigned(*ir.targets(stmt))

    def _view(self, stmt: ir.View) -> None:
        inside, element = self._expressions.place(stmt, stmt.base, stmt.indices)
        text = self._accesses.view(stmt, element)
        self._unit.line(f"if ({inside}) {text}" if inside else text)
        self._leave()

    # ------------------------------------------------------------ warps
    def _warp(self, stmt: ir.Warp) -> None:
        unit, value = self._unit, self._expressions.value
        mask = None if stmt.mask is None else value(stmt.mask)
        operands = [value(operand) for operand in stmt.operands]
        self._leave()
        dtype = stmt.operands[0].type if stmt.operands else BOOL
        results = [unit.names.of(var) for var in stmt.results]
        if unit.debug and mask is not None:
            self._lines(unit.checks.lane_named(stmt, mask, unit.live))
            self._leave(certain=True)
            if stmt.op.startswith("shfl"):
                there = unit.warps.present(mask)
                found = (mask, operands[1], there, unit.threads)
                self._lines(unit.checks.lane_active(stmt, *found, unit.live))
                self._leave(certain=True)
        self._lines(unit.warps.lines(stmt.op, dtype, mask, operands, results, unit.complete(stmt)))
        self._assigned(*stmt.results)

    # ------------------------------------------------------------ control
    def _condition(self, expr: ir.Expr) -> str:
        """A condition, behind which nothing is at fault."""
        self._expressions.checked = False
        text = self._expressions.value(expr)
        if not self._expressions.checked:
            return text if text.startswith("(") and _closed(text) else f"({text})"
        name = self._unit.declare("bool", "condition")
        self._unit.line(f"{name} = {text};")
        self._leave()
        return f"({name})"

    def _if(self, stmt: ir.If) -> None:
        unit = self._unit
        unit.line(f"if {self._condition(stmt.condition)} {{")
        with unit.indented():
            self.body(stmt.then)
        if stmt.orelse:
            unit.line("} else {")
            with unit.indented():
                self.body(stmt.orelse)
        unit.line("}")

    def _for(self, stmt: ir.For) -> None:
        unit, ask = self._unit, self._expressions
        short = all(ask.short(e) is not None for e in (stmt.start, stmt.stop, stmt.step))
        short = short and unit.widths.turns_fit(stmt)
        kind = "i32" if short else "i64"
        step = stmt.step.value if isinstance(stmt.step, ir.Constant) else None
        ask.checked = False
        texts = [
            ask.short(e) if short else ask.value(e) for e in (stmt.start, stmt.stop, stmt.step)
        ]
        start, stop, by = (str(text) for text in texts)
        if ask.checked:
            start = self._kept(kind, "start", start)
        if not isinstance(stmt.stop, ir.Constant):
            stop = self._kept(kind, "stop", stop)
        if step is None:
            by = self._kept(kind, "step", by)
        counter = unit.names.new("counter")
        unit.head.append(f"{kind} {counter};")
        if unit.debug and not step:
            self._lines(unit.checks.step(stmt, by))
            self._leave(certain=True)
        self._leave()
        test, after = self._turns(stmt, counter, stop, by, short)
        if self._unrolled(stmt):
            unit.line(unit.dialect.unroll)
        if self._stops_together(stmt):
            test = f"({test}) && !kk_stop"
        unit.line(f"for ({counter} = {start}; {test}; {after}) {{")
        with unit.indented():
            wide = kind == "i32" and not ask.is_short(stmt.target)
            unit.line(f"{unit.names.of(stmt.target)} = {'(i64)' if wide else ''}{counter};")
            self._assigned(stmt.target)
            self.body(stmt.body)
            self._stop(stmt)
        unit.line("}")

    def _kept(self, kind: str, stem: str, text: str) -> str:
        """A value that the loop may not change any more."""
        if text.isdigit():
            return text
        name = self._unit.names.new(stem)
        self._unit.head.append(f"{kind} {name};")
        self._unit.line(f"{name} = {text};")
        return name

    def _turns(
        self, stmt: ir.For, counter: str, stop: str, by: str, short: bool
    ) -> tuple[str, str]:
        """The test of a loop, and what comes behind a turn. Beyond 32 bits the counter may not
        step over the end of the integers."""
        step = stmt.step.value if isinstance(stmt.step, ir.Constant) else None
        low, high = self._unit.widths.range(stmt.step)
        if low > 0 or high < 0:
            test = f"{counter} {'<' if low > 0 else '>'} {stop}"
            if short or step in (1, -1):
                return test, f"{counter} += {by}"
            far = f"(u64){stop} - (u64){counter} > (u64){by}"
            if high < 0:
                far = f"(u64){counter} - (u64){stop} > (u64)0 - (u64){by}"
            return test, f"{counter} = ({far}) ? {counter} + {by} : {stop}"
        test = f"({by} > 0 ? {counter} < {stop} : {by} < 0 && {counter} > {stop})"
        if short:
            return test, f"{counter} += {by}"
        far = (
            f"{by} > 0 ? (u64){stop} - (u64){counter} > (u64){by} : "
            f"(u64){counter} - (u64){stop} > (u64)0 - (u64){by}"
        )
        return test, f"{counter} = ({far}) ? {counter} + {by} : {stop}"

    def _unrolled(self, stmt: ir.For) -> bool:
        bounds = (stmt.start, stmt.stop, stmt.step)
        if not self._unit.dialect.unroll or not all(isinstance(e, ir.Constant) for e in bounds):
            return False
        start, stop, step = (int(e.value.real) for e in bounds if isinstance(e, ir.Constant))
        turns = -((start - stop) // step) if step else 0  # len(range()) has less room
        return 0 < turns <= _TURNS and _is_small(stmt.body)

    def _while(self, stmt: ir.While) -> None:
        unit = self._unit
        plain = not stmt.prelude and not unit.debug
        condition = self._simple(stmt.condition) if plain else None
        if condition is not None:
            unit.line(f"while {condition} {{")
        else:
            unit.line("while (1) {")
        with unit.indented():
            if condition is None:
                self.body(stmt.prelude)
                ends = " || kk_stop" if self._stops_together(stmt) else ""
                unit.line(f"if (!{self._condition(stmt.condition)}{ends}) break;")
            self.body(stmt.body)
            self._stop(stmt)
        unit.line("}")

    def _simple(self, expr: ir.Expr) -> str | None:
        """A condition for which no line had to be printed."""
        before = len(self._unit.lines)
        text = self._condition(expr)
        if len(self._unit.lines) == before:
            return text
        del self._unit.lines[before:]
        return None

    def _stops_together(self, stmt: ir.For | ir.While) -> bool:
        """Whether a loop in which threads wait for one another has to end behind a fault."""
        unit = self._unit
        return unit.debug and not unit.dialect.leaves and stmt in self._holding

    def _stop(self, stmt: ir.For | ir.While) -> None:
        """A loop ends behind a fault, where threads cannot leave and nobody waits for them in it."""
        unit = self._unit
        if unit.debug and not unit.dialect.leaves and stmt not in self._holding:
            unit.line("if (kk_fault) break;")


def _is_small(body: ir.Body) -> bool:
    return sum(1 for _ in ir.walk(body)) <= 24


def _closed(text: str) -> bool:
    """Whether the first parenthesis is closed by the last."""
    depth = 0
    for place, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return place == len(text) - 1
    return False
