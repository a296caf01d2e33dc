"""LLVM: text to object code, object code to addresses.

In: a module's text and a CpuTarget. Out: optimised text, assembly, object code; a Loaded object.
Holds: text that LLVM refuses and object code that does not fit this process become an InternalError,
for LLVM itself would end the process over most of them; any thread may call in at any time, and a
fork waits until no thread is inside LLVM.
"""

from __future__ import annotations

import functools
import re
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from kernelkit.errors import InternalError
from kernelkit_cpu.targets import LLVM, CpuTarget, host

#: How hard LLVM works: 0 to 3, see `_optimise`.
LEVEL: Final = 2

Result = TypeVar("Result")


# ---------------------------------------------------------------- text to code
def function_attributes(target: CpuTarget) -> str:
    """The attributes of every function of a module for a target.

    Without them LLVM splits 512-bit vectors on some CPUs that have such registers.
    """
    if not target.is_x86:
        return "nounwind"
    width = f'"prefer-vector-width"="{target.bits}" "min-legal-vector-width"="{target.bits}"'
    return f"nounwind {width}"


def optimise_and_compile(text: str, target: CpuTarget, level: int = LEVEL) -> bytes:
    """Object code of a module."""
    return _translated(text, target, level, lambda module, machine: machine.emit_object(module))


def optimised(text: str, target: CpuTarget, level: int = LEVEL) -> str:
    """The text of a module after LLVM's passes."""
    return _translated(text, target, level, lambda module, machine: str(module))


def assembly(text: str, target: CpuTarget, level: int = LEVEL) -> str:
    """The assembly of a module."""
    return _translated(text, target, level, lambda module, machine: machine.emit_assembly(module))


@functools.cache
def versions() -> str:
    """What makes the code: object code that something else made is not taken over."""
    import llvmlite
    from llvmlite.binding import llvm_version_info

    passes = 0
    with suppress(OSError):  # installed without sources
        passes = zlib.crc32(Path(__file__).read_bytes())
    numbers = ".".join(map(str, llvm_version_info))
    return f"llvmlite {llvmlite.__version__}, LLVM {numbers}, passes {passes:08x}"


def _translated(
    text: str, target: CpuTarget, level: int, result: Callable[[Any, Any], Result]
) -> Result:
    with LLVM:
        return _translate(text, target, level, result)


def _translate(
    text: str, target: CpuTarget, level: int, result: Callable[[Any, Any], Result]
) -> Result:
    """LLVM's objects go when this returns, so inside the lock."""
    machine = _machine(target, 2 if level else 0)
    module = _parse(text)
    _optimise(module, machine, level)
    return result(module, machine)


def _optimise(module: Any, machine: Any, level: int) -> None:
    """Level 3 is LLVM's own O3. Levels 1 and 2 leave out its second half and what works across
    functions, which is half the time for code as fast as O2's: the emitter has vectorised, unrolled
    and inlined already. Level 0 is for text that a person wrote as it should be: a tenth of the time.
    """
    llvm = _llvm()
    options = llvm.create_pipeline_tuning_options(speed_level=max(level, 1))
    options.loop_vectorization = False
    options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    if level >= 3:
        builder.getModulePassManager().run(module, builder)
        return
    first = llvm.create_new_module_pass_manager()
    first.add_always_inliner_pass()
    first.add_global_dead_code_eliminate_pass()
    if level == 0:
        first.add_sroa_pass()
    first.run(module, builder)
    if level == 0:
        return
    passes = builder.getFunctionPassManager()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)


def _parse(text: str) -> Any:
    llvm = _llvm()
    try:
        # A context of its own: what LLVM remembers of a module goes when the module goes.
        module = llvm.parse_assembly(text, llvm.create_context())
        module.verify()
    except RuntimeError as error:
        raise InternalError(_refusal(str(error), text)) from None
    return module


def _refusal(message: str, text: str) -> str:
    """LLVM's message, with the lines around the place that it names."""
    place = re.search(r"<string>:(\d+):(\d+): error: (.*)", message)
    if place is None:
        return f"LLVM refuses the code of a kernel: {message.strip()}"
    number = int(place[1])
    lines = text.splitlines()
    shown = [
        f"{n:6} {lines[n - 1]}" for n in range(max(1, number - 2), min(number, len(lines)) + 1)
    ]
    caret = " " * (6 + int(place[2])) + "^"
    return "\n".join(
        [f"LLVM refuses the code of a kernel: line {number}: {place[3]}", *shown, caret]
    )


