"""Sets of the lanes of a warp, as numbers with a bit per lane.

In: masks and values. Out: uint32 values, uniform wherever the masks are.
"""

from __future__ import annotations

from typing import Final

from kernelkit.ir.types import UINT32
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import register, splat, vector
from kernelkit_cpu.values import Value, constant, uniform, varying

WARP_SIZE: Final = 32
FULL: Final = 0xFFFFFFFF
WORDS: Final = vector("i32", WARP_SIZE)


def number(frame: Frame, mask: Operand) -> Operand:
    """A mask's lanes, as an i32."""
    return frame.text.let(f"bitcast {frame.masks} {mask} to i32")


def running(frame: Frame) -> Value:
    """The lanes that run."""
    if frame.mask is None:
        return constant(UINT32, FULL)
    return uniform(UINT32, (number(frame, frame.mask),))


def taking_part(frame: Frame, mask: Value | None) -> Value:
    """The lanes that run and that a mask names; None names all."""
    here = running(frame)
    if mask is None or mask.constant == FULL:
        return here
    return mask if here.constant == FULL else frame.arithmetic.binary("and", mask, here)


def voting(frame: Frame, present: Value, condition: Value) -> Value:
    """Those of some lanes in which a condition holds."""
    if condition.is_uniform:
        return frame.arithmetic.select(condition, present, constant(UINT32, 0))
    held = frame.masked_and(frame.mask, frame.arithmetic.one(condition))
    assert held is not None
    votes = uniform(UINT32, (number(frame, held),))
    return votes if present.constant == FULL else frame.arithmetic.binary("and", votes, present)


def lowest(frame: Frame, bits: Operand) -> Operand:
    """The first lane of an i32 with a bit per lane, as an i64; 0 where there is none."""
    if bits == str(FULL):
        return "0"
    text = frame.text
    found = text.call("llvm.cttz.i32", "i32", [("i32", bits), ("i1", "false")])
    return text.let(f"zext i32 {text.let(f'and i32 {found}, {WARP_SIZE - 1}')} to i64")


def contains(frame: Frame, bits: Value, lane: Operand) -> Operand:
    """Whether a set has a lane (i32, for each lane; poison outside 0 to 31): a mask."""
    text = frame.text
    shifted = text.let(f"lshr {WORDS} {frame.arithmetic.one(bits)}, {lane}")
    return text.let(f"trunc {WORDS} {shifted} to {frame.masks}")


def peers(frame: Frame, value: Value) -> Value:
    """For each lane that runs, the lanes that run and have the same value (an integer or bool)."""
    text, dtype = frame.text, value.type
    kind = register(dtype, WARP_SIZE)
    own, read = frame.arithmetic.one(value), frame.spill(value)
    left, found = text.alloca("i32", hint="left"), text.alloca(WORDS, hint="peers")
    text.store("i32", number(frame, frame.active()), left)
    text.store(WORDS, "zeroinitializer", found)
    head, body, end = text.label("values"), text.label("value"), text.label("valuesend")
    text.start(head)
    lanes = text.load("i32", left)
    text.branch(text.let(f"icmp ne i32 {lanes}, 0"), body, end)
    text.start(body)
    (one,) = splat(text, dtype, read(lowest(frame, lanes)), WARP_SIZE)
    same = frame.masked_and(frame.mask, text.let(f"icmp eq {kind} {own}, {one}"))
    assert same is not None
    bits = number(frame, same)
    (everywhere,) = splat(text, UINT32, (bits,), WARP_SIZE)
    old = text.load(WORDS, found)
    chosen = text.let(f"select {frame.masks} {same}, {WORDS} {everywhere}, {WORDS} {old}")
    text.store(WORDS, chosen, found)
    # The first one goes in any case, so that this ends.
    others = text.let(f"and i32 {lanes}, {text.let(f'sub i32 {lanes}, 1')}")
    rest = text.let(f"and i32 {others}, {text.let(f'xor i32 {bits}, -1')}")
    text.store("i32", rest, left)
    text.jump(head, text.module.loop("unroll.disable"))
    text.start(end)
    return varying(UINT32, (text.load(WORDS, found),))
