"""float16: to and from float32, and from float64 in one rounding.

Holds: where the processor converts, LLVM's own instructions; elsewhere integer arithmetic, so that
no run-time library is needed and every bit is as on the others.
"""

from __future__ import annotations

from kernelkit_cpu.instructions import Code
from kernelkit_cpu.targets import CpuTarget
from kernelkit_cpu.text import Operand


def converts(target: CpuTarget) -> bool:
    """Whether the processor turns float16 into float32 and back."""
    return not target.is_x86 or target.has("f16c") or target.has("avx512fp16")


def widen(code: Code, value: Operand) -> Operand:
    """float16 -> float32, exact."""
    if converts(code.target):
        return code.convert("fpext", "half", value, "float")
    bits = code.convert("zext", "i16", code.convert("bitcast", "half", value, "i16"), "i32")
    size = code.op("shl", "i32", code.op("and", "i32", bits, code.number("i32", 0x7FFF)),
                   code.number("i32", 13))  # fmt: skip
    # The exponent is off by 112 now; a multiplication mends that for denormals as well. An
    # infinity or NaN becomes one by an exponent of all ones.
    scaled = code.op(
        "fmul", "float", code.convert("bitcast", "i32", size, "float"),
        code.number("float", 2.0**112),
    )  # fmt: skip
    special = code.icmp("uge", "i32", size, code.number("i32", 0x7C00 << 13))
    full = code.op("or", "i32", size, code.number("i32", 0xFF << 23))
    size = code.select("i32", special, full, code.convert("bitcast", "float", scaled, "i32"))
    sign = code.op("shl", "i32", code.op("and", "i32", bits, code.number("i32", 0x8000)),
                   code.number("i32", 16))  # fmt: skip
    return code.convert("bitcast", "i32", code.op("or", "i32", size, sign), "float")


def narrow(code: Code, value: Operand) -> Operand:
    """float32 -> float16, to the nearest, a tie to the even one."""
    if converts(code.target):
        return code.convert("fptrunc", "float", value, "half")
    bits = code.convert("bitcast", "float", value, "i32")
    size = code.op("and", "i32", bits, code.number("i32", 0x7FFFFFFF))
    absolute = code.convert("bitcast", "i32", size, "float")
    # Normal: add half of the last place that stays, less one bit where that is even already.
    odd = code.op("and", "i32", code.op("lshr", "i32", size, code.number("i32", 13)),
                  code.number("i32", 1))  # fmt: skip
    up = code.op("add", "i32", size, code.op("add", "i32", odd, code.number("i32", 0xFFF)))
    normal = code.op("sub", "i32", code.op("lshr", "i32", up, code.number("i32", 13)),
                     code.number("i32", 112 << 10))  # fmt: skip
    # Denormal: the sum with 0.5, whose last place is that of a float16 denormal, rounds.
    low = code.convert(
        "bitcast", "float", code.op("fadd", "float", absolute, code.number("float", 0.5)), "i32"
    )
    low = code.op("sub", "i32", low, code.number("i32", 0x3F000000))
    small = code.icmp("ult", "i32", size, code.number("i32", 113 << 23))
    result = code.select("i32", small, low, normal)
    great = code.icmp("uge", "i32", size, code.number("i32", 0x47800000))
    nan = code.icmp("ugt", "i32", size, code.number("i32", 0x7F800000))
    special = code.select("i32", nan, code.number("i32", 0x7E00), code.number("i32", 0x7C00))
    result = code.select("i32", great, special, result)
    sign = code.op("and", "i32", code.op("lshr", "i32", bits, code.number("i32", 16)),
                   code.number("i32", 0x8000))  # fmt: skip
    half = code.convert("trunc", "i32", code.op("or", "i32", result, sign), "i16")
    return code.convert("bitcast", "i16", half, "half")


def narrow_double(code: Code, value: Operand) -> Operand:
    """float64 -> float16, rounded once: by way of the float32 towards zero whose last bit says
    whether something is left over (round to odd), which makes and breaks no tie."""
    near = code.convert("fptrunc", "double", value, "float")
    back = code.convert("fpext", "float", near, "double")
    beyond = code.fcmp(
        "ogt", "double", code.intrinsic("fabs", "double", back),
        code.intrinsic("fabs", "double", value),
    )  # fmt: skip
    inexact = code.fcmp("one", "double", back, value)
    bits = code.convert("bitcast", "float", near, "i32")
    bits = code.op("sub", "i32", bits, code.convert("zext", "i1", beyond, "i32"))
    bits = code.op("or", "i32", bits, code.convert("zext", "i1", inexact, "i32"))
    return narrow(code, code.convert("bitcast", "i32", bits, "float"))
