"""The table by which `kernelkit.emit.python` prints for numba.cuda.

Every name here that starts with `_k_` is a device function of `library.py`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from kernelkit.emit.python_dialect import PythonDialect
from kernelkit.ir.nodes import ArrayVar
from kernelkit.ir.types import AddressSpace
from kernelkit_numba import scalars

_ARRAY: Final = ".array({shape}, types.{dtype})"


def _data(data: Any, array: ArrayVar) -> str:
    """The elements of a constant array as source."""
    elements = np.ascontiguousarray(data, array.type.dtype.numpy)
    return f'np.frombuffer(bytes.fromhex("{elements.tobytes().hex()}"), np.{elements.dtype}' + (
        f").reshape({array.shape})"
    )


NUMBA: Final = PythonDialect(
    name="numba",
    parameters=(),
    registers={
        **{
            register: f"np.int64(cuda.{register}.{{axis}})"
            for register in ("threadIdx", "blockIdx", "blockDim", "gridDim")
        },
        "laneid": "np.int64(cuda.laneid)",
    },
    expression=scalars.expression,
    cast=scalars.cast,
    literal=scalars.literal,
    functions={},
    load="{array}[{index}]",
    view="{array}[{index}]",
    store="{array}[{index}] = {value}",
    atomic="_k_atomic{rank}_{op}_{dtype}({array}, {place}, {operands})",
    update=None,
    allocate={
        AddressSpace.SHARED: f"cuda.shared{_ARRAY}",
        AddressSpace.LOCAL: f"cuda.local{_ARRAY}",
        AddressSpace.CONSTANT: "cuda.const.array_like(_k_data{number})",
    },
    extent="np.int64({array}.shape[{axis}])",
    barrier={
        "sync": "cuda.syncthreads()",
        "count": "np.int32(cuda.syncthreads_count(np.int32({args})))",
        "and": "(cuda.syncthreads_and(np.int32({args})) != 0)",
        "or": "(cuda.syncthreads_or(np.int32({args})) != 0)",
    },
    warp="_k_warp_{op}_{dtype}({args})",
    fence={
        "block": "cuda.threadfence_block()",
        "device": "cuda.threadfence()",
        "system": "cuda.threadfence_system()",
    },
    range="range({args})",
    checked_range="range({args})",
    tick="",
    print="",  # nor texts
    text="",
    fail="",
    breakpoint="pass",
    suspends=False,
    taken=frozenset({"np", "cuda", "types", "libdevice", "complex", "bytes", "True", "False"}),
    loaded=scalars.loaded,
    stored=scalars.stored,
    data=_data,
    scope=("while True:", "break"),
)
#: Without contraction of products and sums.
REPRODUCIBLE: Final = replace(NUMBA, expression=partial(scalars.expression, exact=True))
