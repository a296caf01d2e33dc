"""The device functions that printed kernels call, by name.

In: a name `_k_...` and `Words`. Out: the function, made once for these words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from kernelkit.ir.types import DTYPES, DType
from kernelkit_numba import atomics, complexes, floats, integers, warps
from kernelkit_numba.words import Function, Words

Factory = Callable[[Words, DType], Function]

_INTEGER: Final[dict[str, Factory]] = {
    "floordiv": integers.floordiv, "mod": integers.mod, "pow": integers.power,
    "shl": integers.shl, "shr": integers.shr, "abs": integers.absolute, "popc": integers.popc,
    "clz": integers.clz, "ffs": integers.ffs, "brev": integers.brev, "min": integers.least,
    "max": integers.greatest, "fmin": integers.fmin, "fmax": integers.fmax,
}  # fmt: skip
_FLOAT: Final[dict[str, Factory]] = {
    "floordiv": floats.floordiv, "mod": floats.mod, "ldexp": floats.ldexp,
    "frexp_mantissa": floats.frexp_mantissa, "frexp_exponent": floats.frexp_exponent,
    "modf_fraction": floats.modf_fraction, "degrees": floats.degrees, "radians": floats.radians,
    "isnan": floats.isnan, "isinf": floats.isinf, "isfinite": floats.isfinite,
    "min": integers.least, "max": integers.greatest, "fmin": integers.fmin, "fmax": integers.fmax,
}  # fmt: skip
_COMPLEX: Final[dict[str, Factory]] = {
    "add": complexes.add, "sub": complexes.sub, "mul": complexes.mul,
    "truediv": complexes.truediv, "neg": complexes.neg, "conj": complexes.conj,
    "abs": complexes.absolute, "eq": complexes.eq, "ne": complexes.ne,
    "truth": complexes.truth, "real": complexes.of_real,
    "mul_rn": lambda words, dtype: complexes.mul(words, dtype, exact=True),
    "truediv_rn": lambda words, dtype: complexes.truediv(words, dtype, exact=True),
}  # fmt: skip
_BY_KIND: Final = {"i": _INTEGER, "u": _INTEGER, "f": _FLOAT, "c": _COMPLEX}
_ALONE: Final[dict[str, Callable[[Words], Function]]] = {
    "float16": floats.float16,
    "narrow": floats.narrow,
    "nextafter_float16": floats.nextafter_float16,
    "selp": integers.selp,
}
_NAME: Final = re.compile(r"_k_((?:atomic\d+|warp|saturate)_)?(\w*?)_?([a-z]+\d+|bool|)$")
#: What a text may call.
CALLED: Final = re.compile(r"\b_k_\w+(?=\()")


class Library:
    """The functions for one kind of words; `atomics` says which of numba.cuda's are used."""

    def __init__(self, words: Words, atomics: frozenset[tuple[str, str]]) -> None:
        self._words, self._atomics = words, atomics
        self._made: dict[str, Function] = {}

    def __getitem__(self, name: str) -> Function:
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = self._make(name)
        return found

    def _make(self, name: str) -> Function:
        alone = _ALONE.get(name.removeprefix("_k_"))
        if alone is not None:
            return alone(self._words)
        parts = _NAME.match(name)
        if parts is None:
            raise KeyError(name)
        family, op, dtype = parts[1] or "", parts[2], DTYPES.get(parts[3], DTYPES["bool"])
        if family.startswith("atomic"):
            rank = int(family[6:-1])
            if rank and (op, dtype.name) in self._atomics:
                return atomics.native(self._words, op, rank)
            return atomics.atomic(self._words, op, dtype)
        if family == "warp_":
            return warps.warp(self._words, op, dtype)
        if family == "saturate_":
            return integers.saturate(self._words, DTYPES[op], dtype)
        return _BY_KIND[dtype.kind][op](self._words, dtype)
