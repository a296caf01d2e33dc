"""Random valid kernels without races, for holding back ends against one another.

In: a seed, or hypothesis. Out: GeneratedKernel, the text of a module with a kernel, its device
functions, its arguments and its launch; it runs as it stands when pasted into a file.
Holds: equal seeds and profiles give equal kernels; what a kernel writes depends on neither the
order of blocks nor that of threads, bit for bit.
"""

from __future__ import annotations

import hashlib
import linecache
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from kernelkit.ir.types import DTYPES, DType
from kernelkit.testing.generator_choices import Choices, Drawn, Seeded
from kernelkit.testing.generator_functions import PUT, functions
from kernelkit.testing.generator_launch import (
    draw_launch,
    exchanged_arrays,
    finish,
    place,
    rest,
    start,
)
from kernelkit.testing.generator_program import Dim, Profile, Program
from kernelkit.testing.generator_sharing import tables
from kernelkit.testing.generator_statements import body

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["GeneratedKernel", "Profile", "generate", "kernels", "module_text"]

#: Files whose source linecache holds; the oldest go, so that many thousands fit in memory.
_KEPT: Final[deque[str]] = deque()
_KEEP: Final = 2000


@dataclass(frozen=True)
class GeneratedKernel:
    """A module's text, and how its `kernel` is launched."""

    source: str
    grid: Dim
    block: Dim
    shared_bytes: int

    def __repr__(self) -> str:
        return f"GeneratedKernel:\n{self.source}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # What hypothesis and IPython ask for.

    @property
    def file(self) -> str:
        """The file name in spans and tracebacks; equal sources have equal ones."""
        return f"<generated {hashlib.sha1(self.source.encode()).hexdigest()[:12]}>"

    def module(self) -> ModuleType:
        """A new module from the text, whose source inspect finds."""
        module = ModuleType(f"generated_{self.file[-13:-1]}")
        module.__file__ = self.file
        lines = self.source.splitlines(keepends=True)
        linecache.cache[self.file] = (len(self.source), None, lines, self.file)
        _KEPT.append(self.file)
        if len(_KEPT) > _KEEP:
            linecache.cache.pop(_KEPT.popleft(), None)
        exec(compile(self.source, self.file, "exec"), module.__dict__)
        return module

    def run(self, module: ModuleType | None = None) -> tuple[Any, ...]:
        """Launches it on the back end in use; its arguments, afterwards."""
        found = module or self.module()
        args: tuple[Any, ...] = found.arguments()
        found.kernel[self.grid, self.block, None, self.shared_bytes](*args)
        return args


def generate(seed: int, profile: Profile | None = None) -> GeneratedKernel:
    """The kernel of that seed."""
    return _write(Seeded(seed), profile or Profile())


def kernels(profile: Profile | None = None) -> SearchStrategy[GeneratedKernel]:
    """Kernels for hypothesis to draw and to shrink."""
    from hypothesis import strategies as st

    return st.composite(lambda draw: _write(Drawn(draw), profile or Profile()))()


def _write(choices: Choices, profile: Profile) -> GeneratedKernel:
    launch, axes = draw_launch(choices, profile)
    p = Program(choices, profile, launch, _palette(choices, profile))
    helpers = functions(p)
    p.tables = tables(p)
    place(p, axes)
    exchanged_arrays(p)
    with rest(p):
        start(p)
        body(p)
        finish(p)
    how = (launch.grid, launch.block, launch.dynamic_bytes)
    lines = "\n".join(p.lines)
    text = module_text(
        [*([PUT] if "    put(" in lines else []), *helpers],
        p.parameters,
        p.lines,
        how,
        p.constants,
    )
    return GeneratedKernel(text, *how)


def _palette(choices: Choices, profile: Profile) -> tuple[DType, ...]:
    """Two to four types that the kernel works on; few, so that they meet."""
    names: list[str] = []
    while len(names) < 2 or (len(names) < 4 and choices.chance(50)):
        left = [n for n in profile.dtypes if n not in names]
        if not left:
            break
        names.append(choices.pick(left))
    return tuple(DTYPES[n] for n in names)


def module_text(
    functions: Sequence[str],
    parameters: Sequence[tuple[str, str]],
    lines: Sequence[str],
    launch: tuple[Dim, Dim, int],
    constants: Sequence[str] = (),
) -> str:
    """The whole text: imports, constants, functions, kernel, arguments, launch (grid, block, bytes of
    shared memory). A parameter is the text in the signature, and the text that makes the argument."""
    parts = [_HEAD, "\n".join(constants), *functions]
    names = ", ".join(name for name, _ in parameters)
    body = "\n".join(lines)
    parts.append(f"@kk.kernel(reproducible=True)\ndef kernel({names}):\n{body}\n")
    values = "".join(f"        {make},\n" for _, make in parameters)
    parts.append(f"def arguments():\n    return (\n{values}    )\n")
    grid, block, shared_bytes = launch
    parts.append(_TAIL.format(launch=f"{grid}, {block}, None, {shared_bytes}"))
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


_HEAD: Final = """\
import math

import numpy as np

import kernelkit as kk
from kernelkit.testing.generator_arguments import array
"""
_TAIL: Final = """\
if __name__ == "__main__":
    args = arguments()
    kernel[{launch}](*args)
    print(*args, sep="\\n")
"""
