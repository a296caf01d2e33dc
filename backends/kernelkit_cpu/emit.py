"""From an analysed kernel to LLVM text.

In: an Analysis and a processor. Out: the text of a module with `kernel(record, first, last,
worker)`, and metadata for the launch.
Holds: blocks in which borders, guards and wraps change nothing run a version of the kernel without
them; one scalar test per block chooses. Arguments become parameters of an internal function, so that
what the caller promised about overlap holds for LLVM too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from kernelkit.analysis.interior import Interior, find_interior
from kernelkit.analysis.pipeline import Analysis, analyse
from kernelkit.analysis.ranges import never_negative
from kernelkit.analysis.shape import Block, Shape
from kernelkit.backend import Artifact
from kernelkit.ir.nodes import ArrayVar, Expr, Kernel, Print, Var, walk
from kernelkit.ir.types import INT64
from kernelkit.records import record
from kernelkit_cpu import polling
from kernelkit_cpu.blocks import write_block
from kernelkit_cpu.expressions import evaluate
from kernelkit_cpu.frame import ArrayPlace, Facts, Frame
from kernelkit_cpu.interchange import interchange
from kernelkit_cpu.jumps import find_jumps
from kernelkit_cpu.llvm import function_attributes
from kernelkit_cpu.loop_targets import with_own_counters
from kernelkit_cpu.lowering import Views, lower
from kernelkit_cpu.operations import Operations
from kernelkit_cpu.plan import make_plan
from kernelkit_cpu.reblock import Axes, reblock
from kernelkit_cpu.record import BLOCKS, DYNAMIC_BYTES, GRID, PARAMETERS, SCRATCH, SCRATCH_BYTES
from kernelkit_cpu.report import Notes
from kernelkit_cpu.report import report as write_report
from kernelkit_cpu.shape import choose_shape, preferred_lanes
from kernelkit_cpu.storage import Storage
from kernelkit_cpu.targets import CpuTarget
from kernelkit_cpu.text import Module, Operand, Text
from kernelkit_cpu.types import parts, register
from kernelkit_cpu.values import Arithmetic, Value, constant, uniform

AXES = range(3)


def emit(analysis: Analysis, target: CpuTarget, lanes: int | None = None) -> Artifact:
    """`lanes` overrides the width of vectors (kernels with warps have 32 lanes always)."""
    return _Emitter(analysis, target, lanes).emit()


def report(analysis: Analysis, target: CpuTarget, lanes: int | None = None) -> str:
    """What became of each source line."""
    emitter = _Emitter(analysis, target, lanes)
    emitter.emit()
    return write_report(emitter.kernel, emitter.shape, emitter.user_block, emitter.notes)


@record(frozen=False)
class Signature:
    """The parameters of the internal functions: (LLVM type, name, attributes)."""

    given: list[tuple[str, str, str]] = field(default_factory=list)

    def declared(self) -> str:
        return ", ".join(f"{kind}{mark} {name}" for kind, name, mark in self.given)

    def passed(self) -> list[tuple[str, Operand]]:
        return [(kind, name) for kind, name, _ in self.given]


@record(frozen=False)
class Version:
    """A kernel as some blocks run it."""

    analysis: Analysis
    never_negative: frozenset[Expr]


class _Emitter:
    def __init__(self, analysis: Analysis, target: CpuTarget, lanes: int | None) -> None:
        self.target = target
        self.given, self.user_block = analysis, analysis.shape.block
        kernel, self.block, shape, self.views, self.axes = prepared(
            analysis.kernel, self.user_block, target, lanes
        )
        self.kernel, self.shape = kernel, shape
        self.module = Module()
        self.notes = Notes()
        self.sites: list[dict[str, object]] = []
        self.signature = Signature()
        self.scratch = 0
        self.attributes = function_attributes(target)

    # ------------------------------------------------------------ the whole
    def emit(self) -> Artifact:
        kernel, shape = self.kernel, self.shape
        interior = None if kernel.options.debug else find_interior(kernel, shape)
        known = self.given
        if kernel is not known.kernel or shape != known.shape:
            known = analyse(kernel, shape)
        main = Version(known, never_negative(kernel, shape))
        inner = None
        if interior is not None:
            inner = Version(analyse(interior.kernel, shape), interior.never_negative)
        self.parameters(kernel)
        self.write_blocks(main, inner, interior)
        self.write_entry()
        memory = main.analysis.memory
        metadata: dict[str, Any] = {
            "entry": "kernel",
            "parameters": [_described(p) for p in kernel.params],
            "block": list(self.block),
            "user_block": list(self.user_block),
            "reblocked": self.axes is not None,
            "axes": list(self.axes or AXES),
            "scratch": self.scratch,
            "dynamic_in_scratch": memory.dynamic_shared,
            "sites": self.sites,
            "prints": any(isinstance(s, Print) for s in walk(kernel.body)),
            "lanes": shape.lanes,
        }
        return Artifact(self.module.text(), metadata)

    def parameters(self, kernel: Kernel) -> None:
        """The order in which the record holds them too."""
        noalias = " noalias" if kernel.options.noalias else ""
        for number, param in enumerate(kernel.params):
            if isinstance(param, ArrayVar):
                self.signature.given.append(("ptr", f"%a{number}", noalias))
                for what in "ns":
                    for axis in range(param.type.ndim):
                        self.signature.given.append(("i64", f"%a{number}.{what}{axis}", ""))
            else:
                for part in range(parts(param.type)):
                    kind = register(param.type)
                    self.signature.given.append((kind, f"%p{number}.{part}", ""))
        fixed = ["%gd0", "%gd1", "%gd2", "%dynamicbytes", "%worker"]
        self.signature.given += [("i64", name, "") for name in fixed]
        self.signature.given += [("ptr", name, "") for name in ("%dynamic", "%scratch", "%record")]

    # ------------------------------------------------------------ functions
    def write_blocks(self, main: Version, inner: Version | None, interior: Interior | None) -> None:
        """The loop over the blocks of a chunk."""
        text = Text(self.module)
        slot = text.alloca("i64", hint="b")
        text.store("i64", "%first", slot)
        head, body, done = text.label("blocks"), text.label("block"), text.label("done")
        text.start(head)
        block = text.load("i64", slot)
        text.branch(text.let(f"icmp slt i64 {block}, %last"), body, done)
        text.start(body)
        where = self.decoded(text, block)
        frame = self.frame(text, inner or main, block, where)
        if inner is None or interior is None:
            self.write_version(frame, main, cold=False)
        elif not interior.conditions:
            self.write_version(frame, inner, cold=False)
        else:
            self.write_both(frame, main, inner, interior)
        text.store("i64", text.let(f"add nsw i64 {block}, 1"), slot)
        stop = text.let("load atomic i64, ptr %record monotonic, align 8")
        text.branch(text.let(f"icmp eq i64 {stop}, 0"), head, done)
        text.start(done)
        self.finish(
            text, "blocks", [("i64", "%first"), ("i64", "%last"), ("i64", "%bg0"), ("i64", "%bg1")]
        )

    def finish(
        self, text: Text, name: str, more: Sequence[tuple[str, str]], extra: str = ""
    ) -> None:
        text.finish()
        text.start("fault")
        text.finish()
        rest = "".join(f", {kind} {operand}" for kind, operand in more)
        text.function(
            f"internal void @{name}({self.signature.declared()}{rest})",
            f"noinline {extra}{self.attributes}",
        )

    def decoded(self, text: Text, block: Operand) -> list[Operand]:
        """blockIdx from the block's number."""
        x = text.let(f"urem i64 {block}, %bg0")
        rest = text.let(f"udiv i64 {block}, %bg0")
        return [x, text.let(f"urem i64 {rest}, %bg1"), text.let(f"udiv i64 {rest}, %bg1")]

    def write_both(self, frame: Frame, main: Version, inner: Version, interior: Interior) -> None:
        """The version for interior blocks in place, the one for the others in a function."""
        text = frame.text
        holds: Operand = "true"
        for condition in interior.conditions:
            holds = frame.arithmetic.both(holds, evaluate(frame, condition).operand)
        inside, border, end = text.label("interior"), text.label("border"), text.label("next")
        text.branch(holds, inside, border)
        text.start(border)
        where = [frame.registers["blockIdx", axis].operand for axis in AXES]
        more = [("i64", frame.block_number), *(("i64", each) for each in where)]
        given = ", ".join(f"{k} {o}" for k, o in [*self.signature.passed(), *more])
        text.emit(f"call void @border({given})")
        text.jump(end)
        text.start(inside)
        self.write_version(frame, inner, cold=False)
        text.start(end)
        self.write_border(main)

    def write_border(self, main: Version) -> None:
        text = Text(self.module)
        names = ["%block", "%bi0", "%bi1", "%bi2"]
        frame = self.frame(text, main, names[0], names[1:])
        self.write_version(frame, main, cold=True)
        self.finish(text, "border", [("i64", name) for name in names], "cold ")

    def write_version(self, frame: Frame, version: Version, cold: bool) -> None:
        analysis = version.analysis
        frame.facts = Facts(analysis, version.never_negative, self.views)
        jumps = find_jumps(analysis.kernel, analysis.variability)
        plan = make_plan(analysis, jumps)
        storage = Storage(frame.text)
        with frame.rarely(cold):
            write_block(frame, plan, jumps, storage)
        self.scratch = max(self.scratch, storage.in_scratch)

    def frame(
        self, text: Text, version: Version, block: Operand, where: Sequence[Operand]
    ) -> Frame:
        options = self.kernel.options
        operations = Operations(text, self.target, not options.reproducible)
        lanes = self.shape.lanes
        frame = Frame(
            text,
            self.target,
            Facts(version.analysis, version.never_negative, self.views),
            lanes,
            operations,
            Arithmetic(text, operations, lanes),
            self.notes,
        )
        frame.block_number, frame.sites = block, self.sites
        frame.ticks = polling.counter(text)
        for axis in AXES:
            frame.registers["blockIdx", axis] = uniform(INT64, (where[axis],))
            frame.registers["gridDim", axis] = uniform(INT64, (f"%gd{axis}",))
            frame.registers["blockDim", axis] = constant(INT64, self.block[axis])
        for number, param in enumerate(self.kernel.params):
            if isinstance(param, ArrayVar):
                frame.arrays[param] = _place(number, param)
            else:
                names = tuple(f"%p{number}.{part}" for part in range(parts(param.type)))
                frame.parameters[param] = uniform(param.type, names)
        return frame

    def write_entry(self) -> None:
        """The function that the pool calls: unpacks the record."""
        text = Text(self.module)

        def word(index: int) -> Operand:
            return text.load("i64", text.at("i64", "%record", index), 8)

        scratch = text.load("ptr", text.at("i64", "%record", SCRATCH), 8)
        mine = text.let(f"mul i64 %worker, {word(SCRATCH_BYTES)}")
        scratch = text.let(f"getelementptr i8, ptr {scratch}, i64 {mine}")
        dynamic = text.let(f"getelementptr i8, ptr {scratch}, i64 {self.scratch}")
        fixed = {f"%gd{axis}": word(GRID + axis) for axis in AXES}
        fixed |= {"%dynamicbytes": word(DYNAMIC_BYTES), "%dynamic": dynamic, "%scratch": scratch}
        fixed |= {"%worker": "%worker", "%record": "%record"}
        given = []
        index = PARAMETERS
        for kind, name, _ in self.signature.given:
            if name not in fixed:
                given.append(f"{kind} {_unpacked(text, kind, index)}")
                index += 1
            else:
                given.append(f"{kind} {fixed[name]}")
        given += ["i64 %first", "i64 %last", f"i64 {word(BLOCKS)}", f"i64 {word(BLOCKS + 1)}"]
        text.emit(f"call void @blocks({', '.join(given)})")
        text.finish()
        text.function(
            "void @kernel(ptr %record, i64 %first, i64 %last, i64 %worker)", self.attributes
        )


