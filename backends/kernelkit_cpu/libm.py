"""Functions of the C library's libm, on scalars and lane by lane on vectors.

In: the function's C name for doubles; float32 uses the one with an f at its end. Holds: a call has
no effects, so that LLVM may move it.
"""

from __future__ import annotations

from typing import Final

from kernelkit_cpu.instructions import Code
from kernelkit_cpu.text import Operand
from kernelkit_cpu.types import vector

#: Names of the table -> names in C, where they differ.
NAMES: Final = {"gamma": "tgamma"}
_PURE: Final = "nounwind willreturn memory(none)"


def call(code: Code, name: str, kind: str, *arguments: Operand, cold: bool = False) -> Operand:
    """float32 or float64 in, the same out. `cold`: this is seldom reached."""
    function = NAMES.get(name, name) + ("f" if kind == "float" else "")
    code.text.module.declare(function, kind, [kind] * len(arguments), _PURE)
    if not code.lanes:
        return code.text.call(function, kind, [(kind, each) for each in arguments])
    count = len(arguments)
    return code.internal(
        f"lanes.{function}",
        kind,
        arguments,
        lambda inner: _lane_by_lane(inner, function, (kind,) * count),
        cold,
    )


def _lane_by_lane(code: Code, function: str, kinds: tuple[str, ...]) -> None:
    """The body of a function: a loop over lanes that lie in memory, since a call leaves no vector
    in its register."""
    text, lanes, kind = code.text, code.lanes, kinds[0]
    full = vector(kind, lanes)
    places = [text.alloca(full) for _ in kinds]
    for i, place in enumerate(places):
        # An idle lane may hold poison.
        text.store(full, text.let(f"freeze {full} %a{i}"), place)
    counter = text.alloca("i64", align=8)
    text.store("i64", "0", counter)
    body, end = text.label("lane"), text.label("end")
    text.start(body)
    lane = text.load("i64", counter)
    addresses = [text.at(kind, place, lane) for place in places]
    result = text.call(function, kind, [(kind, text.load(kind, each)) for each in addresses])
    text.store(kind, result, addresses[0])
    following = text.let(f"add nuw i64 {lane}, 1")
    text.store("i64", following, counter)
    text.branch(text.let(f"icmp ult i64 {following}, {lanes}"), body, end,
                text.module.loop("unroll.disable"))  # fmt: skip
    text.start(end)
    text.finish(f"ret {full} {text.load(full, places[0])}")
