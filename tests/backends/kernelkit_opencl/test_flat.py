"""Kernels without barriers in branches: they mean the same, on the back ends of the host and on
every device, and they are flat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from opencl_devices import FOUND, each_device

import kernelkit as kk
import kernelkit_python
from kernelkit import atomic, blockIdx, registry, shared, syncthreads, syncthreads_count, threadIdx
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
from kernelkit.testing.generator_flows import generate_flow
from kernelkit_opencl.capabilities import FLAT, capabilities
from kernelkit_opencl.emission import emit
from kernelkit_opencl.flat import flat
from kernelkit_opencl.leaving import stay
from kernelkit_opencl.pocl import watched


class Flat:
    """The reference, which sees kernels as PoCL does."""

    cached = False
    name = "flat"

    def __init__(self) -> None:
        self.base: Any = kernelkit_python.backend
        self.changed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.base, name)

    def probe(self) -> tuple[Device, ...]:
        return tuple(Device(self.name, d.index, d.name, d.target) for d in self.base.probe())

    def emit(self, analysis: Analysis, target: Target) -> Artifact:
        kernel = verify(flat(stay(analysis), by_block=False))
        assert is_flat(kernel)
        if kernel is not analysis.kernel:
            self.changed += 1
            shape = self.base.shape(kernel, analysis.shape.block, target)
            analysis = analyse(kernel, shape, checked=True)
        return self.base.emit(analysis, target)  # type: ignore[no-any-return]


def is_flat(kernel: ir.Kernel) -> bool:
    """Whether barriers stand in loops only, in which nothing leaves the loop, and behind nothing
    that leaves the kernel."""
    holding = [s for s in ir.walk(kernel.body) if meets(s)]
    loops = [s for s in holding if not isinstance(s, ir.Barrier)]
    if not all(isinstance(s, ir.For | ir.While) for s in loops):
        return False
    if any(isinstance(s, ir.Break | ir.Continue) for s in outer(tuple(loops))):
        return False
    flattened = list(ir.walk(kernel.body))
    last = max((n for n, s in enumerate(flattened) if isinstance(s, ir.Barrier)), default=0)
    if any(isinstance(s, ir.Return) for s in flattened[:last]):
        return False
    return not any(isinstance(s, ir.Return) for s in ir.walk(tuple(loops)))


def meets(stmt: ir.Stmt) -> bool:
    return any(isinstance(s, ir.Barrier) for s in ir.walk((stmt,)))


def outer(loops: tuple[ir.Stmt, ...]) -> Iterator[ir.Stmt]:
    """The statements of loops without those that stand in other loops and scopes."""
    for loop in loops:
        rest = [s for body in ir.bodies(loop) for s in body]
        while rest:
            stmt = rest.pop()
            yield stmt
            if isinstance(stmt, ir.If):
                rest += [s for body in ir.bodies(stmt) for s in body]


@pytest.fixture
def place() -> Iterator[Flat]:
    made = Flat()
    registry.register(made)  # type: ignore[arg-type]
    yield made
    registry.unregister("flat")


# ---------------------------------------------------------------- kernels
def ends(src, out, n):
    """All return before a barrier, some behind the last one."""
    tile = shared.array(32, np.int64)
    t, b = threadIdx.x, blockIdx.x
    tile[t] = src[b]
    syncthreads()
    if n > 20 + b:
        return
    out[b, t] = tile[31 - t] + t
    syncthreads()
    if n > 10 + b:
        tile[t] = t
        syncthreads()
        out[b, t] += tile[(t + n) % 32]
        return
    elif n > 5 + b:
        if t > n:
            return
        out[b, t] += 1000
    else:
        for k in range(n):
            tile[t] = t * k
            syncthreads()
            out[b, t] += tile[(t + 1) % 32]
            if k == b:
                return
            syncthreads()
    out[b, t] += 7


def turns(src, out, n):
    """Loops that are left, and not come to; what their targets are afterwards."""
    tile = shared.array(32, np.int64)
    t, b = threadIdx.x, blockIdx.x
    k = m = 77
    if n != 3:
        for k in range(n, -2 if n % 2 else 40, -3 if n % 2 else 5):
            if k == 15 + b:
                continue
            syncthreads()
            tile[t] = k + t
            syncthreads()
            if k == 25 + b:
                break
            out[b, t] += tile[31 - t]
        else:
            out[b, t] += 100
    else:
        while True:
            m -= syncthreads_count(t < n + b)
            c = m
            if m < 40:
                if t == 3:
                    atomic.add(out, (b, 1), 5)
                syncthreads()
                break
            for m in range(c, 9223372036854775807, 3 * 2**61):
                syncthreads()
                tile[t] = m % 1000
                if b % 2:
                    break
            syncthreads()
            m %= 45
            out[b, t] += tile[(t + m) % 32]
    out[b, t] += 3 * k + 5 * m


def first(tile, t, n):
    for k in range(n):
        tile[t] = k * t
        syncthreads()
        found = tile[(k + 1) % 32]
        syncthreads()
        if found > 20:
            return k
        if n <= 12:
            continue
        tile[t] += 1
        syncthreads()
    return -1


def calls(src, out, n):
    """Functions that are left where a barrier comes behind."""
    tile = shared.array(32, np.int64)
    t, b = threadIdx.x, blockIdx.x
    c = -5
    if (n + b) % 3:
        tile[t] = 0
        syncthreads()
        out[b, t] = first(tile, t, n)
        syncthreads()
    elif n > 4:
        c = syncthreads_count(t > src[b])
        if c > 3:
            syncthreads()
            out[b, t] = kk.syncthreads_or(t == c) + 2 * kk.syncthreads_and(c > 1)
    out[b, t] += c


FUNCTIONS = (ends, turns, calls)
KERNELS = tuple(map(kk.kernel, FUNCTIONS))


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.__name__)
@pytest.mark.parametrize("debug", [False, True], ids=["release", "debug"])
def test_the_results_stay_the_same(
    place: Flat, kernel: Any, debug: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELKIT_DEBUG", str(int(debug)))
    for n in (0, 3, 4, 8, 15, 22, 30):
        compare(kernel, "flat", n)
    assert place.changed


@each_device
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.__name__)
def test_devices_give_the_same(device: Any, kernel: Any) -> None:
    for n in (0, 3, 4, 8, 15, 22, 30):
        compare(kernel, f"opencl:{FOUND.devices.index(device)}", n)


def compare(kernel: Any, name: str, n: int) -> None:
    src = np.arange(4) * 7
    expected, found = np.zeros((2, 4, 32), np.int64)
    kernel.on("python")[4, 32](src, expected, n)
    kernel.on(name)[4, 32](src, found, n)
    np.testing.assert_array_equal(found, expected)


@kk.kernel(debug=True)
def stuck(src, out, n):
    t = threadIdx.x
    if n > 2:
        for k in range(0, 9, n - 3):
            syncthreads()
            out[0, t] = k
            if k > n:
                break


@each_device
def test_a_step_of_0_is_a_fault(device: Any) -> None:
    out = np.zeros((1, 32), np.int64)
    for name in ("python", f"opencl:{FOUND.devices.index(device)}"):
        with pytest.raises(kk.KernelFault, match="step"):
            stuck.on(name)[1, 32](out, out, 3)
        stuck.on(name)[1, 32](out, out, 0)


@kk.kernel
def sums(src, out, n):
    """Warp operations of a branch that is not taken."""
    t, b = threadIdx.x, blockIdx.x
    v = w = t
    if n > b:
        v = kk.shfl_down_sync(0xFFFFFFFF, src[t], 1)
        for k in range(n - b):
            w += kk.shfl_xor_sync(0xFFFFFFFF, v + k, 3)
            if kk.syncthreads_or(w > 2000):
                break
    out[b, t] = v * 1000 + w


@each_device
@pytest.mark.parametrize("debug", [False, True], ids=["release", "debug"])
def test_warps_in_branches(device: Any, debug: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELKIT_DEBUG", str(int(debug)))
    results = np.zeros((2, 4, 32), np.int64)
    for name, out in zip(("python", f"opencl:{FOUND.devices.index(device)}"), results, strict=True):
        sums.on(name)[4, 32](np.arange(32), out, 3)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("seed", range(40))
def test_generated_kernels_stay_the_same(place: Flat, seed: int) -> None:
    kernel = generate_flow(seed)
    differential.check(kernel, differential.outcome(kernel, "python"), "flat", debug=False)


# ---------------------------------------------------------------- what is written
def analysed(kernel: Any) -> Analysis:
    arguments = {
        "src": ArrayType(INT64, 1), "out": ArrayType(INT64, 2), "n": ScalarArg(INT64),
    }  # fmt: skip
    made = parse(read_source(kernel), arguments, ir.Options()).kernel
    return analyse(verify(made), Shape((64, 1, 1)))


def test_a_kernel_that_is_flat_is_itself() -> None:
    def plain(src, out, n):
        t = threadIdx.x
        if n > 4 and t > 3:
            out[0, t] = 1
        while n > 0:
            syncthreads()
            for k in range(n):
                syncthreads()
                if k > t:
                    out[0, t] += 1
            n //= 2
        if t > 8:
            return
        out[0, t] += 5

    kernel = analysed(plain).kernel
    assert flat(kernel, by_block=True) is kernel


def test_no_barrier_is_added() -> None:
    for function in FUNCTIONS:
        kernel = stay(analysed(function))
        made = verify(flat(kernel, by_block=False))
        assert is_flat(made) and not is_flat(kernel)
        a, b = (sum(isinstance(s, ir.Barrier) for s in ir.walk(k.body)) for k in (made, kernel))
        assert a == b


def test_flags_of_kernels_with_barriers_are_in_memory() -> None:
    text = "    bool v_live = true;\n    int kk_fault = 0;\n    i32 v_n = 0;\n    bool kk_c;\n"
    assert watched(text) == text
    assert watched(text + "barrier(1);") == (
        "    volatile bool v_live = true;\n    volatile int kk_fault = 0;\n    i32 v_n = 0;\n"
        "    bool kk_c;\nbarrier(1);"
    )


@kk.kernel
def found(src, out, n):
    """Flags that only some threads set, before they leave a loop."""
    t, b = threadIdx.x, blockIdx.x
    odd = False
    total = 0
    for _ in range(2):
        for k in range(4):
            if (src[b] * 5 + t * k) % 7 == 3:
                odd = True
                break
        syncthreads()
        total += 100 if odd else 1
        syncthreads()
    out[b, t] = total


@each_device
def test_flags_behind_loops(device: Any) -> None:
    for n in range(3):
        compare(found, f"opencl:{FOUND.devices.index(device)}", n)


def test_what_was_flattened_is_not_optimised() -> None:
    def plain(src, out, n):
        if kk.grid(1) < n:
            out[0, threadIdx.x] = 1
        syncthreads()
        out[1, threadIdx.x] = 1

    target = Target("PoCL", capabilities((), 0, 256, (256,), 32768), FLAT)
    assert emit(analysed(plain), target).metadata["optimised"]
    assert not emit(analysed(ends), target).metadata["optimised"]
