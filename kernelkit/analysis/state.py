"""What names hold and what is known, at a place in a kernel.

In: states where ways part. Out: the state where they come together.
Holds: a name without a value is read as zero; one that is neither integer nor bool holds None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kernelkit.analysis.affine import Affine, constant
from kernelkit.analysis.conditions import Condition
from kernelkit.analysis.facts import Facts
from kernelkit.analysis.facts import joined as joined_facts
from kernelkit.analysis.integers import Integers
from kernelkit.ir.nodes import Var
from kernelkit.ir.types import BOOL

#: A sum for an integer, a condition for a bool, None for the rest.
Value = Affine | Condition


class State:
    """The values of names, and facts. Walking over a statement changes it."""

    __slots__ = ("facts", "names")

    def __init__(self, names: dict[Var, Value], facts: Facts) -> None:
        self.names, self.facts = names, facts

    def copy(self) -> State:
        return State(self.names.copy(), self.facts.copy())

    def __getitem__(self, var: Var) -> Value:
        if var in self.names or var.type.kind not in "biu":
            return self.names.get(var)
        return False if var.type == BOOL else constant(0)


def joined(states: Iterable[State | None], integers: Integers, born: int) -> State | None:
    """What holds behind all of several ways, of which some (None) are never taken. Atoms with
    numbers up to `born` were there before the ways parted."""
    reached = [s for s in states if s is not None]
    if len(reached) < 2:
        return reached[0] if reached else None
    names = {v: None for s in reached for v in s.names}
    return State(
        {var: _value(var, reached, integers) for var in names},
        joined_facts([s.facts for s in reached], born),
    )


def _value(var: Var, states: Sequence[State], integers: Integers) -> Value:
    values = [s[var] for s in states]
    first = values[0]
    if all(v is first or v == first for v in values):
        return first
    if not var.type.is_integer:
        return None
    return integers.joined(
        (v, s.facts) for v, s in zip(values, states, strict=True) if isinstance(v, Affine)
    )
