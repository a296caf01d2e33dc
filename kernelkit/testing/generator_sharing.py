"""Random statements in which threads meet: barriers, shared memory, atomics, warp operations.

In: a program whose flow all threads of the block, or of the warp, share. Out: lines of the program.
Holds: between two barriers an array of a block is either read by all, or written by each thread at
its own element, or updated by one kind of commutative atomic whose result nobody uses.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from kernelkit.ir.types import BOOL, DTYPES, INT32, INT64, UINT32, DType
from kernelkit.testing.generator_control import INNER, guarded
from kernelkit.testing.generator_expressions import condition, expression, indices
from kernelkit.testing.generator_program import ArrayName, Level, Mode, Name, Program
from kernelkit.testing.generator_statements import Rows, Statement, bare, body
from kernelkit.testing.generator_types import literals

ATOMIC_TYPES: Final = tuple(DTYPES[name] for name in ("int32", "uint32", "int64", "uint64"))
#: Types that a register of a GPU holds: what shuffles and matches take.
WARP_TYPES: Final = (*ATOMIC_TYPES, DTYPES["float32"], DTYPES["float64"])
#: Kinds of atomic that may mix on one array, whatever the order.
_KINDS: Final = {
    "add": ("add", "sub"), "min": ("min",), "max": ("max",), "and": ("and_",), "or": ("or_",),
    "xor": ("xor",), "inc": ("inc",), "dec": ("dec",),
}  # fmt: skip


def _suited(p: Program, types: tuple[DType, ...]) -> DType:
    return p.choices.pick([t for t in p.palette if t in types] or [types[0]])


# ---------------------------------------------------------------- barriers
def _barrier(p: Program) -> None:
    """A barrier, at times with a value that the block shares."""
    form = p.choices.weighted(((7, ""), (1, "count"), (1, "and"), (1, "or")))
    if not form:
        p.emit("kk.syncthreads()")
        return
    test = bare(condition(p))
    name = p.bring(INT32 if form == "count" else BOOL, Level.BLOCK)
    p.emit(f"{name.text} = kk.syncthreads_{form}({test})")


def _barrier_alone(p: Program) -> bool:
    _barrier(p)
    return True


def _exchange(p: Program) -> bool:
    """Each thread writes its element; after a barrier all read any."""
    if not p.exchanged:
        return False
    array = p.choices.pick(p.exchanged)
    value = p.fresh("v")
    p.emit(f"{value} = {bare(expression(p, array.dtype))}")
    _barrier(p)
    array.mode = Mode.OWN
    p.emit(f"{array.text}[{array.own}] = {value}")
    if p.choices.chance(25):
        with p.inside(f"if {bare(condition(p))}:", replace(p.flow, level=Level.THREAD)):
            p.emit(f"{array.text}[{array.own}] = {bare(expression(p, array.dtype))}")
    _barrier(p)
    array.mode = Mode.READ
    _read_back(p, array)
    return True


def _read_back(p: Program, array: ArrayName) -> None:
    at = indices(p, array, Level.THREAD, 1)
    p.emit(f"{p.bring(array.dtype, Level.THREAD).text} = {array.text}[{at}]")


def _count_together(p: Program) -> bool:
    """Atomics on memory that the block shares, between barriers."""
    arrays = [a for a in p.exchanged if a.dtype in ATOMIC_TYPES]
    if not arrays or not p.profile.atomics:
        return False
    array = p.choices.pick(arrays)
    _barrier(p)
    array.mode, array.atomic = Mode.CLOSED, p.choices.pick(tuple(_KINDS))
    _update(p, array)
    if p.choices.chance(30):
        with p.inside(f"if {bare(condition(p))}:", replace(p.flow, level=Level.THREAD)):
            _update(p, array)
    _barrier(p)
    array.mode = Mode.READ
    _read_back(p, array)
    return True


def _promise(p: Program) -> bool:
    """kk.uniform of what the block shares, though a compiler may not see it."""
    arrays = [a for a in p.exchanged if a.mode is Mode.READ]
    if arrays and p.choices.chance(60):
        array = p.choices.pick(arrays)
        dtype, text = array.dtype, f"{array.text}[{indices(p, array, Level.BLOCK, 1)}]"
    else:
        dtype = p.choices.pick((*p.palette, INT64))
        text = bare(expression(p, dtype, Level.BLOCK, 2))
    p.emit(f"{p.bring(dtype, Level.BLOCK).text} = kk.uniform({text})")
    return True


# ---------------------------------------------------------------- atomics
def _update(p: Program, array: ArrayName) -> None:
    """One commutative atomic, its result unused."""
    at = indices(p, array, Level.THREAD, 1)
    at = f"({at})" if len(array.sizes) != 1 else at
    op = p.choices.pick(_KINDS[array.atomic])
    if op in ("inc", "dec"):
        value = "13"  # The same limit everywhere, or the order would tell.
    elif p.choices.chance(30):
        value = p.choices.pick(literals(array.dtype))
    else:
        value = bare(expression(p, array.dtype, Level.THREAD, 2))
    p.emit(f"kk.atomic.{op}({array.text}, {at}, {value})")


def _atomic(p: Program) -> bool:
    """An update of an array that all threads of the grid update."""
    if p.in_function or not p.profile.atomics:
        return False
    if not p.counters or (len(p.counters) < 2 and p.choices.chance(30)):
        dtype = _suited(p, ATOMIC_TYPES)
        sizes = p.choices.pick(((5,), (1,), (3, 4)))
        layout = p.choices.pick(("C", "reversed", "spaced"))
        made = ArrayName(p.parameter("h", dtype, sizes, layout), dtype, sizes, Mode.CLOSED)
        made.atomic = p.choices.pick(tuple(_KINDS))
        p.counters.append(made)
    _update(p, p.choices.pick(p.counters))
    return True


def _own_atomic(p: Program) -> bool:
    """An atomic on the thread's own element: nobody else touches it, so its result may be used."""
    arrays = [a for a in p.own_arrays() if a.dtype in ATOMIC_TYPES]
    if not p.profile.atomics or not (arrays or p.flow.own):
        return False
    if not arrays:
        arrays = [p.output(_suited(p, ATOMIC_TYPES), "C")]
    array = p.choices.pick(arrays)
    at = f"({array.own})" if "," in array.own else array.own
    op = p.choices.pick(
        ("add", "exch", "cas", "sub", "min", "max", "and_", "or_", "xor", "inc", "dec")
    )
    count = 2 if op == "cas" else 1
    values = ", ".join(bare(expression(p, array.dtype, Level.THREAD, 2)) for _ in range(count))
    p.emit(
        f"{p.bring(array.dtype, Level.THREAD).text} = kk.atomic.{op}({array.text}, {at}, {values})"
    )
    return True


