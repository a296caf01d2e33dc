"""What debug kernels check of warp operations.

In: a Warp and the values of its operands. Out: code that looks whether every lane that a mask names
comes along.
Holds: lanes that an operation misses are not missed before they come to another one: they may yet
return, and lanes that have returned are not waited for.
"""

from __future__ import annotations

from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, UINT32
from kernelkit_cpu import faults, lanes, shuffles
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.payload import words_of
from kernelkit_cpu.text import Operand
from kernelkit_cpu.values import Value, constant, linear, uniform, varying

#: Words of a frame's `waited_for`: the lanes that are missed, and by whom: the site, its mask, the
#: lanes that wait there.
MISSED, SITE, MASK, WAITING, WORDS = range(5)


def begin_vector(frame: Frame) -> None:
    """Nobody is waited for."""
    kernel = frame.facts.analysis.kernel
    if not frame.debug or not any(isinstance(stmt, ir.Warp) for stmt in ir.walk(kernel.body)):
        return
    frame.waited_for = frame.text.alloca("i64", WORDS, hint="waited")
    frame.text.store("i64", "0", frame.waited_for)


def check_source(frame: Frame, stmt: ir.Warp, operand: Value) -> None:
    """A shuffle names lanes that exist and have not returned, or none at all."""
    text, arithmetic = frame.text, frame.arithmetic
    wanted = shuffles.source(arithmetic, stmt.op, operand)
    number = arithmetic.one(wanted)
    inside = text.let(f"icmp ult {lanes.WORDS} {number}, splat (i32 {lanes.WARP_SIZE})")
    come = lanes.number(frame, frame.active()) if _is_last(frame, stmt) else _alive(frame)
    here = lanes.contains(frame, uniform(UINT32, (come,)), number)
    gone = frame.masked_and(inside, frame.inverted(here))
    assert gone is not None
    faults.fault_where(
        frame,
        varying(BOOL, (gone,)),
        stmt.span,
        {"kind": "inactive lane", "op": stmt.op},
        lambda lane: words_of(frame, wanted.type, frame.lane(wanted, lane)),
    )


def _is_last(frame: Frame, stmt: ir.Warp) -> bool:
    """Whether lanes that do not come along are at the kernel's end, for all that others know."""
    body = frame.facts.analysis.kernel.body
    waits = [each for each in ir.walk(body) if isinstance(each, ir.Warp | ir.Barrier)]
    loops = (each for each in ir.walk(body) if isinstance(each, ir.For | ir.While))
    repeated = any(stmt in ir.walk(loop.body) for loop in loops)
    return waits[-1] is stmt and not repeated


def check_lanes(frame: Frame, stmt: ir.Warp, mask: Value) -> None:
    """Each lane is in its own mask, and nobody comes while others wait for him elsewhere."""
    _check_named(frame, stmt, mask)
    if frame.waited_for is not None:
        _check_waiting(frame, stmt, mask, frame.waited_for)


def _alive(frame: Frame) -> Operand:
    """The lanes that exist and have not returned, as an i32."""
    return lanes.number(frame, frame.all_on() if frame.alive is None else frame.alive())


def _check_named(frame: Frame, stmt: ir.Warp, mask: Value) -> None:
    if mask.constant == lanes.FULL:
        return
    arithmetic = frame.arithmetic
    shifted = arithmetic.binary("shr", mask, linear(UINT32, "0", 1))
    own = arithmetic.binary("and", shifted, constant(UINT32, 1))
    faults.fault_where(
        frame,
        arithmetic.compare("eq", own, constant(UINT32, 0)),
        stmt.span,
        {"kind": "unnamed lane", "op": stmt.op},
        lambda lane: words_of(frame, UINT32, frame.lane(mask, lane)),
    )


def _check_waiting(frame: Frame, stmt: ir.Warp, mask: Value, memory: Operand) -> None:
    text = frame.text
    here = lanes.number(frame, frame.active())
    missed, waiting = (
        text.let(f"trunc i64 {text.load('i64', text.at('i64', memory, n))} to i32")
        for n in (MISSED, WAITING)
    )
    absent = _absent(frame, mask, here)
    late = text.let(f"and i32 {missed}, {here}")
    # They met those that waited for them in another place, or wait themselves.
    met = text.let(f"or i32 {text.let(f'and i32 {waiting}, {here}')}, {absent}")
    stuck = text.let(f"and i1 {_some(frame, late)}, {_some(frame, met)}")
    what = {"kind": "warp", "op": stmt.op}

    def words(lane: Operand) -> list[Operand]:
        tail = "-1" if frame.tail is None else lanes.number(frame, frame.tail)
        own = text.let(f"and i32 {here}, {_inverted(frame, waiting)}")
        returned = text.let(f"and i32 {tail}, {_inverted(frame, _alive(frame))}")
        first = lanes.lowest(frame, late)
        before = [text.load("i64", text.at("i64", memory, n)) for n in (SITE, MASK, WAITING)]
        numbers = [*frame.lane(mask, first), own, returned]
        return [*before, *(text.let(f"zext i32 {n} to i64") for n in numbers)]

    stalemate = {**what, "kind": "stalemate"}
    faults.fault_where(frame, uniform(BOOL, (stuck,)), stmt.span, stalemate, words)
    _remember(frame, stmt, mask, memory, (missed, absent, here))


def _absent(frame: Frame, mask: Value, here: Operand) -> Operand:
    """The lanes that are named, are alive and do not come with the same mask; an i32."""
    text, arithmetic = frame.text, frame.arithmetic
    alive = uniform(UINT32, (_alive(frame),))
    come = uniform(UINT32, (here,)) if mask.is_uniform else lanes.peers(frame, mask)
    others = arithmetic.unary("invert", come)
    absent = arithmetic.binary("and", arithmetic.binary("and", mask, alive), others)
    if absent.is_uniform:
        return absent.operand
    found = arithmetic.one(absent)
    if frame.mask is not None:
        none = f"{lanes.WORDS} zeroinitializer"
        found = text.let(f"select {frame.masks} {frame.mask}, {lanes.WORDS} {found}, {none}")
    return text.call("llvm.vector.reduce.or.v32i32", "i32", [(lanes.WORDS, found)])


def _remember(
    frame: Frame, stmt: ir.Warp, mask: Value, memory: Operand,
    found: tuple[Operand, Operand, Operand],
) -> None:  # fmt: skip
    """If lanes are missed, and none were before: who, and by whom."""
    text, (missed, absent, here) = frame.text, found
    nobody = text.let(f"icmp eq i32 {missed}, 0")
    first = text.let(f"and i1 {nobody}, {_some(frame, absent)}")
    keep, on = text.label("missed"), text.label("come")
    text.branch(first, keep, on)
    text.start(keep)
    site = faults.site(frame, {"kind": "warp", "op": stmt.op}, stmt.span)
    own = frame.lane(mask, frame.first_active())[0]
    for place, word in ((MISSED, absent), (MASK, own), (WAITING, here)):
        text.store("i64", text.let(f"zext i32 {word} to i64"), text.at("i64", memory, place))
    text.store("i64", str(site), text.at("i64", memory, SITE))
    text.start(on)


def _some(frame: Frame, bits: Operand) -> Operand:
    return frame.text.let(f"icmp ne i32 {bits}, 0")


def _inverted(frame: Frame, bits: Operand) -> Operand:
    return frame.text.let(f"xor i32 {bits}, -1")
