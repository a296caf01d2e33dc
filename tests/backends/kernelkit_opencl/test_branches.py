"""Branches with barriers inside, on every OpenCL device found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from opencl_devices import FOUND, each_device

import kernelkit as kk


@kk.kernel
def halves(a, limit, out):
    t = kk.threadIdx.x
    shared = kk.shared.array(64, np.int64)
    shared[t] = t
    kk.syncthreads()
    value = a[t]
    value = value * 0.5
    count = 0
    for k in range(limit, 100):
        count += 1
        if count > 1:
            break
        if limit > 50:
            continue
        if t >= 32:
            value += k
    if limit > 200:
        value += 1
    elif limit % 3 != 1:
        kk.syncthreads()
        shared[t] = t + limit
        kk.syncthreads()
        value += shared[(t + 1) % 64]
        n = 0
        while n < 3:
            n += 1
            kk.syncthreads()
            shared[t] = n
            kk.syncthreads()
            value += shared[(t + 2) % 64]
    out[t] = value


@each_device
@pytest.mark.parametrize("limit", [0, 1, 60, 300])
def test_what_stands_before_a_branch_runs_once(device: Any, limit: int) -> None:
    opencl = f"opencl:{FOUND.devices.index(device)}"
    a = np.arange(64, dtype=np.float32)
    results = []
    for place in ("python", opencl):
        out = np.full(64, -1, np.float32)
        halves.on(place)[1, 64](a, limit, out)
        results.append(out)
    np.testing.assert_array_equal(results[1], results[0])