def prepared(
    kernel: Kernel, block: Block, target: CpuTarget, lanes: int | None = None
) -> tuple[Kernel, Block, Shape, Views, Axes | None]:
    """The kernel, the block and the shape that are compiled; if the block is not the user's, the
    user's axis that lies along each axis of the block."""
    kernel, views = lower(kernel)
    wide = lanes or preferred_lanes(kernel, target)
    virtual, axes = reblock(kernel, block, wide, turn=True), None
    if virtual is not None:
        kernel, block, axes = virtual.kernel, virtual.block, virtual.axes
    shape = choose_shape(kernel, block, target, lanes)
    kernel = with_own_counters(interchange(kernel, block, shape.lanes))
    return kernel, block, shape, views, axes


def _unpacked(text: Text, kind: str, index: int) -> Operand:
    address = text.at("i64", "%record", index)
    if kind == "i1":
        return text.let(f"icmp ne i8 {text.load('i8', address, 8)}, 0")
    return text.load(kind, address, 8)


def _place(number: int, param: ArrayVar) -> ArrayPlace:
    """A parameter's elements. The stride of the last axis is a constant where its type says it."""
    item, layout = param.type.dtype.itemsize, param.type.layout
    extents, strides = [], []
    for axis in range(param.type.ndim):
        extents.append(uniform(INT64, (f"%a{number}.n{axis}",)))
        stride: Value = uniform(INT64, (f"%a{number}.s{axis}",))
        if axis == param.type.ndim - 1 and layout != "A":
            stride = constant(INT64, item if layout == "C" else int(layout))
        strides.append(stride)
    return ArrayPlace(f"%a{number}", tuple(extents), tuple(strides))


def _described(param: ArrayVar | Var) -> dict[str, Any]:
    if isinstance(param, ArrayVar):
        return {"kind": "array", "ndim": param.type.ndim}
    return {"kind": "scalar", "dtype": param.type.name}
