"""The frame of a random kernel: its launch, the names for a thread's place, its end.

In: decisions. Out: the first and the last lines of a kernel, between which its statements stand.
Holds: no thread's own element is another's; shared memory is filled before anything may return.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Final

from kernelkit.ir.types import BOOL, INT64
from kernelkit.testing.generator_arguments import LAYOUTS
from kernelkit.testing.generator_choices import Choices
from kernelkit.testing.generator_expressions import expression, load
from kernelkit.testing.generator_program import (
    ArrayName,
    Dim,
    Launch,
    Level,
    Mode,
    Name,
    Profile,
    Program,
)
from kernelkit.testing.generator_statements import bare
from kernelkit.testing.generator_types import CASTS

_BLOCKS: Final[tuple[tuple[Dim, ...], ...]] = (
    ((8, 1, 1), (1, 1, 1), (33, 1, 1), (7, 1, 1), (32, 1, 1), (40, 1, 1), (5, 1, 1), (64, 1, 1), (70, 1, 1)),
    ((4, 3, 1), (5, 7, 1), (33, 2, 1), (8, 4, 1), (3, 11, 1), (16, 3, 1), (1, 9, 1)),
    ((2, 3, 2), (3, 4, 5), (5, 2, 3), (4, 4, 2), (1, 3, 7), (17, 2, 2)),
)  # fmt: skip
_GRIDS: Final[tuple[tuple[Dim, ...], ...]] = (
    ((1, 1, 1), (2, 1, 1), (3, 1, 1), (5, 1, 1)),
    ((1, 1, 1), (2, 1, 1), (1, 3, 1), (2, 2, 1)),
    ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)),
)


def draw_launch(choices: Choices, profile: Profile) -> tuple[Launch, int]:
    """A launch of at most the profile's threads, and the axes of its outputs (0: linear)."""
    axes = choices.weighted(((5, 1), (3, 2), (2, 3)))
    block = choices.pick(_BLOCKS[axes - 1])
    grid = choices.pick(_GRIDS[axes - 1])
    launch = Launch(block, grid, ())
    if launch.blocks * launch.block_threads > profile.threads:
        launch.grid = (1, 1, 1)
    return launch, 0 if axes == 1 or choices.chance(35) else axes


def place(p: Program, axes: int) -> None:
    """Names for the thread's place, the index of its own element and the guard that it exists."""
    if p.launch.block[1:] == (1, 1):
        _define(p, "tid", "kk.threadIdx.x", Level.THREAD)
    else:
        rows = "kk.threadIdx.z * kk.blockDim.y + kk.threadIdx.y"
        _define(p, "tid", f"({rows}) * kk.blockDim.x + kk.threadIdx.x", Level.THREAD)
    if p.profile.warps:
        _define(p, "warp", "tid // kk.warpsize", Level.WARP)
    if axes:
        _place_axes(p, axes)
    else:
        _place_linear(p)


def _define(p: Program, text: str, value: str, level: Level) -> None:
    p.emit(f"{text} = {value}")
    p.names.append(Name(text, INT64, level, writable=False))


def _place_axes(p: Program, axes: int) -> None:
    names = ("x", "y", "z")[:axes]
    p.emit(f"{', '.join(names)} = kk.grid({axes})")
    p.names += [Name(n, INT64, Level.THREAD, writable=False) for n in names]
    sizes = [b * g for b, g in zip(p.launch.block, p.launch.grid, strict=True)][:axes]
    ragged = [max(1, n - p.choices.below(3)) for n in sizes]
    p.launch.sizes = tuple(ragged[::-1])
    p.own = ", ".join(names[::-1])
    if ragged != sizes:
        p.guard = " and ".join(f"{n} < {size}" for n, size in zip(names, ragged, strict=True))


def _place_linear(p: Program) -> None:
    threads = p.launch.block_threads * p.launch.blocks
    if p.launch.block[1:] == (1, 1) and p.choices.below(2) == 0:
        _define(p, "i", "kk.grid(1)", Level.THREAD)
    else:
        row = "kk.blockIdx.z * kk.gridDim.y + kk.blockIdx.y"
        number = (
            "kk.blockIdx.x"
            if p.launch.grid[1:] == (1, 1)
            else f"({row}) * kk.gridDim.x + kk.blockIdx.x"
        )
        _define(p, "block", number, Level.BLOCK)
        _define(p, "i", f"block * {p.launch.block_threads} + tid", Level.THREAD)
    size = max(1, threads + p.choices.pick((0, -1, -3, 2, -9)))
    p.launch.sizes, p.own = (size,), "i"
    if size < threads:
        p.guard = "i < n"
        p.parameters.append(("n", str(size)))
        p.scalars.append(Name("n", INT64, Level.BLOCK, writable=False))


