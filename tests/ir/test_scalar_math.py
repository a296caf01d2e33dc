"""Math functions of the table, within the bounds that they state and at their edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import COMPLEX64, COMPLEX128, FLOAT16, FLOAT32, FLOAT64, DType
from kernelkit.testing.comparison import assert_bits_equal, ulp_error
from kernelkit.testing.scalars import elementwise, pairs, random, special

Array = npt.NDArray[Any]
LONG = np.longdouble
#: Where NumPy's longdouble is no wider than a double, the yardstick itself errs.
SLACK = 0.001 if np.finfo(LONG).nmant > 60 else 4.0
PI = np.arctan(LONG(1)) * 4

in_floats = pytest.mark.parametrize("dtype", [FLOAT16, FLOAT32, FLOAT64], ids=str)


def samples(dtype: DType, count: int = 1000) -> Array:
    return np.concatenate([special(dtype), random(dtype, count)])


# ---------------------------------------------------------------- functions with a bound
BOUNDED: dict[str, Callable[..., Array]] = {
    "rsqrt": lambda x: 1 / np.sqrt(x), "cbrt": np.cbrt,
    "expm1": np.expm1, "log10": np.log10, "log1p": np.log1p,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "degrees": lambda x: x * (180 / PI), "radians": lambda x: x * (PI / 180),
    "atan2": np.arctan2, "hypot": np.hypot,
}  # fmt: skip


def bound(name: str) -> float:
    found = scalar.FUNCTIONS[name].ulp
    assert found is not None
    return found


def everyday(name: str, dtype: DType, count: int) -> Array:
    """Values where the function is neither flat nor NaN."""
    low, high = {
        "expm1": (-5, 80), "sinh": (-88, 88), "cosh": (-88, 88), "asin": (-1, 1), "acos": (-1, 1), "atanh": (-1, 1),
        "log1p": (-1, 3), "acosh": (1, 50),
    }.get(name, (0 if name.startswith(("log", "rsqrt")) else -100, 100))  # fmt: skip
    return np.random.default_rng(11).uniform(low, high, count).astype(dtype.numpy)


@in_floats
@pytest.mark.parametrize("name", BOUNDED)
def test_bounded_function(name: str, dtype: DType) -> None:
    if name in ("atan2", "hypot"):
        rng = np.random.default_rng(13)
        more = [rng.lognormal(0, 2, 3000).astype(dtype.numpy) for _ in range(2)]
        arrays = [np.concatenate([a, b]) for a, b in zip(pairs(dtype, 3000), more, strict=True)]
    else:
        arrays = [np.concatenate([samples(dtype, 3000), everyday(name, dtype, 3000)])]
    found = elementwise(name, (dtype,) * len(arrays), *arrays)
    with np.errstate(all="ignore"):
        exact = BOUNDED[name](*(a.astype(LONG) for a in arrays))
    errors = ulp_error(found, exact)
    # float32 is computed in double, float16 in float32: little is lost but the last rounding.
    limit = bound(name) if dtype == FLOAT64 else 0.51
    worst = int(np.argmax(errors))
    assert errors[worst] <= limit + SLACK, (
        f"{name}({', '.join(repr(a[worst]) for a in arrays)}) = {found[worst]!r}, "
        f"exactly {exact[worst]!r}: {errors[worst]} ulp"
    )


#: Computed with 60 digits.
REFERENCE: dict[str, list[tuple[float, str]]] = {
    "erf": [
        (1e-300, "0x1.82e6d98711d3ap-997"),
        (1e-10, "0x1.f044332d68161p-34"),
        (0.1, "0x1.cca5ea24fb334p-4"),
        (0.3, "0x1.50838881dea0fp-2"),
        (0.46875, "0x1.f86faa9428f9dp-2"),
        (0.84375, "0x1.88d1cd474a2e0p-1"),
        (0.9, "0x1.98045a6c8a2e6p-1"),
        (1.0, "0x1.af767a741088bp-1"),
        (1.25, "0x1.d8865d98abe01p-1"),
        (1.7, "0x1.f7b3620b8747bp-1"),
        (2.2, "0x1.ff0bd54025381p-1"),
        (2.857, "0x1.fff9019809317p-1"),
        (3.5, "0x1.ffffe710d565ep-1"),
        (5.0, "0x1.fffffffffc9e8p-1"),
        (5.9, "0x1.fffffffffffffp-1"),
        (6.5, "0x1.0000000000000p+0"),
    ],
    "erfc": [
        (-5.0, "0x1.fffffffffe4f4p+0"),
        (-1.0, "0x1.d7bb3d3a08445p+0"),
        (-0.2, "0x1.3903097164be3p+0"),
        (1e-10, "0x1.ffffffff07ddep-1"),
        (0.1, "0x1.c66b42bb60999p-1"),
        (0.46875, "0x1.03c82ab5eb831p-1"),
        (0.5, "0x1.eb02147ce245cp-2"),
        (0.84375, "0x1.dcb8cae2d747fp-3"),
        (0.9, "0x1.9fee964dd7469p-3"),
        (1.25, "0x1.3bcd133aa0ffcp-4"),
        (1.7, "0x1.0993be8f17094p-6"),
        (2.857, "0x1.bf99fdb3a2132p-15"),
        (3.5, "0x1.8ef2a9a18d857p-21"),
        (4.7, "0x1.0777411916ed2p-35"),
        (6.0, "0x1.8cf81557d20b6p-56"),
        (10.0, "0x1.7d8a7f2a8a2d0p-149"),
        (17.3, "0x1.35bf94181fc94p-437"),
        (25.9, "0x1.a109f2f014c36p-974"),
        (26.5, "0x1.3df6725a60cf5p-1019"),
        (27.2, "0x0.0000000000002p-1022"),
    ],
    "gamma": [
        (1e-308, "0x1.1ccf385ebc8a0p+1023"),
        (1e-10, "0x1.2a05f1ffb61ddp+33"),
        (0.01, "0x1.8dbaf797edf3dp+6"),
        (0.5, "0x1.c5bf891b4ef6bp+0"),
        (0.9999, "0x1.0003c892b9502p+0"),
        (1.0001, "0x1.fff86f8478847p-1"),
        (1.46, "0x1.c56dee7c4896ap-1"),
        (2.5, "0x1.544fa6d47b390p+0"),
        (3.3, "0x1.577ae04a2e93dp+1"),
        (7.5, "0x1.d3d0468bd32bdp+10"),
        (12.25, "0x1.192fe542fe476p+26"),
        (20.7, "0x1.b58929ee883b8p+59"),
        (33.3, "0x1.2069372b95fbdp+119"),
        (63.1, "0x1.87f5880ec48b6p+284"),
        (100.5, "0x1.5b98374db8c0bp+521"),
        (140.01, "0x1.f074e1e042940p+793"),
        (150.3, "0x1.bd343d178a854p+867"),
        (171.6, "0x1.c3adadc5107b1p+1023"),
        (-1e-05, "-0x1.86a093c50dd38p+16"),
        (-0.5, "-0x1.c5bf891b4ef6bp+1"),
        (-0.999, "-0x1.f4364c13ac936p+9"),
        (-1.001, "0x1.f3ca10731a168p+9"),
        (-2.3, "-0x1.7275a1542102ap+0"),
        (-5.5, "0x1.6595fbb34ec0fp-7"),
        (-10.1, "-0x1.29146a296668ap-19"),
        (-33.7, "0x1.9dcef06a5d532p-125"),
        (-100.3, "-0x1.25502f5484ba8p-525"),
        (-170.5, "-0x1.7d2374dfcda7ap-1022"),
        (-178.2, "-0x0.0p+0"),
        (-181.3, "0x0.0p+0"),
    ],
    "lgamma": [
        (1e-308, "0x1.62991d5d62a5ep+9"),
        (1e-10, "0x1.7069e2aa26ae4p+4"),
        (0.01, "0x1.265de0d9b33c4p+2"),
        (0.5, "0x1.250d048e7a1bdp-1"),
        (0.9, "0x1.0fe0882e465b1p-4"),
        (0.9999, "0x1.e445c88b995a5p-15"),
        (1.0001, "-0x1.e422756cb35cdp-15"),
        (1.46, "-0x1.f19a41a444903p-4"),
        (1.9999, "-0x1.62a151ce4a3dfp-15"),
        (2.0001, "0x1.62af2b5e4f9fbp-15"),
        (2.5, "0x1.2383e809a67e8p-2"),
        (3.3, "0x1.f964fc1bf8d41p-1"),
        (7.5, "0x1.e233060e41f7fp+2"),
        (12.25, "0x1.21d9c84482c3bp+4"),
        (63.1, "0x1.8a8f3f3d33f75p+7"),
        (171.9, "0x1.6399a350c5c4ap+9"),
        (100000.0, "0x1.00a97b57f4c2ep+20"),
        (1000000000000000.0, "0x1.dc9d5b94e12f3p+54"),
        (1e300, "0x1.017f38e7a1ab5p+1006"),
        (-1e-05, "0x1.7069eec51d1edp+3"),
        (-0.5, "0x1.43f89a3f0edd6p+0"),
        (-0.999, "0x1.ba1f9c6e23b25p+2"),
        (-2.3, "0x1.7a6faef4eca4fp-2"),
        (-2.457, "0x1.3a8ab4332558bp-15"),
        (-2.748, "0x1.3f062f088dda4p-11"),
        (-3.14, "0x1.ce120a0162c4cp-6"),
        (-10.1, "-0x1.a0abd02322b48p+3"),
        (-33.7, "-0x1.58a7169353469p+6"),
        (-100.3, "-0x1.6bc42616a0967p+8"),
        (-100000.3, "-0x1.00aa551b16b9ep+20"),
    ],
}


@pytest.mark.parametrize("name", REFERENCE)
def test_functions_that_numpy_lacks(name: str) -> None:
    for x, text in REFERENCE[name]:
        exact = float.fromhex(text)
        found = float(scalar.evaluate(name, (FLOAT64,), x))
        size = max(abs(exact), 1.0) if name == "lgamma" else exact
        # Half an ulp went when the reference was rounded.
        assert abs(found - exact) <= (bound(name) + 0.5) * math.ulp(size), (name, x)
        assert math.copysign(1, found) == math.copysign(1, exact), (name, x)


@pytest.mark.parametrize("dtype", [FLOAT16, FLOAT32], ids=str)
@pytest.mark.parametrize("name", REFERENCE)
def test_narrow_results_are_the_wide_ones_rounded(name: str, dtype: DType) -> None:
    values = samples(dtype)
    with np.errstate(all="ignore"):
        wide = elementwise(name, (FLOAT64,), values.astype(np.float64)).astype(np.float32)
        assert_bits_equal(elementwise(name, (dtype,), values), wide.astype(dtype.numpy))


INF, NAN = math.inf, math.nan
#: What IEEE and C ask for where a function has a pole, overflows or is not defined.
EDGES: dict[str, list[tuple[float, float]]] = {
    "sqrt": [(-0.0, -0.0), (-1, NAN), (-INF, NAN), (INF, INF)],
    "rsqrt": [(0.0, INF), (-0.0, -INF), (-1, NAN), (-INF, NAN), (INF, 0.0)],
    "expm1": [(INF, INF), (-INF, -1), (60000, INF), (-0.0, -0.0)],
    "log10": [(0.0, -INF), (-0.0, -INF), (-1, NAN), (-INF, NAN), (INF, INF)],
    "log1p": [(-1, -INF), (-2, NAN), (-INF, NAN), (INF, INF), (-0.0, -0.0)],
    "asin": [(1.5, NAN), (-INF, NAN), (-0.0, -0.0)],
    "acos": [(1.5, NAN), (INF, NAN), (1, 0.0)],
    "sinh": [(60000, INF), (-60000, -INF), (INF, INF), (-INF, -INF), (-0.0, -0.0)],
    "cosh": [(60000, INF), (-60000, INF), (-INF, INF)],
    "asinh": [(INF, INF), (-INF, -INF), (-0.0, -0.0)],
    "acosh": [(0.5, NAN), (-INF, NAN), (INF, INF), (1, 0.0)],
    "atanh": [(1, INF), (-1, -INF), (1.5, NAN), (INF, NAN), (-0.0, -0.0)],
    "erf": [(INF, 1), (-INF, -1), (-0.0, -0.0)],
    "erfc": [(INF, 0.0), (-INF, 2), (60000, 0.0)],
    "gamma": [
        (0.0, INF), (-0.0, -INF), (-1, NAN), (-2, NAN), (-INF, NAN), (INF, INF), (60000, INF),
        (-500.5, -0.0), (-501.5, 0.0),
    ],
    "lgamma": [(0.0, INF), (-0.0, INF), (-1, INF), (-INF, INF), (INF, INF), (1, 0.0), (2, 0.0)],
    "cbrt": [(-INF, -INF), (-8, -2), (-0.0, -0.0)],
    "floor": [(-0.5, -1), (-0.0, -0.0), (0.5, 0.0), (-INF, -INF)],
    "ceil": [(-0.5, -0.0), (-0.0, -0.0), (0.5, 1), (INF, INF)],
    "trunc": [(-0.5, -0.0), (1.5, 1), (-1.5, -1)],
    "round": [(0.5, 0.0), (1.5, 2), (2.5, 2), (-0.5, -0.0), (-1.5, -2), (-2.5, -2)],
    "modf_fraction": [(INF, 0.0), (-INF, -0.0), (-2.0, -0.0), (-2.5, -0.5)],
    "modf_integer": [(-INF, -INF), (-0.5, -0.0), (-2.5, -2)],
    "degrees": [(INF, INF), (-0.0, -0.0)],
}  # fmt: skip


@in_floats
@pytest.mark.parametrize("name", EDGES)
def test_edges(name: str, dtype: DType) -> None:
    for x, expected in [*EDGES[name], (NAN, NAN)]:
        found = scalar.evaluate(name, (dtype,), x)
        assert_bits_equal(found, np.array(expected, dtype.numpy), f"{name}({x})")


@pytest.mark.parametrize("dtype", [COMPLEX64, COMPLEX128], ids=str)
def test_the_size_of_a_complex_number_is_hypot(dtype: DType) -> None:
    values = samples(dtype)
    part = dtype.component
    found = elementwise("abs", (dtype,), values)
    assert_bits_equal(found, elementwise("hypot", (part, part), values.real, values.imag))
    with np.errstate(all="ignore"):
        assert ulp_error(found, np.hypot(values.real.astype(LONG), values.imag)).max() <= (
            bound("hypot") + SLACK
        )


def test_every_function_with_a_bound_is_tested_here() -> None:
    rounded_correctly = ("sqrt", "ldexp", "fma")  # with the exact ones
    bounded = {name for name, function in scalar.FUNCTIONS.items() if function.ulp}
    assert bounded - {*rounded_correctly} == {*BOUNDED, *REFERENCE}
