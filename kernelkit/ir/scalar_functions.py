"""The signatures of the scalar table: which operations exist, for which types, what they give.

In: the name of an operation and operand types. Out: the result type, or None where it is not
defined. Holds: what a result's value is stands in `scalar.py`, which reads these tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kernelkit.ir.types import BOOL, COMPLEX64, COMPLEX128, FLOAT32, FLOAT64, INT32, INT64, DType
from kernelkit.records import record

#: The result type for these operand types, or None.
Rule = Callable[[tuple[DType, ...]], DType | None]

#: Unary operators and the kinds of operand (NumPy's letters) they take.
UNARY_KINDS: Final = {"neg": "iufc", "invert": "iu", "not": "b", "abs": "iufc"}
#: Binary operators; both operands have the type of the result.
BINARY_KINDS: Final = {
    "add": "iufc", "sub": "iufc", "mul": "iufc", "truediv": "fc", "floordiv": "iuf", "mod": "iuf",
    "pow": "iu", "and": "biu", "or": "biu", "xor": "biu", "shl": "iu", "shr": "iu",
    "min": "iuf", "max": "iuf",
}  # fmt: skip
#: Comparisons; both operands have one type, the result is bool.
COMPARE_KINDS: Final = {
    "lt": "biuf", "le": "biuf", "gt": "biuf", "ge": "biuf", "eq": "biufc", "ne": "biufc",
}  # fmt: skip


@record
class Function:
    """A function of the table.

    `ulp` bounds the error on every back end, in units in the last place of a float32 or float64
    result (float16 computes in float32 and rounds: 1). 0: exact; 0.5: correctly rounded; None: not
    a function of floats, so exact anyway.
    """

    name: str
    arity: int
    rule: Rule
    doc: str
    ulp: float | None = None

    def result_type(self, *operands: DType) -> DType | None:
        """The type of the result, or None where the function is not defined for these operands."""
        return self.rule(operands) if len(operands) == self.arity else None


def _same(kinds: str) -> Rule:
    """Operands of one type of these kinds; the result has it too."""

    def rule(types: tuple[DType, ...]) -> DType | None:
        first = types[0]
        return first if first.kind in kinds and all(t == first for t in types) else None

    return rule


def _gives(kinds: str, result: DType) -> Rule:
    """One operand of these kinds; the result has a fixed type."""
    return lambda types: result if types[0].kind in kinds else None


def _bits_of(source: DType, result: DType) -> Rule:
    """One operand of this type; the result has another of the same width."""
    return lambda types: result if types[0] == source else None


def _component(types: tuple[DType, ...]) -> DType | None:
    return types[0].component if types[0].is_complex else None


def _complex(types: tuple[DType, ...]) -> DType | None:
    pairs = {(FLOAT32, FLOAT32): COMPLEX64, (FLOAT64, FLOAT64): COMPLEX128}
    return pairs.get((types[0], types[1]))


def _scaled(types: tuple[DType, ...]) -> DType | None:
    return types[0] if types[0].is_float and types[1] == INT64 else None


def _chosen(types: tuple[DType, ...]) -> DType | None:
    return types[1] if types[0] == BOOL and types[1] == types[2] else None


def _table() -> dict[str, Function]:
    float_rule, int_rule, any_rule = _same("f"), _same("iu"), _same("biufc")
    rows: list[tuple[str, int, Rule, str, float | None]] = [
        ("sqrt", 1, float_rule, "The square root; NaN below 0.", 0.5),
        ("rsqrt", 1, float_rule, "1 / sqrt(x); inf at 0, -inf at -0.", 2),
        ("cbrt", 1, float_rule, "The cube root.", 4),
        ("expm1", 1, float_rule, "exp(x) - 1, accurate near 0.", 2),
        ("log10", 1, float_rule, "The logarithm to base 10.", 2),
        ("log1p", 1, float_rule, "log(1 + x), accurate near 0.", 2),
        ("asin", 1, float_rule, "The arc sine; NaN outside [-1, 1].", 4),
        ("acos", 1, float_rule, "The arc cosine; NaN outside [-1, 1].", 4),
        ("atan", 1, float_rule, "The arc tangent.", 4),
        ("atan2", 2, float_rule, "The angle of the point (x, y), given as atan2(y, x).", 4),
        ("sinh", 1, float_rule, "The hyperbolic sine.", 4),
        ("cosh", 1, float_rule, "The hyperbolic cosine.", 4),
        ("asinh", 1, float_rule, "The inverse hyperbolic sine.", 4),
        ("acosh", 1, float_rule, "The inverse hyperbolic cosine; NaN below 1.", 4),
        ("atanh", 1, float_rule, "The inverse hyperbolic tangent; infinite at 1 and -1.", 4),
        ("erf", 1, float_rule, "The error function.", 4),
        ("erfc", 1, float_rule, "1 - erf(x), accurate for great x.", 6),
        ("gamma", 1, float_rule, "The gamma function; NaN at negative integers.", 16),
        ("lgamma", 1, float_rule, "The logarithm of |gamma(x)|; inf at its poles. Where it is "
         "below 1, the bound counts ulps of 1.", 16),
        ("floor", 1, float_rule, "The greatest integer not above x, as a float.", 0),
        ("ceil", 1, float_rule, "The least integer not below x, as a float.", 0),
        ("trunc", 1, float_rule, "x without its fraction, as a float.", 0),
        ("round", 1, float_rule, "The nearest integer, a half to the even one, as a float.", 0),
        ("fabs", 1, float_rule, "The absolute value.", 0),
        ("fmod", 2, float_rule, "The remainder of x / y truncated; it has the sign of x.", 0),
        ("remainder", 2, float_rule, "x - n * y, n the integer nearest to x / y (half even).", 0),
        ("copysign", 2, float_rule, "The size of x with the sign of y.", 0),
        ("hypot", 2, float_rule, "sqrt(x*x + y*y) without overflow on the way.", 4),
        ("nextafter", 2, float_rule, "The next float from x towards y; y where equal.", 0),
        ("ldexp", 2, _scaled, "x * 2**n, n an int64, rounded once.", 0.5),
        ("frexp_mantissa", 1, float_rule, "m of x = m * 2**e, 0.5 <= |m| < 1, or x.", 0),
        ("frexp_exponent", 1, _gives("f", INT32), "e of x = m * 2**e; 0 for 0, inf, NaN.", 0),
        ("modf_fraction", 1, float_rule, "x - trunc(x) with the sign of x; 0 for inf.", 0),
        ("modf_integer", 1, float_rule, "trunc(x).", 0),
        ("isnan", 1, _gives("f", BOOL), "Whether x is NaN.", 0),
        ("isinf", 1, _gives("f", BOOL), "Whether x is infinite.", 0),
        ("isfinite", 1, _gives("f", BOOL), "Whether x is neither infinite nor NaN.", 0),
        ("degrees", 1, float_rule, "x * (180 / pi).", 2),
        ("radians", 1, float_rule, "x * (pi / 180).", 2),
        ("fma", 3, float_rule, "a * b + c, rounded once.", 0.5),
        ("fmin", 2, _same("iuf"), "a if a <= b or b is NaN, else b.", 0),
        ("fmax", 2, _same("iuf"), "a if a >= b or b is NaN, else b.", 0),
        ("float_as_int", 1, _bits_of(FLOAT32, INT32), "The bits of a float32 as an int32.", 0),
        ("int_as_float", 1, _bits_of(INT32, FLOAT32), "The float32 that has these bits.", None),
        ("double_as_longlong", 1, _bits_of(FLOAT64, INT64), "The bits of a float64 as an int64.", 0),
        ("longlong_as_double", 1, _bits_of(INT64, FLOAT64), "The float64 that has these bits.", None),
        ("selp", 3, _chosen, "a if condition else b, with both evaluated.", None),
        ("popc", 1, _gives("iu", INT32), "The number of bits set.", None),
        ("clz", 1, _gives("iu", INT32), "The number of leading zero bits; the width for 0.", None),
        ("ffs", 1, _gives("iu", INT32), "The place of the lowest bit set, from 1; 0 for 0.", None),
        ("brev", 1, int_rule, "The bits in reverse order.", None),
        ("uniform", 1, any_rule, "x.", None),
        ("real", 1, _component, "The real part.", None),
        ("imag", 1, _component, "The imaginary part.", None),
        ("conj", 1, _same("c"), "x with the sign of its imaginary part changed.", None),
        ("complex", 2, _complex, "The complex number of a real and an imaginary part.", None),
    ]  # fmt: skip
    return {row[0]: Function(*row) for row in rows}


#: Every function by name: what an Intrinsic node may call.
FUNCTIONS: Final[dict[str, Function]] = _table()


def unary_type(op: str, operand: DType) -> DType | None:
    """The result type of a unary operator."""
    if operand.kind not in UNARY_KINDS[op]:
        return None
    return operand.component if op == "abs" else operand


def binary_type(op: str, left: DType, right: DType) -> DType | None:
    """The result type of a binary operator."""
    return left if left == right and left.kind in BINARY_KINDS[op] else None


def compare_type(op: str, left: DType, right: DType) -> DType | None:
    """The result type of a comparison."""
    return BOOL if left == right and left.kind in COMPARE_KINDS[op] else None