# ---------------------------------------------------------------- memory of the block
def exchanged_arrays(p: Program) -> None:
    """Up to two shared arrays, filled by all threads, and a part of a global one for each block."""
    while p.profile.barriers and len(p.exchanged) < 2 and p.choices.chance(45):
        p.exchanged.append(p.choices.part(lambda: _shared(p)))
    if p.exchanged:
        p.emit("kk.syncthreads()")
    if p.profile.barriers and "block" in [n.text for n in p.names] and p.choices.chance(30):
        dtype, threads = p.choices.pick(p.palette), p.launch.block_threads
        text = p.parameter("g", dtype, (threads * p.launch.blocks,), p.choices.pick(tuple(LAYOUTS)))
        start = f"block * {threads}"
        p.exchanged.append(
            ArrayName(text, dtype, (threads,), Mode.READ, own=f"{start} + tid", start=start)
        )
    p.arrays += p.exchanged


def _shared(p: Program) -> ArrayName:
    """A shared array with an element for each thread, and perhaps more."""
    dtype = p.choices.pick((*p.palette, BOOL))
    text, (width, height, depth) = p.fresh("shared"), p.launch.block
    extra = p.choices.below(3)
    sizes: tuple[int, ...] = (p.launch.block_threads + extra,)
    own = "tid"
    if depth == 1 and height > 1 and p.choices.chance(50):
        sizes, own = (height, width + extra), "kk.threadIdx.y, kk.threadIdx.x"
    count = sizes[0] if len(sizes) == 1 else sizes[0] * sizes[1]
    shape = str(sizes[0]) if len(sizes) == 1 else str(sizes)
    if len(sizes) == 1 and not p.launch.dynamic_bytes and p.choices.chance(25):
        shape, p.launch.dynamic_bytes = "0", count * dtype.itemsize
    p.emit(
        f"{text} = kk.shared.array({shape}, {'np.bool_' if dtype == BOOL else CASTS[dtype.name]})"
    )
    at = p.fresh("k")
    flow = replace(p.flow, level=Level.THREAD)
    with p.inside(f"for {at} in range(tid, {count}, {p.launch.block_threads}):", flow):
        p.names.append(Name(at, INT64, Level.THREAD, writable=False))
        index = at if len(sizes) == 1 else f"{at} // {sizes[1]}, {at} % {sizes[1]}"
        p.emit(f"{text}[{index}] = {bare(expression(p, dtype, Level.THREAD, 1))}")
    return ArrayName(text, dtype, sizes, Mode.READ, own=own)


# ---------------------------------------------------------------- who goes on, and the end
def rest(p: Program) -> AbstractContextManager[None]:
    """Who has an own element from here on: by a return, a guard at each store, or a stride."""
    if p.own == "i" and p.choices.chance(15):
        return _stride(p)
    if not p.guard:
        p.flow = replace(p.flow, own=True)
    elif p.choices.below(2) == 0:
        p.emit(f"if not ({p.guard}):")
        p.emit("    return")
        p.flow = replace(p.flow, own=True)
    return nullcontext()


def _stride(p: Program) -> AbstractContextManager[None]:
    """A grid-stride loop over more elements than there are threads."""
    threads = p.launch.block_threads * p.launch.blocks
    size = 2 * threads + 1 if threads < 60 else threads + 3
    p.launch.sizes, p.own, p.guard = (size,), "j", ""
    p.names.append(Name("j", INT64, Level.THREAD, writable=False))
    flow = replace(p.flow, level=Level.THREAD, loop=Level.THREAD, own=True, weight=3)
    return p.inside(f"for j in range(i, {size}, {threads}):", flow)


def start(p: Program) -> None:
    """Names whose values differ from thread to thread, of the types that the kernel works on."""
    for dtype in p.palette:
        text = load(p, dtype, Level.THREAD, 0) if p.choices.chance(75) else None
        if text is not None:
            p.emit(f"{p.bring(dtype, Level.THREAD).text} = {text}")


def finish(p: Program) -> None:
    """What the names in scope hold goes out, so that a wrong value shows."""
    names = [n for n in p.names if n.writable][-6:]
    if not names:
        return
    guard = nullcontext() if p.flow.own else p.inside(f"if {p.guard}:", replace(p.flow, own=True))
    with guard:
        for name in names:
            array = p.output(name.dtype, p.choices.pick(tuple(LAYOUTS)))
            p.emit(f"{array.text}[{array.own}] = {name.text}")
