"""Values of each scalar type that are worth trying, and the scalar table over whole arrays.

In: a dtype. Out: arrays: the special values, and random ones that cover every exponent; or what an
operation of the table gives for each element. Holds: the same seed gives the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernelkit.ir import scalar
from kernelkit.ir.types import DType

Array = npt.NDArray[Any]


def special(dtype: DType) -> Array:
    """Zeros, ones, ends of the range, limits of other types and, of floats, what IEEE adds."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.is_integer:
        return np.array(sorted(_integers(dtype)), dtype.numpy)
    parts = np.unique(_floats(dtype.component).view(f"u{dtype.component.itemsize}"))
    reals = parts.view(dtype.component.numpy)
    return _complexes(dtype) if dtype.is_complex else reals


def random(dtype: DType, count: int, seed: int = 0) -> Array:
    """Half of the values have random bits, half are of everyday size."""
    rng = np.random.default_rng([seed, *dtype.name.encode()])
    if dtype.is_complex:
        parts = random(dtype.component, 2 * count, seed)
        rng.shuffle(parts)
        return parts.view(dtype.numpy)
    if dtype.kind == "b":
        return rng.integers(0, 2, count).astype(bool)
    bits = np.frombuffer(rng.bytes(dtype.itemsize * (count - count // 2)), dtype.numpy)
    if dtype.is_integer:
        small = rng.integers(max(dtype.minimum, -100), 101, count // 2).astype(dtype.numpy)
    else:
        small = rng.normal(0, 10, count // 2).astype(dtype.numpy)
    return np.concatenate([bits, small])


def pairs(dtype: DType, count: int, seed: int = 0) -> tuple[Array, Array]:
    """Operands for two-place operations: each special value with each, then random ones."""
    values = special(dtype)
    left, right = np.repeat(values, len(values)), np.tile(values, len(values))
    more = random(dtype, 2 * count, seed)
    np.random.default_rng(seed).shuffle(more)
    return np.concatenate([left, more[:count]]), np.concatenate([right, more[count:]])


# ---------------------------------------------------------------- the table over arrays
def elementwise(op: str, types: tuple[DType, ...], *arrays: Array) -> Array:
    """An operation of the scalar table on each element."""
    result = scalar.result_type(op, *types)
    if result is None:
        raise ValueError(f"{op}({', '.join(map(str, types))}) is not in the scalar table")
    names = [f"x{i}" for i in range(len(types))]
    return _run(scalar.expression(op, types, names), names, types, arrays, result)


def elementwise_cast(source: DType, target: DType, array: Array) -> Array:
    """A cast of the scalar table of each element."""
    text = scalar.cast_expression(source, target, "x0")
    return _run(text, ["x0"], (source,), (array,), target)


def _run(
    text: str,
    names: Sequence[str],
    types: Sequence[DType],
    arrays: Sequence[Array],
    result: DType,
) -> Array:
    columns = [
        list(a) if t.kind in "fc" else a.tolist() for t, a in zip(types, arrays, strict=True)
    ]
    source = f"[{text} for {', '.join(names)}, in zip(*columns, strict=True)]"
    with np.errstate(all="ignore"):
        values = eval(source, {**scalar.NAMESPACE, "columns": columns})
    return np.array(values, result.numpy)


# ---------------------------------------------------------------- special values
def _integers(dtype: DType) -> set[int]:
    """0 to 3, the width and its neighbours, powers of two where types end, each negated."""
    found = {0, 1, 2, 3, 5, 7, 10, dtype.bits - 1, dtype.bits, dtype.bits + 1}
    for bits in (7, 8, 15, 16, 24, 31, 32, 53, 63, 64):
        found |= {(1 << bits) - 1, 1 << bits, (1 << bits) + 1}
    found |= {-x for x in found} | {0x5A5A5A5A5A5A5A5A & dtype.maximum}
    return {x for x in found if dtype.minimum <= x <= dtype.maximum}


def _floats(dtype: DType) -> Array:
    info = np.finfo(dtype.numpy)
    tiny, least, great = info.smallest_normal, info.smallest_subnormal, info.max
    one = dtype.numpy.type(1)
    sizes = [
        0, 0.1, 0.25, 0.49999999, 0.5, 1 - info.epsneg, 1, 1 + info.eps, 1.5, 2, 2.5, 3, 3.5, 10,
        np.pi / 2, np.pi, 100.3, least, 3 * least, tiny - least, tiny, tiny + least, great,
        np.nextafter(great, one), np.sqrt(great), np.sqrt(tiny), np.inf, np.nan, 1000.75, 65504,
    ]  # fmt: skip
    for bits in (7, 8, 15, 16, 23, 24, 31, 32, 52, 53, 63, 64):
        sizes += [2.0**bits - 1, 2.0**bits - 0.5, 2.0**bits, 2.0**bits + 1]
    with np.errstate(over="ignore"):
        half = np.array([float(x) for x in sizes]).astype(dtype.numpy)
    return np.concatenate([half, -half])


def _complexes(dtype: DType) -> Array:
    info = np.finfo(dtype.component.numpy)
    parts = [0.0, -0.0, 1.0, -2.5, 0.1, float(info.max), float(info.smallest_subnormal), np.inf]
    parts += [float(np.sqrt(info.max)), float(info.smallest_normal), -np.inf, np.nan]
    with np.errstate(over="ignore"):
        return np.array([complex(x, y) for x in parts for y in parts]).astype(dtype.numpy)