# ---------------------------------------------------------------- LLVM itself
@functools.cache
def _llvm() -> Any:
    """LLVM's bindings, ready for code of this machine."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@functools.cache
def _every_target() -> None:
    llvm = _llvm()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@functools.cache
def _libraries() -> None:
    """Make the C library's mathematics known to code that is loaded."""
    if sys.platform.startswith("linux"):
        # Where it has another name (musl), the process has it already.
        with suppress(RuntimeError):
            _llvm().load_library_permanently("libm.so.6")


def _machine(target: CpuTarget, effort: int = 2) -> Any:
    """A new target machine, which chooses instructions with so much effort. Its code model is the
    large one: code and data may lie anywhere."""
    llvm = _llvm()
    if target.triple != host().triple:
        _every_target()
    kind = llvm.Target.from_triple(target.triple)
    return kind.create_target_machine(
        cpu=target.name, features=target.features, opt=effort, codemodel="jitdefault", jit=True
    )


# ---------------------------------------------------------------- code to addresses
class Loaded:
    """Object code in the memory of this process. The code goes when this object goes, so who calls
    an address of it holds it."""

    def __init__(self, engine: Any, defined: frozenset[str]) -> None:
        self._engine = engine
        self._defined = defined

    def address(self, name: str) -> int:
        """Where a function is."""
        if name not in self._defined:
            raise InternalError(f"the object code has no function {name!r}")
        with LLVM:
            return int(self._engine.get_function_address(name))

    def __del__(self) -> None:
        # A process that ends frees it all, and some thread may be in the code up to then.
        if not sys.is_finalizing():
            with LLVM:
                self._engine.close()


def load_object(data: bytes) -> Loaded:
    """Load what optimise_and_compile made for this machine."""
    defined, needed = _symbols(data)
    with LLVM:
        return Loaded(_engine(data, needed), defined)


def _engine(data: bytes, needed: frozenset[str]) -> Any:
    llvm = _llvm()
    _libraries()
    missing = sorted(name for name in needed if not llvm.address_of_symbol(name))
    if missing:
        raise InternalError(f"no library here has {', '.join(missing)}, which the code calls")
    empty = llvm.parse_assembly("")  # in no context of its own, which the engine would outlive
    engine = llvm.create_mcjit_compiler(empty, _machine(host()))
    engine.add_object_file(llvm.ObjectFileRef.from_data(data))
    engine.finalize_object()
    return engine


def _symbols(data: bytes) -> tuple[frozenset[str], frozenset[str]]:
    """The functions that object code has, and those that it wants from elsewhere."""
    try:
        found = list(_elf_symbols(data))
    except (struct.error, ValueError, IndexError):
        raise InternalError("this is no object code for this machine, or not all of it") from None
    defined = frozenset(name for name, section in found if section)
    return defined, frozenset(name for name, section in found if not section)


# Places in an ELF file of 64 bits: in the header machine, place of the table of sections, size and
# number of its entries; in a section's entry type, offset, size and link; in a symbol's entry name,
# binding and section.
_HEADER = struct.Struct("<18xH20xQ10xHH")
_SECTION = struct.Struct("<4xI16xQQI20x")
_SYMBOL = "<IBxH16x"
_SYMBOL_TABLE, _NO_BITS, _LOCAL = 2, 8, 0
_MACHINES = {"x86_64": 62, "aarch64": 183}


def _elf_symbols(data: bytes) -> Iterator[tuple[str, int]]:
    """(name, section) of every symbol that others can see; section 0 is elsewhere."""
    machine, table, entry, count = _HEADER.unpack_from(data)
    ours = _MACHINES.get(host().triple.partition("-")[0])
    if data[:6] != b"\x7fELF\x02\x01" or machine != ours:
        raise ValueError
    sections = [_SECTION.unpack_from(data, table + entry * number) for number in range(count)]
    if any(start + size > len(data) for kind, start, size, _ in sections if kind != _NO_BITS):
        raise ValueError
    for kind, start, size, link in sections:
        if kind == _SYMBOL_TABLE:
            names = sections[link][1]
            for name, info, section in struct.iter_unpack(_SYMBOL, data[start : start + size]):
                if info >> 4 != _LOCAL:
                    end = data.index(0, names + name)
                    yield data[names + name : end].decode(), section
