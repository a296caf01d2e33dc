"""The CUDA back end on a GPU that is the host: its text compiled as C++, its launches run.

In: `python emulator.py RECORDED.jsonl PYTEST-ARGUMENT...`: the kernels that are met, compiled
beforehand, many at once. Out: pytest's exit status, with the back end "cuda" registered.
Holds: printing, packing of arguments, memory and records are the real ones; the compiler, the driver
and CuPy are not. What CUDA's functions mean is what emulated_gpu.cpp takes them to mean.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from fake_cupy import CudaError, FakeCupy, Module  # noqa: E402

from kernelkit import registry  # noqa: E402
from kernelkit.backend import Artifact, Binary, Target  # noqa: E402
from kernelkit_cuda import CudaBackend  # noqa: E402

FLAGS = ("-x", "c++", "-std=c++17", "-O0", "-w", "-fPIC", "-shared", "-ffp-contract=off", "-fwrapv")
#: Kernels of one program.
TOGETHER = 60
#: What only NVIDIA's compiler knows.
_SPELLED = (
    (r"^#line.*$", ""),
    (r'asm\("cvt\.f32\.f16[^;]*;" : "=f"\((\w+)\) : "h"\((\w+)\)\);', r"\1 = emulated_from_half(\2);"),
    (r'asm\("cvt\.rn\.f16\.f\d\d[^;]*;" : "=h"\((\w+)\) : "[fd]"\((\w+)\)\);', r"\1 = emulated_to_half(\2);"),
    (r"extern __shared__ [^;]*\bkk_dynamic\[\];", "unsigned char* kk_dynamic = emulated_dynamic;"),
    (r'extern "C" ', ""),
)  # fmt: skip


class Compiler:
    """Texts -> functions that take the arguments' addresses."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="emulated-gpu-"))
        runtime = self._built("runtime", '#define EMULATED_RUNTIME\n#include "emulated_gpu.cpp"\n')
        self._runtime = ctypes.CDLL(str(runtime), ctypes.RTLD_GLOBAL)
        self.run = self._runtime.emulated_launch
        self._known: dict[str, int] = {}
        self.late = 0

    def _built(self, name: str, source: str) -> Path:
        out = self.folder / f"{name}.so"
        path = self.folder / f"{name}.cpp"
        path.write_text(source)
        command = ["g++", *FLAGS, f"-I{HERE}", str(path), "-o", str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"{path}: {done.stderr[:3000]}")
        return out

    def compile(self, texts: Sequence[str]) -> None:
        groups = [texts[i : i + TOGETHER] for i in range(0, len(texts), TOGETHER)]
        start = len(self._known)
        with ThreadPoolExecutor(2) as pool:
            sources = [_program(group) for group in groups]
            names = [f"kernels{start}_{i}" for i in range(len(groups))]
            for group, built in zip(groups, pool.map(self._built, names, sources), strict=True):
                loaded = ctypes.CDLL(str(built))
                for number, text in enumerate(group):
                    function = getattr(loaded, f"emulated_kernel_{number}")
                    self._known[key(text)] = ctypes.cast(function, ctypes.c_void_p).value or 0

    def address(self, text: str) -> int:
        if key(text) not in self._known:
            self.late += 1
            self.compile([text])
        return self._known[key(text)]


def key(text: str) -> str:
    return re.sub(r"^#line.*\n", "", text, flags=re.MULTILINE)


def _program(texts: Sequence[str]) -> str:
    parts = ['#include "emulated_gpu.cpp"\n']
    for number, text in enumerate(texts):
        (name,) = re.findall(r"__global__ void __launch_bounds__\(\d+\) (\w+)\(", text)
        for pattern, instead in _SPELLED:
            text = re.sub(pattern, instead, text, flags=re.MULTILINE)
        parts.append(
            f"namespace n{number} {{\n{text}\n}}\n"
            f'extern "C" void emulated_kernel_{number}(void** given) '
            f"{{ emulated_call(n{number}::{name}, given); }}\n"
        )
    return "".join(parts)


class EmulatedCupy(FakeCupy):
    """A CuPy whose driver runs texts."""

    def __init__(self, compiler: Compiler) -> None:
        super().__init__()
        self._compiler, self._code = compiler, {}
        self.cuda.function.Module = lambda: EmulatedModule(self)

    def add(self, code: bytes) -> int:
        address = self._compiler.address(code.decode())
        self._code[address] = code
        return address

    def _function(self, module: int, name: str) -> int:
        return module

    def _launch(
        self, f: int, gx: int, gy: int, gz: int, bx: int, by: int, bz: int, shared: int,
        stream: int, parameters: int, extra: int,
    ) -> None:  # fmt: skip
        dims = (ctypes.c_uint * 6)(gx, gy, gz, bx, by, bz)
        void = ctypes.c_void_p
        if self._compiler.run(void(f), void(parameters), dims, ctypes.c_uint(shared)):
            raise CudaError(702, "threads wait for one another for ever")


class EmulatedModule(Module):
    def load(self, code: bytes) -> None:
        self.ptr = self._cupy.add(code)


class EmulatedBackend(CudaBackend):
    """Keeps the text in place of machine code."""

    cached = False

    def compile(self, artifact: Artifact, target: Target) -> Binary:
        return Binary(artifact.text.encode(), json.loads(json.dumps(artifact.metadata)))


def main(recorded: str, *arguments: str) -> int:
    import pytest

    os.environ["KERNELKIT_CACHE"] = "0"
    compiler = Compiler()
    compiler.compile([json.loads(line)["text"] for line in Path(recorded).read_text().splitlines()])
    backend: Any = EmulatedBackend(EmulatedCupy(compiler))
    registry.register(backend)
    status = pytest.main(
        ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--kernelkit-backend=cuda", *arguments]
    )
    print(f"{compiler.late} kernels were not compiled beforehand")
    return int(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
