"""All that is settled about a kernel before it is written.

In: an analysed kernel. Out: a Plan: its items, the homes of its names, and what must be remembered
from one leaf to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kernelkit.analysis.pipeline import Analysis
from kernelkit.analysis.webs import Web
from kernelkit.ir.nodes import ArrayVar, Return, walk
from kernelkit_cpu.homes import Home, Touched, Uses, find_homes
from kernelkit_cpu.items import Items, Leaf, Vectors, on_vectors, split
from kernelkit_cpu.jumps import Jumps, Target


class Plan(NamedTuple):
    """`crossing`: local arrays used in more than one leaf. `divergent_targets`: what threads leave
    for out of leaves. `remembers_returns`: whether a later leaf must know which threads have
    returned. `last`: the leaf at the end of the kernel, if it ends with one."""

    items: Items
    homes: Mapping[Web, Home]
    touched: Mapping[Vectors, Touched]
    crossing: frozenset[ArrayVar]
    divergent_targets: tuple[Target, ...]
    has_return: bool
    remembers_returns: bool
    last: Leaf | None


def make_plan(analysis: Analysis, jumps: Jumps) -> Plan:
    items = split(analysis, jumps)
    uses = Uses(analysis, items)
    last = items[-1] if items and isinstance(items[-1], Leaf) else None
    within = set(walk(last.body)) if last else set()
    returns = [s for s in walk(analysis.kernel.body) if isinstance(s, Return)]
    leaves = [each for each in on_vectors(items) if isinstance(each, Leaf)]
    escapes = (t for leaf in leaves for s in leaf.body for t in jumps.escapes[s])
    return Plan(
        items=items,
        homes=find_homes(analysis, uses),
        touched=uses.touched,
        crossing=frozenset(array for array, users in uses.arrays.items() if len(users) > 1),
        divergent_targets=tuple(dict.fromkeys(t for t in escapes if t is not None)),
        has_return=bool(returns),
        remembers_returns=any(s not in within for s in returns),
        last=last,
    )
