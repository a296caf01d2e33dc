"""Where the names of a block live: its own scalars, and contexts across leaves.

In: a plan. Out: slots and values of a frame when a leaf begins on a vector; stores behind it.
Holds: a context is one element per vector, in memory. The block's scalars get what a leaf assigned to
them from vectors in which threads still ran; within a leaf each vector sees them as they were when
the leaf began.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from kernelkit.analysis.kinds import Level
from kernelkit.analysis.webs import Web
from kernelkit.ir.nodes import Assign
from kernelkit.ir.types import DType
from kernelkit_cpu.expressions import evaluate
from kernelkit_cpu.frame import Frame, Slot
from kernelkit_cpu.homes import Home
from kernelkit_cpu.items import Vectors
from kernelkit_cpu.layout import Layout
from kernelkit_cpu.plan import Plan
from kernelkit_cpu.storage import Storage
from kernelkit_cpu.text import Operand, Text
from kernelkit_cpu.types import Parts, literal, memory, parts, register
from kernelkit_cpu.values import Form, Value, uniform

#: The block's scalars as they are when a leaf begins.
Entry = Mapping[Web, Parts]


class Context(NamedTuple):
    """A web's memory across leaves: one element per vector."""

    form: Form
    stride: int
    addresses: tuple[Operand, ...]


class Names:
    def __init__(self, frame: Frame, plan: Plan, layout: Layout, storage: Storage) -> None:
        self.frame, self.plan, self.layout, self.storage = frame, plan, layout, storage
        self.contexts: dict[Web, Context] = {}
        #: The block's own scalars.
        self.own: dict[Web, Slot] = {}

    # ------------------------------------------------------------ of the block
    def begin(self) -> None:
        """Memory; the frame is set for the block's own control flow."""
        frame = self.frame
        for web, home in self.plan.homes.items():
            if home is Home.CONTEXT:
                self.contexts[web] = self._context(web)
                if web.definitions:
                    frame.notes.note(web.definitions[0].span, "spilled", web.var.name)
            elif home is Home.BLOCK:
                self.own[web] = _slot(frame, web, Form.UNIFORM, 0, "own")
                _initialise(frame, web, self.own[web], zero=True)
        frame.slots, frame.values = dict(self.own), _constants(frame)

    def _context(self, web: Web) -> Context:
        form, stride = _form(self.frame, web)
        size = self._element_bytes(web.var.type, form) * self.layout.vectors
        count = parts(web.var.type)
        addresses = tuple(self.storage.take(size, "context") for _ in range(count))
        return Context(form, stride, addresses)

    def _element_bytes(self, dtype: DType, form: Form) -> int:
        return dtype.component.itemsize * (self.layout.lanes if form is Form.VARYING else 1)

    def entry(self, leaf: Vectors) -> Entry:
        """What a leaf finds in the block's scalars that it uses."""
        used = self.plan.touched[leaf].used
        return {
            web: _loaded(self.frame.text, web, slot)
            for web, slot in self.own.items()
            if web in used
        }

    # ------------------------------------------------------------ of a vector
    def begin_vector(
        self, frame: Frame, leaf: Vectors, number: Operand, entry: Entry
    ) -> dict[Web, Slot]:
        """The names of a leaf, in the frame; gives those of the block that it assigns."""
        touched = self.plan.touched[leaf]
        frame.slots, frame.values = {}, _constants(frame)
        committed: dict[Web, Slot] = {}
        for web in touched.again:
            frame.values[web] = _again(frame, web)
        for web, home in self.plan.homes.items():
            if web not in touched.used:
                continue
            if home is Home.SLOT:
                frame.slots[web] = _slot(frame, web, *_form(frame, web), "s")
                _initialise(frame, web, frame.slots[web], zero=False)
            elif home is Home.BLOCK and web not in touched.assigned:
                frame.values[web] = uniform(web.var.type, entry[web])
            elif home is Home.BLOCK:
                frame.slots[web] = _slot(frame, web, Form.UNIFORM, 0, "own")
                committed[web] = frame.slots[web]
                _store(frame.text, web, committed[web], entry[web])
            elif home is Home.CONTEXT:
                frame.slots[web] = self._load(frame, web, number)
        return committed

    def commit(self, frame: Frame, committed: Mapping[Web, Slot]) -> None:
        """The block's scalars get the values that a vector gave them."""
        for web, slot in committed.items():
            kind = register(web.var.type)
            for source, target in zip(slot.addresses, self.own[web].addresses, strict=True):
                frame.text.store(kind, frame.text.load(kind, source), target)

    def end_vector(self, frame: Frame, leaf: Vectors, number: Operand) -> None:
        """Contexts that the leaf assigned go back to memory."""
        text = frame.text
        for web in self.plan.touched[leaf].assigned:
            if web not in self.contexts:
                continue
            for slot, lanes, address in self._elements(frame, web, frame.slots[web]):
                value = text.load(register(web.var.type, lanes), slot)
                element = self._element(text, web, address, number)
                kind = memory(web.var.type, lanes)
                if web.var.type.kind == "b":
                    value = text.let(f"zext {register(web.var.type, lanes)} {value} to {kind}")
                text.store(kind, value, element)

    def _load(self, frame: Frame, web: Web, number: Operand) -> Slot:
        context, text = self.contexts[web], frame.text
        made = _slot(frame, web, context.form, context.stride, "c")
        for slot, lanes, address in self._elements(frame, web, made):
            element = self._element(text, web, address, number)
            value = text.load(memory(web.var.type, lanes), element)
            kind = register(web.var.type, lanes)
            if web.var.type.kind == "b":
                value = text.let(f"trunc {memory(web.var.type, lanes)} {value} to {kind}")
            text.store(kind, value, slot)
        return made

    def _elements(
        self, frame: Frame, web: Web, slot: Slot
    ) -> Iterator[tuple[Operand, int, Operand]]:
        """(slot, lanes, memory) of each part of a context."""
        lanes = frame.lanes if slot.form is Form.VARYING else 0
        for own, address in zip(slot.addresses, self.contexts[web].addresses, strict=True):
            yield own, lanes, address

    def _element(self, text: Text, web: Web, address: Operand, number: Operand) -> Operand:
        size = self._element_bytes(web.var.type, self.contexts[web].form)
        if number == "0":
            return address
        return text.at("i8", address, text.let(f"mul i64 {number}, {size}"))


