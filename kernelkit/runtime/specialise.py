"""Every version of one kernel that was compiled, and how to get the next.

In: argument types, settings, block and place. Out: Specialisations, which hold executables.
Holds: a hit takes no lock; a compilation runs once, whoever asks; one that fails leaves nothing
behind; a global that changed since is noticed at the next launch.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import registry
from kernelkit.errors import InternalError, ReadOnlyError
from kernelkit.registry import Place
from kernelkit.runtime.configuration import Dim3, too_much_shared
from kernelkit.runtime.foreign import ForeignArray
from kernelkit.runtime.overlap import apart, written_pairs
from kernelkit.runtime.recall import Recalled, Summary, recall
from kernelkit.runtime.settings import Settings
from kernelkit.runtime.variants import NOALIAS, SMALL, are_small

if TYPE_CHECKING:
    from kernelkit.backend import Executable
    from kernelkit.frontend.arguments import ArgType
    from kernelkit.frontend.captures import Capture
    from kernelkit.runtime.arguments import Reading
    from kernelkit.runtime.build import Analysed
    from kernelkit.runtime.warm import Warm

#: Versions kept of one specialisation for different values of captured globals.
SIBLINGS = 8
#: Specialisations kept of one kernel for one block and place; the oldest goes first.
SPECIALISATIONS = 256

Key = tuple[Hashable, ...]
Table = dict[Key, "Specialisation"]


class Specialisation:
    """A kernel for certain argument types, a block and a place."""

    __slots__ = (
        "_analyse", "_narrow", "_place", "_ready", "_recalled", "_summary", "captures", "limit",
        "pairs", "siblings", "static_bytes", "written",
    )  # fmt: skip

    def __init__(
        self,
        summary: Summary,
        captures: Sequence[Capture],
        leaves: Sequence[Any],
        place: Place,
        analyse: Callable[[], Analysed],
        recalled: Recalled | None = None,
    ) -> None:
        if summary.parameters != len(leaves):
            raise InternalError(
                f"a kernel has {summary.parameters} parameters for {len(leaves)} arguments"
            )
        arrays = [i for i, x in enumerate(leaves) if isinstance(x, (np.ndarray, ForeignArray))]
        self._place, self._analyse, self._recalled = place, analyse, recalled
        self._narrow = is_narrow(place)
        #: Variant -> what runs it.
        self._ready: dict[int, Executable] = {}
        self._summary = summary
        self.captures = captures
        self.written = summary.written
        self.pairs = written_pairs(arrays, self.written)
        self.static_bytes = summary.static_bytes
        #: Dynamic shared memory that is left.
        self.limit = place.device.target.capabilities.shared_bytes - self.static_bytes
        self.siblings: list[Specialisation] = [self]

    def unchanged(self) -> bool:
        """Whether what the kernel took from outside is still what it was."""
        try:
            for capture in self.captures:
                if capture.current() is not capture.value and not capture.unchanged():
                    return False
        except Exception:
            return False  # it is not there any more
        return True

    def check(self, reading: Reading, shared_bytes: int) -> None:
        """Refuse arguments and sizes that only the analysis can judge."""
        if shared_bytes > self.limit:
            raise self.too_much_shared(reading.kernel, shared_bytes)
        for leaf in self.written:
            if _is_readonly(reading.leaves[leaf]):
                label = reading.labels[leaf]
                raise ReadOnlyError(
                    f"{reading.kernel} writes {label!r}, which is a read-only array; pass one that "
                    f"may be written, such as {label}.copy()"
                )

    def too_much_shared(self, kernel: str, shared_bytes: int) -> Exception:
        device = self._place.device
        return too_much_shared(
            kernel, self.static_bytes, shared_bytes, device.target.capabilities, device.name
        )

    def find(self, leaves: Sequence[Any]) -> Executable | None:
        """The executable for these arrays of the host, if it was compiled before."""
        pairs = self.pairs
        return self._ready.get(not pairs or apart(leaves, pairs))  # True is NOALIAS

    def variant(self, leaves: Sequence[Any], small_grid: bool) -> int:
        """What a launch of these arguments promises."""
        variant = NOALIAS if apart(leaves, self.pairs) else 0
        return variant | SMALL if self._narrow and small_grid and are_small(leaves) else variant

    def analysed(self, variant: int) -> Analysed:
        """The analysis that holds for a variant."""
        return self._analyse().promised(bool(variant & NOALIAS), bool(variant & SMALL))

    def ready(self, variant: int, executable: Executable) -> None:
        """Take over an executable that is there already."""
        self._ready[variant] = executable

    def found(self, variant: int) -> Executable | None:
        """The executable of a variant, if it was compiled before."""
        return self._ready.get(variant)

    def compile(self, variant: int) -> Executable:
        """The executable of a variant, compiled if need be. The caller holds the lock."""
        if variant not in self._ready:
            self._ready[variant] = self._kept(variant) or self._made(variant)
        return self._ready[variant]

    def _kept(self, variant: int) -> Executable | None:
        found = None if self._recalled is None else self._recalled.find(variant)
        return None if found is None else found[1]

    def _made(self, variant: int) -> Executable:
        analysed = self.analysed(variant)
        binary = analysed.binary()
        executable = analysed.load(binary)
        if self._recalled is not None:
            self._recalled.keep(variant, self._summary, binary)
        return executable


def is_narrow(place: Place) -> bool:
    """Whether a back end has code of its own for small launches."""
    return bool(getattr(place.backend, "narrow", False))


def _is_readonly(leaf: Any) -> bool:
    return leaf.readonly if isinstance(leaf, ForeignArray) else not leaf.flags.writeable


class Specialiser:
    """All specialisations of one kernel."""

    def __init__(self, fn: Callable[..., Any], settings: Settings) -> None:
        self._fn = fn
        self.settings = settings
        self._lock = threading.RLock()
        self._tables: dict[tuple[Place, Dim3], Table] = {}
        #: Grid, block and the like -> the last launch, if it was one on a device.
        self._warm: dict[Key, Warm] = {}
        _specialisers.add(self)

    def unlock(self) -> None:
        """In a forked child: whoever compiled while the parent forked is not there."""
        self._lock = threading.RLock()

    def table(self, place: Place, block: Dim3) -> Table:
        """Key of the arguments -> the specialisation in use, for one place and block."""
        found = self._tables.get((place, block))
        if found is None:
            with self._lock:
                found = self._tables.setdefault((place, block), {})
                _trim(self._tables)
        return found

    def last(self, launch: Key) -> Warm | None:
        """The last launch with the same grid and block, through whatever brackets."""
        return self._warm.get((registry.generation, *launch)) if self._warm else None

    def keep_last(self, launch: Key, warm: Warm) -> None:
        if len(self._warm) > SPECIALISATIONS:
            self._warm.clear()
        self._warm[registry.generation, *launch] = warm

    def specialise(
        self, place: Place, block: Dim3, reading: Reading, shared_bytes: int, small_grid: bool
    ) -> tuple[Specialisation, Executable]:
        """Find or compile what runs these arguments; they are checked before it is compiled."""
        table = self.table(place, block)
        with self._lock:
            found = self._version(table.get(reading.key))
            made = found or self._new(place, block, reading)
            made.check(reading, shared_bytes)
            executable = made.compile(made.variant(reading.leaves, small_grid))
            if found is None:
                _remember(table, reading.key, made)
            table[reading.key] = made
            _trim(table)
        return made, executable

    def analyse(self, place: Place, block: Dim3, reading: Reading) -> Specialisation:
        """A specialisation that is neither compiled nor kept, in memory or on disk."""
        return self._analysed(place, block, reading, None)

    def _new(self, place: Place, block: Dim3, reading: Reading) -> Specialisation:
        """A specialisation, as an earlier process left it or from the beginning."""
        recalled = recall(self._fn, reading.types, self.settings, place, block)
        if recalled is None:
            return self._analysed(place, block, reading, None)
        narrow = (NOALIAS | SMALL, SMALL) if is_narrow(place) else ()
        for variant in (*narrow, NOALIAS, 0):
            found = recalled.find(variant)
            if found is not None:
                summary, executable = found
                analyse = functools.cache(
                    functools.partial(self._build, place, block, reading.types)
                )
                made = Specialisation(
                    summary, recalled.captures, reading.leaves, place, analyse, recalled
                )
                made.ready(variant, executable)
                return made
        return self._analysed(place, block, reading, recalled)

    def _analysed(
        self, place: Place, block: Dim3, reading: Reading, recalled: Recalled | None
    ) -> Specialisation:
        analysed = self._build(place, block, reading.types)
        params, memory = analysed.kernel.params, analysed.analysis.memory
        written = tuple(i for i, p in enumerate(params) if p.name in memory.written)
        summary = Summary(len(params), written, memory.static_shared_bytes)
        return Specialisation(
            summary, analysed.captures, reading.leaves, place, lambda: analysed, recalled
        )

    def _build(self, place: Place, block: Dim3, types: Mapping[str, ArgType]) -> Analysed:
        # The rooms are imported when the first kernel is compiled: `import kernelkit` stays light.
        from kernelkit.runtime.build import build

        return build(self._fn, types, self.settings, place, block)

    def _version(self, latest: Specialisation | None) -> Specialisation | None:
        """The version whose captures still hold."""
        siblings = [] if latest is None else latest.siblings
        return next((s for s in siblings if s.unchanged()), None)


def _remember(table: Table, key: Key, made: Specialisation) -> None:
    latest = table.get(key)
    if latest is not None:
        made.siblings = [made, *latest.siblings[: SIBLINGS - 1]]
        for sibling in made.siblings:
            sibling.siblings = made.siblings


def _trim(table: dict[Any, Any]) -> None:
    while len(table) > SPECIALISATIONS:
        del table[next(iter(table))]


_specialisers: weakref.WeakSet[Specialiser] = weakref.WeakSet()


def _after_fork() -> None:
    for each in _specialisers:
        each.unlock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
