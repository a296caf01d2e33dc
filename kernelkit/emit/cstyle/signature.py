"""The parameters of a printed kernel: what a launch has to pass, and in which order.

In: what the text of the body uses. Out: C declarations, and for the launch a list of dicts:

    what    "pointer", "offset" (in bytes), "extent", "stride" (in bytes), "value" of an argument;
            "dynamic" (local memory), "dynamic_bytes", "record"
    type    the C type
    leaf    which of the kernel's parameters; -1 for none
    axis    of an extent or a stride, else 0
"""

from __future__ import annotations

from typing import Any

Entry = dict[str, Any]

#: In this order for each leaf.
_ORDER = ("pointer", "offset", "value", "extent", "stride", "dynamic", "dynamic_bytes", "record")


class Signature:
    """Collects what is used while the body is printed."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int, int, int], tuple[Entry, str]] = {}

    def use(self, what: str, ctype: str, name: str, leaf: int = -1, axis: int = 0) -> str:
        """Ask for a parameter; gives its name. `ctype` is what stands before the name."""
        place = leaf if leaf >= 0 else 1 << 30
        key = (place, _ORDER.index(what), axis)
        if key not in self._entries:
            plain = ctype.split("*")[0].split()[-1] if "*" not in ctype else "u64"
            entry = {"what": what, "type": plain, "leaf": leaf, "axis": axis}
            space = "" if ctype.endswith(" ") else " "
            self._entries[key] = (entry, f"{ctype}{space}{name}")
        return name

    @property
    def entries(self) -> list[Entry]:
        return [entry for _, (entry, _) in sorted(self._entries.items())]

    @property
    def declarations(self) -> list[str]:
        return [text for _, (_, text) in sorted(self._entries.items())]

    def has(self, what: str) -> bool:
        return any(entry["what"] == what for entry, _ in self._entries.values())