# ---------------------------------------------------------------- warps
_FULL: Final = "0xFFFFFFFF"


def _shuffle(p: Program) -> bool:
    dtype = _suited(p, WARP_TYPES)
    value = bare(expression(p, dtype, Level.THREAD, 2))
    form = p.choices.pick(("xor", "down", "up", ""))
    lane = p.choices.pick(("1", "16", "5", "31", "0", ""))
    if not lane:
        lane = f"{expression(p, INT32, Level.THREAD if not form else Level.WARP, 1)} % 32"
    call = f"kk.shfl_{form}_sync" if form else "kk.shfl_sync"
    p.emit(f"{p.bring(dtype, Level.THREAD).text} = {call}({_FULL}, {value}, {lane})")
    return True


def _vote(p: Program) -> bool:
    form = p.choices.pick(("any", "all", "ballot", "eq"))
    test = bare(condition(p))
    name = p.bring(UINT32 if form == "ballot" else BOOL, Level.WARP)
    p.emit(f"{name.text} = kk.{form}_sync({_FULL}, {test})")
    return True


def _match(p: Program) -> bool:
    value = bare(expression(p, _suited(p, ATOMIC_TYPES), Level.THREAD, 2))
    if p.choices.chance(50):
        p.emit(f"{p.bring(UINT32, Level.THREAD).text} = kk.match_any_sync({_FULL}, {value})")
        return True
    names = [p.bring(t, Level.WARP).text for t in (UINT32, BOOL)]
    p.emit(f"{', '.join(names)} = kk.match_all_sync({_FULL}, {value})")
    return True


def _lanes(p: Program) -> bool:
    """What a lane knows of its warp."""
    form = p.choices.below(3)
    if form == 0:
        p.emit(f"{p.bring(UINT32, Level.THREAD).text} = kk.lanemask_lt()")
    elif form == 1:
        p.emit("kk.syncwarp()")
    else:
        text = "kk.activemask() >> np.uint32(kk.laneid) & 1"
        p.emit(f"{p.bring(UINT32, Level.THREAD).text} = {text}")
    return True


def _some_lanes(p: Program) -> bool:
    """The first lanes of a warp among themselves."""
    count = p.choices.pick((16, 8, 32, 4))
    mask, dtype = hex((1 << count) - 1), _suited(p, WARP_TYPES)
    value = bare(expression(p, dtype, Level.THREAD, 2))
    lane = f"{expression(p, INT32, Level.THREAD, 1)} % {count}"
    own, text = p.fresh("v"), p.fresh("v")
    p.emit(f"{own} = {value}")
    p.emit(f"{text} = {own}")
    with p.inside(f"if kk.laneid < {count}:", replace(p.flow, level=Level.THREAD)):
        p.emit(f"{text} = kk.shfl_sync({mask}, {own}, {lane})")
        if p.choices.chance(40):
            test = bare(condition(p))
            p.emit(f"{p.bring(UINT32, Level.THREAD).text} = kk.ballot_sync({mask}, {test})")
        body(p, least=0)
    p.names.append(Name(text, dtype, Level.THREAD))
    return True


def _fence(p: Program) -> bool:
    p.emit(f"kk.threadfence{p.choices.pick(('_block', '', '_system'))}()")
    return True


# ---------------------------------------------------------------- the tables
def _one_of(rows: Rows) -> Statement:
    return lambda p: p.choices.weighted(rows)(p)


_ANYWHERE: Final[Rows] = (
    (87, _one_of(INNER)),
    (13, _one_of(((4, _atomic), (4, _own_atomic), (1, _fence), (4, guarded)))),
)
_WARPS: Final = _one_of(((5, _shuffle), (4, _vote), (2, _match), (2, _lanes), (3, _some_lanes)))
_BARRIERS: Final = _one_of(
    ((14, _exchange), (6, _count_together), (3, _barrier_alone), (3, _promise))
)


def tables(p: Program) -> dict[Level, Rows]:
    """The statements that a kernel may hold, by who shares the flow."""
    warps = ((10, _WARPS),) if p.profile.warps else ()
    barriers = ((17, _BARRIERS),) if p.profile.barriers else ()
    return {
        Level.THREAD: _ANYWHERE,
        Level.WARP: (*_ANYWHERE, *warps),
        Level.BLOCK: (*_ANYWHERE, *warps, *barriers),
    }
