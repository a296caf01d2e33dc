"""Programs: from a text in OpenCL C to what a device runs.

In: a text, options, a context and a device. Out: a program of pyopencl.
Holds: nothing is kept on disk by us; what a compiler says against a text of ours is an error with
the lines it speaks of.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections.abc import Collection
from typing import Any, Final

from kernelkit.errors import InternalError
from kernelkit_opencl.capabilities import FP64, ROUNDED
from kernelkit_opencl.failures import name_of
from kernelkit_opencl.scalars import WIDE_DIVISION

_LOCK: Final = threading.Lock()
_PLACE: Final = re.compile(r"(\d+):\d+:(?!\d)")


class BuildError(InternalError):
    """A compiler of OpenCL refused a text that kernelkit wrote."""


def options(features: Collection[str], processor: str = "") -> list[str]:
    """What a build is asked for, with what pyopencl's users ask for. PoCL keeps what it compiles
    under a name for the device that does not tell the processor we gave it: the definition does."""
    found = ["-w"]
    if ROUNDED in features:
        found.append("-cl-fp32-correctly-rounded-divide-sqrt")
    elif FP64 in features:
        found += WIDE_DIVISION
    if processor:
        found.append(f"-DKK_PROCESSOR={processor.replace('-', '_')}")
    return found + os.environ.get("PYOPENCL_BUILD_OPTIONS", "").split()


def build(text: str, asked: list[str], context: Any, device: Any) -> Any:
    """A program; a BuildError if it cannot be built."""
    import pyopencl as cl

    # pyopencl would keep binaries of its own on disk, add paths to headers and warn of logs.
    made = cl.Program(cl._cl._Program(context, text))
    try:
        with _LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made._get_prg().build(" ".join(asked).encode(), [device])
    except cl.Error as error:
        raise BuildError(_complaint(text, str(error), device)) from None
    return made


def _complaint(text: str, log: str, device: Any) -> str:
    lines = text.splitlines()
    numbers = sorted({int(n) for n in _PLACE.findall(log) if 0 < int(n) <= len(lines)})
    shown = "".join(f"\n{number:6}  {lines[number - 1]}" for number in numbers[:8])
    return f"the OpenCL compiler of {name_of(device)} refused a text of kernelkit's:\n{log}{shown}"
