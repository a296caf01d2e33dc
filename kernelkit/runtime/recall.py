"""Kernels that an earlier process compiled, found again without being parsed.

In: a function, the types of its arguments, settings, block and place. Out: a Recalled, which loads
what the disk cache has, and keeps what is compiled anew.
Holds: an entry is used only where the function, all that it depends on, kernelkit itself, the back
end and the processor are what they were; what was refused when it was compiled has no entry.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kernelkit.frontend.arguments import ArgType, ScalarArg, StaticArg
from kernelkit.ir.types import ArrayType
from kernelkit.registry import Place
from kernelkit.runtime import disk_cache
from kernelkit.runtime.configuration import Dim3
from kernelkit.runtime.fingerprint import Held, fingerprint, value_text
from kernelkit.runtime.settings import Settings
from kernelkit.version import __version__

if TYPE_CHECKING:
    from kernelkit.backend import Binary, Executable


class Summary(NamedTuple):
    """What a launch must know of a kernel besides its code: how many parameters there are, which of
    them it writes, and the bytes of its shared arrays."""

    parameters: int
    written: tuple[int, ...]
    static_bytes: int


class Recalled:
    """The entries of one specialisation."""

    def __init__(self, place: Place, fields: tuple[str, ...], captures: tuple[Held, ...]) -> None:
        self._place, self._fields = place, fields
        self.captures = captures

    def find(self, noalias: bool) -> tuple[Summary, Executable] | None:
        """What an earlier process left; None where there is nothing."""
        from kernelkit.backend import Binary

        found = disk_cache.current().find(*self._fields, str(noalias))
        if found is None:
            return None
        stored = json.loads(found[0])
        parameters, written, static_bytes = stored["summary"]
        disk_cache.attach(self._place.backend)
        binary = Binary(found[1], stored["metadata"])
        executable = self._place.backend.load(binary, self._place.device)
        return Summary(parameters, tuple(written), static_bytes), executable

    def keep(self, noalias: bool, summary: Summary, binary: Binary) -> None:
        """Leave it for later processes."""
        stored = json.dumps({"summary": summary, "metadata": dict(binary.metadata)})
        disk_cache.current().keep((*self._fields, str(noalias)), stored, binary.data)


def recall(
    fn: Callable[..., Any],
    types: Mapping[str, ArgType],
    settings: Settings,
    place: Place,
    block: Dim3,
) -> Recalled | None:
    """Where the entries of a specialisation would be; None for one that cannot have any."""
    backend, target = place.backend, place.device.target
    if not getattr(backend, "cached", False) or not disk_cache.current().folder:
        return None
    texts = [_type_text(each) for each in types.values()]
    if None in texts:
        return None
    found = fingerprint(fn)
    if found is None:
        return None
    fields = (
        "recall", __version__, _code(), _code_of(backend), disk_cache.maker(backend),
        target.name, target.features, found.text, str(tuple(types)), "\0".join(map(str, texts)),
        str(settings), str(block),
    )  # fmt: skip
    return Recalled(place, fields, found.captures)


def _type_text(kind: ArgType) -> str | None:
    """An argument's type, the same for the same type in every process."""
    if isinstance(kind, ArrayType | ScalarArg):
        return repr(kind)
    if isinstance(kind, StaticArg):
        return value_text(kind.value)
    if kind.cls is not None:
        return None
    inner = [_type_text(item) for item in kind.items]
    return None if None in inner else f"({', '.join(map(str, inner))})"


# ---------------------------------------------------------------- which kernelkit
@functools.cache
def _code() -> str:
    return _state(Path(__file__).parents[1])


@functools.cache
def _code_of(backend: object) -> str:
    """The same for a back end's package."""
    import sys

    module = sys.modules.get(type(backend).__module__)
    file = getattr(module, "__file__", None)
    return "" if file is None else _state(Path(file).parent)


def _state(folder: Path) -> str:
    """Which files of code a folder holds: their names, sizes and times."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f != "__pycache__")
        for name in sorted(files):
            if name.endswith(".py"):
                seen = os.stat(os.path.join(root, name))
                found.append(f"{name} {seen.st_size} {seen.st_mtime_ns}")
    return "\n".join(found)
