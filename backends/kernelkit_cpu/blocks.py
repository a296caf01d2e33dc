"""One block of threads: its control flow on scalars, around loops over its vectors.

In: a Plan, and a Frame whose arrays and parameters are set. Out: instructions that run the block
`frame.block_number`, at the present place of the function.
Holds: between two leaves all threads of the block have done what stands before.
"""

from __future__ import annotations

from kernelkit.analysis.webs import Place
from kernelkit.ir.nodes import Allocate, Expr, For, Stmt, Var, walk
from kernelkit_cpu import faults
from kernelkit_cpu.arrays import Arrays
from kernelkit_cpu.contexts import Names
from kernelkit_cpu.counters import Counter
from kernelkit_cpu.expressions import control, is_lazy
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.items import (
    BlockBarrier,
    BlockIf,
    BlockJump,
    BlockLoop,
    BlockScope,
    Items,
    Leaf,
)
from kernelkit_cpu.jumps import Jumps, Target
from kernelkit_cpu.layout import Layout
from kernelkit_cpu.masks import Masks
from kernelkit_cpu.plan import Plan
from kernelkit_cpu.polling import poll
from kernelkit_cpu.storage import Storage
from kernelkit_cpu.text import Operand
from kernelkit_cpu.values import Value
from kernelkit_cpu.vectors import VectorLoops
from kernelkit_cpu.votes import write_vote


def write_block(frame: Frame, plan: Plan, jumps: Jumps, storage: Storage) -> None:
    _BlockWriter(frame, plan, jumps, storage).write()


class _BlockWriter:
    def __init__(self, frame: Frame, plan: Plan, jumps: Jumps, storage: Storage) -> None:
        layout = Layout.of(frame.facts.analysis.shape)
        self.frame, self.text, self.plan, self.jumps = frame, frame.text, plan, jumps
        self.arrays = Arrays(frame, plan, layout, storage)
        self.names = Names(frame, plan, layout, storage)
        self.masks = Masks(frame, plan, layout, storage)
        self.vectors = VectorLoops(frame, plan, jumps, layout, self.masks, self.names, self.arrays)
        #: Of the loops and scopes around the present place: where their targets are.
        self.labels: dict[Target, str] = {}

    def write(self) -> None:
        for stmt in walk(self.frame.facts.analysis.kernel.body):
            if isinstance(stmt, Allocate):
                self.arrays.allocate(stmt)
        self.names.begin()
        self.masks.begin()
        self.items(self.plan.items)

    def items(self, items: Items) -> None:
        for item in items:
            if not self.text.here:
                return
            match item:
                case Leaf():
                    self.vectors.leaf(item)
                case BlockIf():
                    self.branch(item)
                case BlockLoop():
                    self.loop(item)
                case BlockScope():
                    self.scope(item)
                case BlockBarrier():
                    self.barrier(item)
                case BlockJump():
                    target = self.jumps.targets[item.stmt]
                    self.text.jump(self.labels[target])

    def scalar(self, expr: Expr) -> Value:
        """What the whole block agrees on."""
        return self.frame.as_uniform(control(self.frame, expr))

    def present(self, end: str, *exprs: Expr) -> None:
        """What threads read may lie outside of its array where they have all returned: then go on
        at the end."""
        if any(map(is_lazy, exprs)):
            here = self.text.label("present")
            self.masks.goes_on(here, end)
            self.text.start(here)

    def assign(self, stmt: Stmt, var: Var, value: Value) -> None:
        web = self.frame.facts.analysis.webs.definitions[stmt, var]
        self.frame.write(web, value)
        self.masks.assign(web)

    def barrier(self, item: BlockBarrier) -> None:
        result, stmt, frame = write_vote(self.vectors, item), item.stmt, self.frame
        if stmt.result is not None:
            self.assign(stmt, stmt.result, frame.arithmetic.cast(result, stmt.result.type))

    def branch(self, item: BlockIf) -> None:
        text = self.text
        yes, no, end = text.label("then"), text.label("else"), text.label("endif")
        self.present(end, item.stmt.condition)
        condition = self.scalar(item.stmt.condition).operand
        text.branch(condition, yes, no)
        for label, items in ((yes, item.then), (no, item.orelse)):
            text.start(label)
            self.items(items)
            text.jump(end)
        text.start(end)

    def scope(self, item: BlockScope) -> None:
        target: Target = (item.stmt, Place.END)
        self.labels[target] = self.text.label("endscope")
        entered = self.masks.enter(target)
        self.items(item.body)
        self.text.start(self.labels[target])
        self.masks.leave(entered)

    # ------------------------------------------------------------ loops that all threads run together
    def loop(self, item: BlockLoop) -> None:
        text, stmt = self.text, item.stmt
        end, latch = text.label("endloop"), text.label("latch")
        self.labels[stmt, Place.END], self.labels[stmt, Place.NEXT] = end, latch
        if isinstance(stmt, For):
            self.for_(item, stmt, end, latch)
        else:
            self.while_(item, stmt.condition, end, latch)

    def enter(self, item: BlockLoop) -> int:
        return self.masks.enter((item.stmt, Place.END), (item.stmt, Place.NEXT))

    def while_(self, item: BlockLoop, condition: Expr, end: str, latch: str) -> None:
        text = self.text
        head, inside, test = text.label("head"), text.label("loop"), text.label("test")
        entered = self.enter(item)
        text.start(head)
        self.masks.goes_on(test, end)
        text.start(test)
        self.masks.reset((item.stmt, Place.NEXT))
        self.items(item.prelude)
        self.present(end, condition)
        text.branch(self.scalar(condition).operand, inside, end)
        text.start(inside)
        self.items(item.body)
        text.start(latch)
        poll(self.frame)
        text.jump(head, text.module.loop("unroll.disable"))
        text.start(end)
        self.masks.leave(entered)

    def for_(self, item: BlockLoop, stmt: For, end: str, latch: str) -> None:
        text, frame = self.text, self.frame
        self.present(end, stmt.start, stmt.stop, stmt.step)
        bounds = [self.scalar(e) for e in (stmt.start, stmt.stop, stmt.step)]
        if frame.debug:
            faults.check_step(frame, stmt, bounds[2])
        counter = Counter(frame, *bounds)
        inside, head = text.label("loop"), text.label("head")
        entered = self.enter(item)
        text.branch(counter.runs().operand, head, end)
        text.start(head)
        self.masks.goes_on(inside, end)
        text.start(inside)
        self.masks.reset((stmt, Place.NEXT))
        self.assign(stmt, stmt.target, counter.value())
        self.items(item.body)
        text.start(latch)
        poll(frame)
        more: Operand = counter.more().operand
        counter.advance()
        text.branch(more, head, end, text.module.loop("unroll.disable"))
        text.start(end)
        self.masks.leave(entered)
