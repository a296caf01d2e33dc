"""What the emitter found out about each source line: how it reads memory, what is masked."""

from __future__ import annotations

from dataclasses import dataclass, field

from kernelkit.errors import Span


@dataclass(slots=True)
class Notes:
    """(span, kind, what) in the order of emission."""

    found: list[tuple[Span, str, str]] = field(default_factory=list)

    def note(self, span: Span, kind: str, what: str = "") -> None:
        self.found.append((span, kind, what))
