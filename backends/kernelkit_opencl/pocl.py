"""PoCL 3.0 as PyPI has it: for processors that are younger than it, and barriers in branches.

In: a device. Out: the processor that its code is made for from now on, '' where nothing was done.
Holds: only that version is touched, and only where what its memory holds is what we expect.

The wheel `pocl-binary-distribution` asks LLVM 14 for the name of this processor. LLVM does not
know those that came after it and says "generic", which PoCL hands to clang, and clang refuses:
"unknown target CPU 'generic'". So nothing builds at all, on any processor since about 2022. There
is no option for it and no newer wheel. The device's record keeps that name as a pointer to its
text; we let it point to the x86-64 level that this processor has. The record is read and written
through /proc/self/mem, where a wrong address is an error and not a crash.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import struct
import sys
from pathlib import Path
from typing import Any, Final

_VERSION: Final = "OpenCL 3.0 PoCL 3.0"
_DRIVER: Final = "3.0"
_HARDWARE: Final = "-x86_64-unknown-linux-gnu-generic"
#: Where the record has the target's triple and, after it, the processor's name.
_TRIPLE_SLOT: Final = 632
_CPU_SLOT: Final = _TRIPLE_SLOT + 8
_TRIPLE: Final = b"x86_64-unknown-linux-gnu\0"
_UNKNOWN: Final = b"generic\0"

#: Levels of x86-64, the best first, with what /proc/cpuinfo calls what they add.
_LEVELS: Final = (
    ("x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
    ("x86-64-v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"),
    ("x86-64-v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"),
)
#: What threads have where the system sets no limit, and what is left for all else.
_STACK: Final = 2 << 20
_RESERVE: Final = 512 << 10
#: The declaration of a variable that is a flag of the user's or ours, at the head of a kernel.
_FLAG: Final = re.compile(r"^(    )(bool v_\w+ =|int kk_\w+ = 0;)", re.MULTILINE)
#: Devices keep pointers to these.
_NAMES: Final = {level: ctypes.create_string_buffer(level.encode()) for level, _ in _LEVELS}


def give_processor(device: Any) -> str:
    """Name this processor to a device that does not know it."""
    if sys.platform != "linux" or platform.machine() != "x86_64" or not _is_unknowing(device):
        return ""
    level = processor_level(_flags())
    if not level:
        return ""
    try:
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            return level if _rename(memory.fileno(), device.int_ptr, level) else ""
    except (OSError, OverflowError, struct.error):
        return ""


def choose_method(device: Any) -> None:
    """Let that version make loops of all blocks: it copies the body for each thread of a small one,
    and ends the process ("could not find a dominating alternative variable") where a barrier stands
    in a branch. It looks at the variable whenever it compiles a kernel."""
    if _is_version(device):
        os.environ.setdefault("POCL_WORK_GROUP_METHOD", "loopvec")


def watched(text: str) -> str:
    """A kernel's text in which flags are not kept in registers, if it has barriers: what is a
    constant wherever it is set, PoCL takes for the same in all threads behind a barrier, also where
    only some of them have set it before they left a loop."""
    return _FLAG.sub(r"\1volatile \2", text) if "barrier(" in text else text


def is_pocl(device: Any) -> bool:
    return bool(device.platform.name == "Portable Computing Language")


def room_for_arrays(device: Any) -> int | None:
    """How many bytes all threads of a block have for arrays of their own; None where a device keeps
    them elsewhere. PoCL puts them on the stack of one thread of the system, and whoever leaves that
    ends the process."""
    if not is_pocl(device) or not device.type & 2:
        return None
    import resource

    size, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return (_STACK if size == resource.RLIM_INFINITY else size) - _RESERVE


def _is_version(device: Any) -> bool:
    return (
        is_pocl(device)
        and device.platform.version.startswith(_VERSION)
        and device.driver_version.startswith(_DRIVER)
    )


def _is_unknowing(device: Any) -> bool:
    """Whether a device is one of that version which has no name for its processor."""
    return _is_version(device) and device.version.endswith(_HARDWARE)


def processor_level(flags: set[str]) -> str:
    """The highest level all of whose features, and those of all levels below, are there."""
    needed: set[str] = set()
    found = ""
    for level, added in reversed(_LEVELS):
        needed |= set(added.split())
        if not needed <= flags:
            break
        found = level
    return found


def _flags() -> set[str]:
    """What /proc/cpuinfo says that this processor has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    flags = (line.partition(":")[2] for line in lines if line.startswith("flags"))
    return set(next(flags, "").split())


def _rename(memory: int, record: int, level: str) -> bool:
    """Let the record name `level`, if it looks as it should. A process does this once."""
    triple, name = struct.unpack("<QQ", os.pread(memory, 16, record + _TRIPLE_SLOT))
    if os.pread(memory, len(_TRIPLE), triple) != _TRIPLE:
        return False
    if os.pread(memory, len(_UNKNOWN), name) == _UNKNOWN:
        pointer = struct.pack("<Q", ctypes.addressof(_NAMES[level]))
        return os.pwrite(memory, pointer, record + _CPU_SLOT) == len(pointer)
    return bool(name == ctypes.addressof(_NAMES[level]))
