"""NVIDIA's run-time compiler, NVRTC, by ctypes: CUDA C to machine code where there is no GPU.

In: a text, an architecture such as "sm_90", options. Out: a cubin (PTX where the compiler does not
know so new an architecture), and the compiler's log.
Holds: no CUDA headers are needed; the library is looked for and loaded at the first question; an
error carries the compiler's log and the lines of the text that it speaks of.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from kernelkit.errors import BackendError, InternalError

#: Where wheels keep it, in `site-packages/nvidia`, newest first: (major version, folder).
_WHEELS: Final = ((13, "cu13/lib"), (13, "cu13/bin/x86_64"), (12, "cuda_nvrtc/lib"), (12, "cuda_nvrtc/bin"))  # fmt: skip
_FILES: Final = "nvrtc64_*_0.dll" if sys.platform == "win32" else "libnvrtc.so.*"
_SONAMES: Final = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so")
_FOLDERS: Final = ("lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib", "bin")

INSTALL: Final = "pip install nvidia-cuda-nvrtc"
_lock = threading.RLock()
_preferred: int | None = None


class NvrtcError(InternalError):
    """The compiler refused a text that kernelkit wrote."""


# ---------------------------------------------------------------- the library
class Nvrtc:
    """A loaded library: its version as (13, 5), and the architectures it knows as (75, 80, ...)."""

    def __init__(self, library: ctypes.CDLL, path: str) -> None:
        self._library, self.path = library, path
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        self.version = (major.value, minor.value)
        count = ctypes.c_int()
        self.call("nvrtcGetNumSupportedArchs", ctypes.byref(count))
        found = (ctypes.c_int * count.value)()
        self.call("nvrtcGetSupportedArchs", found)
        self.architectures = tuple(sorted(found))

    def call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise NvrtcError(f"{function}: {self.explain(status)}")

    def compile(self, program: ctypes.c_void_p, options: Sequence[str]) -> str:
        """Compiles a program; what is wrong, '' if nothing is."""
        encoded = [option.encode() for option in options]
        array = (ctypes.c_char_p * len(encoded))(*encoded)
        status = self._library.nvrtcCompileProgram(program, len(encoded), array)
        return self.explain(status) if status else ""

    def __str__(self) -> str:
        return ".".join(map(str, self.version))

    def explain(self, status: int) -> str:
        text = self._library.nvrtcGetErrorString
        text.restype = ctypes.c_char_p
        return str(text(status).decode())

    def text_of(self, what: str, program: ctypes.c_void_p) -> bytes:
        """The `what` of a program: ProgramLog, CUBIN, PTX."""
        size = ctypes.c_size_t()
        self.call(f"nvrtcGet{what}Size", program, ctypes.byref(size))
        data = ctypes.create_string_buffer(size.value)
        self.call(f"nvrtcGet{what}", program, data)
        return data.raw


def library() -> Nvrtc:
    """NVRTC; a BackendError that says what to install where it is nowhere."""
    with _lock:
        return _loaded(_preferred)


def why_missing() -> str:
    """One line that says why there is no NVRTC; '' if there is one."""
    try:
        library()
    except BackendError as error:
        return str(error)
    return ""


def prefer(major: int) -> None:
    """The major version of CUDA whose compiler is looked for first: that of the driver's side."""
    global _preferred
    with _lock:
        _preferred = major


@functools.lru_cache
def _loaded(preferred: int | None) -> Nvrtc:
    tried = dict[str, str]()
    for path in _candidates(preferred):
        if path in tried:
            continue
        try:
            return Nvrtc(ctypes.CDLL(path), path)
        except (OSError, AttributeError, NvrtcError) as error:
            tried[path] = str(error)
    broken = "; ".join(f"{p}: {why}" for p, why in tried.items() if os.path.exists(p))
    raise BackendError(
        f"NVRTC, which compiles its code, {'cannot be loaded' if broken else 'is not installed'}"
        f"{f' ({broken})' if broken else ''}: {INSTALL}"
    )


