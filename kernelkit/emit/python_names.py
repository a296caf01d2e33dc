"""Names of printed Python: one identifier for each symbol of a kernel, the user's own where it can be.

In: the names of the IR (`x`, `clamp.1.x`, `pair.0`, `.1`). Out: identifiers, and what to call each
name in a message.
Holds: two symbols never share an identifier; no identifier is a keyword or starts with `_k_`, which
belongs to what the printed code calls.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator

from kernelkit.ir import nodes as ir

#: What printed code calls starts with this, and no variable does.
RESERVED = "_k_"

_INLINED = re.compile(r"(?:[^\W\d]\w*\.\d+\.)+(?=[^\W\d])")


def symbols(kernel: ir.Kernel) -> Iterator[ir.Symbol]:
    """Every variable and array that a kernel declares, in order, some more than once."""
    yield from kernel.params
    for stmt in ir.walk(kernel.body):
        yield from ir.targets(stmt)
        match stmt:
            case ir.View():
                yield stmt.target
            case ir.Allocate():
                yield stmt.array
            case _:
                pass


def described(name: str) -> str:
    """What a message calls a symbol: `x`, `x of clamp`, `pair[0]`."""
    inlined = _INLINED.match(name)
    own = name[inlined.end() :] if inlined else name
    if own.startswith("."):
        return "a value"
    own = re.sub(r"\.(\d+)", r"[\1]", own)
    if inlined is None:
        return own
    function = inlined.group().rstrip(".").rpartition(".")[0].rpartition(".")[2]
    return f"{own} of {function}"


class Names:
    """Symbol name -> identifier. Users' names are given out first, so that they stay as they are."""

    def __init__(self, declared: Iterable[str], taken: Iterable[str] = ()) -> None:
        self._taken = {*keyword.kwlist, *taken}
        self._identifiers: dict[str, str] = {}
        for name in sorted(dict.fromkeys(declared), key=lambda n: "." in n):
            self[name]

    def __getitem__(self, name: str) -> str:
        found = self._identifiers.get(name)
        if found is None:
            found = self._identifiers[name] = self.new(re.sub(r"\W", "_", name))
        return found

    def new(self, wish: str) -> str:
        """An identifier that nothing else has: the wish, or the wish with a number."""
        if wish.startswith(RESERVED) or not wish.isidentifier():
            wish = f"_{wish}"
        chosen, count = wish, 1
        while chosen in self._taken:
            count += 1
            chosen = f"{wish}_{count}"
        self._taken.add(chosen)
        return chosen

    def descriptions(self) -> dict[str, str]:
        """Identifier -> what a message calls it."""
        return {identifier: described(name) for name, identifier in self._identifiers.items()}
