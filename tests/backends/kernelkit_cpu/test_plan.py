"""What is done for the block and what by its vectors, and where names live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit import local, shared, syncthreads
from kernelkit.analysis.pipeline import Analysis
from kernelkit.ir.nodes import ArrayVar, Assign, For, If, Store, While
from kernelkit_cpu.homes import Home
from kernelkit_cpu.items import BlockBarrier, BlockIf, BlockJump, BlockLoop, BlockScope, Items, Leaf
from kernelkit_cpu.jumps import find_jumps
from kernelkit_cpu.plan import Plan, make_plan

BLOCK = (40, 1, 1)


@pytest.fixture
def planned(analysed: Callable[..., Analysis]) -> Callable[..., Plan]:
    """planned(kernel, *args): for a block of five vectors."""

    def run(kernel: Any, *args: Any, block: tuple[int, int, int] = BLOCK) -> Plan:
        analysis = analysed(kernel, block, *args)
        return make_plan(analysis, find_jumps(analysis.kernel, analysis.variability))

    return run


def outline(items: Items) -> list[Any]:
    """The kinds of items, what is inside of them in lists."""
    found: list[Any] = []
    for item in items:
        found.append(type(item).__name__.removeprefix("Block"))
        match item:
            case BlockIf():
                found.append([outline(item.then), outline(item.orelse)])
            case BlockLoop():
                inner = [outline(item.prelude)] if isinstance(item.stmt, While) else []
                found.append([*inner, outline(item.body)])
            case BlockScope():
                found.append(outline(item.body))
    return found


def homes(plan: Plan, name: str) -> list[str]:
    """Of the webs of a name, in the order of the kernel."""
    return [home.value for web, home in plan.homes.items() if web.var.name == name]


NUMBERS = np.zeros(40, np.int64)


# ---------------------------------------------------------------- items
@kk.kernel
def no_barrier(src, out, n):
    i = kk.threadIdx.x
    for k in range(n):
        if src[k] > 0:
            out[i] += k
            break
    if i > 3:
        return
    out[i] = 1


def test_a_kernel_without_barriers_is_one_leaf(planned: Callable[..., Plan]) -> None:
    plan = planned(no_barrier, NUMBERS, NUMBERS.copy(), 3)
    assert outline(plan.items) == ["Leaf"]
    assert plan.last is plan.items[0]
    assert plan.has_return
    assert not plan.remembers_returns
    assert plan.divergent_targets == ()


@kk.kernel
def barriers_everywhere(src, out, n):
    i = kk.threadIdx.x
    tile = shared.array(40, np.int64)
    tile[i] = src[i]
    syncthreads()
    if n > 3:
        out[i] = tile[39 - i]
        syncthreads()
        tile[i] = 2
    else:
        out[i] = 0
    for k in range(n):
        syncthreads()
        if k == 4:
            continue
        for j in range(3):
            out[i] += tile[j]
        if n > k + 3:
            break
        syncthreads()
    votes = kk.syncthreads_count(out[i] > 0)
    if i > votes:
        out[i] = 7


def test_barriers_part_a_kernel(planned: Callable[..., Plan]) -> None:
    plan = planned(barriers_everywhere, NUMBERS, NUMBERS.copy(), 3)
    loop = ["If", [["Jump"], []], "Leaf", "If", [["Jump"], []]]
    assert outline(plan.items) == [
        "Leaf", "If", [["Leaf", "Leaf"], ["Leaf"]], "Loop", [loop], "Barrier", "Leaf",
    ]  # fmt: skip
    first = plan.items[0]
    assert isinstance(first, Leaf)
    assert any(isinstance(s, Store) for s in first.body)
    assert plan.last is plan.items[-1]


@kk.device
def met(tile, i):
    tile[i] = i
    syncthreads()
    if tile[39 - i] > 2:
        return 1
    tile[i] = 4
    return tile[i]


@kk.kernel
def calls(out):
    tile = shared.array(40, np.int64)
    out[kk.threadIdx.x] = met(tile, kk.threadIdx.x)


def test_functions_that_some_leave_early(planned: Callable[..., Plan]) -> None:
    plan = planned(calls, NUMBERS.copy())
    assert ["Leaf", "Leaf"] in outline(plan.items)
    assert "Scope" in outline(plan.items)
    assert len(plan.divergent_targets) == 1
    assert not plan.has_return


@kk.kernel
def whole_block_returns(src, out, n):
    i = kk.threadIdx.x
    tile = shared.array(40, np.int64)
    tile[i] = n
    syncthreads()
    if n > 2:
        out[i] = 3
        return
    k = 0
    while k < 3:
        syncthreads()
        k += 1
    out[i] = k


def test_returns_of_a_whole_block(planned: Callable[..., Plan]) -> None:
    plan = planned(whole_block_returns, NUMBERS, NUMBERS.copy(), 3)
    assert plan.has_return
    assert plan.remembers_returns
    assert outline(plan.items)[:2] == ["Leaf", "Leaf"]
    assert outline(plan.items)[2] == "Loop"


@kk.kernel
def of_some(src, out):
    i = kk.threadIdx.x
    if src[i] > 2:
        return
    syncthreads()
    out[i] = 1


def test_returns_before_a_barrier_are_remembered(planned: Callable[..., Plan]) -> None:
    plan = planned(of_some, NUMBERS, NUMBERS.copy())
    assert outline(plan.items) == ["Leaf", "Leaf"]
    assert plan.remembers_returns


# ---------------------------------------------------------------- homes
@kk.kernel
def names(src, out, n):
    i = kk.threadIdx.x
    in_leaf = src[i] + 1
    twice_used = in_leaf * in_leaf
    changed = 0
    if twice_used > 3:
        changed = 1
    across = src[i] * 2.5
    cheap = i * 4 + n
    made_of_it = cheap - 1
    of_block = src[0] * n
    out[i] = twice_used + changed
    syncthreads()
    for k in range(n):
        out[i] += across + made_of_it + of_block
        syncthreads()
        across = across + k


def test_homes(planned: Callable[..., Plan]) -> None:
    plan = planned(names, NUMBERS, NUMBERS.copy(), 3)
    wanted = {
        "in_leaf": [Home.VALUE], "twice_used": [Home.VALUE], "changed": [Home.SLOT],
        "across": [Home.CONTEXT], "cheap": [Home.VALUE], "made_of_it": [Home.AGAIN],
        "of_block": [Home.BLOCK], "k": [Home.BLOCK], "i": [Home.AGAIN], "n": [Home.VALUE],
    }  # fmt: skip
    for name, expected in wanted.items():
        assert homes(plan, name) == [home.value for home in expected], name


def test_a_leaf_makes_again_what_it_reads_and_what_that_is_made_of(
    planned: Callable[..., Plan],
) -> None:
    plan = planned(names, NUMBERS, NUMBERS.copy(), 3)
    again = [
        [web.var.name for web in touched.again]
        for leaf, touched in plan.touched.items()
        if isinstance(leaf, Leaf)
    ]
    assert again[1] == ["i", "cheap", "made_of_it"]
    assert again[2] == []


@kk.kernel
def maybe(src, out, n):
    """Names that may be unassigned, or have several definitions."""
    i = kk.threadIdx.x
    if n > 3:
        late = i
    two = i
    if src[i] > 0:
        two = i + 1
    syncthreads()
    out[i] = late + two


def test_names_that_are_not_made_again(planned: Callable[..., Plan]) -> None:
    plan = planned(maybe, NUMBERS, NUMBERS.copy(), 3)
    assert homes(plan, "late") == ["context"]
    assert homes(plan, "two") == ["context"]


@kk.kernel
def arms(src, out):
    """A name that is assigned above all of its reads, and one that is not."""
    i = kk.threadIdx.x
    if src[i] > 0:
        inside = src[i] * 2
        if inside > 4:
            out[i] = inside
        outside = 3
    else:
        outside = src[0]
    for k in range(3):
        above = k + 1
        out[i] += above
    while i < src[i]:
        again = src[i]
        i += again
    out[i] += outside


def test_values_stand_above_their_reads(planned: Callable[..., Plan]) -> None:
    plan = planned(arms, NUMBERS, NUMBERS.copy())
    assert homes(plan, "inside") == ["value"]
    assert homes(plan, "above") == ["value"]
    assert homes(plan, "again") == ["value"]
    assert homes(plan, "outside") == ["slot"]
    assert homes(plan, "i") == ["slot"]


# ---------------------------------------------------------------- arrays
@kk.kernel
def arrays(src, out):
    i = kk.threadIdx.x
    here = local.array(2, np.int64)
    kept = local.array(3, np.int64)
    here[0] = src[i]
    kept[i % 3] = here[0]
    syncthreads()
    out[i] = kept[0]


def test_local_arrays_of_several_leaves(planned: Callable[..., Plan]) -> None:
    plan = planned(arrays, NUMBERS, NUMBERS.copy())
    crossing = {array.name for array in plan.crossing}
    assert "kept" in crossing
    assert "here" not in crossing
    assert all(isinstance(array, ArrayVar) for array in plan.crossing)


def test_every_statement_is_in_one_item(
    planned: Callable[..., Plan], analysed: Callable[..., Analysis]
) -> None:
    plan = planned(barriers_everywhere, NUMBERS, NUMBERS.copy(), 3)
    found: list[Any] = []

    def collect(items: Items) -> None:
        for item in items:
            match item:
                case Leaf():
                    found.extend(item.body)
                case BlockIf():
                    found.append(item.stmt)
                    collect(item.then)
                    collect(item.orelse)
                case BlockLoop():
                    found.append(item.stmt)
                    collect(item.prelude)
                    collect(item.body)
                case BlockBarrier() | BlockJump():
                    found.append(item.stmt)

    collect(plan.items)
    assert len(found) == len(set(found))
    assert sum(isinstance(s, For) for s in found) == 2
    assert sum(isinstance(s, If) for s in found) == 4
    assert any(isinstance(s, Assign) for s in found)
