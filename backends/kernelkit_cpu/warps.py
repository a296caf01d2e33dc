"""Operations among the lanes of a warp, which is one vector.

In: a Warp. Out: code, and what it gives in the lanes that run.
Holds: those that take part in a lane's operation are the lanes that run and that its own mask names;
so lanes that do not exist or have returned never do. Sets of lanes are numbers with a bit per lane,
scalars wherever all lanes have the same mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kernelkit.ir import nodes as ir
from kernelkit.ir.types import BOOL, DTYPES, UINT32
from kernelkit_cpu import lanes, shuffles, warp_checks
from kernelkit_cpu.expressions import control
from kernelkit_cpu.frame import Frame
from kernelkit_cpu.types import register
from kernelkit_cpu.values import Value, constant, uniform, varying

Results = Sequence[Value]


def write(frame: Frame, stmt: ir.Warp) -> None:
    mask = None if stmt.mask is None else control(frame, stmt.mask)
    operands = [control(frame, operand) for operand in stmt.operands]
    if frame.debug and mask is not None:
        warp_checks.check_lanes(frame, stmt, mask)
        if stmt.op in shuffles.SOURCES:
            warp_checks.check_source(frame, stmt, operands[1])
    results = _OPERATIONS[stmt.op](frame, stmt, lanes.taking_part(frame, mask), operands)
    definitions = frame.facts.analysis.webs.definitions
    for var, value in zip(stmt.results, results, strict=False):
        frame.write(definitions[stmt, var], value)


# ---------------------------------------------------------------- votes
def _sync(frame: Frame, stmt: ir.Warp, present: Value, operands: list[Value]) -> Results:
    # Lanes go on together anyway, and touch memory in the order of the program.
    return ()


def _active(frame: Frame, stmt: ir.Warp, present: Value, operands: list[Value]) -> Results:
    return (present,)


def _ballot(frame: Frame, stmt: ir.Warp, present: Value, operands: list[Value]) -> Results:
    return (lanes.voting(frame, present, operands[0]),)


def _all(frame: Frame, stmt: ir.Warp, present: Value, operands: list[Value]) -> Results:
    if operands[0].is_uniform:
        return operands
    return (frame.arithmetic.compare("eq", lanes.voting(frame, present, operands[0]), present),)


def _any(frame: Frame, stmt: ir.Warp, present: Value, operands: list[Value]) -> Results:
    if operands[0].is_uniform:
        return operands
    return (_is_some(frame, lanes.voting(frame, present, operands[0])),)


def _eq(frame: Frame, stmt: ir.Warp, present: Value, operands: list[Value]) -> Results:
    if operands[0].is_uniform:
        return (constant(BOOL, True),)
    votes, arithmetic = lanes.voting(frame, present, operands[0]), frame.arithmetic
    every = arithmetic.compare("eq", votes, present)
    return (arithmetic.binary("or", every, arithmetic.unary("not", _is_some(frame, votes))),)


def _is_some(frame: Frame, bits: Value) -> Value:
    return frame.arithmetic.compare("ne", bits, constant(UINT32, 0))


# ---------------------------------------------------------------- matches
def _match_any(frame: Frame, stmt: ir.Warp, present: Value, operands: list[Value]) -> Results:
    if operands[0].is_uniform:
        return (present,)
    peers = lanes.peers(frame, _as_bits(frame, operands[0]))
    return (frame.arithmetic.binary("and", peers, present),)


def _match_all(frame: Frame, stmt: ir.Warp, present: Value, operands: list[Value]) -> Results:
    arithmetic = frame.arithmetic
    if operands[0].is_uniform:
        return (present, constant(BOOL, True))
    value = _as_bits(frame, operands[0])
    if present.is_uniform:
        first = lanes.lowest(frame, present.operand)
        same = arithmetic.compare("eq", value, uniform(value.type, frame.lane(value, first)))
        peers = lanes.voting(frame, present, same)
    else:
        peers = arithmetic.binary("and", lanes.peers(frame, value), present)
    agreed = arithmetic.compare("eq", peers, present)
    return (arithmetic.select(agreed, present, constant(UINT32, 0)), agreed)


def _as_bits(frame: Frame, value: Value) -> Value:
    """A value as an integer of its size, so that a NaN equals itself."""
    dtype = value.type
    if not dtype.is_float:
        return value
    whole = DTYPES[f"uint{dtype.bits}"]
    source, target = register(dtype, frame.lanes), register(whole, frame.lanes)
    part = frame.arithmetic.one(value)
    return varying(whole, (frame.text.let(f"bitcast {source} {part} to {target}"),))


Operation = Callable[[Frame, ir.Warp, Value, list[Value]], Results]

_OPERATIONS: Final[dict[str, Operation]] = {
    "sync": _sync,
    "activemask": _active,
    "ballot": _ballot,
    "all": _all,
    "any": _any,
    "eq": _eq,
    "match_any": _match_any,
    "match_all": _match_all,
    **dict.fromkeys(shuffles.SOURCES, shuffles.shuffle),
}
