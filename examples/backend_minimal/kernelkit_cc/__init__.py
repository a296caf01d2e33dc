"""A minimal back end: kernels as plain C, by the system's compiler, threads one after the other."""

import ctypes
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from kernelkit.analysis.shape import Shape
from kernelkit.backend import PROTOCOL, Artifact, Binary, Capabilities, Device, HostMemory, Target
from kernelkit.emit.cstyle.printer import print_kernel
from kernelkit.errors import BackendError
from kernelkit.ir.types import DTYPES
from kernelkit_cc.dialect import HEAD, PLAIN_C

#: Views of an array are pointers of other types; without contraction results are reproducible.
FLAGS = ("-std=gnu11", "-O2", "-w", "-fPIC", "-shared", "-fno-strict-aliasing", "-ffp-contract=off")
ABLE = Capabilities(
    dtypes=frozenset(DTYPES) - {"float16"}, atomics=frozenset(), warp_operations=False,
    barriers=False, shared_memory=False, printing=False, assertions=False,
)  # fmt: skip
LAUNCH = """
void kk_launch({parameters}) {{
    gridDim.x = grid[0], gridDim.y = grid[1], gridDim.z = grid[2];
    for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x)
    for (threadIdx.z = 0; threadIdx.z < block[2]; ++threadIdx.z)
    for (threadIdx.y = 0; threadIdx.y < block[1]; ++threadIdx.y)
    for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x)
        {name}({names});
}}
"""
REAL = {"f32": ctypes.c_float, "f64": ctypes.c_double}
CTYPES = REAL | {f"{s}{n}": getattr(ctypes, f"c_{'u' * (s == 'u')}int{n}")
                 for s in "iu" for n in (8, 16, 32, 64)}  # fmt: skip


def passed(entry, args):
    """What C gets for an entry of the signature."""
    value = args[entry["leaf"]]
    match entry["what"]:
        case "pointer":
            return ctypes.c_void_p(value.ctypes.data)
        case "extent":
            value = value.shape[entry["axis"]]
        case "stride":
            value = value.strides[entry["axis"]]
    value = getattr(value, "item", lambda: value)()  # Python's own, if it is NumPy's
    if entry["type"] in CTYPES:
        return CTYPES[entry["type"]](value)
    part = CTYPES["f32" if entry["type"] == "c64" else "f64"]
    return type("Complex", (ctypes.Structure,), {"_fields_": [("re", part), ("im", part)]})(
        value.real, value.imag
    )


class Executable:
    def __init__(self, binary):
        with tempfile.NamedTemporaryFile(suffix=".so") as file:
            Path(file.name).write_bytes(binary.data)
            self.library, self.signature = ctypes.CDLL(file.name), binary.metadata["signature"]

    def launch(self, config, args, stream):
        sizes = [(ctypes.c_int * 3)(*size) for size in (config.grid, config.block)]
        self.library.kk_launch(*sizes, *(passed(entry, args) for entry in self.signature))


class CcBackend:
    name = "cc"
    protocol = PROTOCOL

    def compiler(self):
        return shutil.which(os.environ.get("CC", "cc"))

    def probe(self):
        found = self.compiler()
        return (Device("cc", 0, f"plain C by {found}", Target("cc", ABLE)),) if found else ()

    def why_unavailable(self):
        return "" if self.compiler() else "there is no C compiler: install one, or set CC to one"

    def shape(self, kernel, block, target):
        return Shape(block)

    def emit(self, analysis, target):
        source = print_kernel(analysis, PLAIN_C)
        parameters, names = ["const int* grid", "const int* block"], []
        for entry in source.metadata["signature"]:
            names.append(f"p{len(names)}")
            kind = "void*" if entry["what"] == "pointer" else entry["type"]
            parameters.append(f"{kind} {names[-1]}")
        launch = LAUNCH.format(
            name=source.metadata["name"], parameters=", ".join(parameters), names=", ".join(names)
        )
        return Artifact(HEAD + source.text + launch, source.metadata)

    def compile(self, artifact, target):
        with tempfile.TemporaryDirectory() as folder:
            text, made = Path(folder, "kernel.c"), Path(folder, "kernel.so")
            text.write_text(artifact.text)
            command = [self.compiler(), *FLAGS, text, "-lm", "-o", made]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise BackendError(f"{command[0]} refused a kernel:\n{done.stderr}")
            return Binary(made.read_bytes(), artifact.metadata)

    def load(self, binary, device):
        return Executable(binary)

    def memory(self, device):
        return HostMemory()


backend = CcBackend()
