"""Scalar operations written by the CPU back end, run over whole arrays; and kernels to launch."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import kernelkit as kk
from kernelkit import registry
from kernelkit.analysis.pipeline import Analysis, analyse
from kernelkit.analysis.shape import Block
from kernelkit.ir.types import DType
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit_cpu import CpuBackend
from kernelkit_cpu.launch import CpuExecutable
from kernelkit_cpu.llvm import Loaded, load_object, optimise_and_compile
from kernelkit_cpu.lowering import lower
from kernelkit_cpu.operations import Operations
from kernelkit_cpu.shape import choose_shape
from kernelkit_cpu.targets import CpuTarget, host
from kernelkit_cpu.text import Module, Text
from kernelkit_cpu.types import Parts, memory, parts, register

Array = npt.NDArray[Any]
#: Writes the operation: the registers of the operands -> those of the result.
Write = Callable[[Operations, list[Parts], int], Parts]


@dataclass
class Batch:
    """Many operations in one module, for one target and so many lanes. Each becomes a function that
    works through arrays: call it by the number that `add` gave."""

    target: CpuTarget
    lanes: int
    contract: bool = False

    def __post_init__(self) -> None:
        self.module = Module()
        self.types: list[tuple[tuple[DType, ...], DType]] = []
        self.loaded: Loaded | None = None
        self.data = b""  # the object code, once it is made
        self.text = Text(self.module)  # the function that is being written

    def add(self, sources: Sequence[DType], result: DType, write: Write) -> int:
        number, text = len(self.types), Text(self.module)
        self.text = text
        self.types.append((tuple(sources), result))
        pointers = [
            [f"%p{i}.{j}" for j in range(parts(t))] for i, t in enumerate((result, *sources))
        ]
        index = text.alloca("i64")
        text.store("i64", "0", index)
        test, body, end = (text.label(hint) for hint in ("test", "body", "end"))
        text.start(test)
        i = text.load("i64", index)
        text.branch(text.let(f"icmp ult i64 {i}, %n"), body, end)
        text.start(body)
        operands = [
            tuple(self._load(text, dtype, place, i) for place in places)
            for dtype, places in zip(sources, pointers[1:], strict=True)
        ]
        found = write(Operations(text, self.target, self.contract), operands, self.lanes)
        assert len(found) == parts(result)
        for part, place in zip(found, pointers[0], strict=True):
            self._store(text, result, part, place, i)
        text.store("i64", text.let(f"add i64 {i}, {self.lanes or 1}"), index)
        text.jump(test)
        text.start(end)
        text.finish()
        arguments = ", ".join(f"ptr noalias {each}" for place in pointers for each in place)
        text.function(f"void @f{number}({arguments}, i64 %n)")
        return number

    def _load(self, text: Text, dtype: DType, base: str, index: str) -> str:
        place = text.at(memory(dtype), base, index)
        kind = memory(dtype, self.lanes)
        value = text.load(kind, place, dtype.component.itemsize)
        if dtype.kind != "b":
            return value
        return text.let(f"trunc {kind} {value} to {register(dtype, self.lanes)}")

    def _store(self, text: Text, dtype: DType, value: str, base: str, index: str) -> None:
        kind = memory(dtype, self.lanes)
        if dtype.kind == "b":
            value = text.let(f"zext {register(dtype, self.lanes)} {value} to {kind}")
        text.store(kind, value, text.at(memory(dtype), base, index), dtype.component.itemsize)

    def compile(self, level: int = 1) -> bytes:
        return optimise_and_compile(self.module.text(), self.target, level)

    def load(self) -> Batch:
        self.data = self.compile()
        self.loaded = load_object(self.data)
        return self

    def __call__(self, number: int, *arrays: Array) -> Array:
        assert self.loaded is not None
        sources, result = self.types[number]
        count = len(arrays[0])
        padded = -(-count // 64) * 64
        inputs = [np.resize(a, padded) for a in arrays]
        pieces = [_pieces(t, a) for t, a in zip(sources, inputs, strict=True)]
        out = [np.zeros(padded, result.component.numpy) for _ in range(parts(result))]
        flat = [*out, *(piece for each in pieces for piece in each)]
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(flat), ctypes.c_int64)(
            self.loaded.address(f"f{number}")
        )
        function(*(a.ctypes.data for a in flat), padded)
        if not result.is_complex:
            return out[0][:count]
        both = np.empty(padded, result.numpy)
        both.real, both.imag = out
        return both[:count]


def _pieces(dtype: DType, array: Array) -> list[Array]:
    pieces = [array.real, array.imag] if dtype.is_complex else [array]
    return [np.ascontiguousarray(piece) for piece in pieces]


@pytest.fixture(scope="session")
def batch() -> type[Batch]:
    """Operations of the scalar table, compiled for a target and so many lanes."""
    return Batch


# ---------------------------------------------------------------- whole kernels
KERNELS = Path(__file__).with_name("kernels.ll")


@pytest.fixture(scope="session")
def executable() -> Callable[..., CpuExecutable]:
    """executable("count", {"kind": "array", "ndim": 1}): a kernel of kernels.ll, ready to launch."""
    loaded = load_object(optimise_and_compile(KERNELS.read_text(), host(), 1))

    def make(entry: str, *parameters: dict[str, Any], **metadata: Any) -> CpuExecutable:
        metadata = {"block": [1, 1, 1], "user_block": [1, 1, 1], **metadata}
        return CpuExecutable(loaded, {"entry": entry, "parameters": parameters, **metadata})

    return make


# ---------------------------------------------------------------- back ends
def _here() -> list[str]:
    """The instruction sets that this machine has."""
    presets = ("sse2", "avx2", "avx512", "neon")
    return [preset for preset in presets if CpuTarget.parse(preset).runs_here()]


@pytest.fixture(scope="module", params=_here())
def cpu(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a back end for each instruction set."""
    name = f"cpu-{request.param}"
    registry.register(CpuBackend(name, CpuTarget.parse(request.param)))
    yield name
    registry.unregister(name)


# ---------------------------------------------------------------- beside the reference
def _outcome(kernel: Any, grid: Any, block: Any, args: Sequence[Any], place: str) -> list[Any]:
    """The arguments after a launch, or the fault that it ended with."""
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    with kk.use(place), np.errstate(all="ignore"):
        try:
            kernel[grid, block](*copies)
        except kk.KernelFault as fault:
            return [type(fault), fault.span, fault.message]
    return copies


@pytest.fixture(scope="session")
def agree() -> Callable[..., list[Any]]:
    """agree(kernel, grid, block, *args, on="cpu"): what the arguments are after a launch there, or
    its fault, which is what the reference says too."""

    def run(kernel: Any, grid: Any, block: Any, *args: Any, on: str = "cpu") -> list[Any]:
        expected = _outcome(kernel, grid, block, args, "python")
        found = _outcome(kernel, grid, block, args, on)
        assert len(found) == len(expected)
        for number, (a, b) in enumerate(zip(found, expected, strict=True)):
            if isinstance(b, np.ndarray):
                assert_bits_equal(a, b, f"argument {number}")
            elif isinstance(b, type | str):
                assert a == b
        return found

    return run


@pytest.fixture(scope="session")
def analysed(typed: Callable[..., Any]) -> Callable[..., Analysis]:
    """analysed(kernel, block, *args, lanes=8): what is known of a kernel when it is emitted, without
    a virtual block."""

    def run(kernel: Any, block: Block, *args: Any, lanes: int = 8) -> Analysis:
        lowered, _ = lower(typed(kernel, block, *args)[0])
        return analyse(lowered, choose_shape(lowered, block, host(), lanes))

    return run
