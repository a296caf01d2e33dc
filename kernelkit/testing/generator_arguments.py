"""Arrays for random kernels: deterministic contents, in every layout that an argument may have.

In: a dtype's name, a shape, a seed and the name of a layout. Out: a NumPy array.
Holds: equal arguments give equal arrays; contents mix ordinary values with the hard ones (extremes,
NaN, infinities, zeros of both signs, denormals). Printed random kernels import this module, so that
a person can paste one into a file and run it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def _spaced(shape: Shape, dtype: np.dtype) -> Array:
    base = np.zeros((*shape[:-1], 2 * shape[-1] + 1), dtype)
    return base[..., 1::2]


def _offset(shape: Shape, dtype: np.dtype) -> Array:
    return np.zeros([n + 2 for n in shape], dtype)[tuple(slice(1, n + 1) for n in shape)]


#: Writable layouts: an empty array of that shape, whose elements lie in memory as the name says.
LAYOUTS: Final[dict[str, Callable[[Shape, np.dtype], Array]]] = {
    "C": lambda shape, dtype: np.zeros(shape, dtype),
    "reversed": lambda shape, dtype: np.zeros(shape, dtype)[tuple([slice(None, None, -1)] * len(shape))],
    "spaced": _spaced,
    "offset": _offset,
    "F": lambda shape, dtype: np.zeros(shape[::-1], dtype).T,
}  # fmt: skip
#: Layouts for arrays that are only read: those, a flag, and an axis of stride 0.
READ_LAYOUTS: Final = (*LAYOUTS, "readonly", "repeated")

_SPECIAL_FLOATS: Final = (
    0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 0.5, 2.5, 65504.0, 6e-8, 1e-40, 3e38, 1e300,
)  # fmt: skip


def _integers(rng: np.random.Generator, shape: Shape, dtype: np.dtype) -> Array:
    info = np.iinfo(dtype)
    least, most = int(info.min), int(info.max)
    small = rng.integers(max(least, -20), 100, shape)
    wide = rng.integers(least, most, shape, dtype, endpoint=True)
    edge = np.array([0, 1, least, most, most - 1, least + 1], dtype)[rng.integers(0, 6, shape)]
    kind = rng.integers(0, 10, shape)
    return np.where(kind < 6, small.astype(dtype), np.where(kind < 8, wide, edge)).astype(dtype)


def _floats(rng: np.random.Generator, shape: Shape, dtype: np.dtype) -> Array:
    quarters = rng.integers(-40, 41, shape) / 4
    scaled = (rng.random(shape) - 0.5) * 10.0 ** rng.integers(-4, 5, shape)
    special = np.array(_SPECIAL_FLOATS)[rng.integers(0, len(_SPECIAL_FLOATS), shape)]
    kind = rng.integers(0, 10, shape)
    with np.errstate(all="ignore"):
        return np.where(kind < 6, quarters, np.where(kind < 8, scaled, special)).astype(dtype)


def _contents(rng: np.random.Generator, shape: Shape, dtype: np.dtype) -> Array:
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        return _integers(rng, shape, dtype)
    if dtype.kind == "f":
        return _floats(rng, shape, dtype)
    out = np.empty(shape, dtype)
    out.real, out.imag = (_floats(rng, shape, out.real.dtype) for _ in range(2))
    return out


def array(dtype: str, shape: Shape, seed: int = 0, layout: str = "C") -> Array:
    """An array for a random kernel; the layout is one of READ_LAYOUTS."""
    kind = np.dtype(dtype)
    contents = np.asarray(_contents(np.random.default_rng(seed), shape, kind), kind)
    if layout == "repeated":
        return np.broadcast_to(contents[:1], shape)
    made = LAYOUTS["C" if layout == "readonly" else layout](shape, kind)
    made[...] = contents
    if layout == "readonly":
        made.flags.writeable = False
    return made
