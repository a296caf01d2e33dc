"""The native code of the pool and of launches, put together.

In: the kind of processor, and what CPython, NumPy and the C library want here. Out: the text of one
LLVM module.
Holds: what the texts call `$NAME` is a constant of this module or of record.py.
"""

from __future__ import annotations

import signal
import sys
import time
from string import Template
from typing import Any, Final

from kernelkit_cpu import argument_code, launch_code, pool_code, record, share_code

# ---------------------------------------------------------------- a pool, in 64-bit words
#: Counts launches; threads without work watch it. A cache line (128 bytes on some) of its own.
GENERATION: Final = 0
SLEEPERS: Final = 16  # threads asleep, or about to be
THREADS: Final = 17  # how many threads a launch may use, its caller among them
CREATED: Final = 18  # threads of the pool
CREATABLE: Final = 19  # as many as the system let us create
MAIN: Final = 20  # the thread that handles Python's signals
FORKED: Final = 21  # this is a copy in a forked child, where none of its threads are
WAKING: Final = 22  # nanoseconds that it takes a caller to wake threads, as it was of late
MUTEX: Final = 32
WORK: Final = 48  # condition: there may be work
DONE: Final = 64  # condition: a thread has left a slot whose launch waits
SPARE: Final = 80  # scratch memory for the next launches
SPARES: Final = 4
SLOTS: Final = 96
SLOT_COUNT: Final = 16

# ---------------------------------------------------------------- a slot, the same way
STATE: Final = 0  # how many threads have joined, and these bits:
OPEN: Final = 1 << 32  # others may join
WAITING: Final = 1 << 33  # the caller sleeps until the last has left
COUNT: Final = OPEN - 1
CLOSED_AND_WAITING: Final = WAITING + 1  # the last one leaves
NOT_OPEN, NOT_WAITING = ~OPEN, ~WAITING
CLAIMED: Final = 1
NEXT: Final = 16  # the first block that nobody has taken
SLOT_BLOCKS: Final = 32
SLOT_KERNEL: Final = 33
SLOT_RECORD: Final = 34
SLOT_THREADS: Final = 35  # workers from this number on stay out: there is no scratch for them
SLOT_RATE: Final = 36  # nanoseconds per block (a double) so far as known, else 0
SLOT_TIME: Final = 37  # nanoseconds that the caller has run blocks
SLOT_RUN: Final = 38  # how many blocks the caller has run
SLOT_WORDS: Final = 48

POOL_WORDS: Final = SLOTS + SLOT_COUNT * SLOT_WORDS
#: Words before a record, for its caller's eyes only.
HIDDEN: Final = 16

# ---------------------------------------------------------------- times, in nanoseconds, and sizes
#: Threads take chunks of at least and at most so long.
LEAST_CHUNK, MOST_CHUNK = 3_000, 2_000_000
#: How long threads look for work before they sleep, and callers for others to end.
SPIN: Final = 30_000
#: How often callers look for signals, and for how long they sleep at most, which is a bit more.
LOOK, NAP = 40_000_000, 50_000_000
#: A launch that takes less is not worth a second thread, nor giving up the GIL. One that would have
#: to wake threads must take three times as long as that.
SHORT: Final = 10_000
#: What waking threads may be thought to cost: more is the caller's being interrupted.
MOST_WAKING: Final = 40_000
STACK_BYTES: Final = 8 << 20
#: Scratch memory larger than this is not kept between launches.
MOST_SPARE: Final = 64 << 20

# ---------------------------------------------------------------- what `launch` gives
#: A launch that ran to its end, and one that a fork lost threads of.
ENDED, LOST = 0, 1
#: A wrong argument: this, minus its number.
WRONG: Final = -1

# ---------------------------------------------------------------- what differs between platforms
#: What the text calls of CPython.
PYTHON_FUNCTIONS: Final = (
    "PyBytes_FromStringAndSize", "PyErr_CheckSignals", "PyErr_Fetch", "PyErr_NoMemory",
    "PyErr_Occurred", "PyErr_Restore", "PyEval_RestoreThread", "PyEval_SaveThread",
    "PyFloat_AsDouble", "PyLong_AsUnsignedLongLongMask", "PyLong_FromLongLong", "PyObject_IsTrue",
    "PyType_IsSubtype",
)  # fmt: skip

#: How a thread that spins lets others of its core go first.
_PAUSE: Final = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}
_PAUSE["arm64"] = _PAUSE["aarch64"]

#: Signals that a thread causes itself stay with it.
_OWN_SIGNALS: Final = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP")


def native_text(architecture: str) -> str:
    """The module for a processor, named as triples begin."""
    names = {**vars(record), **globals()}
    constants = {name: value for name, value in names.items() if name.isupper()}
    parts = (pool_code.TEXT, share_code.TEXT, argument_code.TEXT, launch_code.TEXT)
    return Template("\n".join(parts)).substitute(constants | _platform(architecture))


def _platform(architecture: str) -> dict[str, Any]:
    declare_pause, pause = _PAUSE.get(architecture, ("", ""))
    own = [getattr(signal, name) for name in _OWN_SIGNALS if hasattr(signal, name)]
    return {
        "DECLARE_PAUSE": declare_pause,
        "PAUSE": pause,
        "CLOCK": time.CLOCK_MONOTONIC,
        "SET_MASK": int(signal.SIG_SETMASK),
        "KEEP_OWN_SIGNALS": "\n".join(
            f"  %own{number} = call i32 @sigdelset(ptr %mask, i32 {int(number)})" for number in own
        ),
        "DETACHED": 2 if sys.platform == "darwin" else 1,
        # Every object begins with its type last in a head, which an array's fields follow.
        "HEAD": object.__basicsize__,
        "TYPE": object.__basicsize__ - 8,
    }
