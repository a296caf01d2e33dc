"""What the decorator of a kernel asked for."""

from __future__ import annotations

from typing import NamedTuple


class Settings(NamedTuple):
    """Part of what every specialisation of a kernel is made for."""

    reproducible: bool = False
    debug: bool = False
    wraparound: bool = True
