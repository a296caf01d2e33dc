"""Scalars in CUDA C: the spellings that `kernelkit.emit.cstyle` needs.

Holds: no header is needed. Accuracy is that of CUDA's functions with their default options. HIP
takes the same text.
"""

from __future__ import annotations

from typing import Final

from kernelkit.emit.cstyle.scalars import ScalarSpelling

_INTEGERS: Final = {
    "i8": "signed char", "i16": "short", "i32": "int", "i64": "long long",
    "u8": "unsigned char", "u16": "unsigned short", "u32": "unsigned int",
    "u64": "unsigned long long",
}  # fmt: skip

#: Names whose float32 function has an f at its end -> number of operands.
_COMMON: Final = {
    "sqrt": 1, "rsqrt": 1, "cbrt": 1, "expm1": 1, "log10": 1, "log1p": 1, "asin": 1, "acos": 1,
    "atan": 1, "atan2": 2, "sinh": 1, "cosh": 1, "asinh": 1, "acosh": 1, "atanh": 1, "erf": 1,
    "erfc": 1, "floor": 1, "ceil": 1, "trunc": 1, "fabs": 1, "fmod": 2, "remainder": 2,
    "copysign": 2, "hypot": 2, "fma": 3,
}  # fmt: skip


def _calls(single: str, double: str, arity: int) -> tuple[str, str]:
    fields = ", ".join(f"{{{i}}}" for i in range(arity))
    return f"{single}({fields})", f"{double}({fields})"


_MATH: Final = {
    **{name: _calls(f"{name}f", name, arity) for name, arity in _COMMON.items()},
    "round": _calls("rintf", "rint", 1),
    "gamma": _calls("tgammaf", "tgamma", 1),
    "lgamma": _calls("lgammaf", "lgamma", 1),
    "log": _calls("logf", "log", 1),
    "truediv": ("({0} / {1})", "({0} / {1})"),
}


def _narrowed(instruction: str, register: str) -> str:
    """The body of a function of x that rounds to float16; HIP has the type without a header."""
    return f"""
#ifdef __HIP__
return __builtin_bit_cast(u16, (_Float16)x);
#else
u16 bits;
asm("{instruction} %0, %1;" : "=h"(bits) : "{register}"(x));
return bits;
#endif"""


_WIDENED: Final = """
#ifdef __HIP__
return (f32)__builtin_bit_cast(_Float16, x);
#else
f32 value;
asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x));
return value;
#endif"""

SPELLING: Final = ScalarSpelling(
    function="static __device__ __forceinline__",
    integers=_INTEGERS,
    suffixes={"i32": "", "u32": "u", "i64": "ll", "u64": "ull"},
    wide="",
    exact="",
    operators={
        f"{name}_{kind}": f"__{letter}{name}_rn({{0}}, {{1}})"
        for kind, letter in (("f32", "f"), ("f64", "d"))
        for name in ("add", "sub", "mul")
    },
    bits={
        "u32_f32": "__float_as_uint({0})",
        "f32_u32": "__uint_as_float({0})",
        "u64_f64": "((u64)__double_as_longlong({0}))",
        "f64_u64": "__longlong_as_double((i64)({0}))",
    },
    counts={
        "popc_u32": "__popc({0})",
        "popc_u64": "__popcll({0})",
        "clz_u32": "__clz((i32)({0}))",
        "clz_u64": "__clzll((i64)({0}))",
        "ffs_u32": "__ffs((i32)({0}))",
        "ffs_u64": "__ffsll((i64)({0}))",
        "brev_u32": "__brev({0})",
        "brev_u64": "__brevll({0})",
    },
    math=_MATH,
    macros={},
    # These saturate; of NaN they make 0 or the least value, by the widths.
    saturating={
        f"{kind}_{real}": f"return a == a ? __{source}2{target}_rz(a) : ({kind})0;"
        for real, source in (("f32", "float"), ("f64", "double"))
        for kind, target in (("i32", "int"), ("u32", "uint"), ("i64", "ll"), ("u64", "ull"))
    },
    halves={
        "u16_f32": _narrowed("cvt.rn.f16.f32", "f"),
        "u16_f64": _narrowed("cvt.rn.f16.f64", "d"),
        "f32_u16": _WIDENED,
    },
    infinity="__uint_as_float(0x7f800000u)",
    nan="__uint_as_float(0x7fc00000u)",
    # A function makes no initial value; a division is done at run time elsewhere.
    static_infinity="(1.0f / 0.0f)",
    static_nan="(0.0f / 0.0f)",
)
