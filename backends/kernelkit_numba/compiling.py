"""Printed text to PTX, by Numba, without a device. Importing this module imports Numba.

In: text, metadata, a compute capability. Out: PTX. Holds: the parameters of the PTX are those that
`launch.py` fills; a numba-cuda that passes arrays otherwise is refused here.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from cuda.core import Program, ProgramOptions
from numba import cuda
from numba.cuda import types

from kernelkit.backend import Artifact, Binary, Target
from kernelkit.errors import InternalError
from kernelkit_numba.capabilities import architecture
from kernelkit_numba.hardware import LIBRARY, NAMES
from kernelkit_numba.library import CALLED

_ENTRY: Final = re.compile(r"\.entry\s+(\S+?)\s*\(([^)]*)\)")
#: Words in which Numba passes an array: meminfo, parent, items, item size, data, then extents and
#: strides.
ARRAY_WORDS: Final = 5
#: Scalar arguments that are passed as another type: a float16 is a float32 in a kernel.
_ARGUMENTS: Final = {"bool": "boolean", "float16": "float32"}


def to_ptx(text: str, metadata: Mapping[str, Any], cc: tuple[int, int]) -> str:
    """A module with one kernel."""
    names = {"np": np, **NAMES, **{name: LIBRARY[name] for name in set(CALLED.findall(text))}}
    exec(compile(text, f"<{metadata['source']}>", "exec", dont_inherit=True), names)
    signature = tuple(map(_type, metadata["parameters"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ptx: str = cuda.compile_ptx(
            names[metadata["name"]], signature, cc=cc, launch_bounds=_threads(metadata["block"])
        )[0]
    _check(ptx, metadata["parameters"])
    return ptx


def to_binary(artifact: Artifact, target: Target) -> Binary:
    """Machine code for the target's architecture, by nvJitLink."""
    ptx = to_ptx(artifact.text, artifact.metadata, architecture(target))
    options = ProgramOptions(arch=target.name)
    cubin = Program(ptx, "ptx", options).compile("cubin")
    return Binary(bytes(cubin.code), {**artifact.metadata, "entry": entry(ptx)})


def entry(ptx: str) -> str:
    """The name of the kernel in it."""
    found = _ENTRY.search(ptx)
    if found is None:
        raise InternalError("numba-cuda made PTX without a kernel")
    return found[1]


def _threads(block: Sequence[int]) -> int:
    return block[0] * block[1] * block[2]


def _type(parameter: Mapping[str, Any]) -> Any:
    name = parameter["dtype"]
    if "ndim" not in parameter:
        return getattr(types, _ARGUMENTS.get(name, name))
    dtype = types.boolean if name == "bool" else getattr(types, name)
    return types.Array(
        dtype, parameter["ndim"], parameter["layout"], readonly=parameter["readonly"]
    )


def _check(ptx: str, parameters: Sequence[Mapping[str, Any]]) -> None:
    entry(ptx)
    found = _ENTRY.search(ptx)
    assert found is not None
    count, wanted = found[2].count(".param"), sum(map(words_of, parameters))
    if count != wanted:
        raise InternalError(
            f"this numba-cuda passes {count} words to a kernel that takes {wanted} of kernelkit's; "
            "install a version that kernelkit's extra `numba` names"
        )


def words_of(parameter: Mapping[str, Any]) -> int:
    """How many parameters of the PTX a parameter of the kernel is."""
    if "ndim" in parameter:
        return ARRAY_WORDS + 2 * int(parameter["ndim"])
    return 2 if parameter["dtype"].startswith("complex") else 1
