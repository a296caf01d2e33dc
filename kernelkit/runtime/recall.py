"""Kernels that an earlier process compiled, found again without being parsed.

In: a function, the types of its arguments, settings, block and place. Out: a Recalled, which loads
what the disk cache has, and keeps what is compiled anew.
Holds: an entry is used only where the function, all that it depends on, Python, NumPy, kernelkit
itself, the back end and the processor are what they were; what was refused when it was compiled has
no entry.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kernelkit.frontend.arguments import ArgType, ScalarArg, StaticArg
from kernelkit.frontend.captures import Capture
from kernelkit.ir.types import ArrayType
from kernelkit.registry import Place
from kernelkit.runtime import disk_cache, fingerprint
from kernelkit.runtime.configuration import Dim3
from kernelkit.runtime.fingerprint import Fingerprint
from kernelkit.runtime.settings import Settings

if TYPE_CHECKING:
    from kernelkit.backend import Binary, Executable, Target


class Summary(NamedTuple):
    """What a launch must know of a kernel besides its code: how many parameters there are, which of
    them it writes, and the bytes of its shared arrays."""

    parameters: int
    written: tuple[int, ...]
    static_bytes: int


class Recalled:
    """The entries of one specialisation."""

    def __init__(
        self, place: Place, fields: tuple[str, ...], captures: tuple[Capture, ...]
    ) -> None:
        self._place, self._fields = place, fields
        self.captures = captures

    def find(self, variant: int) -> tuple[Summary, Executable] | None:
        """What an earlier process left; None where there is nothing."""
        from kernelkit.backend import Binary

        found = disk_cache.current().find(*self._fields, str(variant))
        if found is None:
            return None
        stored = json.loads(found[0])
        parameters, written, static_bytes = stored["summary"]
        disk_cache.attach(self._place.backend)
        binary = Binary(found[1], stored["metadata"])
        executable = self._place.backend.load(binary, self._place.device)
        return Summary(parameters, tuple(written), static_bytes), executable

    def keep(self, variant: int, summary: Summary, binary: Binary) -> None:
        """Leave it for later processes."""
        if not all(capture.unchanged() for capture in self.captures):
            return  # changed by another thread while it was compiled
        try:
            stored = json.dumps({"summary": summary, "metadata": dict(binary.metadata)})
        except (TypeError, ValueError):
            return  # more than JSON can say
        disk_cache.current().keep((*self._fields, str(variant)), stored, binary.data)


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
    ours, theirs = _state("kernelkit"), _state(type(backend).__module__.partition(".")[0])
    kernel = fingerprint.of_function(fn)
    arguments = [_of_type(each) for each in types.values()]
    if not ours or not theirs or kernel is None or None in arguments:
        return None
    known = [kernel, *(each for each in arguments if each is not None)]
    fields = (
        sys.version, np.__version__, ours, theirs, disk_cache.maker(backend), *_describe(target),
        str(tuple(types)), *(each.text for each in known), str(settings), str(block),
    )  # fmt: skip
    return Recalled(place, fields, tuple(c for each in known for c in each.captures))


def _of_type(kind: ArgType) -> Fingerprint | None:
    """An argument's type: its text is the same for the same type in every process."""
    if isinstance(kind, ArrayType | ScalarArg):
        return Fingerprint(repr(kind), ())
    if isinstance(kind, StaticArg):
        return fingerprint.of_value(kind.value)
    items = [_of_type(item) for item in kind.items]
    cls = fingerprint.of_value(kind.cls)
    known = [each for each in (cls, *items) if each is not None]
    if len(known) <= len(items):
        return None
    texts = repr([each.text for each in known])
    return Fingerprint(texts, tuple(c for each in known for c in each.captures))


def _describe(target: Target) -> tuple[str, ...]:
    """A target; its sets in an order that is the same in every process."""
    can = target.capabilities
    limits = [getattr(can, name) for name in can.__dataclass_fields__]
    texts = [str(sorted(x) if isinstance(x, frozenset) else x) for x in limits]
    return target.name, target.features, str(texts)


@functools.cache
def _state(package: str) -> str:
    """Which code a package is: where it lies, and the names, sizes and times of its files. "" where
    that cannot be seen, as inside an archive."""
    module = sys.modules.get(package)
    found: list[str] = []
    for root in getattr(module, "__path__", ()):
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(each for each in folders if each != "__pycache__")
            found += (os.path.join(folder, each) for each in sorted(files) if each.endswith(".py"))
    file = getattr(module, "__file__", None)
    if not hasattr(module, "__path__") and file:
        found.append(file)
    return "\n".join(map(_seen, found))


def _seen(file: str) -> str:
    try:
        seen = os.stat(file)
    except OSError:  # a link to nowhere, such as an editor's lock
        return file
    return f"{file} {seen.st_size} {seen.st_mtime_ns}"
