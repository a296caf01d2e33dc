"""floor, ceil, trunc and round of float32 and float64, to integers that stay floats.

Holds: zeros keep their sign; a half rounds to the even integer. Processors that cannot round
(x86 before SSE 4.1) add and take away what leaves no room for a fraction.
"""

from __future__ import annotations

from typing import Final

from kernelkit_cpu.instructions import Code
from kernelkit_cpu.text import Operand

_INTRINSICS: Final = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "roundeven"}
#: From here on every value is an integer.
_WHOLE: Final = {"float": 2.0**23, "double": 2.0**52}


def rounded(code: Code, name: str, kind: str, x: Operand) -> Operand:
    if not code.target.is_x86 or code.target.has("sse4.1"):
        return code.intrinsic(_INTRINSICS[name], kind, x)
    return by_addition(code, name, kind, x)


def by_addition(code: Code, name: str, kind: str, x: Operand) -> Operand:
    """Also for what float16 is computed in: LLVM would make one of the instructions above that of
    float16, which few processors have."""
    code = code.exact()
    size, whole = code.intrinsic("fabs", kind, x), code.number(kind, _WHOLE[kind])
    near = code.fsub(kind, code.fadd(kind, size, whole), whole)
    if name in ("floor", "ceil"):
        near = code.intrinsic("copysign", kind, near, x)
    # What it was rounded to may be one step too far.
    far = {"floor": ("ogt", near, x, -1.0), "ceil": ("olt", near, x, 1.0),
           "trunc": ("ogt", near, size, -1.0)}.get(name)  # fmt: skip
    if far:
        predicate, left, right, step = far
        beyond = code.fcmp(predicate, kind, left, right)
        back = code.select(kind, beyond, code.number(kind, step), code.number(kind, 0.0))
        near = code.fadd(kind, near, back)
    near = code.intrinsic("copysign", kind, near, x)
    return code.select(kind, code.fcmp("olt", kind, size, whole), near, x)
