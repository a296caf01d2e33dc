"""Checks of debug kernels.

In: nodes and the values of their operands. Out: code that looks at the lanes that run and, where one
is at fault, writes down where and leaves; tables for `fault_report`, which says so.
Holds: nothing is checked in lanes that do not run; of faults at the same time one is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from kernelkit.analysis.webs import Web
from kernelkit.emit.fault_report import site_number
from kernelkit.emit.payload import word_count
from kernelkit.emit.python_names import described
from kernelkit.errors import Span
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, INT64, UINT64
from kernelkit_cpu import record
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.payload import words_of
from kernelkit_cpu.text import Module, Operand
from kernelkit_cpu.types import register
from kernelkit_cpu.values import Value, constant, uniform, varying

Access = ir.Load | ir.Store | ir.Atomic | ir.View
#: What a site needs from the lane that is at fault: its number -> words.
Words = Callable[[Operand], Sequence[Operand]]

#: Words that a record has room for.
CAPACITY: Final = record.PARAMETERS - record.PAYLOAD


# ---------------------------------------------------------------- checks
def check_bounds(
    frame: Frame,
    node: Access,
    array: ir.ArrayVar,
    indices: Sequence[ir.Expr],
    values: Sequence[Value],
) -> None:
    """Indices are inside their array, negative ones after they wrapped once."""
    arithmetic, extents = frame.arithmetic, frame.arrays[array].extents
    seen, skipped = frame.facts.views.get(node, (array, 0))
    values, extents = values[skipped:], extents[skipped:]
    wraps = frame.facts.analysis.kernel.options.wraparound
    outside: Value | None = None
    for value, extent in zip(values, extents, strict=False):
        # Without a sign, what is below 0 is above every extent, so one comparison is enough.
        index = arithmetic.cast(arithmetic.cast(value, INT64), UINT64)
        limit = arithmetic.cast(extent, UINT64)
        if wraps and value.type.is_signed:
            index = arithmetic.binary("add", index, limit)
            limit = arithmetic.binary("add", limit, limit)
        found = arithmetic.compare("ge", index, limit)
        outside = found if outside is None else arithmetic.binary("or", outside, found)
    if outside is None or outside.constant is False:
        return
    shape = [extent.constant for extent in extents]
    what = {
        "kind": "bounds",
        "name": described(seen.name),
        "indices": [value.type.name for value in values],
        "shape": shape,
    }

    def words(lane: Operand) -> list[Operand]:
        unknown = [extent for extent in extents if extent.constant is None]
        return [
            w for v in (*values, *unknown) for w in words_of(frame, v.type, frame.lane(v, lane))
        ]

    fault_where(frame, outside, node.span, what, words)


def check_assigned(frame: Frame, expr: ir.Read, web: Web) -> None:
    """A name has been assigned."""
    address = frame.assigned.get(web)
    if address is None:
        return
    missing = frame.inverted(frame.text.load(frame.masks, address))
    what = {"kind": "unassigned", "name": described(expr.var.name)}
    fault_where(frame, varying(BOOL, (missing,)), expr.span, what)


def check_step(frame: Frame, stmt: ir.For, step: Value) -> None:
    """The step of a range moves it."""
    zero = frame.arithmetic.compare("eq", step, constant(INT64, 0))
    if zero.constant is not False:
        fault_where(frame, zero, stmt.span, {"kind": "step"})


def check_uniform(frame: Frame, expr: ir.Intrinsic, value: Value) -> None:
    """All lanes that run have one value, or NaNs, and so have the vectors before this one."""
    promise = frame.promises.get(expr)
    if promise is not None:
        return frame.guarded(lambda: _check_promise(frame, expr, value, promise))
    if not value.is_uniform:
        _check_first(frame, expr, value)


def _check_first(frame: Frame, expr: ir.Intrinsic, value: Value) -> Value:
    """The lanes that run have the value of the first of them, which it gives."""
    first = frame.first_active()
    expected = uniform(value.type, frame.lane(value, first))
    if not value.is_uniform:
        _check_same(frame, expr, expected, lambda: _thread(frame, first), value)
    return expected


def _check_same(
    frame: Frame, expr: ir.Intrinsic, expected: Value, thread: Callable[[], Operand], value: Value
) -> None:
    """The lanes that run have the value that some thread has."""
    dtype, arithmetic = value.type, frame.arithmetic
    differs = arithmetic.compare("ne", value, expected)
    if dtype.kind in "fc":
        # NaNs are one value.
        odd = [arithmetic.compare("ne", each, each) for each in (value, expected)]
        differs = arithmetic.binary("xor", differs, arithmetic.binary("and", *odd))

    def words(lane: Operand) -> list[Operand]:
        here = words_of(frame, dtype, frame.lane(value, lane))
        return [thread(), *words_of(frame, dtype, expected.scalar), *here]

    fault_where(frame, differs, expr.span, {"kind": "uniform", "dtype": dtype.name}, words)


def _check_promise(
    frame: Frame, expr: ir.Intrinsic, value: Value, promise: tuple[Operand, ...]
) -> None:
    text = frame.text
    thread, *addresses = promise
    kind = register(value.type)
    later, first, done = text.label("later"), text.label("first"), text.label("promised")
    number = text.load("i64", thread)
    text.branch(text.let(f"icmp slt i64 {number}, 0"), first, later)
    text.start(later)
    expected = uniform(value.type, tuple(text.load(kind, address) for address in addresses))
    _check_same(frame, expr, expected, lambda: number, value)
    text.jump(done)
    text.start(first)
    own = _check_first(frame, expr, value)
    text.store("i64", _thread(frame, frame.first_active()), thread)
    for address, part in zip(addresses, own.scalar, strict=True):
        text.store(kind, part, address)
    text.start(done)


def begin_vectors(frame: Frame, body: ir.Body) -> None:
    """Before the vectors of a block run a body one after the other: no thread has said yet what
    kk.uniform promises. What a vector meets several times is left out."""
    frame.promises = {}
    if not frame.debug:
        return
    text = frame.text
    for expr in _met_once(body):
        if isinstance(expr, ir.Intrinsic) and expr.function == "uniform":
            kinds = ["i64", *[register(expr.type)] * word_count(expr.type)]
            promise = tuple(text.alloca(kind, hint="promise") for kind in kinds)
            text.store("i64", "-1", promise[0])
            frame.promises[expr] = promise


def _met_once(body: ir.Body) -> Iterator[ir.Expr]:
    """The expressions of a body that are in no loop."""
    for stmt in body:
        if not isinstance(stmt, ir.For | ir.While):
            for expr in ir.expressions(stmt):
                yield from ir.walk_expr(expr)
            for inner in ir.bodies(stmt):
                yield from _met_once(inner)


# ---------------------------------------------------------------- leaving
def site(frame: Frame, what: Mapping[str, Any], span: Span | None = None) -> int:
    """The number of a place in the kernel, for the tables in the metadata."""
    return site_number(frame.sites, what, span)


def fault_where(
    frame: Frame,
    bad: Value,
    span: Span,
    what: Mapping[str, Any],
    words: Words = lambda lane: (),
) -> None:
    """Ends the launch if a condition holds in a lane that runs. `what` tells raise_fault what it
    is; `words` are what the lane adds."""
    text = frame.text
    if bad.is_uniform:
        lanes: Operand | None = frame.mask
        condition = bad.operand
        if frame.mask is not None and not frame.certain:
            condition = frame.arithmetic.both(frame.any(frame.mask), condition)
    else:
        lanes = frame.masked_and(frame.mask, frame.arithmetic.one(bad))
        condition = frame.any(lanes)
    fault, fine = text.label("fault"), text.label("fine")
    text.branch(condition, fault, fine)
    text.start(fault)
    with frame.under(lanes, certain=True):
        lane = frame.first_active()
        _record(frame, site(frame, what, span), lane, words(lane))
    text.jump(frame.fault_exit)
    text.start(fine)


def _record(frame: Frame, number: int, lane: Operand, words: Sequence[Operand]) -> None:
    text = frame.text
    kept = words[:CAPACITY]
    payload = text.alloca("i64", CAPACITY, hint="payload")
    for place, word in enumerate(kept):
        text.store("i64", word, text.at("i64", payload, place))
    _define_recorder(text.module)
    given = [
        f"ptr {frame.record}",
        *(f"i64 {n}" for n in (number, frame.block_number, _thread(frame, lane))),
        f"ptr {payload}",
        f"i64 {8 * len(kept)}",
    ]
    text.emit(f"call void @{_RECORDER}({', '.join(given)})")


def _thread(frame: Frame, lane: Operand) -> Operand:
    """The number in its block of a lane's thread, as an i64. What the block does as a whole counts
    as its first thread's."""
    if frame.thread_numbers is None:
        return "0"
    return frame.lane(frame.arithmetic.cast(frame.thread_numbers, INT64), lane)[0]


