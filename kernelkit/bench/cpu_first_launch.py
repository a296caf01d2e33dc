"""What a process waits for at its first launch: a program to run in a fresh interpreter.

In: KERNELKIT_BACKEND, and where the disk cache is. Out: one line of milliseconds, from when
kernelkit and llvmlite are imported, until the first launch has returned.
"""

from __future__ import annotations

import time

import llvmlite.binding  # noqa: F401, so that its import is not counted
import numpy as np

from kernelkit.bench.cpu_kernels import correlate


def main() -> None:
    src = np.ones((16, 128), np.float32)
    dst, weights = np.zeros_like(src), np.ones((5, 5), np.float32)
    start = time.perf_counter()
    correlate[(2, 4), (64, 4)](src, dst, weights)
    seconds = time.perf_counter() - start
    assert (dst == 25).all()
    print(seconds * 1e3)


if __name__ == "__main__":
    main()
