"""The threads of the CPU back end, and the door from Python to them.

In: plans (record.py) and a number of threads. Out: built-in functions that launch.
Holds: one pool a process, made when the first kernel is loaded, its threads when a launch first wants
them; a forked child gets a pool of its own. The native code is never unloaded: threads are parked in
it until the process ends.
"""

from __future__ import annotations

import ctypes
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from kernelkit.errors import ArgumentError, ConfigurationError
from kernelkit_cpu import native_code

VARIABLE: Final = "KERNELKIT_NUM_THREADS"
MOST_THREADS: Final = 1024

#: A cache of object code: from a text that names the code, and a way to make it.
Cache = Callable[[str, Callable[[], bytes]], bytes]
#: A built-in function that launches one plan; takes the kernel's arguments.
Launch = Callable[..., Any]

_METH_FASTCALL: Final = 0x0080


# ---------------------------------------------------------------- how many threads
_asked: int | None = None


def get_num_threads() -> int:
    """How many threads a launch uses, the caller's among them."""
    global _asked
    if _asked is None:
        _asked = _from_environment() or _available()
    return _asked


def set_num_threads(number: int) -> None:
    """Use so many threads for every launch from now on."""
    global _asked
    if not isinstance(number, (int, np.integer)) or isinstance(number, bool):
        raise ArgumentError(
            f"the number of threads is an int, not {number!r} ({type(number).__name__})"
        )
    if not 1 <= number <= MOST_THREADS:
        raise ArgumentError(
            f"the number of threads must be between 1 and {MOST_THREADS}, and {number} is not; "
            f"this process may use {_available()} processors"
        )
    _asked = int(number)
    if _native is not None:
        _native.renumber(_asked)


def _from_environment() -> int | None:
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise ConfigurationError(
            f"{VARIABLE} is {text!r}; set it to a whole number of threads between 1 and "
            f"{MOST_THREADS}, or unset it"
        )
    return int(text)


def _available() -> int:
    """How many processors this process may use, by its affinity and by the quota of its group."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, min(count, _quota(Path("/sys/fs/cgroup")), MOST_THREADS))


def _quota(root: Path) -> int:
    """What a control group allows, in whole processors."""
    try:
        limit, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            folder = root / "cpu"
            limit = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return MOST_THREADS
    if not limit.isdecimal() or not period.isdecimal() or int(period) == 0:
        return MOST_THREADS  # "max", or -1
    return math.ceil(int(limit) / int(period))


# ---------------------------------------------------------------- the native side
class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class Native:
    """The compiled code of the pool and of launches, and the pool in use."""

    def __init__(self, loaded: Any) -> None:
        word, pointer = ctypes.c_int64, ctypes.c_void_p
        self._create = ctypes.PYFUNCTYPE(pointer, word, word)(loaded.address("create_pool"))
        self._select = ctypes.PYFUNCTYPE(None, pointer)(loaded.address("select_pool"))
        self._method = _Method(b"launch", loaded.address("launch"), _METH_FASTCALL, None)
        bind = ctypes.PYFUNCTYPE(ctypes.py_object, pointer, ctypes.py_object, pointer)
        self._bind = bind(("PyCFunction_NewEx", ctypes.pythonapi))
        # Threads stay in the code, and functions refer to the method, when the interpreter has
        # cleared everything.
        for kept in (loaded, self._method):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
        self.pool = 0
        self.renew()

    def renew(self) -> None:
        """Go on with a new pool, as in a child that has none of the old one's threads."""
        if self.pool:
            ctypes.c_int64.from_address(self.pool + 8 * native_code.FORKED).value = 1
        main = threading.main_thread().ident or 0
        pool = self._create(get_num_threads(), main)
        if not pool:
            raise MemoryError("there is no memory for the thread pool of the CPU back end")
        self.pool = pool
        self._select(pool)

    def renumber(self, threads: int) -> None:
        """Use so many threads from now on; they are created when they are wanted."""
        ctypes.c_int64.from_address(self.pool + 8 * native_code.THREADS).value = threads

    def bind(self, plan: np.ndarray) -> Launch:
        """The function that launches a plan, which it keeps."""
        return self._bind(ctypes.addressof(self._method), plan, None)


_native: Native | None = None
_lock = threading.Lock()


def native(cache: Cache | None = None) -> Native:
    """The native side of this process, loaded when it is first asked for."""
    global _native
    if _native is None:
        with _lock:
            if _native is None:
                _native = Native(_load(cache))
    return _native


def _load(cache: Cache | None) -> Any:
    from llvmlite import binding as llvm

    from kernelkit_cpu.llvm import load_object, optimise_and_compile
    from kernelkit_cpu.targets import host

    target = host()
    text = native_code.native_text(target.triple.partition("-")[0])

    def make() -> bytes:
        return optimise_and_compile(text, target, 0)

    for name in native_code.PYTHON_FUNCTIONS:
        function = getattr(ctypes.pythonapi, name)
        llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
    return load_object(
        cache(f"{target.triple}\n{target.features}\n{text}", make) if cache else make()
    )


def _after_fork() -> None:
    # A thread that is not in this child may have held the lock.
    global _lock
    _lock = threading.Lock()
    if _native is not None:
        _native.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
