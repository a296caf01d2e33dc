"""Every operation of the scalar table, as LLVM code, gives what the table says."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kernelkit.ir import scalar
from kernelkit.ir.types import BOOL, DTYPES, INT64, DType
from kernelkit.testing.comparison import assert_bits_equal, ulp_distance
from kernelkit.testing.scalars import elementwise, elementwise_cast, pairs, random, special
from kernelkit_cpu.operations import Operations
from kernelkit_cpu.targets import CpuTarget
from kernelkit_cpu.types import Parts

Array = npt.NDArray[Any]
#: An operation and the types of its operands; of a cast, the source and the target.
Case = tuple[str, tuple[DType, ...]]

#: Where code runs, and for how many lanes; each kind of processor has ways of its own.
PLACES = [
    (name, lanes)
    for name, lanes in [("native", 0), ("native", 1), ("native", 16), ("avx2", 8), ("sse2", 4)]
    if CpuTarget.parse(name).runs_here()
]


# ---------------------------------------------------------------- what there is
def operand_types(op: str, dtype: DType) -> tuple[DType, ...]:
    if op in scalar.FUNCTIONS:
        special = {"ldexp": (dtype, INT64), "selp": (BOOL, dtype, dtype)}
        return special.get(op, (dtype,) * scalar.FUNCTIONS[op].arity)
    return (dtype,) * (1 if op in scalar.UNARY else 2)


def operators() -> Iterator[Case]:
    for op in (*scalar.UNARY, *scalar.BINARY, *scalar.COMPARE):
        for dtype in DTYPES.values():
            yield op, operand_types(op, dtype)


def functions() -> Iterator[Case]:
    for op in scalar.FUNCTIONS:
        for dtype in DTYPES.values():
            yield op, operand_types(op, dtype)


def casts() -> Iterator[Case]:
    for source in DTYPES.values():
        for target in DTYPES.values():
            if scalar.can_cast(source, target):
                yield "cast", (source, target)


def defined(cases: Iterator[Case]) -> list[Case]:
    return [(op, types) for op, types in cases if op == "cast" or scalar.result_type(op, *types)]


GROUPS = {
    name: defined(make())
    for name, make in {"operators": operators, "functions": functions, "casts": casts}.items()
}


def write(
    op: str, types: tuple[DType, ...], to: Operations, args: list[Parts], lanes: int
) -> Parts:
    if op == "cast":
        return to.cast(*types, args[0], lanes)
    if op in scalar.FUNCTIONS:
        return to.intrinsic(op, types, args, lanes)
    if op in scalar.UNARY:
        return to.unary(op, types[0], args[0], lanes)
    method = to.binary if op in scalar.BINARY else to.compare
    return method(op, types[0], args[0], args[1], lanes)


def add(batch: Any, case: Case) -> int:
    op, types = case
    if op == "cast":
        sources, result = types[:1], types[1]
    else:
        found = scalar.result_type(op, *types)
        assert found is not None
        sources, result = types, found
    return batch.add(sources, result, functools.partial(write, op, types))


# ---------------------------------------------------------------- what it gives
@functools.cache
def operands(op: str, types: tuple[DType, ...]) -> tuple[Array, ...]:
    sources = types[:1] if op == "cast" else types
    if len(sources) == 1:
        return (np.concatenate([special(sources[0]), random(sources[0], 300, seed=5)]),)
    if len(sources) == 2 and sources[0] == sources[1]:
        return pairs(sources[0], 300, seed=5)
    rng = np.random.default_rng(4)
    samples = [np.concatenate([special(t), random(t, 500, seed=5)]) for t in sources]
    return tuple(rng.choice(each, 2000) for each in samples)


@functools.cache
def expected(op: str, types: tuple[DType, ...]) -> Array:
    arrays = operands(op, types)
    return elementwise_cast(*types, *arrays) if op == "cast" else elementwise(op, types, *arrays)


def bound(op: str, dtype: DType) -> float:
    """By how many ulp a result may differ from the table's, which errs within the bound itself in
    float64, and rounds what is better by far in the other types."""
    if op == "abs" and dtype.is_complex:
        ulp = scalar.FUNCTIONS["hypot"].ulp
    else:
        ulp = scalar.FUNCTIONS[op].ulp if op in scalar.FUNCTIONS else None
    if ulp is None or ulp < 1:
        return 0.0
    return {16: 1.0, 32: ulp}.get(dtype.component.bits, 2 * ulp)


def check(case: Case, found: Array) -> None:
    op, types = case
    wanted, limit = expected(op, types), bound(op, types[0])
    if not limit:
        return assert_bits_equal(found, wanted, f"{op}({', '.join(map(str, types))})")
    distance = ulp_distance(found, wanted).astype(np.float64)
    if op == "lgamma":
        # Below 1 the bound counts ulps of 1.
        with np.errstate(invalid="ignore"):
            near = np.abs(found - wanted) / np.finfo(found.dtype).eps
        distance = np.where(np.abs(wanted) < 1, near, distance)
    worst = int(np.argmax(distance))
    assert distance[worst] <= limit, (
        f"{op}({', '.join(repr(a[worst]) for a in operands(op, types))}) = {found[worst]!r}, "
        f"not {wanted[worst]!r}: {distance[worst]} ulp"
    )
    same_sign = np.signbit(found) == np.signbit(wanted)
    assert np.all(same_sign | np.isnan(wanted)), f"{op}({types[0]}): the sign of a result"


def foreign_names(data: bytes) -> set[bytes]:
    """What object code calls of a compiler's run-time library, which a process need not have; the
    functions of the C library are no such names."""
    return {each for each in data.split(b"\0") if each.startswith(b"__")}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize(("name", "lanes"), PLACES)
def test_the_table(batch: Any, name: str, lanes: int, group: str) -> None:
    cases = GROUPS[group]
    code = batch(CpuTarget.parse(name), lanes)
    numbers = [add(code, case) for case in cases]
    code.load()
    assert foreign_names(code.data) == set()
    for case, number in zip(cases, numbers, strict=True):
        check(case, code(number, *operands(*case)))


@pytest.mark.parametrize("lanes", [2, 32, 64])
def test_other_widths(batch: Any, lanes: int) -> None:
    some = [case for group in GROUPS.values() for case in group[lanes % 7 :: 7]]
    code = batch(CpuTarget.parse("native"), lanes)
    numbers = [add(code, case) for case in some]
    code.load()
    for case, number in zip(some, numbers, strict=True):
        check(case, code(number, *operands(*case)))


@pytest.mark.parametrize("lanes", [0, 4])
def test_the_other_kind_of_processor(batch: Any, lanes: int) -> None:
    code = batch(CpuTarget.parse("neon" if CpuTarget.parse("native").is_x86 else "avx2"), lanes)
    for group in GROUPS.values():
        for case in group:
            add(code, case)
    assert foreign_names(code.compile()) == set()
