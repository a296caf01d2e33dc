"""The words of numba.cuda itself. Importing this module imports Numba.

Holds: device functions are inlined by NVVM, which compiles them together with the kernel.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import cuda
from numba.cuda import cgutils, libdevice, types
from numba.cuda.extending import intrinsic

from kernelkit_numba.atomics import NATIVE
from kernelkit_numba.library import Library
from kernelkit_numba.words import Function, Words


@intrinsic
def swap(typing: Any, array: Any, place: Any, wanted: Any, new: Any) -> Any:
    """Compare-and-swap of an element's bits: (what was there, whether it was replaced)."""
    dtype = array.dtype
    signature = types.Tuple([dtype, types.boolean])(array, place, dtype, dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind, places = signature.args[0], signature.args[1]
        indices = [
            context.cast(builder, index, given, types.intp)
            for index, given in zip(
                cgutils.unpack_tuple(builder, args[1], len(places)), places, strict=True
            )
        ]
        array = context.make_array(kind)(context, builder, args[0])
        pointer = cgutils.get_item_pointer(
            context, builder, kind, array, indices, wraparound=True
        )
        word = ir.IntType(kind.dtype.bitwidth)
        seen = builder.cmpxchg(
            builder.bitcast(pointer, word.as_pointer()),
            builder.bitcast(args[2], word),
            builder.bitcast(args[3], word),
            "monotonic",
            "monotonic",
        )
        old = builder.bitcast(builder.extract_value(seen, 0), args[2].type)
        done = builder.extract_value(seen, 1)
        return context.make_tuple(builder, signature.return_type, [old, done])

    return signature, generate


def _jit(function: Function) -> Function:
    compiled: Function = cuda.jit(device=True, forceinline=True)(function)
    return compiled


LIBRARY: Final = Library(Words(_jit, libdevice, swap, cuda), NATIVE)
#: What printed text names besides.
NAMES: Final[dict[str, Any]] = {"cuda": cuda, "libdevice": libdevice, "types": types}
