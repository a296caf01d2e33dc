"""Where the scalar table leaves NumPy: each place is listed here and in docs/scalar.md, and shown
to be what the contract says. Everything else is NumPy's, which the other files here hold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import (
    BOOL,
    COMPLEX64,
    COMPLEX128,
    DTYPES,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT8,
    INT32,
    INT64,
    UINT32,
    DType,
    from_numpy,
)
from kernelkit.testing.comparison import assert_bits_equal, ulp_distance
from kernelkit.testing.scalars import elementwise

PAGE = Path(__file__).parents[2] / "docs" / "scalar.md"
FLOATS = (FLOAT16, FLOAT32, FLOAT64)
SIGNED = tuple(t for t in DTYPES.values() if t.is_signed)

#: Title of the deviation -> what shows it. The titles are the first column of the page.
DEVIATIONS: dict[str, Callable[[], None]] = {}
#: Title -> operations (by kind of operand) that NumPy has and the table lacks.
ABSENT: dict[str, set[tuple[str, str]]] = {}


def deviation(title: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def register(check: Callable[[], None]) -> Callable[[], None]:
        DEVIATIONS[title] = check
        return check

    return register


def absent(title: str, operations: str, kinds: str) -> None:
    pairs = set(itertools.product(operations.split(), kinds))
    ABSENT.setdefault(title, set()).update(pairs)
    DEVIATIONS[title] = lambda: None  # all are checked at once, below


# ---------------------------------------------------------------- other values
@deviation("integer `**` with a negative exponent")
def _() -> None:
    for dtype in SIGNED:
        with pytest.raises(ValueError, match="negative integer powers"):
            np.power(np.array([2], dtype.numpy), np.array([-1], dtype.numpy))
        for base, exponent in itertools.product((0, 1, -1, 2, dtype.minimum), (-1, dtype.minimum)):
            assert scalar.evaluate("pow", (dtype, dtype), base, exponent) == 0


@deviation("float to integer, NaN or outside the range")
def _() -> None:
    with pytest.warns(RuntimeWarning, match="invalid value"):
        np.array([1e300, math.nan]).astype(np.int32)  # whatever the processor does
    assert scalar.cast(FLOAT64, INT32, 1e300) == 2**31 - 1
    assert scalar.cast(FLOAT64, INT32, -1e300) == -(2**31)
    assert scalar.cast(FLOAT64, INT32, math.nan) == 0
    assert scalar.cast(FLOAT64, UINT32, -1.0) == 0


@deviation("`min`, `max` of floats")
def _() -> None:
    for dtype, op in itertools.product(FLOATS, ("min", "max")):
        nan, one = dtype.numpy.type(math.nan), dtype.numpy.type(1)
        numpy = {"min": np.minimum, "max": np.maximum}[op]
        assert np.isnan(numpy(one, nan))
        assert np.isnan(numpy(nan, one))
        # A comparison with NaN is false, so the first operand stays.
        assert scalar.evaluate(op, (dtype, dtype), one, nan) == one
        assert np.isnan(scalar.evaluate(op, (dtype, dtype), nan, one))
        for a, b in ((0.0, -0.0), (-0.0, 0.0)):
            found = scalar.evaluate(op, (dtype, dtype), a, b)
            assert np.signbit(found) == np.signbit(a)


@deviation("`fmin`, `fmax` of 0 and -0")
def _() -> None:
    for dtype, op in itertools.product(FLOATS, ("fmin", "fmax")):
        for a, b in ((0.0, -0.0), (-0.0, 0.0)):
            # NumPy's answer depends on the processor and on the place in the array.
            found = scalar.evaluate(op, (dtype, dtype), a, b)
            assert found == 0
            assert np.signbit(found) == np.signbit(a)


@deviation("complex `*`")
def _() -> None:
    rng = np.random.default_rng(1)
    for dtype in (COMPLEX64, COMPLEX128):
        a, b = rng.normal(size=(2, 4000)).astype(dtype.component.numpy).view(dtype.numpy)
        found, theirs = elementwise("mul", (dtype, dtype), a, b), a * b
        # A fused product and sum moves the last bit of the larger term.
        step = np.spacing(np.abs(a) * np.abs(b))
        assert np.all(np.abs(found - theirs) <= 2 * step)


@deviation("`cbrt`, `sinh`, `atan2` and the other functions with a bound")
def _() -> None:
    bounds = {n: f.ulp for n, f in scalar.FUNCTIONS.items()}
    rng = np.random.default_rng(2)
    for (name, function), dtype in itertools.product(NUMPY.items(), FLOATS):
        if bound := bounds.get(name):
            arrays = rng.uniform(0.01, 0.99, (function.nin, 1000)) + (name == "acosh")
            arrays = arrays.astype(dtype.numpy)
            found = elementwise(name, (dtype,) * function.nin, *arrays)
            assert ulp_distance(found, function(*arrays)).max() <= 4 + bound, name


@deviation("`popc` of negative numbers")
def _() -> None:
    for dtype in SIGNED:
        assert np.bitwise_count(dtype.numpy.type(-1)) == 1  # that of the absolute value
        assert scalar.evaluate("popc", (dtype,), -1) == dtype.bits
    assert np.bitwise_count(np.int32(1)).dtype == np.uint8
    assert scalar.result_type("popc", INT32) == INT32


@deviation("`nextafter` of float16 between 0 and -0")
def _() -> None:
    zeros = np.array([0.0, -0.0], np.float16)
    for dtype in FLOATS:
        for x, y in itertools.permutations(zeros.astype(dtype.numpy), 2):
            found = scalar.evaluate("nextafter", (dtype, dtype), x, y)
            assert_bits_equal(found, y)
            if dtype != FLOAT16:
                assert_bits_equal(found, np.nextafter(x, y))


@deviation("the exponent that `frexp` gives for infinities and NaN")
def _() -> None:
    for dtype, x in itertools.product(FLOATS, (math.inf, -math.inf, math.nan)):
        assert scalar.evaluate("frexp_exponent", (dtype,), x) == 0  # in C anything


# ---------------------------------------------------------------- what is not there
NUMPY: dict[str, Any] = {
    "neg": np.negative, "invert": np.invert, "not": np.logical_not, "abs": np.absolute,
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
    "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "shl": np.left_shift, "shr": np.right_shift, "min": np.minimum, "max": np.maximum,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "eq": np.equal, "ne": np.not_equal, "popc": np.bitwise_count, "round": np.rint,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "atan2": np.arctan2,
    **{
        name: getattr(np, name)
        for name in (
            "sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan sinh cosh tanh floor ceil "
            "trunc fabs fmod copysign hypot nextafter isnan isinf isfinite degrees radians fmin "
            "fmax real imag conj"
        ).split()
    },
}  # fmt: skip
#: Functions of floats that NumPy has for integers and bools too.
OF_FLOATS = (
    "sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh "
    "asinh acosh atanh floor ceil trunc round fabs copysign hypot nextafter isnan isinf isfinite "
    "degrees radians"
)
MATHLIB = "pow exp exp2 log log2 sin cos tan tanh"
OF_COMPLEX = (
    "sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh "
    "atanh round isnan isinf isfinite"
)

absent("arithmetic of bools", "add mul truediv floordiv mod pow shl shr min max abs", "b")
absent("arithmetic of bools", "fmin fmax fmod popc", "b")
absent("`~` of a bool", "invert", "b")
absent("`not` of numbers", "not", "iufc")
absent("`/` of integers", "truediv", "iu")
absent("functions of floats for integers and bools", OF_FLOATS, "biu")
absent("functions of floats for integers and bools", "fmod", "iu")
absent("`**` of floats, and the functions of [math.md](math.md)", MATHLIB, "f")
absent("order of complex numbers", "lt le gt ge min max fmin fmax", "c")
absent("`**` and functions of complex numbers", "pow " + OF_COMPLEX, "c")
absent("`real`, `imag`, `conj` of real numbers", "real imag conj", "biuf")


def numpy_has(function: Any, dtype: DType) -> bool:
    ones = (np.ones(1, dtype.numpy),) * getattr(function, "nin", 1)
    try:
        with np.errstate(all="ignore"):
            function(*ones)
    except TypeError:
        return False
    return True


def test_what_numpy_has_and_the_table_lacks_is_listed() -> None:
    missing = set()
    for (op, function), dtype in itertools.product(NUMPY.items(), DTYPES.values()):
        types = (dtype,) * getattr(function, "nin", 1)
        if scalar.result_type(op, *types) is None and numpy_has(function, dtype):
            missing.add((op, dtype.kind))
    listed = set().union(*ABSENT.values())
    assert missing == listed


def test_where_both_are_defined_the_types_agree() -> None:
    differ = set()
    for (op, function), dtype in itertools.product(NUMPY.items(), DTYPES.values()):
        types = (dtype,) * getattr(function, "nin", 1)
        ours = scalar.result_type(op, *types)
        if ours is None:
            continue
        with np.errstate(all="ignore"):
            theirs = function(*(np.ones(1, dtype.numpy),) * len(types)).dtype
        if from_numpy(theirs) != ours:
            differ.add(op)
    assert differ == {"popc"}


@deviation("complex to real")
def _() -> None:
    with pytest.warns(np.exceptions.ComplexWarning):
        np.array([1j]).astype(np.float64)
    for source, target in itertools.product((COMPLEX64, COMPLEX128), (INT8, INT64, *FLOATS)):
        assert not scalar.can_cast(source, target)
    assert scalar.cast(COMPLEX64, BOOL, 1j) is True


# ---------------------------------------------------------------- the page
@pytest.mark.parametrize("title", DEVIATIONS)
def test_deviation(title: str) -> None:
    DEVIATIONS[title]()


def table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading of the page, without its head."""
    text = PAGE.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_the_page_lists_every_deviation() -> None:
    assert sorted(row[0] for row in table("Where it leaves NumPy")) == sorted(DEVIATIONS)


def test_the_page_states_the_bound_of_every_function() -> None:
    bounds = {n: f.ulp for n, f in scalar.FUNCTIONS.items() if f.ulp}
    stated = {
        name.strip("` "): float(row[0])
        for row in table("How exact the functions are")
        for name in row[1].split(",")
    }
    assert stated == bounds
