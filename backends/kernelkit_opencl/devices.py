"""The OpenCL devices of this machine, in the order of their numbers.

In: nothing. Out: pyopencl's devices, GPUs and accelerators before CPUs, else as the platforms list
them; and one line for each that is of no use, or that says why there is none.
Holds: pyopencl is imported at the first question, devices are looked for once; a device that
cannot build a program at all is left out.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Iterator
from dataclasses import field
from typing import Any, Final

from kernelkit.records import record
from kernelkit_opencl import pocl, vendors

INSTALL: Final = "pip install pyopencl pocl-binary-distribution"
OLDEST: Final = (2024, 1)


@record(eq=False)
class Found:
    """pyopencl's devices, the processor that a device had to be told, and what is wrong."""

    devices: tuple[Any, ...] = ()
    processors: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    #: Where they were found.
    process: int = field(default_factory=os.getpid)

    def why(self) -> str:
        """One line for a person where there are no devices."""
        return "" if self.devices else "; ".join(self.wrong)


@functools.cache
def find() -> Found:
    """Every device that can be used; never raises."""
    try:
        with vendors.registered(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                import pyopencl as cl
            except Exception as error:  # one that was made for another NumPy raises what it likes
                line = f"pyopencl cannot be imported ({_line(error)}); {INSTALL}"
                return Found(wrong=(line,))
            if cl.VERSION[:2] < OLDEST:
                oldest = ".".join(map(str, OLDEST))
                line = f"pyopencl {cl.VERSION_TEXT} is older than {oldest}; pip install -U pyopencl"
                return Found(wrong=(line,))
            platforms = cl.get_platforms()
    except Exception as error:  # the loader says by an error that there are no platforms
        return Found(wrong=(f"there is no OpenCL platform ({_line(error)}); {INSTALL}",))
    return _sorted_out(platforms)


def _sorted_out(platforms: list[Any]) -> Found:
    wrong: list[str] = []
    usable = []
    for device in _listed(platforms, wrong):
        pocl.choose_method(device)
        processor = pocl.give_processor(device)
        reason = _useless(device, processor)
        if reason:
            wrong.append(f"{device.name.strip()}: {reason}")
        else:
            usable.append((_rank(device), device, processor))
    usable.sort(key=lambda found: found[0])
    if not usable and not wrong:
        wrong.append(f"no OpenCL platform has a device; {INSTALL}")
    return Found(tuple(d for _, d, _ in usable), tuple(p for _, _, p in usable), tuple(wrong))


def _listed(platforms: list[Any], wrong: list[str]) -> Iterator[Any]:
    for platform in platforms:
        try:
            yield from platform.get_devices()
        except Exception as error:
            wrong.append(f"{platform.name.strip()}: {_line(error)}")


def _rank(device: Any) -> int:
    import pyopencl as cl

    return 1 if device.type & cl.device_type.CPU else 0


def is_cpu(device: Any) -> bool:
    """Whether it works in the host's memory."""
    return _rank(device) == 1


def _useless(device: Any, processor: str) -> str:
    """Why a device cannot run kernels; '' if it can, for all that is known without trying."""
    import pyopencl as cl

    if not device.available or not device.compiler_available:
        return "it is not available, or has no compiler"
    if not device.endian_little:
        return "it keeps the bytes of a number in the other order"
    if not device.type & (cl.device_type.CPU | cl.device_type.GPU | cl.device_type.ACCELERATOR):
        return "it does not run kernels written in OpenCL C"
    # Others are tried when the first kernel is built: an attempt takes a good while.
    suspect = device.platform.name == "Portable Computing Language" and not processor
    return _trial(device) if suspect and device.version.endswith("-generic") else ""


def _trial(device: Any) -> str:
    """What goes wrong when the smallest program is built."""
    import pyopencl as cl

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = cl.Program(cl.Context([device]), "__kernel void kk_trial(void) {}")
            program.build(devices=[device], cache_dir=None)
    except Exception as error:
        line = next((x for x in str(error).splitlines() if "error" in x.lower()), _line(error))
        return f"it cannot build any program ({line.strip()})"
    return ""


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
