"""Scalars in OpenCL C 1.2: the spellings that `kernelkit.emit.cstyle` needs.

Holds: nothing optional is used but float64, where a kernel does. float32 division and square root
are IEEE's by build options: -cl-fp32-correctly-rounded-divide-sqrt on devices that know it,
WIDE_DIVISION on others that have float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kernelkit.emit.cstyle.scalars import ScalarSpelling

_INTEGERS: Final = {
    "i8": "char", "i16": "short", "i32": "int", "i64": "long",
    "u8": "uchar", "u16": "ushort", "u32": "uint", "u64": "ulong",
}  # fmt: skip

#: Names that are the same there -> number of operands.
_COMMON: Final = {
    "sqrt": 1, "rsqrt": 1, "cbrt": 1, "expm1": 1, "log10": 1, "log1p": 1, "asin": 1, "acos": 1,
    "atan": 1, "atan2": 2, "sinh": 1, "cosh": 1, "asinh": 1, "acosh": 1, "atanh": 1, "erf": 1,
    "erfc": 1, "floor": 1, "ceil": 1, "trunc": 1, "fabs": 1, "fmod": 2, "remainder": 2,
    "copysign": 2, "hypot": 2, "fma": 3, "log": 1,
}  # fmt: skip


def _call(name: str, arity: int) -> tuple[str, str]:
    text = f"{name}({', '.join(f'{{{i}}}' for i in range(arity))})"
    return text, text


def _both(text: str, literals: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """A text for float32 and for float64, with the literals of each at their names."""
    found = [text, text]
    for name, pair in literals.items():
        found = [each.replace(f"{{{name}}}", one) for each, one in zip(found, pair, strict=True)]
    return found[0], found[1]


#: x * (x + 1) * ... * (x + 7)
_RISING: Final = " * ".join(["{0}", *(f"({{0}} + {i})" for i in range(1, 8))])

_MATH: Final = {
    **{name: _call(name, arity) for name, arity in _COMMON.items()},
    "sqrt": ("KK_SQRT({0})", "sqrt({0})"),
    "round": _call("rint", 1),
    # What PoCL gives of the least floats is 0, without their sign.
    "log1p": _both("(fabs({0}) < {tiny} ? {0} : log1p({0}))", {"tiny": ("1e-9f", "1e-18")}),
    # Intel's erf is further from 1 than its erfc is from 0.
    "erf": _both(
        "(fabs({0}) > {one} ? copysign({one} - erfc(fabs({0})), {0}) : erf({0}))",
        {"one": ("1.0f", "1.0")},
    ),
    # PoCL's result is inexact where it is denormal.
    "gamma": _both(
        f"({{0}} < {{low}} ? tgamma({{0}} + {{eight}}) / ({_RISING}) : tgamma({{0}}))",
        {"low": ("-30.0f", "-150.0"), "eight": ("8.0f", "8.0")},
    ),
    # x * log(x) is infinite in PoCL where the result is not yet.
    "lgamma": _both(
        "({0} > {great} ? {0} * (log({0}) - {one}) : lgamma({0}))",
        {"great": ("1e30f", "1e300"), "one": ("1.0f", "1.0")},
    ),
    "truediv": ("KK_DIVIDE({0}, {1})", "({0} / {1})"),
}


def _default(macro: str, text: str) -> str:
    """A macro that the build options may define otherwise."""
    return f"#ifndef {macro.partition('(')[0]}\n#define {macro} {text}\n#endif"


#: Build options. float64 has more than twice the digits of float32, so that rounding its quotients
#: and roots once more is as good as rounding once.
WIDE_DIVISION: Final = (
    "-DKK_DIVIDE(a,b)=((float)((double)(a)/(double)(b)))",
    "-DKK_SQRT(a)=((float)sqrt((double)(a)))",
)

# By integers, as vstore_half and vload_half need an address: PoCL 3 gives the threads of a block one
# place for all, once there are barriers.
_HALF_BITS: Final = """
u32 bits = as_uint({0}), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
if (size > 0x7f800000u) return (u16)(sign | 0x7e00u | (size >> 13 & 0x3ffu));
if (size >= 0x477ff000u) return (u16)(sign | 0x7c00u);
if (size < 0x38800000u) return (u16)(sign | (as_uint(as_float(size) + 0.5f) - 0x3f000000u));
return (u16)(sign | ((size + 0xc8000fffu + (size >> 13 & 1u)) >> 13));
""".strip()
#: A float32 that rounds to a float16 as the float64 does: what is lost leaves an odd last bit.
_ODD: Final = """
f32 y = convert_float_rtz(x);
if ((f64)y != x && !isnan(x)) y = as_float(as_uint(y) | 1u);
""".strip()
_HALF_VALUE: Final = """
u32 sign = (u32)(x & 0x8000u) << 16, size = x & 0x7fffu;
if (size >= 0x7c00u) return as_float(sign | 0x7f800000u | size << 13);
if (size < 0x400u) return as_float(sign | as_uint((f32)size * 0x1p-24f));
return as_float(sign | ((size << 13) + 0x38000000u));
""".strip()

SPELLING: Final = ScalarSpelling(
    function="static inline",
    integers=_INTEGERS,
    suffixes={"i32": "", "u32": "u", "i64": "L", "u64": "UL"},
    wide="#pragma OPENCL EXTENSION cl_khr_fp64 : enable",
    exact="#pragma OPENCL FP_CONTRACT OFF",
    operators={
        f"{name}_{kind}": f"({{0}} {symbol} {{1}})"
        for kind in ("f32", "f64")
        for name, symbol in (("add", "+"), ("sub", "-"), ("mul", "*"))
    },
    bits={
        "u32_f32": "as_uint({0})",
        "f32_u32": "as_float({0})",
        "u64_f64": "as_ulong({0})",
        "f64_u64": "as_double({0})",
    },
    counts={
        "popc_u32": "popcount({0})",
        "popc_u64": "popcount({0})",
        "clz_u32": "clz({0})",
        "clz_u64": "clz({0})",
        "ffs_u32": "32 - clz({0} & (0 - {0}))",
        "ffs_u64": "64 - clz({0} & (0 - {0}))",
    },
    math=_MATH,
    macros={
        "sqrt": ("KK_SQRT", _default("KK_SQRT(a)", "sqrt(a)")),
        "truediv": ("KK_DIVIDE", _default("KK_DIVIDE(a, b)", "((a) / (b))")),
    },
    saturating={},
    halves={
        "u16_f32": _HALF_BITS.format("x"),
        "u16_f64": f"{_ODD}\n{_HALF_BITS.format('y')}",
        "f32_u16": _HALF_VALUE,
    },
    infinity="INFINITY",
    nan="NAN",
    static_infinity="INFINITY",
    static_nan="(0.0f / 0.0f)",
    # Every compiler for OpenCL that we know is clang's, and this is the one way to tell it.
    alias="__attribute__((may_alias))",
)
