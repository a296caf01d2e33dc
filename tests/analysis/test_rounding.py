"""Wide floats that are read rounded become narrow, and nothing else changes."""

from __future__ import annotations

import linecache
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.analysis.rounding import rounded
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir import nodes as ir
from kernelkit.ir.printer import format_kernel
from kernelkit.ir.verify import verify
from kernelkit.runtime.arguments import read
from kernelkit_python import backend as reference

SINGLE, HALF = np.zeros(4, np.float32), np.zeros(4, np.float16)
COMPLEX = np.zeros(4, np.complex64)


def parsed(kernel: Any, *args: Any) -> ir.Kernel:
    reading = read(kernel.parameters, kernel.parameters.bind(args, {}))
    return verify(parse(read_source(kernel.__wrapped__), reading.types, ir.Options()).kernel)


def types(kernel: Any, *args: Any) -> dict[str, str]:
    """The types of the scalars of a kernel once they are rounded."""
    found = verify(rounded(parsed(kernel, *args)))
    names = [p for p in found.params if isinstance(p, ir.Var)]
    names += (var for stmt in ir.walk(found.body) for var in ir.targets(stmt))
    return {var.name: var.type.name for var in names}


def body(kernel: Any, *args: Any) -> list[str]:
    """The lines of a rounded kernel, but for its head."""
    text = format_kernel(rounded(parsed(kernel, *args)))
    return [line.strip() for line in text.splitlines() if not line.startswith(("@", "kernel"))]


# ---------------------------------------------------------------- what is rounded
@kk.kernel
def scale(a, x):
    x[0] = a * x[1]


@pytest.mark.parametrize(
    ("value", "array", "dtype"),
    [
        (2.0, SINGLE, "float32"),
        (2.0, HALF, "float16"),
        (2.0, COMPLEX, "float32"),  # the real number is rounded, then made complex
        (2j, COMPLEX, "complex64"),
        (2.0, np.zeros(4), "float64"),
        (2, SINGLE, "int64"),
        (np.float64(2), np.zeros(4), "float64"),
    ],
)
def test_parameters_have_the_type_in_which_they_are_read(
    value: Any, array: Any, dtype: str
) -> None:
    assert types(scale, value, array) == {"a": dtype}


def test_casts_are_gone_but_those_to_complex() -> None:
    assert body(scale, 2.0, SINGLE) == ["x[0] = a * x[1]"]
    assert body(scale, 2.0, COMPLEX) == ["x[0] = complex64(a) * x[1]"]


@kk.kernel
def explicit(a, x):
    x[0] = np.float32(a)


def test_strong_numbers_too() -> None:
    assert types(explicit, np.float64(0.1), SINGLE) == {"a": "float32"}


@kk.kernel
def stored(a, x):
    x[0] = a


def test_a_store_rounds() -> None:
    assert types(stored, np.float64(0.1), HALF) == {"a": "float16"}


def blend(x, a, b):
    t = a if x > 0 else -b
    return t * x


@kk.kernel
def indirect(a, b, x):
    x[0] = blend(x[1], a, b)
    x[2] = blend(x[1], a, 0.1)


def test_copies_choices_and_signs_are_seen_through() -> None:
    assert set(types(indirect, 1.0, 2.0, SINGLE).values()) == {"float32"}


@kk.kernel
def reassigned(a, b, x):
    if x[0] > 0:
        a = abs(b)
    x[0] = a * x[1]


def test_assigned_parameters() -> None:
    assert types(reassigned, 1.0, 2.0, SINGLE) == {"a": "float32", "b": "float32"}


@kk.kernel
def constants(x):
    alpha = 0.1
    unused = 2.5
    x[0] *= alpha if x[1] > 0 else 0.7


def test_constants_are_rounded() -> None:
    assert types(constants, SINGLE) == {"alpha": "float32", "unused": "float32"}
    stmts = list(ir.walk(rounded(parsed(constants, SINGLE)).body))
    assert isinstance(stmts[0], ir.Assign) and isinstance(stmts[0].value, ir.Constant)
    assert stmts[0].value.value == float(np.float32(0.1))
    assert "float64" not in "\n".join(body(constants, SINGLE))


@kk.kernel
def unread(a, z, x):
    x[0] = 1


def test_what_is_not_read_is_narrow() -> None:
    assert types(unread, 1.0, 1j, SINGLE) == {"a": "float32", "z": "complex64"}


# ---------------------------------------------------------------- what stays
@kk.kernel
def computed(a, x):
    x[0] = a * 2 * x[1]


@kk.kernel
def compared(a, b, x):
    if a < 1:
        x[0] = a * x[1]
    x[2] = b * x[1]


