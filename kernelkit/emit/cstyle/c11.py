"""Scalars in C11, as GCC and Clang have it: what the table of a new dialect can start from.

Holds: HEAD comes before the printed text. Results are those of the scalar table where nothing is
contracted (-ffp-contract=off) and views of memory may differ in type (-fno-strict-aliasing). There is
no float16; `dataclasses.replace(SPELLING, halves=...)` adds it, or changes what else is different.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kernelkit.emit.cstyle.scalars import ScalarSpelling

HEAD: Final = "#include <math.h>\n#include <stdbool.h>\n#include <stdint.h>\n"

#: Functions of <math.h> by their number of operands.
_ARITY: Final = {
    1: "sqrt cbrt expm1 log log10 log1p asin acos atan sinh cosh asinh acosh atanh erf erfc lgamma "
    "floor ceil trunc fabs rint tgamma",
    2: "atan2 fmod remainder copysign hypot",
    3: "fma",
}
#: What they are called in the scalar table, where that is not the same.
_OURS: Final = {"rint": "round", "tgamma": "gamma"}


def _functions() -> Iterator[tuple[str, tuple[str, str]]]:
    for arity, names in _ARITY.items():
        fields = ", ".join(f"{{{i}}}" for i in range(arity))
        for name in names.split():
            yield _OURS.get(name, name), (f"{name}f({fields})", f"{name}({fields})")
    yield "rsqrt", ("(1.0f / sqrtf({0}))", "(1.0 / sqrt({0}))")
    yield "truediv", ("({0} / {1})", "({0} / {1})")


def _bits(source: str, target: str) -> str:
    return f"((union {{{{ {source} a; {target} b; }}}}){{{{ {{0}} }}}}.b)"


SPELLING: Final = ScalarSpelling(
    function="static inline",
    integers={
        f"{sign}{bits}": f"{'u' * (sign == 'u')}int{bits}_t"
        for sign in "iu"
        for bits in (8, 16, 32, 64)
    },
    suffixes={"i32": "", "u32": "u", "i64": "ll", "u64": "ull"},
    wide="",
    exact="",
    operators={
        f"{name}_{kind}": f"({{0}} {symbol} {{1}})"
        for kind in ("f32", "f64")
        for name, symbol in (("add", "+"), ("sub", "-"), ("mul", "*"))
    },
    bits={
        f"{b}{bits}_{a}{bits}": _bits(f"{a}{bits}", f"{b}{bits}")
        for a, b in ("fu", "uf")
        for bits in (32, 64)
    },
    counts={
        "popc_u32": "__builtin_popcount({0})",
        "popc_u64": "__builtin_popcountll({0})",
        "clz_u32": "({0} ? __builtin_clz({0}) : 32)",
        "clz_u64": "({0} ? __builtin_clzll({0}) : 64)",
        "ffs_u32": "__builtin_ffs((i32)({0}))",
        "ffs_u64": "__builtin_ffsll((i64)({0}))",
    },
    math=dict(_functions()),
    macros={},
    saturating={},
    halves={},
    infinity="INFINITY",
    nan="NAN",
    static_infinity="INFINITY",
    static_nan="NAN",
)
