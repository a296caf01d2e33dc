"""The scalar table as numba.cuda Python, in plain Python: each expression against the table, bit for
bit."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import DTYPES, FLOAT16, INT64, DType
from kernelkit.testing.scalars import pairs, random, special
from kernelkit_numba import scalars
from kernelkit_numba.library import CALLED
from kernelkit_numba.simulated import LIBDEVICE, LIBRARY

ALL = tuple(DTYPES.values())


def operations() -> list[Any]:
    """Every operation of the table for every type."""
    found = []
    for op in (*scalar.UNARY, *scalar.BINARY, *scalar.COMPARE, *scalar.FUNCTIONS):
        arity = (
            scalar.FUNCTIONS[op].arity if op in scalar.FUNCTIONS else 1 + (op not in scalar.UNARY)
        )
        for dtype in ALL:
            for types in ((dtype,) * arity, (dtype, INT64), (DTYPES["bool"], dtype, dtype)):
                if scalar.result_type(op, *types) is not None:
                    found.append(pytest.param(op, types, id=f"{op}-{dtype}"))
                    break
    return found


def in_register(dtype: DType, value: Any) -> Any:
    return scalars.register(dtype).numpy.type(value)


def run(text: str, *values: Any) -> Any:
    names: dict[str, Any] = {"np": np, "libdevice": LIBDEVICE}
    names |= {name: LIBRARY[name] for name in CALLED.findall(text)}
    names |= {f"x{k}": value for k, value in enumerate(values)}
    with np.errstate(all="ignore"):
        return eval(text, names)


def samples(types: tuple[DType, ...]) -> list[tuple[Any, ...]]:
    first = types[0]
    if len(types) == 1:
        return [(x,) for x in np.concatenate([special(first), random(first, 60)])]
    if len(types) == 2 and types[0] == types[1]:
        left, right = pairs(first, 100)
        keep = np.random.default_rng(3).permutation(len(left))[:300]
        return list(zip(left[keep], right[keep], strict=True))
    columns = [np.random.default_rng(k).permutation(np.concatenate([special(t), random(t, 60)]))
               for k, t in enumerate(types)]  # fmt: skip
    return list(zip(*columns, strict=False))


def assert_same(dtype: DType, found: Any, expected: Any, values: Any) -> None:
    kind = scalars.register(dtype).numpy
    if dtype.kind != "b":
        assert np.asarray(found).dtype == kind, f"{type(found)} for {dtype}"
    a, b = np.asarray(found, kind), np.asarray(in_register(dtype, expected), kind)
    if dtype.kind in "fc":
        # All NaNs are one.
        parts = zip((a.real, a.imag), (b.real, b.imag), strict=True)
        same = all((np.isnan(x) and np.isnan(y)) or x.tobytes() == y.tobytes() for x, y in parts)
    else:
        same = bool(a == b)
    assert same, f"{found!r} for {expected!r} of {values}"


@pytest.mark.parametrize(("op", "types"), operations())
def test_every_operation_is_the_tables(op: str, types: tuple[DType, ...]) -> None:
    names = [f"x{k}" for k in range(len(types))]
    result = scalar.result_type(op, *types)
    assert result is not None
    for text in {scalars.expression(op, types, names, exact) for exact in (False, True)}:
        check(op, types, result, text)


def check(op: str, types: tuple[DType, ...], result: DType, text: str) -> None:
    for values in samples(types):
        given = map(in_register, types, values)
        expected = scalar.evaluate(op, types, *(v.item() for v in values))
        assert_same(result, run(text, *given), expected, values)


@pytest.mark.parametrize(
    ("source", "target"), [(s, t) for s, t in product(ALL, ALL) if s != t and scalar.can_cast(s, t)],
    ids=lambda t: str(t),
)  # fmt: skip
def test_every_cast_is_the_tables(source: DType, target: DType) -> None:
    text = scalars.cast(source, target, "x0")
    for (value,) in samples((source,)):
        expected = scalar.cast(source, target, value.item())
        assert_same(target, run(text, in_register(source, value)), expected, value)


def test_a_float64_is_rounded_to_float16_once() -> None:
    text = scalars.cast(DTYPES["float64"], FLOAT16, "x0")
    tie = 1 + 2.0**-11
    for value in (tie, np.nextafter(tie, 2), np.nextafter(tie, 0), -tie, 65519.999999, 65520.0):
        with np.errstate(over="ignore"):
            expected = np.float64(value).astype(np.float16)
        assert run(text, np.float64(value)) == expected


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_constants(dtype: DType) -> None:
    for value in special(dtype):
        found = run(scalars.literal(dtype, value.item()))
        assert_same(dtype, found, value, value)


def test_what_the_table_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the scalar table"):
        scalars.expression("truediv", (INT64, INT64), ["a", "b"])
    with pytest.raises(ValueError, match="no cast from complex64"):
        scalars.cast(DTYPES["complex64"], INT64, "a")
