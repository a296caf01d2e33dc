"""The words of numba.cuda itself. Importing this module imports Numba.

Holds: device functions are inlined by NVVM, which compiles them together with the kernel.
"""

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import cuda
from numba.cuda import cgutils, libdevice, types
from numba.cuda.compiler import compile_cuda
from numba.cuda.dispatcher import CUDADispatcher
from numba.cuda.extending import intrinsic

from kernelkit_numba.atomics import NATIVE
from kernelkit_numba.capabilities import OLDEST
from kernelkit_numba.library import Library
from kernelkit_numba.words import Function, Words


@intrinsic  # type: ignore[untyped-decorator]
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
        pointer = cgutils.get_item_pointer(context, builder, kind, array, indices, wraparound=True)
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


class DeviceFunction(CUDADispatcher):  # type: ignore[misc]
    """A device function that is compiled without asking which device there is, as nothing of its
    code depends on it: what `cuda.jit(device=True, forceinline=True)` makes wants a device."""

    def compile_device(self, args: Any, return_type: Any = None) -> Any:
        found = self.overloads.get(args)
        if found is None:
            found = self.overloads[args] = compile_cuda(
                self.py_func, return_type, args, forceinline=True, cc=OLDEST,
                nvvm_options={"opt": 3, "fastmath": False},
            )  # fmt: skip
            found.target_context.insert_user_function(
                found.entry_point, found.fndesc, [found.library]
            )
        return found


def _jit(function: Function) -> Function:
    options = {"device": True, "forceinline": True, "debug": False, "opt": True}
    compiled: Function = DeviceFunction(function, targetoptions=options)
    return compiled


LIBRARY: Final = Library(Words(_jit, libdevice, swap, cuda), NATIVE)
#: What printed text names besides.
NAMES: Final[dict[str, Any]] = {"cuda": cuda, "libdevice": libdevice, "types": types}
