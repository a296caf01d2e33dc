"""Kernels in which threads return before barriers: the same with all threads staying, on the back
ends of the host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from opencl_devices import FOUND, each_device

import kernelkit as kk
import kernelkit_cpu
import kernelkit_python
from kernelkit import (
    atomic,
    blockIdx,
    registry,
    shared,
    syncthreads,
    syncthreads_and,
    syncthreads_count,
    syncthreads_or,
    threadIdx,
)
from kernelkit.analysis.pipeline import Analysis, analyse
from kernelkit.analysis.shape import Shape
from kernelkit.backend import Artifact, Device, Target
from kernelkit.frontend.arguments import ScalarArg
from kernelkit.frontend.parser import parse
from kernelkit.frontend.source import read_source
from kernelkit.ir import nodes as ir
from kernelkit.ir.types import INT64, ArrayType
from kernelkit.ir.verify import verify
from kernelkit.testing import differential
from kernelkit.testing.generator import generate
from kernelkit_opencl.leaving import stay
from kernelkit_opencl.warps import divergent_warps


class Staying:
    """A back end of the host that sees kernels as OpenCL does."""

    cached = False

    def __init__(self, base: Any, name: str) -> None:
        self.base, self.name = base, name
        self.changed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.base, name)

    def probe(self) -> tuple[Device, ...]:
        return tuple(Device(self.name, d.index, d.name, d.target) for d in self.base.probe())

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        kernel = verify(stay(analysis))
        if kernel is not analysis.kernel:
            self.changed += 1
            shape = self.base.shape(kernel, analysis.shape.block, target)
            analysis = analyse(kernel, shape)
            assert not leaves_others(analysis)
        return self.base.emit(analysis, target)  # type: ignore[no-any-return]


def leaves_others(analysis: Analysis) -> bool:
    """Whether some threads may return, and others come to a barrier behind that."""
    causes, body = analysis.variability.causes, analysis.kernel.body

    def is_parting(stmt: ir.Stmt) -> bool:
        return isinstance(stmt, ir.Return) and bool(causes[stmt])

    def some(stmts: ir.Body, kind: Callable[[ir.Stmt], bool]) -> bool:
        return any(kind(s) for s in ir.walk(stmts))

    def is_barrier(stmt: ir.Stmt) -> bool:
        return isinstance(stmt, ir.Barrier)

    for stmt in ir.walk(body):
        loops = (stmt,) if isinstance(stmt, ir.For | ir.While) else ()
        if some(loops, is_barrier) and some(loops, is_parting):
            return True
    flat = list(ir.walk(body))
    last = max((n for n, s in enumerate(flat) if is_barrier(s)), default=-1)
    return any(is_parting(s) for s in flat[:last])


@pytest.fixture(params=["python", "cpu"])
def staying(request: pytest.FixtureRequest) -> Iterator[Staying]:
    base: Any = {"python": kernelkit_python.backend, "cpu": kernelkit_cpu.CpuBackend("staying")}
    made = Staying(base[request.param], "staying")
    if not made.probe():
        pytest.skip(made.why_unavailable())
    registry.register(made)  # type: ignore[arg-type]
    yield made
    registry.unregister("staying")


# ---------------------------------------------------------------- kernels
@kk.kernel
def early(src, out, n):
    tile = shared.array(64, np.int64)
    i, t = kk.grid(1), threadIdx.x
    tile[t] = 0
    syncthreads()
    if i >= n:
        return
    tile[t] = src[i]
    half = 32
    while half > 0:
        syncthreads()
        if t < half:
            tile[t] += tile[t + half]
        half //= 2
    if t == 0:
        out[blockIdx.x, 0] = tile[0]


@kk.kernel
def votes(src, out, n):
    """What returns in a loop counts no more."""
    i = kk.grid(1)
    k = 0
    while True:
        if i * 3 + k > n:
            return
        c = syncthreads_count(src[i] > k)
        a = syncthreads_and(src[i] > 2)
        o = syncthreads_or(src[i] > 90)
        out[i, 0] += c
        out[i, 1] += 100 * int(a) + int(o)
        if c == 0:
            break
        k += 5
    out[i, 2] = k


@kk.kernel
def decisions(src, out, n):
    """By what is loaded, and by what the living alone know."""
    i = kk.grid(1)
    if i >= n:
        return
    for k in range(src[blockIdx.x] % 7):
        if src[i] == k:
            return
        m = syncthreads_count(True)
        if kk.uniform(src[i] * 0 + k) == 4:
            break
        x = kk.uniform(src[i] * 0 + m)
        for _ in range(x):
            out[i, 0] += 1
            syncthreads()
        for z in range(3):
            if (src[i] + z) % 5 == 0:
                for q in range(4):
                    if q * 2 + k + src[i] % 3 > 5:
                        return
            out[i, 1] += z
        out[i, 1] += m
        syncthreads()


def fold(src, i):
    if src[i] % 4 == 1:
        return 3
    for k in range(6):
        if src[i] % 6 == k:
            return k
    return 9


@kk.kernel
def alone(src, out, n):
    """One arm returns, and the other one is all there is."""
    tile = shared.array(64, np.int64)
    i, t = kk.grid(1), threadIdx.x
    if i < n:
        k = 4
        row = out[i]
        row[2] = fold(src, i)
        tile[t] = src[i]
        syncthreads()
        row[0] = tile[(t + 1) % min(64, n - blockIdx.x * 64)]
    else:
        return
    for j in range(k):
        if src[i] % 11 == j:
            out[i, 1] = 5
            continue
        out[i, 1] += 1
    if n > 50:
        row2 = out[i]
        if src[i] > 40:
            return
        v = src[0]
        syncthreads()
        row2[1] += v
    elif src[i] < 5:
        return
    else:
        out[i, 1] += 7
    syncthreads()
    out[i, 2] += 1
    if n > 70:
        return
    syncthreads()
    if src[i] % 2:
        return
    out[i, 2] += 10


@kk.kernel
def jumps(src, out, n):
    """Returns beside jumps to the next turn."""
    i = kk.grid(1) % n
    s = 0
    while s < 6:
        s += 1
        syncthreads()
        if src[i] % 3 == s % 3:
            if src[i] % 5 == s:
                return
            continue
        atomic.add(out, (i, 1), 1)
        if src[i] % 7 == 6:
            for z in range(s):
                if z == 3:
                    return
            atomic.add(out, (i, 2), 1)
            continue
        atomic.add(out, (i, 0), 1)
    c = syncthreads_count(True)
    atomic.add(out, (i, 1), c)


@kk.kernel
def until_none(src, out, n):
    """A loop that ends for the last thread, and floats that all must know."""
    g = kk.grid(1)
    i = g % n
    b = 0
    while b < src.size * 10:
        if (src[(g + b) % n] & 3) == 0:
            atomic.add(out, (i, 0), b)
            return
        b += syncthreads_count(src[i] >= 0)
        stop = src[b] if b < src.size else 0
        if stop > 60:
            return
        if kk.uniform(float(stop + src[i] * 0)) > 50.0:
            break
    atomic.add(out, (i, 1), b)
    syncthreads()
    out[i, 2] = 1


KERNELS = (early, votes, decisions, alone, jumps, until_none)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.__name__)
@pytest.mark.parametrize("n", [1, 30, 64, 65, 100, 128, 150, 255])
def test_the_results_stay_the_same(staying: Staying, kernel: Any, n: int) -> None:
    for most in (8, 64):
        src = np.random.default_rng(n).integers(0, most, 256)
        expected, found = np.zeros((2, 256, 3), np.int64)
        kernel.on("python")[4, 64](src, expected, n)
        kernel.on("staying")[4, 64](src, found, n)
        assert (found == expected).all()
    assert staying.changed


@each_device
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.__name__)
def test_devices_give_the_same(device: Any, kernel: Any) -> None:
    for n in (1, 65, 150):
        src = np.random.default_rng(n).integers(0, 64, 256)
        expected, found = np.zeros((2, 256, 3), np.int64)
        kernel.on("python")[4, 64](src, expected, n)
        kernel.on(f"opencl:{FOUND.devices.index(device)}")[4, 64](src, found, n)
        assert (found == expected).all()


def returns_and_meets(source: str) -> bool:
    body = source.split("def kernel")[1].split("def arguments")[0]
    return "return" in body and "syncthreads" in body


GENERATED = [seed for seed in range(90) if returns_and_meets(generate(seed).source)]


@pytest.mark.parametrize("seed", GENERATED)
def test_generated_kernels_stay_the_same(seed: int) -> None:
    staying = Staying(kernelkit_cpu.CpuBackend("staying"), "staying")
    if not staying.probe():
        pytest.skip(staying.why_unavailable())
    registry.register(staying)  # type: ignore[arg-type]
    try:
        kernel = generate(seed)
        differential.check(kernel, differential.outcome(kernel, "python"), "staying", debug=False)
    finally:
        registry.unregister("staying")


# ---------------------------------------------------------------- what is written
def analysed(kernel: Any) -> Analysis:
    arguments = {
        "src": ArrayType(INT64, 1), "out": ArrayType(INT64, 2), "n": ScalarArg(INT64),
    }  # fmt: skip
    made = parse(read_source(kernel), arguments, ir.Options()).kernel
    return analyse(verify(made), Shape((64, 1, 1)))


def count(kernel: ir.Kernel, kind: type) -> int:
    return sum(isinstance(s, kind) for s in ir.walk(kernel.body))


def test_a_kernel_without_such_returns_is_itself() -> None:
    def last(src, out, n):
        syncthreads()
        if kk.grid(1) >= n:
            return
        out[kk.grid(1), 0] = 1

    def together(src, out, n):
        if n > 3:
            return
        syncthreads()

    for function in (last, together):
        found = analysed(function)
        assert stay(found) is found.kernel


def test_what_all_can_decide_costs_no_barrier() -> None:
    def guarded(src, out, n):
        if kk.grid(1) >= n:
            return
        for _ in range(n):
            syncthreads()
        if blockIdx.x > 2:
            syncthreads()

    found = analysed(guarded)
    kernel = stay(found)
    assert kernel is not found.kernel
    assert count(kernel, ir.Barrier) == 2
    assert count(kernel, ir.Return) == 0


def test_the_dead_look_before_they_load() -> None:
    def loads(src, out, n):
        if kk.grid(1) >= n:
            return
        for _ in range(src[blockIdx.x]):
            syncthreads()

    assert count(stay(analysed(loads)), ir.Barrier) == 2


# ---------------------------------------------------------------- warps by local memory
def test_warps_of_the_dead_have_empty_masks() -> None:
    def sums(src, out, n):
        i = kk.grid(1)
        if i >= n:
            return
        out[i, 0] = kk.shfl_xor_sync(0xFFFFFFFF, src[i], 1)
        out[i, 1] = kk.activemask()

    found = analysed(sums)
    kernel = stay(found, by_block=True)
    made = [s for s in ir.walk(kernel.body) if isinstance(s, ir.Warp)]
    assert [s.op for s in made] == ["shfl_xor", "ballot"]
    assert all(isinstance(s.mask, ir.Select) for s in made)
    again = analyse(verify(kernel), Shape((64, 1, 1)))
    assert not list(divergent_warps(again))
    assert not any(again.variability.causes[s] for s in made)


def test_divergent_warps_are_told_of() -> None:
    def divergent(src, out, n):
        if threadIdx.x < 7:
            out[0, 0] = kk.shfl_sync(0x7F, n, 3)
            out[0, 1] = kk.activemask()
        kk.syncwarp(0xFFFFFFFF)

    (found,) = divergent_warps(analysed(divergent))
    assert "`shfl_sync` in divergent control flow needs a device with subgroups of 32" in str(found)
    assert "threadIdx.x < 7" in str(found)