_RECORDER: Final = "record_fault"


def _define_recorder(module: Module) -> None:
    """The function that fills the record in, for whoever comes first, and stops the launch."""
    head = f"define internal void @{_RECORDER}("
    if any(function.startswith(head) for function in module.functions):
        return
    memcpy = "llvm.memcpy.p0.p0.i64"
    module.declare(memcpy, "void", ["ptr", "ptr", "i64", "i1"])
    words = {
        "lock": record.FAULT_LOCK, "site": record.FAULT_SITE, "block": record.FAULT_BLOCK,
        "thread": record.FAULT_THREAD, "payload": record.PAYLOAD, "stop": record.STOP,
    }  # fmt: skip
    places = [f"  %{n}.at = getelementptr i64, ptr %record, i64 {w}" for n, w in words.items()]
    stores = [f"  store i64 %{n}, ptr %{n}.at" for n in ("site", "block", "thread")]
    body = [
        f"{head}ptr %record, i64 %site, i64 %block, i64 %thread, ptr %words, i64 %size) cold noinline nounwind {{",
        *places,
        "  %taken = cmpxchg ptr %lock.at, i64 0, i64 1 acq_rel monotonic",
        "  %first = extractvalue { i64, i1 } %taken, 1",
        "  br i1 %first, label %write, label %stop",
        "write:",
        *stores,
        f"  call void @{memcpy}(ptr %payload.at, ptr %words, i64 %size, i1 false)",
        "  br label %stop",
        "stop:",
        f"  store atomic i64 {record.FAULTED}, ptr %stop.at release, align 8",
        "  ret void",
        "}",
    ]
    module.functions.append("\n".join(body))
