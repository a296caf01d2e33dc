"""Finds a kernel in a file, makes arguments of the types that a command line names, and a place to
compile them for.

In: `FILE.py:KERNEL`, and texts such as `float32[:,:]`, `int64`, `0.5`. Out: the kernel, and
arguments small enough for any machine whose types are those.
Holds: every text that means nothing gives an InspectionError that says what would.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from kernelkit import registry
from kernelkit.errors import BackendError
from kernelkit.ir.types import DTYPES, from_numpy
from kernelkit.registry import Place
from kernelkit.runtime.kernel import Kernel

_TYPE = re.compile(r"(?P<dtype>[A-Za-z_]\w*)\s*(\[(?P<axes>[^\[\]]*)\])?")
_AXIS = re.compile(r":(:(?P<step>[+-]?\d+)?)?")
#: Elements along each axis of a sample.
_EXTENT = 2


class InspectionError(Exception):
    """A kernel or an argument that cannot be made out."""


# ---------------------------------------------------------------- the kernel
def find_kernel(target: str) -> Kernel:
    """The kernel that `FILE.py:KERNEL` or `package.module:KERNEL` names."""
    where, colon, name = target.rpartition(":")
    if not colon or not where or not name:
        raise InspectionError(f"{target!r} names no kernel; write FILE.py:KERNEL")
    module = _import(where)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Kernel):
        return found
    known = [n for n, value in vars(module).items() if isinstance(value, Kernel)]
    if not known:
        raise InspectionError(f"{where} has no kernels: no function is decorated with @kk.kernel")
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}"
    raise InspectionError(f"{where} has no kernel {name!r}; {hint}")


def _import(where: str) -> ModuleType:
    path = Path(where)
    try:
        if path.suffix == ".py" or path.exists():
            return _import_file(path)
        return importlib.import_module(where)
    except InspectionError:
        raise
    except (Exception, SystemExit) as error:  # a module may raise anything while it is imported
        raise InspectionError(
            f"{where} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InspectionError(f"{path}: there is no such file")
    # A name of its own: a file called numpy.py must not take NumPy's place.
    spec = importlib.util.spec_from_file_location(f"kernelkit_inspected_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InspectionError(f"{path}: this is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # It may import what lies beside it; nothing else may, later.
    kept = list(sys.path)
    sys.path.insert(0, str(path.absolute().parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = kept
    return module


# ---------------------------------------------------------------- where it is compiled for
#: Whose kernels have registers and spills to look at.
COMPILER = "cuda"


def compiling_place(backend: str | None, arch: str) -> Place:
    """Where a kernel is compiled for: an architecture; for "", a device of the back end or, where
    there is none, what the back end thinks best."""
    name = backend or COMPILER
    if not arch:
        try:
            return registry.place(name)
        except BackendError:
            pass
    return registry.offline(name, arch)


# ---------------------------------------------------------------- arguments
def sample_argument(text: str) -> Any:
    """An argument of the type, or with the value, that the text names."""
    try:
        return _checked(ast.literal_eval(text.strip()), text)
    except (ValueError, SyntaxError):
        pass
    match = _TYPE.fullmatch(text.strip())
    if match is None:
        raise InspectionError(f"{text!r} is no argument; write {_EXAMPLES}")
    dtype = _dtype(match["dtype"])
    if match["axes"] is None:
        return dtype.type(1)
    axes = [a.strip() for a in match["axes"].split(",")] if match["axes"].strip() else []
    steps = [_step(axis, text) for axis in axes]
    base = np.zeros([_EXTENT * abs(step) for step in steps], dtype)
    return base[tuple(slice(None, None, step) for step in steps)] if steps else base


_EXAMPLES = "a type such as int64, 'float32[:,:]' or 'uint8[::2]', or a value such as 3 or 0.5"


def _checked(value: object, text: str) -> object:
    if isinstance(value, tuple):
        return tuple(_checked(item, text) for item in value)
    if value is None or isinstance(value, (bool, int, float, complex)):
        return value
    raise InspectionError(f"{text!r} is no argument of a kernel; write {_EXAMPLES}")


def _dtype(name: str) -> np.dtype[Any]:
    found = from_numpy(name)
    if found is None:
        near = difflib.get_close_matches(name, DTYPES, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(DTYPES)}"
        raise InspectionError(f"there is no dtype {name!r}; {hint}")
    return found.numpy


def _step(axis: str, text: str) -> int:
    match = _AXIS.fullmatch(axis)
    if match is None:
        raise InspectionError(
            f"{text!r}: an axis is ':' or, strided, '::2'; not {axis!r}; write {_EXAMPLES}"
        )
    step = int(match["step"] or 1)
    if step == 0:
        raise InspectionError(f"{text!r}: the step of an axis cannot be 0")
    return step
