"""The IR's printed form of real kernels, whole, against the files in golden/.

`KERNELKIT_REGENERATE=1 pytest tests/ir/test_golden.py` writes the files anew; read the difference.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.demo import kernels as demo
from kernelkit.frontend.arguments import ArgType, ScalarArg, StaticArg, TupleArg
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir import nodes
from kernelkit.ir.printer import format_kernel
from kernelkit.ir.types import FLOAT64, INT64, ArrayType, from_numpy
from kernelkit.ir.verify import verify

GOLDEN = Path(__file__).parent / "golden"
REGENERATE = bool(os.environ.get("KERNELKIT_REGENERATE"))

PRIMES = np.array([2, 3, 5, 7], np.int32)
PRIMES.flags.writeable = False


# ---------------------------------------------------------------- kernels
def branches(a, out):
    i = kk.grid(1)
    if i >= out.size:
        return
    if a[i] > 10:
        kind = 1
    elif a[i] < -10:
        kind = 2
    else:
        kind = 0
    total = 0
    for k in range(a[i] % 7, 20, 3):
        if k == a[i]:
            continue
        total += k
        if total > 40:
            break
    else:
        total = -total
    while total > 0 and kind != 0:
        total -= kind
    else:
        total += 100
    out[i] = total


def lazy(a, out, n):
    i = kk.grid(1)
    x = a[i] if 0 <= i < n else 0.5
    if (i > 0 and a[i - 1] > 0) or not (x < 3):
        out[i] = x
    while (k := kk.atomic.add(out, 0, 1)) < 3 and a[i] > k:
        x += 1
    out[i] = x if kk.atomic.exch(out, 1, 2) > 0 else kk.shfl_sync(0xFFFFFFFF, x, 0)


@kk.device
def first_above(array, limit):
    for k in range(len(array)):
        if array[k] > limit:
            return k, array[k]
    return -1, limit


def squared(x, power=2):
    return x**power


@kk.device
def put(array, k, value):
    if k < 0:
        return
    array[k] = value


def inlined(image, out):
    i = kk.grid(1)
    k, value = first_above(image[i], 3.5)
    put(out, k, squared(value))
    out[i] += squared(value, power=3)


def memories(image, out, n):
    tile = kk.shared.array((8, 9), np.float32)
    rest = kk.shared.array(0, np.int16)
    mine = kk.local.array(4, np.complex64)
    table = kk.const.array_like(PRIMES)
    x, y = kk.threadIdx.x, kk.threadIdx.y
    row = image[y]
    tile[y, x] = row[x]
    rest[x] = n
    for k in range(4):
        mine[k] = table[k] + PRIMES[-1] * 1j
    kk.syncthreads()
    out[y, x] = tile[x, y] + rest[-1 - x] + mine[x % 4].real


def meetings(a, out):
    tid = kk.threadIdx.x
    count = kk.syncthreads_count(a[tid] > 0)
    if kk.syncthreads_or(a[tid] < -5) and kk.uniform(count) > 3:
        kk.syncthreads()
    every = kk.syncthreads_and(a[tid] != 0)
    kk.threadfence()
    kk.threadfence_block()
    kk.threadfence_system()
    out[tid] = count if every else -count


def atomics(ints, floats, image):
    i = kk.grid(1)
    kk.atomic.add(ints, i % 4, 1)
    old = kk.atomic.sub(ints, -1, i)
    kk.atomic.min(floats, 0, 0.5)
    kk.atomic.max(floats, 1, old)
    kk.atomic.nanmin(floats, 2, 1)
    kk.atomic.nanmax(floats, 3, 2)
    kk.atomic.and_(ints, 0, 7)
    kk.atomic.or_(ints, 0, 8)
    kk.atomic.xor(ints, 0, 9)
    kk.atomic.inc(ints, 0, 13)
    kk.atomic.dec(ints, 0, 13)
    kk.atomic.add(image, (i, 0), 2.5)
    if kk.atomic.cas(ints, 5, 0, 1) == 0 and kk.atomic.compare_and_swap(ints, 0, 2) == 0:
        ints[6] = kk.atomic.exch(ints, 7, 3)


def warps(a, out):
    lane = kk.laneid
    full = 0xFFFFFFFF
    total = a[lane]
    for step in (16, 8, 4, 2, 1):
        total += kk.shfl_down_sync(full, total, step)
    total += kk.shfl_up_sync(full, total, 1) + kk.shfl_xor_sync(full, total, 3)
    kk.syncwarp()
    mask, same = kk.match_all_sync(full, lane)
    votes = kk.popc(kk.ballot_sync(full, total > 0)) + kk.popc(kk.match_any_sync(full, lane % 3))
    if kk.all_sync(full, total > 0) or kk.any_sync(full, same) or kk.eq_sync(full, total < 3):
        votes += kk.popc(mask & kk.activemask() & kk.lanemask_lt())
    out[lane] = kk.shfl_sync(full, total, 0) + votes


def numbers(ints, bytes_, floats, halves, complexes, flags, n, scale):
    i = kk.grid(1)
    k, b, f, h, z, p = ints[i], bytes_[i], floats[i], halves[i], complexes[i], flags[i]
    ints[i] = ((k + b) // 3 % 7 << 2 >> n & 0xFF | 1 ^ ~k) ** 2
    bytes_[i] = min(b, 7) + max(-b, 1) + abs(k)
    floats[i] = k * f + scale * f / 3 + math.sqrt(f) ** 0.5 - np.float64(f)
    halves[i] = h * 2 + f
    complexes[i] = z * z / (1 + 2j) + z.real * z.conjugate()
    flags[i] = (not p and k <= n != 3) or math.isnan(f) or bool(b)
    floats[i] += round(f) + math.floor(h) + int(f) + float(k) + kk.fma(f, f, 1) + kk.selp(p, f, 0)


class Window(NamedTuple):
    src: Any
    radius: int


def static(window, out, bias, taps: kk.constexpr):
    i = kk.grid(1)
    total = 0.0
    at = i - window.radius
    for tap in taps:
        total += window.src[at] * tap
        at += 1
    pair = (total, -total)
    high, low = pair if bias is None else (total + bias, total)
    for part in (high, low, pair[1]):
        if part > 3:
            break
        out[i] += part


def spoken(a):
    i = kk.grid(1)
    assert a[i] > 0, f"element {i} is {a[i]:.3f}"
    if a[i] > 100:
        print("large:", a[i], f"at {i:4d}", sep=" ", end="!\n")
        breakpoint()


# ---------------------------------------------------------------- cases
def argument(example: object) -> ArgType:
    """The type of "float32[:, :]", a Python or NumPy number type, a tuple of such, or a constant."""
    if isinstance(example, str):
        name, _, axes = example.partition("[")
        dtype = from_numpy(name)
        assert dtype is not None
        return ArrayType(dtype, axes.count(":"))
    if isinstance(example, Window):
        return TupleArg((argument(example.src), StaticArg(example.radius)), Window)
    if example in (int, float):
        return ScalarArg(INT64) if example is int else ScalarArg(FLOAT64, weak=True)
    return StaticArg(example)


CASES: tuple[tuple[Callable[..., Any], tuple[object, ...]], ...] = (
    (branches, ("int32[:]", "int64[:]")),
    (lazy, ("float32[:]", "float32[:]", int)),
    (inlined, ("float32[:, :]", "float32[:]")),
    (memories, ("float32[:, :]", "float32[:, :]", int)),
    (meetings, ("int32[:]", "int32[:]")),
    (atomics, ("uint32[:]", "float64[:]", "float32[:, :]")),
    (warps, ("float32[:]", "float32[:]")),
    (
        numbers,
        ("int32[:]", "uint8[:]", "float32[:]", "float16[:]", "complex64[:]", "bool[:]", int, float),
    ),
    (static, (Window("float32[:]", 1), "float32[:]", None, (0.25, 0.5, 0.25))),
    (spoken, ("float32[:]",)),
    (demo.correlate.__wrapped__, ("float32[:, :]",) * 3),
    (demo.blur.__wrapped__, ("float32[:, :]", "float32[:, :]", "float32[:]")),
    (demo.wavelet.__wrapped__, ("float32[:, :]",) * 5),
)


def parsed(function: Callable[..., Any], examples: tuple[object, ...]) -> nodes.Kernel:
    source = read_source(function)
    arguments = dict(zip(source.signature.parameters, map(argument, examples), strict=True))
    return verify(parse(source, arguments, nodes.Options()).kernel)


@pytest.mark.parametrize(("function", "examples"), CASES, ids=lambda x: getattr(x, "__name__", ""))
def test_the_printed_form_is_as_before(
    function: Callable[..., Any], examples: tuple[object, ...]
) -> None:
    text = format_kernel(parsed(function, examples)) + "\n"
    path = GOLDEN / f"{function.__name__}.txt"
    if REGENERATE:
        path.write_text(text)
    assert text == path.read_text()


def test_every_file_has_its_kernel() -> None:
    assert {p.stem for p in GOLDEN.glob("*.txt")} == {f.__name__ for f, _ in CASES}


def test_every_kind_of_node_is_printed() -> None:
    seen: set[type] = set()
    for function, examples in CASES:
        for stmt in nodes.walk(parsed(function, examples).body):
            seen.add(type(stmt))
            seen.update(type(e) for top in nodes.expressions(stmt) for e in nodes.walk_expr(top))
    assert seen >= {*get_args(nodes.Stmt), *get_args(nodes.Expr)}
