"""The identifiers of a printed kernel.

In: the names of symbols. Out: identifiers of C, each for one symbol.
Holds: what users named starts with v_ (variables) or a_ (arrays), what we do with kk_; none clashes
with a word of the language.
"""

from __future__ import annotations

import re

from kernelkit.ir import nodes as ir


class Names:
    """Identifiers by symbol, made when asked for."""

    def __init__(self) -> None:
        self._known: dict[ir.Symbol, str] = {}
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def of(self, symbol: ir.Symbol) -> str:
        """The identifier of a variable or an array."""
        found = self._known.get(symbol)
        if found is None:
            prefix = "v" if isinstance(symbol, ir.Var) else "a"
            found = self._known[symbol] = self._free(f"{prefix}_{plain(symbol.name)}")
        return found

    def new(self, stem: str) -> str:
        """An identifier of our own: kk_stem0, kk_stem1, ..."""
        number = self._counts[stem] = self._counts.get(stem, -1) + 1
        return f"kk_{stem}{number}"

    def _free(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name


def plain(name: str) -> str:
    """A name with nothing but ASCII letters, digits and underscores, none of them doubled."""
    return re.sub(r"_+", "_", re.sub(r"[^0-9A-Za-z]", "_", name)).strip("_") or "x"
