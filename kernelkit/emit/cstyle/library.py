"""The functions of C that a printed kernel calls: only those that it uses, each after what it needs.

In: names with their texts. Out: one text, for the head of the translation unit.
Holds: a name stands for one text; it is written once, after everything that was asked for before it.
"""

from __future__ import annotations

from collections.abc import Callable


class Library:
    """What one translation unit needs."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def define(self, name: str, text: str | Callable[[], str]) -> str:
        """Ask for a function (or type, or constant); gives its name. A callable makes the text the
        first time, and may ask for what that needs."""
        if name not in self._texts:
            made = text if isinstance(text, str) else text()
            self._texts[name] = made.strip("\n")
        return name

    def text(self) -> str:
        return "".join(f"{text}\n" for text in self._texts.values())
