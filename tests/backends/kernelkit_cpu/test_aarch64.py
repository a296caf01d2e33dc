"""Code for 64-bit ARM processors: it compiles on any machine, and its inner loops are made of vector
instructions."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.analysis.pipeline import analyse
from kernelkit.backend import Target
from kernelkit.bench import cpu_kernels
from kernelkit.demo import kernels as demo
from kernelkit.testing.generator import generate
from kernelkit.testing.generator_flows import generate_flow
from kernelkit.testing.generator_images import generate_image
from kernelkit_cpu import CpuBackend
from kernelkit_cpu.llvm import assembly, optimise_and_compile
from kernelkit_cpu.targets import CpuTarget

NEON = CpuTarget.parse("neon")
F32, F64, I32, U8 = np.float32, np.float64, np.int32, np.uint8
Made = tuple[str, bytes]


@pytest.fixture
def compiled(typed: Any) -> Callable[..., Made]:
    """compiled(kernel, block, *args): assembly and object code."""
    backend = CpuBackend("cpu-neon", NEON)
    target = Target(NEON.name, backend_capabilities(), NEON.features)

    def run(kernel: Any, block: Any, *args: Any) -> Made:
        parsed, _ = typed(kernel, block, *args)
        whole = kernel[1, block].block
        analysis = analyse(parsed, backend.shape(parsed, whole, target))
        text = backend.emit(analysis, target).text
        return assembly(text, NEON), optimise_and_compile(text, NEON)

    return run


def backend_capabilities() -> Any:
    return CpuBackend().probe()[0].target.capabilities


def loops(text: str) -> list[list[str]]:
    """The instructions of each innermost loop of an assembly text: from a label to the branch back,
    without another label that is jumped back to between."""
    lines = [line.split("//")[0].strip() for line in text.splitlines()]
    labels = {line[:-1]: n for n, line in enumerate(lines) if line.endswith(":")}
    found = []
    for n, line in enumerate(lines):
        target = re.match(r"(?:b|b\.\w+|cbn?z \w+,|tbn?z \w+, #\d+,)\s+(\.L\w+)$", _plain(line))
        if target and labels.get(target[1], n) < n:
            found.append((labels[target[1]], n))
    inner = [
        (a, b) for a, b in found if not any(a <= c and d < b for c, d in found if (c, d) != (a, b))
    ]
    return [[x for x in map(_plain, lines[a:b]) if x and not x.startswith(".")] for a, b in inner]


def _plain(line: str) -> str:
    return re.sub(r"\s+", " ", line)


def busiest(text: str, pattern: str) -> int:
    """How many instructions of that kind the loop with most of them has."""
    return max((sum(bool(re.match(pattern, i)) for i in loop) for loop in loops(text)), default=0)


def zeros(*shape: int, dtype: Any = F32) -> np.ndarray:
    return np.zeros(shape, dtype)


IMAGE = zeros(64, 96)
#: (kernel, block, arguments, what the inner loops hold, and how often at least).
KERNELS: dict[str, tuple[Any, Any, Sequence[Any], str, int]] = {
    "correlate": (cpu_kernels.correlate, (64, 4), (IMAGE, zeros(64, 96), zeros(5, 5)), r"fml[as] v\d+\.4s", 5),
    "mirrored": (cpu_kernels.correlate_mirrored, (64, 4), (IMAGE, zeros(64, 96), zeros(5, 5)), r"fml[as] v\d+\.4s", 5),
    "backwards": (cpu_kernels.correlate, (64, 4), (IMAGE[:, ::-1], zeros(64, 96), zeros(5, 5)), r"fml[as] v\d+\.4s", 5),
    "tiled": (
        cpu_kernels.correlate_tiled, (cpu_kernels.TILE_X, cpu_kernels.TILE_Y), (IMAGE, zeros(64, 96), zeros(5, 5)),
        r"fml[as] v\d+\.4s", 5,
    ),
    "sobel": (cpu_kernels.sobel, (64, 4), (IMAGE, zeros(64, 96)), r"f(add|sub|mla|mls|mul) v\d+\.4s", 6),
    "saxpy": (cpu_kernels.saxpy, 256, (F32(2), zeros(999), zeros(999)), r"fmla v\d+\.4s", 1),
    "total": (cpu_kernels.total, cpu_kernels.THREADS, (zeros(999), zeros(1)), r"fadd v\d+\.4s", 8),
    "matmul": (cpu_kernels.matmul, (16, 16), (zeros(64, 64), zeros(64, 64), zeros(64, 64)), r"fmla v\d+\.4s", 8),
    "mandelbrot": (
        cpu_kernels.mandelbrot, (32, 4), (zeros(9, 9, dtype=I32), F32(0), F32(0), F32(1), 9), r"f(mul|mla|mls|add|sub) v\d+\.4s", 4,
    ),
    "wavelet": (cpu_kernels.wavelet, (64, 4), (IMAGE, zeros(64, 48), zeros(64, 48)), r"fmla v\d+\.4s", 8),
    "sqrt": (cpu_kernels.elementwise, 256, (math.sqrt, zeros(999), zeros(999)), r"fsqrt v\d+\.4s", 1),
    "histogram": (cpu_kernels.histogram, cpu_kernels.THREADS, (zeros(999, dtype=U8), zeros(256, dtype=I32)), r"ld", 1),
    "demo correlate": (demo.correlate, (32, 8), (IMAGE, zeros(64, 96), zeros(5, 5)), r"fml[as] v\d+\.4s", 1),
    "demo blur": (demo.blur, (16, 16), (IMAGE, zeros(64, 96), zeros(13)), r"fmla v\d+\.4s", 8),
    "demo wavelet": (demo.wavelet, (16, 16), (IMAGE, *(zeros(32, 48) for _ in range(4))), r"fmla v\d+\.4s", 8),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_inner_loops_are_vectors(compiled: Callable[..., Made], name: str) -> None:
    kernel, block, args, instruction, times = KERNELS[name]
    text, data = compiled(kernel, block, *args)
    assert busiest(text, instruction) >= times, text
    check_object(data)


def check_object(data: bytes) -> None:
    """An ELF file for AArch64, 64-bit, relocatable."""
    assert data[:4] == b"\x7fELF" and data[4] == 2
    kind, machine = struct.unpack_from("<HH", data, 16)
    assert (kind, machine) == (1, 183)


@kk.kernel(reproducible=True)
def narrow(src, out):
    i = kk.grid(1)
    if i < out.size:
        out[i] = src[i] * 3 + src[2 * i]


@pytest.mark.parametrize(
    ("dtype", "instruction"),
    [
        ("float64", r"fmul v\d+\.2d"),
        ("int32", r"(mla|mul|add|shl) v\d+\.4s"),
        ("uint8", r"(mla|mul|add|ushll) v\d+\.(4h|8b|8h|4s|16b)"),
        ("float16", r"fcvtl v\d+\.4s|fmul v\d+\.(4s|8h|4h)"),
    ],
)
def test_other_types_are_vectors_too(
    compiled: Callable[..., Made], dtype: str, instruction: str
) -> None:
    text, data = compiled(narrow, 256, zeros(999, dtype=dtype), zeros(499, dtype=dtype))
    assert busiest(text, instruction) >= 1, text
    check_object(data)


def test_a_sum_of_products_may_not_be_contracted_in_reproducible_kernels(
    compiled: Callable[..., Made],
) -> None:
    text, _ = compiled(narrow, 256, zeros(999), zeros(499))
    assert re.search(r"fmul v\d+\.4s", _plain_text(text))
    assert not re.search(r"fml[as] v|fmadd", _plain_text(text))


def _plain_text(text: str) -> str:
    return "\n".join(map(_plain, text.splitlines()))


@pytest.mark.parametrize(
    ("make", "count"), [(generate, 3), (generate_flow, 2), (generate_image, 6)]
)
def test_random_kernels_compile(compiled: Callable[..., Made], make: Any, count: int) -> None:
    for seed in range(count):
        made = make(seed)
        module = made.module()
        _, data = compiled(module.kernel, made.block, *module.arguments())
        check_object(data)
