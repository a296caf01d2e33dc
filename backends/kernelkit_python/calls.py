"""How users write barriers and warp operations, for messages."""

from __future__ import annotations

from typing import Final

_CALLS: Final = {
    ("barrier", "sync"): "syncthreads",
    ("barrier", "count"): "syncthreads_count",
    ("barrier", "and"): "syncthreads_and",
    ("barrier", "or"): "syncthreads_or",
    ("warp", "sync"): "syncwarp",
    ("warp", "activemask"): "activemask",
}


def call_name(kind: str, operation: str) -> str:
    """How users write a barrier or warp operation."""
    return _CALLS.get((kind, operation), f"{operation}_sync")
