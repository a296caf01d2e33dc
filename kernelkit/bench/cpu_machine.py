"""What the machine can do at most: bytes copied, and fused multiply-adds.

In: a number of threads. Out: seconds that a problem takes at least.
Holds: both are measured, on as many threads as the contenders have, and the best of several tries
counts. The multiply-adds are a loop in LLVM's own text: independent chains, full-width vectors.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence

import llvmlite.binding as llvm
import numpy as np

from kernelkit.bench.cpu_problems import Problem

#: Independent chains: more than any core has multiply-adds in flight.
CHAINS = 16
TRIES = 5


class Machine:
    """The limits of this machine."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._copies: dict[int, float] = {}

    @functools.cached_property
    def name(self) -> str:
        return f"{_processor()}, {os.cpu_count()} cores, {platform.system()}"

    @functools.cached_property
    def multiply_adds(self) -> float:
        """Fused float32 multiply-adds a second, at the best of the vector widths."""
        return max(_multiply_adds(lanes, self.threads) for lanes in (4, 8, 16))

    def copy_seconds(self, moved: int) -> float:
        """How long it takes to read half of so many bytes and to write the other half."""
        if moved not in self._copies:
            self._copies[moved] = _copy_seconds(moved // 2, self.threads)
        return self._copies[moved]

    def limit(self, problem: Problem) -> tuple[float, str]:
        """Seconds that no kernel can beat, and what sets them."""
        memory = self.copy_seconds(problem.moved)
        arithmetic = problem.operations / self.multiply_adds if problem.operations else 0.0
        return max((memory, "memory"), (arithmetic, "arithmetic"))


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.partition(":")[2] for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return (names or [platform.processor() or platform.machine()])[0].strip()


def _best_seconds(works: Sequence[Callable[[], object]]) -> float:
    """How long it takes to do all of this at once, each on a thread of its own."""
    return min(_seconds(works) for _ in range(TRIES))


def _seconds(works: Sequence[Callable[[], object]]) -> float:
    ready, done = threading.Barrier(len(works) + 1), threading.Barrier(len(works) + 1)

    def run(work: Callable[[], object]) -> None:
        ready.wait()
        work()
        done.wait()

    for work in works:
        threading.Thread(target=run, args=(work,)).start()
    ready.wait()
    start = time.perf_counter()
    done.wait()
    return time.perf_counter() - start


def _copy_seconds(count: int, threads: int) -> float:
    parts = [np.ones(max(count // threads, 1), np.uint8) for _ in range(threads)]
    repeats = max(1, (1 << 29) // max(count, 1 << 14))

    def work(source: np.ndarray) -> Callable[[], None]:
        target = source.copy()

        def copy() -> None:
            for _ in range(repeats):
                np.copyto(target, source)

        return copy

    return _best_seconds([work(part) for part in parts]) / repeats


def _chain_text(lanes: int) -> str:
    """A function that does CHAINS multiply-adds of so many lanes, n times."""
    vector = f"<{lanes} x float>"
    chains = range(CHAINS)
    starts = "\n".join(
        f"  %x{i} = phi {vector} [splat (float {i}.0), %entry], [%y{i}, %loop]" for i in chains
    )
    steps = "\n".join(
        f"  %y{i} = call {vector} @llvm.fma.v{lanes}f32({vector} %x{i}, {vector} %a, {vector} %a)"
        for i in chains
    )
    sums = "\n".join(
        f"  %s{i} = fadd {vector} %y{i}, {f'%s{i - 1}' if i else '%a'}" for i in chains
    )
    return f"""
declare {vector} @llvm.fma.v{lanes}f32({vector}, {vector}, {vector})

define float @chains(i64 %n, float %factor) {{
entry:
  %first = insertelement {vector} poison, float %factor, i64 0
  %a = shufflevector {vector} %first, {vector} poison, <{lanes} x i32> zeroinitializer
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
{starts}
{steps}
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %loop, label %end
end:
{sums}
  %sum = extractelement {vector} %s{CHAINS - 1}, i64 0
  ret float %sum
}}
"""


def _multiply_adds(lanes: int, threads: int) -> float:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(_chain_text(lanes)), machine)
    engine.finalize_object()
    signature = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float)
    chains = signature(engine.get_function_address("chains"))
    steps = 1 << 20
    seconds = _best_seconds([functools.partial(chains, steps, 0.5)] * threads)
    return threads * steps * CHAINS * lanes / seconds