@kk.kernel
def two_types(a, x, h):
    x[0] = a * x[1]
    h[0] = a * h[1]


@kk.kernel
def printed(a, x):
    x[0] = a * x[1]
    print(a)


@kk.kernel
def loaded(a, d, x):
    t = a
    if x[1] > 0:
        t = d[0]
    x[0] = np.float32(t) + np.float32(a)


@kk.kernel
def chosen(a, b, x, d):
    x[0] = np.float32(a if x[1] > 0 else b)
    d[0] = b


@kk.kernel
def conditional(a, b, c, x):
    t = a if b > 0.5 else 1.5
    x[0] = (t if c > 0.5 else 0.1) * x[1]


@kk.kernel
def whole(a, x):
    x[0] = int(a)


@pytest.mark.parametrize(
    ("kernel", "args", "wide"),
    [
        (computed, (1.0, SINGLE), {"a"}),
        (compared, (1.0, 1.0, SINGLE), {"a"}),
        (two_types, (1.0, SINGLE, HALF), {"a"}),
        (printed, (1.0, SINGLE), {"a"}),
        (loaded, (1.0, np.zeros(4), SINGLE), {"a", "t"}),
        (chosen, (1.0, 1.0, SINGLE, np.zeros(4)), {"a", "b"}),
        (conditional, (1.0, 1.0, 1.0, SINGLE), {"b", "c"}),
        (whole, (1.0, SINGLE), {"a"}),
    ],
)
def test_what_is_read_wide_stays_wide(kernel: Any, args: Any, wide: set[str]) -> None:
    found = types(kernel, *args)
    assert {name for name, dtype in found.items() if dtype == "float64"} == wide


def test_a_kernel_without_such_floats_is_left_alone() -> None:
    kernel = parsed(scale, 2, SINGLE)
    assert rounded(kernel) is kernel


# ---------------------------------------------------------------- no result changes
class Rounding(type(reference)):  # type: ignore[misc]
    """The reference, with rounded arguments."""

    name, rounds = "rounding", True


@pytest.fixture
def rounding() -> Iterator[None]:
    kk.registry.register(Rounding())
    yield
    kk.registry.unregister("rounding")


VALUES = (
    0.1,
    -0.0,
    1e300,
    -1e300,
    1e-300,
    65520.0,
    3.4028235677973366e38,
    float("nan"),
    1 + 2**-11,
)
NAMES = ("a", "b", "p", "q")


def expression(rng: random.Random, depth: int = 3) -> str:
    inner = [expression(rng, depth - 1) for _ in range(2)] if depth else []
    kind = rng.randrange(9) if depth else 0
    if kind < 4:
        return rng.choice((*NAMES, *NAMES, "0.1", "1e39"))
    return (
        f"(-{inner[0]})", f"abs({inner[0]})", f"({inner[0]} if x[1] > 0 else {inner[1]})",
        f"same({inner[0]})", f"({inner[0]} + {inner[1]})",
    )[kind - 4]  # fmt: skip


def program(rng: random.Random) -> str:
    lines = ["def kernel(a, b, x, h):", "    p, q = a, 0.3"]
    for _ in range(rng.randrange(2, 7)):
        value = expression(rng)
        line = rng.choice((f"{rng.choice(NAMES)} = {value}",) * 2 + (
            f"x[0] += {value} * x[1]", f"x[2] = {value}", f"h[0] = {value}", f"h[1] += {value}",
            f"x[3] = {value} * h[2]",
        ))  # fmt: skip
        where = rng.choice(("if x[1] > 0: ", "", ""))
        lines.append(f"    {where}{line}")
    return "\n".join(lines) + "\n"


def same(value):
    return value


def test_random_kernels_give_the_same_bits(rounding: None) -> None:
    changed = 0
    for seed in range(60):
        rng = random.Random(seed)
        source, file = program(rng), f"<rounding {seed}>"
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        scope: dict[str, Any] = {"same": same}
        exec(compile(source, file, "exec"), scope)
        kernel = kk.kernel(scope["kernel"])
        kind = rng.choice((float, np.float64))
        scalars, side = (rng.choice(VALUES), kind(rng.choice(VALUES))), rng.choice((1, -1))
        results = []
        for place in ("python", "rounding"):
            x = np.array([1, side, 0, 0], np.float32)
            h = np.array([0, 1, 2], np.float16)
            with np.errstate(all="ignore"):
                kernel.on(place)[1, 1](*scalars, x, h)
            results.append(
                (np.isnan(x).tolist(), np.nan_to_num(x).tobytes(), np.nan_to_num(h).tobytes())
            )
        assert results[0] == results[1], f"{source}\n{scalars}"
        before = parsed(kernel, *scalars, x, h)
        changed += rounded(before) is not before
    assert changed > 20
