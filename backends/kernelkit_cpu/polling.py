"""Loops that may run long look now and then whether the launch was cancelled.

In: a frame. Out: a few instructions at the end of an iteration.
Holds: one iteration in TICKS calls the launcher, which may raise what Ctrl-C raised.
"""

from __future__ import annotations

from kernelkit_cpu.frame import Frame
from kernelkit_cpu.record import POLL, STOP
from kernelkit_cpu.text import Text

#: Iterations between two looks.
TICKS = 1024


def counter(text: Text) -> str:
    """Memory that counts down to the next look, set at the start of a function."""
    slot = text.alloca("i32", hint="ticks")
    text.entry.append(f"  store i32 {TICKS}, ptr {slot}")
    return slot


def poll(frame: Frame) -> None:
    text, ticks = frame.text, frame.ticks
    look, on = text.label("look"), text.label("on")
    left = text.let(f"sub i32 {text.load('i32', ticks)}, 1")
    text.store("i32", left, ticks)
    text.branch(text.let(f"icmp eq i32 {left}, 0"), look, on)
    text.start(look)
    text.store("i32", str(TICKS), ticks)
    function = text.load("ptr", text.at("i64", frame.record, POLL))
    text.call(function, "void", [("ptr", frame.record), ("i64", "%worker")])
    word = text.at("i64", frame.record, STOP)
    stop = text.let(f"load atomic i64, ptr {word} monotonic, align 8")
    text.branch(text.let(f"icmp eq i64 {stop}, 0"), on, frame.fault_exit)
    text.start(on)
