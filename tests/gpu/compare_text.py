"""What NVRTC makes of our kernels beside what it makes of those by hand; needs no GPU.

    python tests/gpu/compare_text.py [--arch sm_90] [--show NAME]

In: the benchmarks' kernels. Out: a table of registers, spills, instructions of machine code (the
size of the code over 16 bytes) and, in PTX, of multiplications in 64 bits, conversions between 32
and 64 bits, and loads from global memory with those among them that go through the read-only cache.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "backends")]


from kernelkit import registry  # noqa: E402
from kernelkit.analysis.pipeline import analyse  # noqa: E402
from kernelkit.analysis.shape import Shape  # noqa: E402
from kernelkit.bench.gpu_cases import CASES, Case  # noqa: E402
from kernelkit.bench.gpu_rawkernels import SOURCES  # noqa: E402
from kernelkit.runtime.arguments import read  # noqa: E402
from kernelkit.runtime.variants import NOALIAS  # noqa: E402
from kernelkit_cuda import backend, nvrtc, options  # noqa: E402

INSTRUCTION = 16
PATTERNS = {
    "mul64": r"\b(?:mul|mad)\.(?:lo|hi|wide)\.[su](?:64|32)\b.*%rd",
    "cvt64": r"\bcvt\.[su]64\.[su]32\b|\bcvt\.u32\.u64\b",
    "loads": r"\bld\.global",
    "read-only": r"\bld\.global\.nc",
    "branches": r"\bbra\b",
}


class Code(NamedTuple):
    """One kernel: its text, and what became of it."""

    text: str
    registers: int
    spilled: int
    instructions: int
    ptx: str

    def count(self, what: str) -> int:
        return len(re.findall(PATTERNS[what], self.ptx))


def sections(cubin: bytes) -> Iterator[tuple[str, int]]:
    """Names and sizes of the sections of an ELF file of 64 bits."""
    (table,) = struct.unpack_from("<Q", cubin, 40)
    entry, number, names = struct.unpack_from("<HHH", cubin, 58)
    headers = [struct.unpack_from("<IIQQQQ", cubin, table + n * entry) for n in range(number)]
    for header in headers:
        start = headers[names][4] + header[0]
        yield cubin[start : cubin.index(b"\0", start)].decode(), header[5]


def code(text: str, name: str, arch: str, *told: str) -> Code:
    cubin, log = nvrtc.compile(text, f"{name}.cu", arch, [*told, "--ptxas-options=-v"])
    size = sum(size for section, size in sections(cubin) if section.startswith(".text."))
    registers = int(re.search(r"Used (\d+) registers", log)[1])
    spilled = sum(map(int, re.findall(r"(\d+) bytes spill", log)))
    ptx = nvrtc.ptx(text, f"{name}.cu", arch, told)
    return Code(text, registers, spilled, size // INSTRUCTION, ptx)


def ours(case: Case, arch: str) -> Code:
    """As a launch of small arrays that do not overlap has it."""
    launch = case.launch(lambda array: array, *case.problem(*case.small[0]).inputs)
    kernel = case.ours
    reading = read(kernel.parameters, kernel.parameters.bind(launch.arguments, {}))
    block = kernel[launch.grid, launch.block].block
    made: Any = kernel.specialiser.analyse(registry.place("python"), block, reading)
    parsed = made.analysed(NOALIAS).kernel
    promised = dataclasses.replace(parsed.options, small=True)
    analysis = analyse(dataclasses.replace(parsed, options=promised), Shape(block))
    artifact = backend.emit(analysis, backend.offline(arch))
    return code(artifact.text, case.name, arch, *options(artifact))


def by_hand(case: Case, arch: str) -> Code:
    return code(SOURCES[case.name], case.name, arch)


def table(arch: str) -> Iterator[str]:
    heads = ["registers", "spilled", "machine code", *PATTERNS]
    yield f"{arch}, ours / by hand".ljust(24) + "".join(head.rjust(14) for head in heads)
    for case in CASES:
        a, b = ours(case, arch), by_hand(case, arch)
        pairs = [(a.registers, b.registers), (a.spilled, b.spilled)]
        pairs += [(a.instructions, b.instructions)]
        pairs += [(a.count(what), b.count(what)) for what in PATTERNS]
        yield case.name.ljust(24) + "".join(f"{x} / {y}".rjust(14) for x, y in pairs)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", nargs="+", default=["sm_75", "sm_90"])
    parser.add_argument("--show", metavar="NAME", help="our text of that kernel, and both PTX")
    asked = parser.parse_args()
    if asked.show:
        case = next(case for case in CASES if case.name == asked.show)
        mine, theirs = ours(case, asked.arch[-1]), by_hand(case, asked.arch[-1])
        print(mine.text, mine.ptx, theirs.ptx, sep="\n")
        return 0
    for arch in asked.arch:
        print(*table(arch), sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
