"""Many printed kernels in one program, since a program has a price of its own to compile.

In: recorded kernels, an architecture. Out: their resources, by kernel and text.
Holds: each kernel is in a namespace of its own; where a program is refused, its kernels are compiled
one by one, so that the error is that of the one which is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kernelkit.backend import Artifact
from kernelkit_cuda import nvrtc, options
from kernelkit_cuda.nvrtc import NvrtcError
from kernelkit_cuda.resources import Resources, parse

Recorded = dict[str, Any]

#: Kernels of one program.
TOGETHER = 40


def artifact(recorded: Recorded) -> Artifact:
    return Artifact(recorded["text"], recorded["metadata"])


def program(kernels: Sequence[Recorded]) -> str:
    parts = []
    for number, kernel in enumerate(kernels):
        text = re.sub(r"^#line.*\n", "", kernel["text"], flags=re.MULTILINE)
        name = kernel["metadata"]["name"]
        text = re.sub(rf"\b{name}\b(?=\()", f"{name}_{number}", text)
        parts.append(f"namespace n{number} {{\n{text}\n}}\n")
    return "".join(parts)


def compiled(kernels: Sequence[Recorded], arch: str) -> Iterator[tuple[Recorded, Resources]]:
    """Each kernel with what it takes; an NvrtcError if one is wrong."""
    groups: dict[tuple[str, ...], list[Recorded]] = {}
    for kernel in kernels:
        groups.setdefault(options(artifact(kernel)), []).append(kernel)
    for wanted, members in groups.items():
        for first in range(0, len(members), TOGETHER):
            yield from _together(members[first : first + TOGETHER], arch, wanted)


def _together(
    kernels: Sequence[Recorded], arch: str, wanted: tuple[str, ...]
) -> Iterator[tuple[Recorded, Resources]]:
    every = (*wanted, "--ptxas-options=-v")
    try:
        _, log = nvrtc.compile(program(kernels), "kernels.cu", arch, every)
    except NvrtcError as error:
        for kernel in kernels:
            try:
                nvrtc.compile(kernel["text"], f"{kernel['kernel']}.cu", arch, every)
            except NvrtcError as own:
                raise NvrtcError(f"{own}\n\n{kernel['text']}") from None
        raise NvrtcError(f"each kernel compiles, but not all together: {error}") from None
    found = parse(log)
    for number, kernel in enumerate(kernels):
        yield kernel, found[f"{kernel['metadata']['name']}_{number}"]