def _candidates(preferred: int | None) -> Iterator[str]:
    """Where the library may be, the most likely first."""
    wheels = sorted(_WHEELS, key=lambda wheel: wheel[0] != preferred) if preferred else _WHEELS
    roots = _nvidia_folders()
    for _, folder in wheels:
        for root in roots:
            yield from _libraries(root / folder)
    for variable in ("CUDA_PATH", "CUDA_HOME"):
        if os.environ.get(variable):
            for folder in _FOLDERS:
                yield from _libraries(Path(os.environ[variable], folder))
    yield from sorted(_SONAMES, key=lambda name: not name.endswith(f".{preferred}"))
    for folder in _FOLDERS:
        yield from _libraries(Path("/usr/local/cuda", folder))


def _nvidia_folders() -> list[Path]:
    spec = importlib.util.find_spec("nvidia")
    return [Path(p) for p in (spec.submodule_search_locations or ())] if spec else []


def _libraries(folder: Path) -> list[str]:
    named = [p for p in folder.glob(_FILES) if ".alt." not in p.name and "builtins" not in p.name]
    return [str(p) for p in sorted(named, key=lambda p: (len(p.name), p.name))]


# ---------------------------------------------------------------- compilation
def architecture(arch: str) -> int:
    """90 for "sm_90", "90" and "compute_90a"."""
    match = re.fullmatch(r"(?:sm_|compute_)?(\d+)[af]?", arch)
    if match is None:
        raise BackendError(f"{arch!r} is no architecture of NVIDIA; write it as sm_90")
    return int(match[1])


def newest() -> str:
    """The newest architecture that the compiler knows, as sm_121."""
    return f"sm_{library().architectures[-1]}"


def resolve(arch: str) -> tuple[str, str]:
    """What to ask the compiler for: (--gpu-architecture, "CUBIN" or "PTX").

    What is newer than the compiler gets PTX for the newest that it knows, which the driver
    translates."""
    nvrtc, wanted = library(), architecture(arch)
    known = nvrtc.architectures
    if wanted in known:
        return f"sm_{wanted}", "CUBIN"
    if wanted < known[0]:
        raise BackendError(
            f"{arch} is too old for NVRTC {nvrtc}, which makes code for sm_{known[0]} and later; "
            "install CuPy and NVRTC for CUDA 12: pip install cupy-cuda12x nvidia-cuda-nvrtc-cu12"
        )
    # The newest of what is older: PTX runs on what is newer than itself only.
    return f"compute_{max(a for a in known if a < wanted)}", "PTX"


def compile(text: str, name: str, arch: str, options: Sequence[str] = ()) -> tuple[bytes, str]:
    """(cubin or PTX, log) of a text; `name` is what the log calls it. NvrtcError if it is wrong."""
    wanted, kind = resolve(arch)
    return _compiled(text, name, (f"--gpu-architecture={wanted}", *options), kind)


def ptx(text: str, name: str, arch: str, options: Sequence[str] = ()) -> str:
    """The PTX of a text, for people."""
    wanted = resolve(arch)[0].replace("sm_", "compute_")
    data, _ = _compiled(text, name, (f"--gpu-architecture={wanted}", *options), "PTX")
    return data.rstrip(b"\0").decode()


def _compiled(text: str, name: str, options: Sequence[str], kind: str) -> tuple[bytes, str]:
    nvrtc, program = library(), ctypes.c_void_p()
    source = (text.encode(), name.encode(), 0, None, None)
    nvrtc.call("nvrtcCreateProgram", ctypes.byref(program), *source)
    try:
        wrong = nvrtc.compile(program, options)
        log = nvrtc.text_of("ProgramLog", program).rstrip(b"\0").decode(errors="replace").strip()
        if wrong:
            raise NvrtcError(
                f"NVRTC {nvrtc} refused the text that kernelkit wrote, with {' '.join(options)}:\n"
                f"{log or wrong}{_quoted(log, text)}"
            )
        return nvrtc.text_of(kind, program), log
    finally:
        nvrtc.call("nvrtcDestroyProgram", ctypes.byref(program))


def _quoted(log: str, text: str) -> str:
    """The lines of a text that its log speaks of, under the numbers that the log gives them."""
    numbers = {int(n) for n in re.findall(r"\((\d+)\): (?:catastrophic )?error", log)}
    if not numbers:
        return ""
    shown, line = [], 0
    for physical, content in enumerate(text.split("\n"), 1):
        directive = re.match(r"\s*#\s*(?:line\s+)?(\d+)(?:\s|$)", content)
        line = int(directive[1]) - 1 if directive else line + 1
        if line in numbers and not directive:
            shown.append(f"\n{physical:6} | {content}")
    return "".join(shown[:20])