# ---------------------------------------------------------------- slots and values
def _form(frame: Frame, web: Web) -> tuple[Form, int]:
    kind = frame.facts.analysis.variability.webs[web]
    if kind.is_uniform:
        return Form.UNIFORM, 0
    if kind.level is Level.LINEAR:
        return Form.LINEAR, kind.stride
    return Form.VARYING, 0


def _slot(frame: Frame, web: Web, form: Form, stride: int, hint: str) -> Slot:
    dtype = web.var.type
    kind = register(dtype, frame.lanes if form is Form.VARYING else 0)
    made = tuple(frame.text.alloca(kind, hint=hint) for _ in range(parts(dtype)))
    return Slot(form, stride, made)


def _initialise(frame: Frame, web: Web, slot: Slot, zero: bool) -> None:
    """What a slot holds before the first assignment."""
    dtype = web.var.type
    lanes = frame.lanes if slot.form is Form.VARYING else 0
    if web.is_parameter:
        value = frame.parameters[web.var]
        found = frame.arithmetic.vector(value) if lanes else value.scalar
    elif zero or web.may_be_unassigned:
        found = literal(dtype, 0, lanes)
    else:
        found = ("poison",) * len(slot.addresses)
    for part, address in zip(found, slot.addresses, strict=True):
        frame.text.store(register(dtype, lanes), part, address)


def _loaded(text: Text, web: Web, slot: Slot) -> Parts:
    return tuple(text.load(register(web.var.type), a) for a in slot.addresses)


def _store(text: Text, web: Web, slot: Slot, found: Parts) -> None:
    for part, address in zip(found, slot.addresses, strict=True):
        text.store(register(web.var.type), part, address)


def _constants(frame: Frame) -> dict[Web, Value]:
    """Parameters that nobody assigns to."""
    parameters = frame.facts.analysis.webs.parameters
    return {web: frame.parameters[v] for v, web in parameters.items() if not web.definitions}


def _again(frame: Frame, web: Web) -> Value:
    stmt = web.definitions[0]
    assert isinstance(stmt, Assign)
    return evaluate(frame, stmt.value)
